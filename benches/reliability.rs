//! What becomes of signatures when things go wrong, on real registries and beside cosign: `benches/reliability`.
//!
//! It makes docs/reliability.md whole from `storms/page.md` and what it sees, and fails where an image is reported as signed that
//! isn't, or a signature is lost without a word. It asserts nothing about time. `--quick` does a small part of it and writes no page.

#![allow(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement stops at the first thing that is wrong, and needs a part of what the tests share"
)]

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

#[path = "storms/faults.rs"]
mod faults;
#[path = "storms/gap.rs"]
mod gap;
#[path = "storms/killed.rs"]
mod killed;
#[path = "../tests/peers/kit/mod.rs"]
mod kit;
#[path = "../tests/peers/proxy/mod.rs"]
mod proxy;
#[path = "storms/stopped.rs"]
mod stopped;
#[path = "../tests/peers/storm.rs"]
mod storm;

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Scale {
    quick: bool,
    /// Images of a run in which all kinds of faults come together.
    many: usize,
    /// Images of each kind of fault on docker-registry.
    each: usize,
    /// Images of each kind of fault on the other registries.
    few: usize,
    /// Images that cosign signs for each kind of fault.
    cosign: usize,
    /// Runs that are killed, for each registry and form.
    kills: usize,
    /// Pairs of signers, one of them stopped, for each form.
    stops: usize,
    /// Images of which the gap is measured, for each row.
    gaps: usize,
    /// Pairs of signers that start at once, for each row.
    pairs: usize,
    /// How many runs work at the same time.
    at_once: usize,
}

const WHOLE: Scale = Scale {
    quick: false,
    many: 200,
    each: 200,
    few: 40,
    cosign: 10,
    kills: 200,
    stops: 40,
    gaps: 200,
    pairs: 60,
    at_once: 12,
};
const QUICK: Scale = Scale {
    quick: true,
    many: 6,
    each: 6,
    few: 3,
    cosign: 0,
    kills: 4,
    stops: 2,
    gaps: 8,
    pairs: 2,
    at_once: 8,
};

impl Scale {
    /// Does as much as flags say, for a machine that has less time: each is named like its figure here.
    fn reduce(&mut self, arguments: &[String]) {
        for pair in arguments.windows(2) {
            let figure = match pair[0].as_str() {
                "--many" => &mut self.many,
                "--each" => &mut self.each,
                "--few" => &mut self.few,
                "--cosign" => &mut self.cosign,
                "--kills" => &mut self.kills,
                "--stops" => &mut self.stops,
                "--gaps" => &mut self.gaps,
                "--pairs" => &mut self.pairs,
                _ => continue,
            };
            *figure = pair[1].parse().expect("a number");
        }
    }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let mut scale = if quick { QUICK } else { WHOLE };
    scale.reduce(&std::env::args().collect::<Vec<_>>());
    let mut page = include_str!("storms/page.md").to_owned();
    let mut fill = |name: &str, text: String| {
        println!("{text}");
        page = page.replace(&format!("{{{{{name}}}}}"), text.trim_end());
    };
    let begun = Instant::now();
    let say = |what: &str| eprintln!("{:>5} s  {what}", begun.elapsed().as_secs());
    fill("gap", gap::table(scale));
    say("the gap is measured");
    fill("killed", killed::table(scale));
    say("runs were killed");
    fill("stopped", stopped::table(scale));
    say("signers were stopped");
    let storms = faults::tables(scale);
    fill("kinds", storms.kinds);
    fill("together", storms.together);
    say("requests were broken");
    fill("few", scale.few.to_string());
    fill("each", scale.each.to_string());
    let flags: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    fill("command", format!("benches/reliability {}", flags.join(" ")).trim_end().to_owned());
    fill("minutes", begun.elapsed().as_secs().div_ceil(60).to_string());
    assert!(!page.contains("{{"), "a part of the page is missing");
    if !scale.quick {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md"), page).unwrap();
    }
}

/// Does all of `work` on some threads at the same time; the results in the order of the work.
fn all<W: Send, R: Send>(at_once: usize, work: Vec<W>, one: impl Fn(W) -> R + Sync) -> Vec<R> {
    let results: Mutex<Vec<Option<R>>> = Mutex::new(work.iter().map(|_| None).collect());
    let waiting = Mutex::new(work.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((number, work)) = next else { break };
                    let result = one(work);
                    results.lock().unwrap()[number] = Some(result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}
