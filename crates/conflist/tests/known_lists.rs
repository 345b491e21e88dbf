//! The lists of known runtimes, each run as its runtime runs it: `testdata/conflist/<runtime>` has
//! the list, what the runtime passes for a pod, and the node's lease.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper functions fail by panicking"
)]

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cni_plugin::{DelegateError, Environment};
use cni_types::{Attachment, ValidAttachment, ValidAttachments, Version};
use conflist::{Cache, NetworkList, PluginRequest, Plugins, Runtime, RuntimeConf, files};
use serde::Deserialize;
use serde_json::Value;
use testkit::exchange::{Protocol, Server, ask};
use testkit::requirements::{REFERENCE_DIR, require_reference, require_root};
use testkit::traffic::assert_reaches;
use testkit::{Container, NetNs, Node, binaries};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/conflist");

/// The addresses of the node and of a machine outside.
const NODE: &str = "192.0.2.1";
const OUTSIDE: &str = "192.0.2.2";

/// The timeouts for an answer that must come, and for one that must not.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(300);

/// What a runtime passes for the pod `web`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fixture {
    /// Versions that the list is run in besides its own.
    versions: Vec<String>,
    container: String,
    ifname: String,
    args: String,
    capabilities: Value,
    host_port: u16,
    container_port: u16,
    bridge: String,
}

impl Fixture {
    /// Reads the fixture, and its list in each of the versions.
    fn read(runtime: &str) -> (Self, PathBuf, Vec<NetworkList>) {
        let directory = Path::new(FIXTURES).join(runtime);
        let text = fs::read_to_string(directory.join("runtime.json")).unwrap();
        let fixture: Self = serde_json::from_str(&text).unwrap();
        let mut listed = files::all(&directory).unwrap().into_iter();
        let listed = listed.find(|it| it.path.extension().unwrap() == "conflist");
        let list = listed.unwrap().list.unwrap();
        let mut lists = Vec::new();
        for version in &fixture.versions {
            let mut json: Value = serde_json::from_str(list.as_json()).unwrap();
            json.as_object_mut().unwrap().remove("cniVersions");
            json["cniVersion"] = version.as_str().into();
            lists.push(NetworkList::parse(&json.to_string()).unwrap());
        }
        lists.push(list);
        (fixture, directory, lists)
    }

    /// What the runtime passes for a pod: ports and limits for `web` only.
    fn runtime(&self, pod: &Container) -> RuntimeConf {
        let capabilities = match pod.id == self.container {
            true => self.capabilities.to_string(),
            false => String::new(),
        };
        RuntimeConf {
            attachment: Attachment {
                container_id: pod.id.parse().unwrap(),
                ifname: self.ifname.parse().unwrap(),
            },
            netns: Some(pod.sandbox.path()),
            args: RuntimeConf::parse_args(&self.args).unwrap(),
            capability_args: RuntimeConf::parse_capabilities(&capabilities).unwrap(),
        }
    }
}

/// A node with the plugins under test and, behind them in `CNI_PATH`, Debian's.
struct Lan {
    node: Node,
    outside: NetNs,
    plugins: Plugins,
    cache: Cache,
}

impl Lan {
    fn new(lease: Option<String>) -> Self {
        let (node, outside) = (Node::new().unwrap(), NetNs::new().unwrap());
        let ours = binaries::plugin("portmap");
        let path = [ours.parent().unwrap(), Path::new(REFERENCE_DIR)];
        let path: OsString = std::env::join_paths(path).unwrap();
        let netns = outside.path();
        let netns = netns.display();
        node.ip(&format!(
            "link add wan type veth peer name eth0 netns {netns}"
        ));
        node.ip(&format!("addr add {NODE}/24 dev wan"));
        node.ip("link set wan up");
        outside.ip(&format!("addr add {OUTSIDE}/24 dev eth0"));
        outside.ip("link set eth0 up");
        outside.ip(&format!("route add 10.0.0.0/8 via {NODE}"));
        if let Some(lease) = lease {
            node.write("/run/flannel/subnet.env", lease);
        }
        Self {
            node,
            outside,
            plugins: Plugins::new(&path, &Environment::of_process()),
            cache: Cache::new(Path::new("/var/lib/cni")),
        }
    }

