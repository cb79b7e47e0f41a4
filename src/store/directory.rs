//! The store `directory`: a file for the payload and one for the signature, named by Chains' keys.
//!
//! `payload-KEY` has the payload's exact bytes; `signature-KEY` the DSSE envelope of an in-toto statement, or the base64 of
//! the signature of anything else: what `cosign verify-blob` and `verify-blob-attestation` take as they are. With a key pair there is
//! no `cert-KEY` and no `chain-KEY`. A file is written whole or not at all, and read back.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Filed, Filing, Kept, Keyed, Member, Signed, Step, Store, StoreError, Turn};
use crate::formats::{Envelope, dsse};
use crate::oci::Digest;
use crate::place::{StoreHolder, StoreKind};

/// How the list of stores makes this store.
pub(crate) const MEMBER: Member = Member {
    kind: StoreKind { holder: StoreHolder::Folder, name: "directory" },
    open: |setup, _| vec![Arc::new(Directory { folder: setup.folder.map(Path::to_owned) })],
};

/// The store of a folder.
struct Directory {
    /// The folder, which is made if it isn't there; `None`: none is named, and each signature fails.
    folder: Option<PathBuf>,
}

impl Store for Directory {
    fn kind(&self) -> StoreKind {
        MEMBER.kind
    }

    fn turn(&self) -> Turn<'_> {
        Turn::Subject(self)
    }
}

impl Keyed for Directory {
    fn keep<'a>(&'a self, filing: &'a Filing<'a>) -> Step<'a, Kept> {
        Box::pin(async { self.keep_all(filing) })
    }
}

impl Directory {
    fn keep_all(&self, filing: &Filing<'_>) -> Result<Kept, StoreError> {
        let (Some(folder), Some(last)) = (&self.folder, filing.filed.last()) else {
            let subject = filing.filed.last().map(|filed| filed.key.full.clone());
            return Err(StoreError::NothingKept(subject.unwrap_or_default()));
        };
        let mut added = 0;
        for filed in filing.filed {
            added += usize::from(keep_one(folder, filed, filing.counts)?);
        }
        Ok(Kept { location: path(folder, "signature", last).display().to_string(), added })
    }
}

fn path(folder: &Path, what: &str, filed: &Filed) -> PathBuf {
    folder.join(format!("{what}-{}", file_name(filed)))
}

/// Writes payload and signature and reads them back; whether anything had to be written. A signature that is there and `counts`
/// for the payload stays.
///
/// # Errors
///
/// When the folder can't be written, or what is there in the end is something else or doesn't count.
fn keep_one(folder: &Path, filed: &Filed, counts: &dyn Fn(&[u8], &[u8]) -> bool) -> Result<bool, StoreError> {
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let signed = &filed.signed;
    let files = [
        (path(folder, "payload", filed), signed.payload.bytes.clone()),
        (path(folder, "signature", filed), signature(signed)),
    ];
    let [(payload, payload_bytes), (place, signature_bytes)] = &files;
    let verifies = || Ok(counts(&signed.payload.bytes, &read(place, signed.payload.envelope)?));
    if holds(payload, payload_bytes).unwrap_or(false) && verifies().unwrap_or(false) {
        return Ok(false);
    }
    let mut added = false;
    for (path, bytes) in &files {
        if !holds(path, bytes).unwrap_or(false) {
            write(path, bytes).map_err(|source| failed(path, source))?;
            added = true;
        }
    }
    let replaced = || io::Error::other("another writer replaced it");
    if !holds(payload, payload_bytes).map_err(|source| failed(payload, source))? {
        return Err(failed(payload, replaced()));
    }
    if verifies().map_err(|source| failed(place, source))? {
        return Ok(added);
    }
    match holds(place, signature_bytes).map_err(|source| failed(place, source))? {
        true => Err(StoreError::Spoilt { path: place.clone() }),
        false => Err(failed(place, replaced())),
    }
}

/// Returns the content of the file `signature-KEY`.
fn signature(signed: &Signed) -> Bytes {
    match signed.payload.envelope {
        Envelope::Dsse => signed.envelope(),
        Envelope::Bare => signed.signature.base64().into(),
    }
}

