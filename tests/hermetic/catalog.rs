//! What lies in `tasks/`, `stepactions/` and `pipelines/`: does it parse, does it name only flags and settings that exist, and is the key
//! mounted into no step but the one that signs?

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use stepseal::config::settings::{AGENT_SETTINGS, CHAINS_KEYS, SETTINGS, VERIFY_TABLES};
use stepseal::config::sources::variable;
use yaml_rust2::{Yaml, YamlLoader};

use step::{Ended, Step, bare, ended, pair};

use crate::kit::step;

/// The kinds that the catalog ships.
const SHIPPED: [&str; 3] = ["Task", "StepAction", "Pipeline"];

/// The volumes with a Secret in them.
const OF_KEY: &str = "signing-secrets";
const OF_AGENT: &str = "agent-credentials";
/// Of the Secret with the key the public key, for the step that asks the agent.
const OF_AGENTS_KEY: &str = "agent-public-key";
const OF_STEP: &str = "registry-credentials";

/// Every file of the catalog that ends with `.yaml`, with the documents in it.
fn files() -> Vec<(PathBuf, Vec<Yaml>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> =
        ["tasks", "stepactions", "pipelines"].iter().map(|name| root.join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let documents = YamlLoader::load_from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                found.push((path, documents));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The Tasks among them, the catalog's and the samples'.
fn tasks() -> Vec<(PathBuf, Yaml)> {
    of_kinds(&["Task"])
}

/// Our steps: those of the Tasks, unless they refer to a StepAction, and the StepActions.
fn our_steps() -> Vec<(PathBuf, Yaml)> {
    let of_tasks = tasks().into_iter().flat_map(|(path, task)| {
        let ours = job(&path);
        let steps: Vec<&Yaml> =
            list(&task["spec"]["steps"]).iter().filter(|step| text(&step["name"]) == ours).collect();
        let [step] = steps[..] else { panic!("{} has not one step {ours}", path.display()) };
        step["ref"].is_badvalue().then(|| (path, step.clone()))
    });
    let actions = of_kinds(&["StepAction"]).into_iter().map(|(path, action)| (path, action["spec"].clone()));
    of_tasks.chain(actions).collect()
}

/// The command that a folder of the catalog runs.
fn job(path: &Path) -> &'static str {
    if path.components().any(|part| part.as_os_str() == "verify-images") { "verify" } else { "sign" }
}

fn of_kinds(kinds: &[&str]) -> Vec<(PathBuf, Yaml)> {
    let documents = files()
        .into_iter()
        .flat_map(|(path, documents)| documents.into_iter().map(move |document| (path.clone(), document)));
    documents.filter(|(_, document)| kinds.contains(&text(&document["kind"]))).collect()
}

fn list(yaml: &Yaml) -> &[Yaml] {
    yaml.as_vec().map_or(&[], Vec::as_slice)
}

fn text(yaml: &Yaml) -> &str {
    yaml.as_str().unwrap_or_default()
}

fn is_sample(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "samples")
}

#[test]
fn a_task_is_what_the_catalog_asks_for() {
    for (path, task) in of_kinds(&SHIPPED).iter().filter(|(path, _)| !is_sample(path)) {
        let folder = path.parent().unwrap();
        let version = folder.file_name().unwrap().to_str().unwrap();
        let name = folder.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let metadata = &task["metadata"];
        assert_eq!(text(&metadata["name"]), name);
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("{name}.yaml"));
        assert_eq!(text(&metadata["labels"]["app.kubernetes.io/version"]), version);
        for annotation in ["pipelines.minVersion", "categories", "tags", "displayName", "platforms"] {
            let value = text(&metadata["annotations"][format!("tekton.dev/{annotation}").as_str()]);
            assert!(!value.is_empty(), "{annotation}");
        }
        for annotation in ["category", "license", "links"] {
            let value = text(&metadata["annotations"][format!("artifacthub.io/{annotation}").as_str()]);
            assert!(!value.is_empty(), "{annotation}");
        }
        assert!(!text(&task["spec"]["description"]).is_empty());
        assert!(fs::read_dir(folder.join("samples")).unwrap().next().is_some());

        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        for kind in ["params", "workspaces", "results"] {
            for one in list(&task["spec"][kind]) {
                let name = text(&one["name"]);
                assert!(readme.contains(&format!("`{name}`")), "README.md says nothing of {name}");
                assert!(!text(&one["description"]).is_empty(), "{name}");
            }
        }
    }
}

