//! What differs where a database has the addresses: it records no times.

use serde_json::json;
use testkit::requirements::require_root;

use crate::healthy::{site_of, without_ages};
use crate::site::lines;

#[test]
fn a_node_with_a_database() {
    if !require_root() {
        return;
    }
    let site = site_of("db");
    let (text, status) = site.twill(&["leases"]);
    let expected = lines(&[
        "NETWORK  ADDRESS     CONTAINER  INTERFACE  POD            BOOT  STATE  WHY",
        "cbr0     10.244.1.2  c1         eth0       default/web-0  this  alive  on eth0 in /run/netns/c1",
        "cbr0     10.244.1.3  c2         eth0                      this  alive  on eth0 in /run/netns/c2",
    ]);
    assert_eq!((text, status), (expected, 0));
    let c1 = json!({
        "network": "cbr0", "address": "10.244.1.2", "store": "db", "containerID": "c1",
        "ifname": "eth0", "pod": {"namespace": "default", "name": "web-0"},
        "boot": "this", "state": "alive", "why": "on eth0 in /run/netns/c1",
    });
    assert_eq!(site.json(&["ls", "--container", "c1"]), (json!([c1]), 0));

    let (value, status) = site.json(&["status"]);
    assert_eq!((&value["problems"], status), (&json!([]), 0));
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
    let (text, _) = site.twill(&["show", "10.244.1.2"]);
    let lease = "lease        10.244.1.2 is alive: on eth0 in /run/netns/c1, pod default/web-0";
    assert!(text.lines().any(|line| line == lease), "{text}");

    site.end("c2");
    let (text, status) = site.twill(&["leases", "--dead"]);
    let expected = lines(&[
        "NETWORK  ADDRESS     CONTAINER  INTERFACE  BOOT  STATE  WHY",
        "cbr0     10.244.1.3  c2         eth0       this  dead   on no link",
    ]);
    assert_eq!((text, status), (expected, 0));
    // The kept configuration has a time: the container may have been starting.
    let (text, status) = site.twill(&["gc", "--from", "netns"]);
    let expected = lines(&[
        "NETWORK  CONTAINER  INTERFACE  ADDRESSES   STATE",
        "cbr0     c2         eth0       10.244.1.3  unclear: younger than 5m: it may be starting",
        "",
        "nothing is dead; 1 alive, 1 unclear",
    ]);
    assert_eq!((text, status), (expected, 0));
    let (text, status) = site.twill(&["repair", "--older-than", "0s", "--apply"]);
    let expected = "dead-lease: 10.244.1.3 of c2 eth0 in cbr0: freed";
    assert_eq!((text.as_str(), status), (expected, 0));
    let (text, _) = site.twill(&["metrics"]);
    assert!(!text.contains("twill_oldest_lease"), "{text}");
    let (text, status) = site.twill(&["convert", "disk", "cbr0"]);
    let expected = "moved 1 addresses of network cbr0 to files: now set \"backend\": \"disk\" in \
                    its ipam";
    assert_eq!((without_ages(&text), status), (expected.to_owned(), 0));
}