/// A name that two payloads never share: a run's short key has its UID in it; an image's has twelve digits, so that it goes by its
/// full name.
fn file_name(filed: &Filed) -> String {
    let name = if filed.key.is_run() { plain(&filed.key.short) } else { image_file(&filed.key.full) };
    match filed.number {
        0 => name,
        number => format!("{name}-{number}"),
    }
}

/// The full name of an image or its repository as part of a file name, different for each name.
pub(crate) fn image_file(full: &str) -> String {
    let mut name = plain(full);
    if is_ambiguous(full) {
        name += "-name-";
        name.extend(Digest::of(full.as_bytes()).hex().chars().take(16));
    }
    name
}

/// `key` as one part of a path, whatever it is: each other character than those of names is a `_`.
fn plain(key: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    key.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

/// Whether another image's name would be the same file name: `a/b_c` and `a/b/c`, or `a:5000/b` and `a/5000/b`.
fn is_ambiguous(full: &str) -> bool {
    let (host, path) = full.split_once('/').unwrap_or((full, ""));
    let like_a_port = path.split('/').next().is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
    full.contains(['_', '[']) || (like_a_port && !host.contains(':'))
}

/// The regular file at `path`. No link is followed.
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Whether the file at `path` is a regular file with exactly these bytes.
fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let file = open(path)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(false);
    }
    let mut there = Vec::with_capacity(bytes.len());
    file.take(bytes.len() as u64 + 1).read_to_end(&mut there)?;
    Ok(there == bytes)
}