#[test]
fn each_parameter_is_used_and_each_use_is_declared() {
    for (path, task) in of_kinds(&SHIPPED) {
        let declared: BTreeSet<&str> =
            list(&task["spec"]["params"]).iter().map(|param| text(&param["name"])).collect();
        let source = fs::read_to_string(&path).unwrap();
        let used: BTreeSet<&str> =
            source.split("$(params.").skip(1).filter_map(|rest| rest.split([')', '[']).next()).collect();
        assert_eq!(declared, used, "{}", path.display());
    }
}

/// The key is mounted into the agent, or else into the signing step; the step's login into that step; no other container has any.
#[test]
fn the_secrets_are_mounted_where_they_are_used_alone() {
    for (path, task) in tasks() {
        let spec = &task["spec"];
        assert!(spec["stepTemplate"].is_badvalue(), "{}: a template mounts into every step", path.display());
        let secrets: BTreeSet<&str> = list(&spec["volumes"])
            .iter()
            .filter(|volume| !volume["secret"].is_badvalue())
            .map(|volume| text(&volume["name"]))
            .collect();
        assert_eq!(secrets.contains(OF_KEY), job(&path) == "sign", "{}", path.display());
        let with_agent = agent(&task).is_some();
        for container in list(&spec["steps"]).iter().chain(list(&spec["sidecars"])) {
            let mounted: BTreeSet<&str> = list(&container["volumeMounts"])
                .iter()
                .map(|mount| text(&mount["name"]))
                .filter(|name| secrets.contains(name))
                .collect();
            let expected: BTreeSet<&str> = match (text(&container["name"]), with_agent) {
                _ if !container["ref"].is_badvalue() => BTreeSet::new(),
                ("agent", true) => [OF_KEY, OF_AGENT].into(),
                ("sign", true) => {
                    secrets.iter().copied().filter(|name| [OF_STEP, OF_AGENTS_KEY].contains(name)).collect()
                }
                (name, false) if name == job(&path) => secrets.clone(),
                _ => BTreeSet::new(),
            };
            assert_eq!(mounted, expected, "{} in {}", text(&container["name"]), path.display());
        }
    }
}

/// The agent of a Task.
fn agent(task: &Yaml) -> Option<&Yaml> {
    list(&task["spec"]["sidecars"]).iter().find(|sidecar| text(&sidecar["name"]) == "agent")
}

#[test]
fn an_agent_has_no_rights_and_its_socket_is_its_own() {
    let mut agents = 0;
    for (path, task) in tasks() {
        let Some(agent) = agent(&task) else { continue };
        agents += 1;
        // With a command, what Tekton puts in its place at the end could not run.
        assert!(agent["command"].is_badvalue(), "{}", path.display());
        assert_eq!(list(&agent["args"]), [Yaml::String("agent".into())]);
        assert_eq!(text(&agent["computeResources"]["limits"]["memory"]), "128Mi");
        locked_down(&agent["securityContext"]);
        let volumes = list(&task["spec"]["volumes"]);
        let public = volumes.iter().find(|volume| text(&volume["name"]) == OF_AGENTS_KEY).unwrap();
        let private = volumes.iter().find(|volume| text(&volume["name"]) == OF_KEY).unwrap();
        assert_eq!(public["secret"]["secretName"], private["secret"]["secretName"], "{}", path.display());
        let entries: Vec<&str> =
            list(&public["secret"]["items"]).iter().map(|item| text(&item["key"])).collect();
        assert_eq!(entries, ["cosign.pub"], "{}", path.display());
        for step in list(&task["spec"]["steps"]) {
            for mount in list(&step["volumeMounts"]) {
                // Who can write there can begin the count of signatures anew.
                assert_ne!(text(&mount["name"]), "agent-state", "{}", path.display());
                // A step that could write there could put a socket of its own in the agent's place.
                assert_eq!(mount["readOnly"].as_bool(), Some(true), "{}", path.display());
            }
        }
    }
    assert!(agents >= 2);
}

fn locked_down(context: &Yaml) {
    let wrong = wrong_of(context);
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The fields of a security context that aren't as they should be.
fn wrong_of(context: &Yaml) -> Vec<&'static str> {
    let fields = [
        ("allowPrivilegeEscalation", context["allowPrivilegeEscalation"].as_bool() == Some(false)),
        ("readOnlyRootFilesystem", context["readOnlyRootFilesystem"].as_bool() == Some(true)),
        ("runAsNonRoot", context["runAsNonRoot"].as_bool() == Some(true)),
        // A number here would be refused where the namespace has its own, as on OpenShift.
        ("runAsUser", context["runAsUser"].is_badvalue()),
        ("capabilities", list(&context["capabilities"]["drop"]) == [Yaml::String("ALL".into())]),
        ("seccompProfile", text(&context["seccompProfile"]["type"]) == "RuntimeDefault"),
    ];
    fields.into_iter().filter(|(_, holds)| !holds).map(|(field, _)| field).collect()
}

