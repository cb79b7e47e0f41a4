//! Whatever is changed, at random: what counts as there is what `verify` accepts.

use serde_json::{Value, json};

use super::law::{Piece, holds};
use super::scene::{Scene, Way, run};

/// xorshift64*: the same seed gives the same changes.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % end
    }

    fn scalar(&mut self) -> Value {
        let all = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(234),
            json!(""),
            json!("x"),
            json!("AAAA"),
            json!("{}"),
            json!([]),
            json!({}),
            json!("application/vnd.dev.sigstore.bundle.v0.3+json"),
            json!("application/vnd.oci.image.manifest.v1+json"),
            json!("application/vnd.oci.empty.v1+json"),
            json!("https://sigstore.dev/cosign/sign/v1"),
            json!("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ];
        all[self.below(all.len())].clone()
    }

    /// Changes, removes or adds something somewhere in `document`.
    fn change(&mut self, document: &mut Value) -> String {
        let mut places = Vec::new();
        walk(document, String::new(), &mut places);
        let place = places[self.below(places.len())].clone();
        let names = [
            "x",
            "mediaType",
            "annotations",
            "artifactType",
            "dev.sigstore.cosign/bundle",
            "dev.sigstore.cosign/rfc3161timestamp",
            "tlogEntries",
            "certificate",
        ];
        let (name, scalar) = (names[self.below(names.len())], self.scalar());
        let kind = self.below(4);
        let at = document.pointer_mut(&place).unwrap();
        match (kind, at) {
            (0, Value::Object(fields)) => {
                fields.insert(name.to_owned(), scalar.clone());
                format!("{place}/{name} = {scalar}")
            }
            (1, _) if !place.is_empty() => {
                let (parent, name) = place.rsplit_once('/').unwrap();
                match document.pointer_mut(parent).unwrap() {
                    Value::Object(fields) => {
                        fields.remove(&name.replace("~1", "/").replace("~0", "~"));
                    }
                    Value::Array(items) => {
                        items.remove(name.parse().unwrap());
                    }
                    _ => unreachable!("it has a part"),
                }
                format!("without {place}")
            }
            (2, Value::String(text)) if !text.is_empty() => {
                let at = self.below(text.len());
                text.insert(at, 'A');
                format!("{place}: another letter at {at}")
            }
            (_, at) => {
                *at = scalar.clone();
                format!("{place} = {scalar}")
            }
        }
    }
}

/// The pointers of everything in `value`.
fn walk(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| walk(value, format!("{at}/{n}"), places));
        }
        _ => {}
    }
    places.push(at);
}

/// What isn't held to the law: an attestation under the label of another is another's, and is not read.
fn is_labelled_otherwise(scene: &Scene) -> bool {
    let (Way::AttestationReferrer | Way::AttestationFallback) = scene.way else { return false };
    let label = |at: &Value| at.pointer("/annotations/dev.sigstore.bundle.predicateType").cloned();
    let ours = json!("https://example.com/report/v1");
    scene.entries().iter().any(|entry| label(entry).is_some_and(|label| label.is_string() && label != ours))
}

fn changed_at_random(way: Way) {
    let cases: u64 = std::env::var("STEPSEAL_SPOILT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    run(async {
        let mut refused = 0;
        for seed in 1..=cases {
            let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let scene = Scene::new(way).await;
            assert_eq!(scene.sign().await, Ok((1, 0)));
            let pieces: Vec<Piece> = [Piece::Entry, Piece::List, Piece::Blob, Piece::Referrer, Piece::Bundle]
                .into_iter()
                .filter(|piece| scene.has(*piece))
                .collect();
            let piece = pieces[random.below(pieces.len())];
            let mut document = scene.piece(piece);
            let what = (0..=random.below(2)).map(|_| random.change(&mut document)).collect::<Vec<_>>();
            scene.put(piece, &document);
            let what = format!("seed {seed}: {piece:?} {}", what.join(", "));
            if !is_labelled_otherwise(&scene) {
                refused += usize::from(holds(&scene, &what).await == Some(false));
            }
        }
        assert!(
            refused * 5 > usize::try_from(cases).unwrap(),
            "{way:?}: only {refused} of {cases} were refused"
        );
    });
}

#[test]
fn a_signature_under_the_tag_counts_if_and_only_if_verify_accepts_it() {
    changed_at_random(Way::SignatureTag);
}

#[test]
fn a_bundle_counts_if_and_only_if_verify_accepts_it() {
    changed_at_random(Way::SignatureReferrer);
}

#[test]
fn a_bundle_in_the_fallback_list_counts_if_and_only_if_verify_accepts_it() {
    changed_at_random(Way::SignatureFallback);
}

#[test]
fn an_attestation_under_the_tag_counts_if_and_only_if_verify_accepts_it() {
    changed_at_random(Way::AttestationTag);
}

#[test]
fn an_attestation_in_a_bundle_counts_if_and_only_if_verify_accepts_it() {
    changed_at_random(Way::AttestationReferrer);
    changed_at_random(Way::AttestationFallback);
}
