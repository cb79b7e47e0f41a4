//! Bundles whose log entry is wrong: the entry itself, the proof, the checkpoint.

use super::cases::{Case, ENTRY, at, drop_field, edit, edit_body, flip};
use super::forged::{one, path, two};
use super::recipe::*;
use super::sigstore::*;
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = entries();
    cases.extend(proofs());
    cases.extend(checkpoints());
    cases
}

fn entries() -> Vec<Case> {
    vec![
        one("log-id-flipped", "log", "a log that nobody knows", |b| flip(b, &path("logId/keyId"))),
        one(
            "log-id-of-the-other",
            "inclusion promise",
            "Rekor 1's entry as if it were the other log's",
            |b| {
                *at(b, &path("logId/keyId")) = json!(base64(tiles_id()));
            },
        ),
        one("kind-unknown", "log entry", "a kind of entry that nobody knows", |b| {
            *at(b, &path("kindVersion/kind")) = json!("rpm")
        }),
        one("kind-another", "log entry", "the kind is not that of what is logged", |b| {
            *at(b, &path("kindVersion/kind")) = json!("dsse")
        }),
        one("kind-version", "log entry", "the version is not that of what is logged", |b| {
            *at(b, &path("kindVersion/version")) = json!("0.0.2")
        }),
        one("promise-flipped", "inclusion promise", "the promise is not by the log", |b| {
            flip(b, &path("inclusionPromise/signedEntryTimestamp"))
        }),
        one("integrated-earlier", "inclusion promise", "the time was changed after the log signed it", |b| {
            *at(b, &path("integratedTime")) = json!((SIGNED - 1).to_string());
        }),
        one("integrated-missing", "inclusion promise", "a promise without its time", |b| {
            drop_field(b, &path("integratedTime"))
        }),
        one("log-index-changed", "inclusion promise", "the index was changed after the log signed it", |b| {
            *at(b, &path("logIndex")) = json!("1000006");
        }),
        Case::bad(
            "integrated-in-future",
            "inclusion promise",
            "the log's time lies far ahead",
            &Recipe {
                integrated: SIGNED + 50 * YEAR,
                leaf: Leaf { validity: (SIGNED - 300, 2_500_000_000), ..Leaf::default() },
                ..Recipe::rekor1()
            },
        ),
        one("body-flipped-digest", "log entry", "what is logged is of another digest", |b| {
            let digest = hex(&sha256(ARTIFACT));
            edit_body(b, &digest, &digest.replacen(|c| c != 'a', "a", 1));
        }),
        one("body-another-algorithm", "log entry", "what is logged is of another algorithm", |b| {
            edit_body(b, "\"sha256\"", "\"sha512\"")
        }),
        one("body-added", "inclusion promise", "something was added to what is logged", |b| {
            edit_body(b, "{\"apiVersion\"", "{\"a\":1,\"apiVersion\"")
        }),
        one("body-not-json", "log entry", "what is logged cannot be read", |b| {
            *at(b, &path("canonicalizedBody")) = json!(base64("{"))
        }),
        two("integrated-added", "inclusion promise", "Rekor 2 tells no time", |b| {
            at(b, ENTRY)["integratedTime"] = json!(SIGNED.to_string());
        }),
        two("promise-added", "inclusion promise", "Rekor 2 makes no promises", |b| {
            at(b, ENTRY)["inclusionPromise"] =
                at(&mut Recipe::rekor1().bundle(), &path("inclusionPromise")).clone();
        }),
        two("body-added", "inclusion proof", "something was added to what is logged", |b| {
            edit_body(b, "{\"apiVersion\"", "{\"a\":1,\"apiVersion\"")
        }),
        two("body-another-digest", "log entry", "what is logged is of another digest", |b| {
            edit_body(b, &base64(sha256(ARTIFACT)), &base64(sha256("other")));
        }),
    ]
}

