//! The one table of what can be set: flags, environment, defaults and meanings.
//!
//! The command line, the documentation and the reader of [`Config`](super::Config) are all made from it.
//! It imports nothing, so that the build script can read it too.

/// How a setting takes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A switch: the flag takes no value, the environment `true` or `false`.
    Switch,
    /// One value.
    One,
    /// Several: the flag is repeatable; in the environment they stand between commas, or on lines.
    Words,
    /// Several paths: the flag is repeatable; in the environment they stand between colons.
    Paths,
}

/// One of Stepseal's own settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The flag, without `--`.
    pub flag: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// How values are given.
    pub kind: Kind,
    /// The value's name in `--help`.
    pub value: &'static str,
    /// The default, as the documentation shows it.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

impl Setting {
    /// Whether it is left out of `--help`, so that this fits a screen: it is for manifests, where the environment serves.
    pub(crate) fn is_rare(&self) -> bool {
        ["taskrun-uid", "cluster-credentials", "registry-certs-dir", "require-digest"].contains(&self.flag)
            || self.flag.starts_with("certificate-github-workflow-")
            || REGISTRY_FLAGS.iter().any(|setting| setting.flag == self.flag)
    }
}

macro_rules! settings {
    ($list:ident $about:literal: $($name:ident: $flag:literal $env:literal $kind:ident $value:literal $default:literal $help:literal;)*) => {
        $(#[doc = $help] pub const $name: Setting = Setting {
            flag: $flag, env: $env, kind: Kind::$kind, value: $value, default: $default, help: $help };)*
        #[doc = $about] pub const $list: &[Setting] = &[$($name),*];
    };
}

