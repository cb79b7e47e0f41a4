//! Several checks of one image at a time: each thing that is found there is read once, and judged for all of them.

use std::collections::HashMap;
use std::time::Instant;

use super::evidence::{Evidence, SignerNumbers};
use super::judge::{Asking, Demands, Verdict};
use super::require::Require;
use super::trust::Trust;
use crate::found::{HitPosition, SearchHit, SearchSink};
use crate::oci::ImageRef;

/// Whose signatures count, and what they must be.
#[derive(Clone, Debug)]
pub struct Check {
    /// Whose.
    pub trust: Trust,
    /// What.
    pub demands: Demands,
}

/// Whether these verdicts on an image, each with the number of its check, are good enough, so that what is found besides makes
/// no difference.
pub type Met<'a> = &'a (dyn Fn(&ImageRef, &[(usize, &Verdict)]) -> bool + Sync);

/// One check, and what it has come to so far.
pub(crate) struct Judging<'a> {
    /// The numbers of this check and of those that ask for the same.
    pub numbers: Vec<usize>,
    /// The check.
    pub check: &'a Check,
    /// The numbers of its signers.
    signers: Vec<usize>,
    /// What it has come to.
    pub verdict: Verdict,
}

impl<'a> Judging<'a> {
    /// The distinct members of `checks`: thousands of rules may ask for the same.
    pub(crate) fn all(checks: impl Iterator<Item = (usize, &'a Check)>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let (mut known, mut numbers) = (HashMap::new(), SignerNumbers::default());
        for (number, check) in checks {
            let signers = numbers.of(&check.trust);
            let Demands { annotations, predicate_type, requires } = &check.demands;
            let names: Vec<&str> = check.trust.signers.iter().map(|one| one.name.as_str()).collect();
            let requires: Vec<&str> = requires.iter().map(Require::text).collect();
            let asked = format!("{:?}", (&signers, names, annotations, predicate_type, requires));
            let at = *known.entry(asked).or_insert(all.len());
            match all.get_mut(at) {
                Some(same) => same.numbers.push(number),
                None => {
                    let verdict = Verdict::default();
                    all.push(Self { numbers: vec![number], check, signers, verdict });
                }
            }
        }
        all
    }
}

/// Judges what a search finds, for each of some checks.
pub(crate) struct Judge<'a, 'b> {
    /// Where it lies.
    pub image: &'a ImageRef,
    /// The checks.
    pub all: &'a mut [Judging<'b>],
    /// What is enough.
    pub met: Met<'a>,
    /// When nothing more is judged.
    pub deadline: Instant,
}

impl SearchSink for Judge<'_, '_> {
    fn see(&mut self, find: SearchHit) {
        let SearchHit { place, position, content } = find;
        let evidence = content.map(|content| Evidence::new(content).until(self.deadline));
        for Judging { check, signers, verdict, .. } in self.all.iter_mut() {
            // What isn't judged is said to be cut off.
            if Instant::now() >= self.deadline {
                return;
            }
            let asking = Asking { trust: &check.trust, numbers: signers, demands: &check.demands };
            verdict.judge(self.image, place.clone(), position, evidence.as_ref(), asking);
        }
    }

    fn copy(&mut self, of: HitPosition, place: String, position: HitPosition) {
        for Judging { verdict, .. } in self.all.iter_mut() {
            verdict.copy(of, place.clone(), position);
        }
    }

    fn others(&mut self, count: usize) {
        for Judging { verdict, .. } in self.all.iter_mut() {
            verdict.refused_count += count;
        }
    }

    fn is_enough(&mut self) -> bool {
        let all = self.all.iter();
        let all = all.flat_map(|one| one.numbers.iter().map(|number| (*number, &one.verdict)));
        (self.met)(self.image, &all.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// However many rules a policy has: what differs is judged, and no signer is verified twice.
    #[test]
    fn rules_that_ask_for_the_same_are_judged_once() {
        let rule = |name: usize, by: &str, more: &str| {
            format!(r#"{{"name":"{name}","images":["**"],"signature":{{"by":[{by}]{more}}}}}"#)
        };
        let identity = |name: &str| format!(r#""{name}":{{"identity":"{name}","issuer":"i"}}"#);
        let one = r#""a","b""#;
        let mut rules: Vec<String> = (0..50).map(|name| rule(name, one, "")).collect();
        for (name, (by, more)) in [
            (r#""b","a""#, ""),
            (r#""a""#, ""),
            (r#""a""#, r#","atLeast":1"#),
            (one, r#","maxAge":"1h""#),
            (one, r#","annotations":{"x":"y"}"#),
            (one, r#","log":false"#),
            (one, r#","timestamp":true"#),
        ]
        .into_iter()
        .enumerate()
        {
            rules.push(rule(100 + name, by, more));
        }
        let text = format!(
            r#"{{"version":1,"signers":{{{},{}}},"rules":[{}]}}"#,
            identity("a"),
            identity("b"),
            rules.join(",")
        );
        let policy = crate::verify::policy::Policy::read(text.as_bytes(), &|_| unreachable!()).unwrap();
        let checks: Vec<&Check> =
            policy.rules.iter().flat_map(|rule| &rule.needs).map(|need| &need.check).collect();
        let judging = Judging::all(checks.into_iter().enumerate());
        let numbers: Vec<usize> = judging.iter().map(|one| one.numbers.len()).collect();
        assert_eq!(numbers, [51, 1, 2, 1, 1, 1]);
        let signers: HashSet<usize> = judging.iter().flat_map(|one| one.signers.clone()).collect();
        assert_eq!(signers.len(), 6, "two signers, each with three demands");
    }
}
