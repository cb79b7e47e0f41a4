//! The table of all settings: flags, environment variables, defaults and meanings.
//!
//! The command line, the documentation and the reader of [`Config`](super::Config) are made from it.
//! It imports nothing, so the build script can include it too.

/// The form of a setting's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A switch: the flag takes no value, the variable takes `true` or `false`.
    Switch,
    /// A single value; the last flag wins.
    One,
    /// Several values: the flag is repeatable; commas or line breaks separate them in the variable.
    Words,
    /// Several paths: the flag is repeatable; colons separate them in the variable.
    Paths,
}

/// A setting of Stepseal.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The flag, without `--`.
    pub flag: &'static str,
    /// The name of the environment variable.
    pub env: &'static str,
    /// The form of its values.
    pub kind: SettingKind,
    /// The value's placeholder in `--help`.
    pub value: &'static str,
    /// The default value as the documentation shows it.
    pub default: &'static str,
    /// The help text, a single line.
    pub help: &'static str,
}

impl Setting {
    /// Whether `--help` omits the setting to fit on a screen. Rare settings are mostly set in manifests, by variables.
    pub(crate) fn is_rare(&self) -> bool {
        ["taskrun-uid", "cluster-credentials", "registry-certs-dir", "require-digest"].contains(&self.flag)
            || self.flag.starts_with("certificate-github-workflow-")
            || REGISTRY_FLAGS.iter().any(|setting| setting.flag == self.flag)
    }
}

macro_rules! settings {
    ($list:ident $about:literal: $($name:ident: $flag:literal $env:literal $kind:ident $value:literal $default:literal $help:literal;)*) => {
        $(#[doc = $help] pub const $name: Setting = Setting {
            flag: $flag, env: $env, kind: SettingKind::$kind, value: $value, default: $default, help: $help };)*
        #[doc = $about] pub const $list: &[Setting] = &[$($name),*];
    };
}

