//! The recognized formats, with the conversion for each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ParsedFile, Row};

/// The name of the row for bundles.
pub(super) const BUNDLE: &str = "a Sigstore bundle";
/// The name of the row for trusted roots.
pub(super) const TRUSTED_ROOT: &str = "a trusted root";
/// The name of the row for TaskRuns and PipelineRuns.
pub(super) const RUN: &str = "a Tekton run";
/// The name of the rows for other Kubernetes objects.
pub(super) const OBJECT: &str = "a Kubernetes object";
/// The name of the row for the API server's error responses.
pub(super) const ANSWER: &str = "a response of the Kubernetes API server";

/// A hint that converts PyPI attestations to bundles: <https://peps.python.org/pep-0740/#attestation-objects>.
macro_rules! pep740 {
    ($attestations:literal) => {
        concat!(
            "convert it to bundles: jq -c '",
            $attestations,
            "{mediaType:\"application/vnd.dev.sigstore.bundle.v0.3+json\",verificationMaterial:{certificate:{rawBytes:\
             .verification_material.certificate},tlogEntries:.verification_material.transparency_entries},dsseEnvelope:{payload:\
             .envelope.statement,payloadType:\"application/vnd.in-toto+json\",signatures:[{sig:.envelope.signature}]}}' FILE > \
             bundles.jsonl, and give --bundle bundles.jsonl"
        )
    };
}

/// A hint that extracts the bundles from a document.
macro_rules! extracted {
    ($program:literal) => {
        concat!(
            "extract the bundles: jq -c '",
            $program,
            "' FILE > bundles.jsonl, and give --bundle bundles.jsonl"
        )
    };
}

macro_rules! rows {
    ($($name:expr, $is:expr $(, bundle $bundle:expr)? $(, root $root:expr)? $(, run $run:expr)?;)*) => {
        /// Every recognized format, with the most specific first.
        pub(crate) const ROWS: &[Row] = &[$(Row {
            name: $name,
            is: $is,
            to_bundle: rows!(@ $($bundle)?),
            to_trusted_root: rows!(@ $($root)?),
            to_run: rows!(@ $($run)?),
        }),*];
    };
    (@) => { None };
    (@ $hint:expr) => { Some($hint) };
}

/// The hint for an empty file.
const WRITE_AGAIN: &str = "find out why the program that should have written it failed";
/// The hint for a web page or an error message in place of a file.
const DOWNLOAD_AGAIN: &str =
    "check the URL and whether the server requires a login (then curl -fL fails), and download it again";
/// The hint for a payload that is signed for a run.
const SIGNED: &str = "it is the signed payload of a run, not the run: give the TaskRun or PipelineRun itself (kubectl get taskrun NAME -o yaml)";
/// The hint for the output of a program that found no run.
pub(crate) const NO_RUN: &str =
    "find out why the command that wrote it found no run (kubectl get taskrun NAME -n NAMESPACE -o yaml)";
/// The hint for files that belong to an image's signature.
const VERIFY_IMAGE: &str = "verify the image by its name; Stepseal finds the signatures in the registry: stepseal verify IMAGE, or stepseal verify-attestation IMAGE";
/// The hint for metadata of a TUF repository.
const OF_TUF: &str = "give the trusted_root.json from this repository's targets: cosign initialize --mirror URL --root FILE saves it as \
                      ~/.sigstore/root/HOST/targets/trusted_root.json";

