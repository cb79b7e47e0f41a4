//! The shapes of hostile input that take most memory where nothing bounds it; `benches/hostile_inputs.rs` has the whole corpus.

use hostile::{MAX_MEMORY_KIB, Scene};

#[path = "../../benches/hostile/mod.rs"]
#[allow(dead_code, reason = "the measurements need more of the corpus than this test")]
mod hostile;

/// Each took from 250 MiB to 2.3 GiB before there were limits.
const WORST: [&str; 12] = [
    "verify-run: arrays in arrays",
    "verify-run: objects of a key",
    "verify-run: keys",
    "verify-run: YAML, keys",
    "verify-run: YAML, blocks in blocks",
    "verify-run: YAML, aliases of a long text",
    "verify-blob --bundle: log entries {}",
    "verify-blob --bundle: hashes",
    "verify-blob --bundle: signatures {}",
    "attest --predicate: keys",
    "plan --run: steps, an eighth",
    "sign --run: labels, all",
];

#[test]
fn the_worst_shapes_are_refused_in_little_memory() {
    let mut cases = hostile::cases();
    cases.retain(|case| WORST.contains(&case.name.as_str()));
    assert_eq!(cases.len(), WORST.len());
    for case in cases {
        let scene = Scene::new();
        let measured = hostile::measure((case.make)(&scene));
        assert!(
            measured.code.is_some_and(|code| code == 1 || code == 2),
            "{}: {:?}",
            case.name,
            measured.code
        );
        // More than nothing: it was looked at while it ran.
        assert!(
            (1024..=MAX_MEMORY_KIB).contains(&measured.peak_kib),
            "{}: {} KiB",
            case.name,
            measured.peak_kib
        );
        assert!(measured.stderr.contains("error: "), "{}: {}", case.name, measured.stderr);
    }
}
