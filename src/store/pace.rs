//! Looking at one thing after the other, with an eye on the time, the work and the bytes that there are to spend.
//!
//! What is named often is fetched once for all that name it: one blob of a megabyte and a thousand small manifests must not cost
//! a gigabyte. What is large comes after what is small.

use std::collections::HashMap;
use std::future::Future;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::StoreError;
use super::candidates::{Candidate, Candidates, Looks, SMALL_BYTES};
use super::failures::Failures;
use super::reader::{Named, Reader, Referring, Wanted};
use crate::found::{
    HitPosition, MAX_FETCHED_BYTES, SearchHit, SearchLimit, SearchSink, SignatureContent, UnreadableEntry,
};
use crate::oci::Digest;

/// How many small things are read at a time.
const AT_A_TIME: usize = 16;
/// How many referrers are looked up before their bundles are looked at.
const REFERRERS_AT_ONCE: usize = 256;
/// How many envelopes are read at a time: each may have 86 MiB.
const LARGE_AT_A_TIME: usize = 2;
/// After how much work it is asked whether what was found is enough: a thousand entries that are judged, about two seconds.
const WORK: u64 = 1024;
/// What asking for one content costs in that measure: 256 requests are enough.
const WORK_PER_REQUEST: u64 = 4;
/// How many fetched bytes cost one in that measure: 256 MiB are enough, four attestations of 64 MiB.
const BYTES_PER_WORK: u64 = 256 * 1024;

/// Looks at what lies at one image.
pub(super) struct Pace<'a> {
    reader: &'a Reader<'a>,
    looks: &'a Looks,
    found: &'a mut dyn SearchSink,
    deadline: Instant,
    /// What could not be read.
    pub(super) failures: Failures,
    /// How many were looked at.
    seen: u64,
    /// After how much work it is asked whether that is enough.
    next: u64,
}

/// Where an entry is, for people and in its list.
type Spot = (String, HitPosition);

/// Something to look at.
enum Sight {
    /// It is to be judged.
    New(SearchHit),
    /// It is another entry for what was found at this position.
    Copy(HitPosition, Spot),
}

/// A bundle, and the referrers that name it.
struct Lot {
    named: Named,
    /// Those that came before it was looked at.
    spots: Vec<Spot>,
    /// The first of them, once it was looked at.
    seen_at: Option<HitPosition>,
}

/// The bundles that referrers name.
#[derive(Default)]
struct Lots {
    all: Vec<Lot>,
    places: HashMap<Named, usize>,
    /// Where each referrer's manifest that names one was first listed.
    manifests: HashMap<Digest, HitPosition>,
    /// Referrers that list signatures as cosign's tags do.
    lists: Vec<(Digest, Spot)>,
}

