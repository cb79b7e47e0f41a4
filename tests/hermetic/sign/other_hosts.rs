//! Hosts that the registry sends requests to, and that ask for a login: none of them gets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use stepseal::demo::registry::{Auth, Effect, Fault, Options};

use crate::kit::step::{Step, ended, pair};

/// A host that answers 401 and names a token service of its own, which gives tokens.
pub(crate) struct OtherHost {
    pub(crate) host: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl OtherHost {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (own, log) = (host.clone(), Arc::clone(&heads));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let Some(head) = read(&stream) else { continue };
                let (status, header, body) = match head.contains(" /token") {
                    true => ("200 OK", String::new(), r#"{"token":"theirs"}"#),
                    false => {
                        ("401 X", format!("WWW-Authenticate: Bearer realm=\"http://{own}/token\"\r\n"), "")
                    }
                };
                log.lock().unwrap().push(head);
                let length = body.len();
                let reply = format!(
                    "HTTP/1.1 {status}\r\n{header}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(reply.as_bytes());
            }
        });
        Self { host, heads }
    }

    fn port(&self) -> &str {
        self.host.rsplit(':').next().unwrap()
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

/// A request's head; its body is read, and dropped.
fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.to_ascii_lowercase();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head += &line;
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some(head)
}

/// Runs a command that meets the other host, and fails for that.
fn meets(step: &Step, other: &OtherHost, args: &[&str]) {
    let ended = step.run(&[args, &["--timeout=30s"]].concat());
    let seen = other.seen();
    assert!(!seen.is_empty(), "{args:?}");
    for head in seen {
        assert!(!head.contains("authorization") && !head.contains("/token"), "{args:?}: {head}");
    }
    assert_eq!(ended.code, 1, "{args:?}: {}", ended.stderr);
    let want = format!("{} is not the registry {}, so no login was sent to it", other.host, step.host());
    assert!(ended.stderr.contains(&want), "{args:?}: {}", ended.stderr);
}

#[test]
fn the_target_of_a_redirect_gets_no_login() {
    let other = OtherHost::start();
    for auth in [Auth::Basic, Auth::Bearer] {
        let step = Step::with(Options { auth, ..Options::default() });
        let digest = step.built("team/app");
        let image = format!("{}/team/app@{digest}", step.host());
        let key = step.path("cosign.pub");
        std::fs::write(&key, &pair().public_pem).unwrap();
        let key = format!("--key={}", key.display());
        let verify = ["verify", key.as_str(), "--insecure-ignore-tlog", image.as_str()];
        let bundle = ["sign", "--config=storage.oci.encoding-format=sigstore-bundle"];
        // An annotation, so that `verify` has to fetch the payload.
        let tag = ["sign", "--annotation=a=b"];
        let redirect = |path: &str| {
            let faults = step.registry.faults();
            faults.clear();
            faults.add(Fault::new(Effect::Redirect(format!("http://{}", other.host))).path(path));
        };
        for (path, args) in
            [("/manifests/sha256:", &tag[..]), (".sig", &tag[..]), ("/referrers/", &bundle[..])]
        {
            redirect(path);
            meets(&step, &other, args);
        }
        step.registry.faults().clear();
        step.sign(&["--annotation=a=b"]);
        // What lies under the tag is enough without the list, unless another annotation is asked for.
        let wanted = [&verify[..], &["-a=c=d"]].concat();
        for (path, args) in [(".sig", &verify[..]), ("/referrers/", &wanted), ("/blobs/", &verify)] {
            redirect(path);
            meets(&step, &other, args);
        }
        step.registry.faults().clear();
        assert_eq!(step.run(&verify).code, 0);
    }
}

#[test]
fn an_upload_to_another_host_gets_no_login() {
    let other = OtherHost::start();
    let public_url = Some(format!("http://{}", other.host));
    let step = Step::with(Options { public_url, absolute_locations: true, ..Options::default() });
    step.built("team/app");
    meets(&step, &other, &["sign"]);
}

#[test]
fn a_token_service_elsewhere_gets_the_login_over_plain_http_only_if_it_is_named() {
    let other = OtherHost::start();
    let service = format!("localhost:{}", other.port());
    let realm = Some(format!("http://{service}/token"));
    let step = Step::with(Options { auth: Auth::Bearer, realm, ..Options::default() });
    step.built("team/app");
    let refused = step.run(&["sign", "--timeout=30s"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("--insecure-registry {service}")), "{}", refused.stderr);
    assert_eq!(other.seen(), [""; 0]);

    let both = format!("{},{service}", step.host());
    let mut command = step.command(&["sign", "--timeout=30s"]);
    let named = ended(command.env("STEPSEAL_INSECURE_REGISTRIES", both).output().unwrap());
    // The registry doesn't know the token.
    assert_ne!(named.code, 0);
    assert!(
        other.seen().iter().all(|head| head.contains(" /token") && head.contains("authorization: basic "))
    );
}
