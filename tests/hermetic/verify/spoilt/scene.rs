//! One image in a registry whose signature is signed, changed, verified and signed again, all in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepseal::demo::registry::{EmbeddedRegistry, Options};
use stepseal::flow::images::{ImageVerifier, RequestedImage};
use stepseal::flow::{Batch, PayloadSource, Pipeline, TagLocks, sign};
use stepseal::formats::{Claims, Payload, statement};
use stepseal::key::PublicKey;
use stepseal::oci::{Digest, ImageRef};
use stepseal::payload::{CosignStatement, Format, SimpleSigning};
use stepseal::plan::PlannedImage;
use stepseal::process::ProgramEnvironment;
use stepseal::registry::client::{Client, ClientOptions};
use stepseal::registry::credentials::{FileKeychain, Places};
use stepseal::report::OutcomeLabel;
use stepseal::sign::{KeySource, Unlocking};
use stepseal::store::{Contents, OciReferrers, OciTag, Store};
use stepseal::verify::own::trust;
use stepseal::verify::{Check, Demands};

use crate::kit::step::{INDEX, MANIFEST};

/// The repository of the image.
pub(super) const REPOSITORY: &str = "team/app";
const PREDICATE_TYPE: &str = "https://example.com/report/v1";

/// How something is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    SignatureTag,
    SignatureReferrer,
    SignatureFallback,
    AttestationTag,
    AttestationReferrer,
    AttestationFallback,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::SignatureTag,
        Self::SignatureReferrer,
        Self::SignatureFallback,
        Self::AttestationTag,
        Self::AttestationReferrer,
        Self::AttestationFallback,
    ];

    pub(super) fn is_tag(self) -> bool {
        matches!(self, Self::SignatureTag | Self::AttestationTag)
    }

    pub(super) fn is_fallback(self) -> bool {
        matches!(self, Self::SignatureFallback | Self::AttestationFallback)
    }

    fn is_signature(self) -> bool {
        matches!(self, Self::SignatureTag | Self::SignatureReferrer | Self::SignatureFallback)
    }
}

/// The image, and the registry.
pub(super) struct Scene {
    pub(super) registry: EmbeddedRegistry,
    pub(super) way: Way,
    pub(super) digest: Digest,
    image: ImageRef,
    key: &'static str,
}

/// What was added and what was there; or why not, with all its causes.
pub(super) type Added = Result<(usize, usize), String>;

impl Scene {
    /// An image that isn't signed. Must be called inside a runtime.
    pub(super) async fn new(way: Way) -> Self {
        Self::with_key(way, "p256.pkcs8.pem").await
    }

