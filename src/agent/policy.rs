//! What the agent signs: its own rules, which no request can change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Asked, Kind, Ledger, Refusal};
use crate::oci;
use crate::oci::{Pattern, PlainHttp, Repository};

/// The rules, and how many signatures were given under them.
#[derive(Debug)]
pub struct Policy {
    kinds: Vec<Kind>,
    allow: Vec<Pattern>,
    plain_http: PlainHttp,
    most: u64,
    given: AtomicU64,
    ledger: Option<Arc<Ledger>>,
}

impl Policy {
    /// Rules: these kinds, in repositories that one of `allow` covers (any, if it is empty), at most `most` signatures.
    pub fn new(kinds: Vec<Kind>, allow: Vec<Pattern>, most: u64) -> Self {
        let plain_http = PlainHttp::default();
        Self { kinds, allow, plain_http, most, given: AtomicU64::new(0), ledger: None }
    }

    /// The same rules, where port 80 is the default one of these registries.
    #[must_use]
    pub(crate) fn over_plain_http(self, plain_http: PlainHttp) -> Self {
        Self { plain_http, ..self }
    }

    /// The same rules, with the signatures counted on from what `ledger` holds. Without one the count begins at zero.
    #[must_use]
    pub(crate) fn counted_in(self, ledger: Ledger) -> Self {
        Self { given: AtomicU64::new(ledger.count()), ledger: Some(Arc::new(ledger)), ..self }
    }

    /// Where the count is kept.
    pub(super) fn ledger(&self) -> Option<Arc<Ledger>> {
        self.ledger.clone()
    }

    /// The longest body of a request that can lead to a signature, in bytes.
    pub(crate) fn max_body_bytes(&self) -> usize {
        self.kinds.iter().map(|kind| kind.max_body_bytes()).max().unwrap_or_default()
    }

    /// The kinds that are signed.
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// How many signatures were given.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// How many signatures are given at most.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Whether this may be signed at all. Nothing is counted yet.
    ///
    /// # Errors
    ///
    /// The first rule that is against it.
    pub fn judge(&self, asked: &Asked) -> Result<(), Refusal> {
        if !self.kinds.contains(&asked.kind) {
            return Err(Refusal::Kind { kind: asked.kind, allowed: self.kinds.clone() });
        }
        let images = asked.images.iter().map(|image| &image.repository);
        if let Some(repository) = images.chain(&asked.names).find(|repository| !self.allows(repository)) {
            return Err(Refusal::Repository { repository: repository.to_string() });
        }
        if self.given() >= self.most {
            return Err(Refusal::Limit { most: self.most });
        }
        Ok(())
    }

    fn allows(&self, repository: &Repository) -> bool {
        oci::allows(&self.allow, repository, &self.plain_http)
    }

    /// Takes one of the signatures that are left. It is given back unless it is kept.
    ///
    /// # Errors
    ///
    /// There is none left.
    pub fn take(&self) -> Result<Taken<'_>, Refusal> {
        let next = |given: u64| (given < self.most).then_some(given + 1);
        match self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(before) => Ok(Taken { policy: self, number: before + 1, kept: false }),
            Err(_) => Err(Refusal::Limit { most: self.most }),
        }
    }
}

/// A signature that may be given.
#[derive(Debug)]
pub struct Taken<'a> {
    policy: &'a Policy,
    number: u64,
    kept: bool,
}

impl Taken<'_> {
    /// How many signatures there are with this one. Never less than those that were given: each was taken before it was given,
    /// so the last taken signature saw all the others.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The signature was given.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.policy.given.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::remote::UnknownKind;

    #[test]
    fn a_signature_that_was_not_given_is_not_counted() {
        let policy = Policy::new(vec![Kind::Image], vec![], 2);
        policy.take().unwrap().keep();
        let second = policy.take().unwrap();
        assert!(matches!(policy.take(), Err(Refusal::Limit { most: 2 })));
        drop(second);
        assert_eq!(policy.given(), 1);
        policy.take().unwrap().keep();
        assert!(policy.take().is_err());
    }

    /// A pattern for one spelling of a name allows each other, and refuses every other name in each of its spellings.
    #[test]
    fn every_spelling_of_a_name_has_the_same_answer() {
        let all = crate::oci::spelling::spelled();
        for one in &all {
            let policy =
                Policy::new(vec![Kind::Image], vec![one.spellings.last().unwrap().parse().unwrap()], 1);
            for other in &all {
                for name in &other.spellings {
                    let want = one.canonical == other.canonical;
                    assert_eq!(policy.allows(&name.parse().unwrap()), want, "{} {name}", one.canonical);
                }
            }
        }
    }

    #[test]
    fn over_plain_http_port_80_is_the_default_one() {
        for (pattern, name, https, http) in [
            ("127.0.0.1/**", "127.0.0.1:80/x", false, true),
            ("127.0.0.1:80/**", "127.0.0.1/x", false, true),
            ("127.0.0.1:80/**", "127.0.0.1:443/x", false, false),
            ("docker.io/library/*", "docker.io:80/x", false, true),
            ("docker.io:80/library/x", "registry-1.docker.io/x", false, true),
            ("127.0.0.1/**", "127.0.0.1:5000/x", false, false),
        ] {
            let policy = || Policy::new(vec![Kind::Image], vec![pattern.parse().unwrap()], 1);
            let repository: Repository = name.parse().unwrap();
            let plain = PlainHttp::new(&[repository.registry().to_owned()]);
            assert_eq!(policy().allows(&repository), https, "{pattern} {name}");
            assert_eq!(policy().over_plain_http(plain).allows(&repository), http, "{pattern} {name}");
        }
    }

    #[test]
    fn the_longest_payload_fits_into_the_longest_body() {
        let longest = Kind::ALL.iter().map(|kind| kind.max_body_bytes()).max().unwrap();
        assert!(longest <= crate::sign::remote::wire::MAX_BODY_BYTES);
    }

    #[test]
    fn each_kind_has_its_word() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse::<Kind>(), Ok(kind));
        }
        assert_eq!("Image".parse::<Kind>(), Err(UnknownKind));
    }
}
