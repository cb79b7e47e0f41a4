//! How old a signature or an attestation is: since the oldest time that is attested or that its statement gives.
//!
//! A signature can be made anew at any time, and so can a log entry and a timestamp. So they alone say nothing of the age of what a
//! statement is about: whoever has the key, or can have things signed with it, could stamp an old provenance anew. The times in the
//! statement can't be younger than it, because they are signed with it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::foreign;
use crate::verify::bundle::TimeSource;
use crate::verify::judge::{Good, Said};

/// How far a clock may be ahead of ours: as much as clocks that are synchronized at all differ, and what Kerberos allows.
const SKEW: Duration = Duration::from_secs(300);

/// The longest text that is read as a time, in bytes: RFC 3339 with nanoseconds, an offset, and room.
const TIME_BYTES: usize = 64;

/// Where the statements of some kind give the time of what they are about.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// The kind, for people.
    pub kind: &'static str,
    /// The predicate types, without what follows a `/`, `@` or `.` behind them.
    pub types: &'static [&'static str],
    /// The fields: the first that is there counts, because a build, a scan or a document is from when it was finished, and from its
    /// start if nothing else is said.
    pub fields: &'static [&'static str],
}

/// Where statements give times. A statement of one of these types has them in the fields of its row; of any other type each row
/// is looked for.
///
/// Spec: <https://slsa.dev/spec/v1.0/provenance#BuildMetadata>, <https://slsa.dev/spec/v0.2/provenance>,
/// <https://github.com/sigstore/cosign/blob/v3.0.2/specs/COSIGN_VULN_ATTESTATION_SPEC.md>,
/// <https://github.com/sigstore/cosign/blob/v3.0.2/specs/COSIGN_PREDICATE_SPEC.md>,
/// <https://slsa.dev/spec/v1.0/verification_summary>, <https://spdx.github.io/spdx-spec/v2.3/document-creation-information/>,
/// <https://cyclonedx.org/docs/1.6/json/>, <https://github.com/openvex/spec/blob/v0.2.0/OPENVEX-SPEC.md>
pub const STATED: [Stated; 8] = [
    Stated {
        kind: "SLSA provenance v1",
        types: &["https://slsa.dev/provenance/v1"],
        fields: &["predicate.runDetails.metadata.finishedOn", "predicate.runDetails.metadata.startedOn"],
    },
    Stated {
        kind: "SLSA provenance v0.1 and v0.2, in-toto runtime traces",
        types: &[
            "https://slsa.dev/provenance/v0",
            "https://in-toto.io/Provenance/v0",
            "https://in-toto.io/attestation/runtime-trace",
        ],
        fields: &["predicate.metadata.buildFinishedOn", "predicate.metadata.buildStartedOn"],
    },
    Stated {
        kind: "vulnerability scans, cosign's and in-toto's",
        types: &["https://cosign.sigstore.dev/attestation/vuln", "https://in-toto.io/attestation/vulns"],
        fields: &["predicate.metadata.scanFinishedOn", "predicate.metadata.scanStartedOn"],
    },
    Stated {
        kind: "SPDX 2",
        types: &["https://spdx.dev/Document"],
        fields: &["predicate.creationInfo.created"],
    },
    Stated {
        kind: "CycloneDX",
        types: &["https://cyclonedx.org/bom"],
        fields: &["predicate.metadata.timestamp"],
    },
    Stated {
        kind: "SLSA verification summaries",
        types: &["https://slsa.dev/verification_summary"],
        fields: &["predicate.timeVerified", "predicate.time_verified"],
    },
    Stated {
        kind: "OpenVEX",
        types: &["https://openvex.dev/ns"],
        fields: &["predicate.last_updated", "predicate.timestamp"],
    },
    Stated {
        kind: "cosign's own type",
        types: &["https://cosign.sigstore.dev/attestation/v1"],
        fields: &["predicate.Timestamp"],
    },
];

impl Stated {
    /// Whether it is about statements of this predicate type.
    fn is_for(&self, predicate_type: &str) -> bool {
        let rest = |known: &&str| predicate_type.strip_prefix(*known);
        self.types.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with(['/', '@', '.']))
    }
}

/// What Go writes for a time that isn't set.
const GO_ZERO: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// All fields.
fn fields() -> impl Iterator<Item = &'static str> {
    STATED.into_iter().flat_map(|row| row.fields).copied()
}

/// A time that is counted from, and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// The time.
    pub since: Timestamp,
    /// Who says so.
    pub from: Origin,
}

/// Who says a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A transparency log.
    Log,
    /// A timestamp authority.
    Authority,
    /// The signed statement, in this field.
    Statement(&'static str),
}

impl Origin {
    /// The origin in JSON: `log`, `timestamp`, or the field's path.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Authority => "timestamp",
            Self::Statement(field) => field,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "the transparency log",
            Self::Authority => "the timestamp authority",
            Self::Statement(field) => field,
        })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, from {}", self.since, self.from)
    }
}