rows! {
    BUNDLE, |seen| is_bundle(seen.string("/mediaType")) || is_bundle(seen.string("/media_type")), run SIGNED;
    TRUSTED_ROOT, |seen| seen.string("/mediaType").starts_with("application/vnd.dev.sigstore.trustedroot"),
        bundle "give it with --trusted-root, and the bundle with --bundle";
    "a Sigstore signing configuration", |seen| seen.string("/mediaType").starts_with("application/vnd.dev.sigstore.signingconfig"),
        root "give the trusted root that belongs to it: a signing configuration only names the signing services";
    "a Sigstore client trust configuration", |seen| seen.has_all(&["/trustedRoot", "/signingConfig"]),
        root "extract the trusted root: jq -c .trustedRoot FILE > trusted_root.json, and give trusted_root.json";
    "a PyPI provenance object (PEP 740)", |seen| seen.has("/attestation_bundles/0/attestations"),
        bundle pep740!(".attestation_bundles[].attestations[] | ");
    "a PyPI attestation (PEP 740)", |seen| seen.has_all(&["/verification_material", "/envelope/statement"]),
        bundle pep740!("");
    "npm's list of attestations", |seen| seen.is_object("/attestations/0/bundle") && seen.has("/attestations/0/predicateType"),
        bundle extracted!(".attestations[].bundle");
    "GitHub's list of attestations", |seen| seen.is_object("/attestations/0/bundle"),
        bundle extracted!(".attestations[].bundle");
    "GitHub's list of attestations, with links instead of bundles", |seen| seen.has("/attestations/0/bundle_url"),
        bundle "download the bundles: gh attestation download ARTIFACT --owner OWNER, and give --bundle sha256:HEX.jsonl";
    "npm's package metadata", |seen| seen.has("/dist/attestations/url"),
        bundle "download the bundles: curl -fsSL \"$(jq -r .dist.attestations.url FILE)\" | jq -c '.attestations[].bundle' > bundles.jsonl, and \
                give --bundle bundles.jsonl";
    "the output of `gh attestation verify --format json`", |seen| seen.is_object("/0/attestation/bundle"),
        bundle extracted!(".[].attestation.bundle");
    "a list of bundles", |seen| is_bundle(seen.string("/0/mediaType")), bundle extracted!(".[]");
    "a list of trusted roots", |seen| seen.string("/0/mediaType").starts_with("application/vnd.dev.sigstore.trustedroot"),
        root "write each on a line of its own: jq -c '.[]' FILE > trusted_root.jsonl, and give trusted_root.jsonl";
    "a bundle in cosign's old format", |seen| seen.has("/base64Signature"),
        bundle "give it alone: stepseal verify-blob --bundle FILE reads this format";
    "the log entry that cosign attaches to a signature", |seen| seen.has_all(&["/SignedEntryTimestamp", "/Payload/body"]), bundle VERIFY_IMAGE;
    "a Rekor log entry", |seen| is_rekor_entry(seen),
        bundle "give the bundle that belongs to the signature: a log entry doesn't contain the signed content";
    "a DSSE envelope", |seen| seen.has_all(&["/payload", "/payloadType"]),
        bundle "give the bundle that contains it; to verify an envelope alone with a key, use stepseal verify-blob-attestation --key KEY \
                --signature FILE ARTIFACT", run SIGNED;
    "an in-toto statement", |seen| seen.string("/_type").starts_with("https://in-toto.io/Statement/"),
        bundle "give the bundle that contains the signed statement: a statement alone proves nothing", run SIGNED;
    "TUF repository metadata", is_tuf, root OF_TUF;
    "a CycloneDX document", |seen| seen.string("/bomFormat") == "CycloneDX" || is_xml(seen) && seen.text.contains("xmlns=\"http://cyclonedx.org/schema/bom"),
        bundle "give the document's bundle with --bundle, and the document as the artifact";
    "an SPDX document", |seen| seen.has("/spdxVersion") || seen.string("/@context").contains("spdx.org/rdf") || seen.text.starts_with("SPDXVersion:"),
        bundle "give the document's bundle with --bundle, and the document as the artifact";
    "the payload of an image's signature (simple signing)", |seen| seen.is_object("/critical"), bundle VERIFY_IMAGE, run SIGNED;
    "a Notary Project signature", |seen| seen.has_all(&["/payload", "/protected", "/signature"]),
        bundle "use notation verify IMAGE: it is not a Sigstore signature";
    "an image manifest or index", |seen| seen.has("/schemaVersion") && (seen.has("/manifests") || seen.has("/layers") || seen.has("/config")),
        bundle VERIFY_IMAGE;
    RUN, |seen| seen.kubernetes().is_some_and(|(version, kind)| version.starts_with("tekton.dev/") && matches!(kind, "TaskRun" | "PipelineRun")),
        bundle "check a run with stepseal verify-run --run FILE: its signature is in its annotations";
    ANSWER, |seen| seen.is_kind(&["Status"]) && seen.has("/message"), run NO_RUN;
    OBJECT, |seen| seen.is_kind(&["Task", "ClusterTask", "StepAction"]),
        run "it is what a TaskRun runs: give the TaskRun (kubectl get taskrun NAME -o yaml)";
    OBJECT, |seen| seen.is_kind(&["Pipeline"]),
        run "it is what a PipelineRun runs: give the PipelineRun (kubectl get pipelinerun NAME -o yaml) and its TaskRuns";
    OBJECT, |seen| seen.is_kind(&["Pod"]),
        run "give the TaskRun that it belongs to: its label tekton.dev/taskRun names it (kubectl get taskrun NAME -o yaml)";
    OBJECT, |seen| seen.kubernetes().is_some();
    "a watch event", |seen| !seen.string("/type").is_empty() && seen.is_object("/object"),
        run "give the current object: kubectl get taskrun NAME -o yaml, without --watch";
    "an error response of GitHub's API", |seen| seen.has_all(&["/message", "/documentation_url"]),
        bundle "check the repository, the digest and the token's permissions, and request it again",
        root "print the trusted root with gh attestation trusted-root";
    "only the status of a run", |seen| ["/conditions", "/pipelineSpec", "/taskSpec", "/podName"].iter().any(|part| seen.has(part)),
        run "give the whole object, with its metadata (kubectl get taskrun NAME -o yaml)";
    "a private key", |seen| is_pem(seen, "PRIVATE KEY"), bundle "verify with the public key: --key cosign.pub; only commands that sign need the private key";
    "a public key", |seen| is_pem(seen, "PUBLIC KEY"), bundle "give the key with --key, and the bundle with --bundle",
        root "give a public key with --key; signatures by a key need a trusted root only for their transparency log";
    "a certificate", |seen| is_pem(seen, "CERTIFICATE"),
        root "create a trusted root from it: cosign trusted-root create --fulcio=\"url=https://CA,certificate-chain=FILE\" --out trusted_root.json";
    "an OpenPGP signature", |seen| is_pem(seen, "PGP SIGNATURE"), bundle "use gpg --verify FILE ARTIFACT: it is not a Sigstore signature";
    "a minisign or signify signature", |seen| seen.text.starts_with("untrusted comment:"), bundle "use minisign or signify: it is not a Sigstore signature";
    "a Git LFS pointer instead of the file", |seen| seen.text.starts_with("version https://git-lfs.github.com/spec/"), bundle "fetch the file: git lfs pull", root "fetch the file: git lfs pull", run "fetch the file: git lfs pull";
    "an HTML page", |seen| is_html(seen.text), bundle DOWNLOAD_AGAIN, root DOWNLOAD_AGAIN, run NO_RUN;
    "an XML document", is_xml, bundle DOWNLOAD_AGAIN, root DOWNLOAD_AGAIN, run NO_RUN;
    "an empty file", |seen| seen.json.is_null() && seen.bytes.trim_ascii().is_empty(), bundle WRITE_AGAIN, root WRITE_AGAIN, run WRITE_AGAIN;
    "a compressed file", |seen| is_compressed(seen.bytes), bundle "unpack it first", root "unpack it first", run "unpack it first";
    "a base64 signature without a bundle", |seen| is_base64(seen.text), bundle "give it with --signature instead of --bundle, and give the signer's public key with --key";
}

fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle")
}

/// Rekor's API returns an object with one entry under its UUID, or a list of such objects.
fn is_rekor_entry(seen: &ParsedFile<'_>) -> bool {
    let entry = if seen.json.is_array() { seen.json.pointer("/0") } else { Some(&*seen.json) };
    let mut entries =
        entry.and_then(serde_json::Value::as_object).into_iter().flat_map(|object| object.values());
    let first = entries.next();
    first.is_some_and(|entry| entry.get("body").is_some() && entry.get("logID").is_some())
}

pub(super) fn is_tuf(seen: &ParsedFile<'_>) -> bool {
    seen.has_all(&["/signed/_type", "/signatures"])
}

fn is_pem(seen: &ParsedFile<'_>, label: &str) -> bool {
    let first =
        seen.text.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    first.is_some_and(|first| first.ends_with(label))
}

fn is_html(text: &str) -> bool {
    let begin = text.get(..15).unwrap_or(text).to_ascii_lowercase();
    begin.starts_with("<!doctype html") || begin.starts_with("<html")
}

/// Whether the text is XML, such as an object store's error response. `<<:` is YAML.
fn is_xml(seen: &ParsedFile<'_>) -> bool {
    seen.text
        .strip_prefix('<')
        .is_some_and(|rest| rest.starts_with(|sign: char| sign.is_alphabetic() || "?!".contains(sign)))
}

fn is_compressed(bytes: &[u8]) -> bool {
    // gzip, zip, zstd, xz, and the framing format of Snappy, which GitHub keeps bundles in.
    let magics: [&[u8]; 5] =
        [b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"\xff\x06\x00\x00sNaPpY"];
    magics.iter().any(|magic| bytes.starts_with(magic))
}

/// Whether the text is base64 with the size of a signature.
fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| (48..=2048).contains(&bytes.len()))
}
