//! Many images in one run: how many requests they take, and that no registry has to bear, or wait for, more than it must.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use stepseal::demo::registry::{Answer, Auth, Effect, EmbeddedRegistry, Fault, Options, Request, User};
use stepseal::oci::Digest;

use crate::kit::running::Running;
use crate::kit::step::{REGISTRY_PASSWORD, Step, ended};

/// What every bundle names as its config.
const EMPTY: &[u8] = b"{}";

const BOTH: &str = "dsse,sigstore-bundle";

/// Pushes so many images to one repository, and names them in a result.
fn built(step: &Step, repository: &str, images: usize) -> Vec<Digest> {
    let digests: Vec<Digest> =
        (0..images).map(|number| step.image(repository, &format!("{repository} {number}"))).collect();
    let names: Vec<String> =
        digests.iter().map(|digest| format!("{}/{repository}@{digest}", step.host())).collect();
    step.result("IMAGES", &names.join(","));
    digests
}

/// How many bundles the registry holds for each image, by its API or by the fallback tag.
fn bundles(step: &Step, repository: &str, digest: &Digest) -> usize {
    let tag = format!("sha256-{}", digest.hex());
    let content = step.registry.content();
    let tagged = content.manifest(repository, &tag).map_or(0, |(_, index)| {
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        index["manifests"].as_array().unwrap().len()
    });
    tagged.max(content.referrers(repository, digest).len())
}

