//! The body of a refusing answer, and of one that is no registry's: what a reader is shown of it is short
//! and can't move the cursor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::registry::client::refusal::{Said, read};

fuzz_target!(|bytes: &[u8]| {
    for content_type in [None, Some("application/json"), Some("text/html; charset=utf-8")] {
        let shown = match read(content_type, bytes) {
            Said::Errors(errors) => errors
                .iter()
                .map(|error| format!("{}: {} ({})", error.code, error.message, error.detail))
                .collect::<String>(),
            Said::Html { title } => title.unwrap_or_default().to_string(),
            Said::Text(text) => text.to_string(),
            Said::Nothing => String::new(),
            other => panic!("this target has not heard of {other:?}"),
        };
        assert!(shown.len() < 64 * 1024, "{} bytes", shown.len());
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
});
