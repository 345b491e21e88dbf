//! flanneld obtains another lease while containers of the earlier one exist.

use std::fs;

use serde_json::{Value, json};

use crate::desk::{Desk, SUBNET_ENV};
use crate::upkeep::kept;

const OTHER_ADDRESS: &str = "\"cni0\" already has an IP address different from 10.244.2.1/24";

const REMEDY: &str = "the bridge has the address of an earlier lease, \
    flanneld's is now 10.244.2.0/24 of 10.244.0.0/16, MTU 1450: \
    when no container uses the bridge any more, delete it with \"ip link delete\", and the next \
        ADD recreates it";

fn renew(desk: &Desk) {
    let lease = SUBNET_ENV.replace("10.244.1.1", "10.244.2.1");
    fs::write(desk.subnet_file(), lease).unwrap();
}

#[test]
fn check_and_del_use_the_lease_of_the_add() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    renew(&desk);
    desk.call("ADD").container("c2").run().success();
    desk.call("CHECK").run().silent();
    for id in ["c1", "c2"] {
        desk.call("DEL").container(id).run().silent();
    }
    let calls = desk.delegate.calls();
    let ranges = |number: usize| {
        let conf: Value = serde_json::from_slice(&calls[number].stdin).unwrap();
        conf["ipam"]["ranges"].clone()
    };
    assert_eq!(ranges(0), json!([[{"subnet": "10.244.1.0/24"}]]));
    assert_eq!(ranges(1), json!([[{"subnet": "10.244.2.0/24"}]]));
    for (call, added) in [(2, 0), (3, 0), (4, 1)] {
        assert_eq!(calls[call].stdin, calls[added].stdin);
    }
    assert_eq!(kept(&desk), [""; 0]);
}

#[test]
fn an_error_for_the_bridges_earlier_address_says_what_to_do() {
    let desk = Desk::new();
    renew(&desk);
    for (details, expected) in [
        ("", REMEDY.to_owned()),
        ("its own", format!("its own; {REMEDY}")),
    ] {
        let error =
            json!({"cniVersion": "1.0.0", "code": 999, "msg": OTHER_ADDRESS, "details": details});
        desk.delegate.on("ADD").stdout(error.to_string()).exit(1);
        let failure = desk.call("ADD").run().failure();
        assert_eq!(failure.code, 999);
        assert_eq!(failure.msg, format!("bridge: {OTHER_ADDRESS}"));
        assert_eq!(failure.details, expected);
        assert_eq!(kept(&desk), [""; 0]);
    }
    // Other failures do not get the hint.
    let error = json!({"code": 999, "msg": "failed to set an IP address", "details": ""});
    desk.delegate.on("ADD").stdout(error.to_string()).exit(1);
    assert_eq!(desk.call("ADD").run().failure().details, "");
}
