//! Names of repositories and images: what is accepted is written back as it was understood.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::registry::reference::{Named, Repository};

fuzz_target!(|text: &str| {
    if let Ok(repository) = text.parse::<Repository>() {
        assert_eq!(repository.to_string().parse(), Ok(repository));
    }
    if let Ok(named) = text.parse::<Named>() {
        assert_eq!(named.repository.to_string().parse(), Ok(named.repository));
    }
});
