//! From the Go plugins to Twill and back, while containers run and reach each other.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use testkit::{Container, Node, conf, traffic};

use crate::needs;
use crate::support::{ask, call, greeting, node_of_go, serve, shell};

/// How many containers run.
const COUNT: usize = 20;

/// flanneld's lease, with which the delegate masquerades.
const LEASE: &str = "\
FLANNEL_NETWORK=10.1.0.0/16
FLANNEL_SUBNET=10.1.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=false
";

/// A container that runs, its address and host port, and a `ping` of another one that has not ended
/// yet.
struct Running {
    container: Container,
    address: String,
    port: u16,
    /// The configuration of `portmap`, which a runtime repeats at DEL.
    portmap: Value,
    ping: Option<Ping>,
}

struct World {
    node: Node,
    /// What `flannel` renders for `bridge`. Debian has no Go `flannel`.
    rendered: Value,
    next_port: u16,
}

impl World {
    fn new(node: Node) -> Self {
        node.write("/run/flannel/subnet.env", LEASE);
        let list = json!({
            "cniVersion": "1.0.0",
            "name": conf::NETWORK,
            "plugins": [
                {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        });
        node.write("/etc/cni/net.d/10-flannel.conflist", list.to_string());
        let rendered = needs::twill(&node, &["render", "--json"]);
        Self {
            node,
            rendered: serde_json::from_str(&rendered).unwrap(),
            next_port: 8000,
        }
    }

    #[track_caller]
    fn add(&mut self, id: String) -> Running {
        let container = Container::new(&id);
        let result = call("bridge", "ADD", &container, &self.rendered);
        let result = self.node.run(&result).success();
        let address = result["ips"][0]["address"].as_str().unwrap();
        let (address, _) = address.split_once('/').unwrap();
        let address = address.to_owned();
        self.next_port += 1;
        let mapping = json!({"hostPort": self.next_port, "containerPort": 80, "protocol": "tcp"});
        let ports = json!({"portMappings": [mapping]});
        let keys = json!({"prevResult": result, "runtimeConfig": ports});
        let portmap = conf::of("portmap", keys);
        let mapped = call("portmap", "ADD", &container, &portmap);
        self.node.run(&mapped).success();
        serve(&container);
        Running {
            container,
            address,
            port: self.next_port,
            portmap,
            ping: None,
        }
    }

    #[track_caller]
    fn del(&self, running: &Running) {
        for (plugin, conf) in [("portmap", &running.portmap), ("bridge", &self.rendered)] {
            let del = call(plugin, "DEL", &running.container, conf);
            self.node.run(&del).silent();
        }
    }

    /// Each container reaches each other one, and the gateway, and is reached by its host port.
    #[track_caller]
    fn assert_all_reach_all(&self, all: &[Running]) {
        for from in all {
            let greetings = || all.iter().map(|to| greeting(&to.address, 80));
            let reached: Vec<String> = from.container.sandbox.enter(|| greetings().collect());
            let ids: Vec<&str> = all.iter().map(|to| to.container.id.as_str()).collect();
            assert_eq!(reached, ids, "from {}", from.container.id);
            traffic::assert_reaches(&from.container, conf::GATEWAY);
            assert_eq!(ask(&self.node, from.port), from.container.id);
        }
    }
}

/// A `ping` of twenty packets a second, which ends with this value.
struct Ping {
    child: Child,
    since: Instant,
}

impl Ping {
    fn start(from: &Container, to: &str) -> Self {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-q", "-i0.05", to]).stdout(Stdio::piped());
        Self {
            child: from.sandbox.enter(|| ping.spawn().unwrap()),
            since: Instant::now(),
        }
    }

    /// Ends it once it has sent some packets; every one has been answered.
    #[track_caller]
    fn assert_no_loss(mut self) {
        sleep(Duration::from_secs(1).saturating_sub(self.since.elapsed()));
        // The last packet may still be on its way.
        sleep(Duration::from_millis(20));
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGINT).unwrap();
        let mut report = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut report).unwrap();
        let numbers = report.lines().find(|line| line.contains("packet loss"));
        let mut numbers = numbers.unwrap().split(", ");
        let sent: u32 = number(numbers.next());
        let received: u32 = number(numbers.next());
        // The packet that SIGINT came before the answer of is not lost.
        assert!(sent > 10 && received + 1 >= sent, "{report}");
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn number(words: Option<&str>) -> u32 {
    words.unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn running_containers_reach_each_other_throughout() {
    let Some(node) = node_of_go() else { return };
    let mut world = World::new(node);
    let mut all: Vec<Running> = (0..COUNT)
        .map(|index| world.add(format!("go{index}")))
        .collect();
    world.assert_all_reach_all(&all);
    let addresses: Vec<String> = all.iter().map(|one| one.address.clone()).collect();
    for (index, from) in all.iter_mut().enumerate() {
        let to = &addresses[(index + 1) % COUNT];
        from.ping = Some(Ping::start(&from.container, to));
    }

    let printed = needs::twill(&world.node, &["install"]);
    assert_eq!(printed.matches("is kept").count(), 3, "{printed}");
    all.extend((0..5).map(|index| world.add(format!("twill{index}"))));
    world.assert_all_reach_all(&all);
    // Twill detaches what the Go plugins attached, rules included.
    for mut gone in all.drain(..2) {
        gone.ping.take().unwrap().assert_no_loss();
        world.del(&gone);
        let rules = shell(&world.node, "iptables-save");
        let port = format!("--dport {}", gone.port);
        assert!(!rules.contains(&port), "{port}: {rules}");
        let address = format!("-s {}/32", gone.address);
        assert!(!rules.contains(&address), "{address}: {rules}");
    }

    let printed = needs::twill(&world.node, &["uninstall"]);
    assert_eq!(
        printed.matches("the file that it had replaced").count(),
        3,
        "{printed}"
    );
    assert!(!shell(&world.node, "nft list tables").contains("twill"));
    all.push(world.add("again".to_owned()));
    // The container whose target is gone has lost packets since.
    let orphan = all
        .iter_mut()
        .find(|one| one.container.id == format!("go{}", COUNT - 1));
    drop(orphan.unwrap().ping.take().unwrap());
    for ping in all.iter_mut().filter_map(|one| one.ping.take()) {
        ping.assert_no_loss();
    }
    world.assert_all_reach_all(&all);
    // The Go plugins detach what Twill attached.
    for one in &all {
        world.del(one);
    }
    let files = world
        .node
        .list(format!("/var/lib/cni/networks/{}", conf::NETWORK));
    let left: Vec<_> = files
        .iter()
        .filter(|name| name.starts_with("10."))
        .collect();
    assert_eq!(left, [""; 0]);
    let links = world.node.ip_json(&["link"]);
    let names: Vec<&str> = links
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["ifname"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["lo", "cni0"]);
    let rules = shell(&world.node, "iptables-save");
    for part in ["--dport 80", "10.1.1."] {
        assert!(!rules.contains(part), "{part}: {rules}");
    }
}
