//! Tests of the agent's expected key, from the settings and from the mounted Secret.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::config::Sources;
use crate::explain::Explain as _;

const SOCKET: &str = "unix:///run/agent.sock";

/// The agent's settings and the warnings for these flags and variables.
fn client(given: &[(&str, &str)], mounted: &Path) -> Result<(Option<AgentClient>, Vec<String>), ConfigError> {
    let (flags, env): (Vec<_>, Vec<_>) = given.iter().partition(|(name, _)| !name.starts_with("STEPSEAL_"));
    let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = Sources::read(flags, env).unwrap();
    let mut warnings = Vec::new();
    let client = ConfigReader(&sources).agent_with(mounted, &mut warnings)?;
    Ok((client, warnings))
}

#[test]
fn a_named_key_is_pinned_or_else_the_mounted_key() {
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
        // Accepting any key gives a warning.
        assert_eq!(warnings.len(), usize::from(expected.is_none()), "{given:?}: {warnings:?}");
        for word in ["not pinned", "--agent-key", "STEPSEAL_AGENT_KEY", MOUNTED_KEY] {
            assert!(warnings.iter().all(|warning| warning.contains(word)), "{warnings:?}");
        }
    }
}

/// Anything at the location of the mounted key counts as a key, and is an error when it is read.
#[test]
fn an_invalid_or_unreadable_key_does_not_count_as_absent() {
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
    // Root can open the directory, and finds no key in it.
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
fn the_agents_key_without_an_agent_and_an_invalid_location_are_errors() {
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
    // A mounted key alone doesn't enable the agent.
    assert_eq!(client(&[], Path::new("/")).unwrap(), (None, Vec::new()));
    let both = client(&[("agent", SOCKET), ("agent-key", "/keys"), ("key", "/own")], nowhere).unwrap_err();
    assert!(matches!(both, ConfigError::Contradiction { .. }), "{both}");
}
