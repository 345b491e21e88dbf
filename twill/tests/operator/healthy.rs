//! A node of ours on which all is well, and what becomes of it when a container ends.

use std::fs;

use serde_json::json;
use testkit::requirements::require_root;

use crate::site::{Site, lines};

/// A node with two containers of a flannel network, the first with a mapped port, a limit and the
/// name of a pod.
pub(crate) fn site() -> Site {
    site_of("disk")
}

/// As [`site`], with this store.
pub(crate) fn site_of(backend: &str) -> Site {
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "plugins": [
            {
                "type": "flannel",
                "delegate": {"isDefaultGateway": true},
                "ipam": {"backend": backend},
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
            {"type": "bandwidth", "capabilities": {"bandwidth": true}},
        ],
    }));
    let capabilities = json!({
        "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
        "bandwidth": {
            "ingressRate": 8_000_000, "ingressBurst": 8_000_000,
            "egressRate": 4_000_000, "egressBurst": 4_000_000,
        },
    });
    let pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0";
    site.add(
        "cbr0",
        "c1",
        &["--cap", &capabilities.to_string(), "--args", pod],
    );
    site.add("cbr0", "c2", &[]);
    site
}

#[test]
fn status_and_leases_of_a_healthy_node() {
    if !require_root() {
        return;
    }
    let site = site();
    let version = env!("CARGO_PKG_VERSION");
    let this_build = format!("twill {version}, this build");
    let expected = lines(&[
        "lease     10.244.1.0/24 of 10.244.0.0/16, MTU 1450, /run/flannel/subnet.env, written 0 s ago",
        "list      network cbr0, /etc/cni/net.d/10-cbr0.conflist",
        "bridge    cni0 is up, 10.244.1.1/24, MTU 1450, 2 ports",
        "firewall  2 addresses masqueraded, 1 port mapped",
        "",
        &format!(
            "PLUGIN      {:width$}  FILE",
            "WHOSE",
            width = this_build.len()
        ),
        &format!("flannel     {this_build}  /run/cni-bin/flannel"),
        &format!("bridge      {this_build}  /run/cni-bin/bridge"),
        &format!("host-local  {this_build}  /run/cni-bin/host-local"),
        &format!("portmap     {this_build}  /run/cni-bin/portmap"),
        &format!("bandwidth   {this_build}  /run/cni-bin/bandwidth"),
        "",
        "NETWORK  RANGE                    SIZE  USED  FREE  ALIVE  DEAD  UNKNOWN",
        "cbr0     10.244.1.1-10.244.1.254  253   2     251   2      0     0",
        "",
        "nothing is wrong",
    ]);
    let (text, status) = site.twill(&["status"]);
    assert_eq!((without_ages(&text), status), (without_ages(&expected), 0));
    let (value, status) = site.json(&["status"]);
    assert_eq!(status, 0);
    assert_eq!(value["problems"], json!([]));
    assert_eq!(
        value["lease"],
        json!({
            "file": "/run/flannel/subnet.env", "networks": ["10.244.0.0/16"],
            "subnets": ["10.244.1.0/24"], "mtu": 1450, "ipMasq": false, "written": "TIME",
        })
    );
    assert_eq!(
        value["networks"],
        json!([{
            "name": "cbr0", "list": "/etc/cni/net.d/10-cbr0.conflist",
            "dataDir": "/var/lib/cni/networks",
            "leases": {"alive": 2, "dead": 0, "unknown": 0, "unowned": 0},
            "ranges": [{
                "range": "10.244.1.1-10.244.1.254", "size": 253, "used": 2, "free": 251, "dead": 0,
            }],
            "outside": 0,
        }])
    );
    assert_eq!(
        value["firewall"],
        json!({
            "tables": ["ip twill_masquerade", "ip twill_portmap"], "masqueraded": 2,
            "heldToMac": 0, "ports": 1, "waiting": 0,
        })
    );

    let (text, status) = site.twill(&["leases"]);
    let expected = lines(&[
        "NETWORK  ADDRESS     CONTAINER  INTERFACE  POD            SINCE  BOOT  STATE  WHY",
        "cbr0     10.244.1.2  c1         eth0       default/web-0  0 s    this  alive  on eth0 in /run/netns/c1",
        "cbr0     10.244.1.3  c2         eth0                      0 s    this  alive  on eth0 in /run/netns/c2",
    ]);
    assert_eq!((without_ages(&text), status), (without_ages(&expected), 0));
    let c1 = json!({
        "network": "cbr0", "address": "10.244.1.2", "store": "disk", "containerID": "c1",
        "ifname": "eth0", "pod": {"namespace": "default", "name": "web-0"}, "since": "TIME",
        "boot": "this", "state": "alive", "why": "on eth0 in /run/netns/c1",
    });
    assert_eq!(site.json(&["ls", "--container", "c1"]), (json!([c1]), 0));
    assert_eq!(site.json(&["ls", "--dead"]), (json!([]), 0));
}

