//! The list of cosign's flags beside cosign itself.

use crate::kit::command::{peer, run};

/// A value that the flag takes.
fn value(flag: &str, kind: &str) -> &'static str {
    match (kind, flag) {
        ("switch", _) => "true",
        (_, "max-workers") => "1",
        (_, "timeout") => "1m",
        (_, "registry-referrers-mode") => "legacy",
        _ => "x",
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_has_the_flags_of_the_list_and_shows_no_others() {
    let home = tempfile::tempdir().unwrap();
    let list = include_str!("../data/cosign/flags.txt");
    let rows: Vec<Vec<&str>> =
        list.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect()).collect();
    for command in
        ["sign", "attest", "verify", "verify-attestation", "verify-blob", "verify-blob-attestation"]
    {
        let own: Vec<&Vec<&str>> = rows.iter().filter(|row| ["*", command].contains(&row[0])).collect();
        let help = run(peer("cosign", home.path()).args([command, "--help"])).ok().stdout;
        for word in help.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
            let name: String = word.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            // Its examples have flags of other commands; a flag's own line ends with its default.
            let is_flag = word.contains('=') && word.ends_with(':');
            assert!(!is_flag || name == "help" || own.iter().any(|row| row[1] == name), "{command} {name}");
        }
        for row in own {
            let flag = format!("--{}={}", row[1], value(row[1], row[2]));
            // The flags are read before the help is shown.
            let ran = run(peer("cosign", home.path()).args([command, &flag, "--help"]));
            assert_eq!(ran.code, 0, "{ran}");
        }
    }
}
