//! What must hold whatever was changed, and what can be changed.

use serde_json::{Value, json};
use stepseal::oci::Digest;

use super::scene::{REPOSITORY, Scene};

/// Which JSON document is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The entry in the list: a layer of `.sig` or `.att`, a manifest of the fallback index.
    Entry,
    /// The list.
    List,
    /// What the layer under the tag names: the payload, or the envelope.
    Blob,
    /// The manifest of a referrer.
    Referrer,
    /// The bundle that it names.
    Bundle,
}

impl Scene {
    /// Whether there is such a piece in this way of storing.
    pub(super) fn has(&self, piece: Piece) -> bool {
        match piece {
            Piece::Entry | Piece::List => self.tag().is_some(),
            Piece::Blob => self.way.is_tag(),
            Piece::Referrer | Piece::Bundle => !self.way.is_tag(),
        }
    }

    fn field(&self) -> &'static str {
        if self.way.is_tag() { "layers" } else { "manifests" }
    }

    pub(super) fn piece(&self, piece: Piece) -> Value {
        let parsed = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
        match piece {
            Piece::List => self.list(),
            Piece::Entry => self.list()[self.field()][0].clone(),
            Piece::Blob => parsed(self.blob(&self.list()["layers"][0]["digest"]).unwrap()),
            Piece::Referrer => self.referrers().remove(0),
            Piece::Bundle => parsed(self.blob(&self.referrers()[0]["layers"][0]["digest"]).unwrap()),
        }
    }

    /// Puts `new` in the place of the piece, and lets what names it name the new one.
    pub(super) fn put(&self, piece: Piece, new: &Value) {
        match piece {
            Piece::List => self.put_list(new),
            Piece::Entry => {
                let mut list = self.list();
                list[self.field()][0] = new.clone();
                self.put_list(&list);
            }
            Piece::Blob => {
                let mut list = self.list();
                self.name(&mut list["layers"][0], &new.to_string());
                self.put_list(&list);
            }
            Piece::Referrer => self.replace_referrer(&self.referrers()[0], new),
            Piece::Bundle => {
                let old = self.referrers().remove(0);
                let mut manifest = old.clone();
                self.name(&mut manifest["layers"][0], &new.to_string());
                self.replace_referrer(&old, &manifest);
            }
        }
    }

    fn name(&self, descriptor: &mut Value, bytes: &str) {
        self.registry.content().put_blob(REPOSITORY, bytes.to_owned()).unwrap();
        descriptor["digest"] = Digest::of(bytes.as_bytes()).as_str().into();
        descriptor["size"] = json!(bytes.len());
    }
}

/// Signs again, and sees that what is there decides as it does for `verify`. Gives what `verify` said of the changed state; `None`:
/// it couldn't tell.
pub(super) async fn holds(scene: &Scene, what: &str) -> Option<bool> {
    let way = scene.way;
    let before = scene.verify().await;
    let entries = scene.entries();
    let again = scene.sign().await;
    let Ok(accepted) = before else {
        assert!(again.is_err(), "{way:?}, {what}: verify can't tell, and sign says {again:?}");
        assert_eq!(scene.entries(), entries, "{way:?}, {what}: nothing is overwritten");
        return None;
    };
    let want = if accepted { (0, 1) } else { (1, 0) };
    assert_eq!(again.as_ref(), Ok(&want), "{way:?}, {what}: verify accepts it: {accepted}");
    assert_eq!(scene.verify().await, Ok(true), "{way:?}, {what}: after it was signed again");
    let now = scene.entries();
    let kept = entries.iter().filter(|entry| now.contains(entry)).count();
    assert_eq!(kept, entries.len(), "{way:?}, {what}: something is gone: {entries:#?}\n{now:#?}");
    if accepted {
        assert_eq!(now, entries, "{way:?}, {what}: nothing is added");
    } else {
        assert!(now.len() > entries.len(), "{way:?}, {what}: nothing is added to what is refused");
        assert_eq!(scene.sign().await, Ok((0, 1)), "{way:?}, {what}: the third time");
        assert_eq!(scene.entries(), now, "{way:?}, {what}: the third time");
    }
    Some(accepted)
}
