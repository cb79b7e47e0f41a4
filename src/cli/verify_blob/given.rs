//! The signature as the flags give it: a bundle of either format, or its parts.

use std::io;
use std::path::Path;

use clap::ArgMatches;

use super::error::{BlobError, CERTIFICATE, Part, SIGNATURE};
use crate::cli::trust;
use crate::foreign;
use crate::input::{self, InputError};
use crate::verify::bundle::{
    BUNDLE_BYTES, Bundle, BundleError, Bundles, Content, Policy, Signer, SignerMismatch, TrustMaterial,
};
use crate::verify::detached::{self, By, Contents, DetachedError, OldBundle, PART_BYTES, Parts};
use crate::verify::statement::Statement;

/// What a bundle's file holds.
enum Form {
    Sigstore(Bundles),
    Old(OldBundle),
}

/// What is verified.
pub(super) enum Signatures {
    /// The bundles of a file, each of which is judged.
    Lines(Bundles),
    /// A signature; or those of an envelope, one of which has to be good.
    Any(Vec<Bundle>),
}

/// The signature as the flags give it.
pub(super) struct Given<'a> {
    matches: &'a ArgMatches,
    /// How the artifact is called.
    name: &'a str,
    /// Whether an attestation is asked for.
    attestation: bool,
}

/// The flags that go with a signature that isn't in a Sigstore bundle.
const PARTS: [&str; 5] =
    ["certificate", "certificate-chain", "ca-roots", "ca-intermediates", "rfc3161-timestamp"];

/// The flag with the timestamp authority that is believed.
const STAMPER: &str = "timestamp-certificate-chain";

impl<'a> Given<'a> {
    /// What the flags give, which don't contradict each other as far as can be seen without reading a file.
    pub(super) fn new(matches: &'a ArgMatches, name: &'a str, attestation: bool) -> Result<Self, BlobError> {
        let given = Self { matches, name, attestation };
        let has = |flag| given.text(flag).is_some();
        match (has("signature"), given.bundle()) {
            (false, None) => return Err(BlobError::NoSignature),
            // An old bundle may go with its signature.
            (true, Some(path)) if !OldBundle::is_one(&read_bundle(path)?) => {
                return Err(BlobError::SignatureAndBundle);
            }
            _ => {}
        }
        for flag in ["ca-roots", "ca-intermediates"] {
            if has("certificate-chain") && has(flag) {
                return Err(BlobError::Both("certificate-chain", flag));
            }
        }
        if has("ca-intermediates") && !has("ca-roots") {
            return Err(BlobError::NoRoots);
        }
        Ok(given)
    }

    /// Holds it against whose signature is accepted, and demands of the policy what goes with what is given.
    pub(super) fn fit(&self, policy: &mut Policy) -> Result<(), BlobError> {
        match &policy.signer {
            Signer::Key(_) => {
                if let Some(flag) =
                    PARTS.iter().find(|flag| **flag != "rfc3161-timestamp" && self.text(flag).is_some())
                {
                    return Err(BlobError::Both("key", flag));
                }
                // A bare signature by a key needs no log: there is nothing that could hold its entry.
                policy.ignore_tlog |= self.bundle().is_none();
            }
            Signer::Identity(_) if self.bundle().is_none() && self.text("certificate").is_none() => {
                return Err(BlobError::NoKey);
            }
            Signer::Identity(_) => {}
        }
        // A timestamp is given to be believed, and so is its authority.
        policy.signed_timestamps |= self.text("rfc3161-timestamp").is_some() || self.text(STAMPER).is_some();
        Ok(())
    }

    /// `material`, with the roots that the flags give in place of its certificate authorities and timestamp authorities.
    pub(super) fn roots(&self, material: TrustMaterial) -> Result<TrustMaterial, BlobError> {
        let read = |flag| {
            let Some(path) = self.text(flag) else { return Ok(None) };
            let what = "the CA certificates";
            let bytes = read_part(what, path)?;
            let found = detached::certificates(&bytes);
            found.map(Some).map_err(|source| form(what, path, source))
        };
        let material = match read(STAMPER)? {
            Some(chain) => {
                material.with_stamper(chain).map_err(|source| BlobError::Roots { flag: STAMPER, source })?
            }
            None => material,
        };
        let (flag, roots, between) = match (read("certificate-chain")?, read("ca-roots")?) {
            (Some(mut chain), _) => ("--certificate-chain", chain.pop().into_iter().collect(), chain),
            (None, Some(roots)) => ("--ca-roots", roots, read("ca-intermediates")?.unwrap_or_default()),
            (None, None) => return Ok(material),
        };
        material.with_roots(roots, &between, flag).map_err(|source| BlobError::Roots { flag, source })
    }