/// The signature in the file at `path`, in the one form that tools take for such a payload: the envelope, or what its base64 says.
fn read(path: &Path, form: Envelope) -> io::Result<Vec<u8>> {
    let mut there = Vec::new();
    open(path)?.take(dsse::MAX_BYTES + 1).read_to_end(&mut there)?;
    match form {
        Envelope::Dsse if there.first() == Some(&b'{') => Ok(there),
        Envelope::Dsse => Err(io::Error::other("it is not a DSSE envelope")),
        Envelope::Bare => STANDARD.decode(there.trim_ascii()).map_err(io::Error::other),
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.permissions(PermissionsExt::from_mode(0o644));
    let mut file = builder.prefix(".stepseal-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(|_| ()).map_err(|failed| failed.error)
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Payload;
    use crate::key::Signature;
    use crate::place::StorageKey;

    /// Signatures of two kinds count: what `filed` has, and another of the same key.
    fn ours(payload: &[u8], signature: &[u8]) -> bool {
        payload == b"{}" && [[1], [2]].iter().any(|one| one == signature)
    }

    fn filed(short: &str, full: &str, number: usize) -> Filed {
        let payload = Payload {
            bytes: Bytes::from_static(b"{}"),
            media_type: "application/json",
            envelope: Envelope::Bare,
        };
        let signed =
            Signed { payload, signature: Signature(vec![1]), key_hint: "h".into(), key_id: "k".into() };
        Filed { key: StorageKey { short: short.into(), full: full.into(), image: None }, number, signed }
    }

    impl Directory {
        fn in_folder(folder: PathBuf) -> Self {
            Self { folder: Some(folder) }
        }
    }

    /// Whether something had to be written.
    fn keep(
        store: &Directory,
        filed: &Filed,
        counts: &(dyn Fn(&[u8], &[u8]) -> bool + Send + Sync),
    ) -> Result<bool, StoreError> {
        let filed = std::slice::from_ref(filed);
        Ok(store.keep_all(&Filing { filed, run: None, mark: false, counts })?.added == 1)
    }

    #[test]
    fn files_are_named_by_their_keys_and_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Directory::in_folder(folder.path().join("new"));
        let run = filed("taskrun-u", "tekton.dev-v1-TaskRun-u", 0);
        assert!(keep(&store, &run, &ours).unwrap());
        assert!(!keep(&store, &run, &ours).unwrap(), "the second time nothing is written");
        let read = |name: &str| std::fs::read(folder.path().join("new").join(name)).unwrap();
        assert_eq!(read("payload-taskrun-u"), b"{}");
        assert_eq!(read("signature-taskrun-u"), b"AQ==");
    }

    #[test]
    fn what_counts_stays_and_what_does_not_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Directory::in_folder(folder.path().to_owned());
        let run = filed("taskrun-u", "x", 0);
        assert!(keep(&store, &run, &ours).unwrap());
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("signature-taskrun-u"), "Ag==\n").unwrap();
        assert!(!keep(&store, &run, &ours).unwrap(), "another signature that counts");
        assert_eq!(std::fs::read(file("signature-taskrun-u")).unwrap(), b"Ag==\n");
        for (name, spoilt) in
            [("signature-taskrun-u", "Aw=="), ("signature-taskrun-u", "?"), ("payload-taskrun-u", "{ }")]
        {
            std::fs::write(file(name), spoilt).unwrap();
            assert!(keep(&store, &run, &ours).unwrap(), "{name}: {spoilt}");
            assert!(!keep(&store, &run, &ours).unwrap(), "{name}: {spoilt}");
        }
    }

    #[test]
    fn files_that_do_not_count_are_an_error_also_where_they_were_there_already() {
        let folder = tempfile::tempdir().unwrap();
        let store = Directory::in_folder(folder.path().to_owned());
        let run = filed("taskrun-u", "x", 0);
        for _ in 0..2 {
            let error = keep(&store, &run, &|_, _| false).unwrap_err();
            assert!(matches!(error, StoreError::Spoilt { .. }), "{error}");
            assert!(error.to_string().contains("does not verify"), "{error}");
        }
        assert!(!keep(&store, &run, &ours).unwrap(), "it is there");
    }

    #[test]
    fn a_signature_of_the_other_form_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Directory::in_folder(folder.path().to_owned());
        let file = folder.path().join("signature-taskrun-u");
        // Whatever is read counts, so that the form alone decides.
        let any = |_: &[u8], signature: &[u8]| !signature.is_empty();
        let bare = filed("taskrun-u", "x", 0);
        let mut statement = filed("taskrun-u", "x", 0);
        statement.signed.payload.envelope = Envelope::Dsse;
        let envelope = statement.signed.envelope();
        let encoded = STANDARD.encode(&envelope);
        for (filed, there) in
            [(&bare, &envelope[..]), (&statement, encoded.as_bytes()), (&statement, b"AQ==")]
        {
            keep(&store, filed, &any).unwrap();
            std::fs::write(&file, there).unwrap();
            assert!(keep(&store, filed, &any).unwrap(), "{}", String::from_utf8_lossy(there));
            assert_eq!(std::fs::read(&file).unwrap(), signature(&filed.signed));
        }
    }

    #[test]
    fn a_link_in_its_place_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "{}").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("payload-taskrun-u")).unwrap();
        let store = Directory::in_folder(folder.path().to_owned());
        assert!(keep(&store, &filed("taskrun-u", "x", 0), &ours).unwrap());
        assert!(!folder.path().join("payload-taskrun-u").symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(&other).unwrap(), b"{}");
    }

    #[test]
    fn no_two_names_of_images_are_one_file_name_and_none_leaves_the_folder() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        let file = |full: &str| {
            let mut filed = filed("short", &format!("{full}{digest}"), 0);
            filed.key.image = Some(Digest::of(b"x"));
            file_name(&filed)
        };
        let hex = "a".repeat(64);
        assert_eq!(file("localhost:5000/team/app"), format!("localhost_5000_team_app@sha256_{hex}"));
        let names = [
            "r.io/a/b",
            "r.io/a_b",
            "r.io/a__b",
            "r.io/a-b",
            "r.io:5000/a/b",
            "r.io/5000/a/b",
            "r.io:5000/a_b",
            "r.io/5000/a_b",
            "[::1]/a/b",
            "[::1]:5000/a/b",
            "r_io/a/b",
            "r.io/5000",
        ];
        let files: std::collections::HashSet<String> = names.iter().map(|name| file(name)).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        for key in [
            "taskrun-../x",
            "taskrun-a/../../b",
            "taskrun-a\nsigned",
            "taskrun-a\0",
            "/etc/passwd",
            "é\u{202e}",
        ] {
            let name = file_name(&filed(key, "x", 0));
            assert!(!name.contains(['/', '\n', '\0']) && name.is_ascii(), "{name:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let store = Directory::in_folder(folder.path().join("file/below"));
        assert!(matches!(keep(&store, &filed("a", "b", 0), &ours), Err(StoreError::File { .. })));
    }
}