settings! {
    SETTINGS "Stepseal's own settings, in the order in which `--help` shows them.":
    RESULTS_DIR: "results-dir" "STEPSEAL_RESULTS_DIR" One "DIR" "/tekton/results" "The Task's results";
    STEPS_DIR: "steps-dir" "STEPSEAL_STEPS_DIR" One "DIR" "/tekton/steps" "The steps' results, each in DIR/STEP/results";
    KEY: "key" "STEPSEAL_KEY" One "KEY" "/etc/signing-secrets" "Signing key: a directory, a file, env://NAME, or k8s://NAMESPACE/NAME";
    AGENT: "agent" "STEPSEAL_AGENT" One "unix:///PATH" "none" "Let the `stepseal agent` at this socket sign, instead of a key";
    AGENT_KEY: "agent-key" "STEPSEAL_AGENT_KEY" One "KEY" "/etc/signing-secrets/cosign.pub, where it is mounted" "Public key that the agent must have, a file or k8s://NS/NAME";
    REGISTRY_CONFIG: "registry-config" "STEPSEAL_REGISTRY_CONFIG" Paths "PATH" "the usual places" "dockerconfigjson, file or directory; repeatable";
    SERVICE_ACCOUNT: "service-account" "STEPSEAL_SERVICE_ACCOUNT" One "[NS/]NAME" "the pod's own, where no credentials are mounted" "Use the registry credentials of this ServiceAccount too, read through the API";
    CLUSTER_CREDENTIALS: "cluster-credentials" "STEPSEAL_CLUSTER_CREDENTIALS" One "DIR" "/var/run/secrets/kubernetes.io/serviceaccount" "token, ca.crt and namespace for the Kubernetes API";
    INSECURE_REGISTRY: "insecure-registry" "STEPSEAL_INSECURE_REGISTRIES" Words "HOST" "none" "Use plain HTTP for this HOST or HOST:PORT; repeatable";
    REGISTRY_CA: "registry-ca" "STEPSEAL_REGISTRY_CA" Paths "PATH" "none" "Trust these CA certificates too, a file or a folder; repeatable";
    REGISTRY_CERTS_DIR: "registry-certs-dir" "STEPSEAL_REGISTRY_CERTS_DIR" Paths "DIR" "none" "Certificates of single registries, DIR/REGISTRY/{ca.crt,client.cert,client.key}; repeatable";
    ALLOW: "allow" "STEPSEAL_ALLOW" Words "PATTERN" "any repository" "Sign only in these repositories (* in a part, ** across)";
    REQUIRE_DIGEST: "require-digest" "STEPSEAL_REQUIRE_DIGEST" Switch "" "off" "Refuse an argument that names its image by a tag";
    RECURSIVE: "recursive" "STEPSEAL_RECURSIVE" Switch "" "off" "Also sign each manifest of an image index";
    IDENTITY: "identity" "STEPSEAL_IDENTITIES" Words "REF" "the image's repository" "The docker-reference to sign; repeatable";
    ANNOTATION: "annotation" "STEPSEAL_ANNOTATIONS" Words "K=V" "none" "Annotation to sign; repeatable";
    JOBS: "jobs" "STEPSEAL_JOBS" One "N" "16" "Subjects at a time, fewer while a registry throttles";
    TIMEOUT: "timeout" "STEPSEAL_TIMEOUT" One "DURATION" "5m" "Time limit for the whole run";
    RUN: "run" "STEPSEAL_RUN" One "FILE" "the run this Pod belongs to" "Sign for the TaskRun or PipelineRun in this file, - for standard input";
    TASKRUN: "taskrun" "STEPSEAL_TASKRUN" One "NS/NAME" "none" "Sign for this TaskRun of the cluster's";
    PIPELINERUN: "pipelinerun" "STEPSEAL_PIPELINERUN" One "NS/NAME" "none" "Sign for this PipelineRun of the cluster's";
    TASKRUN_UID: "taskrun-uid" "STEPSEAL_TASKRUN_UID" One "UID" "the Pod's label" "The UID of the TaskRun this step belongs to";
    SIGNATURES_DIR: "signatures-dir" "STEPSEAL_SIGNATURES_DIR" One "DIR" "none" "The folder of the store directory";
    INCLUDE_FAILED: "include-failed" "STEPSEAL_INCLUDE_FAILED" Switch "" "off" "Sign for a run that failed, too";
    MARK_SIGNED: "mark-signed" "STEPSEAL_MARK_SIGNED" Switch "" "off" "Mark runs that are signed, so that Tekton Chains leaves them";
    REQUIRE_POD: "require-pod" "STEPSEAL_REQUIRE_POD" Switch "" "off" "Refuse a run that can't be held against its Pod";
    LENIENT: "lenient" "STEPSEAL_LENIENT" Switch "" "off" "Sign the rest where a hint is malformed";
    REPORT: "report" "STEPSEAL_REPORT" One "FILE" "none" "Write a JSON report, one object a subject";
    OWN_RESULTS: "own-results" "STEPSEAL_OWN_RESULTS" Paths "DIR" "this step's results, if Tekton runs it" "Write the results SIGNED_IMAGES and SIGNATURES there; repeatable";
    OUTPUT: "output" "STEPSEAL_OUTPUT" One "human|json" "human" "What to print";
}

settings! {
    AGENT_SETTINGS "The settings of `stepseal agent` alone.":
    SOCKET: "socket" "STEPSEAL_AGENT_SOCKET" One "unix:///PATH" "/run/stepseal/agent.sock" "Listen there; every user may connect";
    KINDS: "kind" "STEPSEAL_AGENT_KINDS" Words "KIND" "image" "Sign these: image (image signatures), attestation (in-toto statements), run (a run's status); repeatable";
    MAX_SIGNATURES: "max-signatures" "STEPSEAL_AGENT_MAX_SIGNATURES" One "N" "1000" "Give no more signatures than this, as long as it lives";
    STATE_DIR: "state-dir" "STEPSEAL_AGENT_STATE_DIR" One "DIR" "none: a restart begins the count anew" "Keep the count of signatures in this folder, which no step may see";
    REQUEST_TIMEOUT: "request-timeout" "STEPSEAL_AGENT_REQUEST_TIMEOUT" One "DURATION" "20s" "How long a request may take, from its first byte to the answer";
}

/// The settings that `stepseal agent` shares with `sign`.
pub const SHARED_WITH_AGENT: &[Setting] =
    &[KEY, CLUSTER_CREDENTIALS, REGISTRY_CONFIG, INSECURE_REGISTRY, REGISTRY_CA, REGISTRY_CERTS_DIR, ALLOW];

