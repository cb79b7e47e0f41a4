//! The demo's steps, and the last of them: reading everything back with the public key alone.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Sample;
use crate::explain::{Explain, Explanation};
use crate::formats::Claims;
use crate::key::PublicKey;
use crate::payload::{CosignStatement, Format, SimpleSigning};
use crate::process::ProgramEnvironment;
use crate::registry::client::{Client, ClientOptions};
use crate::registry::credentials::{FileKeychain, Places};
use crate::sign::KeyError;
use crate::store::{Contents, Depth, OciReferrers, OciTag, SignatureList};
use crate::verify;

/// The command lines that the demo runs and shows.
#[derive(Clone, Debug)]
pub struct Tour {
    /// Whether signatures are kept as referrers.
    pub referrers: bool,
    host: String,
    folder: String,
}

impl Tour {
    /// A tour of `sample`.
    pub fn new(sample: &Sample, referrers: bool) -> Self {
        let folder = sample.folder().display().to_string();
        Self { referrers, host: sample.registry.host().to_owned(), folder }
    }

    /// `stepseal plan` for the sample.
    pub fn plan(&self) -> Vec<String> {
        self.command("plan")
    }

    /// `stepseal sign` for the sample.
    pub fn sign(&self) -> Vec<String> {
        self.command("sign")
    }

    fn command(&self, name: &str) -> Vec<String> {
        let mut words = vec![
            "stepseal".to_owned(),
            name.to_owned(),
            format!("--results-dir={}/results", self.folder),
            format!("--steps-dir={}/steps", self.folder),
            format!("--key={}/signing-secrets", self.folder),
            format!("--registry-config={}/registry-credentials", self.folder),
            format!("--insecure-registry={}", self.host),
            "--recursive".to_owned(),
        ];
        if self.referrers {
            words.push("--config=storage.oci.encoding-format=sigstore-bundle".to_owned());
        }
        words
    }

    /// The cosign commands that check what was signed.
    pub fn cosign(&self, sample: &Sample) -> Vec<String> {
        let images = sample.images();
        let command = |image| {
            format!(
                "DOCKER_CONFIG={0}/registry-credentials cosign verify --key {0}/signing-secrets/cosign.pub \
                 --insecure-ignore-tlog=true --allow-http-registry {image}",
                self.folder
            )
        };
        images.iter().map(command).collect()
    }
}

/// A signature that was read back, or the lack of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    image: String,
    /// `Ok`: verified, with the place it was found in.
    pub result: Result<String, String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(location) => write!(f, "verified   {}\n           at {location}", self.image),
            Err(why) => write!(f, "not signed {}\n           {why}", self.image),
        }
    }
}

/// Reads the signatures of the sample's images back and verifies them with its public key.
pub async fn verify(sample: &Sample, referrers: bool) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for image in sample.images() {
        let result = verify_one(sample, referrers, &image).await;
        verdicts.push(Verdict { image: image.to_string(), result });
    }
    verdicts
}

async fn verify_one(
    sample: &Sample,
    referrers: bool,
    image: &crate::oci::ImageRef,
) -> Result<String, String> {
    let explain = |error: &dyn Explain| Explanation::of(error).to_string();
    let pem = std::fs::read_to_string(sample.keys().join("cosign.pub")).map_err(|error| error.to_string())?;
    let key = PublicKey::from_pem(&pem).map_err(|error| explain(&KeyError::PublicKey(error)))?;
    let client = client(sample)?;
    let (store, format): (Box<dyn SignatureList>, Box<dyn Format>) = if referrers {
        (Box::new(OciReferrers::new(client, None, None)), Box::new(CosignStatement))
    } else {
        (Box::new(OciTag::new(client, Contents::Signatures, None)), Box::new(SimpleSigning))
    };
    let payloads = format.payloads(image, &Claims::default()).map_err(|error| explain(&error))?;
    let judge = verify::Own::new(&key, image, &payloads);
    let shelf = store.read(image, Depth::Of(&payloads), &judge).await.map_err(|error| explain(&error))?;
    if judge.missing(|payload| shelf.counts(payload)).is_empty() {
        Ok(store.location(image))
    } else {
        Err(format!("no signature by this key at {}", store.location(image)))
    }
}

fn client(sample: &Sample) -> Result<Client, String> {
    let places = Places::explicit([sample.credentials()]);
    let keychain = FileKeychain::load(places, ProgramEnvironment::default());
    let keychain = keychain.map_err(|error| Explanation::of(&error).to_string())?;
    let options = ClientOptions {
        insecure: vec![sample.registry.host().to_owned()],
        ..ClientOptions::new(Instant::now() + Duration::from_secs(30))
    };
    Client::new(options, Arc::new(keychain)).map_err(|error| Explanation::of(&error).to_string())
}
