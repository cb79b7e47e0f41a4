//! Personalities answer as the products do that `tests/peers` has asked: `answers/` has what those said.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::ALL;
use crate::registries::suite::page::{self, Table};
use crate::registries::suite::probe;

/// A product's record.
struct Record {
    product: &'static str,
    version: &'static str,
    /// The version that was asked.
    real: &'static str,
    file: &'static str,
    /// Requests that are answered otherwise. No client that pushes what it should makes them.
    unlike: &'static [&'static str],
}

/// What crane takes: any bytes under any digest, and the same upload twice. It does look for the manifests of an index.
const CRANE: &[&str] = &[
    "PUT the upload once more",
    "PUT manifests/OTHER-DIGEST",
    "PUT manifests/TAG of an index without its manifest",
];

/// What Gitea takes: any bytes under any digest. What is no JSON object is an error of its own.
const GITEA: &[&str] = &["PUT manifests/OTHER-DIGEST", "PUT manifests/TAG that is no manifest"];

const RECORDS: &[Record] = &[
    Record { product: "distribution", version: "2.8", real: "2.8", file: "distribution-2", unlike: &[] },
    Record { product: "distribution", version: "3", real: "3.1.2", file: "distribution-3", unlike: &[] },
    Record { product: "Gitea", version: "1.24", real: "1.24.0", file: "gitea", unlike: GITEA },
    Record { product: "crane registry serve", version: "0.22", real: "0.22.1", file: "crane", unlike: CRANE },
    Record {
        product: "go-containerregistry with the referrers API",
        version: "0.22",
        real: "0.22.1",
        file: "crane-with-referrers",
        unlike: CRANE,
    },
];

#[test]
fn personalities_answer_as_the_recorded_products() {
    let mut failures = Vec::new();
    for record in RECORDS {
        let personality = ALL
            .iter()
            .find(|personality| {
                (personality.product, personality.version) == (record.product, record.version)
            })
            .unwrap_or_else(|| panic!("there is no personality {} {}", record.product, record.version));
        let site = Imitated::start(*personality, Rules::default());
        let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            probe::compare(&site, record.file, record.unlike, false)
        }));
        if compared.is_err() {
            failures.push(record.file);
        }
    }
    assert!(failures.is_empty(), "otherwise than the real ones: {failures:?}");
}

/// What became of each feature on the product and on its personality, as docs/registries.md has it.
#[test]
fn features_end_on_personalities_as_on_the_products() {
    for record in RECORDS {
        let imitated = page::on_page(Table::Imitated, record.product, record.version).expect("a row");
        let real = page::on_page(Table::Real, record.product, record.real).expect("a row");
        assert_eq!(imitated[2..], real[2..], "{}", record.product);
    }
}
