//! Signing and attesting once, once more, and verifying: by tag and as bundle, in the image's repository or another.

use serde_json::Value;

use super::bench::{Bench, Ended, KEYS, TYPE, demand, passed, status};
use super::outcome::{Note, Tried};
use super::site::{Form, Pushed, Site};

/// Everything in the registry that belongs to the signatures of an image.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    tags: [Option<Vec<u8>>; 3],
    referrers: Option<Vec<Value>>,
}

/// What `site` holds for `image` in `repository`.
fn held(site: &dyn Site, repository: &str, image: &Pushed) -> Held {
    let caller = site.caller();
    Held {
        tags: [".sig", ".att", ""].map(|suffix| caller.manifest(repository, &image.tag(suffix))),
        referrers: caller.referrers(repository, &image.digest),
    }
}

/// Signs an image.
pub(crate) fn sign(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.signed(form)?;
    let held = held(bench.site, &bench.place(&image), &image);
    demand(held.tags[0].is_some() == (form == Form::Tag), || {
        format!("the tag {} is {:?}", image.tag(".sig"), held.tags[0])
    })?;
    Ok(Note::Works)
}

/// Where the bundle of a signature is found.
pub(crate) fn listed(bench: &Bench<'_>) -> Tried {
    let image = bench.signed(Form::Bundle)?;
    let held = held(bench.site, &bench.place(&image), &image);
    let index: Value =
        held.tags[2].as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let by_tag = index["manifests"].as_array().is_some_and(|entries| !entries.is_empty());
    let by_api = held.referrers.is_some_and(|entries| !entries.is_empty());
    let places = match (by_api, by_tag) {
        (true, true) => "referrers API, and tag `sha256-HEX`",
        (true, false) => "referrers API",
        (false, true) => "tag `sha256-HEX`",
        (false, false) => {
            demand(false, || "no list has the bundle".to_owned())?;
            ""
        }
    };
    Ok(Note::As(places.to_owned()))
}

/// Signs a signed image again, and attests the same again: nothing changes.
pub(crate) fn again(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.signed(form)?;
    unchanged(bench, &image, || bench.sign(form, &image, &[]))?;
    let image = bench.attested(form)?;
    unchanged(bench, &image, || bench.attest(form, &image))
}

fn unchanged(bench: &Bench<'_>, image: &Pushed, run: impl Fn() -> Ended) -> Tried {
    let before = held(bench.site, &bench.place(image), image);
    let ended = run();
    passed(&ended)?;
    demand(status(&ended) == "unchanged", || format!("the report says {:?}", status(&ended)))?;
    let after = held(bench.site, &bench.place(image), image);
    demand(before == after, || "a second run has changed the registry".to_owned())?;
    Ok(Note::As("unchanged".to_owned()))
}

/// Attests something of an image.
pub(crate) fn attest(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.attested(form)?;
    let held = held(bench.site, &bench.place(&image), &image);
    demand(held.tags[1].is_some() == (form == Form::Tag), || {
        format!("the tag {} is {:?}", image.tag(".att"), held.tags[1])
    })?;
    Ok(Note::Works)
}

/// Verifies a signature: an image without one fails, and a signed image has one, for other programs too.
pub(crate) fn verify(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.image("unsigned", form);
    let ended = bench.run(bench.command(form, &["verify", &image.reference(bench.site)]));
    demand(ended.code == 1, || format!("verify of an unsigned image ends with {}", ended.code))?;
    let image = bench.signed(form)?;
    let ended = bench.run(bench.command(form, &["verify", &image.reference(bench.site)]));
    passed(&ended)?;
    counted(bench, form, &image, &ended, 1)
}

/// `ended`, a run of `verify`, and the judge count `want` signatures.
pub(crate) fn counted(bench: &Bench<'_>, form: Form, image: &Pushed, ended: &Ended, want: usize) -> Tried {
    let ours = signatures(ended);
    demand(ours == want, || format!("{ours} of {want} signatures are there"))?;
    if let Some(theirs) = bench.site.judge(form, image) {
        demand(theirs == want, || format!("cosign verifies {theirs} of {want} signatures"))?;
    }
    Ok(Note::Works)
}

/// How many signatures `verify` printed.
pub(crate) fn signatures(ended: &Ended) -> usize {
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    printed.as_array().map_or(0, Vec::len)
}

/// Verifies an attestation.
pub(crate) fn verify_attestation(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.attested(form)?;
    let reference = image.reference(bench.site);
    let ended = bench.run(bench.command(form, &["verify-attestation", "--type", TYPE, &reference]));
    passed(&ended)?;
    let lines = ended.stdout.lines().count();
    demand(lines == 1, || format!("{lines} attestations of 1 are there"))?;
    if let Some(theirs) = bench.site.judge_attestations(form, &image, TYPE) {
        demand(theirs == 1, || format!("cosign verifies {theirs} of 1 attestation"))?;
    }
    Ok(Note::Works)
}

/// Verifies an index and the images in it, signed with `--recursive`.
pub(crate) fn recursive(bench: &Bench<'_>, form: Form) -> Tried {
    let index = bench.index(form)?;
    let ended = bench.run(bench.command(form, &["verify", "--recursive", &index.reference(bench.site)]));
    passed(&ended)?;
    Ok(Note::Works)
}

/// Verifies an attestation of an index and of the images in it.
pub(crate) fn recursive_attestation(bench: &Bench<'_>, form: Form) -> Tried {
    let index = bench.index(form)?;
    let reference = index.reference(bench.site);
    let command = ["verify-attestation", "--recursive", "--type", TYPE, &reference];
    passed(&bench.run(bench.command(form, &command)))?;
    Ok(Note::Works)
}

/// Stores signatures in another repository, and finds them there.
pub(crate) fn elsewhere(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.image("elsewhere", form);
    elsewhere_by(bench, bench.site, KEYS[0], form, &image)?;
    let own = held(bench.site, &image.repository, &image);
    demand(own.tags[0].is_none(), || "the image's own repository has the signature".to_owned())?;
    Ok(Note::Works)
}

/// Has `key` sign `image` in another repository of `site`, and verifies that.
pub(crate) fn elsewhere_by(
    bench: &Bench<'_>,
    site: &dyn Site,
    key: &str,
    form: Form,
    image: &Pushed,
) -> Tried {
    let place = format!("{}/{}", site.host(), site.repository("signatures"));
    let reference = image.reference(site);
    for command in ["sign", "verify"] {
        let mut command = bench.command_at(site, key, form, &[command, &reference]);
        command.env("STEPSEAL_STORAGE_OCI_REPOSITORY", &place);
        passed(&bench.run(command))?;
    }
    Ok(Note::Works)
}
