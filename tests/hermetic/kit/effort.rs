//! How much of its longest tables a run of the tests tries.

/// How far apart the cases are that this run tries: 1 tries every case, as CI does, or anyone with `STEPSEAL_ALL_CASES` set.
///
/// A developer's run tries each `sample`th case of a table that takes most of a minute. Choose a number that shares no factor with
/// the width of the table, so that every row and every column has a case.
pub(crate) fn stride(sample: usize) -> usize {
    if ["CI", "STEPSEAL_ALL_CASES"].iter().any(|name| std::env::var_os(name).is_some()) { 1 } else { sample }
}
