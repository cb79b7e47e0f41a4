//! Stage check: does what lies at an image count?
//!
//! For the `verify` commands, the flow looks for what lies there, and a [`Verdict`] says what of it counts, by
//! whom of the [`Trust`]ed it was made, and why the rest doesn't. `sign` and `attest` ask the same, with their own key, before they
//! sign and after they have written ([`Own`]): there is one verdict. That something lies in the right place says nothing.

pub mod attestation_type;
pub(crate) mod checks;
pub mod claim;
pub mod detached;
mod evidence;
pub mod judge;
pub mod own;
pub mod policy;
pub(crate) mod require;
pub mod run;
pub mod statement;
pub mod trust;

pub mod bundle;

pub use checks::{Check, Met};
pub use judge::{Demands, Good, Said, Verdict};
pub use own::Own;
pub use require::{Require, RequireError};
pub use trust::{Accepted, By, Signer, Trust};