    /// Has a command call plugins on the node.
    fn run<T: Send>(&self, command: impl FnOnce(&mut Runtime<'_, DelegateError>) -> T + Send) -> T {
        self.node.enter(|| {
            let mut call = |request: &PluginRequest<'_>| self.plugins.run(request);
            command(&mut Runtime::new(&self.cache, &mut call))
        })
    }

    fn asks(&self, protocol: Protocol, port: u16, timeout: Duration) -> Option<String> {
        let to = at(NODE, port);
        self.outside.enter(|| ask(protocol, to, timeout))
    }

    fn ruleset(&self) -> String {
        let list = || Command::new("nft").args(["list", "ruleset"]).output();
        let output = self.node.enter(list).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn links(&self) -> Vec<String> {
        let links = self.node.ip_json(&["link"]);
        let links = links.as_array().unwrap().iter();
        links
            .map(|link| link["ifname"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Nothing of a pod is left: no link, no address, no file, no rule.
    #[track_caller]
    fn assert_gone(&self, list: &NetworkList, pod: &Container, address: &str) {
        assert_eq!(pod.link_names(), ["lo"]);
        let networks = format!("/var/lib/cni/networks/{}", list.name);
        let addresses = self.node.list(networks);
        assert!(!addresses.contains(&address.to_owned()), "{addresses:?}");
        for directory in ["flannel", "microk8s", "results"] {
            let files = self.node.list(format!("/var/lib/cni/{directory}"));
            let mut of_pod = files.iter().filter(|name| name.contains(&pod.id));
            assert_eq!(of_pod.next(), None);
        }
        let rules = self.ruleset();
        for text in [pod.id.as_str(), address] {
            // An address may be the start of another one.
            let is_whole = |line: &&str| {
                let mut parts = line.split(text).skip(1);
                parts.any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            assert_eq!(rules.lines().find(is_whole), None, "{rules}");
        }
    }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// How long a number of bytes takes from one namespace to another.
fn time_to_send(from: &NetNs, to: &NetNs, address: &str, bytes: usize) -> Duration {
    const PORT: u16 = 9000;
    let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
    let listener = to.enter(bind);
    std::thread::scope(|scope| {
        let received = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            (received.len(), Instant::now())
        });
        let connect = || TcpStream::connect_timeout(&at(address, PORT), TIMEOUT).unwrap();
        let mut stream = from.enter(connect);
        let start = Instant::now();
        stream.write_all(&vec![b'x'; bytes]).unwrap();
        drop(stream);
        let (count, end) = received.join().unwrap();
        assert_eq!(count, bytes);
        end - start
    })
}

/// Traffic in one direction is limited to a rate, in bits per second.
#[track_caller]
fn assert_limited(from: &NetNs, to: &NetNs, address: &str, rate: u64) {
    // What passes in a second, of which the burst is a tenth.
    let bytes = usize::try_from(rate / 8).unwrap();
    let time = time_to_send(from, to, address, bytes);
    assert!(
        time > Duration::from_millis(800),
        "{bytes} bytes at {rate} bit/s took {time:?}"
    );
}

/// Two pods come, are reached, checked and collected, and go.
#[track_caller]
fn assert_life(fixture: &Fixture, list: &NetworkList, lease: Option<String>) {
    let lan = Lan::new(lease);
    let (web, client) = (Container::new(&fixture.container), Container::new("client"));
    let add = |pod: &Container| -> (String, String) {
        let result = lan.run(|it| it.add(list, &fixture.runtime(pod))).unwrap();
        let result: Value = serde_json::from_str(&result).unwrap();
        assert_eq!(result["cniVersion"], list.version.as_str());
        let (ip, key) = match list.version >= Version::V0_3_0 {
            true => (&result["ips"][0], "address"),
            false => (&result["ip4"], "ip"),
        };
        let (address, _) = ip[key].as_str().unwrap().split_once('/').unwrap();
        let gateway = ip["gateway"].as_str().unwrap();
        (address.to_owned(), gateway.to_owned())
    };
    let check = |pod: &Container| lan.run(|it| it.check(list, &fixture.runtime(pod)));
    let (address, gateway) = add(&web);
    let (client_address, _) = add(&client);

    let bind = || Server::bind(Ipv4Addr::UNSPECIFIED.into(), fixture.container_port);
    web.sandbox.enter(bind).answer("web");
    assert_reaches(&client, &address);
    assert_reaches(&web, &gateway);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let answer = lan.asks(protocol, fixture.host_port, TIMEOUT);
        assert_eq!(
            answer.as_deref(),
            Some("web sees 192.0.2.2"),
            "{protocol:?}"
        );
        // The node and another pod use the node's address too.
        let to = at(NODE, fixture.host_port);
        for answer in [
            lan.node.enter(|| ask(protocol, to, TIMEOUT)),
            client.sandbox.enter(|| ask(protocol, to, TIMEOUT)),
        ] {
            let answer = answer.unwrap();
            assert!(answer.starts_with("web sees "), "{answer}");
        }
    }
    if let Some(limits) = fixture.capabilities.get("bandwidth") {
        let rate = |key: &str| limits[key].as_u64().unwrap();
        assert_limited(&web.sandbox, &lan.outside, OUTSIDE, rate("EgressRate"));
        assert_limited(&lan.outside, &web.sandbox, &address, rate("IngressRate"));
    }

    if list.version >= Version::V0_4_0 {
        assert!(check(&web).unwrap() && check(&client).unwrap());
    }
    let has_status = list.version >= Version::V1_1_0;
    assert_eq!(lan.run(|it| it.status(list)).unwrap(), has_status);

    lan.run(|it| it.del(list, &fixture.runtime(&web))).unwrap();
    lan.assert_gone(list, &web, &address);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        assert_eq!(lan.asks(protocol, fixture.host_port, MOMENT), None);
    }
    // A runtime repeats a DEL whose end it has not seen, and then has no result any more.
    lan.run(|it| it.del(list, &fixture.runtime(&web))).unwrap();

    let (address, _) = add(&web);
    let valid = ValidAttachments::from_iter([ValidAttachment {
        container_id: client.id.clone(),
        ifname: fixture.ifname.clone(),
    }]);
    assert!(lan.run(|it| it.gc(list, &valid)).unwrap());
    lan.assert_gone(list, &web, &address);
    assert_reaches(&client, &gateway);
    if list.version >= Version::V0_4_0 {
        assert!(check(&client).unwrap());
    }

    lan.run(|it| it.del(list, &fixture.runtime(&client)))
        .unwrap();
    lan.assert_gone(list, &client, &client_address);
    assert_eq!(lan.links(), ["lo", "wan", &fixture.bridge]);
    assert_eq!(lan.node.list("/var/lib/cni/results"), [""; 0]);
}

#[track_caller]
fn assert_runs(runtime: &str) {
    if !require_root() || require_reference("firewall").is_none() {
        return;
    }
    let (fixture, directory, lists) = Fixture::read(runtime);
    for list in lists {
        let lease = fs::read_to_string(directory.join("subnet.env")).ok();
        assert_life(&fixture, &list, lease);
    }
}

macro_rules! runtimes {
    ($($test:ident: $runtime:literal,)*) => {
        const RUNTIMES: &[&str] = &[$($runtime),*];

        $(#[test]
        fn $test() {
            assert_runs($runtime);
        })*
    };
}

runtimes! {
    k3s: "k3s",
    kube_flannel: "kube-flannel",
    microk8s: "microk8s",
    nerdctl: "nerdctl",
    nerdctl_with_iptables: "nerdctl-iptables",
    podman: "podman",
}

#[test]
fn each_fixture_has_a_test() {
    let entries = fs::read_dir(FIXTURES).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, RUNTIMES);
}
