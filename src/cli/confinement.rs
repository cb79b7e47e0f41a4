//! What a command may use of the file system, before it reads what others wrote: the only list of all files, for Landlock.
//!
//! A file that a setting or an argument names, or that is read by default, has a rule here; everything else is forbidden. Inputs
//! that a build step may have written are found as [`input`] finds them, so that a link that it refuses makes no rule.
//!
//! Where a program has to run, what it needs isn't known, and nothing is enforced: a credential helper, or a plugin of a
//! kubeconfig.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use crate::cluster::{self, Reach};
use crate::config::{Config, RunSource, VerifyConfig, home, system};
use crate::flow::discover::NamedImages;
use crate::flow::outputs::SignOutputFile;
use crate::flow::{access, trust};
use crate::input::{self, Folder};
use crate::process::Protection;
use crate::process::landlock::{Landlock, LandlockRules};
use crate::registry::credentials::FileKeychain;
use crate::report;
use crate::sign::PublicKeySource;
use crate::tekton::Standing;
use crate::verify::policy::{self, Policy};

/// The most entries of a folder of certificates that are looked at.
const MAX_CERTIFICATES: usize = 4096;
/// The most folders of the system's certificates that are looked at; distributions have two or three.
const MAX_FOLDERS: usize = 32;
/// Of more links into one folder, the folder is taken instead: distributions have hundreds.
const FEW_LINKS: usize = 8;
/// The most links out of a folder with the CA certificates of a setting: each is a file that stays open until the rules are made.
const MAX_LINKS: usize = 128;

/// What an entry of a volume of Kubernetes' leads to, if it is a link: a newer version of the volume has another folder there.
const VOLUME_DATA: &str = "..data";

/// Confines `sign`, which reads the images in the files of `named`, and writes `files`.
pub(super) fn sign(
    config: &Config,
    named: &NamedImages,
    files: &[SignOutputFile],
    environment: &Environment,
) -> Protection {
    let mut draft = Draft::new(environment);
    named.files.iter().for_each(|file| draft.input(file));
    files.iter().for_each(|file| draft.output(&file.path));
    draft.results(&config.results_dir, &config.steps_dir);
    if let RunSource::File(path) = &config.run {
        draft.input(path);
    }
    let own = Standing::find(&config.steps_dir).map(|standing| standing.results);
    let own = config.own_results.clone().unwrap_or_else(|| own.into_iter().collect());
    own.iter().for_each(|folder| draft.rules.put(folder));
    let runs = [&config.runs.task_run, &config.runs.pipeline_run];
    let asks_cluster = match &config.run {
        RunSource::TaskRun(_) | RunSource::PipelineRun(_) => true,
        RunSource::Own { .. } => runs.iter().any(|run| !run.stores.is_empty()),
        RunSource::File(_) => {
            let stores = runs.iter().flat_map(|run| &run.stores).chain(&config.images);
            config.mark_signed || stores.into_iter().any(|store| store.needs_run())
        }
    };
    draft.signing(config, asks_cluster);
    draft.enforce()
}

/// Confines `attest`, which reads the images in the files of `named`, and `files` with what is said of them.
pub(super) fn attest<'f>(
    config: &Config,
    named: &NamedImages,
    files: impl Iterator<Item = &'f Path>,
    environment: &Environment,
) -> Protection {
    let mut draft = Draft::new(environment);
    named.files.iter().for_each(|file| draft.input(file));
    files.for_each(|file| draft.input(file));
    draft.signing(config, false);
    draft.enforce()
}