/// The YAML of a page: its fenced blocks, and the indented ones that are YAML.
fn blocks(page: &str) -> Vec<Yaml> {
    let (mut blocks, mut block, mut fenced) = (Vec::new(), String::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            blocks.push(std::mem::take(&mut block));
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") || line.is_empty() {
            block += &format!("{line}\n");
        } else {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks.push(block);
    let parsed = blocks.iter().map(|block| match YamlLoader::load_from_str(block) {
        Ok(documents) => documents,
        // Commands and the like.
        Err(error) => {
            assert!(!block.contains("image:"), "{error}: {block}");
            Vec::new()
        }
    });
    parsed.flatten().collect()
}

/// The containers of our image, wherever they stand in a document.
fn of_our_image<'a>(yaml: &'a Yaml, found: &mut Vec<&'a Yaml>) {
    match yaml {
        Yaml::Array(items) => items.iter().for_each(|item| of_our_image(item, found)),
        Yaml::Hash(fields) => {
            if text(&yaml["image"]).to_lowercase().contains("stepseal") {
                found.push(yaml);
            }
            fields.values().for_each(|value| of_our_image(value, found));
        }
        _ => {}
    }
}

/// The Markdown pages below a folder of the project.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] });
    pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// In what is shipped and in what the pages tell to paste.
#[test]
fn every_container_of_our_image_has_no_rights() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["docs", "tasks", "stepactions", "pipelines"].map(|folder| pages(&root.join(folder)));
    let pages = folders.into_iter().flatten().chain([root.join("README.md")]);
    let pages = pages.map(|page| (page.clone(), blocks(&fs::read_to_string(page).unwrap())));
    let mut containers = 0;
    for (path, documents) in files().into_iter().chain(pages) {
        let mut found = Vec::new();
        documents.iter().for_each(|document| of_our_image(document, &mut found));
        for container in &found {
            containers += 1;
            let wrong = wrong_of(&container["securityContext"]);
            assert!(wrong.is_empty(), "{}: {container:?}: {wrong:?}", path.display());
        }
    }
    assert!(containers >= 14, "{containers}");
}

#[test]
fn the_signing_step_has_no_rights_and_names_its_command() {
    for (path, step) in our_steps() {
        assert_eq!(list(&step["command"]), [Yaml::String("/stepseal".into())]);
        for mount in list(&step["volumeMounts"]) {
            assert_eq!(mount["readOnly"].as_bool(), Some(true));
        }
        // A StepAction can't have limits; the step that refers to it does.
        if !path.components().any(|part| part.as_os_str() == "stepactions") {
            assert_eq!(text(&step["computeResources"]["limits"]["memory"]), "128Mi");
        }
        locked_down(&step["securityContext"]);
    }
}

#[test]
fn every_flag_and_setting_exists() {
    let tables = VERIFY_TABLES.iter().copied().flatten().chain(SETTINGS).chain(AGENT_SETTINGS);
    let settings = tables.map(|setting| setting.env.to_owned());
    let names: BTreeSet<String> = settings.chain(CHAINS_KEYS.iter().map(|key| variable(key.key))).collect();
    let agents = tasks().into_iter().filter_map(|(path, task)| Some((path, "agent", agent(&task)?.clone())));
    let ours = our_steps().into_iter().map(|(path, step)| (path.clone(), job(&path), step));
    for (path, job, step) in ours.chain(agents) {
        let arguments = list(&step["args"]);
        assert_eq!(text(&arguments[0]), job);
        let program = env!("CARGO_BIN_EXE_stepseal");
        let help = Command::new(program).args([job, "--help"]).output().unwrap();
        assert!(help.status.success());
        let help = String::from_utf8(help.stdout).unwrap();
        for flag in arguments.iter().map(text).filter(|argument| argument.starts_with("--")) {
            let flag = flag.split('=').next().unwrap_or(flag);
            assert!(help.contains(flag), "{} names {flag}", path.display());
        }
        for setting in list(&step["env"]).iter().map(|setting| text(&setting["name"])) {
            assert!(names.contains(setting), "{} names {setting}", path.display());
        }
    }
}

