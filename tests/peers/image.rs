//! The file and the image that users get: one static file, small, that runs from an empty root as any user
//! on a read-only file system.
//!
//! Containers share the host's network here, so that they reach a registry on loopback. Base images can't be
//! pulled everywhere, so the Containerfile's first stage is replaced by a folder that holds the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::images::Kind;
use crate::kit::scene::{Place, run_quietly, static_binary};
use crate::kit::{Registry, Scene, peer, run};

/// What both the file and the image may measure.
const LIMIT_BYTES: u64 = 11 * 1024 * 1024;
/// An ordinary user, and one as OpenShift gives them.
const USERS: [u32; 2] = [12_345, 1_000_650_000];

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn one_static_file_of_at_most_eleven_mebibytes() {
    let scene = Scene::new();
    let binary = static_binary();
    let size = fs::metadata(&binary).unwrap().len();
    assert!(size <= LIMIT_BYTES, "{} is {size} bytes", binary.display());
    // musl's and glibc's ldd say it in different words, and both refuse to list anything.
    let ldd = run(peer("ldd", scene.home()).arg(&binary));
    let said = format!("{}{}", ldd.stdout, ldd.stderr);
    assert!(said.contains("statically linked") || said.to_lowercase().contains("not a dynamic"), "{ldd}");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_static_file_names_no_folder_of_the_machine_that_built_it() {
    let binary = static_binary();
    let bytes = fs::read(&binary).unwrap();
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let or_at_home = |name: &str, folder: &str| {
        std::env::var_os(name).map_or_else(|| home.join(folder), PathBuf::from).display().to_string()
    };
    // FOLDER/TRIPLE/release/stepseal
    let target = binary.ancestors().nth(3).unwrap().display().to_string();
    let cargo_home = or_at_home("CARGO_HOME", ".cargo");
    for folder in
        [cargo_home, or_at_home("RUSTUP_HOME", ".rustup"), env!("CARGO_MANIFEST_DIR").to_owned(), target]
    {
        let name = format!("{folder}/");
        assert!(
            name.len() < 3 || !bytes.windows(name.len()).any(|window| window == name.as_bytes()),
            "{name}"
        );
    }
    // The replacement for these paths: sources of crates have a name in log lines and panics.
    assert!(bytes.windows(8).any(|window| window == b"/crates/"));
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn it_signs_in_an_empty_root_as_any_user() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    for user in USERS {
        let root = empty_root(&scene);
        for (mounted, name) in
            [(scene.keys(), "etc/signing-secrets"), (scene.credentials(), "etc/registry-credentials")]
        {
            run(peer("cp", scene.home()).arg("-r").arg(mounted).arg(root.join(name))).ok();
        }
        // No folder that this user may write to.
        run(peer("chmod", scene.home()).args(["-R", "a=rX"]).arg(&root)).ok();
        let image = scene.crane_pushes(Kind::Oci, &hosts[0], &format!("app-{user}"), "one");
        let mut chroot = peer("chroot", scene.home());
        chroot.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        chroot.arg(format!("--userspec={user}:0")).arg(&root).arg("/stepseal");
        run_quietly(chroot.args(["sign", "--insecure-registry", &hosts[0], &image.reference()])).ok();
        assert_eq!(scene.verified(Place::Tag, &image.reference()).len(), 1);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_image_is_small_and_signs_below_podman() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let store = Store::new(&scene);
    store.build();

    let inspected = run(store.command("podman").args(["image", "inspect", "stepseal"])).ok();
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    let (image, config) = (&inspected[0], &inspected[0]["Config"]);
    assert!(image["Size"].as_u64().unwrap() <= LIMIT_BYTES, "{image}");
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/stepseal"]));
    assert_eq!(config["Cmd"], json!(["sign"]));
    for label in ["title", "description", "source", "version", "revision", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        assert!(config["Labels"][&label].is_string(), "{config}");
    }

    run(store.podman_run(&[]).args(["stepseal", "--version"])).ok().says("stepseal 0.");
    for user in [65_532].into_iter().chain(USERS) {
        let image = scene.crane_pushes(Kind::Docker, &hosts[0], &format!("app-{user}"), "one");
        let key = format!("{}:/etc/signing-secrets:ro", scene.keys().display());
        let credentials = format!("{}:/etc/registry-credentials:ro", scene.credentials().display());
        let user = user.to_string();
        let mut command = store.podman_run(&["--user", &user, "-v", &key, "-v", &credentials]);
        command.args(["stepseal", "sign", "--insecure-registry", &hosts[0], &image.reference()]);
        run_quietly(&mut command).ok();
        assert_eq!(scene.verified(Place::Tag, &image.reference()).len(), 1);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn runc_alone_runs_it() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let reference = image.reference();
    for arguments in [
        vec!["/stepseal", "--version"],
        vec!["/stepseal", "sign", "--insecure-registry", &hosts[0], &reference],
    ] {
        run_quietly(&mut runc(&scene, &arguments)).ok();
    }
    assert_eq!(scene.verified(Place::Tag, &reference).len(), 1);
}

/// A root folder with the binary and an empty `/etc`.
fn empty_root(scene: &Scene) -> PathBuf {
    let root = tempfile::tempdir_in(scene.home()).unwrap().keep();
    fs::copy(static_binary(), root.join("stepseal")).unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    // The way to it, for a user who is not the owner.
    run(peer("chmod", scene.home()).arg("a+x").arg(scene.home())).ok();
    root
}

/// runc on a bundle of its own: a read-only root, no capability, a user without a name.
fn runc(scene: &Scene, arguments: &[&str]) -> Command {
    let bundle = tempfile::tempdir_in(scene.home()).unwrap().keep();
    let root = empty_root(scene);
    for name in ["etc/signing-secrets", "etc/registry-credentials", "proc", "sys", "dev"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    run(peer("runc", scene.home()).arg("spec").current_dir(&bundle)).ok();
    let path = bundle.join("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let process = &mut spec["process"];
    process["args"] = json!(arguments);
    process["terminal"] = json!(false);
    process["user"] = json!({ "uid": 1_000_650_000, "gid": 0 });
    process["capabilities"] = json!({});
    process["noNewPrivileges"] = json!(true);
    process["rlimits"] = json!([]);
    spec["root"] = json!({ "path": root, "readonly": true });
    spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "network");
    let mounts = spec["mounts"].as_array_mut().unwrap();
    for (source, destination) in
        [(scene.keys(), "/etc/signing-secrets"), (scene.credentials(), "/etc/registry-credentials")]
    {
        let options = ["rbind", "ro"];
        mounts.push(
            json!({ "type": "bind", "source": source, "destination": destination, "options": options }),
        );
    }
    fs::write(&path, spec.to_string()).unwrap();
    let name = bundle.file_name().unwrap().to_string_lossy().replace('.', "stepseal-");
    let mut command = peer("runc", scene.home());
    command.arg("run").arg("--bundle").arg(bundle).arg(name);
    command
}

/// An image store of its own, which goes away with the scene.
struct Store {
    home: PathBuf,
}

impl Store {
    fn new(scene: &Scene) -> Self {
        Self { home: scene.home().to_owned() }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = peer(program, &self.home);
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.home.join("store"));
        command.arg("--runroot").arg(self.home.join("store-run"));
        command
    }

    fn build(&self) {
        let context = self.home.join("build");
        fs::create_dir(&context).unwrap();
        fs::copy(static_binary(), context.join("stepseal")).unwrap();
        let mut command = self.command("buildah");
        command.args(["build", "--isolation", "chroot", "--build-context"]);
        command.arg(format!("build={}", context.display()));
        command.args(["--build-arg", "REVISION=test", "-t", "stepseal"]);
        run(command.arg(Path::new(env!("CARGO_MANIFEST_DIR")))).ok();
    }

    /// `podman run` up to the image, with the host's network and a read-only root.
    fn podman_run(&self, more: &[&str]) -> Command {
        let mut command = self.command("podman");
        command.args(["--runtime", "runc", "run", "--rm", "--network", "host", "--read-only"]);
        command.args(["--cap-drop", "all", "--security-opt", "no-new-privileges"]);
        // podman asks for more than an unprivileged host allows.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]).args(more);
        command
    }
}
