//! Simple signing payloads and statements: what is accepted says each thing once, and says it to every reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::claim::Claim;
use stepseal::verify::statement::Statement;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(claim) = Claim::read(bytes) {
        // Written anew it says the same.
        let again = Claim::read(claim.document.to_string().as_bytes()).expect("it was one");
        assert_eq!(again, claim);
    }
    if let Ok(statement) = Statement::read_any(bytes) {
        assert!(!statement.predicate_type.is_empty());
    }
});