/// A container that a Task or a StepAction of the catalog runs, with the parameters that its manifest declares.
struct Container {
    path: PathBuf,
    /// The step's command: `sign`, `verify` or `agent`.
    job: String,
    /// Each parameter of the type string, with its default.
    params: Vec<(String, String)>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

fn containers() -> Vec<Container> {
    let mut all = Vec::new();
    for (path, manifest) in of_kinds(&["Task", "StepAction"]).into_iter().filter(|(path, _)| !is_sample(path))
    {
        let spec = &manifest["spec"];
        let declared = list(&spec["params"]).iter().filter(|param| text(&param["type"]) == "string");
        let params: Vec<(String, String)> = declared
            .map(|param| (text(&param["name"]).to_owned(), text(&param["default"]).to_owned()))
            .collect();
        let own = [spec].into_iter().filter(|spec| spec["steps"].is_badvalue());
        for container in list(&spec["steps"]).iter().chain(list(&spec["sidecars"])).chain(own) {
            let args: Vec<String> = list(&container["args"]).iter().map(|arg| text(arg).to_owned()).collect();
            let env = list(&container["env"]).iter();
            all.push(Container {
                path: path.clone(),
                job: args[0].clone(),
                params: params.clone(),
                args,
                env: env.map(|one| (text(&one["name"]).to_owned(), text(&one["value"]).to_owned())).collect(),
            });
        }
    }
    assert_eq!(all.iter().filter(|one| one.job == "agent").count(), 1);
    assert!(all.len() >= 6, "{}", all.len());
    all
}

impl Container {
    /// The parameters that become a variable.
    fn given_as_variables(&self) -> Vec<(&str, &str)> {
        let param = |value: &'_ str| {
            let name = value.strip_prefix("$(params.")?.strip_suffix(')')?;
            self.params.iter().find(|(declared, _)| declared == name).map(|(declared, _)| declared.as_str())
        };
        self.env.iter().filter_map(|(name, value)| Some((param(value)?, name.as_str()))).collect()
    }

    /// As Tekton would run it in `step`, with these parameters and the others at their defaults; `images` are its images.
    fn command(&self, step: &Step, given: &[(&str, &str)], images: &[String]) -> Command {
        let value = |text: &str| {
            let mut text = text.to_owned();
            for (name, default) in &self.params {
                let value = given
                    .iter()
                    .find(|(given, _)| given == name)
                    .map_or(default.as_str(), |(_, value)| value);
                text = text.replace(&format!("$(params.{name})"), value);
            }
            let (socket, key) = (step.path("run/agent.sock"), step.path("cosign.pub"));
            let state = step.path("state");
            text.replace("/run/stepseal/agent.sock", socket.to_str().unwrap())
                .replace("/etc/signing-secrets/cosign.pub", key.to_str().unwrap())
                .replace("/var/lib/stepseal", state.to_str().unwrap())
        };
        let mut command = bare(&[]);
        for arg in &self.args {
            match arg.as_str() {
                "$(params.IMAGES[*])" => command.args(images),
                arg => command.arg(value(arg)),
            };
        }
        command
            .env("STEPSEAL_RESULTS_DIR", step.path("results"))
            .env("STEPSEAL_STEPS_DIR", step.path("steps"))
            .env("STEPSEAL_REGISTRY_CONFIG", step.path("credentials"));
        match self.job.as_str() {
            "agent" => command
                .env("STEPSEAL_KEY", step.path("keys"))
                .env("STEPSEAL_AGENT_SOCKET", format!("unix://{}", step.path("run/agent.sock").display())),
            "sign" if !self.args.iter().any(|arg| arg == "--agent") => {
                command.env("STEPSEAL_KEY", step.path("keys"))
            }
            _ => &mut command,
        };
        for (name, text) in &self.env {
            let mounted = text == "/etc/registry-ca";
            command
                .env(name, if mounted { step.path("ca").to_str().unwrap().to_owned() } else { value(text) });
        }
        command
    }

    fn run(&self, step: &Step, given: &[(&str, &str)], images: &[String]) -> Ended {
        ended(self.command(step, given, images).output().unwrap())
    }
}

