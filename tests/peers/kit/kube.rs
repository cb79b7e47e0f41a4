//! A Kubernetes API server with Tekton's kinds: etcd and kube-apiserver on loopback, RBAC on, no node and no controllers.
//!
//! Pods are what a test writes: no kubelet runs them. Several tests share one server, which ends with the last of them; each
//! has a namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepseal::cluster::{Cluster, Reach};
use tempfile::TempDir;

use super::command::{Ran, peer, run};
use super::service::free_address;

/// How long the server may take until it is ready; the machine may be busy with other tests.
const START: Duration = Duration::from_secs(120);

/// The kinds of Tekton's that are needed.
const KINDS: [&str; 4] = ["tasks", "taskruns", "pipelines", "pipelineruns"];

/// A running API server.
pub(crate) struct Kube {
    home: TempDir,
    children: Vec<Child>,
    port: u16,
}

static SHARED: Mutex<Weak<Kube>> = Mutex::new(Weak::new());
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A namespace of the shared server.
pub(crate) struct Namespace {
    pub(crate) kube: Arc<Kube>,
    pub(crate) name: String,
    folders: TempDir,
}

impl Kube {
    /// The server that all tests of this process share.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(kube) = shared.upgrade() {
            return kube;
        }
        let kube = Arc::new(Self::start());
        *shared = Arc::downgrade(&kube);
        kube
    }

    /// A server of one's own, which can be stopped.
    pub(crate) fn start() -> Self {
        let mut kube =
            Self { home: tempfile::tempdir().unwrap(), children: Vec::new(), port: free_address().port() };
        kube.keys();
        let (client, peers) = (free_address().port(), free_address().port());
        let etcd = format!("http://127.0.0.1:{client}");
        let peers = format!("http://127.0.0.1:{peers}");
        let data = kube.path("etcd");
        let mut command = Command::new("etcd");
        command
            .args(["--name", "one", "--log-level", "error", "--unsafe-no-fsync", "--data-dir"])
            .arg(data)
            .args([
                "--listen-client-urls",
                &etcd,
                "--advertise-client-urls",
                &etcd,
                "--listen-peer-urls",
                &peers,
                "--initial-advertise-peer-urls",
                &peers,
                "--initial-cluster",
                &format!("one={peers}"),
            ]);
        kube.spawn("etcd", command);
        kube.serve(&etcd);
        kube.ready();
        kube.tekton();
        kube
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn keys(&self) {
        let openssl = |arguments: &[&str]| run(peer("openssl", self.home.path()).args(arguments)).ok();
        let authority = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca"];
        openssl(&[&authority[..], &["-keyout", "ca.key", "-out", "ca.crt"]].concat());
        openssl(&["genrsa", "-out", "sa.key", "2048"]);
        openssl(&["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
        for (name, subject, names) in [
            ("server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes"),
            ("admin", "/O=system:masters/CN=admin", ""),
        ] {
            let extensions = self.path("extensions");
            fs::write(&extensions, format!("extendedKeyUsage=serverAuth,clientAuth\n{names}\n")).unwrap();
            let (key, csr, crt) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
            openssl(&[
                "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", &key, "-out", &csr,
            ]);
            openssl(&[
                "x509",
                "-req",
                "-in",
                &csr,
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-out",
                &crt,
                "-extfile",
                "extensions",
            ]);
        }
        let path = |name: &str| self.path(name).display().to_string();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "local",
            "clusters": [{"name": "local", "cluster": {"server": format!("https://127.0.0.1:{}", self.port), "certificate-authority": path("ca.crt")}}],
            "users": [{"name": "admin", "user": {"client-certificate": path("admin.crt"), "client-key": path("admin.key")}}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
        });
        fs::write(self.kubeconfig(), config.to_string()).unwrap();
    }

    fn serve(&mut self, etcd: &str) {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}],
        });
        fs::write(self.path("audit.yaml"), policy.to_string()).unwrap();
        let mut command = Command::new("kube-apiserver");
        let path = |name: &str| self.path(name).display().to_string();
        command.args([
            "--etcd-servers",
            etcd,
            "--bind-address",
            "127.0.0.1",
            "--advertise-address",
            "127.0.0.1",
            "--secure-port",
            &self.port.to_string(),
            "--service-cluster-ip-range",
            "10.0.0.0/24",
            "--authorization-mode",
            "RBAC",
            "--client-ca-file",
            &path("ca.crt"),
            "--tls-cert-file",
            &path("server.crt"),
            "--tls-private-key-file",
            &path("server.key"),
            "--service-account-issuer",
            "https://kubernetes.default.svc",
            "--service-account-key-file",
            &path("sa.pub"),
            "--service-account-signing-key-file",
            &path("sa.key"),
            "--cert-dir",
            &path("certs"),
            "--v",
            "0",
        ]);
        command.args(["--audit-policy-file", &path("audit.yaml"), "--audit-log-path", &path("audit.log")]);
        self.spawn("kube-apiserver", command);
    }

    /// The requests that `user` has made, as `VERB ADDRESS`.
    pub(crate) fn asked(&self, user: &str) -> Vec<String> {
        let log = fs::read_to_string(self.path("audit.log")).unwrap();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let matching = events.filter(|event| event["user"]["username"] == user);
        matching.map(|event| format!("{} {}", event["verb"], event["requestURI"]).replace('"', "")).collect()
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        match command.spawn() {
            Ok(child) => self.children.push(child),
            Err(error) => panic!("cannot run {name}: {error}; tests/peers/run installs it"),
        }
    }

    fn ready(&mut self) {
        let begun = Instant::now();
        while run(&mut self.kubectl(&["get", "--raw", "/readyz"])).code != 0 {
            let ended = self.children.iter_mut().any(|child| child.try_wait().unwrap().is_some());
            if ended || begun.elapsed() > START {
                let log = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
                panic!("no API server: {}\n{}", log("etcd.log"), log("kube-apiserver.log"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Tekton's kinds. Nobody answers for its webhooks here, so conversion is off.
    fn tekton(&self) {
        let config =
            std::env::var("PIPELINES").expect("PIPELINES names Tekton's folder: tests/peers/run sets it");
        let folder = Path::new(&config).join("config/300-crds");
        for kind in KINDS {
            let file = folder.join(format!("300-{}.yaml", kind.trim_end_matches('s')));
            run(self.kubectl(&["apply", "--server-side", "-f"]).arg(file)).ok();
            let name = format!("{kind}.tekton.dev");
            let none = r#"{"spec":{"conversion":{"strategy":"None","webhook":null}}}"#;
            run(&mut self.kubectl(&["patch", "crd", &name, "--type=merge", "-p", none])).ok();
        }
        // Until they are served, a list is refused.
        let begun = Instant::now();
        while run(&mut self.kubectl(&["get", &KINDS.join(","), "-A"])).code != 0 {
            assert!(begun.elapsed() < START, "Tekton's kinds are not served");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns the path of the administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Returns a kubectl command with the administrator's rights.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = peer("kubectl", self.home.path());
        command.env("KUBECONFIG", self.kubeconfig()).args(arguments);
        command
    }

    /// The address, as a pod sees it in its environment.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [("KUBERNETES_SERVICE_HOST", "127.0.0.1".into()), ("KUBERNETES_SERVICE_PORT", self.port.to_string())]
    }

    /// Stops the API server and etcd.
    pub(crate) fn stop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // It may have ended by itself, so a failure is ignored.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Namespace {
    /// Creates a namespace on the shared server, with the ServiceAccount `signer`.
    pub(crate) fn new() -> Self {
        Self::on(Kube::shared())
    }

    /// Creates a namespace on `kube`.
    pub(crate) fn on(kube: Arc<Kube>) -> Self {
        let name = format!("ns-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let namespace = Self { kube, name, folders: tempfile::tempdir().unwrap() };
        namespace.kubectl(&["create", "namespace", &namespace.name]).ok();
        namespace.kubectl(&["create", "serviceaccount", "signer"]).ok();
        namespace
    }

    /// Returns the name with its namespace: `NAMESPACE/name`.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// Runs kubectl in this namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Ran {
        run(self.kube.kubectl(arguments).args(["-n", &self.name]))
    }

    /// Makes an object, and its status where it has one.
    pub(crate) fn create(&self, mut object: Value) -> Value {
        object["metadata"]["namespace"] = self.name.clone().into();
        let file = self.folders.path().join("object.json");
        let status = object.as_object_mut().unwrap().remove("status");
        fs::write(&file, object.to_string()).unwrap();
        let path = file.display().to_string();
        let made = self.kubectl(&["create", "-o", "json", "-f", &path]).ok();
        let mut made: Value = serde_json::from_str(&made.stdout).unwrap();
        if let Some(status) = status {
            let (kind, name) = (made["kind"].as_str().unwrap(), made["metadata"]["name"].as_str().unwrap());
            made = self.patch_status(kind, name, &status, "controller");
        }
        made
    }

    /// Writes a status, as `manager`.
    pub(crate) fn patch_status(&self, kind: &str, name: &str, status: &Value, manager: &str) -> Value {
        let patch = json!({ "status": status }).to_string();
        let resource = kind.to_lowercase();
        // Tekton's kinds have a status of their own, as Pods have.
        let arguments =
            ["patch", &resource, name, "--subresource=status", "--type=merge", "-o", "json", "-p", &patch];
        let manager = format!("--field-manager={manager}");
        let ran = self.kubectl(&[&arguments[..], &[&manager, "--show-managed-fields"]].concat()).ok();
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// An object as it is now.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let ran = self.kubectl(&["get", kind, name, "-o", "json", "--show-managed-fields"]).ok();
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Gives `signer` a Role with `rules`, in place of its previous Role.
    pub(crate) fn allow(&self, rules: &Value) {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "signer", "namespace": self.name}, "rules": rules});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "signer", "namespace": self.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "signer"},
            "subjects": [{"kind": "ServiceAccount", "name": "signer", "namespace": self.name}],
        });
        let file = self.folders.path().join("role.json");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]});
        fs::write(&file, list.to_string()).unwrap();
        self.kubectl(&["apply", "-f", &file.display().to_string()]).ok();
    }

    /// What a pod of `signer` has mounted; `pod` binds the token to that Pod.
    pub(crate) fn account(&self, pod: Option<&str>) -> PathBuf {
        let folder = tempfile::tempdir_in(self.folders.path()).unwrap().keep();
        let mut arguments = vec!["create", "token", "signer", "--duration=1h"];
        if let Some(pod) = pod {
            arguments.extend(["--bound-object-kind=Pod", "--bound-object-name", pod]);
        }
        let token = self.kubectl(&arguments).ok().stdout;
        fs::write(folder.join("token"), token.trim()).unwrap();
        fs::copy(self.kube.path("ca.crt"), folder.join("ca.crt")).unwrap();
        fs::write(folder.join("namespace"), &self.name).unwrap();
        folder
    }

    /// The library's client, as a pod of `signer` has it.
    pub(crate) async fn cluster(&self, pod: Option<&str>) -> Cluster {
        self.cluster_of(&self.account(pod), Duration::from_secs(60)).await
    }

    /// The same from a folder, with everything to be done within `limit`.
    pub(crate) async fn cluster_of(&self, folder: &Path, limit: Duration) -> Cluster {
        let variables = self.kube.variables();
        let env = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.clone())
        };
        let kubeconfigs =
            stepseal::config::home::kubeconfigs(&env, stepseal::process::ProgramEnvironment::default());
        let reach = Reach { deadline: Instant::now() + limit, folder: folder.to_owned(), kubeconfigs };
        Cluster::connect(&reach, &env).await.unwrap()
    }

    /// A folder that goes away with the namespace.
    pub(crate) fn folder(&self) -> PathBuf {
        tempfile::tempdir_in(self.folders.path()).unwrap().keep()
    }
}
