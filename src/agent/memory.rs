//! The agent's memory: what each part may have at most, and that all of it together fits its container.
//!
//! Each part has its share for itself. With one pool for all, look-ups in registries that hang would hold what bodies need.

use super::connections::MAX_CONNECTIONS;
use super::lookups::MAX_LOOKUPS;
use super::request::KEYS_BYTES;
use super::room::ROOM_BYTES;
use crate::sign::remote::wire::MAX_BODY_BYTES;

const MIB: usize = 1024 * 1024;

/// The program, with its key and the roots of TLS. Measured.
const PROGRAM_BYTES: usize = 10 * MIB;
/// A connection: its buffer, the beginning of its body and a piece of the rest.
const CONNECTION_BYTES: usize = 64 * 1024;
/// A look-up: the head of an answer, for which hyper has 408 KiB, and a body that isn't large.
const LOOKUP_BYTES: usize = 512 * 1024;
/// A large manifest: 4 MiB, and what hyper reads ahead.
const LARGE_MANIFEST_BYTES: usize = 9 * MIB / 2;
/// What is known of registries, as the client bounds it.
const ACCOUNTS_BYTES: usize = 8 * MIB;

/// Large manifests that are read at once.
pub const LARGE_MANIFESTS: usize = 2;

/// What the thread for long payloads has beside the room: the body in one piece, and then the payload or keys.
const WORKER_BYTES: usize = MAX_BODY_BYTES + KEYS_BYTES;

const ALL_BYTES: usize = PROGRAM_BYTES
    + MAX_CONNECTIONS * CONNECTION_BYTES
    + ROOM_BYTES
    + WORKER_BYTES
    + MAX_LOOKUPS * LOOKUP_BYTES
    + LARGE_MANIFESTS * LARGE_MANIFEST_BYTES
    + ACCOUNTS_BYTES;

/// The catalog's sidecar has 128 MiB. The rest is for what allocators keep.
const MOST_BYTES: usize = 100 * MIB;

const _: () =
    assert!(ALL_BYTES <= MOST_BYTES, "the shares of the agent's memory are more than its container has");
