//! The formats, and what to do with each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Row, Seen};

/// The name of a bundle.
pub(super) const BUNDLE: &str = "a Sigstore bundle";
/// The name of a trusted root.
pub(super) const TRUSTED_ROOT: &str = "a trusted root";
/// The name of a run.
pub(super) const RUN: &str = "a run of Tekton";
/// The name of other objects of Kubernetes.
pub(super) const OBJECT: &str = "an object of Kubernetes";
/// The name of what the API server answers in place of an object.
pub(super) const ANSWER: &str = "an answer of the Kubernetes API server";

/// What makes a bundle of an attestation in PyPI's own layout: <https://peps.python.org/pep-0740/#attestation-objects>.
macro_rules! pep740 {
    ($attestations:literal) => {
        concat!(
            "make bundles of it: jq -c '",
            $attestations,
            "{mediaType:\"application/vnd.dev.sigstore.bundle.v0.3+json\",verificationMaterial:{certificate:{rawBytes:\
             .verification_material.certificate},tlogEntries:.verification_material.transparency_entries},dsseEnvelope:{payload:\
             .envelope.statement,payloadType:\"application/vnd.in-toto+json\",signatures:[{sig:.envelope.signature}]}}' FILE > \
             bundles.jsonl, and give --bundle bundles.jsonl"
        )
    };
}

/// What takes the bundles out of a document that holds them.
macro_rules! extracted {
    ($program:literal) => {
        concat!(
            "take the bundles out of it: jq -c '",
            $program,
            "' FILE > bundles.jsonl, and give --bundle bundles.jsonl"
        )
    };
}

