//! One suite on registries that answer like real products: what Stepseal does on each is what docs/registries.md says.
//!
//! `personality.rs` says what a personality is, and `personalities/` has one file for each product. `suite/` has the features,
//! which tests/peers tries on the products themselves too; `imitated.rs` is a personality as the suite sees it.

mod imitated;
mod listed;
pub(crate) mod personalities;
mod pinned;
mod records;
mod settings;
mod suite;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kit::personality::{Personality, Rules, Setting};
use imitated::Imitated;
use personalities::ALL;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};
use suite::features;
use suite::page::{self, Row, Table};

/// How many personalities are tried at once: a run waits for its registry as often as it computes.
const AT_ONCE: usize = 4;

#[test]
fn each_personality_starts_and_is_told_apart() {
    let mut names = std::collections::BTreeSet::new();
    for personality in ALL {
        let registry = EmbeddedRegistry::start_blocking((personality.options)()).expect("a free port");
        (personality.install)(&registry, Rules { immutable_tags: personality.has_immutable_tags });
        assert!(names.insert((personality.product, personality.version)), "{} twice", personality.product);
        assert!(!(personality.repository)("app").is_empty());
        assert!(personality.settings.iter().all(|setting| {
            !setting.variable.is_empty() && !setting.value.is_empty() && !setting.reason.is_empty()
        }));
        assert!(personality.notes.iter().all(|note| note.ends_with('.')), "{}", personality.product);
    }
    // As users look for their product.
    assert!(ALL.is_sorted_by_key(|personality| personality.product.to_lowercase()), "sort ALL by product");
}

/// Every feature on every personality. `PERSONALITY=Harbor` tries one product alone, and prints its row.
#[test]
fn every_feature_on_every_personality_is_as_the_page_says() {
    let wanted = std::env::var("PERSONALITY").ok();
    let tried: Vec<_> = ALL
        .iter()
        .filter(|personality| wanted.as_deref().is_none_or(|wanted| personality.product == wanted))
        .collect();
    let rows: Vec<Mutex<Row>> = tried.iter().map(|_| Mutex::default()).collect();
    let wrong = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(personality) = tried.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = tried.iter().position(|other| std::ptr::eq(*other, *personality)).unwrap();
                    let site = Imitated::start(**personality, Rules::default());
                    let results = features::run(&site);
                    let named =
                        results.wrong().into_iter().map(|wrong| format!("{}: {wrong}", personality.product));
                    wrong.lock().unwrap().extend(named);
                    *rows[at].lock().unwrap() = page::row(personality.product, personality.version, &results);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let rows: Vec<Row> = rows.into_iter().map(|row| row.into_inner().unwrap()).collect();
    match wanted {
        None => page::has_exactly(Table::Imitated, &rows),
        Some(_) => rows.iter().for_each(|row| page::has(Table::Imitated, row)),
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A registry that takes no signatures beside images: what works is told with the setting that it takes.
#[test]
fn a_setting_that_is_needed_is_named() {
    let needs_a_place = Personality {
        product: "a mirror",
        version: "1",
        options: || Options { auth: Auth::Basic, ..Options::default() },
        install: |registry, _| {
            registry.faults().answer_instead(|asked| {
                let writes = !matches!(asked.method.as_str(), "GET" | "HEAD");
                let is_elsewhere = asked.path_and_query.starts_with("/v2/signatures/");
                (writes && !is_elsewhere)
                    .then(|| crate::kit::answers::error(405, "UNSUPPORTED", "this is a mirror"))
            });
        },
        repository: str::to_owned,
        has_immutable_tags: false,
        settings: &[Setting {
            variable: "STEPSEAL_STORAGE_OCI_REPOSITORY",
            value: "HOST/signatures",
            reason: "It takes no pushes elsewhere.",
        }],
        notes: &[],
    };
    let site = Imitated::start(needs_a_place, Rules::default());
    let results = features::run_columns(&site, &features::COLUMNS[..1]);
    assert_eq!(results.cells(), ["works with `STEPSEAL_STORAGE_OCI_REPOSITORY`"]);
    let useless = Personality { settings: &[], ..needs_a_place };
    let results = features::run_columns(&Imitated::start(useless, Rules::default()), &features::COLUMNS[..1]);
    assert_eq!(results.cells(), ["exit 1, `405 UNSUPPORTED: this is a mirror`"]);
}
