//! `sign-blob`, `attest-blob`, `public-key` and `import-key-pair` from outside: what they write is verified here, by another key and of
//! another file refused, and what can't be done leaves nothing behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use stepseal::key::{Hash, PublicKey};

const PASSWORD: &str = "test";
const KEYS: [(&str, &str); 5] = [
    ("p256.pkcs8.pem", "SHA2_256"),
    ("p384.pkcs8.pem", "SHA2_384"),
    ("p521.pkcs8.pem", "SHA2_512"),
    ("ed25519.pkcs8.pem", "SHA2_256"),
    ("rsa2048.pkcs8.pem", "SHA2_256"),
];
const TYPE: &str = "https://ci.example/tests/v1";

/// How the binary ended.
struct Ended {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

impl Ended {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        String::from_utf8(self.out).unwrap()
    }

    /// It failed with `code`, says `what` and what to do, and printed nothing.
    #[track_caller]
    fn fails(self, code: i32, what: &str) {
        assert_eq!(self.code, Some(code), "{what}: {}", self.err);
        assert!(self.err.contains(what) && self.err.contains("  do:    "), "no {what:?} in {}", self.err);
        assert!(self.out.is_empty(), "{what}");
    }
}

/// A folder with two files, a predicate and a key.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("file", "built\n");
        desk.write("other", "other bytes\n");
        desk.write("predicate", r#"{ "tests": 1.0 }"#);
        desk.key("p256.pkcs8.pem");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Takes one of the test's keys as `key`, and its public half as `key.pub`.
    fn key(&self, name: &str) {
        self.write("key", fs::read(data(name)).unwrap());
        let public = self.run(&["public-key", "--key=key"]).ok();
        self.write("key.pub", public);
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepseal"));
        command.env_clear().current_dir(self.0.path()).args(args).stdin(Stdio::null());
        command.env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.with(args, |_| {})
    }

    fn with(&self, args: &[&str], change: impl FnOnce(&mut Command)) -> Ended {
        let mut command = self.command(args);
        change(&mut command);
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        Ended { code: output.status.code(), out: output.stdout, err }
    }

    /// The file is verified by these flags and its key; another file, and the file by another key, are not.
    #[track_caller]
    fn verified(&self, command: &str, flags: &[&str]) {
        let flags = [&[command, "--insecure-ignore-tlog"], flags].concat();
        self.run(&[&flags[..], &["--key=key.pub", "file"]].concat()).ok();
        let other = self.run(&[&flags[..], &["--key=key.pub", "other"]].concat());
        assert_eq!(other.code, Some(1), "{flags:?}");
        let cosign = data("cosign.pub").to_str().unwrap().to_owned();
        let other = self.run(&[&flags[..], &["--key", &cosign, "file"]].concat());
        assert_eq!(other.code, Some(1), "{flags:?}");
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys").join(name)
}

#[test]
fn every_key_signs_a_file_in_every_form() {
    let desk = Desk::new();
    for (key, algorithm) in KEYS {
        desk.key(key);
        let printed = desk.run(&["sign-blob", "--key=key", "file"]).ok();
        assert_eq!(printed.lines().count(), 1, "{key}: {printed}");
        desk.write("printed", &printed);
        desk.verified("verify-blob", &["--signature=printed"]);
        let signature = STANDARD.decode(printed.trim_end()).unwrap();
        assert_eq!(desk.run(&["sign-blob", "--key=key", "--b64=false", "file"]).out, signature, "{key}");

        let written = desk.run(&["sign-blob", "--key=key", "--bundle=new", "--output-signature=sig", "file"]);
        assert_eq!(written.ok(), "", "a bundle holds the signature");
        assert_eq!(String::from_utf8(desk.read("sig")).unwrap(), printed.trim_end());
        desk.verified("verify-blob", &["--bundle=new"]);
        let bundle: Value = serde_json::from_slice(&desk.read("new")).unwrap();
        let digest = &bundle["messageSignature"]["messageDigest"];
        assert_eq!(digest["algorithm"], algorithm, "{key}");
        let hash = Hash::ALL[usize::from(algorithm == "SHA2_384") + 2 * usize::from(algorithm == "SHA2_512")];
        assert_eq!(digest["digest"], STANDARD.encode(hash.digest(b"built\n")), "{key}");
        let public = PublicKey::from_pem(&String::from_utf8(desk.read("key.pub")).unwrap()).unwrap();
        assert_eq!(bundle["verificationMaterial"]["publicKey"]["hint"], public.hint());

        let old = desk.run(&["sign-blob", "--key=key", "--bundle=old", "--new-bundle-format=false", "file"]);
        assert_eq!(old.ok(), printed, "beside an old bundle it is printed, as cosign does");
        desk.verified("verify-blob", &["--bundle=old"]);
        desk.verified("verify-blob", &["--bundle=old", "--signature=sig"]);
    }
}

#[test]
fn every_key_attests_in_every_form() {
    let desk = Desk::new();
    for (key, _) in KEYS {
        desk.key(key);
        let said = ["--predicate=predicate", "--type", TYPE, "file"];
        let attest = |flags: &[&str]| desk.run(&[&["attest-blob", "--key=key"], flags, &said].concat());
        let printed = attest(&["--output-attestation=statement"]).ok();
        desk.write("envelope", &printed);
        let statement = String::from_utf8(desk.read("statement")).unwrap();
        let hex: String = Hash::Sha256.digest(b"built\n").iter().map(|byte| format!("{byte:02x}")).collect();
        let want = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","subject":[{{"name":"file","digest":{{"sha256":"{hex}"}}}}],"predicateType":"{TYPE}","predicate":{{ "tests": 1.0 }}}}"#
        );
        assert_eq!(statement, want, "{key}");
        assert_eq!(attest(&["--bundle=new", "--output-signature=sig"]).ok(), "");
        assert_eq!(String::from_utf8(desk.read("sig")).unwrap(), printed.trim_end());
        assert_eq!(attest(&["--bundle=old", "--new-bundle-format=false"]).ok(), printed);
        for flags in [["--signature=envelope"], ["--bundle=new"], ["--bundle=old"]] {
            desk.verified("verify-blob-attestation", &[&flags[..], &["--type", TYPE]].concat());
        }
    }
}

