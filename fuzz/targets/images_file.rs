//! A list of images (`--images-file`), which another step may have written.

#![no_main]

use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use stepseal::plan::{Identities, PlanOptions, plan};
use stepseal::tekton::from_file;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file takes bytes");
    match from_file(file.path()) {
        Ok(discovered) => {
            for identities in [Identities::Unused, Identities::Signed] {
                drop(plan(&discovered, &PlanOptions { identities, ..PlanOptions::default() }));
            }
        }
        // Whoever wrote the file may have made it a link to something that isn't theirs.
        Err(error) => assert!(error.to_string().len() < 1024),
    }
});
