//! `stepseal verify` beside `cosign verify`: the same verdict on what either of them wrote, case by case.

use std::fs;

use serde_json::Value;

use crate::kit::command::Ran;
use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, peer, run};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

/// A registry and images in it.
struct Site {
    scene: Scene,
    _registry: Registry,
    hosts: [String; 1],
    pushed: usize,
}

impl Site {
    fn new(referrers: bool) -> Self {
        let scene = Scene::new();
        let registry =
            if referrers { Registry::with_referrers(scene.home()) } else { Registry::docker(scene.home()) };
        let hosts = [registry.host()];
        scene.allow(&hosts);
        Self { scene, _registry: registry, hosts, pushed: 0 }
    }

    fn image(&mut self) -> Image {
        self.pushed += 1;
        let name = format!("app-{}", self.pushed);
        self.scene.crane_pushes(Kind::Oci, &self.hosts[0], &name, &name)
    }

    /// The public key of a new pair.
    fn other_key(&self) -> std::path::PathBuf {
        let other = self.scene.home().join("other");
        fs::create_dir(&other).unwrap();
        run(self.scene.cosign(&["generate-key-pair"]).current_dir(&other)).ok();
        other.join("cosign.pub")
    }

    fn stepseal(&self, command: &str, key: &std::path::Path, more: &[&str]) -> Ran {
        let mut stepseal =
            self.scene.stepseal(&self.hosts, &[command, "--insecure-ignore-tlog=true", "--key"]);
        run_quietly(stepseal.env_remove("STEPSEAL_KEY").arg(key).args(more))
    }

    fn cosigns(&self, command: &str, key: &std::path::Path, more: &[&str]) -> Ran {
        let mut cosign =
            self.scene.cosign(&[command, "--insecure-ignore-tlog=true", "--allow-http-registry"]);
        run(cosign.arg("--key").arg(key).args(more))
    }

