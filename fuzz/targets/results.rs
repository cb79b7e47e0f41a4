//! Tekton results, as any step may have written them, up to the plan: names and values in, a verdict out.
//!
//! The input is a sequence of `NAME 0x00 VALUE 0x01`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::hint::{Discovered, Hint, Scope, classify, parse_value};
use stepseal::oci::ImageRef;
use stepseal::plan::{PlanOptions, describe, plan};

fuzz_target!(|bytes: &[u8]| {
    let mut discovered = Discovered::default();
    for result in bytes.split(|byte| *byte == 1) {
        let mut parts = result.splitn(2, |byte| *byte == 0);
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let kind = classify(name);
        let value = parse_value(&kind, value);
        let name = String::from_utf8_lossy(name).into_owned();
        discovered.hints.push(Hint { scope: Scope::Task, name, kind, value });
    }
    let options = PlanOptions::default();
    let made = plan(&discovered, &options);
    assert_eq!(made, plan(&discovered, &options), "the same hints give the same plan");
    for planned in &made.images {
        assert_eq!(planned.image.to_string().parse::<ImageRef>().as_ref(), Ok(&planned.image));
    }
    // What is shown of results can't move the cursor.
    for text in
        made.problems.iter().map(|problem| &problem.what).chain(made.notes.iter().map(|note| &note.what))
    {
        assert!(!text.chars().any(|c| c.is_control()), "{text:?}");
    }
    assert!(!describe(&made).iter().any(|line| line.contains(char::is_control)));
});
