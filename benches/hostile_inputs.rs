//! What refusing hostile inputs takes of memory and time: `benches/run`, or
//! `cargo test --locked --bench hostile_inputs [-- [--quick] [--top] [--stderr] PART-OF-A-NAME…]`.
//!
//! It runs the binary named by `STEPSEAL_BINARY` (default: the binary that cargo built) on each input of the corpus, prints a table, and
//! fails if a row is above the bars; with `--quick`, beside other work, time is printed and fails nothing. `--top` prints the
//! highest rows once more, `--stderr` what each command says. `hostile/mod.rs` says how to add a case.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement stops at the first thing that is wrong"
)]

use hostile::{MAX_MEMORY_KIB, MAX_SECONDS, Measured, Scene};

#[path = "hostile/mod.rs"]
mod hostile;

fn main() {
    let (flags, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    println!("| case | bytes | exit code | MiB | s | |");
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for case in hostile::cases().into_iter().filter(|case| wanted(&case.name)) {
        let scene = Scene::new();
        let job = (case.make)(&scene);
        let bytes = job.bytes;
        let measured = hostile::measure(job);
        println!("{}", row(&case.name, bytes, &measured));
        if flags.iter().any(|flag| flag == "--stderr") {
            println!("{}", measured.stderr);
        }
        rows.push((case.name, bytes, measured));
    }
    let quick = flags.iter().any(|flag| flag == "--quick");
    let fails = |measured: &Measured| if quick { measured.is_too_large() } else { measured.is_over() };
    let over = rows.iter().filter(|(.., measured)| fails(measured)).count();
    let memory = rows.iter().map(|(.., measured)| measured.peak_kib).max().unwrap_or_default();
    let seconds = rows.iter().map(|(.., measured)| measured.seconds).fold(0.0, f64::max);
    if flags.iter().any(|flag| flag == "--top") {
        rows.sort_by_key(|(.., measured)| std::cmp::Reverse(measured.peak_kib));
        println!("\nthe highest:");
        rows.iter().take(20).for_each(|(name, bytes, measured)| println!("{}", row(name, *bytes, measured)));
    }
    println!("\n{} cases, at most {} MiB and {seconds:.1} s", rows.len(), memory / 1024);
    assert!(over == 0, "{over} cases are above {} MiB or {MAX_SECONDS} s", MAX_MEMORY_KIB / 1024);
}

fn row(name: &str, bytes: u64, measured: &Measured) -> String {
    let Measured { code, peak_kib, seconds, .. } = measured;
    let code = code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
    let mark = if measured.is_over() { "**over**" } else { "" };
    format!("| {name} | {bytes} | {code} | {} | {seconds:.1} | {mark} |", peak_kib / 1024)
}