/// Confines `verify`, `verify-attestation` and `verify-run`, which read what `matches` names.
pub(super) fn verify(config: &VerifyConfig, matches: &ArgMatches, environment: &Environment) -> Protection {
    let env = |name: &str| environment.get(name);
    let mut draft = Draft::new(environment);
    ["images-file", "run"].iter().for_each(|name| draft.inputs(matches, name));
    // `verify` reads results where nothing is named.
    let names_images = |name: &str| matches.try_contains_id(name).unwrap_or(true);
    if !names_images("image") && !names_images("images-file") {
        draft.results(&config.results_dir, &config.steps_dir);
    }
    // Where a policy or an identity says whose signatures count, no other key is read.
    let of_policy = config.policy.as_ref().filter(|_| matches.try_contains_id("policy").is_ok());
    let places = match of_policy {
        Some(path) => draft.policy(path),
        None if config.identity.is_some() || config.issuer.is_some() => Vec::new(),
        None => config.keys.clone(),
    };
    let keys: Vec<PublicKeySource> = places.iter().filter_map(|place| place.parse().ok()).collect();
    keys.iter().for_each(|key| draft.public_key(key));
    draft.trusted_root(config.trusted_root.as_deref());
    let names_run = |name: &str| matches.try_contains_id(name).unwrap_or(false);
    let in_cluster = names_run("taskrun") || names_run("pipelinerun");
    if in_cluster || keys.iter().any(|key| key.secret().is_some()) {
        let (folder, kubeconfigs) =
            (config.cluster_credentials.clone(), home::kubeconfigs(&env, environment.for_programs()));
        draft.cluster(&Reach { deadline: Instant::now(), folder, kubeconfigs });
    }
    // `verify-run` alone asks no registry.
    if matches.try_contains_id("image").is_ok() {
        let keychain = draft.keychain(&config.registry_config);
        config.registry.files().for_each(|path| draft.input(path));
        let folder = config.cluster_credentials.clone();
        let reach = Reach {
            deadline: Instant::now(),
            folder,
            kubeconfigs: home::kubeconfigs(&env, environment.for_programs()),
        };
        if config.registry.k8s_keychain && cluster::in_pod(&reach, &env) {
            draft.cluster(&reach);
            draft.account_helper(keychain.as_ref());
        }
        draft.registry(keychain.as_ref(), &config.registry_ca, &config.registry_certs_dirs);
    }
    draft.enforce()
}

/// Confines the commands that look at what lies beside an image, or attach the file `sbom`.
pub(super) fn beside(config: &VerifyConfig, sbom: Option<&Path>, environment: &Environment) -> Protection {
    let mut draft = Draft::new(environment);
    sbom.into_iter().for_each(|path| draft.input(path));
    let keychain = draft.keychain(&config.registry_config);
    draft.registry(keychain.as_ref(), &config.registry_ca, &config.registry_certs_dirs);
    draft.enforce()
}

/// Confines `verify-blob` and `verify-blob-attestation`.
pub(super) fn verify_blob(matches: &ArgMatches, environment: &Environment) -> Protection {
    let mut draft = Draft::new(environment);
    let files = [
        "blob",
        "signature",
        "bundle",
        "certificate",
        "certificate-chain",
        "ca-roots",
        "ca-intermediates",
        "rfc3161-timestamp",
        "timestamp-certificate-chain",
    ];
    files.iter().for_each(|name| draft.inputs(matches, name));
    draft.trusted_root(matches.get_one::<String>("trusted-root").map(Path::new));
    let key = matches.get_one::<String>("key").and_then(|text| text.parse::<PublicKeySource>().ok());
    if let Some(key) = &key {
        draft.public_key(key);
    }
    if key.is_some_and(|key| key.secret().is_some()) {
        draft.cluster(&access::reach_at_once(environment));
    }
    draft.enforce()
}

/// Confines the commands that use a key and ask no registry: they read `inputs`, and write `outputs`.
pub(super) fn with_key(
    config: &Config,
    environment: &Environment,
    inputs: &[&Path],
    outputs: &[PathBuf],
) -> Protection {
    let mut draft = Draft::new(environment);
    inputs.iter().for_each(|path| draft.input(path));
    outputs.iter().for_each(|path| draft.output(path));
    if draft.signer(config) {
        draft.cluster(&access::reach(config, environment, Instant::now()));
    }
    draft.enforce()
}

/// Logs what protects a command that isn't confined.
pub(super) fn none() {
    log(&Protection::now(Landlock::NotUsed));
}

/// The rules so far.
struct Draft<'a> {
    rules: LandlockRules,
    environment: &'a Environment,
    /// The program that may have to run.
    program: Option<String>,
}

impl<'a> Draft<'a> {
    fn new(environment: &'a Environment) -> Self {
        let mut rules = LandlockRules::default();
        system::always().for_each(|path| rules.read(&path));
        let mut draft = Self { rules, environment, program: None };
        environment.output_file().iter().for_each(|path| draft.output(path));
        draft
    }

