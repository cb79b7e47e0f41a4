//! One registry with a step in front of it: the binary with what is mounted and nothing else.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::outcome::{Failure, Tried, refused};
use super::site::{Form, Login, Pushed, Site};

/// The type of what is attested.
pub(crate) const TYPE: &str = "https://ci.example/tests";

/// The keys, none of them encrypted: no process derives a key. The first is the usual signer.
pub(crate) const KEYS: [&str; 4] = ["p256", "p384", "p521", "rsa2048"];

/// The setting that chooses between tags and bundles.
pub(crate) const ENCODING: &str = "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT";

/// How the binary ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A registry, a step's folder, and what was signed so far for several features to look at.
pub(crate) struct Bench<'a> {
    pub(crate) site: &'a dyn Site,
    folder: TempDir,
    /// Whether the settings of the product are in force.
    with_settings: bool,
    signed: [OnceCell<Result<Pushed, Failure>>; 2],
    attested: [OnceCell<Result<Pushed, Failure>>; 2],
    indexes: [OnceCell<Result<Pushed, Failure>>; 2],
    immutable: OnceCell<Option<Box<dyn Site>>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(site: &'a dyn Site, with_settings: bool) -> Self {
        let bench = Self {
            site,
            folder: tempfile::tempdir().unwrap(),
            with_settings,
            signed: Default::default(),
            attested: Default::default(),
            indexes: Default::default(),
            immutable: OnceCell::new(),
        };
        for name in ["results", "credentials", "bad-login", "two-logins"] {
            fs::create_dir(bench.path(name)).unwrap();
        }
        let login = site.login();
        let entries: Vec<(String, Login)> = login.map(|login| (site.host(), login)).into_iter().collect();
        bench.credentials("credentials", &entries);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a dockerconfigjson with these entries into a folder of that name; the folder.
    pub(crate) fn credentials(&self, folder: &str, entries: &[(String, Login)]) -> PathBuf {
        let auth = |login: &Login| STANDARD.encode(format!("{}:{}", login.user, login.password));
        let auths: serde_json::Map<String, Value> =
            entries.iter().map(|(entry, login)| (entry.clone(), json!({ "auth": auth(login) }))).collect();
        let folder = self.path(folder);
        fs::write(folder.join(".dockerconfigjson"), json!({ "auths": auths }).to_string()).unwrap();
        folder
    }

    /// A repository for `feature` and `form`.
    pub(crate) fn repository(&self, feature: &str, form: Form) -> String {
        // With settings, the features are tried once more: on other images.
        let again = if self.with_settings { "-set" } else { "" };
        self.site.repository(&format!("{feature}-{}{again}", form.word()))
    }

    /// Pushes an image for `feature` and `form`.
    pub(crate) fn image(&self, feature: &str, form: Form) -> Pushed {
        let repository = self.repository(feature, form);
        self.site.push_image(&repository, "latest", &repository)
    }

    /// The binary in front of `site`, which signs with `key` in `form`.
    pub(crate) fn command_at(&self, site: &dyn Site, key: &str, form: Form, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .env_clear()
            .env("STEPSEAL_RESULTS_DIR", self.path("results"))
            .env("STEPSEAL_REGISTRY_CONFIG", self.path("credentials"))
            .env("STEPSEAL_INSECURE_REGISTRIES", site.insecure().join(","))
            .env("STEPSEAL_TIMEOUT", "2m")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.with_settings {
            command.envs(settings(site));
        }
        command.env(ENCODING, form.encoding());
        if args.first().is_some_and(|command| command.starts_with("verify")) {
            command.args(["--insecure-ignore-tlog", "--key"]).arg(data(&format!("{key}.pub")));
        } else {
            command.arg("--output=json").env("STEPSEAL_KEY", data(&format!("{key}.pkcs8.pem")));
        }
        command
    }

    /// The repository that holds the signatures of an image.
    pub(crate) fn place(&self, image: &Pushed) -> String {
        let elsewhere = |(variable, value): (String, String)| {
            let (_, repository) = value.split_once('/')?;
            (variable == "STEPSEAL_STORAGE_OCI_REPOSITORY").then(|| repository.to_owned())
        };
        let set = if self.with_settings { settings(self.site) } else { Vec::new() };
        set.into_iter().find_map(elsewhere).unwrap_or_else(|| image.repository.clone())
    }

    /// The same in front of the bench's registry with the usual key.
    pub(crate) fn command(&self, form: Form, args: &[&str]) -> Command {
        self.command_at(self.site, KEYS[0], form, args)
    }

    /// `stepseal sign` of `image`, with more arguments.
    pub(crate) fn sign(&self, form: Form, image: &Pushed, more: &[&str]) -> Ended {
        let reference = image.reference(self.site);
        self.run(self.command(form, &[&["sign", &reference], more].concat()))
    }

    /// `stepseal attest` of `image`.
    pub(crate) fn attest(&self, form: Form, image: &Pushed) -> Ended {
        let predicate = self.path("predicate.json");
        fs::write(&predicate, r#"{"passed":true}"#).unwrap();
        let (reference, predicate) = (image.reference(self.site), predicate.display().to_string());
        let command = ["attest", &reference, "--type", TYPE, "--predicate", &predicate];
        self.run(self.command(form, &command))
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, mut command: Command) -> Ended {
        self.ended(command.output().unwrap())
    }

    /// Waits until a command ends.
    pub(crate) fn wait(&self, child: Child) -> Ended {
        self.ended(child.wait_with_output().unwrap())
    }

    /// How a command ended. Nothing that it printed may hold a secret.
    fn ended(&self, output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        if let Some(login) = self.site.login() {
            let basic = STANDARD.encode(format!("{}:{}", login.user, login.password));
            for secret in [login.password.as_str(), &basic, "PRIVATE KEY"] {
                let shown = ended.stdout.contains(secret) || ended.stderr.contains(secret);
                assert!(!shown, "a secret is printed:\n{}\n{}", ended.stdout, ended.stderr);
            }
        }
        ended
    }

    /// An image that is signed in this form.
    pub(crate) fn signed(&self, form: Form) -> Result<Pushed, Failure> {
        let image = || {
            let image = self.image("sign", form);
            passed(&self.sign(form, &image, &[]))?;
            Ok(image)
        };
        self.signed[form as usize].get_or_init(image).clone()
    }

    /// An image that something is attested of in this form.
    pub(crate) fn attested(&self, form: Form) -> Result<Pushed, Failure> {
        let image = || {
            let image = self.image("attest", form);
            passed(&self.attest(form, &image))?;
            Ok(image)
        };
        self.attested[form as usize].get_or_init(image).clone()
    }

    /// An index of two images; all three are signed, and something is attested of each.
    pub(crate) fn index(&self, form: Form) -> Result<Pushed, Failure> {
        let index = || {
            let repository = self.repository("index", form);
            let members = ["one", "two"].map(|text| self.site.push_image(&repository, text, text));
            let index = self.site.push_index(&members);
            passed(&self.sign(form, &index, &["--recursive"]))?;
            for image in members.iter().chain([&index]) {
                passed(&self.attest(form, image))?;
            }
            Ok(index)
        };
        self.indexes[form as usize].get_or_init(index).clone()
    }

    /// The product with tags that can't be overwritten, which the step has a login for too.
    pub(crate) fn immutable(&self) -> Option<&dyn Site> {
        let start = || {
            let immutable = self.site.with_immutable_tags()?;
            let sites = [self.site, immutable.as_ref()];
            let entries =
                sites.iter().filter_map(|site| Some((site.host(), site.login()?))).collect::<Vec<_>>();
            self.credentials("credentials", &entries);
            Some(immutable)
        };
        self.immutable.get_or_init(start).as_deref()
    }
}

/// The settings of a product, without the one that each part sets itself.
pub(crate) fn settings(site: &dyn Site) -> Vec<(String, String)> {
    site.settings().into_iter().filter(|(variable, _)| variable != ENCODING).collect()
}

/// A run that ends well, or the reason of its failure.
pub(crate) fn passed(ended: &Ended) -> Result<(), Failure> {
    if ended.code == 0 { Ok(()) } else { Err(refused(ended)) }
}

/// Fails with what Stepseal got wrong, unless `right`.
pub(crate) fn demand(right: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if right { Ok(()) } else { Err(Failure::Wrong(what())) }
}

/// The status of the first entry of a report.
pub(crate) fn status(ended: &Ended) -> String {
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    report[0]["status"].as_str().unwrap_or_default().to_owned()
}

/// Runs `attempt`, and what it panics with is an outcome too: a registry's other features are tried all the same.
pub(crate) fn guarded(attempt: impl FnOnce() -> Tried) -> Tried {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
    caught.unwrap_or_else(|_| Err(Failure::Wrong("the test itself panicked".to_owned())))
}

/// A file of the test data with keys.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys").join(name)
}

/// The program under test: the one that `STEPSEAL_BINARY` names, or Cargo's.
fn binary() -> PathBuf {
    std::env::var_os("STEPSEAL_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_stepseal").into(), PathBuf::from)
}
