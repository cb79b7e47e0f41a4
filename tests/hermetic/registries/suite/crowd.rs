//! Twenty signers of one image at once: the signature of each is there.

use std::process::Child;

use super::bench::{Bench, passed};
use super::outcome::Tried;
use super::places::counted;
use super::site::Form;

const SIGNERS: usize = 20;

/// Twenty processes sign one image.
pub(crate) fn twenty(bench: &Bench<'_>, form: Form) -> Tried {
    let image = bench.image("twenty", form);
    let reference = image.reference(bench.site);
    let signer = |number| {
        let annotation = format!("--annotation=signer={number}");
        bench.command(form, &["sign", &annotation, &reference]).spawn().unwrap()
    };
    let children: Vec<Child> = (0..SIGNERS).map(signer).collect();
    let ended: Vec<_> = children.into_iter().map(|child| bench.wait(child)).collect();
    for ended in &ended {
        passed(ended)?;
    }
    let ended = bench.run(bench.command(form, &["verify", &reference]));
    passed(&ended)?;
    counted(bench, form, &image, &ended, SIGNERS)
}