    fn env(&self) -> impl Fn(&str) -> Option<String> + 'a {
        let environment = self.environment;
        move |name| environment.get(name)
    }

    /// A file, or a folder with all that is in it, as `input` finds it; of a mounted volume, all of it, as its files are replaced
    /// when it changes.
    fn input(&mut self, path: &Path) {
        let volume = volume(path);
        for path in std::iter::once(path).chain(volume.as_deref()).filter(|path| !input::is_stdin(path)) {
            if let Ok(place) = input::place(path) {
                self.rules.read_place(path, place);
            }
        }
    }

    /// The same, wherever links lead.
    fn trusted(&mut self, path: &Path) {
        self.rules.read(path);
        if let Some(volume) = volume(path) {
            self.rules.read(&volume);
        }
    }

    /// A file that is written whole, or a device.
    fn output(&mut self, path: &Path) {
        match report::is_device(path) {
            true => self.rules.write(path),
            false => self.rules.put(path.parent().unwrap_or(Path::new("."))),
        }
    }

    /// The inputs that an argument names, if the command has it.
    fn inputs(&mut self, matches: &ArgMatches, name: &str) {
        let given = matches.try_get_many::<String>(name).ok().flatten();
        given.into_iter().flatten().for_each(|text| self.input(Path::new(text)));
    }

    /// The Task's results, and the steps' in the folder `run` beside `steps_dir`.
    fn results(&mut self, results_dir: &Path, steps_dir: &Path) {
        self.input(results_dir);
        self.input(steps_dir);
        if let Some(folder) = steps_dir.parent() {
            self.input(&folder.join("run"));
        }
        // Where a link above it leads.
        if let Ok(folder) = Folder::open_named(steps_dir)
            && let Some(folder) = folder.path().parent()
        {
            self.input(&folder.join("run"));
        }
    }

    /// What `sign` and `attest` share; `asks_cluster`: the cluster is needed for more than keys and credentials.
    fn signing(&mut self, config: &Config, asks_cluster: bool) {
        config.report.iter().for_each(|path| self.output(path));
        if let Some(folder) = &config.signatures_dir {
            self.rules.keep(folder);
        }
        let in_secret = self.signer(config);
        let env = self.env();
        let reach = access::reach(config, self.environment, Instant::now());
        let keychain = self.keychain(&config.registry_config);
        let asks_unasked = keychain.as_ref().is_some_and(|keychain| access::asks_unasked(config, keychain));
        let by_flag = config.registry.k8s_keychain && config.service_account.is_none();
        let own_account = (asks_unasked || by_flag) && cluster::in_pod(&reach, &env);
        if asks_cluster || in_secret || own_account || config.service_account.is_some() {
            self.cluster(&reach);
        }
        if own_account || config.service_account.is_some() {
            self.account_helper(keychain.as_ref());
        }
        config.registry.files().for_each(|path| self.input(path));
        self.registry(keychain.as_ref(), &config.registry_ca, &config.registry_certs_dirs);
    }

    /// The signing key, or the agent; returns whether something of it is in the cluster.
    fn signer(&mut self, config: &Config) -> bool {
        match &config.agent {
            None => {
                config.key.paths().iter().for_each(|path| self.trusted(path));
                // An error lists the names in a folder without a key.
                config.key.folder().into_iter().for_each(|folder| self.rules.list(folder));
                config.key.secret().is_some()
            }
            Some(agent) => {
                self.rules.connect(agent.address.path());
                let key = agent.key.as_ref().map(|key| &key.source);
                key.into_iter().for_each(|key| self.public_key(key));
                key.is_some_and(|key| key.secret().is_some())
            }
        }
    }

    /// The program that credentials of a ServiceAccount may name.
    fn account_helper(&mut self, keychain: Option<&FileKeychain>) {
        let helper = keychain.and_then(FileKeychain::any_helper);
        self.may_run(helper.map(|helper| {
            format!("credentials of the ServiceAccount may name the credential helper {}", helper.display())
        }));
    }

    /// A public key, and the names beside it: what else is in its Secret, a private key perhaps, stays closed.
    fn public_key(&mut self, key: &PublicKeySource) {
        let Some(path) = key.path() else { return };
        let file = key.file().filter(|file| file != path);
        if file.is_some() {
            self.rules.list(path);
        }
        let path = file.as_deref().unwrap_or(path);
        if let Ok(place) = input::place(path) {
            self.rules.read_place(path, place);
        }
    }

    /// The policy at `path`; returns the places that it names.
    fn policy(&mut self, path: &Path) -> Vec<String> {
        self.input(path);
        let folder = path.parent().unwrap_or(Path::new(""));
        let bytes = input::read(path, policy::MAX_BYTES as u64).unwrap_or_default();
        let (keys, roots) = Policy::places(&bytes);
        roots.iter().for_each(|root| self.input(&folder.join(root)));
        let whole = |place: String| match place.contains("://") {
            true => place,
            false => folder.join(place).display().to_string(),
        };
        keys.into_iter().map(whole).collect()
    }

    fn trusted_root(&mut self, named: Option<&Path>) {
        if let Some(path) = trust::root_place(named, &self.env()) {
            self.input(&path);
        }
    }

    /// The registries' credentials, read only to see which files and programs they need: what is wrong with them is said later.
    fn keychain(&mut self, named: &Option<Vec<PathBuf>>) -> Option<FileKeychain> {
        let env = self.env();
        let places = home::credentials(named, &env);
        places.files().for_each(|path| self.trusted(&path));
        let programs = self.environment.for_programs();
        // What is warned of is warned of when they are read to be used.
        let quiet = tracing::subscriber::NoSubscriber::default();
        tracing::subscriber::with_default(quiet, || FileKeychain::load(places, programs)).ok()
    }

    /// Certificates, names, and the helpers that the credentials name.
    fn registry(&mut self, keychain: Option<&FileKeychain>, more: &[PathBuf], of_hosts: &[PathBuf]) {
        let helper = keychain.and_then(FileKeychain::helper);
        self.may_run(helper.map(|(helper, place)| {
            format!("the credential helper {} may have to run, which {place} names", helper.display())
        }));
        self.network();
        for path in more {
            self.certificates(path);
        }
        for path in of_hosts.iter().cloned().chain(system::registry_certificates()) {
            for name in self.certificates(&path) {
                let of_host = path.join(name);
                if of_host.is_dir() {
                    self.certificates(&of_host);
                }
            }
        }
    }

    /// A file of certificates, or a folder of them with what its links lead to; returns the names in it.
    fn certificates(&mut self, path: &Path) -> Vec<OsString> {
        self.input(path);
        let Ok(folder) = Folder::open(path) else { return Vec::new() };
        let names = folder.names(MAX_CERTIFICATES).unwrap_or_default();
        let leading = names.iter().filter(|name| folder.link_target(name).is_ok_and(|to| leaves(&to)));
        leading.take(MAX_LINKS).for_each(|name| self.input(&path.join(name)));
        names
    }

    /// The API server: its certificates and logins, and the plugin that a kubeconfig names.
    fn cluster(&mut self, reach: &Reach) {
        let env = self.env();
        self.trusted(&reach.folder);
        ["token", "ca.crt", "namespace"].iter().for_each(|name| self.trusted(&reach.folder.join(name)));
        let look = reach.kubeconfigs.look(cluster::in_pod(reach, &env));
        look.files.iter().chain(&look.token_folders).for_each(|path| self.trusted(path));
        self.may_run(look.program);
        self.network();
    }

    /// The system's certificates and name servers.
    fn network(&mut self) {
        system::names().iter().for_each(|path| self.rules.read(path));
        let certificates = system::certificates(&self.env());
        certificates.files.iter().for_each(|path| self.trusted(path));
        certificates.folders.iter().for_each(|folder| self.rules.read(folder));
        links_out(&certificates.folders).iter().for_each(|path| self.rules.read(path));
    }

    /// Notes a program that may have to run; the first is reported.
    fn may_run(&mut self, program: Option<String>) {
        self.program = self.program.take().or(program);
    }

    fn enforce(self) -> Protection {
        let why = self.program.or_else(other_threads);
        let landlock = match why {
            Some(why) => Landlock::NotEnforced { why },
            None => self.rules.enforce(),
        };
        let protection = Protection::now(landlock);
        log(&protection);
        protection
    }
}

