//! Which key the agent must have, by what is named and what is mounted.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::config::Sources;
use crate::explain::Explain as _;

const SOCKET: &str = "unix:///run/agent.sock";

/// The agent's client with these settings, and the warnings.
fn client(given: &[(&str, &str)], mounted: &Path) -> Result<(Option<AgentClient>, Vec<String>), ConfigError> {
    let (flags, env): (Vec<_>, Vec<_>) = given.iter().partition(|(name, _)| !name.starts_with("STEPSEAL_"));
    let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = Sources::read(flags, env).unwrap();
    let mut warnings = Vec::new();
    let client = Reader(&sources).agent_with(mounted, &mut warnings)?;
    Ok((client, warnings))
}

#[test]
fn a_named_key_pins_and_a_mounted_one_does_where_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, mounted) = (folder.path().join("absent"), folder.path().join("cosign.pub"));
    std::fs::write(&mounted, "").unwrap();
    let at_mount = mounted.display().to_string();
    for (given, mounted, expected) in [
        (&[("agent-key", "/keys")][..], &absent, Some("/keys")),
        (&[("agent-key", "/keys")], &mounted, Some("/keys")),
        (&[("STEPSEAL_AGENT_KEY", "env://AGENT_PUB")], &mounted, Some("env://AGENT_PUB")),
        (&[("STEPSEAL_AGENT_KEY", "k8s://ci/signing-secrets")], &absent, Some("k8s://ci/signing-secrets")),
        (&[("agent-key", "/keys"), ("STEPSEAL_AGENT_KEY", "/others")], &absent, Some("/keys")),
        (&[("STEPSEAL_AGENT_KEY", "")], &mounted, Some(at_mount.as_str())),
        (&[], &mounted, Some(at_mount.as_str())),
        (&[("STEPSEAL_AGENT_KEY", "")], &absent, None),
        (&[], &absent, None),
    ] {
        let (client, warnings) = client(&[&[("agent", SOCKET)], given].concat(), mounted).unwrap();
        let key = client.unwrap().key.map(|key| key.source.to_string());
        assert_eq!(key.as_deref(), expected, "{given:?}");
        // Whoever believes any key is warned of it.
        assert_eq!(warnings.len(), usize::from(expected.is_none()), "{given:?}: {warnings:?}");
        for word in ["not pinned", "--agent-key", "STEPSEAL_AGENT_KEY", MOUNTED_KEY] {
            assert!(warnings.iter().all(|warning| warning.contains(word)), "{warnings:?}");
        }
    }
}

/// Whatever is at the place of the mounted key counts as one, and is an error when it is read.
#[test]
fn what_is_no_key_or_can_not_be_looked_at_is_not_an_absent_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, text) in
        [("empty", ""), ("malformed", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n")]
    {
        std::fs::write(path(name), text).unwrap();
    }
    symlink("/nowhere/cosign.pub", path("dangling")).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    std::fs::create_dir_all(path("closed/inner")).unwrap();
    std::fs::set_permissions(path("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root can look into it, and finds a folder without a key.
    for name in ["empty", "malformed", "dangling", "folder", "empty/below", "closed/inner"] {
        let (client, warnings) = client(&[("agent", SOCKET)], &path(name)).unwrap();
        let key = client.unwrap().key.unwrap();
        assert_eq!(key.source, PublicKeySource::Path(path(name)), "{name}");
        assert!(key.source.read(&|_| None).is_err(), "{name}");
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
    }
    std::fs::set_permissions(path("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_agents_key_without_an_agent_is_an_error_and_so_is_what_names_no_key() {
    let nowhere = Path::new("/nowhere/cosign.pub");
    for name in ["agent-key", "STEPSEAL_AGENT_KEY"] {
        let error = client(&[(name, "/keys")], nowhere).unwrap_err();
        assert!(matches!(error, ConfigError::Incomplete { .. }), "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains("--agent"), "{error}");
        assert!(error.hint().unwrap().contains("--agent unix:///PATH"), "{error}");
        for wrong in ["env://", "k8s://x/../y", "awskms://key", "-----BEGIN PUBLIC KEY-----"] {
            let error = client(&[("agent", SOCKET), (name, wrong)], nowhere).unwrap_err();
            assert!(matches!(error, ConfigError::Value { .. }), "{wrong}: {error}");
            assert!(!error.to_string().contains("BEGIN"), "{error}");
        }
    }
    assert!(client(&[], nowhere).unwrap().0.is_none());
    // A mounted key is no reason to ask for an agent.
    assert_eq!(client(&[], Path::new("/")).unwrap(), (None, Vec::new()));
    let both = client(&[("agent", SOCKET), ("agent-key", "/keys"), ("key", "/own")], nowhere).unwrap_err();
    assert!(matches!(both, ConfigError::Contradiction { .. }), "{both}");
}
