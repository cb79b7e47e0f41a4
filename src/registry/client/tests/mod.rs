//! The client against servers that answer as the test says, over real sockets on loopback.

mod absence;
mod answers;
mod astray;
mod certificates;
mod client_certificates;
mod logins;
mod malformed;
mod named;
mod network;
mod other_hosts;
mod passwords;
mod points;
mod presence;
mod proxies;
mod redirects;
mod referrers;
mod retries;
pub(crate) mod server;
mod times;
mod token_questions;
mod token_services;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::explain::{Explain as _, Explanation};
use crate::net::SystemFiles;
use crate::oci::{MAX_MANIFEST_BYTES, Target};
use crate::registry::keychain::{Credential, Found, Login};
use crate::secret::Secret;
use server::Server;

/// In every password and token of these tests; must be in nothing that is shown.
const SECRET: &str = "hunter2";

/// The same logins for every repository.
#[derive(Debug, Default)]
struct Keys {
    logins: Vec<Credential>,
    asked: AtomicUsize,
}

impl Keychain for Keys {
    fn credentials<'a>(&'a self, _repository: &'a Repository) -> Found<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.logins.clone()) })
    }
}

/// A login with the password that [`password`] makes of the user's name.
fn login(user: &str) -> Credential {
    let login = Login::Basic { user: user.into(), password: Secret::from(format!("{SECRET}-{user}")) };
    Credential { login, origin: format!("entry \"{user}\" of config.json") }
}

fn keys(users: &[&str]) -> Arc<Keys> {
    Arc::new(Keys { logins: users.iter().map(|user| login(user)).collect(), asked: AtomicUsize::new(0) })
}

fn options() -> ClientOptions {
    let nowhere = |name: &str| std::path::PathBuf::from("/nonexistent").join(name);
    ClientOptions {
        request_limit: Duration::from_secs(5),
        files: SystemFiles {
            hosts: nowhere("hosts"),
            resolv_conf: nowhere("resolv.conf"),
            service_ca: nowhere("service-ca.crt"),
            certs_dirs: vec![nowhere("certs.d")],
        },
        ..ClientOptions::new(Instant::now() + Duration::from_secs(20))
    }
}

/// A client for a registry with plain HTTP.
fn client(server: &Server, users: &[&str]) -> Client {
    client_with(options(), server, users)
}

fn client_with(mut options: ClientOptions, server: &Server, users: &[&str]) -> Client {
    options.insecure.push(server.host());
    Client::new(options, keys(users)).unwrap()
}

fn tag(name: &str) -> Target {
    Target::Tag(name.to_owned())
}

/// The four facts, as the reader sees them; and none of them a secret.
fn shown(error: &RegistryError) -> String {
    let text = Explanation::of(error).to_string();
    assert!(!text.contains(SECRET), "{text}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    text
}
