//! Every file that a flag, a variable or a policy names and a build step may have written: links out of the workspace, FIFOs,
//! devices and files without an end are refused at once, by every command; links inside the workspace are followed.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use stepseal::oci::Digest;
use tempfile::TempDir;

use crate::kit::running::Running;
use crate::kit::step::{Ended, Step, ended};
use crate::verify::kit::{self, signer};

const SECRET: &str = "HUNTER2-of-another-mount";
const BLOB: &str = "what was built";

/// A workspace that a build step may write to, and a mount that it may not read.
struct Place {
    step: Step,
    image: String,
    /// Below `/dev/shm`, if that is another mount.
    other: Option<TempDir>,
}

/// Says once, also where all tests pass, that they check less here.
#[expect(
    clippy::disallowed_methods,
    reason = "what goes through eprintln is shown only of a test that fails"
)]
fn note() {
    static NOTED: Once = Once::new();
    let text = b"note: /dev/shm is not another mount: the tests of links use /proc, or check less\n";
    NOTED.call_once(|| std::io::stderr().write_all(text).unwrap());
}

impl Place {
    fn new() -> Self {
        let step = kit::step();
        let digest = step.built("team/app");
        let image = kit::name(&step, "team/app", &digest);
        step.sign(&[&image]);
        for folder in ["workspace/sub", "workspace/config/..2025"] {
            fs::create_dir_all(step.path(folder)).unwrap();
        }
        symlink("..2025", step.path("workspace/config/..data")).unwrap();
        let device = |path: &Path| rustix::fs::stat(path).unwrap().st_dev;
        let other = tempfile::tempdir_in("/dev/shm").ok();
        let other = other.filter(|other| device(other.path()) != device(step.folder.path()));
        match &other {
            Some(other) => fs::write(other.path().join("secret"), SECRET).unwrap(),
            None => note(),
        }
        Self { step, image, other }
    }

    /// The workspace, without links on the way to it.
    fn root(&self) -> PathBuf {
        self.step.path("workspace").canonicalize().unwrap()
    }

    /// A file on another mount, and its folder.
    fn outside(&self) -> (PathBuf, PathBuf) {
        match &self.other {
            Some(other) => (other.path().join("secret"), other.path().to_owned()),
            None => ("/proc/version".into(), "/proc".into()),
        }
    }

    fn bare(&self, args: &[&str], path: &Path) -> Command {
        let mut command = self.step.command(args);
        command.arg(path);
        command
    }

    fn verifying(&self, args: &[&str], path: &Path) -> Command {
        let key = self.step.path("keys/cosign.pub");
        let args = [&["verify", "--insecure-ignore-tlog", &self.image], args].concat();
        let mut command = self.bare(&args, path);
        command.env("STEPSEAL_KEY", key);
        command
    }

    fn blob(&self, args: &[&str], path: &Path) -> Command {
        let mut command = self.step.command(&["verify-blob", "--insecure-ignore-tlog"]);
        command.args(args).arg(path);
        command
    }

    fn blob_file(&self) -> String {
        let file = self.step.path("blob");
        fs::write(&file, BLOB).unwrap();
        file.display().to_string()
    }

    fn public_key(&self) -> String {
        self.step.path("keys/cosign.pub").display().to_string()
    }

    /// A policy that names `path` at this place.
    fn policy(&self, place: &str, path: &Path) -> Command {
        let key = self.public_key();
        let (signer, root) = match place {
            "key" => (format!("{{ key: '{}' }}", path.display()), String::new()),
            _ => (
                "{ identity: a@b.example, issuer: https://issuer.example }".to_owned(),
                format!("trustedRoot: '{}'\n", path.display()),
            ),
        };
        let text = format!(
            "version: 1\n{root}signers: {{ ci: {signer}, own: {{ key: '{key}.2' }} }}\nrules:\n  - {{ name: all, images: ['**'], signature: {{ by: [ci] }} }}\n"
        );
        fs::write(format!("{key}.2"), kit::other().public_key().to_pem()).unwrap();
        let file = self.step.path("policy.yaml");
        fs::write(&file, text).unwrap();
        let mut command = self.step.command(&["verify", &self.image, "--policy"]);
        command.arg(file).env_remove("STEPSEAL_KEY");
        command
    }

    /// A folder with the one entry `name`, a link to `path`, and a command that is given the folder.
    fn folder(&self, name: &str, path: &Path, command: impl FnOnce(&Path) -> Command) -> Command {
        let folder = self.root().join("folder");
        fs::create_dir_all(&folder).unwrap();
        let _ = fs::remove_file(folder.join(name));
        symlink(path, folder.join(name)).unwrap();
        command(&folder)
    }
}

