//! One verdict: what `sign` and `attest` count as there already is what `verify` accepts.
//!
//! Another writer changes what we stored. If `verify` refuses it then, signing again puts a good one beside it, once, and changes
//! nothing of what is there; if `verify` accepts it, signing again adds nothing.

mod law;
mod random;
mod read_back;
mod scene;
mod table;
