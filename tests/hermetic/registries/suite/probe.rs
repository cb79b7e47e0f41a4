//! What a registry answers to a fixed list of requests, as text: the real product's is recorded, and its personality has to give the same.
//!
//! The records are in tests/hermetic/registries/answers. `tests/peers` compares them with the products, and `tests/registries` with the personalities:
//! where the two differ, the personality is wrong.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stepseal::oci::Digest;

use super::http::{Answer, Caller, send};
use super::site::{Login, Pushed, Site};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Headers that clients look at.
const HEADERS: [&str; 7] = [
    "location",
    "docker-content-digest",
    "oci-subject",
    "range",
    "docker-upload-uuid",
    "www-authenticate",
    "oci-filters-applied",
];

/// The answers of a registry, a line each.
pub(crate) struct Probe<'a> {
    site: &'a dyn Site,
    caller: Caller,
    /// A repository with one image.
    image: Pushed,
    text: String,
}

/// Compares what `site` answers with the record of that name; with `write` it becomes the record. Answers to requests that begin with one
/// of `unlike` are passed over.
pub(crate) fn compare(site: &dyn Site, record: &str, unlike: &[&str], write: bool) {
    let found = answers(site);
    let path = record_path(record);
    if write {
        std::fs::write(&path, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(recorded.lines().count(), found.lines().count(), "{}", path.display());
    let differences: Vec<String> = recorded
        .lines()
        .zip(found.lines())
        .filter(|(recorded, found)| recorded != found)
        .filter(|(recorded, _)| !unlike.iter().any(|request| recorded.starts_with(&format!("{request}:"))))
        .map(|(recorded, found)| format!("- {recorded}\n+ {found}"))
        .collect();
    assert!(differences.is_empty(), "{} says otherwise:\n{}", path.display(), differences.join("\n"));
}

/// Where the record of that name is.
fn record_path(record: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/hermetic/registries/answers/{record}.txt"))
}

/// Everything that is asked.
fn answers(site: &dyn Site) -> String {
    let repository = site.repository("probe");
    let image = site.push_image(&repository, "latest", "probe");
    let mut probe = Probe { site, caller: site.caller(), image, text: String::new() };
    probe.logins();
    probe.reads();
    probe.uploads();
    probe.manifests();
    probe.deletions();
    probe.text
}

/// A challenge without names that the administrator chooses.
fn challenge(value: &str) -> String {
    let (scheme, fields) = value.split_once(' ').unwrap_or((value, ""));
    let fields = fields.split("\",").map(|field| match field.split_once('=') {
        Some(("scope", scope)) if scope.contains("repository:") => "scope=repository",
        Some(("scope", _)) => "scope=*",
        Some((name, _)) => name,
        None => field,
    });
    format!("{scheme} {}", fields.collect::<Vec<_>>().join(","))
}

impl Probe<'_> {
    /// Asks with the login, and notes the answer under `what`.
    fn ask(&mut self, what: &str, method: &str, below: &str, media_type: &str, body: &[u8]) -> Answer {
        let path = format!("/v2/{}/{below}", self.image.repository);
        self.ask_path(what, method, &path, media_type, body)
    }

    fn ask_path(&mut self, what: &str, method: &str, path: &str, media_type: &str, body: &[u8]) -> Answer {
        let accept = format!("{MANIFEST}, {INDEX}, application/vnd.docker.distribution.manifest.v2+json");
        let headers = [("content-type", media_type), ("accept", accept.as_str())];
        // Without a body there is no type of it.
        let headers = if media_type.is_empty() { &headers[1..] } else { &headers[..] };
        let answer = self.caller.ask(method, path, headers, body);
        self.note(&format!("{method} {what}"), &answer);
        answer
    }

    fn note(&mut self, what: &str, answer: &Answer) {
        let json = answer.json();
        let codes: Vec<&str> = json["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|error| error["code"].as_str())
            .collect();
        write!(self.text, "{what}: {}", answer.status).unwrap();
        if !codes.is_empty() {
            write!(self.text, " {}", codes.join(" ")).unwrap();
        }
        for name in HEADERS {
            if let Some(value) = answer.header(name) {
                let value = if name == "www-authenticate" { challenge(value) } else { self.masked(value) };
                write!(self.text, "; {name}: {value}").unwrap();
            }
        }
        if let Some(entries) = json["manifests"].as_array().filter(|_| what.contains("referrers")) {
            write!(self.text, "; lists {}", entries.len()).unwrap();
        }
        self.text.push('\n');
    }

    /// A header's value without what differs from run to run.
    fn masked(&self, value: &str) -> String {
        let value = value.replace(&self.site.host(), "HOST").replace(&self.image.repository, "REPOSITORY");
        let (path, query) =
            value.split_once('?').map_or((value.as_str(), None), |(path, query)| (path, Some(query)));
        let mut out = String::new();
        for part in path.split('/') {
            let part = match part {
                _ if part.starts_with("sha256:") => "DIGEST",
                // An upload's name: a UUID, or as long as that.
                _ if part.len() >= 24
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') =>
                {
                    "ID"
                }
                // go-containerregistry counts; that is short.
                _ if part.parse::<u64>().is_ok() => "ID",
                other => other,
            };
            out.push_str(part);
            out.push('/');
        }
        out.pop();
        if let Some(query) = query {
            let names = query.split('&').map(|field| field.split('=').next().unwrap_or_default());
            write!(out, "?{}", names.collect::<Vec<_>>().join("&")).unwrap();
        }
        out
    }

    /// Who is let in.
    fn logins(&mut self) {
        let host = self.site.host();
        let path = format!("/v2/{}/manifests/latest", self.image.repository);
        for path in ["/v2/", path.as_str()] {
            let what = if path == "/v2/" { "/v2/" } else { "manifests/latest" };
            let answer = send(&host, "GET", path, &[("accept", MANIFEST)], &[]);
            self.note(&format!("GET {what} without login"), &answer);
            if let Some(login) = self.site.login() {
                let wrong = Login { password: "not-the-password".to_owned(), ..login };
                let answer =
                    Caller::new(host.clone(), Some(wrong)).ask("GET", path, &[("accept", MANIFEST)], &[]);
                self.note(&format!("GET {what} with a wrong login"), &answer);
            }
            let answer = self.caller.ask("GET", path, &[("accept", MANIFEST)], &[]);
            self.note(&format!("GET {what}"), &answer);
        }
    }

    fn reads(&mut self) {
        let digest = self.image.digest.clone();
        let unknown = Digest::of(b"unknown").to_string();
        let elsewhere = format!("/v2/{}", self.site.repository("probe-unknown"));
        for method in ["GET", "HEAD"] {
            for (what, below) in [
                ("manifests/latest", "manifests/latest".to_owned()),
                ("manifests/DIGEST", format!("manifests/{digest}")),
                ("manifests/UNKNOWN-TAG", "manifests/unknown".to_owned()),
                ("manifests/UNKNOWN-DIGEST", format!("manifests/{unknown}")),
                ("blobs/UNKNOWN-DIGEST", format!("blobs/{unknown}")),
                ("blobs/MALFORMED", "blobs/sha256:1234".to_owned()),
                ("referrers/DIGEST", format!("referrers/{digest}")),
                ("referrers/UNKNOWN-DIGEST", format!("referrers/{unknown}")),
            ] {
                self.ask(what, method, &below, "", &[]);
            }
            for below in
                ["manifests/latest".to_owned(), format!("manifests/{unknown}"), format!("blobs/{unknown}")]
            {
                let what = format!("UNKNOWN-REPOSITORY/{}", below.replace(&unknown, "DIGEST"));
                self.ask_path(&what, method, &format!("{elsewhere}/{below}"), "", &[]);
            }
        }
        self.ask("tags/list", "GET", "tags/list", "", &[]);
        self.ask_path("UNKNOWN-REPOSITORY/tags/list", "GET", &format!("{elsewhere}/tags/list"), "", &[]);
        let referrers = format!("{elsewhere}/referrers/{unknown}");
        self.ask_path("UNKNOWN-REPOSITORY/referrers/DIGEST", "GET", &referrers, "", &[]);
        self.ask("no such endpoint", "GET", "signatures/latest", "", &[]);
    }

    fn uploads(&mut self) {
        let blob = b"a blob";
        let digest = Digest::of(blob);
        let begun = self.ask("blobs/uploads/", "POST", "blobs/uploads/", "", &[]);
        let finish = |location: &str, digest: &Digest| {
            let path =
                location.split_once("://").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
            let sign = if path.contains('?') { '&' } else { '?' };
            format!("{path}{sign}digest={digest}")
        };
        let location = begun.header("location").unwrap_or("/v2/").to_owned();
        let octets = "application/octet-stream";
        self.ask_path(
            "the upload, with another digest",
            "PUT",
            &finish(&location, &Digest::of(b"x")),
            octets,
            blob,
        );
        let begun =
            self.caller.ask("POST", &format!("/v2/{}/blobs/uploads/", self.image.repository), &[], &[]);
        let location = begun.header("location").unwrap_or("/v2/").to_owned();
        self.ask_path("the upload", "PUT", &finish(&location, &digest), octets, blob);
        self.ask_path("the upload once more", "PUT", &finish(&location, &digest), octets, blob);
        self.ask("blobs/DIGEST", "HEAD", &format!("blobs/{digest}"), "", &[]);
        let whole = format!("blobs/uploads/?digest={}", Digest::of(b"{}"));
        self.ask("blobs/uploads/?digest=DIGEST with the blob", "POST", &whole, octets, b"{}");
        // The config of what follows, where one POST is not enough.
        let begun =
            self.caller.ask("POST", &format!("/v2/{}/blobs/uploads/", self.image.repository), &[], &[]);
        let location = begun.header("location").unwrap_or("/v2/").to_owned();
        self.caller.ask("PUT", &finish(&location, &Digest::of(b"{}")), &[("content-type", octets)], b"{}");
        let mount = format!("blobs/uploads/?mount={}&from={}", Digest::of(b"nowhere"), self.image.repository);
        self.ask("blobs/uploads/?mount=UNKNOWN-DIGEST", "POST", &mount, "", &[]);
    }

    /// An image manifest of the blobs that were uploaded, told apart by `text`.
    fn manifest(&self, text: &str, subject: bool) -> Value {
        let blob = b"a blob";
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "annotations": { "text": text },
            "config": { "mediaType": CONFIG, "digest": Digest::of(b"{}").as_str(), "size": 2 },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": Digest::of(blob).as_str(), "size": blob.len(),
            }],
        });
        if subject {
            let held = self.caller.manifest(&self.image.repository, &self.image.digest).unwrap();
            manifest["subject"] =
                json!({ "mediaType": MANIFEST, "digest": self.image.digest, "size": held.len() });
        }
        manifest
    }

    fn manifests(&mut self) {
        let mut put = |what: &str, reference: &str, media_type: &str, manifest: &Value| {
            let body = manifest.to_string().into_bytes();
            self.ask(what, "PUT", &format!("manifests/{reference}"), media_type, &body);
            Digest::of(&body)
        };
        put("manifests/TAG that is no manifest", "bad", MANIFEST, &json!("text"));
        let missing = json!({ "mediaType": CONFIG, "digest": Digest::of(b"missing").as_str(), "size": 7 });
        let lacking = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": missing, "layers": [],
        });
        put("manifests/TAG without its blobs", "bad", MANIFEST, &lacking);
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{ "mediaType": MANIFEST, "digest": Digest::of(b"missing").as_str(), "size": 7 }],
        });
        put("manifests/TAG of an index without its manifest", "bad", INDEX, &index);
        let [one, two, other] = ["one", "two", "other"].map(|text| self.manifest(text, false));
        let referrer = self.manifest("referrer", true);
        let mut put = |what: &str, reference: &str, manifest: &Value| {
            let body = manifest.to_string().into_bytes();
            self.ask(what, "PUT", &format!("manifests/{reference}"), MANIFEST, &body);
            Digest::of(&body)
        };
        put("manifests/OTHER-DIGEST", Digest::of(b"other").as_str(), &other);
        let first = put("manifests/TAG", "tag", &one);
        put("manifests/TAG that exists", "tag", &two);
        let by_digest = Digest::of(referrer.to_string().as_bytes());
        put("manifests/DIGEST with a subject", by_digest.as_str(), &referrer);
        self.ask(
            "manifests/DIGEST of what the tag was before",
            "GET",
            &format!("manifests/{first}"),
            "",
            &[],
        );
        let referrers = format!("referrers/{}", self.image.digest);
        self.ask("referrers/SUBJECT", "GET", &referrers, "", &[]);
        let filtered = format!("{referrers}?artifactType={}", CONFIG.replace('+', "%2B"));
        self.ask("referrers/SUBJECT?artifactType", "GET", &filtered, "", &[]);
    }

    fn deletions(&mut self) {
        self.ask("manifests/UNKNOWN-TAG", "DELETE", "manifests/unknown", "", &[]);
        self.ask(
            "manifests/UNKNOWN-DIGEST",
            "DELETE",
            &format!("manifests/{}", Digest::of(b"unknown")),
            "",
            &[],
        );
        self.ask("manifests/TAG", "DELETE", "manifests/tag", "", &[]);
        let digest = self.image.digest.clone();
        self.ask("manifests/DIGEST", "DELETE", &format!("manifests/{digest}"), "", &[]);
        self.ask("manifests/DIGEST after that", "GET", &format!("manifests/{digest}"), "", &[]);
    }
}
