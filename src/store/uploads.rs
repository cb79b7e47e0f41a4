//! Uploading the same content once a run.
//!
//! Merging with other signers uploads again what hasn't changed, and images that are signed at the same time need the same content: every
//! bundle names the same empty config. One upload is enough, and more are not harmless: a registry that keeps its links in
//! files, and writes one again, doesn't find it at that moment when another signer names it.
//!
//! A task that needs content that is being uploaded waits for that upload. If it fails, its error belongs to the image that began
//! it: each of those that waited uploads the content itself, so that one image's bad luck is not the others'. So they do when it takes long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use crate::oci::{Digest, Repository, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;

/// How long an upload of the same content is waited for: one that takes longer may hang, as on a proxy's connection to a dead machine, and
/// would stop all that need the content.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a run has uploaded, or is uploading.
pub(super) struct Uploads {
    client: Client,
    known: Mutex<HashMap<Key, Upload>>,
}

type Key = (Repository, Digest);

#[derive(Clone)]
enum Upload {
    /// It has begun. The channel closes when it has ended, well or not.
    Begun(watch::Receiver<()>),
    /// The registry holds it. Of a manifest: whether the registry took note of its subject.
    Done(bool),
}

/// An upload that others wait for. They continue when it is dropped, whatever the result.
struct Begun<'a> {
    uploads: &'a Uploads,
    key: Key,
    _waiting: watch::Sender<()>,
}

impl Uploads {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Uploads a blob, unless this run has.
    pub(super) async fn blob(&self, repository: &Repository, bytes: Bytes) -> Result<(), RegistryError> {
        let digest = Digest::of(&bytes);
        let upload = || async move { self.client.put_blob(repository, bytes).await.map(|_| false) };
        self.once(repository, digest, upload).await.map(|_| ())
    }

    /// Uploads a manifest by its digest, unless this run has; whether the registry took note of its subject.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<bool, RegistryError> {
        let digest = Digest::of(&bytes);
        let target = Target::Digest(digest.clone());
        let upload = || async move {
            let written = self.client.put_manifest(repository, &target, media_type, bytes).await?;
            Ok(written.subject_accepted)
        };
        self.once(repository, digest, upload).await
    }

    /// Does `upload`, unless it was done, or another that was under way ends well.
    async fn once<F: Future<Output = Result<bool, RegistryError>>>(
        &self,
        repository: &Repository,
        digest: Digest,
        upload: impl FnOnce() -> F,
    ) -> Result<bool, RegistryError> {
        let key = (repository.clone(), digest);
        // Held until the end: what is waited for must also end when this is dropped before that.
        let begun = match self.begin(&key) {
            Ok(begun) => Some(begun),
            Err(Upload::Done(accepted)) => return Ok(accepted),
            Err(Upload::Begun(mut ended)) => {
                // The sender never sends: this is its end.
                let _ = timeout(LONGEST_WAIT, ended.changed()).await;
                if let Some(Upload::Done(accepted)) = self.lock().get(&key) {
                    return Ok(*accepted);
                }
                None
            }
        };
        let accepted = upload().await?;
        self.lock().insert(key, Upload::Done(accepted));
        drop(begun);
        Ok(accepted)
    }

    /// The right to upload it; what is known of it, if another has that right or used it.
    fn begin(&self, key: &Key) -> Result<Begun<'_>, Upload> {
        let mut known = self.lock();
        if let Some(upload) = known.get(key) {
            return Err(upload.clone());
        }
        let (sender, receiver) = watch::channel(());
        known.insert(key.clone(), Upload::Begun(receiver));
        Ok(Begun { uploads: self, key: key.clone(), _waiting: sender })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Upload>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut known = self.uploads.lock();
        if matches!(known.get(&self.key), Some(Upload::Begun(_))) {
            known.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Instant;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;
    use crate::registry::client::{ClientOptions, SetupError};
    use crate::registry::keychain::{Found, Keychain};

    /// No logins.
    #[derive(Debug)]
    struct Nobody;

    impl Keychain for Nobody {
        fn credentials<'a>(&'a self, _: &'a Repository) -> Found<'a> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    fn uploads() -> Uploads {
        let options = ClientOptions::new(Instant::now() + Duration::from_secs(60));
        Uploads::new(Client::new(options, Arc::new(Nobody)).unwrap())
    }

    fn repository(name: &str) -> Repository {
        format!("registry.example/{name}").parse().unwrap()
    }

    /// Sixteen at once, of which the first `fail` to be sent fail; how many were sent, and how many failed.
    async fn at_once(fail: usize) -> (usize, usize) {
        let (uploads, app, sent) = (uploads(), repository("app"), Cell::new(0));
        let one = || {
            uploads.once(&app, Digest::of(b"{}"), || async {
                sent.set(sent.get() + 1);
                let number = sent.get();
                tokio::task::yield_now().await;
                if number > fail { Ok(true) } else { Err(SetupError::Insecure(String::new()).into()) }
            })
        };
        let results = join_all((0..16).map(|_| one())).await;
        assert!(results.iter().flatten().all(|accepted| *accepted), "all learn what the registry said");
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert_eq!(uploads.once(&app, Digest::of(b"{}"), || async { panic!("it is there") }).await.ok(), {
            (failed < 16).then_some(true)
        });
        (sent.get(), failed)
    }

    #[tokio::test]
    async fn what_is_under_way_is_waited_for_and_its_failure_is_not_shared() {
        for (fail, expected) in [(0, (1, 0)), (1, (16, 1)), (3, (16, 3)), (15, (16, 15))] {
            assert_eq!(at_once(fail).await, expected, "{fail} fail");
        }
    }

    /// A proxy's connection to a dead machine.
    #[tokio::test(start_paused = true)]
    async fn an_upload_that_hangs_is_not_waited_for_forever() {
        let (uploads, app) = (uploads(), repository("app"));
        let mut hangs = Box::pin(uploads.once(&app, Digest::of(b"{}"), std::future::pending));
        assert!((&mut hangs).now_or_never().is_none());
        let waits = || uploads.once(&app, Digest::of(b"{}"), || async { Ok(true) });
        let all = timeout(Duration::from_secs(60), join_all((0..16).map(|_| waits()))).await.unwrap();
        assert!(all.iter().all(|result| matches!(result, Ok(true))));
        drop(hangs);
        let later = uploads.once(&app, Digest::of(b"{}"), || async { panic!("it is there") }).await;
        assert!(matches!(later, Ok(true)));
    }

    #[tokio::test]
    async fn other_content_and_other_repositories_are_not_waited_for() {
        let uploads = uploads();
        let (app, other) = (repository("app"), repository("other"));
        let first = uploads.once(&app, Digest::of(b"1"), std::future::pending);
        let mut first = Box::pin(first);
        assert!((&mut first).now_or_never().is_none());
        for (repository, content) in [(&app, b"2"), (&other, b"1")] {
            assert!(uploads.once(repository, Digest::of(content), || async { Ok(false) }).await.is_ok());
        }
        let waits = uploads.once(&app, Digest::of(b"1"), || async { Ok(false) });
        let mut waits = Box::pin(waits);
        assert!((&mut waits).now_or_never().is_none(), "it is under way");
        drop(first);
        assert!(waits.await.is_ok(), "what was given up is not waited for");
        assert!(uploads.lock().values().all(|upload| matches!(upload, Upload::Done(_))));
    }
}