fn proofs() -> Vec<Case> {
    let hashes = path("inclusionProof/hashes");
    let hashes =
        move |b: &mut Value, change: fn(&mut Vec<Value>)| change(at(b, &hashes).as_array_mut().unwrap());
    vec![
        one("proof-reordered", "inclusion proof", "the hashes of the proof in another order", |b| {
            hashes(b, |list| list.swap(0, 1))
        }),
        one("proof-hash-flipped", "inclusion proof", "a bit of a hash is another", |b| {
            flip(b, &path("inclusionProof/hashes/1"))
        }),
        one("proof-too-short", "inclusion proof", "the proof lacks its last hash", |b| {
            hashes(b, |list| drop(list.pop()))
        }),
        one("proof-too-long", "inclusion proof", "the proof has a hash too many", |b| {
            hashes(b, |list| list.push(json!(base64([1; 32]))))
        }),
        one("proof-another-index", "inclusion proof", "the proof is of the entry beside it", |b| {
            *at(b, &path("inclusionProof/logIndex")) = json!("4");
        }),
        one("proof-beyond-the-tree", "inclusion proof", "an entry that the tree doesn't have", |b| {
            *at(b, &path("inclusionProof/logIndex")) = json!("11");
        }),
        one("proof-of-an-empty-tree", "inclusion proof", "the tree has no entries", |b| {
            *at(b, &path("inclusionProof/treeSize")) = json!("0")
        }),
        one("proof-another-size", "checkpoint", "the tree's size is not the checkpoint's", |b| {
            *at(b, &path("inclusionProof/treeSize")) = json!("12");
        }),
        one("proof-root-flipped", "inclusion proof", "the proof leads to another root", |b| {
            flip(b, &path("inclusionProof/rootHash"))
        }),
        two("proof-reordered", "inclusion proof", "the hashes of the proof in another order", |b| {
            hashes(b, |list| list.swap(0, 1))
        }),
        two("proof-another-index", "inclusion proof", "the entry's index and the proof's differ", |b| {
            *at(b, &path("logIndex")) = json!("4")
        }),
        two("proof-root-flipped", "inclusion proof", "the proof leads to another root", |b| {
            flip(b, &path("inclusionProof/rootHash"))
        }),
    ]
}

fn checkpoints() -> Vec<Case> {
    let envelope = path("inclusionProof/checkpoint/envelope");
    let note = |b: &mut Value, from: &str, to: &str| edit(b, &envelope, from, to);
    let lines = |b: &mut Value, change: fn(Vec<&str>) -> Vec<&str>| {
        let value = at(b, &envelope);
        let text = value.as_str().unwrap().to_owned();
        *value = json!(change(text.split('\n').collect()).join("\n"));
    };
    vec![
        one("checkpoint-unsigned", "checkpoint", "the checkpoint's signature was taken away", |b| {
            lines(b, |mut all| {
                all.remove(4);
                all
            })
        }),
        one("checkpoint-hint", "checkpoint", "the signature says it is by another key", |b| {
            note(b, "\u{2014} rekor.example ", "\u{2014} rekor.example AAAA")
        }),
        one("checkpoint-name", "checkpoint", "the signature is under another name", |b| {
            note(b, "\u{2014} rekor", "\u{2014} other")
        }),
        one("checkpoint-origin", "checkpoint", "the checkpoint is another log's", |b| {
            note(b, "rekor.example - ", "other.example - ")
        }),
        one("checkpoint-size", "checkpoint", "the checkpoint is of a larger tree", |b| {
            note(b, "\n11\n", "\n12\n")
        }),
        one("checkpoint-signed-then-changed", "checkpoint", "a line was added after it was signed", |b| {
            note(b, "\n\n", "\nTimestamp: 1\n\n")
        }),
        one("checkpoint-not-a-note", "checkpoint", "the checkpoint is no note", |b| {
            *at(b, &path("inclusionProof/checkpoint/envelope")) = json!("x")
        }),
        two("checkpoint-without-origin", "checkpoint", "the checkpoint lacks its first line", |b| {
            lines(b, |mut all| {
                all.remove(0);
                all
            })
        }),
        two("checkpoint-without-size", "checkpoint", "the checkpoint lacks its size", |b| {
            lines(b, |mut all| {
                all.remove(1);
                all
            })
        }),
        two("checkpoint-without-root", "checkpoint", "the checkpoint lacks its root", |b| {
            lines(b, |mut all| {
                all.remove(2);
                all
            })
        }),
        two("checkpoint-name", "checkpoint", "the signature is under another name", |b| {
            note(b, "\u{2014} tiles", "\u{2014} other")
        }),
        two("checkpoint-origin", "checkpoint", "the checkpoint is another log's", |b| {
            note(b, "tiles.example\n", "other.example\n")
        }),
        Case::bad(
            "rekor2-checkpoint-witness-alone",
            "checkpoint",
            "a witness signed the checkpoint, and the log didn't",
            &Recipe { witnesses: (&["witness-a.example"], &[]), ..Recipe::rekor2() },
        )
        .but(|b| {
            lines(b, |mut all| {
                all.remove(5);
                all
            })
        }),
    ]
}
