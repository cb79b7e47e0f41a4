//! What a run says of itself: the report and its own results.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use stepseal::formats::dsse;

use crate::exits::images::{Images, Name};
use crate::exits::key;

/// What is to be reported.
pub(crate) struct Check<'a> {
    pub(crate) images: &'a Images,
    pub(crate) recursive: bool,
    pub(crate) stores: &'a [&'static str],
    pub(crate) host: &'a str,
}

/// A report that holds together.
pub(crate) struct Report {
    /// Name, store, and whether it is signed there.
    entries: Vec<(Name, String, bool)>,
    subjects: BTreeSet<Name>,
    stores: Vec<&'static str>,
}

impl Check<'_> {
    /// The report in `folder`. No subject is missing from it that the run knew of, and what it calls signed in a folder is.
    pub(crate) fn report(&self, folder: &Path) -> Result<Report, String> {
        let text = fs::read_to_string(folder.join("report.json")).map_err(|_| "there is no report")?;
        let entries: Vec<Value> = serde_json::from_str(&text).map_err(|_| "the report is not JSON")?;
        let report = Report {
            entries: entries.iter().map(|entry| self.entry(entry)).collect::<Result<_, _>>()?,
            subjects: self.images.subjects(self.recursive),
            stores: self.stores.to_vec(),
        };
        for name in &self.images.named {
            report.names(name)?;
        }
        for index in report.signed("oci").iter().filter(|_| self.recursive) {
            for name in self.images.listed_by(index) {
                report.names(name)?;
            }
        }
        self.own_results(folder, &report)?;
        Ok(report)
    }

    fn entry(&self, entry: &Value) -> Result<(Name, String, bool), String> {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let repository =
            text("uri").strip_prefix(&format!("{}/", self.host)).ok_or("an entry of another host")?;
        let signed = text("status") != "failed";
        if signed != entry["error"].is_null() {
            return Err(format!("an entry that contradicts itself: {entry}"));
        }
        if signed && text("store") == "directory" {
            kept(text("location"), text("digest"))?;
        }
        Ok((format!("{repository}@{}", text("digest")), text("store").to_owned(), signed))
    }

    /// `SIGNED_IMAGES` names what is signed somewhere, and nothing else.
    fn own_results(&self, folder: &Path, report: &Report) -> Result<(), String> {
        let text =
            fs::read_to_string(folder.join("own/SIGNED_IMAGES")).map_err(|_| "there are no own results")?;
        let named: BTreeSet<String> = serde_json::from_str(&text).map_err(|_| "they are no array")?;
        let signed = report.entries.iter().filter(|(_, _, signed)| *signed);
        let signed: BTreeSet<String> = signed.map(|(name, _, _)| self.images.full(name)).collect();
        // Too many become a summary.
        let same = named == signed || named.iter().any(|name| name.contains("too long for a result"));
        if same { Ok(()) } else { Err(format!("SIGNED_IMAGES is {named:?}, and signed are {signed:?}")) }
    }
}

impl Report {
    /// Whether each store has an outcome of `name`, once.
    fn names(&self, name: &Name) -> Result<(), String> {
        for store in &self.stores {
            let entries = self.entries.iter().filter(|(entry, of, _)| entry == name && of == store);
            match entries.count() {
                1 => {}
                count => return Err(format!("the report has {count} entries of {name} for {store}")),
            }
        }
        Ok(())
    }

    /// Every subject is there, in each store, and signed.
    pub(crate) fn is_complete(&self) -> Result<(), String> {
        for name in &self.subjects {
            self.names(name)?;
        }
        match self.entries.iter().find(|(_, _, signed)| !signed) {
            Some((name, store, _)) => {
                Err(format!("exit code 0, and the report says that {name} failed in {store}"))
            }
            None => Ok(()),
        }
    }

    /// What is signed in a store.
    pub(crate) fn signed(&self, store: &str) -> Vec<Name> {
        let signed = self.entries.iter().filter(|(_, of, signed)| *signed && of == store);
        signed.map(|(name, _, _)| name.clone()).collect()
    }

    /// Whether nothing is signed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.iter().all(|(_, _, signed)| !signed)
    }
}

/// The signature at `location` in a folder is one of `digest`.
fn kept(location: &str, digest: &str) -> Result<(), String> {
    let signature = fs::read(location).map_err(|_| format!("there is no {location}"))?;
    let payload =
        fs::read(location.replace("/signature-", "/payload-")).map_err(|_| "there is no payload")?;
    let hex = digest.trim_start_matches("sha256:");
    if !String::from_utf8_lossy(&payload).contains(hex) {
        return Err(format!("the payload beside {location} is not of {digest}"));
    }
    let verified = match dsse::read(&signature) {
        Ok(envelope) => {
            let pae = format!(
                "DSSEv1 {} {} {} ",
                envelope.payload_type.len(),
                envelope.payload_type,
                payload.len()
            );
            key::public().verify(&[pae.as_bytes(), &payload].concat(), &envelope.signatures[0].signature)
        }
        Err(_) => key::public().verify(&payload, &STANDARD.decode(&signature).map_err(|_| "no base64")?),
    };
    verified.map_err(|_| format!("{location} is no signature of its payload"))
}
