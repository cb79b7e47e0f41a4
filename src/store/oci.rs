//! The store `oci`: beside the images, in their registries. In which form, [`OciTag`] and [`OciReferrers`] know.

use std::sync::Arc;

use super::{Contents, Member, OciReferrers, OciTag, Setup, Store};
use crate::place::{Encoding, StoreHolder, StoreKind};

/// This store; it has a member for each encoding.
pub(crate) const MEMBER: Member =
    Member { kind: StoreKind { holder: StoreHolder::Images, name: "oci" }, open };

fn open(setup: &Setup<'_>, contents: Contents) -> Vec<Arc<dyn Store>> {
    let in_encoding = |encoding: &Encoding| -> Arc<dyn Store> {
        let (client, repository) = (setup.client.clone(), setup.repository.cloned());
        match encoding {
            Encoding::SigstoreBundle => Arc::new(OciReferrers::new(client, repository, setup.created)),
            Encoding::Dsse => {
                let store = OciTag::new(client, contents, repository);
                Arc::new(store.with_prefix(setup.tag_prefix.clone()))
            }
        }
    };
    setup.encodings.iter().map(in_encoding).collect()
}