settings! {
    SETTINGS "Stepseal's own settings, in the order in which `--help` shows them.":
    RESULTS_DIR: "results-dir" "STEPSEAL_RESULTS_DIR" One "DIR" "/tekton/results" "Directory of the Task's results";
    STEPS_DIR: "steps-dir" "STEPSEAL_STEPS_DIR" One "DIR" "/tekton/steps" "Directory of the steps' results, DIR/STEP/results";
    KEY: "key" "STEPSEAL_KEY" One "KEY" "/etc/signing-secrets" "Signing key: a directory, a file, env://NAME, or k8s://NAMESPACE/NAME";
    AGENT: "agent" "STEPSEAL_AGENT" One "unix:///PATH" "none" "Sign with the `stepseal agent` at this socket instead of a key";
    AGENT_KEY: "agent-key" "STEPSEAL_AGENT_KEY" One "KEY" "/etc/signing-secrets/cosign.pub, if it is mounted" "Expected public key of the agent: a file or k8s://NS/NAME";
    REGISTRY_CONFIG: "registry-config" "STEPSEAL_REGISTRY_CONFIG" Paths "PATH" "the default places" "Registry credentials: a dockerconfigjson file or directory; repeatable";
    SERVICE_ACCOUNT: "service-account" "STEPSEAL_SERVICE_ACCOUNT" One "[NS/]NAME" "the pod's own, if no credentials are mounted" "Also use this ServiceAccount's registry credentials, read through the API";
    CLUSTER_CREDENTIALS: "cluster-credentials" "STEPSEAL_CLUSTER_CREDENTIALS" One "DIR" "/var/run/secrets/kubernetes.io/serviceaccount" "Directory with token, ca.crt and namespace for the Kubernetes API";
    INSECURE_REGISTRY: "insecure-registry" "STEPSEAL_INSECURE_REGISTRIES" Words "HOST" "none" "Use plain HTTP for this HOST or HOST:PORT; repeatable";
    REGISTRY_CA: "registry-ca" "STEPSEAL_REGISTRY_CA" Paths "PATH" "none" "Also trust these CA certificates: a file or directory; repeatable";
    REGISTRY_CERTS_DIR: "registry-certs-dir" "STEPSEAL_REGISTRY_CERTS_DIR" Paths "DIR" "none" "Directory of certificates by registry, DIR/REGISTRY/{ca.crt,client.cert,client.key}; repeatable";
    ALLOW: "allow" "STEPSEAL_ALLOW" Words "PATTERN" "any repository" "Sign only in matching repositories (* within a part, ** across)";
    REQUIRE_DIGEST: "require-digest" "STEPSEAL_REQUIRE_DIGEST" Switch "" "off" "Reject image arguments with a tag instead of a digest";
    RECURSIVE: "recursive" "STEPSEAL_RECURSIVE" Switch "" "off" "Also sign each manifest of an image index";
    IDENTITY: "identity" "STEPSEAL_IDENTITIES" Words "REF" "the image's repository" "docker-reference to sign; repeatable";
    ANNOTATION: "annotation" "STEPSEAL_ANNOTATIONS" Words "K=V" "none" "Annotation to sign; repeatable";
    JOBS: "jobs" "STEPSEAL_JOBS" One "N" "16" "Maximum concurrent subjects, reduced while a registry throttles";
    TIMEOUT: "timeout" "STEPSEAL_TIMEOUT" One "DURATION" "5m" "Time limit for the whole run";
    RUN: "run" "STEPSEAL_RUN" One "FILE" "the run this Pod belongs to" "Sign for the TaskRun or PipelineRun in this file, - for standard input";
    TASKRUN: "taskrun" "STEPSEAL_TASKRUN" One "NS/NAME" "none" "Sign for this TaskRun, read from the cluster";
    PIPELINERUN: "pipelinerun" "STEPSEAL_PIPELINERUN" One "NS/NAME" "none" "Sign for this PipelineRun, read from the cluster";
    TASKRUN_UID: "taskrun-uid" "STEPSEAL_TASKRUN_UID" One "UID" "the Pod's label" "UID of the TaskRun that this step belongs to";
    SIGNATURES_DIR: "signatures-dir" "STEPSEAL_SIGNATURES_DIR" One "DIR" "none" "Directory for the `directory` store";
    INCLUDE_FAILED: "include-failed" "STEPSEAL_INCLUDE_FAILED" Switch "" "off" "Also sign for failed runs";
    MARK_SIGNED: "mark-signed" "STEPSEAL_MARK_SIGNED" Switch "" "off" "Mark signed runs, so that Tekton Chains skips them";
    REQUIRE_POD: "require-pod" "STEPSEAL_REQUIRE_POD" Switch "" "off" "Reject a run that can't be checked against its Pod";
    LENIENT: "lenient" "STEPSEAL_LENIENT" Switch "" "off" "Sign the rest if a type hint is malformed";
    REPORT: "report" "STEPSEAL_REPORT" One "FILE" "none" "Write a JSON report with an object for each subject";
    OWN_RESULTS: "own-results" "STEPSEAL_OWN_RESULTS" Paths "DIR" "this step's results, if Tekton runs it" "Write the results SIGNED_IMAGES and SIGNATURES to this directory; repeatable";
    OUTPUT: "output" "STEPSEAL_OUTPUT" One "human|json" "human" "Output format";
}

settings! {
    AGENT_SETTINGS "The settings of `stepseal agent` only.":
    SOCKET: "socket" "STEPSEAL_AGENT_SOCKET" One "unix:///PATH" "/run/stepseal/agent.sock" "Socket to listen on; every user may connect";
    KINDS: "kind" "STEPSEAL_AGENT_KINDS" Words "KIND" "image" "Payloads to sign: image (image signatures), attestation (in-toto statements), run (a run's status); repeatable";
    MAX_SIGNATURES: "max-signatures" "STEPSEAL_AGENT_MAX_SIGNATURES" One "N" "1000" "Maximum number of signatures during the agent's lifetime";
    STATE_DIR: "state-dir" "STEPSEAL_AGENT_STATE_DIR" One "DIR" "none: a restart resets the count" "Keep the count of signatures in this directory, which no step may access";
    REQUEST_TIMEOUT: "request-timeout" "STEPSEAL_AGENT_REQUEST_TIMEOUT" One "DURATION" "20s" "Time limit for a request, from its first byte to the response";
}

