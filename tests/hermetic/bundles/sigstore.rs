//! A whole private Sigstore in one file: certificate authority, certificate transparency log, Rekor 1 and 2, timestamp authority.
//!
//! Every key is made from its name, every signature is deterministic and every time is given, so that the corpus is the same whenever it is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::asn1::*;
pub(crate) use super::folder::{IDENTITY, ISSUER};
use super::keys::Kind;

/// When everything is signed: 2026-01-10T12:00:00Z.
pub(crate) const SIGNED: i64 = 1_768_046_400;
pub(crate) const YEAR: i64 = 365 * 24 * 3600;
/// The names that the two logs sign with.
pub(crate) const REKOR: &str = "rekor.example";
pub(crate) const TILES: &str = "tiles.example";

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes.as_ref()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The P-256 key of that name.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_slice(&sha256(name)).unwrap()
}

pub(crate) fn spki(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_public_key_der().unwrap().into_vec()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).unwrap()
}

pub(crate) fn sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature: Signature = key.sign(message);
    signature.to_der().as_bytes().to_vec()
}

fn tiles_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&sha256("tiles"))
}

/// A validity, with both ends in it.
pub(crate) type Window = (i64, Option<i64>);

/// The windows of the trusted root's members.
#[derive(Clone)]
pub(crate) struct Windows {
    pub(crate) authority: Window,
    pub(crate) ct_log: Window,
    pub(crate) rekor: Window,
    pub(crate) tiles: Window,
    pub(crate) timestamps: Window,
}

impl Default for Windows {
    fn default() -> Self {
        let open = (SIGNED - YEAR, None);
        Self { authority: open, ct_log: open, rekor: open, tiles: open, timestamps: open }
    }
}

/// A certificate's fields.
pub(crate) struct Spec<'a> {
    pub(crate) serial: u32,
    pub(crate) subject: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) validity: (i64, i64),
    /// The SubjectPublicKeyInfo of the key that it is of.
    pub(crate) key: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

fn tbs(spec: &Spec<'_>) -> Vec<u8> {
    seq(&[
        explicit(0, &int(2)),
        int(spec.serial),
        ecdsa_sha256(),
        name(spec.issuer),
        seq(&[utc_time(spec.validity.0), utc_time(spec.validity.1)]),
        name(spec.subject),
        spec.key.clone(),
        explicit(3, &seq(&spec.extensions)),
    ])
}

pub(crate) fn certificate(spec: &Spec<'_>, issuer: &SigningKey) -> Vec<u8> {
    let tbs = tbs(spec);
    let signature = sign(issuer, &tbs);
    seq(&[tbs, ecdsa_sha256(), bits(&signature)])
}

/// The certificate of an authority.
pub(crate) fn authority(
    subject: &str,
    issuer: &str,
    key_name: &str,
    issuer_key: &str,
    validity: (i64, i64),
) -> Vec<u8> {
    let extensions = vec![
        extension("2.5.29.19", true, &seq(&[tlv(1, &[0xff])])),
        extension("2.5.29.15", true, &[3, 2, 1, 6]),
    ];
    let spec = Spec { serial: 7, subject, issuer, validity, key: spki(&key(key_name)), extensions };
    certificate(&spec, &key(issuer_key))
}

/// The validity of the authorities' own certificates.
#[derive(Clone, Copy)]
pub(crate) struct Authorities {
    pub(crate) root: (i64, i64),
    pub(crate) intermediate: (i64, i64),
    pub(crate) stamper: (i64, i64),
}

impl Default for Authorities {
    fn default() -> Self {
        let long = (SIGNED - 5 * YEAR, SIGNED + 5 * YEAR);
        Self { root: long, intermediate: long, stamper: long }
    }
}

pub(crate) fn root_certificate(own: &Authorities) -> Vec<u8> {
    authority("Example root", "Example root", "root", "root", own.root)
}

fn intermediate_certificate(own: &Authorities) -> Vec<u8> {
    authority("Example intermediate", "Example root", "intermediate", "root", own.intermediate)
}

