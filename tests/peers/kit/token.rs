//! A token service as docker-registry's `auth: token` wants it: Bearer tokens for a user name and password.
//!
//! Protocol: <https://distribution.github.io/distribution/spec/auth/token/>. A token is a JWT signed with
//! ES256 whose header carries the certificate (`x5c`) that the registry is configured to trust.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::scene::{PASSWORD, USER};

/// The `issuer` and `service` that both sides agree on.
pub(crate) const ISSUER: &str = "peers-token-service";
/// The service name of the tokens; see [`ISSUER`].
pub(crate) const SERVICE: &str = "peers-registry";
/// What a client with an `identitytoken` sends in place of a password.
pub(crate) const REFRESH_TOKEN: &str = "refresh-t0ken-KEEP-ME-OUT";

/// A running token service.
#[derive(Debug)]
pub(crate) struct TokenService {
    address: SocketAddr,
    /// The certificate that the registry trusts.
    pub(crate) certificate: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

struct Mint {
    key: SigningKey,
    certificate: String,
}

impl TokenService {
    /// Starts a service on a free loopback port; its certificate lies in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
        let path = folder.join("token.pem");
        std::fs::write(&path, certificate.pem()).unwrap();
        let mint = Mint {
            key: SigningKey::from_pkcs8_der(&pair.serialize_der()).unwrap(),
            certificate: STANDARD.encode(certificate.der()),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        // Ends with the test's process; it holds nothing but its port.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away in the middle is not this service's trouble.
                let _ = mint.answer(client, &log);
            }
        });
        Self { address, certificate: path, asked }
    }

    /// The realm that the registry sends clients to.
    ///
    /// It goes by a name: go-containerregistry refuses a realm that is a loopback address.
    pub(crate) fn realm(&self) -> String {
        format!("http://{}/token", self.host())
    }

    /// Its name and port. Over plain HTTP it gets no login unless it is named, as it isn't on the registry's host.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// The scopes that were asked for since the last call, one entry a token.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Mint {
    fn answer(&self, client: TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut form = Vec::new();
        Read::by_ref(&mut reader).take(length).read_to_end(&mut form)?;

        let query = match target.split_once('?') {
            Some((_, query)) if head.starts_with("GET ") => query.to_owned(),
            _ => String::from_utf8_lossy(&form).into_owned(),
        };
        let asked: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let field = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let known = match field("grant_type") {
            None => {
                header("authorization")
                    == Some(format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}"))))
            }
            Some("password") => field("username") == Some(USER) && field("password") == Some(PASSWORD),
            Some(_) => field("refresh_token") == Some(REFRESH_TOKEN),
        };
        let scopes: Vec<&str> = asked
            .iter()
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, value)| value.split(' '))
            .filter(|scope| !scope.is_empty())
            .collect();
        log.lock().unwrap().push(scopes.join(" "));
        let (status, body) = if known && field("service") == Some(SERVICE) {
            ("200 OK", json!({ "token": self.token(&scopes), "expires_in": 300 }))
        } else {
            ("401 Unauthorized", json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "who are you" }] }))
        };
        let body = body.to_string();
        write!(
            reader.get_mut(),
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn token(&self, scopes: &[&str]) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let access: Vec<_> = scopes
            .iter()
            .filter_map(|scope| {
                let (kind, rest) = scope.split_once(':')?;
                let (name, actions) = rest.rsplit_once(':')?;
                let actions: Vec<&str> = actions.split(',').collect();
                Some(json!({ "type": kind, "name": name, "actions": actions }))
            })
            .collect();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.certificate] });
        let claims = json!({
            "iss": ISSUER, "sub": USER, "aud": SERVICE, "jti": now.to_string(),
            "iat": now - 10, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