#[test]
fn a_bundle_takes_at_most_eleven_requests_an_image() {
    for referrers in [false, true] {
        let step = Step::with(Options { referrers, monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 100);
        step.registry.clear_requests();
        let ended = ended(
            step.command(&["sign"])
                .env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle")
                .output()
                .unwrap(),
        );
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let mut kinds: HashMap<String, usize> = HashMap::new();
        for request in step.registry.requests() {
            let part = request.path_and_query.split('/').nth(4).unwrap_or_default().to_owned();
            *kinds.entry(format!("{} {part}", request.method)).or_default() += 1;
        }
        let requests: usize = kinds.values().sum();
        assert!(
            requests <= 11 * 100,
            "referrers {referrers}: {requests} requests for 100 bundles: {kinds:?}"
        );
        assert!(digests.iter().all(|digest| bundles(&step, "team/app", digest) == 1));
    }
}

/// The uploads of the config that every bundle names.
fn uploads_of_empty(step: &Step) -> usize {
    let empty = Digest::of(EMPTY).as_str().replace(':', "%3A");
    let requests = step.registry.requests();
    let ends = |request: &&Request| {
        request.method == Method::PUT && request.path_and_query.contains(&format!("digest={empty}"))
    };
    requests.iter().filter(ends).count()
}

#[test]
fn images_that_are_signed_at_once_share_one_upload_and_not_its_failure() {
    let slow = || Fault::new(Effect::Delay(Duration::from_millis(300))).method(Method::PUT).path("44136fa3");
    for fails in [false, true] {
        let step = Step::with(Options { referrers: false, monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 16);
        step.registry.faults().add(slow());
        if fails {
            let refusal = Answer::new(http::StatusCode::FORBIDDEN);
            step.registry.faults().add(Fault::answer(refusal).method(Method::PUT).path("44136fa3").first(1));
            // The images name the same content as their config: the registry must not find it there.
            let missing = Answer::new(http::StatusCode::NOT_FOUND);
            step.registry.faults().add(Fault::answer(missing).method(Method::HEAD).path("44136fa3").first(1));
        }
        let mut command = step.command(&["sign"]);
        command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle");
        let ended = ended(command.output().unwrap());
        let signed = digests.iter().filter(|digest| bundles(&step, "team/app", digest) == 1).count();
        // The image that began the upload has its error; the others do without it.
        let expected = if fails { (5, 15) } else { (0, 16) };
        assert_eq!((ended.code, signed), expected, "{}", ended.stderr);
        if !fails {
            assert_eq!(uploads_of_empty(&step), 1);
        }
    }
}

/// A registry that has no referrers API at first: for so many requests to it, it answers 404 and takes no note of subjects.
#[test]
fn an_api_that_comes_later_costs_no_signature_and_adds_none() {
    for hidden in [1, 7, 30, 1000] {
        let step = Step::with(Options { monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 20);
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, is_hidden) = (Arc::clone(&asked), move || asked.load(Ordering::Relaxed) < hidden);
        let faults = step.registry.faults();
        let hides = is_hidden.clone();
        faults.answer_instead(move |asked| {
            count.fetch_add(1, Ordering::Relaxed);
            let answer = http::Response::builder().status(404).body(bytes::Bytes::new()).unwrap();
            (asked.path_and_query.contains("/referrers/") && hides()).then_some(answer)
        });
        faults.change_answers(move |_, answer| {
            if is_hidden() {
                answer.headers_mut().remove("oci-subject");
            }
        });
        for expected in ["20 signed", "20 unchanged"] {
            let mut command = step.command(&["sign", "--jobs=2"]);
            command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle");
            let ended = ended(command.output().unwrap());
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            assert!(ended.stderr.contains(expected), "hidden for {hidden}: {}", ended.stderr);
        }
        assert!(digests.iter().all(|digest| bundles(&step, "team/app", digest) == 1), "hidden for {hidden}");
    }
}

/// A second registry with the same user; the step logs in to both.
fn second(step: &Step, options: Options) -> EmbeddedRegistry {
    let user = User::new("ci-bot", REGISTRY_PASSWORD).may_pull("**").may_push("**");
    let options = Options { auth: Auth::Basic, users: vec![user], ..options };
    let registry = EmbeddedRegistry::start_blocking(options).unwrap();
    let auth = STANDARD.encode(format!("ci-bot:{REGISTRY_PASSWORD}"));
    let entry = serde_json::json!({ "auth": auth });
    let text = serde_json::json!({ "auths": { step.host(): entry, registry.host(): entry } }).to_string();
    std::fs::write(step.path("credentials/.dockerconfigjson"), text).unwrap();
    registry
}

#[test]
fn a_registry_that_hangs_does_not_hold_up_the_images_of_another() {
    const IMAGES: usize = 40;
    for (jobs, setting, value) in [
        (16, "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "dsse"),
        (1, "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "dsse"),
        (4, "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "sigstore-bundle"),
        (4, "STEPSEAL_ARTIFACTS_OCI_STORAGE", "directory"),
    ] {
        let step = Step::with(Options { referrers: false, ..Options::default() });
        let hanging = second(&step, Options { referrers: false, ..Options::default() });
        let names = |registry: &EmbeddedRegistry, digests: &[Digest]| {
            digests.iter().map(|digest| format!("{}/team/app@{digest}", registry.host())).collect::<Vec<_>>()
        };
        // The same images in both.
        let digests = built(&step, "team/app", IMAGES);
        let blobs = (0..IMAGES).map(|number| format!("team/app {number}")).chain(["{}".to_owned()]);
        blobs.for_each(|blob| drop(hanging.content().put_blob("team/app", blob).unwrap()));
        for digest in &digests {
            let (media_type, manifest) =
                step.registry.content().manifest("team/app", digest.as_str()).unwrap();
            hanging.content().put_manifest("team/app", None, &media_type, manifest).unwrap();
        }
        let all = [names(&hanging, &digests), names(&step.registry, &digests)].concat();
        step.result("IMAGES", &all.join(","));
        let hangs = Hangs(Arc::new(AtomicBool::new(true)));
        let waits = Arc::clone(&hangs.0);
        hanging.faults().answer_instead(move |_| {
            while waits.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            None
        });
        let folder = step.path("signatures");
        std::fs::create_dir(&folder).unwrap();
        let mut command = step.command(&["sign", &format!("--jobs={jobs}")]);
        command.env("STEPSEAL_INSECURE_REGISTRIES", format!("{},{}", step.host(), hanging.host()));
        command.env(setting, value).stdout(Stdio::piped()).stderr(Stdio::piped());
        if value == "directory" {
            command.arg("--signatures-dir").arg(&folder);
        }
        let mut running = Running::start(&mut command);
        let signed = |registry: &EmbeddedRegistry| match value {
            "directory" => {
                let begin = format!("signature-{}", registry.host().replace(':', "_"));
                let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name());
                files.filter(|name| name.to_str().unwrap().starts_with(&begin)).count()
            }
            _ => {
                let suffix = if value == "dsse" { ".sig" } else { "" };
                let tag = |digest: &Digest| format!("sha256-{}{suffix}", digest.hex());
                let content = registry.content();
                digests.iter().filter(|digest| content.manifest("team/app", &tag(digest)).is_some()).count()
            }
        };
        while signed(&step.registry) < IMAGES {
            assert!(running.try_wait().is_none() && !running.hangs(), "{value}: {}", signed(&step.registry));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(signed(&hanging), 0, "{value}: it hangs");
        drop(hangs);
        let ended = ended(running.output().unwrap());
        assert_eq!((ended.code, signed(&hanging)), (0, IMAGES), "{value}: {}", ended.stderr);
    }
}

/// A registry hangs until this is dropped, so that it also ends with a test that fails.
struct Hangs(Arc<AtomicBool>);

impl Drop for Hangs {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_registry_that_throttles_gets_half_the_requests_at_once() {
    for (encoding, words) in [("dsse", "100 signed"), ("sigstore-bundle", "100 signed"), (BOTH, "200 signed")]
    {
        let step = Step::with(Options { referrers: false, monolithic_post: false, ..Options::default() });
        let digests = built(&step, "team/app", 100);
        let faults = step.registry.faults();
        // Slow enough for as many at once as the client has.
        faults.add(Fault::new(Effect::Delay(Duration::from_millis(20))));
        // From some time on, it has had enough of one in fifteen.
        let asked = AtomicUsize::new(0);
        faults.answer_instead(move |_| {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let answer = http::Response::builder().status(429).body(bytes::Bytes::new()).unwrap();
            (number >= 150 && number.is_multiple_of(15)).then_some(answer)
        });
        step.registry.clear_requests();
        let mut command = step.command(&["sign"]);
        let ended = ended(command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", encoding).output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        let requests = step.registry.requests();
        let throttled =
            requests.iter().position(|request| request.status == Some(http::StatusCode::TOO_MANY_REQUESTS));
        let (before, after) = requests.split_at(throttled.unwrap());
        let most = |requests: &[Request]| requests.iter().map(|request| request.at_once).max().unwrap();
        let before = most(before);
        assert!(before >= 16, "{before} at once: too few for a half to show");
        // Those that were under way, and had been sent when the refusal came, are worked on to their end.
        let after = most(&after[2 * before..]);
        assert!(after <= before / 2, "{encoding}: {before} at once before the first refusal, {after} after");
        assert_eq!(digests.len(), 100);
    }
}

/// The most memory that signing so many images of one repository takes, in KiB.
fn peak_of_signing(images: usize, encoding: &str) -> u64 {
    let step = Step::with(Options { referrers: false, ..Options::default() });
    use_plain_key(&step);
    let digests = built(&step, "team/app", images);
    let mut command = step.command(&["sign"]);
    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", encoding);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(&mut command);
    let mut peak = 0;
    let status = loop {
        // A process that has ended has no peak any more.
        peak = running.peak_kib().unwrap_or(0).max(peak);
        match running.try_wait() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_micros(500)),
        }
        assert!(!running.hangs());
    };
    assert!(status.success());
    assert!(digests.iter().all(|digest| lists(&step, encoding, digest) == 1), "{encoding}");
    peak
}

/// Signs with a key without a password: deriving one takes 64 MiB of memory, and a fifth of a second.
fn use_plain_key(step: &Step) {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys/p256.pkcs8.pem");
    std::fs::copy(key, step.path("keys/x509.pem")).unwrap();
    for name in ["cosign.key", "cosign.password"] {
        std::fs::remove_file(step.path("keys").join(name)).unwrap();
    }
}

/// How many signatures the registry lists for an image.
fn lists(step: &Step, encoding: &str, digest: &Digest) -> usize {
    let of_one = |encoding| match encoding {
        "dsse" => step.layers("team/app", digest).len(),
        _ => bundles(step, "team/app", digest),
    };
    let lists: Vec<usize> = encoding.split(',').map(of_one).collect();
    assert!(lists.iter().all(|list| *list == lists[0]), "{encoding}: {lists:?}");
    lists[0]
}

#[test]
fn an_image_more_takes_at_most_sixteen_kib_of_memory_for_each_encoding() {
    // Already the few are as many as are worked on, or wait for their confirmation, at a time.
    const FEW: usize = 150;
    const MANY: usize = 450;
    for encoding in ["dsse", "sigstore-bundle", BOTH] {
        let (few, many) = (peak_of_signing(FEW, encoding), peak_of_signing(MANY, encoding));
        let each = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
        assert!(
            each <= 16.0 * encoding.split(',').count() as f64,
            "{encoding}: {each:.1} KiB for each image more: {few} KiB for {FEW}, {many} for {MANY}"
        );
    }
}

#[test]
fn runs_at_once_lose_nothing_of_their_own_and_nothing_of_what_all_sign() {
    const RUNS: usize = 16;
    const OWN: usize = 4;
    for encoding in ["dsse", "sigstore-bundle", BOTH] {
        let step = Step::with(Options { referrers: false, ..Options::default() });
        use_plain_key(&step);
        let digests = built(&step, "team/app", RUNS * OWN + 1);
        let (shared, own) = digests.split_last().unwrap();
        std::fs::remove_file(step.path("results/IMAGES")).unwrap();
        let runs: Vec<Running> = own
            .chunks(OWN)
            .enumerate()
            .map(|(number, own)| {
                let mut command = step.command(&["sign", &format!("--annotation=run={number}")]);
                let images = own.iter().chain([shared]);
                command.args(images.map(|digest| format!("{}/team/app@{digest}", step.host())));
                command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", encoding);
                Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
            })
            .collect();
        for run in runs {
            let ended = ended(run.output().unwrap());
            assert_eq!(ended.code, 0, "{encoding}: {}", ended.stderr);
        }
        assert!(own.iter().all(|digest| lists(&step, encoding, digest) == 1), "{encoding}");
        assert_eq!(lists(&step, encoding, shared), RUNS, "{encoding}");
    }
}

/// The waits before confirming reads that the debug log names, in milliseconds, of the images in `registry`.
fn waits(log: &str, registry: &EmbeddedRegistry) -> Vec<u64> {
    let image = format!("image={}/", registry.host());
    let lines = log.lines().filter(|line| line.contains("confirming read") && line.contains(&image));
    lines.map(|line| line.rsplit_once("ms=").unwrap().1.parse().unwrap()).collect()
}

#[test]
fn neither_a_slow_registry_nor_a_near_one_changes_how_images_of_another_are_signed() {
    const IMAGES: usize = 2;
    // The longest wait before a confirming read, in milliseconds.
    const LONGEST: u64 = 2000;
    let repository = |number: usize| format!("team/app{number}");
    let step = Step::new();
    let slow = second(&step, Options::default());
    let mut images = Vec::new();
    for number in 0..IMAGES {
        let name = repository(number);
        let digest = step.image(&name, &name);
        for blob in [&name, "{}"] {
            slow.content().put_blob(&name, blob.to_owned()).unwrap();
        }
        let (media_type, manifest) = step.registry.content().manifest(&name, digest.as_str()).unwrap();
        slow.content().put_manifest(&name, None, &media_type, manifest).unwrap();
        images.extend([&step.registry, &slow].map(|registry| format!("{}/{name}@{digest}", registry.host())));
    }
    step.result("IMAGES", &images.join(","));
    let late = |milliseconds| Fault::new(Effect::Delay(Duration::from_millis(milliseconds)));
    slow.faults().add(late(40));
    slow.faults().add(late(1800).method(Method::PUT).path("/blobs/uploads/"));
    // The registry nearby answers when its images are looked for, and gives the images once the slow one has shown how slow it is.
    let slow = Arc::new(slow);
    let asked = Arc::clone(&slow);
    step.registry.faults().answer_instead(move |request| {
        let is_list = |request: &Request| {
            request.method == Method::PUT && request.path_and_query.contains("/manifests/sha256-")
        };
        let is_image = request.path_and_query.contains("/manifests/sha256:");
        for _ in 0..4000 {
            if !is_image || asked.requests().iter().any(is_list) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    });
    let mut command = step.command(&["sign", "--jobs=1"]);
    command.env("STEPSEAL_INSECURE_REGISTRIES", format!("{},{}", step.host(), slow.host()));
    let ended = ended(command.env("STEPSEAL_LOG", "debug").output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    // What the slow one shows is waited for there alone.
    assert_eq!(waits(&ended.stderr, &slow), [LONGEST; IMAGES], "{}", ended.stderr);
    let near = waits(&ended.stderr, &step.registry);
    assert_eq!(near.len(), IMAGES, "{}", ended.stderr);
    assert!(near.iter().all(|wait| *wait < LONGEST), "{near:?}");

    // It doesn't look near either: there each list is looked for while the image is fetched, before anything is uploaded.
    let requests = slow.requests();
    for number in 0..IMAGES {
        let of = format!("/v2/{}/", repository(number));
        let first = |part: &str| {
            let begin = format!("{of}{part}");
            requests.iter().position(|request| request.path_and_query.starts_with(&begin)).unwrap()
        };
        assert!(first("manifests/sha256-") < first("blobs/uploads/"), "{requests:?}");
    }
}