    /// Whether a certificate came without what proves a time.
    pub(super) fn is_alone(&self, policy: &Policy) -> bool {
        self.text("certificate").is_some()
            && self.text("rfc3161-timestamp").is_none()
            && (self.bundle().is_none() || policy.ignore_tlog)
    }

    /// The bundles that are given, or what they would be; of an envelope with several signatures one for each.
    pub(super) fn signatures(&self, signer: &Signer) -> Result<Signatures, BlobError> {
        let old = match self.bundle().map(|path| self.form(path)).transpose()? {
            Some(Form::Sigstore(bundles)) => {
                return match PARTS.iter().find(|flag| self.text(flag).is_some()) {
                    Some(flag) => Err(BlobError::WithBundle(flag)),
                    None => Ok(Signatures::Lines(bundles)),
                };
            }
            Some(Form::Old(old)) => Some(old),
            None => None,
        };
        let contents = self.contents(old.as_ref())?;
        let certificate = self.certificate(old.as_ref().and_then(|old| old.by.as_ref()), signer)?;
        let timestamp = self.text("rfc3161-timestamp").map(|path| {
            let what = "the timestamp";
            detached::timestamp(&read_part(what, path)?).map_err(|source| form(what, path, source))
        });
        let parts =
            Parts { certificate, log: old.and_then(|old| old.log), timestamp: timestamp.transpose()? };
        let failed = |source| BlobError::Parts { artifact: self.name.to_owned(), source };
        parts.bundles(signer, contents).map(Signatures::Any).map_err(failed)
    }

    /// The content of a bundle file: the only place that decides its format.
    fn form(&self, path: &Path) -> Result<Form, BlobError> {
        let bytes = read_bundle(path)?;
        match Bundles::parse(&bytes) {
            Ok(bundles) => Ok(Form::Sigstore(bundles)),
            Err(_) if OldBundle::is_one(&bytes) => {
                let old = OldBundle::parse(&bytes);
                old.map(Form::Old).map_err(|source| form("the bundle", &path.display().to_string(), source))
            }
            Err(source) => Err(BlobError::refused(self.name, source, false)),
        }
    }

    /// The signature, or the signatures of the envelope.
    fn contents(&self, old: Option<&OldBundle>) -> Result<Contents, BlobError> {
        let (what, place, bytes) = match (self.text("signature"), old.and_then(|old| old.signature.as_ref()))
        {
            (None, None) => return Err(BlobError::BundleWithoutSignature { artifact: self.name.to_owned() }),
            (None, Some(bytes)) => {
                let place = self.bundle().map(|path| path.display().to_string()).unwrap_or_default();
                ("the signature in the bundle", place, bytes.clone())
            }
            (Some(text), None) => (SIGNATURE, text.to_owned(), read_signature(text)?),
            (Some(text), Some(known)) => {
                let bytes = read_signature(text)?;
                let same = bytes == *known || detached::signature(&bytes).is_ok_and(|one| one == *known);
                if !same {
                    return Err(BlobError::Another { artifact: self.name.to_owned(), what: Part::Signature });
                }
                (SIGNATURE, text.to_owned(), bytes)
            }
        };
        let contents = detached::contents(&bytes).map_err(|source| form(what, &place, source))?;
        match contents.each.first() {
            Some(Content::Dsse(envelope)) if !self.attestation => Err(BlobError::Envelope {
                artifact: self.name.to_owned(),
                kind: Statement::read_any(envelope.payload()).map_or_else(
                    |_| foreign::escape(envelope.payload_type(), 120),
                    |statement| foreign::escape(&statement.predicate_type, 200),
                ),
            }),
            _ => Ok(contents),
        }
    }