fn log(protection: &Protection) {
    let Protection { dumpable, core_limit, no_new_privs, environment, landlock } = protection;
    let core_limit = core_limit.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    tracing::debug!(dumpable, core_limit, no_new_privs, %environment, %landlock, "process protection");
}

/// Whether threads run that would not be confined; if the system doesn't say, there are none.
fn other_threads() -> Option<String> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?.count();
    (threads > 1).then(|| format!("{} other threads run already", threads - 1))
}

/// The mounted volume of Kubernetes' that the link at `path` is an entry of.
fn volume(path: &Path) -> Option<PathBuf> {
    let target = std::fs::read_link(path).ok()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    target.starts_with(VOLUME_DATA).then(|| folder.to_owned())
}

/// The links in `folders` that lead out of them, a few of them, or else the folders where many lead: each is a file that stays open
/// until the rules are made. Links in those folders are looked at too.
fn links_out(folders: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut todo = folders.to_vec();
    for _ in 0..MAX_FOLDERS {
        let Some(folder) = todo.pop() else { break };
        let mut leading: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        let entries = std::fs::read_dir(&folder).into_iter().flatten().take(MAX_CERTIFICATES).flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink())) {
            let target = std::fs::read_link(entry.path()).ok().filter(|target| leaves(target));
            if let Some(place) = target.and_then(|target| Some(folder.join(target).parent()?.to_owned())) {
                leading.entry(place).or_default().push(entry.path());
            }
        }
        for (place, links) in leading {
            match links.len() {
                0..=FEW_LINKS => found.extend(links),
                _ if found.insert(place.clone()) => todo.push(place),
                _ => {}
            }
        }
    }
    found
}

/// Whether a link with this text leads out of its folder.
fn leaves(target: &Path) -> bool {
    target.components().any(|part| matches!(part, Component::RootDir | Component::ParentDir))
}
