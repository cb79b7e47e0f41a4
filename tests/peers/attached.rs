//! What lies beside an image, beside cosign: what one writes, the other reads, and where both read the same, they print the same.

use std::fs;

use serde_json::Value;

use crate::kit::command::Ran;
use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};

/// A scene with an image in a registry.
struct Desk {
    scene: Scene,
    hosts: [String; 1],
    image: Image,
    _registry: Registry,
}

impl Desk {
    /// Before docker-registry, which has no referrers API, or before go-containerregistry's registry, which has it.
    fn new(referrers: bool) -> Self {
        let scene = Scene::new();
        let registry =
            if referrers { Registry::with_referrers(scene.home()) } else { Registry::docker(scene.home()) };
        let hosts = [registry.host()];
        scene.allow(&hosts);
        let image = scene.crane_pushes(Kind::Oci, &hosts[0], "team/app", "one");
        Self { scene, hosts, image, _registry: registry }
    }

    /// cosign with this about the image.
    fn cosign(&self, args: &[&str]) -> Ran {
        let mut command = self.scene.cosign(args);
        // Its referrers mode is an experiment.
        command.arg("--allow-http-registry").arg(self.image.reference()).env("COSIGN_EXPERIMENTAL", "1");
        run(&mut command)
    }

    /// Ours with the same.
    fn stepseal(&self, args: &[&str]) -> Ran {
        let image = self.image.reference();
        let mut command = self.scene.stepseal(&self.hosts, &[args, &[&image]].concat());
        run_quietly(command.current_dir(self.scene.home()))
    }