/// What the signer's certificate says.
#[derive(Clone)]
pub(crate) struct Leaf {
    /// The kind of the key `signer`, which it is of.
    pub(crate) kind: Kind,
    pub(crate) validity: (i64, i64),
    pub(crate) usage: &'static str,
    pub(crate) key_usage: u8,
    pub(crate) is_ca: bool,
    pub(crate) issued_by: &'static str,
    /// The common name of whoever issued it.
    pub(crate) issuer: &'static str,
    /// The subject alternative name; no extension if it is empty.
    pub(crate) identity: &'static str,
    /// The issuer, as the old and the new extension say it; no extension where it is empty.
    pub(crate) issuers: (&'static str, &'static str),
    /// When the certificate transparency log says it saw it; no SCT without.
    pub(crate) sct: Option<i64>,
    pub(crate) ct_log: &'static str,
    pub(crate) sct_extensions: &'static [u8],
    /// What the older extensions say of a workflow of GitHub's.
    pub(crate) workflow: &'static [(&'static str, &'static str)],
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            kind: Kind::P256,
            validity: (SIGNED - 300, SIGNED + 300),
            usage: "1.3.6.1.5.5.7.3.3",
            key_usage: 0x80,
            is_ca: false,
            issued_by: "intermediate",
            issuer: "Example intermediate",
            identity: IDENTITY,
            issuers: (ISSUER, ISSUER),
            sct: Some(SIGNED - 300),
            ct_log: "ct log",
            sct_extensions: &[],
            workflow: &[],
        }
    }
}

/// The certificate of the key `signer`.
pub(crate) fn leaf(leaf: &Leaf) -> Vec<u8> {
    let mut extensions = vec![
        extension("2.5.29.15", true, &[3, 2, 7, leaf.key_usage]),
        extension("2.5.29.37", false, &seq(&[oid(leaf.usage)])),
    ];
    if !leaf.identity.is_empty() {
        extensions.push(extension("2.5.29.17", true, &seq(&[tlv(0x86, leaf.identity.as_bytes())])));
    }
    if !leaf.issuers.0.is_empty() {
        extensions.push(extension("1.3.6.1.4.1.57264.1.1", false, leaf.issuers.0.as_bytes()));
    }
    if !leaf.issuers.1.is_empty() {
        extensions.push(extension("1.3.6.1.4.1.57264.1.8", false, &utf8(leaf.issuers.1)));
    }
    extensions.push(extension("1.3.6.1.4.1.57264.1.12", false, &utf8("https://git.example/team/app")));
    extensions.extend(leaf.workflow.iter().map(|(oid, text)| extension(oid, false, text.as_bytes())));
    if leaf.is_ca {
        extensions.push(extension("2.5.29.19", true, &seq(&[tlv(1, &[0xff])])));
    }
    let issuer = key(leaf.issued_by);
    let mut spec = Spec {
        serial: 42,
        subject: "",
        issuer: leaf.issuer,
        validity: leaf.validity,
        key: leaf.kind.spki(),
        extensions,
    };
    if let Some(at) = leaf.sct {
        let list = sct(&tbs(&spec), &spki(&issuer), at, leaf);
        spec.extensions.push(extension("1.3.6.1.4.1.11129.2.4.2", false, &octets(&list)));
    }
    certificate(&spec, &issuer)
}

fn sct(tbs: &[u8], issuer: &[u8], at: i64, leaf: &Leaf) -> Vec<u8> {
    let log = key(leaf.ct_log);
    let time = (u64::try_from(at).unwrap() * 1000).to_be_bytes();
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extensions = sized(leaf.sct_extensions);
    let mut signed = vec![0, 0];
    signed.extend(time);
    signed.extend([0, 1]);
    signed.extend(sha256(issuer));
    signed.extend(&u32::try_from(tbs.len()).unwrap().to_be_bytes()[1..]);
    signed.extend(tbs);
    signed.extend(&extensions);
    let mut sct = vec![0];
    sct.extend(sha256(spki(&log)));
    sct.extend(time);
    sct.extend(&extensions);
    sct.extend([4, 3]);
    sct.extend(sized(&sign(&log, &signed)));
    sized(&sized(&sct))
}

/// What is odd about a timestamp.
#[derive(Clone)]
pub(crate) struct Stamp {
    pub(crate) at: i64,
    pub(crate) brings: Brings,
    pub(crate) by: &'static str,
    /// The common name of whoever issued its signer's certificate.
    pub(crate) issuer: &'static str,
    /// The bytes stamped; the signature if there are none.
    pub(crate) of: Option<&'static [u8]>,
    pub(crate) usages: &'static [&'static str],
}

/// The certificates that a timestamp brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brings {
    Nothing,
    Own,
    /// Its signer's twice, as timestamp-authority does if the chain that it is given has it too.
    OwnTwice,
    /// The whole chain, in no order.
    Chain,
}

impl Stamp {
    pub(crate) fn at(at: i64) -> Self {
        Self {
            at,
            brings: Brings::Own,
            by: "stamper",
            issuer: "Example root",
            of: None,
            usages: &["1.3.6.1.5.5.7.3.8"],
        }
    }

    /// Of an authority that the trusted root doesn't have.
    pub(crate) fn unknown() -> Self {
        Self { by: "another stamper", issuer: "Another root", ..Self::at(SIGNED + 1) }
    }
}

