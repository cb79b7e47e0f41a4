//! One thing that was found, read once and verified once for each signer, however many rules ask who made it.
//!
//! A policy may have thousands of rules, and a list thousands of entries: verifying each entry for each rule would take longer
//! than anyone waits, and what is good would not be found.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::bundle::{Bundle, Content as Signed, Signer};
use super::trust::{By, Distrust, Simple, Trust, enveloped};
use crate::formats::dsse::{self, Envelope};
use crate::found::{LayerAnnotations, SignatureContent};
use crate::key::Hash;

/// The numbers of signers, by which it is known who was asked for before: a signer that has another number differs in itself, or
/// in what has to come with its signatures.
#[derive(Debug, Default)]
pub(super) struct SignerNumbers(HashMap<SignerName, usize>);

/// Who a signer is, its demands for a log, a timestamp, a proof of logging, the form of a certificate and a hash, and the trust that it is
/// verified with.
type SignerName = (String, String, ([bool; 4], Option<Hash>), usize);

impl SignerNumbers {
    /// The numbers of the signers in `trust`, in their order.
    pub(super) fn of(&mut self, trust: &Trust) -> Vec<usize> {
        let material = Arc::as_ptr(&trust.material).addr();
        let signers = trust.signers.iter().map(|accepted| {
            let (one, two) = match &accepted.signer {
                Signer::Key(key) => (key.key_id(), "key".to_owned()),
                Signer::Identity(policy) => {
                    (policy.identity.to_string(), format!("identity {} {:?}", policy.issuer, policy.claims))
                }
            };
            let demands = [
                accepted.log_required,
                accepted.timestamp_required,
                accepted.ignore_sct,
                accepted.allow_certificate_chain,
            ];
            let demands = (demands, accepted.hash);
            let next = self.0.len();
            *self.0.entry((one, two, demands, material)).or_insert(next)
        });
        signers.collect()
    }
}

/// What was found, and who made it as far as that was asked.
pub(super) struct Evidence {
    read: Result<Read, Arc<Distrust>>,
    verified: RefCell<HashMap<usize, Result<By, Arc<Distrust>>>>,
    /// When nothing more is verified; `None`: at no time.
    deadline: Option<Instant>,
}

/// What it is.
enum Read {
    /// A simple signing payload and its signature.
    Simple { payload: Bytes, signature: Vec<u8>, simple: Simple, attached: Box<LayerAnnotations> },
    /// An envelope, and its bytes.
    Envelope { bytes: Bytes, envelope: Envelope, attached: Box<LayerAnnotations> },
    /// A bundle, and its bytes; the envelope in it once it is asked for.
    Bundle { bytes: Bytes, bundle: Box<Bundle>, envelope: OnceCell<Result<Envelope, Arc<Distrust>>> },
}

impl Evidence {
    /// Reads it.
    pub(super) fn new(content: SignatureContent) -> Self {
        let read = match content {
            SignatureContent::Simple { payload, signature, attached } => {
                let simple = Simple::new(&payload, &signature);
                Ok(Read::Simple { payload, signature, simple, attached })
            }
            SignatureContent::Envelope(bytes, attached) => match dsse::read(&bytes) {
                Ok(envelope) => Ok(Read::Envelope { bytes, envelope, attached }),
                Err(error) => Err(Arc::new(error.into())),
            },
            SignatureContent::Bundle(bytes) => match Bundle::parse(&bytes) {
                Ok(bundle) => Ok(Read::Bundle { bytes, bundle: Box::new(bundle), envelope: OnceCell::new() }),
                Err(error) => Err(Arc::new(error.into())),
            },
        };
        Self { read, verified: RefCell::default(), deadline: None }
    }

    /// The same, of which nothing is verified after this time.
    #[must_use]
    pub(super) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Who in `trust` made it; `numbers` are those of its signers.
    ///
    /// # Errors
    ///
    /// When it is nobody that is accepted, or what has to come with it isn't there.
    pub(super) fn by(&self, trust: &Trust, numbers: &[usize]) -> Result<By, Arc<Distrust>> {
        let read = self.read.as_ref().map_err(Arc::clone)?;
        trust.first(|at, accepted| {
            let number = numbers.get(at);
            let known = number.and_then(|number| self.verified.borrow().get(number).cloned());
            let by = match known {
                Some(known) => known,
                // It isn't remembered: who asks next has no time either.
                None if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return Err(Arc::new(Distrust::Time));
                }
                None => {
                    let by = match read {
                        Read::Simple { signature, simple, attached, .. } => {
                            trust.simple_by(accepted, simple, signature, attached)
                        }
                        Read::Envelope { bytes, envelope, attached } => {
                            trust.envelope_by(accepted, bytes, envelope, attached)
                        }
                        Read::Bundle { bundle, .. } => trust.bundle_by(accepted, bundle),
                    };
                    let by = by.map_err(Arc::new);
                    if let Some(number) = number {
                        self.verified.borrow_mut().insert(*number, by.clone());
                    }
                    by
                }
            };
            by.map(|by| By { name: accepted.name.clone(), ..by })
        })
    }

    /// The payload and the signature, of a simple signing payload.
    pub(super) fn simple(&self) -> Option<(&Bytes, &[u8])> {
        match &self.read {
            Ok(Read::Simple { payload, signature, .. }) => Some((payload, signature)),
            _ => None,
        }
    }

    /// The envelope; `None`: it is a simple signing payload.
    ///
    /// # Errors
    ///
    /// Why it can't be read.
    pub(super) fn envelope(&self) -> Result<Option<&Envelope>, Arc<Distrust>> {
        match self.read.as_ref().map_err(Arc::clone)? {
            Read::Simple { .. } => Ok(None),
            Read::Envelope { envelope, .. } => Ok(Some(envelope)),
            Read::Bundle { bytes, bundle, envelope } => {
                let read = || {
                    let mut read = enveloped(bytes).map_err(Arc::new)?;
                    // It may have many megabytes: one of the two is enough.
                    if let Signed::Dsse(same) = &bundle.content
                        && *same.shared_payload() == read.payload
                    {
                        read.payload = same.shared_payload().clone();
                    }
                    Ok(read)
                };
                envelope.get_or_init(read).as_ref().map(Some).map_err(Arc::clone)
            }
        }
    }
}
