//! Many images in one run, and many runs at once, on Debian's docker-registry: `benches/run`.
//!
//! `cargo test --locked --bench load [-- --quick]` runs the binary named by `STEPSEAL_BINARY` (default: the binary that cargo built).
//! `STEPSEAL_BEFORE=FILE`, an older binary, has rows of its own; the binaries and cosign take turns. It prints three tables:
//!
//! - One run over many images of one repository, by tag and as bundles: requests and memory. It fails when an image isn't
//!   signed, or takes more than 16 KiB of memory on top of those before it. Peaks are the kernel's `VmHWM`; the key isn't encrypted, as deriving a key
//!   takes 64 MiB.
//! - 64 runs at once, each with images of its own and one image that all of them sign. It fails when a signature is missing.
//! - Where the time goes: wall time, the CPU time of the program, and the CPU time of the registry meanwhile, for 100 images by tag with an
//!   encrypted key. Nothing is asserted about time.

#![allow(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement stops at the first thing that is wrong, and needs a part of what the tests share"
)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kit::images::Kind;
use kit::scene::{PASSWORD, Place, USER, binary};
use kit::{Registry, Scene};
use serde_json::{Value, json};
use stepseal::oci::{Repository, Target};
use stepseal::registry::client::{Client, ClientOptions};
use stepseal::registry::keychain::{Credential, Found, Keychain, Login};
use stepseal::secret::Secret;
use tokio::runtime::Runtime;

#[path = "../tests/peers/kit/mod.rs"]
mod kit;
#[path = "../tests/hermetic/kit/peak.rs"]
mod peak;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The most memory that an image more may take.
const MAX_KIB_AN_IMAGE: f64 = 16.0;
/// How often the peak is looked at.
const POLL: Duration = Duration::from_micros(500);
/// What the kernel counts CPU time in, on Linux: hundredths of a second.
const TICKS: f64 = 100.0;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    // At most 128 are worked on, or waited for, at once: fewer than that don't show what another run costs.
    let (few, many, runs, rounds) = if quick { (130, 230, 8, 1) } else { (100, 1000, 64, 5) };
    let mut bench = Bench::new();
    let before = std::env::var_os("STEPSEAL_BEFORE").filter(|file| !file.is_empty()).map(PathBuf::from);
    let mut programs = vec![("stepseal", binary())];
    programs.extend(before.map(|before| ("before", before)));

    println!(
        "| one run | images | requests an image | peak MiB | KiB an image more |\n|---|---|---|---|---|"
    );
    for (name, program) in &programs {
        for place in [Place::Tag, Place::Referrers] {
            let costs = [few, many].map(|images| (images, bench.run_over(program, place, images)));
            let [(_, less), (_, more)] = &costs;
            let each = more.peak_kib.saturating_sub(less.peak_kib) as f64 / (many - few) as f64;
            for (images, cost) in &costs {
                let requests = cost.requests as f64 / *images as f64;
                let mib = cost.peak_kib as f64 / 1024.0;
                println!("| {name}, {place:?} | {images} | {requests:.2} | {mib:.1} | {each:.1} |");
            }
            assert!(*name == "before" || each <= MAX_KIB_AN_IMAGE, "{each:.1} KiB for each image more");
        }
    }

    println!(
        "\n| {runs} runs at once | images | signed | shared image's signatures | wall |\n|---|---|---|---|---|"
    );
    for place in [Place::Tag, Place::Referrers] {
        bench.at_once(place, runs, 4);
    }

    let images = if quick { 4 } else { 100 };
    println!("\n| {images} images by tag | wall s | its CPU s | registry's CPU s |\n|---|---|---|---|");
    let mut costs: Vec<Vec<Timed>> = vec![Vec::new(); programs.len() + 1];
    for _ in 0..rounds {
        for (number, costs) in costs.iter_mut().enumerate() {
            let program = number.checked_sub(1).map(|at| programs[at].1.as_path());
            costs.push(bench.timed(program, images));
        }
    }
    let names = ["cosign"].into_iter().chain(programs.iter().map(|(name, _)| *name));
    for (name, costs) in names.zip(costs) {
        let median = |figure: fn(&Timed) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        let [wall, own, registry] = [median(|t| t.wall), median(|t| t.own), median(|t| t.registry)];
        println!("| {name} | {wall:.2} | {own:.2} | {registry:.2} |");
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("\nload average at the end: {load}");
}

