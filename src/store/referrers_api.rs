//! Which registries seem to lack the referrers API, so that not every image has to ask.
//!
//! The first image of a registry asks, the others wait for what it learns. A refusal tells only of a repository with
//! something in it: of one that isn't there nothing is known, and from then on each image asks for itself.
//!
//! What is learned only saves requests for images with enough at their tags. Some registries have the API in some repositories, or for
//! images with referrers: where nothing that is found at an image is enough, the image itself asks, whatever others learned.

use tokio::sync::OwnedMutexGuard;

use crate::turns::KeyedLocks;

/// What the images of a run found out.
#[derive(Clone, Debug, Default)]
pub struct ReferrersApis(KeyedLocks<Known>);

/// What is known of one registry.
#[derive(Clone, Copy, Debug, Default)]
enum Known {
    /// The registry has not been asked yet.
    #[default]
    Nothing,
    /// It has one, or doesn't say.
    Ask,
    /// It has none.
    Absent,
}

/// What to do about the referrers of one image.
#[derive(Debug)]
pub(super) enum Api {
    /// Ask, and report the result: others wait for it.
    AskFirst(Asking),
    /// Ask.
    Ask,
    /// Not at first: it lacks the API for another image.
    Absent,
}

/// The right to ask first. Dropped, it goes to the next one.
#[derive(Debug)]
pub(super) struct Asking(OwnedMutexGuard<Known>);

impl Asking {
    /// Whether the registry was `found` to have no API.
    pub(super) fn absent(mut self, found: bool) {
        *self.0 = if found { Known::Absent } else { Known::Ask };
    }
}

impl ReferrersApis {
    /// What to do about an image in `registry`. Waits while another asks.
    pub(super) async fn of(&self, registry: &str) -> Api {
        let known = self.0.take(registry).await;
        match *known {
            Known::Nothing => Api::AskFirst(Asking(known)),
            Known::Ask => Api::Ask,
            Known::Absent => Api::Absent,
        }
    }

    /// An image of `registry` has found the API: later images use it.
    pub(super) async fn is_there(&self, registry: &str) {
        *self.0.take(registry).await = Known::Ask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Duration, timeout};

    #[tokio::test]
    async fn one_asks_and_the_others_learn_it() {
        let apis = ReferrersApis::default();
        let Api::AskFirst(asking) = apis.of("one").await else { panic!("somebody asked") };
        let other = apis.of("one");
        tokio::pin!(other);
        assert!(timeout(Duration::from_millis(20), &mut other).await.is_err(), "it waits");
        assert!(matches!(apis.of("another").await, Api::AskFirst(_)));
        asking.absent(true);
        assert!(matches!(other.await, Api::Absent));
        apis.is_there("one").await;
        assert!(matches!(apis.of("one").await, Api::Ask));
    }

    #[tokio::test]
    async fn who_fails_leaves_it_to_the_next() {
        let apis = ReferrersApis::default();
        drop(apis.of("one").await);
        let Api::AskFirst(asking) = apis.of("one").await else { panic!("nothing was learned") };
        asking.absent(false);
        assert!(matches!(apis.of("one").await, Api::Ask));
        assert!(matches!(apis.of("one").await, Api::Ask));
    }
}