    /// The certificate, which the flag or the bundle gives; `None`: a key signs.
    fn certificate(&self, by: Option<&By>, signer: &Signer) -> Result<Option<Vec<u8>>, BlobError> {
        let mismatch = |source| Err(BlobError::refused(self.name, BundleError::Signer(source), false));
        let another = |what| Err(BlobError::Another { artifact: self.name.to_owned(), what });
        let flag = match self.text("certificate") {
            Some(text) => Some(read_certificate(text)?),
            None => None,
        };
        match (by, signer, flag) {
            (Some(By::Certificate(_)), Signer::Key(_), _) => mismatch(SignerMismatch::Certificate),
            (Some(By::Key(_)), Signer::Identity(_), _) => mismatch(SignerMismatch::Key),
            (Some(By::Key(known)), Signer::Key(key), _) if known != key => another(Part::Key),
            (_, Signer::Key(_), _) => Ok(None),
            (Some(By::Certificate(known)), _, Some(flag)) if *known != flag => another(Part::Certificate),
            (_, _, Some(flag)) => Ok(Some(flag)),
            (Some(By::Certificate(known)), _, None) => Ok(Some(known.clone())),
            (None, Signer::Identity(_), None) => mismatch(SignerMismatch::NoCertificate),
        }
    }

    fn bundle(&self) -> Option<&'a Path> {
        self.text("bundle").map(Path::new)
    }

    fn text(&self, flag: &str) -> Option<&'a str> {
        self.matches.get_one::<String>(flag).map(String::as_str)
    }

    /// Whether nothing of the trusted root is asked for.
    pub(super) fn needs_no_root(&self, policy: &Policy) -> bool {
        let key = matches!(policy.signer, Signer::Key(_)) && policy.ignore_tlog && !policy.signed_timestamps;
        key && self.text("trusted-root").is_none()
    }
}

fn form(what: &'static str, place: &str, source: DetachedError) -> BlobError {
    BlobError::Form { what, place: foreign::escape_value(place, 200), source }
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, BlobError> {
    let failed = |source| BlobError::Read { what: "the bundle", path: path.into(), source };
    input::read(path, BUNDLE_BYTES).map_err(failed)
}

fn read_part(what: &'static str, path: &str) -> Result<Vec<u8>, BlobError> {
    let failed = |source| BlobError::Read { what, path: path.into(), source };
    input::read(Path::new(path), PART_BYTES).map_err(failed)
}

/// What a file holds, or else the flag's own text if `is_value` says that it is what the file would hold.
fn read_or_value(
    what: &'static str,
    text: &str,
    limit: u64,
    is_value: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, BlobError> {
    let no_file = |source: &InputError| {
        let no_name = |error: &io::Error| error.kind() == io::ErrorKind::InvalidFilename;
        source.is_missing() || matches!(source, InputError::Io(error) if no_name(error))
    };
    match input::read(Path::new(text), limit) {
        Err(source) if no_file(&source) && is_value(text.as_bytes()) => Ok(text.as_bytes().to_vec()),
        read => read.map_err(|source| BlobError::Read { what, path: text.into(), source }),
    }
}

/// A signature as a file holds it or as the flag gives it, which may be a whole envelope. A short text is the name of a file that isn't there, even if it
/// happens to be base64.
fn read_signature(text: &str) -> Result<Vec<u8>, BlobError> {
    let is_value = |bytes: &[u8]| match detached::contents(bytes) {
        Ok(Contents { each, .. }) => each.iter().all(|content| match content {
            Content::Message { signature, .. } => detached::is_plausible(signature),
            Content::Dsse(_) => true,
        }),
        Err(_) => false,
    };
    read_or_value(SIGNATURE, text, BUNDLE_BYTES, is_value)
}

/// The signer's certificate from a file or a flag: the first certificate, if its chain follows.
fn read_certificate(text: &str) -> Result<Vec<u8>, BlobError> {
    let what = CERTIFICATE;
    let bytes = read_or_value(what, text, PART_BYTES, |bytes| detached::certificates(bytes).is_ok())?;
    let found = detached::certificates(&bytes).map_err(|source| form(what, text, source))?;
    found.into_iter().next().ok_or_else(|| form(what, text, DetachedError::NoCertificate))
}

/// The predicate type that is asked for.
pub(super) fn wanted_type(matches: &ArgMatches) -> Result<Option<String>, BlobError> {
    let text = matches.get_one::<String>("type");
    Ok(text.map(|text| crate::verify::attestation_type::uri(text)).transpose()?)
}

/// The trusted root, as far as it is asked for.
pub(super) fn material(
    given: &Given<'_>,
    policy: &Policy,
    environment: &crate::cli::environment::Environment,
) -> Result<TrustMaterial, BlobError> {
    let material = match given.needs_no_root(policy) {
        true => TrustMaterial::none(),
        false => trust::material(given.matches, environment)?,
    };
    given.roots(material)
}