pub(crate) fn stamper(own: &Authorities, by: &str, issuer: &str, usages: &[&str]) -> Vec<u8> {
    let usages: Vec<Vec<u8>> = usages.iter().map(|usage| oid(usage)).collect();
    let extensions =
        vec![extension("2.5.29.15", true, &[3, 2, 7, 0x80]), extension("2.5.29.37", true, &seq(&usages))];
    let spec = Spec {
        serial: 99,
        subject: "Example timestamps",
        issuer,
        validity: own.stamper,
        key: spki(&key(by)),
        extensions,
    };
    certificate(&spec, &key(if by == "stamper" { "root" } else { by }))
}

/// A timestamp authority's whole response.
pub(crate) fn timestamp(own: &Authorities, stamp: &Stamp, signature: &[u8]) -> Vec<u8> {
    let certificate = stamper(own, stamp.by, stamp.issuer, stamp.usages);
    let root = root_certificate(own);
    let brought: &[&[u8]] = match stamp.brings {
        Brings::Nothing => &[],
        Brings::Own => &[&certificate],
        Brings::OwnTwice => &[&certificate, &certificate],
        Brings::Chain => &[&root, &certificate, &root],
    };
    let imprint = seq(&[sha256_id(), octets(&sha256(stamp.of.unwrap_or(signature)))]);
    let info = seq(&[int(1), oid("1.3.6.1.4.1.57264.2"), imprint, int(5), generalized_time(stamp.at)]);
    let attribute = |id: &str, value: Vec<u8>| seq(&[oid(id), set(&[value])]);
    let attributes = [
        attribute("1.2.840.113549.1.9.3", oid("1.2.840.113549.1.9.16.1.4")),
        attribute("1.2.840.113549.1.9.4", octets(&sha256(&info))),
        attribute("1.2.840.113549.1.9.16.2.47", seq(&[seq(&[seq(&[octets(&sha256(&certificate))])])])),
    ];
    let mut signed = set(&attributes);
    let signature = sign(&key(stamp.by), &signed);
    signed[0] = 0xa0;
    let signer = seq(&[
        int(1),
        seq(&[name(stamp.issuer), int(99)]),
        sha256_id(),
        signed,
        ecdsa_sha256(),
        octets(&signature),
    ]);
    let data = seq(&[
        int(3),
        set(&[sha256_id()]),
        seq(&[oid("1.2.840.113549.1.9.16.1.4"), explicit(0, &octets(&info))]),
        if brought.is_empty() { Vec::new() } else { explicit(0, &brought.concat()) },
        set(&[signer]),
    ]);
    seq(&[seq(&[int(0)]), seq(&[oid("1.2.840.113549.1.7.2"), explicit(0, &data)])])
}

fn node(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    sha256([&[1], &left[..], &right[..]].concat())
}

fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            node(tree(left), tree(right))
        }
    }
}

fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut hashes, other) = if index < left.len() {
        (path(index, left), tree(right))
    } else {
        (path(index - left.len(), right), tree(left))
    };
    hashes.push(other);
    hashes
}

/// The place of every entry in its tree, and the place of the tree's first entry in Rekor 1's log of several trees.
pub(crate) const INDEX: usize = 5;
const SHARD: i64 = 1_000_000;

fn proof(body: &[u8], note: impl Fn(usize, [u8; 32]) -> String) -> Value {
    let other = |number: usize| sha256([&[0], format!("entry {number}").as_bytes()].concat());
    let mut leaves: Vec<[u8; 32]> = (0..11).map(other).collect();
    leaves[INDEX] = sha256([&[0], body].concat());
    let root = tree(&leaves);
    let hashes: Vec<String> = path(INDEX, &leaves).iter().map(base64).collect();
    json!({
        "logIndex": INDEX.to_string(), "rootHash": base64(root), "treeSize": leaves.len().to_string(),
        "hashes": hashes, "checkpoint": {"envelope": note(leaves.len(), root)},
    })
}

fn note_line(name: &str, hint: &[u8], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", base64([&hint[..4], signature].concat()))
}

