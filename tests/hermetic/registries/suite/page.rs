//! docs/registries.md: its rows are compared with what was found, or written anew with `BLESS=1`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::features::{COLUMNS, Results};

/// Only one test at a time reads and writes the page.
static PAGE: Mutex<()> = Mutex::new(());

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each crate of tests fills one of them")]
pub(crate) enum Table {
    /// Registries that the embedded registry imitates.
    Imitated,
    /// The products themselves.
    Real,
}

impl Table {
    /// The name of the generated part.
    const fn mark(self) -> &'static str {
        match self {
            Self::Imitated => "imitated registries",
            Self::Real => "real registries",
        }
    }

    /// How the rows are written anew.
    const fn command(self) -> &'static str {
        match self {
            Self::Imitated => "BLESS=1 cargo test --test hermetic registries::",
            Self::Real => "BLESS=1 tests/peers/run suite_on",
        }
    }
}

/// A row: the product, its version, and a cell for each column.
pub(crate) type Row = Vec<String>;

/// The row of a product.
pub(crate) fn row(product: &str, version: &str, results: &Results) -> Row {
    [product.to_owned(), version.to_owned()].into_iter().chain(results.cells()).collect()
}

/// The row of a product, as the page has it.
#[allow(dead_code, reason = "the crate of the real products has no use for it")]
pub(crate) fn on_page(table: Table, product: &str, version: &str) -> Option<Row> {
    let _one_at_a_time = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(path()).unwrap();
    let (_, rest) = text.split_once(&format!("<!-- generated: {} -->\n", table.mark())).unwrap();
    let (part, _) = rest.split_once("<!-- end -->").unwrap();
    part.lines().map(cells).find(|row| row[0] == product && row[1] == version)
}

/// Compares every row of `table`, which has these and no others.
#[allow(dead_code, reason = "the crate of the real products fills single rows")]
pub(crate) fn has_exactly(table: Table, rows: &[Row]) {
    compare(table, |_| rows.to_vec());
}

/// Compares the row of one product; other rows stay.
pub(crate) fn has(table: Table, row: &Row) {
    compare(table, |mut rows| {
        // Rows of other columns than today's are out of date.
        rows.retain(|other| other.len() == row.len());
        match rows.iter_mut().find(|other| other[..2] == row[..2]) {
            Some(other) => other.clone_from(row),
            None => {
                rows.push(row.clone());
                rows.sort_by_key(|row| (row[0].to_lowercase(), row[1].clone()));
            }
        }
        rows
    });
}

fn compare(table: Table, change: impl FnOnce(Vec<Row>) -> Vec<Row>) {
    replace(table.mark(), table.command(), |old| {
        let rows = old.lines().skip(2).map(cells).collect();
        let mut text = line(&headings());
        text.push_str(&line(&vec!["---".to_owned(); headings().len()]).replace(' ', ""));
        for row in change(rows) {
            assert_eq!(row.len(), headings().len(), "{row:?}");
            assert!(row.iter().all(|cell| !cell.is_empty()), "a cell is empty: {row:?}");
            text.push_str(&line(&row));
        }
        text
    });
}

/// Compares the generated part `mark` of the page with what `make` makes of it, or writes it.
pub(crate) fn replace(mark: &str, command: &str, make: impl FnOnce(&str) -> String) {
    let _one_at_a_time = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(path()).unwrap();
    let begin = format!("<!-- generated: {mark} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("the page has no part {mark}"));
    let (old, after) = rest.split_once("<!-- end -->").unwrap();
    let new = make(old);
    if std::env::var_os("BLESS").is_some() {
        fs::write(path(), format!("{before}{begin}{new}<!-- end -->{after}")).unwrap();
        return;
    }
    let differences: Vec<String> = new
        .lines()
        .filter(|line| !old.lines().any(|other| other == *line))
        .map(|line| format!("+ {line}"))
        .chain(
            old.lines()
                .filter(|line| !new.lines().any(|other| other == *line))
                .map(|line| format!("- {line}")),
        )
        .collect();
    assert!(
        old == new,
        "docs/registries.md says otherwise; {command} writes it:\n{}",
        differences.join("\n")
    );
}

/// The page.
fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registries.md")
}

fn headings() -> Row {
    let fixed = ["product", "version"];
    fixed.into_iter().chain(COLUMNS.iter().map(|column| column.heading)).map(str::to_owned).collect()
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn cells(line: &str) -> Row {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
}
