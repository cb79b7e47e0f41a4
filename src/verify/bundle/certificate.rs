//! The signer's certificate: its path to an authority of the trusted root when it signed, and whose it is.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc5280>, <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>. Paths are found in `path.rs` and judged by
//! `rustls-webpki`; what it leaves to others is checked there and here: the validity of the root itself, the window that the trusted root
//! gives the authority, the key usage. Certificates that a bundle brings may stand between, but never be where a path ends; roots among
//! them are passed over (<https://github.com/sigstore/protobuf-specs/issues/191>).

use std::collections::BTreeMap;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::asn1::Utf8StringRef;
use x509_cert::der::oid::ObjectIdentifier as Oid;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::time::Time;

use super::error::CertificateError;
use super::path::{Effort, Search, X509};
use super::trust::TrustMaterial;
use crate::foreign;
use crate::key::PublicKey;

/// `id-kp-codeSigning`.
static CODE_SIGNING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.3");
/// `id-kp-timeStamping`.
pub(super) static TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");

const FULCIO_ISSUER_V1: Oid = Oid::new_unwrap("1.3.6.1.4.1.57264.1.1");
const FULCIO_ISSUER_V2: Oid = Oid::new_unwrap("1.3.6.1.4.1.57264.1.8");
const FULCIO_OTHER_NAME: Oid = Oid::new_unwrap("1.3.6.1.4.1.57264.1.7");
/// Fulcio's extensions whose value is a UTF8String, by the names of its documentation.
const CLAIMS: [(&str, Oid); 14] = [
    ("buildSignerURI", Oid::new_unwrap("1.3.6.1.4.1.57264.1.9")),
    ("buildSignerDigest", Oid::new_unwrap("1.3.6.1.4.1.57264.1.10")),
    ("runnerEnvironment", Oid::new_unwrap("1.3.6.1.4.1.57264.1.11")),
    ("sourceRepositoryURI", Oid::new_unwrap("1.3.6.1.4.1.57264.1.12")),
    ("sourceRepositoryDigest", Oid::new_unwrap("1.3.6.1.4.1.57264.1.13")),
    ("sourceRepositoryRef", Oid::new_unwrap("1.3.6.1.4.1.57264.1.14")),
    ("sourceRepositoryIdentifier", Oid::new_unwrap("1.3.6.1.4.1.57264.1.15")),
    ("sourceRepositoryOwnerURI", Oid::new_unwrap("1.3.6.1.4.1.57264.1.16")),
    ("sourceRepositoryOwnerIdentifier", Oid::new_unwrap("1.3.6.1.4.1.57264.1.17")),
    ("buildConfigURI", Oid::new_unwrap("1.3.6.1.4.1.57264.1.18")),
    ("buildConfigDigest", Oid::new_unwrap("1.3.6.1.4.1.57264.1.19")),
    ("buildTrigger", Oid::new_unwrap("1.3.6.1.4.1.57264.1.20")),
    ("runInvocationURI", Oid::new_unwrap("1.3.6.1.4.1.57264.1.21")),
    ("sourceRepositoryVisibility", Oid::new_unwrap("1.3.6.1.4.1.57264.1.22")),
];

/// Fulcio's older extensions, of GitHub's workflows, whose value is the text itself; each with the end of cosign's flag
/// `--certificate-github-workflow-` for it.
pub const WORKFLOW_CLAIMS: [(&str, &str, Oid); 5] = [
    ("trigger", "githubWorkflowTrigger", Oid::new_unwrap("1.3.6.1.4.1.57264.1.2")),
    ("sha", "githubWorkflowSHA", Oid::new_unwrap("1.3.6.1.4.1.57264.1.3")),
    ("name", "githubWorkflowName", Oid::new_unwrap("1.3.6.1.4.1.57264.1.4")),
    ("repository", "githubWorkflowRepository", Oid::new_unwrap("1.3.6.1.4.1.57264.1.5")),
    ("ref", "githubWorkflowRef", Oid::new_unwrap("1.3.6.1.4.1.57264.1.6")),
];