#[test]
fn show_has_both_ends_of_a_container() {
    if !require_root() {
        return;
    }
    let site = site();
    // An address, the start of a container's ID, and a link lead to the same.
    let (text, status) = site.twill(&["show", "10.244.1.2"]);
    assert_eq!(status, 0);
    let (value, _) = site.json(&["show", "c1"]);
    let link = value[0]["link"]["name"].as_str().unwrap();
    let without_counters = |text: &str| {
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| !line.contains("packets"))
            .collect();
        // Whether the container has sent anything yet is left to the kernel.
        lines.retain(|line| !line.starts_with("neighbour"));
        lines.join("\n")
    };
    assert_eq!(
        without_counters(&text),
        lines(&[
            "container    c1, interface eth0, network cbr0",
            "lease        10.244.1.2 is alive: on eth0 in /run/netns/c1, since TIME, pod default/web-0",
            "kept         /var/lib/cni/flannel/c1 for bridge",
            &format!("link         {link}, up, port of cni0, MAC, MTU 1450"),
            "inside       eth0 in /run/netns/c1, up, MAC, 10.244.1.2/24, MTU 1450",
            "masqueraded  10.244.1.2/24",
            "port         tcp port 8080 leads to 10.244.1.2:80",
            "receives     at most 8000000 bit/s, in bursts of 8000000 bits",
            "sends        at most 4000000 bit/s, in bursts of 4000000 bits",
        ])
    );
    for subject in [link, "c1"] {
        let (other, _) = site.twill(&["show", subject]);
        assert_eq!(without_counters(&other), without_counters(&text));
    }
    let view = &value[0];
    assert_eq!(view["kept"]["type"], "bridge");
    assert_eq!(
        view["kept"]["conf"]["ipam"]["ranges"],
        json!([[{"subnet": "10.244.1.0/24"}]])
    );
    assert_eq!(view["inside"]["sandbox"], "/run/netns/c1");
    assert!(view["link"]["counters"]["sentPackets"].is_u64());
    assert_eq!(
        view["ports"],
        json!([{
            "protocol": "tcp", "hostPort": 8080, "containerPort": 80, "target": "10.244.1.2",
            "isWaiting": false,
        }])
    );
    assert_eq!(
        view["ingress"],
        json!({"rate": 8_000_000, "burst": 8_000_000})
    );

    for (subject, message) in [
        ("10.244.1.1", "twill: 10.244.1.1 is the node's own, on cni0"),
        (
            "cni0",
            "twill: cni0 is a link of kind bridge with no alias, and belongs to no attachment that is recorded",
        ),
        (
            "10.9.9.9",
            "twill: no lease records 10.9.9.9, and no link has it",
        ),
    ] {
        assert_eq!(site.twill(&["show", subject]), (message.to_owned(), 2));
    }
}