/// An entry of Rekor 1.
pub(crate) fn entry_v1(kind: &str, version: &str, body: &Value, at: i64) -> Value {
    let log = key("rekor");
    let id = sha256(spki(&log));
    let body = serde_json::to_vec(body).unwrap();
    let index = SHARD + i64::try_from(INDEX).unwrap();
    let promise = format!(
        r#"{{"body":"{}","integratedTime":{at},"logID":"{}","logIndex":{index}}}"#,
        base64(&body),
        hex(&id)
    );
    let note = |size: usize, root: [u8; 32]| {
        let text = format!("{REKOR} - 1193050959916656506\n{size}\n{}\n", base64(root));
        format!("{text}\n{}", note_line(REKOR, &id, &sign(&log, text.as_bytes())))
    };
    json!({
        "logIndex": index.to_string(), "logId": {"keyId": base64(id)}, "kindVersion": {"kind": kind, "version": version},
        "integratedTime": at.to_string(), "inclusionPromise": {"signedEntryTimestamp": base64(sign(&log, promise.as_bytes()))},
        "inclusionProof": proof(&body, note), "canonicalizedBody": base64(&body),
    })
}

/// An Ed25519 note key's id: <https://github.com/C2SP/C2SP/blob/main/signed-note.md>.
fn note_id(name: &str, kind: u8, public: &[u8]) -> [u8; 32] {
    sha256([name.as_bytes(), b"\n", &[kind], public].concat())
}

pub(crate) fn tiles_id() -> [u8; 32] {
    note_id(TILES, 1, tiles_key().verifying_key().as_bytes())
}

/// An entry of Rekor 2, whose checkpoint witnesses have signed before or after the log.
pub(crate) fn entry_v2(kind: &str, body: &Value, before: &[&str], after: &[&str]) -> Value {
    use ed25519_dalek::Signer as _;
    let body = serde_json::to_vec(body).unwrap();
    let witness = |name: &&str, text: &str| {
        let key = ed25519_dalek::SigningKey::from_bytes(&sha256(name));
        let at = u64::try_from(SIGNED).unwrap();
        let signed = key.sign(format!("cosignature/v1\ntime {at}\n{text}").as_bytes());
        let id = note_id(name, 4, key.verifying_key().as_bytes());
        note_line(name, &id, &[&at.to_be_bytes()[..], &signed.to_bytes()].concat())
    };
    let note = |size: usize, root: [u8; 32]| {
        let text = format!("{TILES}\n{size}\n{}\n", base64(root));
        let own = note_line(TILES, &tiles_id(), &tiles_key().sign(text.as_bytes()).to_bytes());
        let lines = |names: &[&str]| names.iter().map(|name| witness(name, &text)).collect::<String>();
        format!("{text}\n{}{own}{}", lines(before), lines(after))
    };
    json!({
        "logIndex": INDEX.to_string(), "logId": {"keyId": base64(tiles_id())}, "kindVersion": {"kind": kind, "version": "0.0.2"},
        "inclusionProof": proof(&body, note), "canonicalizedBody": base64(&body),
    })
}

fn window((start, end): Window) -> Value {
    let time = |at: i64| jiff::Timestamp::from_second(at).unwrap().to_string();
    match end {
        Some(end) => json!({"start": time(start), "end": time(end)}),
        None => json!({"start": time(start)}),
    }
}

/// The trusted root of all this.
pub(crate) fn trusted_root(windows: &Windows, own: &Authorities) -> Value {
    let log = |name: &str, key: Vec<u8>, details: &str, id: [u8; 32], valid| {
        json!({
            "baseUrl": format!("https://{name}"), "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": base64(key), "keyDetails": details, "validFor": window(valid)}, "logId": {"keyId": base64(id)},
        })
    };
    let (rekor, ct) = (spki(&key("rekor")), spki(&key("ct log")));
    let tiles =
        ed25519_dalek::pkcs8::EncodePublicKey::to_public_key_der(&tiles_key().verifying_key()).unwrap();
    let raw = |der: Vec<u8>| json!({"rawBytes": base64(der)});
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            log(REKOR, rekor.clone(), "PKIX_ECDSA_P256_SHA_256", sha256(&rekor), windows.rekor),
            log(TILES, tiles.into_vec(), "PKIX_ED25519", tiles_id(), windows.tiles),
        ],
        "certificateAuthorities": [{
            "subject": {"organization": "example", "commonName": "Example root"}, "uri": "https://ca.example",
            "certChain": {"certificates": [raw(intermediate_certificate(own)), raw(root_certificate(own))]}, "validFor": window(windows.authority),
        }],
        "ctlogs": [log("ct.example", ct.clone(), "PKIX_ECDSA_P256_SHA_256", sha256(&ct), windows.ct_log)],
        "timestampAuthorities": [{
            "subject": {"organization": "example", "commonName": "Example timestamps"}, "uri": "https://time.example",
            "certChain": {"certificates": [raw(stamper(own, "stamper", "Example root", &["1.3.6.1.5.5.7.3.8"])), raw(root_certificate(own))]},
            "validFor": window(windows.timestamps),
        }],
    })
}

pub(crate) fn intermediate(own: &Authorities) -> Vec<u8> {
    intermediate_certificate(own)
}