/// An input of a command: its name, what a good file holds, and the command that is given a file at a path.
struct Input {
    name: &'static str,
    /// Whether `-` is standard input.
    stdin: bool,
    /// Whether a folder may be named too.
    folder: bool,
    content: fn(&Place) -> String,
    command: fn(&Place, &Path) -> Command,
}

fn task_run(place: &Place) -> String {
    let (name, digest) = place.image.split_once('@').unwrap();
    let results = json!([
        { "name": "IMAGE_URL", "type": "string", "value": name }, { "name": "IMAGE_DIGEST", "type": "string", "value": digest },
    ]);
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": { "name": "build", "namespace": "ci", "uid": "495215fc-1bc7-4c33-894d-fb6c5ed7f30e" },
        "spec": {},
        "status": {
            "completionTime": "2026-01-01T00:01:00Z", "conditions": [{ "type": "Succeeded", "status": "True" }],
            "taskSpec": { "steps": [] }, "results": results,
        },
    })
    .to_string()
}

fn signature(_: &Place) -> String {
    STANDARD.encode(signer().sign(BLOB.as_bytes()).unwrap().0)
}

fn public_key(_: &Place) -> String {
    signer().public_key().to_pem()
}

fn ca(_: &Place) -> String {
    rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem()
}

fn empty(_: &Place) -> String {
    "{}".to_owned()
}

const INPUT: Input = Input {
    name: "",
    stdin: false,
    folder: false,
    content: empty,
    command: |place, path| place.bare(&[], path),
};

const IDENTITY: [&str; 4] =
    ["--certificate-identity", "a@b.example", "--certificate-oidc-issuer", "https://issuer.example"];

const INPUTS: &[Input] = &[
    Input {
        name: "attest --predicate",
        stdin: true,
        command: |place, path| {
            place.bare(&["attest", &place.image, "--type", "custom", "--timeout", "60s", "--predicate"], path)
        },
        ..INPUT
    },
    Input {
        name: "sign --run",
        stdin: true,
        content: task_run,
        command: |place, path| place.bare(&["sign", "--run"], path),
        ..INPUT
    },
    Input {
        name: "plan --run",
        stdin: true,
        content: task_run,
        command: |place, path| place.bare(&["plan", "--run"], path),
        ..INPUT
    },
    Input {
        name: "verify-run --run",
        stdin: true,
        content: task_run,
        command: |place, path| place.bare(&["verify-run", "--insecure-ignore-tlog", "--run"], path),
        ..INPUT
    },
    Input {
        name: "sign --images-file",
        stdin: true,
        content: |place| place.image.clone(),
        command: |place, path| place.bare(&["sign", "--images-file"], path),
        ..INPUT
    },
    Input {
        name: "plan --images-file",
        stdin: true,
        content: |place| place.image.clone(),
        command: |place, path| place.bare(&["plan", "--images-file"], path),
        ..INPUT
    },
    Input {
        name: "verify --images-file",
        stdin: true,
        content: |place| place.image.clone(),
        command: |place, path| place.bare(&["verify", "--insecure-ignore-tlog", "--images-file"], path),
        ..INPUT
    },
    Input {
        name: "verify --policy",
        content: |place| {
            let key = place.public_key();
            format!(
                "version: 1\nsigners: {{ ci: {{ key: '{key}' }} }}\nrules:\n  - {{ name: all, images: ['**'], signature: {{ by: [ci] }} }}\n"
            )
        },
        command: |place, path| {
            let mut command = place.bare(&["verify", &place.image, "--policy"], path);
            command.env_remove("STEPSEAL_KEY");
            command
        },
        ..INPUT
    },
    Input {
        name: "a policy's key",
        folder: true,
        content: public_key,
        command: |place, path| place.policy("key", path),
        ..INPUT
    },
    Input {
        name: "a policy's trusted root",
        command: |place, path| place.policy("trustedRoot", path),
        ..INPUT
    },
    Input {
        name: "verify --key",
        folder: true,
        content: public_key,
        command: |place, path| place.verifying(&["--key"], path),
        ..INPUT
    },
    Input {
        name: "verify --registry-ca",
        folder: true,
        content: ca,
        command: |place, path| place.verifying(&["--registry-ca"], path),
        ..INPUT
    },
    Input {
        name: "a file of verify --registry-ca",
        content: ca,
        command: |place, path| {
            place.folder("ca.crt", path, |folder| place.verifying(&["--registry-ca"], folder))
        },
        ..INPUT
    },
    Input {
        name: "sign --registry-ca",
        folder: true,
        content: ca,
        command: |place, path| place.bare(&["sign", "--registry-ca"], path),
        ..INPUT
    },
    Input {
        name: "a file of plan --config-dir",
        content: |_| "simplesigning".to_owned(),
        command: |place, path| {
            place.folder("artifacts.oci.format", path, |folder| place.bare(&["plan", "--config-dir"], folder))
        },
        ..INPUT
    },
    Input {
        name: "verify --trusted-root",
        command: |place, path| {
            let mut command = place.step.command(&["verify", &place.image]);
            command.args(IDENTITY).env_remove("STEPSEAL_KEY").arg("--trusted-root").arg(path);
            command
        },
        ..INPUT
    },
    Input {
        name: "STEPSEAL_TRUSTED_ROOT",
        command: |place, path| {
            let mut command = place.step.command(&["verify", &place.image]);
            command.args(IDENTITY).env_remove("STEPSEAL_KEY").env("STEPSEAL_TRUSTED_ROOT", path);
            command
        },
        ..INPUT
    },
    Input {
        name: "SIGSTORE_ROOT_FILE",
        command: |place, path| {
            let mut command = place.blob(&["--bundle"], &place.root().join("bundle"));
            fs::write(place.root().join("bundle"), "{}").unwrap();
            command.args(IDENTITY).arg(place.blob_file()).env("SIGSTORE_ROOT_FILE", path);
            command
        },
        ..INPUT
    },
    Input {
        name: "verify-blob FILE",
        stdin: true,
        content: |_| BLOB.to_owned(),
        command: |place, path| {
            place.blob(&["--key", &place.public_key(), "--signature", &signature(place)], path)
        },
        ..INPUT
    },
    Input {
        name: "verify-blob --signature",
        content: signature,
        command: |place, path| {
            place.blob(&["--key", &place.public_key(), &place.blob_file(), "--signature"], path)
        },
        ..INPUT
    },
    Input {
        name: "verify-blob --bundle",
        command: |place, path| {
            place.blob(&["--key", &place.public_key(), &place.blob_file(), "--bundle"], path)
        },
        ..INPUT
    },
    Input {
        name: "verify-blob --key",
        folder: true,
        content: public_key,
        command: |place, path| {
            place.blob(&[&place.blob_file(), "--signature", &signature(place), "--key"], path)
        },
        ..INPUT
    },
];