/// The settings that `stepseal attest` takes.
pub const ATTEST_SETTINGS: &[Setting] = &[
    KEY,
    AGENT,
    AGENT_KEY,
    REGISTRY_CONFIG,
    SERVICE_ACCOUNT,
    CLUSTER_CREDENTIALS,
    INSECURE_REGISTRY,
    REGISTRY_CA,
    REGISTRY_CERTS_DIR,
    ALLOW,
    REQUIRE_DIGEST,
    RECURSIVE,
    JOBS,
    LENIENT,
    SIGNATURES_DIR,
    TIMEOUT,
    REPORT,
    OUTPUT,
];

/// The settings of the commands that use a key and ask no registry.
pub(crate) const KEY_SETTINGS: &[Setting] = &[KEY, AGENT, AGENT_KEY, CLUSTER_CREDENTIALS, TIMEOUT];

/// A key of Tekton Chains' configuration (`chains-config`).
#[derive(Clone, Copy, Debug)]
pub struct ChainsKey {
    /// The key as Chains names it.
    pub key: &'static str,
    /// The values this version can carry out; empty: any.
    pub allowed: &'static [&'static str],
    /// The value in a step that sets nothing.
    pub default: &'static str,
    /// What it means here.
    pub meaning: &'static str,
}

impl ChainsKey {
    /// Whether it says where something goes. Tekton Chains takes an empty value for off there.
    pub(crate) fn is_storage(&self) -> bool {
        self.key.starts_with("artifacts.") && self.key.ends_with(".storage")
    }

    /// Whether it takes several of its values, between commas.
    pub(crate) fn is_list(&self) -> bool {
        self.is_storage() || self.key == ENCODING.key
    }

    /// What an empty value means in the mounted directory and by `--config`: as in Tekton Chains, which refuses it where a
    /// word is needed. Booleans that Chains would pass over in silence are an error here.
    pub fn empty(&self) -> &'static str {
        match self.default {
            _ if self.is_storage() => "off",
            "" => "the default",
            _ => "an error",
        }
    }
}

macro_rules! chains_keys {
    ($($name:ident: $key:literal [$($allowed:literal),*] $default:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: ChainsKey = ChainsKey {
            key: $key, allowed: &[$($allowed),*], default: $default, meaning: $meaning };)*
        /// The keys that are carried out, or must not ask for what this version can't do.
        pub const CHAINS_KEYS: &[ChainsKey] = &[$($name),*];
    };
}

chains_keys! {
    OCI_STORAGE: "artifacts.oci.storage" ["oci", "tekton", "directory", ""] "oci" "where image signatures go, several between commas; empty turns them off";
    OCI_FORMAT: "artifacts.oci.format" ["simplesigning"] "simplesigning" "what is signed for an image";
    OCI_SIGNER: "artifacts.oci.signer" ["x509", "none"] "x509" "the kind of key for images";
    ENCODING: "storage.oci.encoding-format" ["dsse", "sigstore-bundle"] "dsse" "how signatures lie in registries: `dsse` for cosign's tags, `sigstore-bundle` for OCI 1.1 referrers, both between commas for both";
    OCI_REPOSITORY: "storage.oci.repository" [] "" "another repository for the signatures; empty: the image's own";
    OCI_INSECURE: "storage.oci.repository.insecure" ["true", "false"] "false" "plain HTTP for that repository's registry, or for every image's where none is named";
    TASKRUN_FORMAT: "artifacts.taskrun.format" ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"] "slsa/v1" "what is signed for a TaskRun";
    TASKRUN_STORAGE: "artifacts.taskrun.storage" ["tekton", "oci", "directory", ""] "" "where that goes, several between commas; empty: nothing is signed for TaskRuns";
    TASKRUN_SIGNER: "artifacts.taskrun.signer" ["x509", "none"] "x509" "the kind of key for TaskRuns; `none` turns them off";
    PIPELINERUN_FORMAT: "artifacts.pipelinerun.format" ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"] "slsa/v1" "what is signed for a PipelineRun";
    PIPELINERUN_STORAGE: "artifacts.pipelinerun.storage" ["tekton", "oci", "directory", ""] "" "where that goes, several between commas; empty: nothing is signed for PipelineRuns";
    PIPELINERUN_SIGNER: "artifacts.pipelinerun.signer" ["x509", "none"] "x509" "the kind of key for PipelineRuns; `none` turns them off";
    PIPELINERUN_DEEP: "artifacts.pipelinerun.enable-deep-inspection" [] "false" "whether what a PipelineRun's TaskRuns built counts as its own: `true` or `false`";
    BUILDER_ID: "builder.id" [] "https://tekton.dev/chains/v2" "who builds, in provenance";
    BUILD_TYPE: "builddefinition.buildtype" ["https://tekton.dev/chains/v2/slsa", "https://tekton.dev/chains/v2/slsa-tekton"] "https://tekton.dev/chains/v2/slsa" "the build type of `slsa/v2alpha3` and `slsa/v2alpha4`";
    FULCIO: "signers.x509.fulcio.enabled" ["false"] "false" "keyless signing; only off in this version";
    KMSREF: "signers.kms.kmsref" [""] "" "a key in a KMS; only off in this version";
    TRANSPARENCY: "transparency.enabled" ["false"] "false" "an entry in a transparency log; only off in this version";
}

