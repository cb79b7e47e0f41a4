//! Sigstore bundles, good and bad: the corpus in `tests/data/bundles`, made by the private Sigstore here.
//!
//! A folder a case: `bundle.sigstore.json`, `README` (why; for a `_fail` also the check that refuses it), and where they differ from the corpus' own
//! `artifact`, `trusted_root.json`, `key.pub`, `flags`, `command`; other forms than a bundle have files of their own (`folder.rs`). `cargo test --test hermetic bundles:: -- --ignored corpus_is_written` writes it anew.

mod asn1;
mod attestations;
mod attested;
mod blob;
mod cases;
mod corpus;
mod detached;
mod flips;
mod folder;
mod forged;
mod github;
mod good;
mod hammer;
mod hashes;
mod hidden;
mod keys;
mod layers;
mod lines;
mod logged;
mod old;
mod recipe;
mod roots;
mod several;
mod shifted;
mod signing;
mod sigstore;
mod tolerated;
