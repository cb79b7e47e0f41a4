//! A registry that repeats the logins and tokens that it was sent, in every spelling, in a place of its answers.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;
use stepseal::oci::Digest;

/// Secrets whose spellings all differ; `SECRET` is in each as it is, percent-encoded, and escaped in JSON.
pub(crate) const PASSWORD: &str = "pa\"5/ä+%S3kr1t>>??";
pub(crate) const IDENTITY: &str = "id\"5/ä+%S3kr1t>>??";
const TOKEN: &str = "to-5/+~S3kr1t";
const SECRET: &str = "s3kr1t";

/// How a registry takes logins, and so what it can repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The password, and both in base64.
    Basic,
    /// Those too, and the token.
    Token,
    /// The refresh token, and the token.
    Identity,
}

/// Where the secrets are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Code,
    Message,
    Denied,
    OtherJson,
    Text,
    Title,
    TitleOfASuccess,
    /// Asked again until the time is over, which the log tells.
    Busy,
    Realm,
    UnusableRealm,
    Redirect,
    UnusableRedirect,
    Upload,
    TokenService,
    TokenServiceBusy,
    TokenServiceRedirect,
}

pub(crate) struct Echo {
    pub(crate) host: String,
    pub(crate) image: String,
    sent: Arc<Mutex<BTreeSet<String>>>,
}

struct Asked {
    line: String,
    authorization: String,
    body: String,
}

impl Echo {
    pub(crate) fn start(kind: Kind, place: Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let sent: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (own, log) = (host.clone(), Arc::clone(&sent));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let Some(asked) = read(&stream) else { continue };
                let spellings = {
                    let mut log = log.lock().unwrap();
                    log.extend(secrets(&asked));
                    log.iter().flat_map(|secret| spellings(secret)).collect::<Vec<_>>()
                };
                let reply = answer(&own, kind, place, &asked, &spellings);
                let _ = stream.write_all(reply.as_bytes());
            }
        });
        let image = format!("{host}/team/app@{}", Digest::of(MANIFEST.as_bytes()));
        Self { host, image, sent }
    }

    /// Asserts that it was sent secrets, and that none of them is in `text`.
    #[track_caller]
    pub(crate) fn is_hidden_in(&self, text: &str, what: &str) {
        let lower = text.to_lowercase();
        let sent = self.sent.lock().unwrap();
        assert!(!sent.is_empty(), "{what}: nothing was sent");
        for spelling in sent.iter().flat_map(|secret| spellings(secret)) {
            // Also the beginning of one that was cut.
            let shown = spelling.to_lowercase().chars().take(12).collect::<String>();
            assert!(!lower.contains(&shown), "{what}: {spelling} is shown:\n{text}");
        }
        assert!(!lower.contains(SECRET), "{what}: a secret is shown:\n{text}");
    }
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;

/// What a request carries: the password with its user, the token, the refresh token.
fn secrets(asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(basic) = asked.authorization.strip_prefix("Basic ") {
        let login = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
        found.extend([login.split_once(':').unwrap().1.to_owned(), login]);
    }
    found.extend(asked.authorization.strip_prefix("Bearer ").map(str::to_owned));
    let fields = url::form_urlencoded::parse(asked.body.as_bytes());
    found.extend(fields.filter(|(name, _)| name == "refresh_token").map(|(_, value)| value.into_owned()));
    found
}