/// Runs a command that must not hang: what takes minutes waits for what never comes.
fn run(mut command: Command, stdin: &Path, what: &str) -> Ended {
    let stdin = fs::File::open(stdin).unwrap();
    let child = Running::start(command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let ended = ended(child.output().unwrap_or_else(|| panic!("{what} hangs")));
    assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET), "{what}: {}", ended.stderr);
    ended
}

/// A link in the workspace, made anew.
fn link(place: &Place, name: &str, target: impl AsRef<Path>) -> PathBuf {
    let path = place.root().join(name);
    let _ = fs::remove_file(&path);
    symlink(target, &path).unwrap();
    path
}

#[test]
fn a_link_out_of_the_workspace_is_refused_by_every_input() {
    let place = Place::new();
    let (secret, folder) = place.outside();
    let name = secret.file_name().unwrap();
    let ups: PathBuf = place.root().components().skip(1).map(|_| "..").collect();
    let absolute = link(&place, "absolute", &secret);
    let relative = link(&place, "relative", ups.join(secret.strip_prefix("/").unwrap()));
    let hop = link(&place, "hop", "absolute");
    let away = link(&place, "away", &folder);
    for input in INPUTS {
        for (path, named) in [
            (absolute.clone(), &absolute),
            (relative.clone(), &relative),
            (hop.clone(), &absolute),
            (away.join(name), &away),
        ] {
            let what = format!("{} at {}", input.name, path.display());
            let ended = run((input.command)(&place, &path), Path::new("/dev/null"), &what);
            assert_eq!(ended.code, 2, "{what}: {}", ended.stderr);
            // What is wrong with a policy has the policy's hint.
            let hint = if input.name == "a policy's key" { "do: " } else { "name the file itself" };
            for text in [named.to_str().unwrap(), "on another mount", hint] {
                assert!(ended.stderr.contains(text), "{what}: no {text:?} in {}", ended.stderr);
            }
        }
    }
    let digest: Digest = place.image.split_once('@').unwrap().1.parse().unwrap();
    let attested =
        place.step.registry.content().manifest("team/app", &format!("sha256-{}.att", digest.hex()));
    assert!(attested.is_none(), "nothing was published");
}