/// The settings that `stepseal agent` shares with `sign`.
pub const SHARED_WITH_AGENT: &[Setting] =
    &[KEY, CLUSTER_CREDENTIALS, REGISTRY_CONFIG, INSECURE_REGISTRY, REGISTRY_CA, REGISTRY_CERTS_DIR, ALLOW];

/// The settings of `stepseal attest`.
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

/// The settings of the commands that use a key and no registry.
pub(crate) const KEY_SETTINGS: &[Setting] = &[KEY, AGENT, AGENT_KEY, CLUSTER_CREDENTIALS, TIMEOUT];

/// A key of Tekton Chains' configuration (`chains-config`).
#[derive(Clone, Copy, Debug)]
pub struct ChainsKey {
    /// The name of the key in `chains-config`.
    pub key: &'static str,
    /// The values that this version supports; empty for any value.
    pub allowed: &'static [&'static str],
    /// The value if nothing sets the key.
    pub default: &'static str,
    /// The key's meaning for Stepseal.
    pub meaning: &'static str,
}

impl ChainsKey {
    /// Whether the key names stores. As in Tekton Chains, an empty value turns these keys off.
    pub(crate) fn is_storage(&self) -> bool {
        self.key.starts_with("artifacts.") && self.key.ends_with(".storage")
    }

    /// Whether the key takes several values, separated by commas.
    pub(crate) fn is_list(&self) -> bool {
        self.is_storage() || self.key == ENCODING.key
    }

    /// The meaning of an empty value in the mounted directory and in `--config`. It matches Tekton Chains, except that an
    /// empty boolean is an error here while Chains ignores it.
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
        /// The keys that Stepseal supports, and those that it only validates because this version lacks their feature.
        pub const CHAINS_KEYS: &[ChainsKey] = &[$($name),*];
    };
}

chains_keys! {
    OCI_STORAGE: "artifacts.oci.storage" ["oci", "tekton", "directory", ""] "oci" "stores for image signatures, separated by commas; empty turns them off";
    OCI_FORMAT: "artifacts.oci.format" ["simplesigning"] "simplesigning" "the payload format for images";
    OCI_SIGNER: "artifacts.oci.signer" ["x509", "none"] "x509" "the kind of key for images";
    ENCODING: "storage.oci.encoding-format" ["dsse", "sigstore-bundle"] "dsse" "the encodings in registries, separated by commas: `dsse` for cosign's tags, `sigstore-bundle` for OCI 1.1 referrers";
    OCI_REPOSITORY: "storage.oci.repository" [] "" "the repository for signatures; empty for the image's own";
    OCI_INSECURE: "storage.oci.repository.insecure" ["true", "false"] "false" "plain HTTP for that repository's registry, or for the images' registries if it is empty";
    TASKRUN_FORMAT: "artifacts.taskrun.format" ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"] "slsa/v1" "the payload format for TaskRuns";
    TASKRUN_STORAGE: "artifacts.taskrun.storage" ["tekton", "oci", "directory", ""] "" "stores for TaskRun signatures, separated by commas; empty turns them off";
    TASKRUN_SIGNER: "artifacts.taskrun.signer" ["x509", "none"] "x509" "the kind of key for TaskRuns; `none` turns them off";
    PIPELINERUN_FORMAT: "artifacts.pipelinerun.format" ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"] "slsa/v1" "the payload format for PipelineRuns";
    PIPELINERUN_STORAGE: "artifacts.pipelinerun.storage" ["tekton", "oci", "directory", ""] "" "stores for PipelineRun signatures, separated by commas; empty turns them off";
    PIPELINERUN_SIGNER: "artifacts.pipelinerun.signer" ["x509", "none"] "x509" "the kind of key for PipelineRuns; `none` turns them off";
    PIPELINERUN_DEEP: "artifacts.pipelinerun.enable-deep-inspection" [] "false" "whether a PipelineRun's provenance includes what its TaskRuns built: `true` or `false`";
    BUILDER_ID: "builder.id" [] "https://tekton.dev/chains/v2" "the builder in provenance, a URI";
    BUILD_TYPE: "builddefinition.buildtype" ["https://tekton.dev/chains/v2/slsa", "https://tekton.dev/chains/v2/slsa-tekton"] "https://tekton.dev/chains/v2/slsa" "the build type of `slsa/v2alpha3` and `slsa/v2alpha4`";
    FULCIO: "signers.x509.fulcio.enabled" ["false"] "false" "keyless signing; not supported in this version";
    KMSREF: "signers.kms.kmsref" [""] "" "a key in a KMS; not supported in this version";
    TRANSPARENCY: "transparency.enabled" ["false"] "false" "transparency log entries; not supported in this version";
}

