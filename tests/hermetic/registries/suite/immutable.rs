//! Tags that can't be overwritten: the first signature, the second, and the way out that the error names.

use super::bench::{Bench, Ended, KEYS, demand, passed};
use super::outcome::{Note, Tried, says};
use super::places::elsewhere_by;
use super::site::{Form, Pushed, Site};

const NONE: Tried = Ok(Note::Absent("no such setting"));

fn image(bench: &Bench<'_>, site: &dyn Site, feature: &str) -> Pushed {
    let repository = bench.repository(&format!("immutable-{feature}"), Form::Tag);
    site.push_image(&repository, "latest", &repository)
}

fn sign(bench: &Bench<'_>, site: &dyn Site, key: &str, form: Form, image: &Pushed) -> Ended {
    bench.run(bench.command_at(site, key, form, &["sign", &image.reference(site)]))
}

/// Fails unless the signature by `key` is found where `form` has it.
fn verified(bench: &Bench<'_>, site: &dyn Site, key: &str, form: Form, image: &Pushed) -> Tried {
    passed(&bench.run(bench.command_at(site, key, form, &["verify", &image.reference(site)])))?;
    Ok(Note::Works)
}

/// The first signer of an image, by tag.
pub(crate) fn first(bench: &Bench<'_>) -> Tried {
    let Some(site) = bench.immutable() else { return NONE };
    let image = image(bench, site, "first");
    passed(&sign(bench, site, KEYS[0], Form::Tag, &image))?;
    verified(bench, site, KEYS[0], Form::Tag, &image)
}

/// The second signer: the tag can't be overwritten, and the error says what that is and what to do.
pub(crate) fn second(bench: &Bench<'_>) -> Tried {
    let Some(site) = bench.immutable() else { return NONE };
    let image = image(bench, site, "second");
    passed(&sign(bench, site, KEYS[0], Form::Tag, &image))?;
    let ended = sign(bench, site, KEYS[1], Form::Tag, &image);
    demand(ended.code != 0, || "the tag was overwritten".to_owned())?;
    for word in ["immutable", "sigstore-bundle", "storage.oci.repository"] {
        let said = ended.stdout.contains(word) || ended.stderr.contains(word);
        demand(said, || format!("the error doesn't name {word}: exit {}, {}", ended.code, says(&ended)))?;
    }
    verified(bench, site, KEYS[0], Form::Tag, &image)?;
    Ok(Note::As(format!("exit {}, {}", ended.code, says(&ended))))
}

/// What the error advises: bundles of any number of signers, or else another repository.
pub(crate) fn way_out(bench: &Bench<'_>) -> Tried {
    let Some(site) = bench.immutable() else { return NONE };
    let image = image(bench, site, "way-out");
    passed(&sign(bench, site, KEYS[0], Form::Tag, &image))?;
    // The fallback tag takes one bundle too: only the second shows that no tag is needed.
    let bundles = || -> Tried {
        for key in [KEYS[1], KEYS[2]] {
            passed(&sign(bench, site, key, Form::Bundle, &image))?;
            verified(bench, site, key, Form::Bundle, &image)?;
        }
        Ok(Note::As("as bundle".to_owned()))
    };
    bundles().or_else(|_| {
        elsewhere_by(bench, site, KEYS[3], Form::Tag, &image)?;
        Ok(Note::As("another repository".to_owned()))
    })
}