macro_rules! rows {
    ($($name:expr, $is:expr $(, bundle $bundle:expr)? $(, root $root:expr)? $(, run $run:expr)?;)*) => {
        /// Every format that is recognized, those that are told apart by more first.
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

/// What to do about a file that holds nothing.
const WRITE_AGAIN: &str = "see why the program that should have written it failed";
/// What to do about a page or an error in place of a file.
const DOWNLOAD_AGAIN: &str = "download it again: see that the address is right, and that the server asks for no login (curl -fL fails where it does)";
/// What to do about what is signed for a run.
const SIGNED: &str = "it is what is signed for a run, and not the run: give the TaskRun or PipelineRun itself (kubectl get taskrun NAME -o yaml)";
/// What to do about what a program wrote that found no run.
pub(crate) const NO_RUN: &str =
    "see why the command that wrote it found no run (kubectl get taskrun NAME -n NAMESPACE -o yaml)";
/// How an image is verified.
const VERIFY_IMAGE: &str = "verify an image by its name, which finds what is stored beside it: stepseal verify IMAGE, or stepseal verify-attestation IMAGE";
/// Where the trusted root of a TUF repository is.
const OF_TUF: &str = "give the trusted_root.json that is one of this repository's targets: cosign initialize --mirror URL --root FILE saves it as \
                      ~/.sigstore/root/HOST/targets/trusted_root.json";

rows! {
    BUNDLE, |seen| is_bundle(seen.string("/mediaType")) || is_bundle(seen.string("/media_type")), run SIGNED;
    TRUSTED_ROOT, |seen| seen.string("/mediaType").starts_with("application/vnd.dev.sigstore.trustedroot"),
        bundle "give it with --trusted-root, and the bundle with --bundle";
    "a signing configuration of Sigstore", |seen| seen.string("/mediaType").starts_with("application/vnd.dev.sigstore.signingconfig"),
        root "give the trusted root that goes with it: a signing configuration only names the services that sign";
    "a client trust configuration of Sigstore", |seen| seen.has_all(&["/trustedRoot", "/signingConfig"]),
        root "take the trusted root out of it: jq -c .trustedRoot FILE > trusted_root.json, and give trusted_root.json";
    "a provenance object of PyPI (PEP 740)", |seen| seen.has("/attestation_bundles/0/attestations"),
        bundle pep740!(".attestation_bundles[].attestations[] | ");
    "an attestation of PyPI (PEP 740)", |seen| seen.has_all(&["/verification_material", "/envelope/statement"]),
        bundle pep740!("");
    "npm's list of attestations", |seen| seen.is_object("/attestations/0/bundle") && seen.has("/attestations/0/predicateType"),
        bundle extracted!(".attestations[].bundle");
    "GitHub's list of attestations", |seen| seen.is_object("/attestations/0/bundle"),
        bundle extracted!(".attestations[].bundle");
    "GitHub's list of attestations, which names bundles and holds none", |seen| seen.has("/attestations/0/bundle_url"),
        bundle "download the bundles: gh attestation download ARTIFACT --owner OWNER, and give --bundle sha256:HEX.jsonl";
    "npm's description of a package", |seen| seen.has("/dist/attestations/url"),
        bundle "download the bundles: curl -fsSL \"$(jq -r .dist.attestations.url FILE)\" | jq -c '.attestations[].bundle' > bundles.jsonl, and \
                give --bundle bundles.jsonl";
    "what `gh attestation verify --format json` prints", |seen| seen.is_object("/0/attestation/bundle"),
        bundle extracted!(".[].attestation.bundle");
    "a list of bundles", |seen| is_bundle(seen.string("/0/mediaType")), bundle extracted!(".[]");
    "a list of trusted roots", |seen| seen.string("/0/mediaType").starts_with("application/vnd.dev.sigstore.trustedroot"),
        root "write them one a line: jq -c '.[]' FILE > trusted_root.jsonl, and give trusted_root.jsonl";
    "a bundle in cosign's own old format", |seen| seen.has("/base64Signature"),
        bundle "give it in a file of its own: stepseal verify-blob --bundle FILE reads it";
    "the log entry that cosign hangs onto a signature", |seen| seen.has_all(&["/SignedEntryTimestamp", "/Payload/body"]), bundle VERIFY_IMAGE;
    "an entry of a Rekor log", |seen| is_rekor_entry(seen),
        bundle "give the bundle that was made with the signature: an entry only says that there was one";
    "a DSSE envelope", |seen| seen.has_all(&["/payload", "/payloadType"]),
        bundle "give the bundle that holds it; an envelope alone, by a key, is verified with stepseal verify-blob-attestation --key KEY \
                --signature FILE ARTIFACT", run SIGNED;
    "an in-toto statement", |seen| seen.string("/_type").starts_with("https://in-toto.io/Statement/"),
        bundle "give the bundle that holds the statement, signed: a statement alone proves nothing", run SIGNED;
    "metadata of a TUF repository", is_tuf, root OF_TUF;
    "a CycloneDX document", |seen| seen.string("/bomFormat") == "CycloneDX" || is_xml(seen) && seen.text.contains("xmlns=\"http://cyclonedx.org/schema/bom"),
        bundle "give the bundle of the document, and the document as the artifact";
    "an SPDX document", |seen| seen.has("/spdxVersion") || seen.string("/@context").contains("spdx.org/rdf") || seen.text.starts_with("SPDXVersion:"),
        bundle "give the bundle of the document, and the document as the artifact";
    "the payload of an image's signature (simple signing)", |seen| seen.is_object("/critical"), bundle VERIFY_IMAGE, run SIGNED;
    "a signature of the Notary Project", |seen| seen.has_all(&["/payload", "/protected", "/signature"]),
        bundle "verify it with notation verify IMAGE: it is not Sigstore's";
    "a manifest of an image or of an index", |seen| seen.has("/schemaVersion") && (seen.has("/manifests") || seen.has("/layers") || seen.has("/config")),
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
    "an event of a watch", |seen| !seen.string("/type").is_empty() && seen.is_object("/object"),
        run "give the object as it is now: kubectl get taskrun NAME -o yaml, without --watch";
    "an answer of GitHub's API that is an error", |seen| seen.has_all(&["/message", "/documentation_url"]),
        bundle "ask again: see that the repository and the digest are right, and that the token may read them",
        root "print the trusted root with gh attestation trusted-root";
    "the status of a run alone", |seen| ["/conditions", "/pipelineSpec", "/taskSpec", "/podName"].iter().any(|part| seen.has(part)),
        run "give the whole object, with its metadata (kubectl get taskrun NAME -o yaml)";
    "a private key", |seen| is_pem(seen, "PRIVATE KEY"), bundle "give a key only to what signs; a bundle is verified with the public key: --key cosign.pub";
    "a public key", |seen| is_pem(seen, "PUBLIC KEY"), bundle "give the key with --key, and the bundle with --bundle",
        root "give a public key with --key; a key needs a trusted root only for the log that its signatures are in";
    "a certificate", |seen| is_pem(seen, "CERTIFICATE"),
        root "make a trusted root with it: cosign trusted-root create --fulcio=\"url=https://CA,certificate-chain=FILE\" --out trusted_root.json";
    "a signature of OpenPGP", |seen| is_pem(seen, "PGP SIGNATURE"), bundle "verify it with gpg --verify FILE ARTIFACT: it is not Sigstore's";
    "a signature of minisign or signify", |seen| seen.text.starts_with("untrusted comment:"), bundle "verify it with minisign or signify: it is not Sigstore's";
    "a pointer of Git LFS in place of the file", |seen| seen.text.starts_with("version https://git-lfs.github.com/spec/"), bundle "fetch the file: git lfs pull", root "fetch the file: git lfs pull", run "fetch the file: git lfs pull";
    "a page of HTML", |seen| is_html(seen.text), bundle DOWNLOAD_AGAIN, root DOWNLOAD_AGAIN, run NO_RUN;
    "an XML document", is_xml, bundle DOWNLOAD_AGAIN, root DOWNLOAD_AGAIN, run NO_RUN;
    "an empty file", |seen| seen.json.is_null() && seen.bytes.trim_ascii().is_empty(), bundle WRITE_AGAIN, root WRITE_AGAIN, run WRITE_AGAIN;
    "a compressed file", |seen| is_compressed(seen.bytes), bundle "unpack it first", root "unpack it first", run "unpack it first";
    "a signature in base64, and nothing else", |seen| is_base64(seen.text), bundle "give it with --signature in place of --bundle, and the signer's --key";
}

fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle")
}

/// Rekor's API answers with an object of one entry, under its UUID, or a list of such.
fn is_rekor_entry(seen: &Seen<'_>) -> bool {
    let entry = if seen.json.is_array() { seen.json.pointer("/0") } else { Some(&*seen.json) };
    let mut entries =
        entry.and_then(serde_json::Value::as_object).into_iter().flat_map(|object| object.values());
    let first = entries.next();
    first.is_some_and(|entry| entry.get("body").is_some() && entry.get("logID").is_some())
}

pub(super) fn is_tuf(seen: &Seen<'_>) -> bool {
    seen.has_all(&["/signed/_type", "/signatures"])
}

fn is_pem(seen: &Seen<'_>, label: &str) -> bool {
    let first =
        seen.text.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    first.is_some_and(|first| first.ends_with(label))
}

fn is_html(text: &str) -> bool {
    let begin = text.get(..15).unwrap_or(text).to_ascii_lowercase();
    begin.starts_with("<!doctype html") || begin.starts_with("<html")
}

/// As an object store answers that has no such file. `<<:` is YAML.
fn is_xml(seen: &Seen<'_>) -> bool {
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

/// Of a size that a signature has.
fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| (48..=2048).contains(&bytes.len()))
}
