//! Tests of values from every source, and of the errors for invalid values.

use super::*;
use crate::exit::ExitCode;
use crate::explain::Explain as _;
use crate::place::Encoding;
use crate::store::{annotations, oci};

fn flags(given: &[(&str, &[&str])]) -> Flags {
    given
        .iter()
        .map(|(flag, values)| ((*flag).to_owned(), values.iter().map(|v| (*v).to_owned()).collect()))
        .collect()
}

fn sources(flags: Flags, env: &[(&str, &str)]) -> Sources {
    Sources::read(flags, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
}

fn config(flags: Flags, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::new(&sources(flags, env), None)
}

#[test]
fn empty_sources_give_the_documented_defaults() {
    let config = config(Flags::new(), &[]).unwrap();
    assert_eq!(config.results_dir, PathBuf::from("/tekton/results"));
    assert_eq!(config.steps_dir, PathBuf::from("/tekton/steps"));
    assert_eq!(config.jobs, 16);
    assert_eq!(config.timeout, Duration::from_secs(300));
    assert_eq!(config.output, OutputFormat::Human);
    assert!(!config.lenient && !config.recursive);
    assert_eq!(config.images, [oci::MEMBER.kind]);
    assert_eq!(
        config.oci,
        OciStorage { encodings: vec![Encoding::Dsse], repository: None, insecure_http: false }
    );
    assert!(config.runs.task_run.stores.is_empty() && config.runs.pipeline_run.stores.is_empty());
    assert_eq!(config.run, RunSource::Own { uid: None, name: None });
}

#[test]
fn flags_precede_environment_directory_and_default() {
    let dir = tempfile::tempdir().unwrap();
    let write = |key: &str, value: &str| std::fs::write(dir.path().join(key), value).unwrap();
    write("storage.oci.repository", "dir.example/a\n");
    let path = dir.path().to_str().unwrap();
    let repository = |flags, env: &[(&str, &str)]| {
        config(flags, env).unwrap().oci.repository.map(|repository| repository.to_string())
    };
    let env = ("STEPSEAL_STORAGE_OCI_REPOSITORY", "env.example/a");
    let from_dir = ("STEPSEAL_CONFIG_DIR", path);
    assert_eq!(repository(Flags::new(), &[]), None);
    assert_eq!(repository(Flags::new(), &[from_dir]).as_deref(), Some("dir.example/a"));
    assert_eq!(repository(Flags::new(), &[from_dir, env]).as_deref(), Some("env.example/a"));
    // cosign's variable belongs to the environment too, and takes precedence over the directory.
    let cosign = ("COSIGN_REPOSITORY", " cosign.example/a\n");
    assert_eq!(repository(Flags::new(), &[cosign]).as_deref(), Some("cosign.example/a"));
    assert_eq!(repository(Flags::new(), &[from_dir, cosign]).as_deref(), Some("cosign.example/a"));
    assert_eq!(repository(Flags::new(), &[from_dir, cosign, env]).as_deref(), Some("env.example/a"));
    let empty = ("STEPSEAL_STORAGE_OCI_REPOSITORY", "");
    assert_eq!(repository(Flags::new(), &[cosign, empty]).as_deref(), Some("cosign.example/a"));
    assert_eq!(
        repository(Flags::new(), &[("COSIGN_REPOSITORY", ""), from_dir]).as_deref(),
        Some("dir.example/a")
    );
    let own = self::flags(&[("config", &["storage.oci.repository="])]);
    assert_eq!(repository(own, &[cosign]), None, "the flag selects the image's own repository");
    let flags = flags(&[("config", &["storage.oci.repository=flag.example/a"]), ("config-dir", &[path])]);
    assert_eq!(repository(flags, &[env, cosign]).as_deref(), Some("flag.example/a"));
}

#[test]
fn an_empty_variable_counts_as_unset_except_for_a_storage() {
    let env = [
        ("STEPSEAL_JOBS", ""),
        ("STEPSEAL_ARTIFACTS_OCI_STORAGE", ""),
        ("STEPSEAL_BUILDER_ID", ""),
        ("STEPSEAL_STORAGE_OCI_REPOSITORY", ""),
    ];
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("storage.oci.repository"), "dir.example/a\n").unwrap();
    let given = flags(&[("config-dir", &[dir.path().to_str().unwrap()])]);
    let config = config(given, &env).unwrap();
    assert_eq!(config.jobs, 16);
    assert_eq!(config.images, []);
    assert_eq!(config.runs.provenance.builder_id, "https://tekton.dev/chains/v2");
    assert_eq!(config.oci.repository.unwrap().to_string(), "dir.example/a");
}