impl<'a> Pace<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, looks: &'a Looks, found: &'a mut dyn SearchSink) -> Self {
        let (deadline, failures) = (reader.client.deadline(), Failures::default());
        Self { reader, looks, found, deadline, failures, seen: 0, next: WORK }
    }

    /// Looks at the layers of the manifest at `location`, which is the tag's or that of the referrer at `referrer`. Each is judged,
    /// whatever others have the same payload: the rest of it differs.
    pub(super) async fn layers(
        &mut self,
        location: &str,
        referrer: Option<HitPosition>,
        layers: Candidates,
    ) -> Option<SearchLimit> {
        let reader = self.reader;
        self.found.others(layers.others);
        let reads = layers.lots().into_iter().map(|lot| async move {
            let place = |number| format!("{location} layer {number}");
            let read = |one: Candidate| (one.number, reader.read_layer(&one.text));
            let layers: Vec<_> = lot.into_iter().map(read).collect();
            let readable =
                layers.iter().filter_map(|(number, layer)| Some((number, &layer.as_ref().ok()?.named)));
            let bytes = match readable.max_by_key(|(_, named)| named.size_bytes) {
                Some((number, named)) => reader.blob(&place(*number), named).await?,
                None => Ok(Bytes::new()),
            };
            let finds = layers.into_iter().map(|(number, layer)| {
                let content = layer.and_then(|layer| layer.content(bytes.clone()));
                Sight::New(SearchHit {
                    place: place(number),
                    position: match referrer {
                        Some(referrer) => HitPosition { layer: number, ..referrer },
                        None => HitPosition { number, ..HitPosition::default() },
                    },
                    content,
                })
            });
            Ok(finds.collect())
        });
        self.read_all(reads, self.contents_at_a_time(), |sights| sights).await
    }

    /// Looks at referrers. Their manifests, which are small, are read first, some hundred at once; then their bundles, each once.
    pub(super) async fn referrers(&mut self, referrers: Candidates) -> Option<SearchLimit> {
        let mut lots = Lots::default();
        let order = |one: &Candidate| (one.is_again, one.rank);
        for alike in referrers.all.chunk_by(|one, next| order(one) == order(next)) {
            for some in alike.chunks(REFERRERS_AT_ONCE) {
                let mut cut = self.manifests(some, &mut lots).await;
                if cut.is_none() {
                    cut = self.bundles(lots.unseen(SMALL_BYTES)).await;
                }
                if cut.is_none() {
                    cut = self.lists(std::mem::take(&mut lots.lists)).await;
                }
                if cut.is_some() {
                    return cut;
                }
            }
            if let Some(cut) = self.bundles(lots.unseen(u64::MAX)).await {
                return Some(cut);
            }
        }
        None
    }

    /// Looks at the layers of referrers that list signatures as cosign's tags do, one referrer after the other: each manifest may have
    /// 4 MiB. None has room for more layers than are looked at.
    async fn lists(&mut self, lists: Vec<(Digest, Spot)>) -> Option<SearchLimit> {
        for (digest, (place, position)) in lists {
            if let Some(cut) = self.spent() {
                return Some(cut);
            }
            // Small contents are remembered.
            let layers = match self.reader.manifest(&digest, &place).await {
                Ok(Some(manifest)) => Candidates::layers(&manifest, self.reader, self.looks),
                Ok(None) => Err("the registry doesn't hold it any more"),
                Err(error) => {
                    self.failures.add(error);
                    continue;
                }
            };
            match layers {
                Ok(layers) => {
                    if let Some(cut) = self.layers(&place, Some(position), layers).await {
                        return Some(cut);
                    }
                }
                Err(why) => {
                    self.found.see(SearchHit { place, position, content: Err(UnreadableEntry::new(why)) })
                }
            }
        }
        None
    }

    /// Reads manifests of referrers, and adds to `lots` what they name.
    async fn manifests(&mut self, some: &[Candidate], lots: &mut Lots) -> Option<SearchLimit> {
        let reader = self.reader;
        let reads = some.iter().filter_map(|one| {
            let digest = one.digest.clone()?;
            let position = HitPosition { is_referrer: true, number: one.number, layer: 0 };
            let spot = (reader.place_of(&digest), position);
            // A content that was listed before need not be read again.
            let known = one.is_again.then(|| lots.manifests.get(&digest).copied());
            Some((digest, spot, known))
        });
        let reads: Vec<_> = reads.collect();
        let reads = reads.into_iter().map(|(digest, spot, known)| async move {
            let read = match known {
                Some(_) => None,
                None => reader.referring(&digest).await?,
            };
            Ok((digest, spot, known.flatten(), read))
        });
        let look = |(digest, spot, known, read): (Digest, Spot, Option<HitPosition>, _)| match (known, read) {
            (Some(of), _) => vec![Sight::Copy(of, spot)],
            (None, None) => Vec::new(),
            (None, Some(Ok(Referring::Bundle(named)))) => lots.add(digest, named, spot).into_iter().collect(),
            (None, Some(Ok(Referring::Layers))) => {
                lots.lists.push((digest, spot));
                Vec::new()
            }
            (None, Some(Err(unreadable))) => {
                let (place, position) = spot;
                lots.manifests.insert(digest, position);
                vec![Sight::New(SearchHit { place, position, content: Err(unreadable) })]
            }
        };
        self.read_all(reads, AT_A_TIME, look).await
    }

    /// Reads bundles, and has each judged once, whatever referrers name it.
    async fn bundles(&mut self, lots: Vec<(Named, Vec<Spot>)>) -> Option<SearchLimit> {
        let reader = self.reader;
        let reads = lots.into_iter().map(|(named, spots)| async move {
            let mut spots = spots.into_iter();
            let Some((place, position)) = spots.next() else { return Ok(Vec::new()) };
            let bytes = reader.blob(&place, &named).await?;
            let content = bytes.and_then(|bytes| named.checked(bytes)).map(SignatureContent::Bundle);
            let first = Sight::New(SearchHit { place, position, content });
            Ok(std::iter::once(first).chain(spots.map(|spot| Sight::Copy(position, spot))).collect())
        });
        self.read_all(reads, self.contents_at_a_time(), |sights| sights).await
    }

    /// Whether what was found is enough.
    pub(super) fn is_enough(&mut self) -> bool {
        self.found.is_enough()
    }

    fn contents_at_a_time(&self) -> usize {
        match self.reader.wanted {
            Wanted::Signatures => AT_A_TIME,
            Wanted::Attestations => LARGE_AT_A_TIME,
        }
    }

    /// Reads several at a time, and looks at what `sights` makes of them in the order of `reads`.
    async fn read_all<T, F: Future<Output = Result<T, StoreError>>>(
        &mut self,
        reads: impl Iterator<Item = F>,
        at_a_time: usize,
        mut sights: impl FnMut(T) -> Vec<Sight>,
    ) -> Option<SearchLimit> {
        let mut reads = futures_util::stream::iter(reads).buffered(at_a_time);
        while let Some(read) = reads.next().await {
            let sights = match read {
                Ok(read) => sights(read),
                // A request that the time limit ended takes nothing from what was found.
                Err(_) if Instant::now() >= self.deadline && self.found.is_enough() => {
                    return Some(SearchLimit::Time);
                }
                Err(error) => {
                    self.failures.add(error);
                    Vec::new()
                }
            };
            for sight in sights {
                match sight {
                    Sight::New(find) => self.found.see(find),
                    Sight::Copy(of, (place, position)) => self.found.copy(of, place, position),
                }
                self.seen += 1;
                // Looking is computing: without this the time limit and signals would have no turn.
                tokio::task::yield_now().await;
                if let Some(cut) = self.spent() {
                    return Some(cut);
                }
            }
            if let Some(cut) = self.spent() {
                return Some(cut);
            }
        }
        None
    }

    /// Why nothing more is to be looked at; `None`: there is time and room left.
    fn spent(&mut self) -> Option<SearchLimit> {
        if Instant::now() >= self.deadline {
            return Some(SearchLimit::Time);
        }
        let fetched = &self.reader.fetched;
        if fetched.bytes() > MAX_FETCHED_BYTES {
            return Some(SearchLimit::Bytes);
        }
        let work = self.seen + fetched.requests() * WORK_PER_REQUEST + fetched.bytes() / BYTES_PER_WORK;
        if work < self.next {
            return None;
        }
        self.next = work + WORK;
        self.found.is_enough().then_some(SearchLimit::Enough)
    }
}

