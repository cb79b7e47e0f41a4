//! Looking up host names, without the C library.
//!
//! A static binary can't load the name services of glibc, so names are looked up here: `localhost`, the
//! hosts file, then the servers of `resolv.conf` with its search domains and `ndots`, as Kubernetes
//! writes them. There is no public server to fall back to: a pod without name servers gets an error
//! that says so, and its registries' names go to nobody else.
//!
//! Nothing is read before the first name is needed.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use hyper_util::client::legacy::connect::dns as hyper_dns;
use tokio::sync::OnceCell;

use super::SystemFiles;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// The servers know no such name.
    #[error("no such host")]
    Unknown,
    /// The servers gave no answer.
    #[error("the name servers gave no answer")]
    Servers(#[source] NetError),
    /// There are no servers to ask.
    #[error("there are no name servers to ask: {} can't be used", .path.display())]
    NoServers {
        path: PathBuf,
        #[source]
        source: NetError,
    },
}

/// Looks up names as the system's files say.
#[derive(Clone)]
pub(crate) struct Dns(Arc<Inner>);

struct Inner {
    files: SystemFiles,
    hosts: OnceCell<Hosts>,
    servers: OnceCell<TokioResolver>,
}

impl Dns {
    pub(crate) fn new(files: SystemFiles) -> Self {
        Self(Arc::new(Inner { files, hosts: OnceCell::new(), servers: OnceCell::new() }))
    }

    pub(crate) async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let name = Name::from_utf8(host).map_err(|_| DnsError::Unknown)?;
        let listed = self.hosts_file().await.addresses(&name);
        if !listed.is_empty() {
            return Ok(listed);
        }
        let servers = self.0.servers.get_or_try_init(|| async { self.servers() }).await?;
        match servers.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => Err(DnsError::Unknown),
            Err(error) => Err(DnsError::Servers(error)),
        }
    }

    async fn hosts_file(&self) -> &Hosts {
        let read = || async {
            let mut hosts = Hosts::default();
            // An image made from nothing has no hosts file, and needs none.
            if let Ok(file) = std::fs::File::open(&self.0.files.hosts)
                && let Err(error) = hosts.read_hosts_conf(file)
            {
                tracing::debug!(%error, "the hosts file is read only in part");
            }
            hosts
        };
        self.0.hosts.get_or_init(read).await
    }

    fn servers(&self) -> Result<TokioResolver, DnsError> {
        let path = &self.0.files.resolv_conf;
        let refused = |source| DnsError::NoServers { path: path.clone(), source };
        let text = std::fs::read(path).map_err(|error| refused(error.into()))?;
        let (config, options) = system_conf::parse_resolv_conf(text).map_err(refused)?;
        resolver(config, options).map_err(refused)
    }
}

fn resolver(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    // The hosts file is read above, for the name as it is written; with search domains added, as the
    // library looks them up, other lines would answer than the C library takes.
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

trait Listed {
    fn addresses(&self, name: &Name) -> Vec<IpAddr>;
}

impl Listed for Hosts {
    fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        let name = name.to_lowercase();
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| self.lookup_static_host(&Query::query(name.clone(), kind)))
            .flat_map(|found| {
                found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
            })
            .collect()
    }
}

/// `localhost` and what is below it are this machine, whatever any file says.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc6761.html#section-6.3>
pub(crate) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    last.eq_ignore_ascii_case("localhost")
}

impl tower::Service<hyper_dns::Name> for Dns {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = DnsError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DnsError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DnsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: hyper_dns::Name) -> Self::Future {
        let dns = self.clone();
        Box::pin(async move {
            let found = dns.look_up(name.as_str()).await?;
            // The port is the address'.
            let addresses: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn files(dir: &tempfile::TempDir, hosts: &str, resolv_conf: Option<&str>) -> SystemFiles {
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("hosts"), hosts).unwrap();
        if let Some(text) = resolv_conf {
            std::fs::write(at("resolv.conf"), text).unwrap();
        }
        SystemFiles { hosts: at("hosts"), resolv_conf: at("resolv.conf"), ..SystemFiles::default() }
    }

    #[tokio::test]
    async fn localhost_and_the_hosts_file_need_no_servers() {
        let dir = tempfile::tempdir().unwrap();
        let dns = Dns::new(files(&dir, "10.1.2.3 Registry.Example r # x\nfd00::1 registry.example\n", None));
        assert_eq!(dns.look_up("a.LOCALHOST.").await.unwrap().len(), 2);
        let found = dns.look_up("registry.EXAMPLE").await.unwrap();
        assert_eq!(found, ["10.1.2.3".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
        assert_eq!(dns.look_up("r").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn without_servers_nobody_else_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let error = Dns::new(files(&dir, "", None)).look_up("registry.example").await.unwrap_err();
        let path = dir.path().join("resolv.conf");
        assert_eq!(
            error.to_string(),
            format!("there are no name servers to ask: {} can't be used", path.display())
        );
        let none = files(&dir, "", Some("# nothing\nsearch example\n"));
        assert!(matches!(Dns::new(none).look_up("r.example").await, Err(DnsError::NoServers { .. })));
    }

    #[tokio::test]
    async fn what_can_not_exist_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        // `.invalid` is answered by the library itself.
        let dns = Dns::new(files(&dir, "", Some("nameserver 127.0.0.1\n")));
        assert!(matches!(dns.look_up("registry.invalid").await, Err(DnsError::Unknown)));
        assert!(matches!(dns.look_up(&"a".repeat(300)).await, Err(DnsError::Unknown)));
    }

    /// Answers A queries for the one name, and NXDOMAIN for all else; tells the names it was asked.
    fn server(known: &'static str) -> (u16, std::sync::mpsc::Receiver<String>) {
        use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
        use hickory_resolver::proto::rr::{RData, Record};
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (asked, names) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = Message::from_vec(&buffer[..length]).unwrap();
                let query = request.queries[0].clone();
                let name = query.name().to_string();
                let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
                assert_eq!(answer.metadata.message_type, MessageType::Response);
                answer.add_query(query.clone());
                if name.eq_ignore_ascii_case(known) && query.query_type() == RecordType::A {
                    let data = RData::A(Ipv4Addr::new(10, 9, 8, 7).into());
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
                } else if !name.eq_ignore_ascii_case(known) {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
                if asked.send(name).is_err() {
                    return;
                }
            }
        });
        (port, names)
    }

    #[tokio::test]
    async fn search_domains_are_tried_as_kubernetes_writes_them() {
        let (port, names) = server("registry.ci.svc.cluster.local.");
        let text = "nameserver 127.0.0.1\nsearch ns.svc.cluster.local svc.cluster.local\noptions ndots:5\n";
        let (mut config, options) = system_conf::parse_resolv_conf(text).unwrap();
        for connection in config.name_servers.iter_mut().flat_map(|server| &mut server.connections) {
            connection.port = port;
        }
        let dir = tempfile::tempdir().unwrap();
        let dns = Dns::new(files(&dir, "", None));
        dns.0.servers.set(resolver(config, options).unwrap()).ok().unwrap();
        assert_eq!(dns.look_up("registry.ci").await.unwrap(), [IpAddr::from([10, 9, 8, 7])]);
        assert!(matches!(dns.look_up("other.example").await, Err(DnsError::Unknown)));
        let asked: Vec<String> = names.try_iter().collect();
        assert_eq!(asked[0], "registry.ci.ns.svc.cluster.local.");
        assert!(asked.iter().any(|name| name == "other.example."));
    }
}