/// Chains' other keys. They are valid but have no effect, because their features are off.
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
    VERIFY_KEYS: "key" "STEPSEAL_KEY" Words "KEY" "/etc/signing-secrets" "Public key: a file, a directory with cosign.pub, env://NAME, or k8s://NAMESPACE/NAME; repeatable, any key is accepted";
    CERTIFICATE_IDENTITY: "certificate-identity" "STEPSEAL_CERTIFICATE_IDENTITY" One "TEXT" "none" "Identity that the certificate must have";
    CERTIFICATE_IDENTITY_REGEXP: "certificate-identity-regexp" "STEPSEAL_CERTIFICATE_IDENTITY_REGEXP" One "REGEXP" "none" "The same as a regular expression, unanchored unless it has ^ and $";
    CERTIFICATE_ISSUER: "certificate-oidc-issuer" "STEPSEAL_CERTIFICATE_OIDC_ISSUER" One "URL" "none" "OIDC issuer that the certificate must have";
    CERTIFICATE_ISSUER_REGEXP: "certificate-oidc-issuer-regexp" "STEPSEAL_CERTIFICATE_OIDC_ISSUER_REGEXP" One "REGEXP" "none" "The same as a regular expression, unanchored unless it has ^ and $";
    WORKFLOW_NAME: "certificate-github-workflow-name" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_NAME" One "TEXT" "none" "GitHub workflow name that the certificate must have";
    WORKFLOW_REF: "certificate-github-workflow-ref" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_REF" One "TEXT" "none" "Git ref that the workflow ran on";
    WORKFLOW_REPOSITORY: "certificate-github-workflow-repository" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_REPOSITORY" One "TEXT" "none" "Repository that the workflow ran on";
    WORKFLOW_SHA: "certificate-github-workflow-sha" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_SHA" One "TEXT" "none" "Commit that the workflow ran on";
    WORKFLOW_TRIGGER: "certificate-github-workflow-trigger" "STEPSEAL_CERTIFICATE_GITHUB_WORKFLOW_TRIGGER" One "TEXT" "none" "Event that triggered the workflow";
    TRUSTED_ROOT: "trusted-root" "STEPSEAL_TRUSTED_ROOT" One "FILE" "Sigstore's public root" "Trusted root with logs, authorities and CAs, or several roots, each on a line";
    IGNORE_TLOG: "insecure-ignore-tlog" "STEPSEAL_INSECURE_IGNORE_TLOG" Switch "" "off" "Accept signatures without an entry in a transparency log";
    IGNORE_SCT: "insecure-ignore-sct" "STEPSEAL_INSECURE_IGNORE_SCT" Switch "" "off" "Accept certificates without a signed certificate timestamp (SCT)";
    SIGNED_TIMESTAMPS: "use-signed-timestamps" "STEPSEAL_USE_SIGNED_TIMESTAMPS" Switch "" "off" "Require an RFC 3161 timestamp";
    SIGNATURE_DIGEST: "signature-digest-algorithm" "STEPSEAL_SIGNATURE_DIGEST_ALGORITHM" One "HASH" "any" "Accept only signatures over this digest: sha256, sha384 or sha512";
    VERIFY_OUTPUT: "output" "STEPSEAL_OUTPUT" One "json|text" "json" "Standard output: JSON in cosign's format, or nothing";
    VERIFY_CLUSTER_CREDENTIALS: "cluster-credentials" "STEPSEAL_CLUSTER_CREDENTIALS" One "DIR" "/var/run/secrets/kubernetes.io/serviceaccount" "Directory with token, ca.crt and namespace for the Kubernetes API";
    VERIFY_TIMEOUT: "timeout" "STEPSEAL_TIMEOUT" One "DURATION" "5m" "Time limit for the whole run";
}