impl Lots {
    /// Adds the referrer at `spot`, which names a bundle. Returns what there is to see where the bundle was looked at before.
    fn add(&mut self, manifest: Digest, named: Named, spot: Spot) -> Option<Sight> {
        self.manifests.insert(manifest, spot.1);
        let at = *self.places.entry(named.clone()).or_insert(self.all.len());
        match self.all.get_mut(at) {
            Some(Lot { seen_at: Some(of), .. }) => return Some(Sight::Copy(*of, spot)),
            Some(lot) => lot.spots.push(spot),
            None => self.all.push(Lot { named, spots: vec![spot], seen_at: None }),
        }
        None
    }

    /// Contents of up to `limit_bytes` that were not checked, the small contents first; marks them as checked.
    fn unseen(&mut self, limit_bytes: u64) -> Vec<(Named, Vec<Spot>)> {
        let unseen = self.all.iter_mut().filter(|lot| lot.seen_at.is_none());
        let mut unseen: Vec<_> = unseen
            .filter(|lot| lot.named.size_bytes <= limit_bytes)
            .map(|lot| {
                lot.seen_at = lot.spots.first().map(|(_, position)| *position);
                (lot.named.clone(), std::mem::take(&mut lot.spots))
            })
            .collect();
        unseen.sort_by_key(|(named, _)| if named.size_bytes <= SMALL_BYTES { 0 } else { named.size_bytes });
        unseen
    }
}