/// Chains' other keys: known, and without any effect while what they belong to is off.
pub const DORMANT_KEYS: &[&str] = &[
    "signers.x509.fulcio.address",
    "signers.x509.fulcio.issuer",
    "signers.x509.fulcio.provider",
    "signers.x509.identity.token.file",
    "signers.x509.tuf.mirror.url",
    "signers.kms.auth.address",
    "signers.kms.auth.token",
    "signers.kms.auth.token-path",
    "signers.kms.auth.oidc.path",
    "signers.kms.auth.oidc.role",
    "signers.kms.auth.spire.sock",
    "signers.kms.auth.spire.audience",
    "transparency.url",
    "storage.gcs.bucket",
    "storage.docdb.url",
    "storage.docdb.mongo-server-url",
    "storage.docdb.mongo-server-url-dir",
    "storage.docdb.mongo-server-url-path",
    "storage.grafeas.projectid",
    "storage.grafeas.noteid",
    "storage.grafeas.notehint",
    "storage.pubsub.provider",
    "storage.pubsub.topic",
    "storage.pubsub.kafka.bootstrap.servers",
    "storage.archivista.url",
];

settings! {
    VERIFY_SETTINGS "The settings that the verify commands share.":
    VERIFY_KEYS: "key" "STEPSEAL_KEY" Words "KEY" "/etc/signing-secrets" "Public key: a file, a directory with cosign.pub, env://NAME, or k8s://NAMESPACE/NAME; repeatable, any of them counts";
    CERTIFICATE_IDENTITY: "certificate-identity" "STEPSEAL_CERTIFICATE_IDENTITY" One "TEXT" "none" "The identity that a certificate must have";
    CERTIFICATE_IDENTITY_REGEXP: "certificate-identity-regexp" "STEPSEAL_CERTIFICATE_IDENTITY_REGEXP" One "REGEXP" "none" "The same as a regular expression, found anywhere in it unless it has ^ and $";
    CERTIFICATE_ISSUER: "certificate-oidc-issuer" "STEPSEAL_CERTIFICATE_OIDC_ISSUER" One "URL" "none" "The issuer that a certificate must have";
    CERTIFICATE_ISSUER_REGEXP: "certificate-oidc-issuer-regexp" "STEPSEAL_CERTIFICATE_OIDC_ISSUER_REGEXP" One "REGEXP" "none" "The same as a regular expression, found anywhere in it unless it has ^ and $";
    WORKFLOW_NAME: "certificate-github-workflow-name" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_NAME" One "TEXT" "none" "The name of GitHub's workflow that a certificate must have";
    WORKFLOW_REF: "certificate-github-workflow-ref" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_REF" One "TEXT" "none" "The git ref that the workflow ran on";
    WORKFLOW_REPOSITORY: "certificate-github-workflow-repository" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_REPOSITORY" One "TEXT" "none" "The repository that the workflow ran on";
    WORKFLOW_SHA: "certificate-github-workflow-sha" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_SHA" One "TEXT" "none" "The commit that the workflow ran on";
    WORKFLOW_TRIGGER: "certificate-github-workflow-trigger" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_TRIGGER" One "TEXT" "none" "The event that triggered the workflow";
    TRUSTED_ROOT: "trusted-root" "STEPSEAL_TRUSTED_ROOT" One "FILE" "Sigstore's public one" "Trusted root with the logs, authorities and CAs, or several, one a line";
    IGNORE_TLOG: "insecure-ignore-tlog" "STEPSEAL_INSECURE_IGNORE_TLOG" Switch "" "off" "Accept signatures without an entry in a transparency log";
    IGNORE_SCT: "insecure-ignore-sct" "STEPSEAL_INSECURE_IGNORE_SCT" Switch "" "off" "Accept certificates without a proof that they were logged";
    SIGNED_TIMESTAMPS: "use-signed-timestamps" "STEPSEAL_USE_SIGNED_TIMESTAMPS" Switch "" "off" "Require an RFC 3161 timestamp";
    SIGNATURE_DIGEST: "signature-digest-algorithm" "STEPSEAL_SIGNATURE_DIGEST_ALGORITHM" One "HASH" "any of them" "Accept only signatures over this digest: sha256, sha384 or sha512";
    VERIFY_OUTPUT: "output" "STEPSEAL_OUTPUT" One "json|text" "json" "What standard output gets: JSON as cosign's, or nothing";
    VERIFY_CLUSTER_CREDENTIALS: "cluster-credentials" "STEPSEAL_CLUSTER_CREDENTIALS" One "DIR" "/var/run/secrets/kubernetes.io/serviceaccount" "token, ca.crt and namespace for the Kubernetes API";
    VERIFY_TIMEOUT: "timeout" "STEPSEAL_TIMEOUT" One "DURATION" "5m" "Time limit for the whole run";
}

