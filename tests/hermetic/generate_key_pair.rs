//! `stepseal generate-key-pair` from outside.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use stepseal::key::PublicKey;
use stepseal::sign::KeySource;

fn generate(folder: &Path, args: &[&str], password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
    command
        .arg("generate-key-pair")
        .args(args)
        .env_clear()
        .current_dir(folder)
        .stdin(std::process::Stdio::null());
    if let Some(password) = password {
        command.env("COSIGN_PASSWORD", password);
    }
    command.output().unwrap()
}

#[test]
fn the_files_hold_a_key_that_the_password_opens() {
    for password in ["pw", ""] {
        let folder = tempfile::tempdir().unwrap();
        assert!(generate(folder.path(), &[], Some(password)).status.success());
        let key = folder.path().join("cosign.key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let public = std::fs::read_to_string(folder.path().join("cosign.pub")).unwrap();
        let env = |_: &str| Some(stepseal::secret::Secret::new(password));
        let signer = KeySource::Path(key).read(&env).unwrap().unlock().unwrap();
        assert_eq!(signer.public_key(), &PublicKey::from_pem(&public).unwrap());
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.pub"), "mine").unwrap();
    let output = generate(folder.path(), &["--output-key-prefix", "x"], Some("pw"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("x.pub is there already"));
    assert!(!folder.path().join("x.key").exists());
    let output = generate(folder.path(), &["--output-key-prefix", "nowhere/x"], Some("pw"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn both_keys_go_to_standard_output_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let output = generate(folder.path(), &["-"], Some("pw"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"), "{}", text.len());
    assert!(text.contains("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_a_terminal_the_password_has_to_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let output = generate(folder.path(), &[], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("COSIGN_PASSWORD"));
    let output = generate(folder.path(), &["k8s://ns/name"], Some("pw"));
    assert_eq!(output.status.code(), Some(2));
}

/// A server whose connections each end with an answer of `script`, from the request's first line and how many such came before.
fn serve(script: impl Fn(&str, usize) -> &'static str + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        for connection in listener.incoming() {
            let mut connection = BufReader::new(connection.unwrap());
            let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
            connection.read_line(&mut first).unwrap();
            while connection.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            connection.read_exact(&mut vec![0; length]).unwrap();
            let method = first.split(' ').next().unwrap().to_owned();
            let before = lines.iter().filter(|line| **line == method).count();
            connection.get_mut().write_all(script(&method, before).as_bytes()).unwrap();
            lines.push(method);
        }
    });
    format!("http://{address}")
}

#[test]
fn a_public_key_stays_where_the_secret_may_have_been_made() {
    const NONE: &str = "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\
                        \"reason\":\"NotFound\",\"message\":\"secrets \\\"keys\\\" not found\",\"code\":404}";
    const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const THERE: &str = "HTTP/1.1 409 Conflict\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    // Of the first POST the answer is lost; the second finds the Secret there, which perhaps the first has made.
    for (reading, left, said) in [
        (REFUSED, true, "it is not known whether there is a Secret ci/keys now"),
        (NONE, false, "there is a Secret ci/keys already"),
    ] {
        let server = serve(move |method, before| match (method, before) {
            ("POST", 0) => "",
            ("POST", _) => THERE,
            _ => reading,
        });
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"{{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{{"name":"c","context":{{"cluster":"c","user":"u"}}}}],
            "clusters":[{{"name":"c","cluster":{{"server":"{server}"}}}}],"users":[{{"name":"u","user":{{}}}}]}}"#
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
        command.args(["generate-key-pair", "k8s://ci/keys"]).env_clear().current_dir(folder.path());
        let output = command.env("COSIGN_PASSWORD", "pw").env("KUBECONFIG", "config").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(said), "{text}");
        assert_eq!(folder.path().join("cosign.pub").exists(), left, "{text}");
    }
}