settings! {
    VERIFY_REGISTRY_SETTINGS "The settings of the verify commands that use a registry.":
    ALLOW_CERTIFICATE_CHAIN: "allow-certificate-chain" "STEPSEAL_ALLOW_CERTIFICATE_CHAIN" Switch "" "off" "Accept a certificate chain in a version 0.3 bundle, which allows only a certificate";
    VERIFY_RECURSIVE: "recursive" "STEPSEAL_RECURSIVE" Switch "" "off" "Also verify each manifest of an image index";
    VERIFY_REGISTRY_CONFIG: "registry-config" "STEPSEAL_REGISTRY_CONFIG" Paths "PATH" "the default places" "Registry credentials: a dockerconfigjson file or directory; repeatable";
    VERIFY_INSECURE_REGISTRY: "insecure-registry" "STEPSEAL_INSECURE_REGISTRIES" Words "HOST" "none" "Use plain HTTP for this HOST or HOST:PORT; repeatable";
    VERIFY_REGISTRY_CA: "registry-ca" "STEPSEAL_REGISTRY_CA" Paths "PATH" "none" "Also trust these CA certificates: a file or directory; repeatable";
    VERIFY_REGISTRY_CERTS_DIR: "registry-certs-dir" "STEPSEAL_REGISTRY_CERTS_DIR" Paths "DIR" "none" "Directory of certificates by registry, DIR/REGISTRY/{ca.crt,client.cert,client.key}; repeatable";
    VERIFY_JOBS: "jobs" "STEPSEAL_JOBS" One "N" "16" "Maximum concurrent images, reduced while a registry throttles";
}

settings! {
    VERIFY_IMAGE_SETTINGS "The settings of `verify` only.":
    VERIFY_ANNOTATIONS: "annotations" "STEPSEAL_ANNOTATIONS" Words "K=V" "none" "Annotation that a signature must have; repeatable";
    POLICY: "policy" "STEPSEAL_POLICY" One "FILE" "none" "Policy file with rules for images, instead of keys and identities (docs/policy.md)";
    VERIFY_RESULTS_DIR: "results-dir" "STEPSEAL_RESULTS_DIR" One "DIR" "/tekton/results" "Directory of the Task's results, used if no image is named";
    VERIFY_STEPS_DIR: "steps-dir" "STEPSEAL_STEPS_DIR" One "DIR" "/tekton/steps" "Directory of the steps' results, DIR/STEP/results";
}

settings! {
    VERIFY_ATTESTATION_SETTINGS "The settings of `verify-attestation` only.":
    PREDICATE_TYPE: "type" "STEPSEAL_TYPE" One "TYPE" "custom" "Predicate type: a URI, or slsaprovenance, slsaprovenance02, slsaprovenance1, spdx, spdxjson, cyclonedx, link, vuln, openvex, custom";
    REQUIRE: "require" "STEPSEAL_REQUIRE" Words "PATH=VALUE" "none" "Value that the statement must have at a JSONPath (RFC 9535); repeatable";
}

