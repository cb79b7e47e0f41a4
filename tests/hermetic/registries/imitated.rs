//! A personality as the suite sees it.

use serde_json::{Value, json};
use stepseal::demo::registry::{Auth, Authorization, EmbeddedRegistry, Options, User};

use crate::kit::personality::{Personality, Rules, Setting};
use crate::registries::suite::Site;
use crate::registries::suite::site::{Form, Login, Pushed};

/// The user that may push everywhere, and that user's password.
const USER: &str = "ci-bot";
const PASSWORD: &str = "registry-pa55word-Zz";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An embedded registry with a personality.
pub(crate) struct Imitated {
    personality: Personality,
    pub(crate) registry: EmbeddedRegistry,
    has_login: bool,
}

impl Imitated {
    pub(crate) fn start(personality: Personality, rules: Rules) -> Self {
        let options = (personality.options)();
        let has_login = options.auth != Auth::None;
        let user = User::new(USER, PASSWORD).may_pull("**").may_push("**");
        let registry =
            EmbeddedRegistry::start_blocking(Options { users: vec![user], ..options }).expect("a free port");
        (personality.install)(&registry, rules);
        Self { personality, registry, has_login }
    }

    fn put(&self, repository: &str, tag: &str, media_type: &str, manifest: &Value) -> Pushed {
        let content = self.registry.content();
        let digest = content.put_manifest(repository, Some(tag), media_type, manifest.to_string()).unwrap();
        Pushed { repository: repository.to_owned(), digest: digest.to_string() }
    }
}

impl Site for Imitated {
    fn host(&self) -> String {
        self.registry.host().to_owned()
    }

    fn insecure(&self) -> Vec<String> {
        let mut hosts = vec![self.host(), self.registry.token_host().to_owned()];
        hosts.dedup();
        hosts
    }

    fn login(&self) -> Option<Login> {
        self.has_login.then(|| Login { user: USER.to_owned(), password: PASSWORD.to_owned() })
    }

    fn repository(&self, name: &str) -> String {
        (self.personality.repository)(name)
    }

    fn settings(&self) -> Vec<(String, String)> {
        let value = |setting: &Setting| match setting.variable {
            // The page has an example; here it is a repository that this registry takes.
            "STEPSEAL_STORAGE_OCI_REPOSITORY" => format!("{}/{}", self.host(), self.repository("signatures")),
            _ => setting.value.to_owned(),
        };
        let settings = self.personality.settings.iter();
        settings.map(|setting| (setting.variable.to_owned(), value(setting))).collect()
    }

    fn push_image(&self, repository: &str, tag: &str, text: &str) -> Pushed {
        let content = self.registry.content();
        let layer = content.put_blob(repository, text.to_owned()).unwrap();
        let config = content.put_blob(repository, "{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": text.len(), "digest": layer.as_str(),
            }],
        });
        self.put(repository, tag, MANIFEST, &manifest)
    }

    fn push_index(&self, members: &[Pushed]) -> Pushed {
        let size = |member: &Pushed| {
            let held = self.registry.content().manifest(&member.repository, &member.digest);
            held.expect("it was pushed").1.len()
        };
        let entries: Vec<Value> = members
            .iter()
            .map(|member| json!({ "mediaType": MANIFEST, "size": size(member), "digest": member.digest }))
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.put(&members[0].repository, "latest", INDEX, &index)
    }

    fn passwords_seen(&self) -> Option<usize> {
        let requests = self.registry.requests();
        let with_password =
            requests.iter().filter(|request| matches!(request.authorization, Authorization::Basic { .. }));
        Some(with_password.count())
    }

    fn with_immutable_tags(&self) -> Option<Box<dyn Site>> {
        let rules = Rules { immutable_tags: true };
        self.personality
            .has_immutable_tags
            .then(|| Box::new(Self::start(self.personality, rules)) as Box<dyn Site>)
    }

    fn judge(&self, _: Form, _: &Pushed) -> Option<usize> {
        None
    }

    fn judge_attestations(&self, _: Form, _: &Pushed, _: &str) -> Option<usize> {
        None
    }
}
