//! What keeps a key from signing, and what to do about it.

use std::path::PathBuf;

use super::remote::AgentError;
use crate::cluster::ClusterError;
use crate::explain::explain;
use crate::input::InputError;
use crate::key::Malformed;
use crate::key::algorithm::Algorithm;
use crate::object_name::{NameError, ObjectName};

/// Why there is no signature. It names files and settings, never what is in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The setting is empty.
    #[error("the key setting is empty")]
    NoSetting,
    /// Somebody gave the key itself where its place is meant. It is not repeated here.
    #[error("the key setting holds a key, not the place of one")]
    InlineKey,
    /// A place that this version can't read.
    #[error("this version cannot use a signing key from {scheme}://")]
    Scheme {
        /// The scheme alone: what follows may hold a token.
        scheme: String,
    },
    /// `env://` and no usable name.
    #[error("env:// must be followed by the name of an environment variable")]
    EnvName,
    /// `k8s://` and no usable name.
    #[error("k8s:// must be followed by NAMESPACE/NAME of a Secret")]
    SecretName(#[source] NameError),
    /// The Secret can't be read.
    #[error("cannot read signing key k8s://{name}")]
    Cluster {
        /// The name of the Secret with its namespace.
        name: ObjectName,
        /// Why the request to the cluster failed.
        source: Box<ClusterError>,
    },
    /// The Secret with the public key can't be read.
    #[error("cannot read public key k8s://{name}")]
    PublicCluster {
        /// The name of the Secret with its namespace.
        name: ObjectName,
        /// Why the request to the cluster failed.
        source: Box<ClusterError>,
    },
    /// The variable is not set.
    #[error("environment variable {name}, which should hold the signing key, is not set")]
    EnvUnset {
        /// The name of the environment variable.
        name: String,
    },
    /// There is no such file or directory.
    #[error("there is no signing key at {}: it does not exist", .path.display())]
    Missing {
        /// The path of the key file or directory.
        path: PathBuf,
    },
    /// The system refuses to read it.
    #[error("cannot read {} for the signing key", .path.display())]
    Read {
        /// The path of the key file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A pipe, a device, a socket, or a directory in the file's place.
    #[error("cannot read {} for the signing key: it is not a regular file", .path.display())]
    NotRegular {
        /// The path of the key file or directory.
        path: PathBuf,
    },
    /// More than any key needs.
    #[error("cannot read {} for the signing key: it is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// The path of the key file or directory.
        path: PathBuf,
        /// How many bytes are read at most.
        limit: usize,
    },
    /// The directory has no key in it.
    #[error("there is no signing key in {}: it holds neither cosign.key nor x509.pem, {found}", .path.display())]
    NoKey {
        /// The path of the key file or directory.
        path: PathBuf,
        /// What is there instead, names only, made fit to be shown.
        found: String,
    },
    /// The directory has no public key in it.
    #[error("there is no public key in {}: it does not hold cosign.pub, {found}", .path.display())]
    NoPublicKey {
        /// The path of the key file or directory.
        path: PathBuf,
        /// What is there instead, names only, made fit to be shown.
        found: String,
    },
    /// There is nothing where the public key should be.
    #[error("there is no public key {}", .path.display())]
    PublicMissing {
        /// The path of the key file or directory.
        path: PathBuf,
    },
    /// The public key can't be read.
    #[error("cannot read public key {}", .path.display())]
    PublicRead {
        /// The path of the key file or directory.
        path: PathBuf,
        /// Why the file can't be read.
        source: InputError,
    },
    /// The directory has both keys in it.
    #[error("there are two signing keys in {}: cosign.key and x509.pem", .path.display())]
    TwoKeys {
        /// The path of the key file or directory.
        path: PathBuf,
    },
    /// The bytes are not a key that can sign.
    #[error("cannot use signing key {origin}")]
    Unusable {
        /// Where it came from, for people.
        origin: String,
        /// What is wrong with the key.
        source: Malformed,
    },
    /// An imported key must be plain, and this key is encrypted in cosign's format.
    #[error("cannot import {}: it is a key that cosign's encryption protects already", .path.display())]
    Sealed {
        /// The path of the key file or directory.
        path: PathBuf,
    },
    /// It is encrypted, and there is no password.
    #[error("signing key {origin} is encrypted and no password is given")]
    NoPassword {
        /// Where the key came from, for people.
        origin: String,
    },
    /// The password opens nothing.
    #[error("the password does not open signing key {origin}")]
    WrongPassword {
        /// Where the key came from, for people.
        origin: String,
        /// Where the password came from, for people.
        password: String,
    },
    /// The password opens nothing, and was written in UTF-16.
    #[error(
        "the password does not open signing key {origin}: the password is text in UTF-16, as PowerShell writes it"
    )]
    PasswordInUtf16 {
        /// Where the key came from, for people.
        origin: String,
        /// Where the password came from, for people.
        password: String,
    },
    /// The password opens nothing, and begins with a mark that an editor wrote.
    #[error(
        "the password does not open signing key {origin}: it begins with a byte order mark (UTF-8 with BOM), which counts as part of it"
    )]
    PasswordWithMark {
        /// Where the key came from, for people.
        origin: String,
        /// Where the password came from, for people.
        password: String,
    },
    /// A public key alone.
    #[error("cannot use the public key")]
    PublicKey(#[source] Malformed),
    /// The public key beside the private one can't be read as a key.
    #[error("cannot use public key {}", .path.display())]
    PublicFile {
        /// The path of the key file or directory.
        path: PathBuf,
        /// What is wrong with the key.
        source: Malformed,
    },
    /// The public key beside the private one belongs to another.
    #[error("public key {} does not belong to signing key {origin}", .path.display())]
    Mismatch {
        /// The public key's path.
        path: PathBuf,
        /// Where the private key came from, for people.
        origin: String,
    },
    /// A digest, for a key that signs whole messages; or one of another length than its hash makes. No input leads here.
    #[error("a {0} key cannot sign this digest")]
    Digest(Algorithm),
    /// The computation itself failed: the system gave no random numbers to blind it with.
    #[error("cannot sign with the key in memory")]
    Sign(#[source] ecdsa::signature::Error),
    /// The system gives no random numbers.
    #[error("cannot make a key: the system gives no random numbers")]
    Random(#[source] getrandom::Error),
    /// The agent that holds the key gives no signature.
    #[error(transparent)]
    Agent(AgentError),
    /// A new key that can't be written down; no input leads here.
    #[error("cannot make a key: it cannot be encoded")]
    Encode,
}

explain! { KeyError,
    Self::Agent(error) => [of error],
    Self::Unusable { source, .. } => ["key-unusable", Usage, text source.hint()],
    Self::NoSetting | Self::InlineKey | Self::Scheme { .. } | Self::EnvName | Self::SecretName(_) => ["key-setting", Usage,
        "give a directory (a mounted Secret), a file, env://NAME, or k8s://NAMESPACE/NAME"],
    Self::Cluster { name, source } if source.is_not_found() => ["key-secret-absent", Failed,
        "make it: stepseal generate-key-pair k8s://{name}", used source.used()],
    Self::PublicCluster { source, .. } if source.is_not_found() => ["public-key-secret-absent", Failed,
        "name the Secret that the signatures were made with, or a file with its public key", used source.used()],
    Self::Cluster { source, .. } | Self::PublicCluster { source, .. } => [of source],
    Self::Sealed { .. } => ["key-sealed", Usage, "use it as it is: --key takes it, and `stepseal public-key` prints its public key"],
    Self::EnvUnset { .. } => ["key-variable-unset", Usage, "set it from a Secret (env.valueFrom.secretKeyRef) in this step"],
    Self::Missing { .. } => ["key-missing", Usage,
        "mount the Secret that holds cosign.key into this step, or name its place with --key or STEPSEAL_KEY"],
    Self::PublicMissing { .. } => ["public-key-missing", Usage, "name the file with --key, such as cosign.pub, or the folder that holds it"],
    Self::PublicRead { source: InputError::TooLarge { .. }, .. } => ["public-key-unreadable", Usage,
        "name the right file: a public key has less than a kilobyte"],
    Self::PublicRead { source, .. } => [of source, or "public-key-unreadable", Usage, "name a file that this step's user may read"],
    Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ["key-unreadable", Usage,
        "it is a link that leads nowhere: mount the Secret anew, and as a whole"],
    Self::Read { .. } => ["key-unreadable", Usage, "let this step's user read it: defaultMode of the Secret's volume, fsGroup of the pod"],
    Self::NotRegular { .. } => ["key-file", Usage, "put a regular file there, as a mounted Secret does"],
    Self::TooLarge { .. } => ["key-file", Usage, "mount the right file: a key has a few kilobytes, a password less"],
    Self::NoKey { .. } => ["key-missing", Usage,
        "make a key and fill the Secret with it: stepseal generate-key-pair k8s://NAMESPACE/signing-secrets"],
    Self::TwoKeys { .. } => ["key-two", Usage, "leave one of them in the Secret, or name the file to use with --key"],
    Self::NoPassword { .. } => ["key-no-password", Usage,
        "put cosign.password beside it in the Secret, or set COSIGN_PASSWORD (empty, if its password is empty)"],
    Self::WrongPassword { password, .. } => ["key-wrong-password", Usage,
        "give the password that the key was made with; if it is right, the key file was changed after it was made",
        used Some(format!("password of {password}"))],
    Self::PasswordInUtf16 { password, .. } | Self::PasswordWithMark { password, .. } => ["key-password-encoding", Usage,
        "write it as plain text, as with PowerShell's Set-Content -Encoding ascii -NoNewline",
        used Some(format!("password of {password}"))],
    Self::NoPublicKey { .. } => ["public-key-missing", Usage, "name the file with the public key, or write it there as cosign.pub"],
    Self::PublicKey(source) | Self::PublicFile { source, .. } if source.public_hint().is_some() => ["public-key-malformed", Usage,
        hint source.public_hint().map(str::to_owned)],
    Self::PublicKey(_) => ["public-key-malformed", Usage, "give the public key that belongs to the signatures, as cosign.pub holds it"],
    Self::PublicFile { .. } | Self::Mismatch { .. } => ["public-key-mismatch", Usage,
        "write it anew (stepseal public-key --key cosign.key > cosign.pub), or take it out of the Secret"],
    Self::Encode | Self::Digest(_) => ["fault-key", Failed, "report it with the version of this program"],
    Self::Sign(_) | Self::Random(_) => ["random-numbers", Failed, "see why getrandom(2) fails here; a seccomp profile may refuse it"],
}