#[test]
fn what_is_no_file_is_refused_at_once_by_every_input() {
    let place = Place::new();
    let fifo = place.root().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let to_fifo = link(&place, "to-fifo", "sub/../fifo");
    let nowhere = link(&place, "nowhere", "sub/nothing");
    let looped = link(&place, "loop", "loop");
    for input in INPUTS {
        let mut rows = vec![
            (fifo.clone(), "it is a FIFO"),
            (to_fifo.clone(), "it is a FIFO"),
            (PathBuf::from("/dev/zero"), "device"),
            (nowhere.clone(), "nowhere leads to"),
            (looped.clone(), "symbolic links"),
        ];
        if !input.folder {
            rows.push((place.root().join("sub"), "it is a folder"));
        }
        for (path, want) in rows {
            let what = format!("{} at {}", input.name, path.display());
            let ended = run((input.command)(&place, &path), Path::new("/dev/null"), &what);
            assert_eq!(ended.code, 2, "{what}: {}", ended.stderr);
            // In a folder, the entry that was made for it is a link itself; and folders in it are passed over.
            let out = input.name.starts_with("a file of") && ["device", "it is a folder"].contains(&want);
            assert!(ended.stderr.contains(want) || out, "{what}: no {want:?} in {}", ended.stderr);
        }
    }
}

#[test]
fn open_files_of_processes_are_refused_with_what_to_write_instead() {
    let place = Place::new();
    for input in INPUTS {
        let good = place.root().join("good");
        fs::write(&good, (input.content)(&place)).unwrap();
        for path in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].map(Path::new) {
            if fs::symlink_metadata(path).is_err() || input.name.starts_with("a file of") {
                continue;
            }
            let what = format!("{} at {}", input.name, path.display());
            let ended = run((input.command)(&place, path), &good, &what);
            assert_eq!(ended.code, 2, "{what}: {}", ended.stderr);
            let want = if input.stdin {
                "write - to read standard input"
            } else {
                "write the content to a file first"
            };
            assert!(
                ended.stderr.contains(want) || input.name.starts_with("a policy's"),
                "{what}: {}",
                ended.stderr
            );
        }
        if input.stdin {
            let what = format!("{} at -", input.name);
            let plain = run((input.command)(&place, &good), Path::new("/dev/null"), &what);
            let ended = run((input.command)(&place, Path::new("-")), &good, &what);
            assert_eq!(ended.code, plain.code, "{what}: {}", ended.stderr);
            assert!(!ended.stderr.contains("cannot read"), "{what}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_link_inside_the_workspace_is_followed_by_every_input() {
    let place = Place::new();
    for input in INPUTS {
        let content = (input.content)(&place);
        let good = place.root().join("sub/good");
        fs::write(&good, &content).unwrap();
        fs::write(place.root().join("config/..2025/key"), &content).unwrap();
        let plain = run((input.command)(&place, &good), Path::new("/dev/null"), input.name);
        assert!(!plain.stderr.contains("cannot read"), "{}: {}", input.name, plain.stderr);
        let name = place.root().file_name().unwrap().to_owned();
        for path in [
            link(&place, "same", "sub/good"),
            link(&place, "again", "same"),
            link(&place, "sub/up-and-down", "../sub/good"),
            link(&place, "out-and-in", Path::new("..").join(name).join("sub/good")),
            link(&place, "whole", &good),
            link(&place, "folder-link", "sub").join("good"),
            link(&place, "config/key", "..data/key"),
        ] {
            let what = format!("{} at {}", input.name, path.display());
            let ended = run((input.command)(&place, &path), Path::new("/dev/null"), &what);
            assert_eq!(ended.code, plain.code, "{what}: {}", ended.stderr);
            assert!(!ended.stderr.contains("cannot read"), "{what}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_folder_of_results_is_not_reached_by_a_link_to_another_mount() {
    let place = Place::new();
    let Some(other) = &place.other else { return };
    fs::create_dir_all(other.path().join("there/results")).unwrap();
    fs::write(other.path().join("there/results/IMAGES"), &place.image).unwrap();
    fs::create_dir_all(place.root().join("here/results")).unwrap();
    fs::write(place.root().join("here/results/IMAGES"), &place.image).unwrap();
    let (out, inside) = (link(&place, "out", other.path().join("there")), link(&place, "inside", "here"));
    for flag in ["--results-dir", "--steps-dir"] {
        let plan = |folder: &Path| {
            let mut command = place.step.command(&["plan", flag]);
            command.arg(folder.join("results"));
            run(command, Path::new("/dev/null"), flag)
        };
        assert_eq!(plan(&inside).code, 0, "{flag}: {}", plan(&inside).stderr);
        let refused = plan(&out);
        assert_eq!(refused.code, 2, "{flag}: {}", refused.stderr);
        assert!(refused.stderr.contains("on another mount"), "{flag}: {}", refused.stderr);
    }
}

#[test]
fn the_systems_own_certificates_do_not_block_either() {
    let place = Place::new();
    let fifo = place.root().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut command = place.step.command(&["verify", "--insecure-ignore-tlog", &place.image]);
    command.env_remove("STEPSEAL_INSECURE_REGISTRIES").env("SSL_CERT_FILE", &fifo);
    let ended = run(command, Path::new("/dev/null"), "SSL_CERT_FILE");
    assert!(ended.code == 2 && ended.stderr.contains("it is a FIFO"), "{}", ended.stderr);
}