    pub(super) async fn with_key(way: Way, key: &'static str) -> Self {
        let options =
            Options { referrers: !way.is_fallback(), unchecked_manifests: true, ..Options::default() };
        let registry = EmbeddedRegistry::start(options).await.unwrap();
        let content = registry.content();
        let config = content.put_blob(REPOSITORY, "{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
        });
        let digest = content.put_manifest(REPOSITORY, None, MANIFEST, manifest.to_string()).unwrap();
        let image = format!("{}/{REPOSITORY}@{digest}", registry.host()).parse().unwrap();
        Self { registry, way, digest, image, key }
    }

    fn client(&self) -> Client {
        let options = ClientOptions {
            insecure: vec![self.registry.host().to_owned()],
            ..ClientOptions::new(Instant::now() + Duration::from_secs(120))
        };
        Client::new(
            options,
            Arc::new(FileKeychain::load(Places::explicit([]), ProgramEnvironment::default()).unwrap()),
        )
        .unwrap()
    }

    fn unlocking(&self) -> Unlocking {
        let path = format!("{}/tests/data/keys/{}", env!("CARGO_MANIFEST_DIR"), self.key);
        let source: KeySource = path.parse().unwrap();
        Unlocking::start(source.read(&|_| None).unwrap())
    }

    pub(super) async fn public_key(&self) -> PublicKey {
        self.unlocking().signer().await.unwrap().public_key().clone()
    }

    /// What is signed.
    pub(super) fn payload(&self) -> Payload {
        let claims = Claims::default();
        match self.way {
            Way::SignatureTag => SimpleSigning.payloads(&self.image, &claims).unwrap().remove(0),
            way if way.is_signature() => CosignStatement.payloads(&self.image, &claims).unwrap().remove(0),
            _ => {
                let predicate = serde_json::value::to_raw_value(&json!({ "passed": true })).unwrap();
                statement::of_images(std::slice::from_ref(&self.image), PREDICATE_TYPE, &predicate).unwrap()
            }
        }
    }

    /// Signs or attests, as a run of its own.
    pub(super) async fn sign(&self) -> Added {
        self.sign_until(Duration::from_secs(60)).await
    }

    pub(super) async fn sign_until(&self, limit: Duration) -> Added {
        let (client, key) = (self.client(), self.unlocking());
        let contents = if self.way.is_signature() { Contents::Signatures } else { Contents::Attestations };
        let store: Arc<dyn Store> = if self.way.is_tag() {
            Arc::new(OciTag::new(client.clone(), contents, None))
        } else {
            Arc::new(OciReferrers::new(client.clone(), None, None))
        };
        let what = if self.way.is_signature() {
            let format: Box<dyn Format> =
                if self.way.is_tag() { Box::new(SimpleSigning) } else { Box::new(CosignStatement) };
            PayloadSource::Each { format, claims: Claims::default() }
        } else {
            PayloadSource::Same(sign(&key, self.payload(), vec![self.image.clone()]).await.unwrap())
        };
        let pipeline = Pipeline {
            client: client.clone(),
            what,
            label: OutcomeLabel::IMAGE,
            key,
            store,
            writers: TagLocks::default(),
            replace: false,
            deadline: Instant::now() + limit,
        };
        let batch = Batch { client, pipelines: vec![pipeline], later: Vec::new(), jobs: 1, recursive: false };
        let planned = PlannedImage::new(self.image.clone(), vec!["a test".to_owned()]);
        let outcome = batch.sign(&[planned], &mut |_| {}).await.remove(0);
        outcome.result.map(|done| (done.added, done.present)).map_err(|why| why.to_string())
    }

    /// What `verify`, or `verify-attestation`, says with our key: whether something counts, or why it can't tell.
    pub(super) async fn verify(&self) -> Result<bool, String> {
        let key = self.public_key().await;
        let predicate_type = (!self.way.is_signature()).then(|| PREDICATE_TYPE.to_owned());
        let check = Check { trust: trust(&key), demands: Demands { predicate_type, ..Demands::default() } };
        let looker = ImageVerifier::new(self.client(), None, false, 1);
        let asked = RequestedImage { name: self.image.to_string(), image: self.image.clone() };
        let mut result = None;
        looker.look(vec![asked], &|_| vec![check.clone()], &mut |seen| result = Some(seen.result)).await;
        let verdicts = result.unwrap().map_err(|error| error.to_string())?;
        Ok(!verdicts[0].good.is_empty())
    }

    /// The tag with the list, where there is one.
    pub(super) fn tag(&self) -> Option<String> {
        let end = match self.way {
            Way::SignatureTag => ".sig",
            Way::AttestationTag => ".att",
            Way::SignatureFallback | Way::AttestationFallback => "",
            Way::SignatureReferrer | Way::AttestationReferrer => return None,
        };
        Some(format!("sha256-{}{end}", self.digest.hex()))
    }

    /// The list under the tag.
    pub(super) fn list(&self) -> Value {
        let (_, bytes) = self.registry.content().manifest(REPOSITORY, &self.tag().unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    pub(super) fn put_list(&self, list: &Value) {
        let kind = if self.way.is_tag() { MANIFEST } else { INDEX };
        let tag = self.tag().unwrap();
        self.registry.content().put_manifest(REPOSITORY, Some(&tag), kind, list.to_string()).unwrap();
    }

    pub(super) fn blob(&self, digest: &Value) -> Option<Vec<u8>> {
        let digest = digest.as_str()?.parse().ok()?;
        Some(self.registry.content().blob(REPOSITORY, &digest)?.to_vec())
    }

    /// The manifests of the referrers that are there, of whatever image.
    pub(super) fn referrers(&self) -> Vec<Value> {
        let content = self.registry.content();
        if self.way.is_fallback() {
            let list = self.list();
            let entries = list["manifests"].as_array().into_iter().flatten();
            let bytes = entries.filter_map(|entry| content.manifest(REPOSITORY, entry["digest"].as_str()?));
            return bytes.map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap()).collect();
        }
        let all = content.referrers(REPOSITORY, &self.digest).into_iter();
        all.map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap()).collect()
    }

    /// Puts a referrer's manifest in the place of `old`, in the list too.
    pub(super) fn replace_referrer(&self, old: &Value, new: &Value) {
        let content = self.registry.content();
        for (_, bytes) in content.referrers(REPOSITORY, &self.digest) {
            if serde_json::from_slice::<Value>(&bytes).unwrap() == *old {
                content.remove_manifest(REPOSITORY, &Digest::of(&bytes));
                self.relist(&Digest::of(&bytes), new);
            }
        }
        content.put_manifest(REPOSITORY, None, MANIFEST, new.to_string()).unwrap();
    }

    fn relist(&self, old: &Digest, new: &Value) {
        if !self.way.is_fallback() {
            return;
        }
        let mut list = self.list();
        for entry in list["manifests"].as_array_mut().unwrap() {
            if entry["digest"] == old.as_str() {
                entry["digest"] = Digest::of(new.to_string().as_bytes()).as_str().into();
                entry["size"] = new.to_string().len().into();
            }
        }
        self.put_list(&list);
    }

    /// Everything that is there, as another writer left it: each must be there later too.
    pub(super) fn entries(&self) -> Vec<Value> {
        let mut all = Vec::new();
        if self.tag().is_some() {
            let field = if self.way.is_tag() { "layers" } else { "manifests" };
            all.extend(self.list()[field].as_array().into_iter().flatten().cloned());
        }
        if !self.way.is_tag() {
            all.extend(self.referrers());
        }
        all
    }
}

/// Runs a test on a runtime of its own.
pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