#[test]
fn what_is_attested_may_be_a_digest_or_a_whole_statement() {
    let desk = Desk::new();
    let hex: String = Hash::Sha256.digest(b"built\n").iter().map(|byte| format!("{byte:02x}")).collect();
    // The file isn't read, and its name is enough.
    let by_hash = ["attest-blob", "--key=key", "--predicate=predicate", "--bundle=b", "--hash", &hex];
    desk.run(&[&by_hash[..], &["--output-attestation=by-hash", "nowhere/file"]].concat()).ok();
    desk.verified("verify-blob-attestation", &["--bundle=b"]);
    assert!(String::from_utf8(desk.read("by-hash")).unwrap().contains(r#""name":"file""#));

    let statement = format!(
        "{{\n \"_type\": \"https://in-toto.io/Statement/v1\", \"subject\": [{{\"digest\": {{\"sha256\": \"{hex}\"}}}}],\n \
         \"predicateType\": \"{TYPE}\", \"predicate\": {{}} }}\n"
    );
    desk.write("statement", &statement);
    for file in [&["file"][..], &[]] {
        let whole =
            ["attest-blob", "--key=key", "--statement=statement", "--bundle=b", "--output-attestation=a"];
        desk.run(&[&whole[..], file].concat()).ok();
        assert_eq!(String::from_utf8(desk.read("a")).unwrap(), statement, "signed as it is");
        desk.verified("verify-blob-attestation", &["--bundle=b", "--type", TYPE]);
    }
    desk.write("no-statement", "{}");
    desk.write("twice", statement.replacen("{}", r#"{"a":1,"a":2}"#, 1));
    desk.write("image", statement.replace(TYPE, "https://sigstore.dev/cosign/sign/v1"));
    let before = desk.names();
    for (args, code, says) in [
        (&["--statement=statement", "other"][..], 1, "not about sha256:"),
        (&["--statement=no-statement"], 2, "no in-toto statement"),
        (&["--statement=twice"], 2, "says each thing once"),
        (&["--statement=image"], 2, "it is the signature of an image"),
        (&["--statement=statement", "--type=custom"], 2, "both --statement and --type"),
        (&["--statement=statement", "--predicate=predicate"], 2, "both --statement and --predicate"),
        (&["--statement=statement", "--hash", &hex], 2, "both --statement and --hash"),
        (
            &["--predicate=predicate", "--type=https://sigstore.dev/cosign/sign/v1", "file"],
            2,
            "image's signature",
        ),
        (&["--predicate=predicate", "--hash=abcd", "file"], 2, "--hash is not a SHA-256"),
        (&["--predicate=predicate", "--hash", &hex], 2, "no file is given"),
        (&["--predicate=predicate"], 2, "no file is given"),
        (&["file"], 2, "neither --predicate nor --statement"),
        (&["--predicate=-", "-"], 2, "given twice"),
        (&["--predicate=file", "--type", TYPE, "file"], 2, "is not JSON"),
    ] {
        let args = [&["attest-blob", "--key=key", "--bundle=none"], args].concat();
        desk.run(&args).fails(code, says);
    }
    assert_eq!(desk.names(), before, "nothing is left behind");
}

#[test]
fn several_files_are_signed_together_or_not_at_all() {
    let desk = Desk::new();
    let each: Vec<String> =
        ["file", "other"].map(|file| desk.run(&["sign-blob", "--key=key", file]).ok()).into();
    assert_eq!(desk.run(&["sign-blob", "--key=key", "file", "other"]).ok(), each.concat());
    let piped = desk.with(&["sign-blob", "--key=key", "-"], |command| {
        command.stdin(fs::File::open(desk.path("file")).unwrap());
    });
    assert_eq!(piped.ok(), each[0]);
    let before = desk.names();
    for (args, says) in [
        (&["file", "nowhere"][..], "cannot read the file nowhere"),
        (&["--bundle=b", "file", "other"], "--bundle names one file"),
        (&["--output-signature=s", "file", "other"], "--output-signature names one file"),
        (&["--b64=false", "file", "other"], "no line for each"),
        (&["-", "-"], "given twice"),
    ] {
        desk.run(&[&["sign-blob", "--key=key"], args].concat()).fails(2, says);
    }
    assert_eq!(desk.names(), before);
}

#[test]
fn files_are_replaced_whole_and_inputs_never() {
    let desk = Desk::new();
    desk.write("mine", "mine");
    symlink("mine", desk.path("link")).unwrap();
    desk.run(&["sign-blob", "--key=key", "--output=link", "file"]).ok();
    assert_eq!(desk.read("mine"), b"mine", "a link is replaced, not followed");
    desk.verified("verify-blob", &["--signature=link"]);
    let before = desk.names();
    for (args, says) in [
        (&["--output-signature=./file", "file"][..], "would replace"),
        (&["--bundle=key", "file"], "would replace"),
        (&["--bundle=x", "--output-signature=x", "file"], "name the same file"),
        (&["--bundle=nowhere/x", "file"], "cannot write the bundle to nowhere/x"),
    ] {
        desk.run(&[&["sign-blob", "--key=key"], args].concat()).fails(2, says);
    }
    desk.run(&["public-key", "--key=key", "--outfile=key"]).fails(2, "would replace key");
    assert_eq!(desk.names(), before);
    desk.run(&["public-key", "--key=key", "--outfile=mine"]).ok();
    assert_eq!(desk.read("mine"), desk.read("key.pub"), "all of it is replaced");
}

#[test]
fn what_a_key_alone_cannot_give_is_refused_by_flag_and_by_variable() {
    let desk = Desk::new();
    for (flag, value) in [
        ("rekor-url", "https://rekor.example"),
        ("fulcio-url", "https://fulcio.example"),
        ("identity-token", "eyJhbGciOi"),
        ("tlog-upload", "true"),
        ("use-signing-config", "true"),
        ("signing-config", "file"),
        ("issue-certificate", "true"),
        ("certificate", "file"),
        ("output-certificate", "c"),
        ("timestamp-server-url", "https://tsa.example"),
        ("rfc3161-timestamp", "t"),
        ("sk", "true"),
    ] {
        let given = format!("--{flag}={value}");
        let refused = desk.run(&["sign-blob", "--key=key", &given, "file"]);
        assert!(!refused.err.contains("eyJ"), "{}", refused.err);
        refused.fails(2, &format!("--{flag} is not done here"));
        let name = format!("COSIGN_{}", flag.to_ascii_uppercase().replace('-', "_"));
        let refused = desk.with(&["sign-blob", "--key=key", "file"], |command| {
            command.env(&name, value);
        });
        refused.fails(2, &format!("{name} is not done here"));
        if value == "true" {
            desk.run(&["sign-blob", "--key=key", &format!("--{flag}=false"), "file"]).ok();
        }
    }
    desk.run(&["attest-blob", "--key=key", "--rfc3161-timestamp-bundle=t", "--predicate=predicate", "file"])
        .fails(2, "no timestamp authority");
    desk.with(&["sign-blob", "file"], |command| {
        command.env("STEPSEAL_AGENT", "unix:///run/agent.sock");
    })
    .fails(2, "an agent signs no files");
    desk.run(&["sign-blob", "--key=key", "--new-bundle-format", "file"]).fails(2, "without --bundle");
    // The consent to a log's entry is told that there is none.
    let note = "nothing was uploaded to a transparency log";
    let told =
        |args: &[&str]| desk.run(&[&["sign-blob", "--key=key", "file"], args].concat()).err.contains(note);
    assert!(told(&["--yes"]) && told(&["-y"]) && !told(&["-y", "--tlog-upload=false"]) && !told(&[]));
}

#[test]
fn the_hash_is_the_keys_or_the_named_algorithms() {
    let desk = Desk::new();
    desk.key("p384.pkcs8.pem");
    for (args, hash) in [
        (&["file"][..], "sha384"),
        (&["--signing-algorithm=ecdsa-sha2-384-nistp384", "file"], "sha384"),
        (&["--signing-algorithm=ecdsa-sha2-256-nistp384", "file"], "sha256"),
    ] {
        for attested in [false, true] {
            let command: &[&str] =
                if attested { &["attest-blob", "--predicate=predicate"] } else { &["sign-blob"] };
            let signed = desk.run(&[command, &["--key=key", "--bundle=b"], args].concat());
            assert_eq!(signed.err.contains("note: signed over sha384"), hash == "sha384", "{}", signed.err);
            signed.ok();
            let verify: &[&str] =
                if attested { &["verify-blob-attestation", "--type=custom"] } else { &["verify-blob"] };
            for asked in ["sha256", "sha384", "sha512"] {
                let asked_for =
                    ["--signature-digest-algorithm", asked, "--key=key.pub", "--insecure-ignore-tlog"];
                let ended = desk.run(&[verify, &asked_for, &["--bundle=b", "file"]].concat());
                assert_eq!(ended.code == Some(0), asked == hash, "{args:?} {asked}: {}", ended.err);
            }
        }
    }
    for name in ["ecdsa-sha2-256-nistp256", "ed25519", "rsa-sign-pkcs1-2048-sha256", "ed25519-ph", "none"] {
        let algorithm = format!("--signing-algorithm={name}");
        desk.run(&["sign-blob", "--key=key", &algorithm, "file"]).fails(2, &format!("algorithm \"{name}\""));
    }
}

#[test]
fn a_key_is_imported_from_every_form_and_signs_as_before() {
    let desk = Desk::new();
    for form in [
        "p256.pkcs8.pem",
        "p256.sec1.pem",
        "p256.ecparam.pem",
        "p384.sec1.pem",
        "p521.sec1.pem",
        "ed25519.pkcs8.pem",
        "rsa2048.pkcs1.pem",
        "rsa2048.pkcs8.pem",
    ] {
        desk.key(form);
        desk.run(&["import-key-pair", "-k", "key", "-o", "in", "-y"]).ok();
        let key = String::from_utf8(desk.read("in.key")).unwrap();
        assert!(key.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{form}");
        assert_eq!(fs::metadata(desk.path("in.key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(desk.read("in.pub"), desk.read("key.pub"), "{form}");
        assert_eq!(
            desk.run(&["public-key", "--key=in.key"]).ok().into_bytes(),
            desk.read("key.pub"),
            "{form}"
        );
        let sign = |key: &str| desk.run(&["sign-blob", "--key", key, "file"]).ok();
        assert_eq!(sign("in.key"), sign("key"), "{form}");
    }
    // Without --yes nothing is replaced, whichever half is there.
    desk.run(&["import-key-pair", "--key=key"]).ok();
    for there in ["import-cosign.key", "import-cosign.pub"] {
        let before = desk.read(there);
        desk.run(&["import-key-pair", "--key=key"]).fails(2, "is there already");
        assert_eq!(desk.read(there), before);
        let _ = fs::remove_file(desk.path("import-cosign.key"));
    }
    fs::create_dir(desk.path("folder.pub")).unwrap();
    let before = desk.names();
    desk.run(&["import-key-pair", "--key=key", "--output-key-prefix=folder", "--yes"]).fails(1, "folder.pub");
    for (form, says) in [
        ("cosign.key", "cosign's encryption protects already"),
        ("p256.pbes2.pem", "encrypted the way of OpenSSL"),
        ("cosign.pub", "a public key, not a private key"),
        ("rsa1024.pkcs8.pem", "RSA with 1024 bits"),
        ("k1.pkcs8.pem", "secp256k1"),
        ("nowhere", "cannot read"),
    ] {
        let path = data(form).to_str().unwrap().to_owned();
        desk.run(&["import-key-pair", "--key", &path, "-o", "no"]).fails(2, says);
    }
    desk.run(&["import-key-pair"]).fails(2, "--key is not given");
    let no_password = desk.with(&["import-key-pair", "--key=key", "-o", "no"], |command| {
        command.env_remove("COSIGN_PASSWORD");
    });
    no_password.fails(2, "COSIGN_PASSWORD is not set");
    assert_eq!(desk.names(), before);
}

#[test]
fn a_public_key_is_printed_from_every_place() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("keys")).unwrap();
    fs::create_dir_all(desk.path("public")).unwrap();
    fs::copy(data("cosign.key"), desk.path("keys/cosign.key")).unwrap();
    desk.write("keys/cosign.password", PASSWORD);
    fs::copy(data("cosign.pub"), desk.path("public/cosign.pub")).unwrap();
    let wanted = fs::read_to_string(data("cosign.pub")).unwrap();
    for place in ["keys", "keys/cosign.key", "public", "public/cosign.pub", "env://KEY"] {
        let printed = desk.with(&["public-key", "--key", place], |command| {
            command.env("KEY", fs::read_to_string(data("cosign.key")).unwrap());
        });
        assert_eq!(printed.ok(), wanted, "{place}");
    }
    desk.with(&["public-key", "--key=keys/cosign.key"], |command| {
        fs::remove_file(desk.path("keys/cosign.password")).unwrap();
        command.env("COSIGN_PASSWORD", "another");
    })
    .fails(2, "does not open");
    desk.run(&["public-key", "--key=file"]).fails(2, "not PEM");
}
