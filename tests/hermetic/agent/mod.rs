//! `stepseal agent` from outside: the binary on a socket, `sign --agent` and raw connections as its clients, and the embedded registry.

mod ending;
mod hostile;
mod interface;
mod kit;
mod limits;
mod pinned;
mod policy;
mod restart;
mod signing;
