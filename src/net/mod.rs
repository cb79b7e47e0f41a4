//! What both clients need of the network: name look-up, proxies, and when to try again.

mod address;
pub(crate) mod dns;
mod environment;
mod no_proxy;
pub mod proxy;
pub mod retry;

pub(crate) use address::{host, origin};
pub use environment::{Environment, SystemFiles};
