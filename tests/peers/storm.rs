//! Many images are signed through a proxy that breaks requests, and what is reported is compared with what the registry holds.
//!
//! The tests and the measurement of reliability share it. What the registry holds is read through a connection of its own.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::{fmt, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use stepseal::oci::Digest;

use crate::kit::images::{Image, Kind};
use crate::kit::scene::{PASSWORD, Place, USER};
use crate::kit::{Registry, Scene, run};
use crate::proxy::{Body, Conduct, Message, Proxy};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry, and a way to it that nothing breaks.
pub(crate) struct Ground<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) address: SocketAddr,
    /// Whether it wants tokens, which only other programs get here.
    pub(crate) tokens: Option<String>,
}

/// What became of a run over many images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) requests: usize,
    pub(crate) faults: usize,
    pub(crate) images: usize,
    pub(crate) signed: usize,
    pub(crate) failed: usize,
    /// Reported as signed, and there is not exactly one signature that verifies; or not reported at all.
    pub(crate) wrong: usize,
    /// How often each exit code was seen.
    pub(crate) codes: BTreeMap<i32, usize>,
}

impl Outcome {
    /// Adds what became of another run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.faults += other.faults;
        self.images += other.images;
        self.signed += other.signed;
        self.failed += other.failed;
        self.wrong += other.wrong;
        for (code, times) in &other.codes {
            *self.codes.entry(*code).or_default() += times;
        }
    }

    /// The exit codes, the most frequent first.
    pub(crate) fn exits(&self) -> String {
        let mut codes: Vec<_> = self.codes.iter().collect();
        codes.sort_by_key(|(code, times)| (std::cmp::Reverse(**times), **code));
        let code = |(code, times): (&i32, &usize)| match *code {
            -1 => format!("timed out ×{times}"),
            code => format!("{code} ×{times}"),
        };
        codes.into_iter().map(code).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, faults, images, signed, failed, wrong, .. } = self;
        let exits = self.exits();
        write!(
            f,
            "{images} images, {requests} requests, {faults} faults: {signed} signed, {failed} failed, {wrong} wrong, exit {exits}"
        )
    }
}

