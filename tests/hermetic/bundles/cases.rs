//! The cases of the corpus: what is done to a good bundle, why that is wrong, and which check must say so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::folder::BUNDLE;
use super::recipe::*;
use super::sigstore::*;

/// How a bad case is refused.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// By that check of a bundle.
    Check(&'static str),
    /// With an error that says this: what is given doesn't get as far as a check, or passes all of them and is of something else.
    Says(&'static str),
}

/// A case.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Why it is good, or bad.
    pub(crate) why: String,
    /// What refuses it; `None` for a good one.
    pub(crate) refusal: Option<Refusal>,
    /// The command that it is for.
    pub(crate) command: &'static str,
    /// The name of the file with what is verified.
    pub(crate) file: &'static str,
    pub(crate) bundle: Vec<u8>,
    /// Files beside it.
    pub(crate) beside: Vec<(&'static str, Vec<u8>)>,
    pub(crate) trusted_root: Value,
    /// The public key, where the bundle is of one.
    pub(crate) key: Option<String>,
    /// Another artifact than the corpus' own.
    pub(crate) artifact: Option<Vec<u8>>,
    /// Flags beside those that every case has.
    pub(crate) flags: &'static [&'static str],
}

/// The folder's cases, good ones first.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = super::good::cases();
    cases.extend(super::forged::cases());
    cases.extend(super::logged::cases());
    cases.extend(super::shifted::cases());
    cases.extend(super::tolerated::cases());
    cases.extend(super::hashes::cases());
    cases.extend(super::old::cases());
    cases.extend(super::lines::cases());
    cases.extend(super::github::cases());
    cases.extend(super::attestations::cases());
    cases
}

impl Case {
    fn new(name: &str, why: &str, recipe: &Recipe) -> Self {
        Self {
            name: name.to_owned(),
            why: why.to_owned(),
            refusal: None,
            command: "verify-blob",
            file: BUNDLE,
            bundle: serde_json::to_vec_pretty(&recipe.bundle()).unwrap(),
            beside: Vec::new(),
            trusted_root: recipe.trusted_root(),
            key: recipe.with_key.then(|| pem("PUBLIC KEY", &recipe.leaf.kind.spki())),
            artifact: None,
            flags: &[],
        }
    }

    /// A bundle that is accepted.
    pub(crate) fn good(name: &str, why: &str, recipe: &Recipe) -> Self {
        Self::new(name, why, recipe)
    }

    /// A bundle that is refused, by that check.
    pub(crate) fn bad(name: &str, check: &'static str, why: &str, recipe: &Recipe) -> Self {
        Self::new(name, why, recipe).refused(Refusal::Check(check))
    }

    /// The same with something done to it.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut bundle: Value = serde_json::from_slice(&self.bundle).unwrap();
        change(&mut bundle);
        self.bundle = serde_json::to_vec_pretty(&bundle).unwrap();
        self
    }

    /// The same, refused.
    pub(crate) fn refused(self, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), name: format!("{}_fail", self.name), ..self }
    }

    /// The same in a file of that name.
    pub(crate) fn named(self, file: &'static str) -> Self {
        Self { file, ..self }
    }

    pub(crate) fn beside(mut self, file: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.beside.push((file, bytes.into()));
        self
    }

    pub(crate) fn trusting(self, trusted_root: Value) -> Self {
        Self { trusted_root, ..self }
    }

    pub(crate) fn of(self, artifact: &[u8]) -> Self {
        Self { artifact: Some(artifact.to_vec()), ..self }
    }

    /// The same for `verify-blob-attestation`.
    pub(crate) fn attestation(self, flags: &'static [&'static str]) -> Self {
        Self { command: "verify-blob-attestation", flags, ..self }
    }

    pub(crate) fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }
}

pub(crate) const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

/// The value at `path`, which is there.
pub(crate) fn at<'a>(bundle: &'a mut Value, path: &str) -> &'a mut Value {
    bundle.pointer_mut(path).unwrap_or_else(|| panic!("{path} is not there"))
}

/// Takes the field at the end of `path` away.
pub(crate) fn drop_field(bundle: &mut Value, path: &str) {
    let (parent, field) = path.rsplit_once('/').unwrap();
    at(bundle, parent).as_object_mut().unwrap().shift_remove(field).unwrap();
}

/// Changes one bit of the base64 at `path`, in the middle of its bytes.
pub(crate) fn flip(bundle: &mut Value, path: &str) {
    let value = at(bundle, path);
    let mut bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *value = json!(base64(&bytes));
}

/// Changes the text at `path`.
pub(crate) fn edit(bundle: &mut Value, path: &str, from: &str, to: &str) {
    let value = at(bundle, path);
    let text = value.as_str().unwrap();
    assert!(text.contains(from), "{path} has no {from:?}: {text}");
    *value = json!(text.replacen(from, to, 1));
}

/// Changes what is logged, and leaves everything else.
pub(crate) fn edit_body(bundle: &mut Value, from: &str, to: &str) {
    let value = at(bundle, &format!("{ENTRY}/canonicalizedBody"));
    let text = String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    assert!(text.contains(from), "the body has no {from:?}: {text}");
    *value = json!(base64(text.replacen(from, to, 1)));
}

/// Takes the part at `path` from another bundle.
pub(crate) fn graft(bundle: &mut Value, from: &Recipe, path: &str) {
    let mut other = from.bundle();
    *at(bundle, path) = at(&mut other, path).clone();
}