settings! {
    VERIFY_REGISTRY_SETTINGS "The settings of the verify commands that ask a registry.":
    ALLOW_CERTIFICATE_CHAIN: "allow-certificate-chain" "STEPSEAL_ALLOW_CERTIFICATE_CHAIN" Switch "" "off" "Accept a certificate chain in a bundle 0.3, which has a certificate alone";
    VERIFY_RECURSIVE: "recursive" "STEPSEAL_RECURSIVE" Switch "" "off" "Also verify each manifest of an image index";
    VERIFY_REGISTRY_CONFIG: "registry-config" "STEPSEAL_REGISTRY_CONFIG" Paths "PATH" "the usual places" "dockerconfigjson, file or directory; repeatable";
    VERIFY_INSECURE_REGISTRY: "insecure-registry" "STEPSEAL_INSECURE_REGISTRIES" Words "HOST" "none" "Use plain HTTP for this HOST or HOST:PORT; repeatable";
    VERIFY_REGISTRY_CA: "registry-ca" "STEPSEAL_REGISTRY_CA" Paths "PATH" "none" "Trust these CA certificates too, a file or a folder; repeatable";
    VERIFY_REGISTRY_CERTS_DIR: "registry-certs-dir" "STEPSEAL_REGISTRY_CERTS_DIR" Paths "DIR" "none" "Certificates of single registries, DIR/REGISTRY/{ca.crt,client.cert,client.key}; repeatable";
    VERIFY_JOBS: "jobs" "STEPSEAL_JOBS" One "N" "16" "Images at a time, fewer while a registry throttles";
}

settings! {
    VERIFY_IMAGE_SETTINGS "What `verify` alone takes.":
    VERIFY_ANNOTATIONS: "annotations" "STEPSEAL_ANNOTATIONS" Words "K=V" "none" "Annotation that a signature must have; repeatable";
    POLICY: "policy" "STEPSEAL_POLICY" One "FILE" "none" "Rules for the images, in place of keys and identities (docs/policy.md)";
    VERIFY_RESULTS_DIR: "results-dir" "STEPSEAL_RESULTS_DIR" One "DIR" "/tekton/results" "The Task's results, where no image is named";
    VERIFY_STEPS_DIR: "steps-dir" "STEPSEAL_STEPS_DIR" One "DIR" "/tekton/steps" "The steps' results, each in DIR/STEP/results";
}