/// Since when `good` is there: the oldest of the times that are attested and those that its statement gives.
///
/// # Errors
///
/// For people: nobody says a time, one can't be read, or one is later than `now` by more than clocks differ.
pub fn age(good: &Good, now: Timestamp) -> Result<Age, String> {
    let mut times: Vec<Age> = Vec::new();
    for time in &good.by.times {
        let from = match time.by {
            TimeSource::Log(_) => Origin::Log,
            TimeSource::Authority(_) => Origin::Authority,
            TimeSource::Now => continue,
        };
        times.push(Age { since: time.at, from });
    }
    if let Said::Statement { statement, envelope } = &good.said {
        times.extend(stated(&envelope.payload, &statement.predicate_type)?);
    }
    let skew = jiff::SignedDuration::try_from(SKEW).unwrap_or_default();
    if let Some(early) = times.iter().find(|time| now.duration_since(time.since) < -skew) {
        return Err(format!("it was made at {early}, which is not yet"));
    }
    times.into_iter().min_by_key(|time| time.since).ok_or_else(|| {
        "nobody vouches for the time at which it was made: no log entry, no timestamp, and nothing in what was signed"
            .to_owned()
    })
}

/// The times that a statement gives.
fn stated(statement: &[u8], predicate_type: &str) -> Result<Vec<Age>, String> {
    let mut found = BTreeMap::new();
    let mut json = serde_json::Deserializer::from_slice(statement);
    Pick { path: String::new(), found: &mut found }
        .deserialize(&mut json)
        .map_err(|error| format!("its statement can't be read for the time of what it is about: {error}"))?;
    let is_known = STATED.iter().any(|row| row.is_for(predicate_type));
    let mut times = Vec::new();
    for row in STATED.iter().filter(|row| !is_known || row.is_for(predicate_type)) {
        for (field, text) in row.fields.iter().filter_map(|field| found.get_key_value(field)) {
            match text.as_deref().and_then(rfc3339) {
                Some(since) if since == GO_ZERO => continue,
                Some(since) => times.push(Age { since, from: Origin::Statement(field) }),
                // In a type that nothing is known of, a field of this name may hold something else.
                None if !is_known => continue,
                None => return Err(format!("its {field} is not a time in RFC 3339{}", why(text.as_deref()))),
            }
            break;
        }
    }
    Ok(times)
}

/// What to say of a text that is not a time.
fn why(text: Option<&str>) -> String {
    match text {
        None => String::new(),
        Some("") => ": it is empty".to_owned(),
        Some(text) => format!(": {}", foreign::escape(text, 80)),
    }
}

/// Reads a time, strictly: jiff alone takes other forms too. Of a fraction the first nine digits count, and what is beyond jiff's range
/// is its end.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc3339#section-5.6>
fn rfc3339(text: &str) -> Option<Timestamp> {
    let (head, rest) = text.split_at_checked("YYYY-MM-DDTHH:MM:SS".len())?;
    let (date, clock) = head.split_once(['T', 't'])?;
    if !is_like(date, "0000-00-00") || !is_like(clock, "00:00:00") {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(rest) => rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?,
    };
    if rest.starts_with('.') && fraction.is_empty() {
        return None;
    }
    let seconds = match zone {
        "Z" | "z" => 0,
        zone => {
            let (sign, offset) = zone.split_at_checked(1).filter(|(_, offset)| is_like(offset, "00:00"))?;
            let (hours, minutes) = offset.split_once(':')?;
            let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
            let seconds = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
            match sign {
                "+" => seconds,
                "-" => -seconds,
                _ => return None,
            }
        }
    };
    let nanoseconds = fraction.get(..9).unwrap_or(fraction);
    let civil: DateTime = format!("{date}T{clock}.{nanoseconds:0<9}").parse().ok()?;
    let end = if civil.year() > 0 { Timestamp::MAX } else { Timestamp::MIN };
    Some(Offset::from_seconds(seconds).ok()?.to_timestamp(civil).unwrap_or(end))
}

/// Whether `text` is `shape` with any digits for its zeros.
fn is_like(text: &str, shape: &str) -> bool {
    let fits = |(found, want): (u8, u8)| if want == b'0' { found.is_ascii_digit() } else { found == want };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

/// Reads the fields of [`STATED`] and keeps nothing else: a predicate may have many megabytes.
struct Pick<'a> {
    /// Where this value is.
    path: String,
    /// The text of each field that is there; `None`: it is no text, or too long for a time.
    found: &'a mut BTreeMap<&'static str, Option<String>>,
}

impl Pick<'_> {
    fn field(&self) -> Option<&'static str> {
        fields().find(|field| *field == self.path)
    }

    /// What isn't a text.
    fn other(self) {
        if let Some(field) = self.field() {
            self.found.insert(field, None);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if let Some(field) = self.field() {
            self.found.insert(field, Some(text).filter(|text| text.len() <= TIME_BYTES).map(str::to_owned));
        }
        Ok(())
    }

    /// `null` is what isn't there.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.other();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            match below(&self.path, &key) {
                Some(path) => entries.next_value_seed(Pick { path, found: &mut *self.found })?,
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        self.other();
        Ok(())
    }
}

/// The path of what stands under `key` in the object at `path`; `None`: no field of [`STATED`] is there or below it.
fn below(path: &str, key: &str) -> Option<String> {
    fields().find_map(|field| {
        let rest = if path.is_empty() { field } else { field.strip_prefix(path)?.strip_prefix('.')? };
        let (first, _) = rest.split_once('.').unwrap_or((rest, ""));
        (first == key).then(|| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") })
    })
}

#[cfg(test)]
mod tests;
