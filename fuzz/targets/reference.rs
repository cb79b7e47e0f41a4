//! Names of repositories and images: what is accepted is written back as it was understood, has one canonical name, and a pattern
//! made of that name allows it. Patterns: one without a star is a name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::oci::Pattern;
use stepseal::oci::reference::{Named, Repository};

fuzz_target!(|text: &str| {
    if let Ok(repository) = text.parse::<Repository>() {
        let name = repository.canonical();
        let again: Repository = name.to_string().parse().expect("a canonical name is a name");
        assert_eq!(again.canonical(), name, "a canonical name is its own");
        for pattern in [name.to_string(), repository.to_string()] {
            let pattern: Pattern = pattern.parse().expect("a name is a pattern");
            assert!(pattern.allows(&name), "{pattern} allows {name}");
        }
        assert_eq!(repository.to_string().parse(), Ok(repository));
    }
    if let Ok(named) = text.parse::<Named>() {
        assert_eq!(named.repository.to_string().parse(), Ok(named.repository));
    }
    if let Ok(pattern) = text.parse::<Pattern>() {
        if !text.contains('*') {
            // Patterns have no limit of length, and may have blanks around them.
            if let Ok(repository) = text.trim().parse::<Repository>() {
                assert!(pattern.allows(&repository.canonical()), "{pattern} allows itself");
            }
        }
    }
});
