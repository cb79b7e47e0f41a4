//! Proofs that an entry is in a Merkle tree: <https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2>.
//!
//! `sigstore-merkle` 0.15 does the same, but takes its SHA-256 from a provider of the whole process, and panics where none is installed.

use sha2::{Digest as _, Sha256};

use super::error::LogError;

/// The hash of an entry.
pub(super) fn leaf(entry: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree of `size` entries to which `hashes` lead from the `index`-th, whose hash is `leaf`.
///
/// # Errors
///
/// There is no such entry, or the proof is too short or too long for it.
pub(super) fn root(leaf: [u8; 32], index: u64, size: u64, hashes: &[[u8; 32]]) -> Result<[u8; 32], LogError> {
    if index >= size {
        return Err(LogError::ProofIndex { index, size });
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    let mut rest = hashes.iter();
    let mut used = 0;
    while last > 0 {
        // At the right edge a level may have no sibling; then the hash stands for the level above as it is.
        if place % 2 == 1 || place < last {
            let wanted = || LogError::ProofLength { found: hashes.len(), wanted: used + 1 };
            let sibling = rest.next().ok_or_else(wanted)?;
            hash = if place % 2 == 1 { node(sibling, &hash) } else { node(&hash, sibling) };
            used += 1;
        }
        place /= 2;
        last /= 2;
    }
    if used != hashes.len() {
        return Err(LogError::ProofLength { found: hashes.len(), wanted: used });
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree of RFC 9162 §2.1.1, by its definition.
    fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                node(&tree(left), &tree(right))
            }
        }
    }

    /// RFC 9162 §2.1.3.1, by its definition.
    fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut hashes, other) = if index < left.len() {
            (path(index, left), tree(right))
        } else {
            (path(index - left.len(), right), tree(left))
        };
        hashes.push(other);
        hashes
    }

    #[test]
    fn every_entry_of_every_small_tree_is_proven_and_nothing_else() {
        for size in 1..=20_usize {
            let leaves: Vec<[u8; 32]> =
                (0..size).map(|number| leaf(&[u8::try_from(number).unwrap()])).collect();
            let want = tree(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let hashes = path(index, &leaves);
                let at = |index: usize, size: usize, hashes: &[[u8; 32]]| {
                    root(*leaf, u64::try_from(index).unwrap(), u64::try_from(size).unwrap(), hashes).ok()
                };
                assert_eq!(at(index, size, &hashes), Some(want), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(at(other, size, &hashes), Some(want), "{index} as {other} of {size}");
                }
                assert_eq!(at(size, size, &hashes), None);
                let longer: Vec<[u8; 32]> = hashes.iter().copied().chain([[0; 32]]).collect();
                assert_eq!(at(index, size, &longer), None, "a hash too many");
                if let Some((_, shorter)) = hashes.split_last() {
                    assert_eq!(at(index, size, shorter), None, "a hash too few");
                }
                let reversed: Vec<[u8; 32]> = hashes.iter().rev().copied().collect();
                assert!(reversed == hashes || at(index, size, &reversed) != Some(want), "another order");
            }
        }
    }
}
