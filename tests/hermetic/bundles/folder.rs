//! The folders of the corpus as whoever judges them reads them: our own tests, and those that ask other verifiers.

use std::fs;
use std::path::{Path, PathBuf};

/// Whose certificate it is, in every case that is of no key and says nothing else.
pub(crate) const IDENTITY: &str = "https://ci.example/team/app/build.yaml@refs/heads/main";
pub(crate) const ISSUER: &str = "https://issuer.example";

/// The bundle that is a case, unless it is of another form.
pub(crate) const BUNDLE: &str = "bundle.sigstore.json";

/// What a case's files are given as.
const FILES: [(&str, &str); 7] = [
    (BUNDLE, "--bundle"),
    ("bundles.jsonl", "--bundle"),
    ("bundle.cosign.json", "--bundle"),
    ("signature", "--signature"),
    ("certificate.pem", "--certificate"),
    ("timestamp.json", "--rfc3161-timestamp"),
    ("key.pub", "--key"),
];

pub(crate) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles")
}

/// A case's folder, whoever made it.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

/// All of them, by name.
pub(crate) fn found() -> Vec<Found> {
    let entries = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.is_dir());
    let mut found: Vec<Found> = folders
        .map(|folder| Found { name: folder.file_name().unwrap().to_str().unwrap().to_owned(), folder })
        .collect();
    found.sort_by(|one, two| one.name.cmp(&two.name));
    found
}

impl Found {
    pub(crate) fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    fn own(&self, file: &str) -> PathBuf {
        if self.has(file) { self.folder.join(file) } else { corpus().join(file) }
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    pub(crate) fn artifact(&self) -> PathBuf {
        self.own("artifact")
    }

    /// The command that it is for.
    pub(crate) fn command(&self) -> String {
        self.text("command").map_or_else(|| "verify-blob".to_owned(), |text| text.trim().to_owned())
    }

    /// The command's flags, anybody's.
    pub(crate) fn flags(&self) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let files = FILES.into_iter().filter(|(file, _)| self.has(file));
        let mut flags: Vec<String> =
            files.flat_map(|(file, flag)| [flag.to_owned(), path(self.folder.join(file))]).collect();
        let root = if self.has("trusted_root.jsonl") { "trusted_root.jsonl" } else { "trusted_root.json" };
        flags.extend(["--trusted-root".to_owned(), path(self.own(root))]);
        let more = self.text("flags").unwrap_or_default();
        if !self.has("key.pub") {
            let pairs = [["--certificate-identity", IDENTITY], ["--certificate-oidc-issuer", ISSUER]];
            let pairs = pairs.into_iter().filter(|[flag, _]| !more.contains(flag)).flatten();
            flags.extend(pairs.map(str::to_owned));
        }
        flags.extend(more.split_whitespace().map(str::to_owned));
        flags
    }

    /// Whether its flags say what it is about, so that there is no file to name.
    pub(crate) fn tells_digest(&self) -> bool {
        self.flags().iter().any(|flag| flag == "--digest")
    }

    /// The whole command line after the program's name, about `artifact`.
    pub(crate) fn arguments(&self, artifact: &str) -> Vec<String> {
        let mut all = vec![self.command()];
        all.extend(self.flags());
        if !self.tells_digest() {
            all.push(artifact.to_owned());
        }
        all
    }
}