    /// Both verdicts: they must agree with `good`, or differ as `stepseal` says.
    #[track_caller]
    fn agree(&self, what: &str, command: &str, key: &std::path::Path, more: &[&str], good: bool) {
        let (stepseal, cosigns) = (self.stepseal(command, key, more), self.cosigns(command, key, more));
        assert_eq!(stepseal.code == 0, good, "{what}: {stepseal}");
        assert_eq!(cosigns.code == 0, good, "{what}: {cosigns}");
        if good && command == "verify" {
            let values = |ran: &Ran| -> Vec<Value> { serde_json::from_str(ran.stdout.trim()).unwrap() };
            // cosign looks at the tag only where there is no bundle.
            let (stepseal, cosigns) = (values(&stepseal), values(&cosigns));
            assert!(cosigns.iter().all(|one| stepseal.contains(one)), "{what}: {stepseal:?} {cosigns:?}");
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn both_say_the_same_of_what_either_signed() {
    for referrers in [false, true] {
        let mut site = Site::new(referrers);
        let key = site.scene.public_key();
        let other = site.other_key();
        let unsigned = site.image().reference();
        site.agree("unsigned", "verify", &key, &[&unsigned], false);
        for place in PLACES {
            let cosigns = site.image().reference();
            site.scene.cosign_signs(place, &cosigns, &["-a", "by=cosign", "-a", "n=1"]);
            let stepseal = site.image().reference();
            site.scene.sign(place, &site.hosts, &["--annotation=by=stepseal", &stepseal]).ok();
            for (image, by) in [(&cosigns, "by=cosign"), (&stepseal, "by=stepseal")] {
                site.agree(by, "verify", &key, &[image], true);
                site.agree(by, "verify", &key, &["-a", by, image], true);
                site.agree(by, "verify", &key, &["-a", "by=nobody", image], false);
                site.agree(by, "verify", &key, &["-a", "absent=1", image], false);
                site.agree("another key", "verify", &other, &[image], false);
            }
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_signature_moved_to_another_image_is_refused_by_both() {
    let mut site = Site::new(false);
    let key = site.scene.public_key();
    let (one, two) = (site.image(), site.image());
    site.scene.cosign_signs(Place::Tag, &one.reference(), &[]);
    let tag = two.tag(".sig");
    run(peer("crane", site.scene.home()).args(["copy", "--insecure", &one.tag(".sig"), &tag])).ok();
    site.agree("moved", "verify", &key, &[&two.reference()], false);
    site.agree("in its place", "verify", &key, &[&one.reference()], true);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn an_index_that_cosign_signed_recursively_verifies_with_each_of_its_manifests() {
    for place in PLACES {
        let site = Site::new(false);
        let members = ["one", "two"]
            .map(|content| site.scene.crane_pushes(Kind::Oci, &site.hosts[0], "multi", content));
        let index = site.scene.crane_pushes_index(Kind::Oci, &members[0].repository, &members).reference();
        let key = site.scene.public_key();
        site.scene.cosign_signs(place, &index, &[]);
        site.stepseal("verify", &key, &["--recursive", &index]).ended(1).says("has no signature that counts");
        site.scene.cosign_signs(place, &index, &["--recursive"]);
        site.stepseal("verify", &key, &["--recursive", &index]).ok().says("3 images");
    }
}

/// With the API, and without it from the fallback tag that cosign writes.
#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_signature_that_cosign_stored_as_a_referrer_verifies() {
    for referrers in [false, true] {
        let mut site = Site::new(referrers);
        let (key, image) = (site.scene.public_key(), site.image().reference());
        site.stepseal("verify", &key, &[&image]).ended(1).says("has no signature that counts");
        let mut sign = site.scene.cosign_sign(Place::Tag);
        sign.env("COSIGN_EXPERIMENTAL", "1").args(["--registry-referrers-mode=oci-1-1", &image]);
        run(&mut sign).ok();
        site.stepseal("verify", &key, &[&image]).ok().says("layer 1");
        site.stepseal("verify", &site.other_key(), &[&image]).ended(1).says("has no signature that counts");
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn what_cosign_attests_is_read_the_same() {
    for referrers in [false, true] {
        let mut site = Site::new(referrers);
        let key = site.scene.public_key();
        let predicate = site.scene.home().join("predicate.json");
        fs::write(&predicate, r#"{"builder":{"id":"https://builder.example"},"buildType":"x"}"#).unwrap();
        for place in PLACES {
            let image = site.image().reference();
            let mut attest =
                site.scene.cosign(&["attest", "-y", "--use-signing-config=false", "--tlog-upload=false"]);
            attest.args(["--allow-http-registry", place.cosign_flag(), "--type=slsaprovenance", "--key"]);
            attest.arg(site.scene.keys().join("cosign.key")).arg("--predicate").arg(&predicate);
            run(attest.arg(&image)).ok();
            site.agree("attested", "verify-attestation", &key, &["--type=slsaprovenance", &image], true);
            site.agree(
                "another type",
                "verify-attestation",
                &key,
                &["--type=slsaprovenance1", &image],
                false,
            );
            let both = [
                &site.stepseal("verify-attestation", &key, &["--type=slsaprovenance", &image]),
                &site.cosigns("verify-attestation", &key, &["--type=slsaprovenance", &image]),
            ]
            .map(|ran| serde_json::from_str::<Value>(ran.stdout.trim()).unwrap());
            assert_eq!(both[0], both[1]);
            let require =
                ["--type=slsaprovenance", "--require=$.predicate.builder.id=https://builder.example", &image];
            site.stepseal("verify-attestation", &key, &require).ok();
            // cosign 3.1.2 takes a bundle with any attestation for a signature of the image; it is none.
            site.stepseal("verify", &key, &[&image]).ended(1).says("has no signature that counts");
            let cosigns = site.cosigns("verify", &key, &[&image]);
            assert_eq!(cosigns.code == 0, place == Place::Referrers, "{cosigns}");
        }
    }
}

/// The arguments of `openssl genpkey` for each kind of key, and whether cosign verifies its own signatures with it.
const KINDS: [(&str, &[&str], bool); 6] = [
    ("p256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], true),
    ("p384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], false),
    ("p521", &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], false),
    ("ed25519", &["ED25519"], false),
    ("rsa2048", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], true),
    ("rsa4096", &["RSA", "-pkeyopt", "rsa_keygen_bits:4096"], true),
];

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn every_kind_of_key_verifies_whoever_signed() {
    let mut site = Site::new(false);
    for (name, how, cosign_verifies) in KINDS {
        let work = site.scene.home().join("work");
        let (key, public) = (work.join(format!("{name}.pem")), work.join(format!("{name}.pub")));
        run(peer("openssl", &work).args(["genpkey", "-algorithm"]).args(how).arg("-out").arg(&key)).ok();
        run(peer("openssl", &work).args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public)).ok();
        let prefix = work.join(format!("{name}-imported"));
        let mut import = site.scene.cosign(&["import-key-pair", "-y", "--key"]);
        run(import.arg(&key).arg("--output-key-prefix").arg(&prefix)).ok();
        site.scene.mount_key(&[("x509.pem", &fs::read(&key).unwrap())]);
        for place in PLACES {
            let stepseal = site.image().reference();
            site.scene.sign(place, &site.hosts, &[&stepseal]).ok();
            site.agree(name, "verify", &public, &[&stepseal], true);
            let cosigns = site.image().reference();
            let mut sign =
                site.scene.cosign(&["sign", "-y", "--use-signing-config=false", "--tlog-upload=false"]);
            sign.args(["--allow-http-registry", place.cosign_flag(), "--key"]);
            run(sign.arg(prefix.with_extension("key")).arg(&cosigns)).ok();
            // P-384 and P-521 over the curve's own hash, Ed25519ph: good signatures, which cosign accepts only with a flag.
            site.stepseal("verify", &public, &[&cosigns]).ok();
            let verdict = site.cosigns("verify", &public, &[&cosigns]);
            assert_eq!(verdict.code == 0, cosign_verifies, "{verdict}");
        }
    }
}
