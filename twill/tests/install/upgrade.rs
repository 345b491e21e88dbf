//! From the Go plugins to Twill and back, while containers run and reach each other.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use testkit::{Container, Invocation, Node, conf, traffic};

use crate::support::Plugins;

/// How many containers run.
const COUNT: usize = 20;

/// A container that runs, its address, and a `ping` of another one that has not ended yet.
struct Running {
    container: Container,
    address: String,
    ping: Option<Child>,
}

struct World {
    node: Node,
    plugins: Plugins,
    conf: Value,
}

impl World {
    fn call(&self, command: &str, container: &Container) -> Invocation {
        Invocation::attach(self.plugins.path("bridge"), command, &container.id)
            .netns(container.sandbox.path())
            .config(&self.conf)
    }

    #[track_caller]
    fn add(&self, id: String) -> Running {
        let container = Container::new(&id);
        let result = self.node.run(&self.call("ADD", &container)).success();
        let address = result["ips"][0]["address"].as_str().unwrap();
        let (address, _) = address.split_once('/').unwrap();
        Running {
            address: address.to_owned(),
            container,
            ping: None,
        }
    }

    #[track_caller]
    fn del(&self, running: &Running) {
        self.node
            .run(&self.call("DEL", &running.container))
            .silent();
    }

    /// Each container reaches each other one, and the gateway.
    #[track_caller]
    fn assert_all_reach_all(&self, all: &[Running]) {
        for from in all {
            for to in all {
                traffic::assert_reaches(&from.container, &to.address);
            }
            traffic::assert_reaches(&from.container, conf::GATEWAY);
        }
    }
}

/// Pings without a pause, until it is asked for its report.
fn start_ping(from: &Container, to: &str) -> Child {
    let mut ping = Command::new("ping");
    ping.args(["-n", "-q", "-i0.05", to]).stdout(Stdio::piped());
    from.sandbox.enter(|| ping.spawn().unwrap())
}

/// Every packet of a ping has been answered.
#[track_caller]
fn assert_no_loss(ping: Child) {
    // The last packet may still be on its way.
    let pid = Pid::from_raw(ping.id().cast_signed());
    sleep(Duration::from_millis(20));
    kill(pid, Signal::SIGINT).unwrap();
    let output = ping.wait_with_output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let numbers = report.lines().find(|line| line.contains("packet loss"));
    let mut numbers = numbers.unwrap().split(", ");
    let sent: u32 = number(numbers.next());
    let received: u32 = number(numbers.next());
    // The packet that SIGINT came before the answer of is not lost.
    assert!(sent > 10 && received + 1 >= sent, "{report}");
}

fn number(words: Option<&str>) -> u32 {
    words.unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn running_containers_reach_each_other_throughout() {
    let Some(plugins) = Plugins::of_go(&["bridge", "host-local"]) else {
        return;
    };
    let keys = json!({ "bridge": "cni0", "isGateway": true });
    let world = World {
        node: Node::new().unwrap(),
        plugins,
        conf: conf::with(conf::of("bridge", keys), conf::host_local(&[conf::SUBNET])),
    };
    let mut all: Vec<Running> = (0..COUNT)
        .map(|index| world.add(format!("go{index}")))
        .collect();
    world.assert_all_reach_all(&all);
    let addresses: Vec<String> = all.iter().map(|one| one.address.clone()).collect();
    for (index, from) in all.iter_mut().enumerate() {
        let to = &addresses[(index + 1) % COUNT];
        from.ping = Some(start_ping(&from.container, to));
    }

    let printed = world.plugins.run(&["install"]);
    assert_eq!(printed.matches("is kept").count(), 2, "{printed}");
    all.extend((0..5).map(|index| world.add(format!("twill{index}"))));
    world.assert_all_reach_all(&all);
    // Twill detaches what the Go plugins attached.
    for mut gone in all.drain(..2) {
        assert_no_loss(gone.ping.take().unwrap());
        world.del(&gone);
    }

    let printed = world.plugins.run(&["uninstall"]);
    assert_eq!(
        printed.matches("the file that it had replaced").count(),
        2,
        "{printed}"
    );
    all.push(world.add("again".to_owned()));
    // The container whose target is gone has lost packets since.
    let orphan = all
        .iter_mut()
        .find(|one| one.container.id == format!("go{}", COUNT - 1));
    let mut orphan = orphan.unwrap().ping.take().unwrap();
    orphan.kill().unwrap();
    orphan.wait().unwrap();
    for one in &mut all {
        if let Some(ping) = one.ping.take() {
            assert_no_loss(ping);
        }
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
}
