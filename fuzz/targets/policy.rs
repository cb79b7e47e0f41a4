//! Policy files: whatever is in one, it is a policy or an error with a place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::policy::Policy;

fuzz_target!(|bytes: &[u8]| {
    match Policy::read(bytes, &|_| Err("no files here".to_owned())) {
        Ok(policy) => {
            for rule in &policy.rules {
                assert!(!rule.name.is_empty() && !rule.needs.is_empty(), "a rule that demands nothing");
                assert!(
                    rule.needs.iter().all(|need| !need.check.trust.signers.is_empty() && need.at_least > 0)
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