/// The certificate that a bundle is signed with.
#[derive(Debug)]
pub struct SignerCertificate {
    pub(super) own: X509,
    pub(super) key: PublicKey,
    /// The certificates that came with it, without self-signed certificates.
    between: Vec<X509>,
}

/// Whose a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The subject alternative names: what kind, and the name.
    pub names: Vec<(&'static str, String)>,
    /// The OIDC issuer of the identity; `None` if the certificate doesn't name it.
    pub issuer: Option<String>,
    /// What else Fulcio says of the build, by the names of its documentation.
    pub claims: BTreeMap<&'static str, String>,
}

impl SignerCertificate {
    /// Reads a certificate and those that came with it, and skips self-signed certificates.
    ///
    /// # Errors
    ///
    /// It is none, its key can't be used or isn't for signatures, or something that is not a certificate came with it.
    pub fn parse(der: &[u8], others: &[Vec<u8>]) -> Result<Self, CertificateError> {
        let own = X509::parse(der)?;
        let parsed = &own.parsed;
        let mut between = others.iter().map(|der| X509::parse(der)).collect::<Result<Vec<_>, _>>()?;
        // A root: it is self-signed, and only the trusted root decides whether it is trusted.
        between.retain(|other| !other.is_self_issued());
        let usage = extension::<x509_cert::ext::pkix::KeyUsage>(parsed, "key usage")?;
        if usage.is_some_and(|usage| !usage.digital_signature()) {
            return Err(CertificateError::KeyUsage);
        }
        // An authority that doesn't say what it issues certificates for may issue any; the signer's must say it.
        match extension::<ExtendedKeyUsage>(parsed, "extended key usage")? {
            None => return Err(CertificateError::NoExtendedKeyUsage),
            Some(usage) if !usage.0.contains(&CODE_SIGNING) => {
                return Err(CertificateError::ExtendedKeyUsage);
            }
            Some(_) => {}
        }
        let key = PublicKey::from_der(&spki(parsed)?).map_err(CertificateError::Key)?;
        Ok(Self { own, key, between })
    }

    /// The key in it.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Since when it is valid.
    pub(super) fn not_before(&self) -> Timestamp {
        time(&self.own.parsed.tbs_certificate.validity.not_before)
    }

    /// Checks its validity at a time.
    pub(super) fn valid_at(&self, at: Timestamp) -> Result<(), CertificateError> {
        valid_at(&self.own.parsed, at)
    }

