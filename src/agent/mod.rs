//! `stepseal agent`: holds the key beside steps that never see it, and signs for them over a Unix socket.
//!
//! The agent trusts no step. A request goes through it like this:
//!
//! 1. `request.rs` reads what is to be signed and finds out what it says, byte for byte: a payload that says more or
//!    something else than this program would write is refused;
//! 2. `policy.rs` decides: the kind of artifact, the repositories, how many signatures there may be;
//! 3. each image is looked up in its registry, with the agent's own credentials;
//! 4. the key signs, and `log.rs` writes the decision as one line of JSON.
//!
//! `service.rs` has the routes and these steps, `body.rs` and `room.rs` how much of requests is held, `lookups.rs` whose turn it is to be looked up, `memory.rs` what each of them may have at most, `ledger.rs` the count of signatures,
//! `worker.rs` the thread for long payloads, `server.rs` the socket and the end, `connections.rs` who must make way for a new client. The messages are
//! [`wire`](crate::sign::remote::wire)'s, which the client uses too.

mod body;
mod connections;
mod ledger;
mod log;
mod lookups;
mod memory;
mod pace;
mod policy;
mod refusal;
pub mod request;
mod room;
mod server;
mod service;
mod socket;
mod start;
mod worker;

pub use crate::sign::remote::{Kind, UnknownKind};
pub use ledger::{Ledger, LedgerError};
pub use log::{Log, Peer};
pub use memory::LARGE_MANIFESTS;
pub use policy::Policy;
pub use refusal::{Malformed, Refusal};
pub use request::Asked;
pub use server::{Ended, serve};
pub use service::{Agent, ROUTES, Route};
pub use socket::{Socket, SocketError};
pub(crate) use start::live;