/// Checks every setting of every table, whichever command reads it.
#[test]
fn a_blank_is_not_a_value_of_any_setting() {
    let tables = settings::VERIFY_TABLES.iter().copied().flatten();
    for setting in tables.chain(settings::SETTINGS).chain(settings::AGENT_SETTINGS) {
        for blank in ["", " ", ",", " , ", "\n", ":", "\u{3000}", "\u{200b}"] {
            for values in [&[blank][..], &["a", blank], &[blank, "a"]] {
                let error = sources(flags(&[(setting.flag, values)]), &[]).values(setting).unwrap_err();
                assert!(matches!(error, ConfigError::Blank { .. }), "{error}");
                assert!(error.to_string().starts_with(&format!("--{} ", setting.flag)), "{error}");
            }
            let read = sources(Flags::new(), &[(setting.env, blank)]);
            match (blank, read.values(setting)) {
                ("", read) => assert!(read.unwrap().is_none()),
                (_, read) => {
                    let error = read.unwrap_err();
                    assert!(error.to_string().starts_with(setting.env), "{error}");
                    assert!(error.hint().unwrap().contains(setting.env));
                }
            }
        }
    }
}

#[test]
fn empty_list_elements_are_ignored_and_blank_elements_are_rejected() {
    let values = |text: &str, setting: &Setting| {
        let read = sources(Flags::new(), &[(setting.env, text)]).values(setting);
        read.map(|given| given.unwrap().0).map_err(|error| error.to_string())
    };
    for text in ["a,b", "a,b,", ",a,b", "a,,b", " a , , b \n", "a\nb\n", "a\n\nb\n", "\n a\n b"] {
        assert_eq!(values(text, &settings::ALLOW).unwrap(), ["a", "b"], "{text:?}");
    }
    for text in ["/a:/b", "/a:/b:", ":/a::/b", "/a: :/b\n"] {
        assert_eq!(values(text, &settings::REGISTRY_CA).unwrap(), ["/a", "/b"], "{text:?}");
    }
    for text in ["a,\u{200b}", "a\n,\nb", "a,:,b"] {
        assert!(
            values(text, &settings::ALLOW).unwrap_err().starts_with("STEPSEAL_ALLOW contains only"),
            "{text:?}"
        );
    }
}

#[test]
fn a_variable_in_another_case_has_no_effect() {
    let sources = sources(Flags::new(), &[("STEPSEAL_ALLOW", "a.example/x"), ("STEPSEAL_Allow", "**")]);
    assert_eq!(sources.values(&settings::ALLOW).unwrap().unwrap().0, ["a.example/x"]);
    assert!(sources.warnings[0].starts_with("STEPSEAL_Allow is not a setting"), "{:?}", sources.warnings);
}

#[test]
fn lists_come_from_repeated_flags_or_one_variable() {
    let given =
        config(flags(&[("allow", &["a.example/*", "b.example/**"])]), &[("STEPSEAL_ALLOW", "c")]).unwrap();
    assert_eq!(given.allow, ["a.example/*", "b.example/**"]);
    let env = [
        ("STEPSEAL_INSECURE_REGISTRIES", "a.example, b.example:5000"),
        ("STEPSEAL_REGISTRY_CONFIG", "/a:/b"),
        ("STEPSEAL_ANNOTATIONS", "k=v\nl=x,y\n"),
    ];
    let given = config(Flags::new(), &env).unwrap();
    assert_eq!(given.insecure_registries, ["a.example", "b.example:5000"]);
    assert_eq!(given.registry_config, Some(vec![PathBuf::from("/a"), PathBuf::from("/b")]));
    assert_eq!(given.annotations.get("l").map(String::as_str), Some("x,y"));
}