/// Where the measurement takes place.
struct Bench {
    scene: Scene,
    registry: Registry,
    client: Client,
    runtime: Runtime,
    pushed: usize,
    /// The keys: encrypted, and not.
    encrypted: Vec<(&'static str, Vec<u8>)>,
}

/// What one run over many images took.
struct Cost {
    requests: u64,
    peak_kib: u64,
}

/// Times of a run in seconds.
#[derive(Clone, Copy)]
struct Timed {
    wall: f64,
    own: f64,
    registry: f64,
}

impl Bench {
    fn new() -> Self {
        let scene = Scene::new();
        let registry = Registry::docker(scene.home());
        scene.allow(&[registry.host()]);
        let later = Instant::now() + Duration::from_secs(3600 * 24);
        let mut options = ClientOptions::new(later);
        options.insecure.push(registry.host());
        let client = Client::new(options, Arc::new(Robot)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let encrypted = ["cosign.key", "cosign.pub", "cosign.password"]
            .map(|name| (name, std::fs::read(scene.keys().join(name)).unwrap()));
        Self { scene, registry, client, runtime, pushed: 0, encrypted: encrypted.into() }
    }

    /// Signs so many new images of one repository in one run, with a key that isn't encrypted.
    fn run_over(&mut self, program: &std::path::Path, place: Place, images: usize) -> Cost {
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys/p256.pkcs8.pem");
        self.scene.mount_key(&[("x509.pem", &std::fs::read(key).unwrap())]);
        let repository = self.repository();
        let digests = self.push(&repository, images);
        let named: Vec<String> = digests.iter().map(|digest| format!("{repository}@{digest}")).collect();
        self.scene.result("IMAGES", &named.join(","));
        let said = self.scene.home().join("said");
        let mut command = self.command(program, place);
        command.stderr(std::fs::File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        let mut peak_kib = 0;
        let status = loop {
            // A process that has ended has no peak any more.
            peak_kib = peak::peak_kib(child.id()).unwrap_or(0).max(peak_kib);
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(POLL),
            }
        };
        let said = std::fs::read_to_string(said).unwrap();
        assert!(status.success(), "{place:?}: {said}");
        // "… (1.23 s, 456 requests)"
        let requests = said.trim().strip_suffix(" requests)").and_then(|said| said.rsplit(' ').next());
        for digest in &digests {
            assert_eq!(self.signatures(place, &repository, digest), 1, "{digest}");
        }
        self.scene.mount_key(&self.encrypted_key());
        Cost { requests: requests.unwrap().parse().unwrap(), peak_kib }
    }

    /// Starts this many runs at once, each with images of its own and an image that all sign.
    fn at_once(&mut self, place: Place, runs: usize, own: usize) {
        let repository = self.repository();
        let shared = self.push(&repository, 1).remove(0);
        let digests: Vec<Vec<String>> = (0..runs).map(|_| self.push(&repository, own)).collect();
        let begun = Instant::now();
        let children: Vec<Child> = digests
            .iter()
            .enumerate()
            .map(|(number, digests)| {
                let mut command = self.command(&binary(), place);
                command.arg(format!("--annotation=run={number}"));
                command.args(digests.iter().chain([&shared]).map(|digest| format!("{repository}@{digest}")));
                command.stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let wall = begun.elapsed().as_secs_f64();
        let each = digests.iter().flatten().map(|digest| self.signatures(place, &repository, digest));
        let signed = each.filter(|signatures| *signatures == 1).count();
        let on_shared = self.signatures(place, &repository, &shared);
        println!("| {place:?} | {} | {signed} | {on_shared} | {wall:.1} |", runs * own);
        assert_eq!((signed, on_shared), (runs * own, runs), "a signature is lost");
        assert_eq!(self.scene.verified(place, &format!("{repository}@{shared}")).len(), runs);
    }

    /// Signs so many new images by tag with the encrypted key; `None`: cosign does.
    fn timed(&mut self, program: Option<&std::path::Path>, images: usize) -> Timed {
        let repository = self.repository();
        let digests = self.push(&repository, images);
        let mut command = match program {
            Some(program) => self.command(program, Place::Tag),
            None => self.scene.cosign_sign(Place::Tag),
        };
        command.args(digests.iter().map(|digest| format!("{repository}@{digest}")));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let registry = registry_cpu();
        let (begun, before) = (Instant::now(), children_cpu());
        assert!(command.spawn().unwrap().wait().unwrap().success());
        let wall = begun.elapsed().as_secs_f64();
        Timed { wall, own: children_cpu() - before, registry: registry_cpu() - registry }
    }

    fn command(&self, program: &std::path::Path, place: Place) -> Command {
        let like = self.scene.stepseal(&[self.registry.host()], &[]);
        let mut command = Command::new(program);
        command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(like.get_current_dir().unwrap()).arg("sign");
        command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn encrypted_key(&self) -> Vec<(&str, &[u8])> {
        self.encrypted.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect()
    }

    /// Makes a repository with a new name.
    fn repository(&mut self) -> Repository {
        self.pushed += 1;
        format!("{}/load-{:03}", self.registry.host(), self.pushed).parse().unwrap()
    }

    /// Pushes so many images that differ in an annotation, and gives their digests.
    fn push(&mut self, repository: &Repository, images: usize) -> Vec<String> {
        self.pushed += 1;
        let push = async {
            let blob = self.client.put_blob(repository, Bytes::from_static(b"{}")).await.unwrap();
            let mut digests = Vec::new();
            for number in 0..images {
                let descriptor =
                    |kind: &str| json!({ "mediaType": kind, "size": 2, "digest": blob.as_str() });
                let manifest = json!({
                    "schemaVersion": 2,
                    "mediaType": MANIFEST,
                    "config": descriptor("application/vnd.oci.image.config.v1+json"),
                    "layers": [descriptor("application/vnd.oci.image.layer.v1.tar")],
                    "annotations": { "number": format!("{}-{number}", self.pushed) },
                });
                let bytes = Bytes::from(manifest.to_string());
                let digest = stepseal::oci::Digest::of(&bytes);
                let target = Target::Digest(digest.clone());
                self.client.put_manifest(repository, &target, MANIFEST, bytes).await.unwrap();
                digests.push(digest.as_str().to_owned());
            }
            digests
        };
        self.runtime.block_on(push)
    }

    /// How many signatures the registry holds for an image.
    fn signatures(&self, place: Place, repository: &Repository, digest: &str) -> usize {
        let (suffix, field) = match place {
            Place::Tag => (".sig", "layers"),
            Place::Referrers => ("", "manifests"),
        };
        let tag = Target::Tag(format!("{}{suffix}", digest.replace(':', "-")));
        let list = self.runtime.block_on(self.client.manifest(repository, &tag)).unwrap();
        list.map_or(0, |list| {
            let list: Value = serde_json::from_slice(&list.bytes).unwrap();
            list[field].as_array().unwrap().len()
        })
    }
}

/// The login of the scene's user.
#[derive(Debug)]
struct Robot;

impl Keychain for Robot {
    fn credentials<'a>(&'a self, _: &'a Repository) -> Found<'a> {
        let login = Login::Basic { user: USER.into(), password: Secret::from(PASSWORD.to_owned()) };
        Box::pin(async { Ok(vec![Credential { login, origin: "the scene".into() }]) })
    }
}

/// The fields of a process's `stat` behind its name, which may hold spaces.
fn stat(process: &str) -> Vec<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.map(|field| field.parse().unwrap_or(f64::NAN)).collect()
}

/// The CPU time of all child processes that have ended, in seconds.
fn children_cpu() -> f64 {
    let stat = stat("self");
    (stat[13] + stat[14]) / TICKS
}

/// The CPU time of the registry, in seconds.
fn registry_cpu() -> f64 {
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    children.split_whitespace().map(stat).map(|stat| (stat[11] + stat[12]) / TICKS).sum()
}