impl<'a> Ground<'a> {
    /// Before a registry of the peers.
    pub(crate) fn of(scene: &'a Scene, registry: &Registry) -> Self {
        scene.allow(&[registry.host()]);
        Self { scene, address: registry.address(), tokens: None }
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    /// Pushes so many images into a repository. With a password that is a request each; other programs push them elsewhere.
    pub(crate) fn push(&self, name: &str, count: usize) -> Vec<Image> {
        let name = format!("{USER}/{name}");
        let first = self.scene.crane_pushes(Kind::Oci, &self.host(), &name, &name);
        let crane = |number| {
            let content = format!("{name} {number}");
            self.scene.crane_pushes(Kind::Oci, &self.host(), &name, &content)
        };
        if self.tokens.is_some() {
            return (1..count).map(crane).chain([first.clone()]).collect();
        }
        let manifest = self.scene.manifest(&first.reference()).unwrap();
        let mut direct = Direct::to(self.address);
        let push = |number| {
            let mut manifest = manifest.clone();
            manifest["annotations"] = serde_json::json!({ "number": format!("{number}") });
            let body = manifest.to_string();
            let digest = Digest::of(body.as_bytes()).to_string();
            let path = format!("/v2/{name}/manifests/{digest}");
            let answer = direct.send("PUT", &path, &format!("Content-Type: {MANIFEST}\r\n"), &body);
            assert_eq!(answer.status(), "201", "{}", String::from_utf8_lossy(&answer.body));
            Image { repository: first.repository.clone(), digest }
        };
        (0..count).map(push).collect()
    }

    /// How many signatures each of these images has.
    pub(crate) fn signatures(&self, place: Place, images: &[Image]) -> Vec<usize> {
        if self.tokens.is_some() {
            let count = |image: &Image| match place {
                Place::Tag => self.scene.tag_signatures(image).len(),
                Place::Referrers => self.scene.fallback_referrers(image).len(),
            };
            return images.iter().map(count).collect();
        }
        let mut direct = Direct::to(self.address);
        let mut list = |image: &Image, path: &str, field: &str| {
            let name = image.repository.split_once('/').unwrap().1;
            let answer = direct.send("GET", &format!("/v2/{name}/{path}"), "", "");
            let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let entries = found[field].as_array().map(Vec::len);
            match answer.status() {
                "200" => entries,
                "404" | "405" => None,
                status => panic!("{status} for {path}"),
            }
        };
        let count = |image: &Image| {
            let tag = image.digest.replace(':', "-");
            match place {
                Place::Tag => list(image, &format!("manifests/{tag}.sig"), "layers"),
                Place::Referrers => list(image, &format!("referrers/{}", image.digest), "manifests")
                    .or_else(|| list(image, &format!("manifests/{tag}"), "manifests")),
            }
        };
        images.iter().map(count).map(Option::unwrap_or_default).collect()
    }

    /// Whether our own `verify` and, for the first and the last of them, cosign accept the images.
    fn verifies(&self, place: Place, images: &[&Image]) -> bool {
        let (Some(first), Some(last)) = (images.first(), images.last()) else { return true };
        let hosts: Vec<String> = [self.host()].into_iter().chain(self.tokens.clone()).collect();
        let mut command = self.scene.stepseal(&hosts, &["verify", "--insecure-ignore-tlog", "--key"]);
        command.env_remove("STEPSEAL_KEY").arg(self.scene.public_key());
        let stepseal = run(command.args(images.iter().map(|image| image.reference())));
        if stepseal.code != 0 {
            eprintln!("{stepseal}");
        }
        let cosign = |image: &Image| self.scene.cosign_verify(place, &image.reference(), &[]).code == 0;
        stepseal.code == 0 && cosign(first) && cosign(last)
    }

    /// Signs `images` through a proxy with this conduct.
    pub(crate) fn storm(&self, place: Place, images: &[Image], conduct: Conduct) -> Outcome {
        let proxy = Proxy::start(self.address, conduct).unwrap();
        let hosts: Vec<String> = [proxy.host()].into_iter().chain(self.tokens.clone()).collect();
        self.scene.allow(&[self.host(), proxy.host()]);
        let report = tempfile::NamedTempFile::new_in(self.scene.home()).unwrap();
        let mut command = self.scene.stepseal(&hosts, &["sign", "--report"]);
        command.arg(report.path()).env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
        command.args(through(images, &self.host(), &proxy.host()));
        let ran = run(&mut command);
        let text = fs::read_to_string(report.path()).unwrap();
        let told: Vec<Value> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}: {ran}"));
        let status = |image: &Image| {
            let about = told.iter().find(|entry| entry["digest"] == image.digest.as_str());
            about.map(|entry| entry["status"].as_str().unwrap().to_owned())
        };
        let counts = self.signatures(place, images);
        let mut outcome =
            Outcome { images: images.len(), codes: BTreeMap::from([(ran.code, 1)]), ..Outcome::default() };
        let mut signed = Vec::new();
        for (image, count) in images.iter().zip(counts) {
            match status(image).as_deref() {
                Some("signed" | "unchanged") if count == 1 => signed.push(image),
                Some("failed") if count <= 1 => outcome.failed += 1,
                status => {
                    eprintln!(
                        "{place:?} {conduct:?}: {image:?} is reported as {status:?} and has {count}: {ran}"
                    );
                    outcome.wrong += 1;
                }
            }
        }
        outcome.signed = signed.len();
        if !self.verifies(place, &signed) {
            outcome.wrong += signed.len();
        }
        let should = match (outcome.signed, outcome.failed) {
            (_, 0) => &[0][..],
            (0, _) => &[1, 4],
            _ => &[5],
        };
        assert!(outcome.wrong > 0 || should.contains(&ran.code), "{outcome}: {ran}");
        if outcome.failed > 0 {
            let lines = ran.stderr.matches("failed     ").count();
            assert_eq!(lines, outcome.failed, "each failure has its line: {ran}");
        }
        let record = proxy.take_record();
        (outcome.requests, outcome.faults) = (record.requests.len(), record.faults);
        outcome
    }
}

/// The references of `images` as they are asked for through a proxy.
pub(crate) fn through(images: &[Image], host: &str, proxy: &str) -> Vec<String> {
    images.iter().map(|image| image.reference().replacen(host, proxy, 1)).collect()
}

/// A connection of its own to a registry, with the password.
pub(crate) struct Direct {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Direct {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).unwrap()), host: address.to_string() }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Message {
        let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let accept = format!("{MANIFEST}, application/vnd.oci.image.index.v1+json");
        let headers =
            format!("Host: {}\r\nAuthorization: Basic {login}\r\nAccept: {accept}\r\n{headers}", self.host);
        let request = Message::new(&format!("{method} {path} HTTP/1.1"), &headers, body);
        self.stream.get_mut().flush().unwrap();
        request.write(self.stream.get_ref()).unwrap();
        let answer = Message::read(&mut self.stream, Body::OfAnswer).unwrap().expect("an answer");
        if answer.closes() {
            *self = Self::to(self.host.parse().unwrap());
        }
        answer
    }
}

/// `command` with a limit of time, after which it is killed.
pub(crate) fn limited(command: &Command, seconds: u32) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--signal=KILL", &seconds.to_string()]).arg(command.get_program()).args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}
