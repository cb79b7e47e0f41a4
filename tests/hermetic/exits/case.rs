//! One case: what its seed chooses, and what is asked of it.

use std::fmt::Write as _;

use stepseal::demo::registry::{EmbeddedRegistry, Options};
use tempfile::TempDir;

use crate::exits::check::{Check, Report};
use crate::exits::images::Images;
use crate::exits::key;
use crate::exits::random::Random;
use crate::exits::run::{Ended, stepseal};
use crate::exits::trouble::{self, Sent};

/// Where signatures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Tag,
    Referrers,
    ReferrersTag,
}

pub(crate) struct Case {
    seed: u64,
    random: Random,
    place: Place,
    directory: bool,
    recursive: bool,
    sent: Option<Sent>,
    timeout: &'static str,
    jobs: u64,
    registry: EmbeddedRegistry,
    images: Images,
    folder: TempDir,
}

impl Case {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let place = random.one_of(&[Place::Tag, Place::Referrers, Place::ReferrersTag]);
        let options = Options { referrers: place != Place::ReferrersTag, ..Options::default() };
        let registry = EmbeddedRegistry::start_blocking(options).unwrap();
        let images = Images::push(&mut random, &registry);
        Self {
            seed,
            place,
            directory: random.percent(25),
            recursive: random.percent(70),
            sent: Sent::choose(&mut random),
            timeout: random.one_of(&["200ms", "600ms", "1500ms", "4s", "10s", "10s", "10s"]),
            jobs: random.one_of(&[1, 2, 4, 16]),
            registry,
            images,
            folder: tempfile::tempdir().unwrap(),
            random,
        }
    }

    /// What the run under trouble ended with, or what is wrong.
    pub(crate) fn run(mut self) -> Result<String, String> {
        let faults = trouble::faults(&mut self.random, &self.registry);
        let mut shown = format!(
            "STEPSEAL_SEED={}: {:?}, directory: {}, recursive: {}, signal: {:?}, timeout: {}, jobs: {}, images: {:?}\n",
            self.seed,
            self.place,
            self.directory,
            self.recursive,
            self.sent,
            self.timeout,
            self.jobs,
            self.images,
        );
        faults.iter().for_each(|fault| writeln!(shown, "  {fault}").unwrap());
        self.judged(&mut shown).map_err(|what| format!("{shown}{what}"))
    }

    fn judged(&self, shown: &mut String) -> Result<String, String> {
        let ended = self.sign(self.timeout, self.sent)?;
        writeln!(shown, "--- sign: {}\n{}", ended.status, ended.stderr).unwrap();
        self.registry.faults().clear();
        self.under_trouble(&ended)?;
        std::fs::remove_file(self.path("report.json")).ok();
        let again = self.sign("60s", None)?;
        writeln!(shown, "--- again: {}\n{}", again.status, again.stderr).unwrap();
        self.without_trouble(&again)?;
        Ok(ended.code().map_or("a signal".to_owned(), |code| code.to_string()))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn sign(&self, timeout: &str, sent: Option<Sent>) -> Result<Ended, String> {
        let own = self.path("own");
        std::fs::create_dir_all(&own).unwrap();
        let mut args: Vec<String> = vec!["sign".into(), "--key".into(), key::PRIVATE.into()];
        args.extend(["--insecure-registry".into(), self.registry.host().into()]);
        args.extend(["--report".into(), self.path("report.json"), "--own-results".into(), own]);
        args.extend([format!("--timeout={timeout}"), format!("--jobs={}", self.jobs)]);
        if self.place != Place::Tag {
            args.push("--config=storage.oci.encoding-format=sigstore-bundle".into());
        }
        if self.directory {
            args.push("--config=artifacts.oci.storage=oci,directory".into());
            args.extend(["--signatures-dir".into(), self.path("signatures")]);
        }
        if self.recursive {
            args.push("--recursive".into());
        }
        args.extend(self.images.named.iter().map(|name| self.images.full(name)));
        stepseal(&self.folder, &args, &self.registry, sent)
    }

    fn verify<'a>(&self, recursive: bool, names: impl Iterator<Item = &'a String>) -> Result<Ended, String> {
        let mut args: Vec<String> = vec!["verify".into(), "--insecure-ignore-tlog".into(), "--key".into()];
        args.push(key::public_file().display().to_string());
        args.extend(["--insecure-registry".into(), self.registry.host().into(), "-o".into(), "text".into()]);
        args.extend(recursive.then(|| "--recursive".to_owned()));
        args.extend(names.map(|name| self.images.full(name)));
        stepseal(&self.folder, &args, &self.registry, None)
    }

    /// `verify` of these must end with `code`.
    fn verified<'a>(
        &self,
        code: i32,
        recursive: bool,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return Ok(());
        }
        let ended = self.verify(recursive, names)?;
        match ended.code() == Some(code) {
            true => Ok(()),
            false => Err(format!("verify ends with {}, not {code}:\n{}", ended.status, ended.stderr)),
        }
    }

    fn report(&self) -> Result<Report, String> {
        let stores: &[&'static str] = if self.directory { &["oci", "directory"] } else { &["oci"] };
        let check =
            Check { images: &self.images, recursive: self.recursive, stores, host: self.registry.host() };
        check.report(self.folder.path())
    }

    /// Whatever happened: what the exit code, the report and `verify` say is the same.
    fn under_trouble(&self, ended: &Ended) -> Result<(), String> {
        let Some(code) = ended.code() else {
            let own = self.sent.map(|sent| sent.signal.as_raw());
            return match ended.signal() == own && !self.path_exists("report.json") {
                // It came before the program caught it.
                true => Ok(()),
                false => Err(format!("ended by {:?}, and sent was {own:?}", ended.signal())),
            };
        };
        let report = self.report()?;
        self.verified(0, false, report.signed("oci").iter())?;
        match code {
            0 => {
                report.is_complete()?;
                self.verified(0, self.recursive, self.images.named.iter())
            }
            5 if report.is_empty() => Err("exit code 5, and nothing is signed".into()),
            5 => Ok(()),
            1 | 4 if report.is_empty() => Ok(()),
            code => Err(format!(
                "exit code {code}, and the report says that something is signed: {}",
                !report.is_empty()
            )),
        }
    }

    fn path_exists(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// Without any fault everything is signed that can be.
    fn without_trouble(&self, ended: &Ended) -> Result<(), String> {
        let subjects = self.images.subjects(self.recursive);
        let (good, bad): (Vec<_>, Vec<_>) = subjects.iter().partition(|name| self.images.is_there(name));
        let code = match (good.is_empty(), bad.is_empty()) {
            (_, true) => 0,
            (true, false) => 1,
            (false, false) => 5,
        };
        if ended.code() != Some(code) {
            return Err(format!("without faults it ends with {}, not {code}", ended.status));
        }
        let report = self.report()?;
        if code == 0 {
            report.is_complete()?;
        }
        self.verified(0, false, good.into_iter())?;
        self.verified(i32::from(!bad.is_empty()), self.recursive, self.images.named.iter())
    }
}
