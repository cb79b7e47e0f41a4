//! `stepseal download signature` and `download attestation`: what lies beside an image, a JSON object a line.

use super::super::output::Output;
use super::super::own_flags::OwnFlags;
use super::begin::Begun;
use super::error::{BesideCommandError, Places};
use super::lines::Wanted;
use crate::config::ConfigError;
use crate::formats::cosign_statement;
use crate::found::{HitPosition, SearchHit, SearchSink};
use crate::oci::platform::Platform;
use crate::store;
use crate::store::Search;
use crate::verify::attestation_type;

/// How many bytes are printed, which are kept until everything was found: three attestations of 64 MiB.
const MAX_PRINTED_BYTES: usize = 270 * 1024 * 1024;
/// How many unreadable entries are listed with their reasons; the others are counted.
const MAX_TOLD: usize = 20;

/// What is asked for.
pub(super) struct Download {
    wanted: Wanted,
    platform: Option<Platform>,
}

/// What was found.
struct Kept<'a> {
    wanted: &'a Wanted,
    lines: Vec<(HitPosition, String)>,
    bytes: usize,
    /// Why entries can't be read.
    unreadable: Vec<String>,
    /// How many more can't.
    others: usize,
}

impl SearchSink for Kept<'_> {
    fn see(&mut self, find: SearchHit) {
        let line = match &find.content {
            Ok(content) => self.wanted.line(content),
            Err(unreadable) => Err(unreadable.to_string()),
        };
        match line {
            Ok(Some(_)) if self.is_enough() => {}
            Ok(Some(line)) => {
                self.bytes += line.len();
                self.lines.push((find.position, line));
            }
            Ok(None) => {}
            Err(why) if self.unreadable.len() < MAX_TOLD => {
                self.unreadable.push(format!("{}: {why}", find.place));
            }
            Err(_) => self.others += 1,
        }
    }

    fn others(&mut self, count: usize) {
        self.others += count;
    }

    fn is_enough(&mut self) -> bool {
        self.bytes > MAX_PRINTED_BYTES
    }
}

impl Download {
    pub(super) fn signatures() -> Self {
        Self { wanted: Wanted::Signatures, platform: None }
    }

    pub(super) fn attestations(flags: &OwnFlags<'_>) -> Result<Self, BesideCommandError> {
        let kind = flags.text("predicate-type")?;
        let kind = kind.map(|text| attestation_type::uri(&text)).transpose()?;
        Ok(Self { wanted: Wanted::Attestations(kind), platform: platform(flags)? })
    }

    /// Prints what is there, bundles first, as cosign does; prints nothing if the list may be incomplete.
    pub(super) async fn run(&self, begun: &Begun, out: &mut Output) -> Result<(), BesideCommandError> {
        let asked = begun.for_platform(self.platform.as_ref()).await?;
        let kind = match &self.wanted {
            // Bundles of signatures are listed as such.
            Wanted::Attestations(Some(kind)) if cosign_statement::is_signature(kind) => {
                store::Wanted::Signatures
            }
            Wanted::Attestations(_) => store::Wanted::Attestations,
            Wanted::Signatures => store::Wanted::Signatures,
        };
        let search =
            Search::new(begun.client.clone(), begun.repository.clone(), kind).with_prefix(&begun.prefix);
        let mut kept =
            Kept { wanted: &self.wanted, lines: Vec::new(), bytes: 0, unreadable: Vec::new(), others: 0 };
        let looked = search.run(&asked.image, &[], &mut kept).await;
        if let Some(source) = looked.failures.into_first() {
            return Err(BesideCommandError::Search { image: asked.name, source });
        }
        if let Some(why) = &looked.refused_api {
            out.line(&format!(
                "note: this login may not list referrers, so that bundles may be missing: {why}"
            ));
        }
        if kept.is_enough() {
            let why = format!("it has more than {} MiB", MAX_PRINTED_BYTES / 1024 / 1024);
            return Err(BesideCommandError::Cut { image: asked.name, why });
        }
        if let Some(cut) = &looked.cut {
            return Err(BesideCommandError::cut(&asked.name, cut));
        }
        for why in &kept.unreadable {
            out.line(&format!("note: left out: {why}"));
        }
        if kept.others > 0 {
            out.line(&format!("note: left out: {} more entries that can't be read", kept.others));
        }
        let is_whole = kept.unreadable.is_empty() && kept.others == 0;
        if kept.lines.is_empty() && is_whole && self.wanted == Wanted::Attestations(None) {
            // As with cosign this isn't a failure: scripts search whatever there is.
            out.line(&format!(
                "note: {} has no attestations: looked at {}",
                asked.name,
                search.places(&asked.image)
            ));
            return Ok(());
        }
        if kept.lines.is_empty() {
            return Err(self.nothing(asked.name, search.places(&asked.image)));
        }
        kept.lines.sort_by_key(|(at, _)| (!at.is_referrer, at.number, at.layer));
        for (_, line) in kept.lines {
            out.json(&line);
            out.print_data("\n");
        }
        Ok(())
    }

    fn nothing(&self, image: String, places: String) -> BesideCommandError {
        let (what, hint) = match &self.wanted {
            Wanted::Signatures => {
                ("signatures".to_owned(), "sign it with `stepseal sign`, or look with `stepseal tree`")
            }
            Wanted::Attestations(None) => (
                "attestations that can be read".to_owned(),
                "look with `stepseal tree`, or attest again with `stepseal attest`",
            ),
            Wanted::Attestations(Some(kind)) => (
                format!("attestations of the type {}", crate::foreign::escape(kind, 200)),
                "leave out --predicate-type to see which there are",
            ),
        };
        BesideCommandError::Nothing { what, image, source: Places(places), hint }
    }
}

/// The platform that is asked for.
pub(super) fn platform(flags: &OwnFlags<'_>) -> Result<Option<Platform>, ConfigError> {
    flags.one("platform", "OS/ARCH or OS/ARCH/VARIANT", |text| text.parse().ok())
}