    /// Checks that it led to an authority of the trusted root at a time; gives the key of whoever issued it.
    pub(super) fn verify_at(
        &self,
        at: Timestamp,
        trust: &TrustMaterial,
        effort: &Effort,
    ) -> Result<Vec<u8>, CertificateError> {
        self.valid_at(at)?;
        let search = Search { between: &self.between, at, usage: &CODE_SIGNING, effort };
        let mut failed = CertificateError::NoAuthority { at };
        for authority in trust.authorities.iter().filter(|authority| authority.valid_at(at)) {
            match search.path(&self.own, authority) {
                Ok(issuer) => return Ok(issuer),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Whose it is, as far as it says so itself.
    ///
    /// # Errors
    ///
    /// A part that can't be read, or two that contradict each other.
    pub fn identity(&self) -> Result<Identity, CertificateError> {
        let names = extension::<SubjectAltName>(&self.own.parsed, "subject alternative name")?;
        let names = names.iter().flat_map(|names| &names.0).filter_map(name);
        // An empty name is not an identity, and an empty issuer counts as absent.
        let names = names.filter(|(_, name)| !name.is_empty()).collect();
        let v2 = utf8(&self.own.parsed, FULCIO_ISSUER_V2)?;
        let v1 = raw(&self.own.parsed, FULCIO_ISSUER_V1)
            .map(|bytes| std::str::from_utf8(bytes).map(str::to_owned))
            .transpose()
            .map_err(|_| CertificateError::Identity { what: "issuer" })?;
        if let (Some(v1), Some(v2)) = (&v1, &v2)
            && v1 != v2
        {
            return Err(CertificateError::TwoIssuers);
        }
        let mut claims = BTreeMap::new();
        for (name, oid) in CLAIMS {
            if let Some(value) = utf8(&self.own.parsed, oid)? {
                claims.insert(name, value);
            }
        }
        for (_, name, oid) in WORKFLOW_CLAIMS {
            if let Some(value) = raw(&self.own.parsed, oid).and_then(|value| std::str::from_utf8(value).ok())
            {
                claims.insert(name, value.to_owned());
            }
        }
        Ok(Identity { names, issuer: v2.or(v1).filter(|issuer| !issuer.is_empty()), claims })
    }
}

pub(super) fn parse(der: &[u8]) -> Result<Certificate, CertificateError> {
    Certificate::from_der(der).map_err(|error| CertificateError::Malformed(error.to_string()))
}

/// The DER of a certificate's key.
pub(super) fn spki(certificate: &Certificate) -> Result<Vec<u8>, CertificateError> {
    let key = &certificate.tbs_certificate.subject_public_key_info;
    key.to_der().map_err(|error| CertificateError::Malformed(error.to_string()))
}

/// Whether a certificate may issue others.
pub(super) fn is_ca(certificate: &Certificate) -> bool {
    matches!(certificate.tbs_certificate.get::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
}

pub(super) fn valid_at(certificate: &Certificate, at: Timestamp) -> Result<(), CertificateError> {
    let validity = &certificate.tbs_certificate.validity;
    let (from, to) = (time(&validity.not_before), time(&validity.not_after));
    // A certificate's times are whole seconds, and the last second belongs to it.
    let second = at.as_second();
    if from.as_second() <= second && second <= to.as_second() {
        Ok(())
    } else {
        Err(CertificateError::Validity { at, from, to })
    }
}

fn time(time: &Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn extension<'a, T>(certificate: &'a Certificate, what: &'static str) -> Result<Option<T>, CertificateError>
where
    T: x509_cert::der::Decode<'a> + x509_cert::der::oid::AssociatedOid,
{
    let found = certificate.tbs_certificate.get::<T>();
    found.map(|found| found.map(|(_, value)| value)).map_err(|_| CertificateError::Identity { what })
}

fn raw(certificate: &Certificate, oid: Oid) -> Option<&[u8]> {
    let mut extensions = certificate.tbs_certificate.extensions.iter().flatten();
    extensions.find(|extension| extension.extn_id == oid).map(|extension| extension.extn_value.as_bytes())
}

fn utf8(certificate: &Certificate, oid: Oid) -> Result<Option<String>, CertificateError> {
    let text =
        raw(certificate, oid).map(|der| Utf8StringRef::from_der(der).map(|text| text.as_str().to_owned()));
    text.transpose().map_err(|_| CertificateError::Identity { what: "Fulcio extension" })
}

fn name(name: &GeneralName) -> Option<(&'static str, String)> {
    match name {
        GeneralName::Rfc822Name(name) => Some(("email", name.as_str().to_owned())),
        GeneralName::DnsName(name) => Some(("DNS", name.as_str().to_owned())),
        GeneralName::UniformResourceIdentifier(name) => Some(("URI", name.as_str().to_owned())),
        GeneralName::OtherName(other) if other.type_id == FULCIO_OTHER_NAME => {
            other.value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| ("name", text.as_str().to_owned()))
        }
        _ => None,
    }
}

impl Identity {
    /// The names, for an error.
    pub(super) fn shown(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(|(_, name)| name.as_str()).collect();
        let names = names.join(", ");
        if names.is_empty() { "nobody's".to_owned() } else { format!("\"{}\"", foreign::escape(&names, 300)) }
    }
}