#[test]
fn every_invalid_value_is_reported_with_its_source_and_the_expected_form() {
    let cases = [
        ("STEPSEAL_JOBS", "0", "STEPSEAL_JOBS: \"0\" is not a number from 1 to 1000"),
        ("STEPSEAL_TIMEOUT", "soon", "STEPSEAL_TIMEOUT: \"soon\" is not a duration"),
        ("STEPSEAL_LENIENT", "yes", "STEPSEAL_LENIENT: \"yes\" is not true or false"),
        ("STEPSEAL_OUTPUT", "xml", "is not human or json"),
        ("STEPSEAL_ANNOTATIONS", "novalue", "is not KEY=VALUE"),
        ("STEPSEAL_ANNOTATIONS", "a=1,a=2", "the annotation is given twice"),
        ("STEPSEAL_INSECURE_REGISTRIES", "http://a.example", "is not HOST or HOST:PORT"),
        ("STEPSEAL_IDENTITIES", "a.example/x@sha256:ab", "is not an image name"),
        ("STEPSEAL_ARTIFACTS_OCI_STORAGE", "gcs", "allowed: \"oci\", \"tekton\", \"directory\", empty"),
        ("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "tar", "allowed: \"dsse\", \"sigstore-bundle\""),
        ("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "tekton,docdb", "\"docdb\" is not supported"),
        ("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "directory", "--signatures-dir is not set"),
        ("STEPSEAL_ARTIFACTS_TASKRUN_FORMAT", "slsa/v3", "allowed: \"in-toto\", \"slsa/v1\""),
        ("STEPSEAL_ARTIFACTS_PIPELINERUN_SIGNER", "kms", "allowed: \"x509\", \"none\""),
        ("STEPSEAL_ARTIFACTS_PIPELINERUN_ENABLE_DEEP_INSPECTION", "yes", "is not true or false"),
        ("STEPSEAL_BUILDDEFINITION_BUILDTYPE", "slsa", "allowed: \"https://tekton.dev/chains/v2/slsa\""),
        ("STEPSEAL_ANNOTATIONS", " =v", "is not KEY=VALUE"),
        ("STEPSEAL_TASKRUN", "name", "is not a run, NAMESPACE/NAME"),
        ("STEPSEAL_TRANSPARENCY_ENABLED", "true", "allowed: \"false\""),
        ("STEPSEAL_STORAGE_OCI_REPOSITORY", "https://a.example/x", "is not a repository"),
        (
            "COSIGN_REPOSITORY",
            "https://a.example/x",
            "COSIGN_REPOSITORY: \"https://a.example/x\" is not a repository",
        ),
        (
            "COSIGN_REPOSITORY",
            "a.example/x:tag",
            "COSIGN_REPOSITORY: \"a.example/x:tag\" is not a repository",
        ),
        ("STEPSEAL_KEY", "k8s://name", "STEPSEAL_KEY"),
    ];
    for (name, value, want) in cases {
        let error = config(Flags::new(), &[(name, value)]).unwrap_err();
        assert!(error.to_string().contains(want), "{name}={value}: {error}");
        assert_eq!(error.exit(), ExitCode::Usage);
        assert!(error.hint().is_some());
    }
}

#[test]
fn several_stores_are_separated_by_commas_and_empty_entries_give_a_warning() {
    let env = [
        ("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "tekton,"),
        ("STEPSEAL_ARTIFACTS_PIPELINERUN_STORAGE", "tekton, oci,tekton"),
        ("STEPSEAL_ARTIFACTS_OCI_SIGNER", "none"),
    ];
    let config = config(Flags::new(), &env).unwrap();
    assert_eq!(config.runs.task_run.stores, [annotations::MEMBER.kind]);
    assert_eq!(config.runs.pipeline_run.stores, [oci::MEMBER.kind, annotations::MEMBER.kind]);
    assert_eq!(config.images, []);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("\"tekton,\" has an empty entry"), "{:?}", config.warnings);
}

#[test]
fn the_order_and_repetition_of_encodings_do_not_matter() {
    let both = vec![Encoding::Dsse, Encoding::SigstoreBundle];
    let cases = [
        ("dsse", both[..1].to_vec(), 0),
        ("sigstore-bundle", both[1..].to_vec(), 0),
        ("dsse,sigstore-bundle", both.clone(), 0),
        ("sigstore-bundle, dsse", both.clone(), 0),
        (" dsse,sigstore-bundle,dsse ", both.clone(), 0),
        ("sigstore-bundle,sigstore-bundle", both[1..].to_vec(), 0),
        (",dsse,,sigstore-bundle", both.clone(), 2),
        ("dsse,", both[..1].to_vec(), 1),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (text, want, warnings) in cases {
        let override_ = format!("storage.oci.encoding-format={text}");
        std::fs::write(folder.path().join("storage.oci.encoding-format"), text).unwrap();
        let mounted = folder.path().to_str().unwrap();
        for (flags, env) in [
            (Flags::new(), vec![("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", text)]),
            (flags(&[("config", &[&override_])]), vec![]),
            (flags(&[("config-dir", &[mounted])]), vec![]),
        ] {
            let config = config(flags, &env).unwrap();
            assert_eq!(config.oci.encodings, want, "{text}");
            assert_eq!(config.warnings.len(), warnings, "{text}: {:?}", config.warnings);
            let named = |warning: &String| warning.contains("has an empty entry, which is ignored");
            assert!(config.warnings.iter().all(named), "{:?}", config.warnings);
        }
    }
    for (text, want) in [
        ("dsse,tar", "\"tar\" is not supported for storage.oci.encoding-format"),
        (
            "dsse sigstore-bundle",
            "allowed: \"dsse\", \"sigstore-bundle\"; separate several values with commas",
        ),
        ("DSSE", "\"DSSE\" is not"),
    ] {
        let override_ = format!("storage.oci.encoding-format={text}");
        let error = config(flags(&[("config", &[&override_])]), &[]).unwrap_err();
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
    let error = config(flags(&[("config", &["storage.oci.encoding-format="])]), &[]).unwrap_err();
    assert!(error.to_string().contains("allowed: \"dsse\""), "{error}");
}

#[test]
fn two_runs_and_the_format_tekton_in_a_registry_are_errors() {
    let error = config(flags(&[("run", &["f"]), ("taskrun", &["a/b"])]), &[]).unwrap_err();
    assert!(error.to_string().contains("the only run"), "{error}");
    let env =
        [("STEPSEAL_ARTIFACTS_TASKRUN_FORMAT", "tekton"), ("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "oci")];
    let error = config(Flags::new(), &env).unwrap_err();
    assert!(error.to_string().contains("not an in-toto statement"), "{error}");
}

#[test]
fn unknown_settings_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("artifacts.oci.storge"), "oci").unwrap();
    std::fs::write(dir.path().join("transparency.url"), "x").unwrap();
    let sources = sources(
        flags(&[("config-dir", &[dir.path().to_str().unwrap()])]),
        &[("STEPSEAL_JOB", "3"), ("STEPSEAL_LOG", "debug")],
    );
    assert_eq!(sources.warnings.len(), 2, "{:?}", sources.warnings);
    assert!(sources.warnings[0].starts_with("STEPSEAL_JOB "));
    assert!(sources.warnings[1].contains("artifacts.oci.storge"));
    let error = config(flags(&[("config", &["builder.id="])]), &[]).unwrap_err();
    assert!(error.to_string().contains("is not a URI of the builder"), "{error}");
    let error = config(flags(&[("config", &["artifacts.oci.storge=oci"])]), &[]).unwrap_err();
    assert!(error.to_string().contains("artifacts.oci.storge"), "{error}");
}

#[test]
fn the_time_is_read_from_source_date_epoch() {
    let sources = sources(Flags::new(), &[]);
    let created = Config::new(&sources, Some("1700000000")).unwrap().created.unwrap();
    assert_eq!(created.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
    assert!(Config::new(&sources, Some("yesterday")).is_err());
    assert!(Config::new(&sources, Some("99999999999999")).is_err());
}

#[test]
fn a_key_given_in_place_of_its_location_is_not_repeated() {
    let pem = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJrZGYi\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----";
    for error in [
        config(flags(&[("key", &[pem])]), &[]).unwrap_err(),
        config(Flags::new(), &[("STEPSEAL_KEY", pem)]).unwrap_err(),
        AgentConfig::new(&sources(flags(&[("key", &[pem])]), &[])).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("holds a key, not the place of one"), "{error}");
        assert!(!error.contains("eyJ") && !error.contains("BEGIN"), "{error}");
    }
}

/// Invalid patterns of the agent give the same reason as those of other commands.
#[test]
fn an_invalid_pattern_of_the_agent_has_its_reason_and_hint() {
    for text in ["docker.io/*", "Team/*", "registry.example", "*:443/**"] {
        let want = text.parse::<crate::oci::Pattern>().unwrap_err();
        let error = AgentConfig::new(&sources(flags(&[("allow", &[text])]), &[])).unwrap_err();
        assert_eq!(error.to_string(), format!("--allow: \"{text}\" is not a repository pattern"));
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some(want.to_string()));
        assert_eq!(error.hint(), want.hint());
    }
}