/// A secret as it is, in base64, percent-encoded and escaped for JSON.
fn spellings(secret: &str) -> Vec<String> {
    let json = json!(secret).to_string();
    let mut all = vec![
        secret.to_owned(),
        percent(secret),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json.trim_matches('"').to_owned(),
        json.trim_matches('"').replace('ä', "\\u00e4").replace('>', "\\u003E"),
    ];
    all.extend(
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|alphabet| alphabet.encode(secret)),
    );
    all.sort();
    all.dedup();
    all
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn answer(host: &str, kind: Kind, place: Place, asked: &Asked, spellings: &[String]) -> String {
    if asked.line.contains(" /token") {
        return token_service(host, place, spellings);
    }
    let ready = match kind {
        Kind::Basic => !asked.authorization.is_empty(),
        Kind::Token | Kind::Identity => asked.authorization.starts_with("Bearer "),
    };
    let addresses = spellings.iter().map(|text| percent(text)).collect::<Vec<_>>().join("/");
    let challenge = match kind {
        _ if ready && place == Place::Realm => format!("Bearer realm=\"http://localhost:1/{addresses}\""),
        _ if ready && place == Place::UnusableRealm => format!("Bearer realm=\"ftp://{host}/{addresses}\""),
        Kind::Basic => "Basic realm=\"x\"".to_owned(),
        Kind::Token | Kind::Identity => format!("Bearer realm=\"http://{host}/token\""),
    };
    if !ready || matches!(place, Place::Realm | Place::UnusableRealm) {
        return reply("401 X", &[("WWW-Authenticate", &challenge)], "");
    }
    repeated(place, asked, spellings, &addresses)
}

fn repeated(place: Place, asked: &Asked, spellings: &[String], addresses: &str) -> String {
    let all = spellings.join(" ");
    let errors =
        |code: &str, message: &str| json!({"errors": [{"code": code, "message": message}]}).to_string();
    match place {
        Place::Code => reply("400 X", &[], &errors(&spellings.last().unwrap().clone(), "no")),
        Place::Message => reply("400 X", &[], &errors("DENIED", &all)),
        Place::Denied => reply("403 X", &[], &errors("DENIED", &all)),
        Place::OtherJson => reply("400 X", &[], &json!({"error": "x", "detail": all}).to_string()),
        Place::Text => reply("400 X", &[], &all),
        Place::Title => {
            reply("400 X", &[("Content-Type", "text/html")], &format!("<title>{}</title>", html(&all)))
        }
        Place::TitleOfASuccess => {
            reply("200 X", &[("Content-Type", "text/html")], &format!("<title>{}</title>", html(&all)))
        }
        Place::Busy => reply("503 X", &[("Warning", &percent(&all))], &errors("BUSY", &all)),
        Place::Redirect => reply("307 X", &[("Location", &format!("http://127.0.0.1:1/{addresses}"))], ""),
        Place::UnusableRedirect => reply("307 X", &[("Location", &format!("ftp://a/{addresses}"))], ""),
        Place::Upload => uploading(asked, addresses, &all),
        _ => reply("400 X", &[], ""),
    }
}

/// Takes everything up to the upload's end.
fn uploading(asked: &Asked, addresses: &str, all: &str) -> String {
    match asked.line.split(' ').next().unwrap() {
        "POST" => reply("202 X", &[("Location", &format!("/v2/team/app/blobs/uploads/{addresses}"))], ""),
        "PUT" => reply("400 X", &[], all),
        _ if asked.line.contains("/manifests/sha256:") => {
            reply("200 X", &[("Content-Type", "application/vnd.oci.image.manifest.v1+json")], MANIFEST)
        }
        _ => reply("404 X", &[], ""),
    }
}

fn token_service(host: &str, place: Place, spellings: &[String]) -> String {
    let all = spellings.join(" ");
    match place {
        Place::TokenService => {
            reply("401 X", &[], &json!({"error": "no", "error_description": all}).to_string())
        }
        Place::TokenServiceBusy => reply("503 X", &[], &all),
        Place::TokenServiceRedirect => {
            let addresses = spellings.iter().map(|text| percent(text)).collect::<Vec<_>>().join("/");
            reply("307 X", &[("Location", &format!("http://localhost:1/{host}/{addresses}"))], "")
        }
        _ => reply("200 X", &[], &json!({"token": TOKEN}).to_string()),
    }
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('>', "&gt;").replace('"', "&quot;")
}

fn reply(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked { line: String::new(), authorization: String::new(), body: String::new() };
    let mut length = 0;
    reader.read_line(&mut asked.line).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => asked.authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}