/// The folders of a step with an image that its results name, a policy and the public key; the image's name.
fn site() -> (Step, String) {
    let step = Step::new();
    fs::create_dir(step.path("ca")).unwrap();
    fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
    let policy = r#"{"version": 1, "signers": {"ci": {"key": "cosign.pub"}},
        "rules": [{"name": "signed", "images": ["**"], "signature": {"by": ["ci"]}}]}"#;
    fs::write(step.path("policy.yaml"), policy).unwrap();
    let digest = step.built("team/app");
    let image = format!("{}/team/app@{digest}", step.host());
    (step, image)
}

/// With its parameters at their defaults a Task takes no other key of an agent than its Secret's, and none without one.
#[test]
fn a_step_beside_an_agent_pins_the_agents_key() {
    let container = |job: &str| {
        let all = containers().into_iter();
        let mut found = all
            .filter(|one| one.job == job && (job == "agent" || one.args.iter().any(|arg| arg == "--agent")));
        found.next().unwrap()
    };
    for (public, code, words) in [
        (Some(pair().public_pem.as_str()), 0, &[][..]),
        (Some(include_str!("../data/keys/p256.pub")), 1, &["must have", "cosign.pub"]),
        (None, 2, &["STEPSEAL_AGENT_KEY", "there is no public key", "mount cosign.pub"]),
    ] {
        let (step, image) = site();
        match public {
            Some(text) => fs::write(step.path("cosign.pub"), text).unwrap(),
            None => fs::remove_file(step.path("cosign.pub")).unwrap(),
        }
        let given = [("INSECURE_REGISTRIES", step.host())];
        let given = given.each_ref().map(|(name, value)| (*name, value.as_str()));
        let _agent = listening(container("agent").command(&step, &given, &[]));
        let ended = container("sign").run(&step, &given, std::slice::from_ref(&image));
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
        assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    }
}

/// An agent that listens; it ends with the test.
struct Listening(Child);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listening(mut command: Command) -> Listening {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut agent = Listening(child);
    let mut line = String::new();
    BufReader::new(agent.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"listening\""), "{line}");
    agent
}

/// Whatever parameter of a Task is left empty, it is as if its variable were not set.
#[test]
fn every_parameter_that_becomes_a_variable_may_be_empty() {
    for container in containers() {
        let (step, image) = site();
        let host = step.host();
        let mut given: Vec<(&str, &str)> =
            container.given_as_variables().into_iter().map(|(param, _)| (param, "")).collect();
        assert!(given.len() >= 3, "{}", container.path.display());
        given.retain(|(param, _)| *param != "INSECURE_REGISTRIES");
        given.push(("INSECURE_REGISTRIES", &host));
        match container.job.as_str() {
            "agent" => drop(listening(container.command(&step, &given, &[]))),
            "sign" => {
                let agent =
                    containers().into_iter().find(|one| one.job == "agent" && one.path == container.path);
                let _agent = agent.map(|agent| listening(agent.command(&step, &given, &[])));
                let ended = container.run(&step, &given, std::slice::from_ref(&image));
                assert_eq!(ended.code, 0, "{}: {}", container.path.display(), ended.stderr);
                assert_eq!(
                    step.layers("team/app", &image.split_once('@').unwrap().1.parse().unwrap()).len(),
                    1
                );
            }
            "verify" => {
                step.sign(&[&image]);
                let (policy, key) = (step.path("policy.yaml"), step.path("cosign.pub"));
                let by_policy = [&given[..], &[("POLICY", policy.to_str().unwrap())]];
                let by_key = [&given[..], &[("PUBLIC_KEY", key.to_str().unwrap()), ("IGNORE_TLOG", "true")]];
                for given in [by_policy.concat(), by_key.concat()] {
                    // What is named last counts.
                    let given: Vec<_> = given.into_iter().rev().collect();
                    let ended = container.run(&step, &given, std::slice::from_ref(&image));
                    assert_eq!(ended.code, 0, "{}: {}", container.path.display(), ended.stderr);
                }
            }
            other => panic!("{other}"),
        }
    }
}

/// The same parameters, blank or with separators alone, as two that are empty and joined leave them.
#[test]
fn a_blank_parameter_is_an_error_that_names_its_variable() {
    let (step, image) = site();
    for container in containers() {
        for (at, (param, name)) in container.given_as_variables().into_iter().enumerate() {
            let blank = [" ", ",", "\n", " , "][at % 4];
            let ended = container.run(&step, &[(param, blank)], std::slice::from_ref(&image));
            assert_eq!(ended.code, 2, "{param} of {}: {}", container.path.display(), ended.stderr);
            assert!(ended.stderr.starts_with(&format!("error: {name} contains only")), "{}", ended.stderr);
        }
    }
}