#[test]
fn a_container_without_its_namespace_is_dead() {
    if !require_root() {
        return;
    }
    let site = site();
    site.end("c2");
    let (text, status) = site.twill(&["leases", "cbr0", "--dead"]);
    let expected = lines(&[
        "NETWORK  ADDRESS     CONTAINER  INTERFACE  SINCE  BOOT  STATE  WHY",
        "cbr0     10.244.1.3  c2         eth0       0 s    this  dead   on no link",
    ]);
    assert_eq!((without_ages(&text), status), (without_ages(&expected), 0));
    // A container may just be starting or ending.
    assert_eq!(site.json(&["status"]).1, 0);
    let (text, status) = site.twill(&["status", "--older-than", "0s"]);
    let end: Vec<_> = text.lines().rev().take(3).collect();
    assert_eq!(
        (end, status),
        (
            vec![
                "`twill doctor` names the effect of each, and `twill repair` mends some",
                "  to do  twill repair dead-lease --apply",
                "problem  dead-lease: 10.244.1.3 of c2 eth0 in cbr0: no network namespace has its interface",
            ],
            1
        )
    );
    // A container of a container may have the address: it does not count.
    site.run("ip", &["netns", "add", "outer"]);
    site.run("ip", &["netns", "add", "inner"]);
    site.run(
        "ip",
        &[
            "-n", "outer", "link", "add", "v", "type", "veth", "peer", "eth0", "netns", "inner",
        ],
    );
    site.run(
        "ip",
        &[
            "-n",
            "inner",
            "address",
            "add",
            "10.244.1.3/24",
            "dev",
            "eth0",
        ],
    );
    let (value, _) = site.json(&["leases", "--dead"]);
    assert_eq!(value[0]["address"], "10.244.1.3");
    // Another container of the node has it, by hand: then whose it is, is said.
    site.run(
        "ip",
        &["-n", "c1", "address", "add", "10.244.1.3/24", "dev", "eth0"],
    );
    let (value, _) = site.json(&["leases", "--dead"]);
    assert_eq!(
        value[0]["why"],
        "on eth0 in /run/netns/c1, which is twill/cbr0/c1/eth0's"
    );
}

#[test]
fn metrics_are_written_as_a_whole() {
    if !require_root() {
        return;
    }
    let site = site();
    site.end("c2");
    site.node.write("/run/metrics/twill.prom", "old\n");
    let file = "/run/metrics/twill.prom";
    assert_eq!(
        site.twill(&["metrics", "--output", file]),
        (String::new(), 0)
    );
    let text = site.node.read(file);
    let version = env!("CARGO_PKG_VERSION");
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let samples: Vec<_> = samples
        .into_iter()
        .filter(|line| !line.contains("_timestamp_") && !line.starts_with("twill_faults"))
        .collect();
    assert_eq!(
        samples,
        [
            &format!("twill_build_info{{version=\"{version}\"}} 1"),
            "twill_leases{network=\"cbr0\",state=\"alive\"} 1",
            "twill_leases{network=\"cbr0\",state=\"dead\"} 1",
            "twill_leases{network=\"cbr0\",state=\"unknown\"} 0",
            "twill_leases{network=\"cbr0\",state=\"unowned\"} 0",
            "twill_range_size{network=\"cbr0\",range=\"10.244.1.1-10.244.1.254\"} 253",
            "twill_range_used{network=\"cbr0\",range=\"10.244.1.1-10.244.1.254\"} 2",
            "twill_range_dead{network=\"cbr0\",range=\"10.244.1.1-10.244.1.254\"} 1",
            "twill_range_free{network=\"cbr0\",range=\"10.244.1.1-10.244.1.254\"} 251",
        ]
    );
    // Every kind of fault has a number.
    for kind in ["dead-lease", "duplicate-address", "lease-file", "sysctl"] {
        let start = format!("twill_faults{{kind=\"{kind}\"}} ");
        assert_eq!(text.matches(&start).count(), 1, "{text}");
    }
    let none = "twill_faults{kind=\"lease-file\"} 0";
    assert!(text.lines().any(|line| line == none), "{text}");
    assert_eq!(text.matches("_timestamp_seconds").count(), 6, "{text}");
    // Each has its help and its type, once.
    assert_eq!(text.matches("# HELP twill_range_used ").count(), 1);
    assert_eq!(text.matches("# TYPE twill_range_used gauge").count(), 1);
    // The collector, which is not root, can read the file, and nothing else is left.
    let (names, mode) = site.node.enter(|| {
        use std::os::unix::fs::PermissionsExt;
        let names = fs::read_dir("/run/metrics").unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        (
            names,
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
        )
    });
    assert_eq!((names.len(), mode), (1, 0o644));
    let (message, status) = site.twill(&["metrics", "--output", "/proc/none/twill.prom"]);
    assert!(
        message.starts_with("twill: cannot write /proc/none/twill.prom: "),
        "{message}"
    );
    assert_eq!(status, 2);
}

/// The text with each age as if it were of this second: seconds pass while a test runs.
pub(crate) fn without_ages(text: &str) -> String {
    let mut words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
    for index in 1..words.len() {
        let is_age =
            words[index].trim_end() == "s" && words[index - 1].trim_end().parse::<u32>().is_ok();
        if is_age {
            words[index - 1] = "0 ";
        }
    }
    words
        .concat()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