settings! {
    VERIFY_RUN_SETTINGS "The settings of `verify-run` only.":
    RUN_REQUIRE: "require" "STEPSEAL_REQUIRE" Words "PATH=VALUE" "none" "Value that the run's payload must have at a JSONPath (RFC 9535); repeatable";
}

/// The settings of the commands that list or attach artifacts beside an image: registry access and the time limit.
pub(crate) fn beside_settings() -> impl Iterator<Item = &'static Setting> {
    let of_verify_alone = [ALLOW_CERTIFICATE_CHAIN.flag, VERIFY_RECURSIVE.flag, VERIFY_JOBS.flag];
    let registry =
        VERIFY_REGISTRY_SETTINGS.iter().filter(move |setting| !of_verify_alone.contains(&setting.flag));
    registry.chain(REGISTRY_FLAGS).chain(std::iter::once(&VERIFY_TIMEOUT))
}

settings! {
    REGISTRY_FLAGS "cosign's registry flags, for every command that uses a registry. They apply to the registries of the run's images and of the signatures' repository.":
    ALLOW_HTTP: "allow-http-registry" "STEPSEAL_ALLOW_HTTP_REGISTRY" Switch "" "off" "Use plain HTTP if the registry has no HTTPS";
    ALLOW_INSECURE: "allow-insecure-registry" "STEPSEAL_ALLOW_INSECURE_REGISTRY" Switch "" "off" "Don't check the registry's TLS certificate";
    REGISTRY_USERNAME: "registry-username" "STEPSEAL_REGISTRY_USERNAME" One "NAME" "none" "User to log in as, before any mounted credentials";
    REGISTRY_PASSWORD: "registry-password" "STEPSEAL_REGISTRY_PASSWORD" One "TEXT" "none" "Password of --registry-username; prefer the variable";
    REGISTRY_TOKEN: "registry-token" "STEPSEAL_REGISTRY_TOKEN" One "TEXT" "none" "Bearer token for the registry, sent unchanged; prefer the variable";
    REGISTRY_CLIENT_CERT: "registry-client-cert" "STEPSEAL_REGISTRY_CLIENT_CERT" One "FILE" "none" "Client certificate for mutual TLS, PEM";
    REGISTRY_CLIENT_KEY: "registry-client-key" "STEPSEAL_REGISTRY_CLIENT_KEY" One "FILE" "none" "Key of --registry-client-cert, PEM";
    REGISTRY_SERVER_NAME: "registry-server-name" "STEPSEAL_REGISTRY_SERVER_NAME" One "HOST" "the registry's host" "Name that the registry's certificate must have";
    K8S_KEYCHAIN: "k8s-keychain" "STEPSEAL_K8S_KEYCHAIN" Switch "" "off" "Also use the registry credentials of the pod's ServiceAccount";
    TAG_PREFIX: "attachment-tag-prefix" "STEPSEAL_ATTACHMENT_TAG_PREFIX" One "TEXT" "none" "Prefix of the signatures' and attestations' tags, before `sha256-`";
}

/// The settings with secret values. These are removed from the arguments and the environment before any other code reads them.
pub(crate) const SECRET_SETTINGS: [Setting; 2] = [REGISTRY_PASSWORD, REGISTRY_TOKEN];

/// All settings tables of the verify commands.
pub const VERIFY_TABLES: [&[Setting]; 6] = [
    VERIFY_SETTINGS,
    VERIFY_REGISTRY_SETTINGS,
    REGISTRY_FLAGS,
    VERIFY_IMAGE_SETTINGS,
    VERIFY_ATTESTATION_SETTINGS,
    VERIFY_RUN_SETTINGS,
];