    /// What both print, which must be the same in any order of lines.
    #[track_caller]
    fn same(&self, args: &[&str]) -> String {
        let (stepseal, cosigns) = (self.stepseal(args).ok(), self.cosign(args).ok());
        let sorted = |ran: &Ran| {
            let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&stepseal), sorted(&cosigns), "{stepseal}\n{cosigns}");
        stepseal.stdout
    }

    fn attests(&self, by_cosign: bool, place: Place, kind: &str) {
        let predicate = self.scene.home().join("predicate.json");
        // The same by the same key would be there already.
        fs::write(&predicate, format!("{{\"byCosign\":{by_cosign}}}")).unwrap();
        let predicate = predicate.to_str().unwrap();
        let image = self.image.reference();
        let args = ["attest", "--predicate", predicate, "--type", kind];
        if by_cosign {
            let mut command = self.scene.cosign(&args);
            command.args([
                "-y",
                "--use-signing-config=false",
                "--tlog-upload=false",
                "--allow-http-registry",
            ]);
            command.args([place.cosign_flag(), "--key"]).arg(self.scene.keys().join("cosign.key"));
            run(command.arg(image)).ok();
        } else {
            let mut command = self.scene.stepseal(&self.hosts, &args);
            command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
            run_quietly(command.arg(image)).ok();
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn signatures_and_attestations_by_tag_are_printed_as_cosign_prints_them() {
    for referrers in [false, true] {
        let desk = Desk::new(referrers);
        let image = desk.image.reference();
        desk.scene.cosign_signs(Place::Tag, &image, &["-a", "by=cosign"]);
        desk.scene.sign(Place::Tag, &desk.hosts, &[&image]).ok();
        assert_eq!(desk.same(&["download", "signature"]).lines().count(), 2);
        for by_cosign in [true, false] {
            desk.attests(by_cosign, Place::Tag, "custom");
            desk.attests(by_cosign, Place::Tag, "https://x.example/t");
        }
        assert_eq!(desk.same(&["download", "attestation"]).lines().count(), 4);
        for kind in ["custom", "https://x.example/t"] {
            let typed = desk.same(&["download", "attestation", "--predicate-type", kind]);
            assert_eq!(typed.lines().count(), 2, "{kind}");
        }
        desk.same(&["tree"]);
        // A certificate's fields are those of Go that hold the rest.
        let work = desk.scene.home();
        let openssl = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -days 9 -subj /CN=x";
        run(crate::kit::peer("openssl", work).args(openssl.split(' '))).ok();
        fs::write(work.join("payload"), "payload").unwrap();
        fs::write(work.join("signature"), "MEUCIQ==").unwrap();
        let attach = ["attach", "signature", "--signature=signature", "--payload=payload", "--certificate=c"];
        desk.cosign(&[&attach[..], &["--certificate-chain=c"]].concat()).ok();
        let last = |ran: Ran| -> Value { serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap() };
        let args = ["download", "signature"];
        let (stepseal, cosigns) = (last(desk.stepseal(&args).ok()), last(desk.cosign(&args).ok()));
        for (name, value) in stepseal["Cert"].as_object().unwrap() {
            assert_eq!(*value, cosigns["Cert"][name], "{name}");
            assert_eq!(stepseal["Chain"][0][name], cosigns["Chain"][0][name], "{name}");
        }
        assert_eq!(stepseal["Cert"].as_object().unwrap().len(), 7);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn bundles_are_printed_as_cosign_prints_them_each_where_it_belongs() {
    for referrers in [false, true] {
        let desk = Desk::new(referrers);
        let image = desk.image.reference();
        desk.scene.cosign_signs(Place::Referrers, &image, &[]);
        desk.scene.sign(Place::Referrers, &desk.hosts, &[&image]).ok();
        desk.attests(true, Place::Referrers, "custom");
        desk.attests(false, Place::Referrers, "https://x.example/t");
        desk.same(&["tree"]);
        for kind in ["custom", "https://x.example/t", "https://sigstore.dev/cosign/sign/v1"] {
            assert!(
                desk.same(&["download", "attestation", "--predicate-type", kind]).contains("dsseEnvelope")
            );
        }
        // cosign prints all bundles with either command.
        let all = desk.cosign(&["download", "signature"]).ok().stdout;
        let stepseal =
            ["signature", "attestation"].map(|kind| desk.stepseal(&["download", kind]).ok().stdout);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&stepseal.concat()), sorted(&all));
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn an_sbom_that_either_attaches_the_other_reads() {
    let modes = ["--registry-referrers-mode=legacy", "--registry-referrers-mode=oci-1-1"];
    for referrers in [false, true] {
        for mode in modes {
            let desk = Desk::new(referrers);
            for (number, by_cosign) in [true, false].into_iter().enumerate() {
                let name = format!("app{number}.json");
                let path = desk.scene.home().join(&name);
                let text = format!("{{\"bomFormat\":\"CycloneDX\",\r\n\"version\":{number}}}");
                fs::write(&path, &text).unwrap();
                let args = ["attach", "sbom", mode, "--type=cyclonedx", "--sbom", path.to_str().unwrap()];
                let attached = if by_cosign { desk.cosign(&args) } else { desk.stepseal(&args) };
                attached.ok();
                // What cosign has attached is there already, for us.
                desk.stepseal(&args).ok().says("already");
                if mode == modes[0] {
                    assert_eq!(desk.stepseal(&["download", "sbom"]).ok().stdout, text);
                    assert_eq!(desk.cosign(&["download", "sbom"]).ok().stdout, text);
                } else {
                    // Which of several is the last is the registry's to say.
                    let cosigns = desk.cosign(&["download", "sbom"]).ok().stdout;
                    assert!(desk.stepseal(&["download", "sbom"]).ok().stdout.starts_with("{\"bomFormat\""));
                    assert!(cosigns.contains("{\"bomFormat\""), "{cosigns}");
                }
            }
            let tree = desk.stepseal(&["tree"]).ok().stdout;
            assert_eq!(tree.matches("🍒").count(), if mode == modes[0] { 1 } else { 2 }, "{tree}");
            if mode == modes[0] {
                desk.same(&["tree"]);
            }
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn names_are_worked_out_as_cosign_does() {
    let desk = Desk::new(false);
    for kind in ["signature", "attestation", "sbom", "digest"] {
        desk.same(&["triangulate", "--type", kind]);
    }
    for args in [["triangulate", "--type=x"], ["download", "signature"], ["download", "sbom"]] {
        assert_ne!(desk.cosign(&args).code, 0, "{args:?}");
        assert_ne!(desk.stepseal(&args).code, 0, "{args:?}");
    }
}
