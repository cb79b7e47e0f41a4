//! GitHub's attestations of private repositories: neither SCT nor log entry, and a timestamp by an authority of its own.

use super::cases::Case;
use super::lines::ROOTS;
use super::recipe::*;
use super::roots::{lines, strict, unlogged, weak};
use super::sigstore::*;

/// What must be said for them to count.
const FLAGS: &[&str] = &["--insecure-ignore-sct", "--insecure-ignore-tlog", "--use-signed-timestamps"];

pub(crate) fn cases() -> Vec<Case> {
    let case = |case: Case| case.trusting(weak()).flags(FLAGS);
    let stamped = |stamp| Recipe { stamps: vec![stamp], ..unlogged() };
    let late = stamped(Stamp::at(SIGNED + 301));
    let none = Recipe { stamps: Vec::new(), ..unlogged() };
    let public = Recipe { leaf: Leaf { sct: None, ..Leaf::default() }, ..unlogged() };
    vec![
        case(Case::good(
            "github-private",
            "no SCT, no log entry, a timestamp, and no more is asked for",
            &unlogged(),
        )),
        case(Case::good("github-private-attestation", "the same of an attestation", &unlogged().envelope())),
        Case::good(
            "github-private-of-two-roots",
            "the same with both of GitHub's trusted roots, a line each",
            &unlogged(),
        )
        .beside(ROOTS, lines(&[strict(), weak()]))
        .flags(FLAGS),
        case(Case::bad(
            "github-private-sct-demanded",
            "SCT",
            "the certificate's SCT is demanded",
            &unlogged(),
        ))
        .flags(&["--insecure-ignore-tlog", "--use-signed-timestamps"]),
        case(Case::bad("github-private-log-demanded", "log entry", "a log entry is demanded", &unlogged()))
            .flags(&["--insecure-ignore-sct", "--use-signed-timestamps"]),
        case(Case::bad(
            "github-private-all-demanded",
            "log entry",
            "nothing says that less is demanded",
            &unlogged(),
        ))
        .flags(&[]),
        case(Case::bad(
            "github-private-without-timestamp",
            "time",
            "nothing proves when it was signed",
            &none,
        )),
        case(Case::bad(
            "github-private-timestamp-late",
            "certificate",
            "the certificate had expired by then",
            &late,
        )),
        case(Case::bad(
            "github-private-timestamp-unknown",
            "timestamp",
            "the timestamp is by an authority that nobody knows",
            &stamped(Stamp::unknown()),
        )),
        case(Case::bad(
            "github-private-by-the-other",
            "certificate",
            "the certificate is of the authority of public repositories, which this trusted root does not have",
            &public,
        )),
        case(Case::bad(
            "github-private-another-artifact",
            "artifact",
            "it is of another file",
            &unlogged().envelope(),
        ))
        .of(b"another file\n"),
    ]
}