settings! {
    VERIFY_ATTESTATION_SETTINGS "What `verify-attestation` alone takes.":
    PREDICATE_TYPE: "type" "STEPSEAL_TYPE" One "TYPE" "custom" "Predicate type: a URI, or slsaprovenance, slsaprovenance02, slsaprovenance1, spdx, spdxjson, cyclonedx, link, vuln, openvex, custom";
    REQUIRE: "require" "STEPSEAL_REQUIRE" Words "PATH=VALUE" "none" "What the statement must say at a JSONPath (RFC 9535); repeatable";
}

settings! {
    VERIFY_RUN_SETTINGS "What `verify-run` alone takes.":
    RUN_REQUIRE: "require" "STEPSEAL_REQUIRE" Words "PATH=VALUE" "none" "What the run's payload must say at a JSONPath (RFC 9535); repeatable";
}

/// The settings of the commands that look at what lies beside an image, or attach to it: how registries are reached, and for how long.
pub(crate) fn beside_settings() -> impl Iterator<Item = &'static Setting> {
    let of_verify_alone = [ALLOW_CERTIFICATE_CHAIN.flag, VERIFY_RECURSIVE.flag, VERIFY_JOBS.flag];
    let registry =
        VERIFY_REGISTRY_SETTINGS.iter().filter(move |setting| !of_verify_alone.contains(&setting.flag));
    registry.chain(REGISTRY_FLAGS).chain(std::iter::once(&VERIFY_TIMEOUT))
}

settings! {
    REGISTRY_FLAGS "cosign's registry flags: of every command that asks a registry, for the registries of this run's images and of the signatures' repository.":
    ALLOW_HTTP: "allow-http-registry" "STEPSEAL_ALLOW_HTTP_REGISTRY" Switch "" "off" "Use plain HTTP where the registry has no HTTPS";
    ALLOW_INSECURE: "allow-insecure-registry" "STEPSEAL_ALLOW_INSECURE_REGISTRY" Switch "" "off" "Don't check the registry's TLS certificate";
    REGISTRY_USERNAME: "registry-username" "STEPSEAL_REGISTRY_USERNAME" One "NAME" "none" "The user to log in as, before all mounted credentials";
    REGISTRY_PASSWORD: "registry-password" "STEPSEAL_REGISTRY_PASSWORD" One "TEXT" "none" "The password of --registry-username; a variable is the better place";
    REGISTRY_TOKEN: "registry-token" "STEPSEAL_REGISTRY_TOKEN" One "TEXT" "none" "A bearer token that the registry takes as it is; a variable is the better place";
    REGISTRY_CLIENT_CERT: "registry-client-cert" "STEPSEAL_REGISTRY_CLIENT_CERT" One "FILE" "none" "The client certificate for mutual TLS, in PEM form";
    REGISTRY_CLIENT_KEY: "registry-client-key" "STEPSEAL_REGISTRY_CLIENT_KEY" One "FILE" "none" "The key of --registry-client-cert, in PEM form";
    REGISTRY_SERVER_NAME: "registry-server-name" "STEPSEAL_REGISTRY_SERVER_NAME" One "HOST" "the registry's host" "The name that the registry's certificate must have";
    K8S_KEYCHAIN: "k8s-keychain" "STEPSEAL_K8S_KEYCHAIN" Switch "" "off" "Use the registry credentials of the pod's ServiceAccount too";
    TAG_PREFIX: "attachment-tag-prefix" "STEPSEAL_ATTACHMENT_TAG_PREFIX" One "TEXT" "none" "What the tags of signatures and attestations begin with, before `sha256-`";
}

/// The settings whose values are secret. They are taken out of the arguments and the environment before anything else reads these.
pub(crate) const SECRET_SETTINGS: [Setting; 2] = [REGISTRY_PASSWORD, REGISTRY_TOKEN];

/// All tables of the verify commands.
pub const VERIFY_TABLES: [&[Setting]; 6] = [
    VERIFY_SETTINGS,
    VERIFY_REGISTRY_SETTINGS,
    REGISTRY_FLAGS,
    VERIFY_IMAGE_SETTINGS,
    VERIFY_ATTESTATION_SETTINGS,
    VERIFY_RUN_SETTINGS,
];
