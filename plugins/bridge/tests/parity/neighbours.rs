//! The neighbours' caches for a container's address.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::conf::{dual_stack, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::traffic::assert_reaches;

ours!(neighbours_learn_the_new_owner_of_an_address);

/// One address of each family for the containers beside the first one.
fn conf() -> Value {
    let ranges = json!([
        [{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.3" }],
        [{ "subnet": "fd00:1::/64", "rangeEnd": "fd00:1::3" }],
    ]);
    with(
        dual_stack(json!({ "isGateway": true })),
        json!({ "ipam": { "ranges": ranges } }),
    )
}

/// Whether the first packet to an address is answered, in less time than it takes to give up on an
/// old neighbour.
fn answers_at_once(run: impl FnOnce(&mut Command) -> bool, to: &str) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-n", "-q", "-c1", "-W2", to]);
    run(&mut ping)
}

// Friend and node have the Ethernet address of the former owner in their caches, as one that was
// confirmed just now.
fn neighbours_learn_the_new_owner_of_an_address(lab: &Lab) {
    let (friend, former) = (Container::new("friend"), Container::new("former"));
    lab.add(&friend, &conf());
    lab.add(&former, &conf());
    let addresses = ["10.1.1.3", "fd00:1::3"];
    for address in addresses {
        assert_reaches(&friend, address);
        let node = |ping: &mut Command| lab.node.enter(|| ping.status()).unwrap().success();
        assert!(answers_at_once(node, address), "{address}");
    }
    lab.del(&former, &conf());
    let new = Container::new("new");
    let result = lab.add(&new, &conf());
    assert_eq!(result["ips"][0]["address"], "10.1.1.3/24");
    assert_eq!(result["ips"][1]["address"], "fd00:1::3/64");
    for address in addresses {
        let of_friend = |ping: &mut Command| friend.sandbox.command(ping).status.success();
        assert!(answers_at_once(of_friend, address), "friend to {address}");
        let node = |ping: &mut Command| lab.node.enter(|| ping.status()).unwrap().success();
        assert!(answers_at_once(node, address), "node to {address}");
    }
}
