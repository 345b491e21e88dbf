//! `macspoofchk`: a container cannot send with another container's MAC. The Go plugin needs the
//! program `nft`, ours does not.

use serde_json::{Value, json};

use crate::support::conf::{GATEWAY, GATEWAY6, dual_stack, ipv4};
use crate::support::lab::{Container, Lab};
use crate::support::side::both;
use crate::support::traffic::{assert_reaches, pings};

both!(
    another_mac_does_not_pass,
    frames_pass_without_macspoofchk,
    del_removes_the_rules
);

const OTHER: &str = "02:00:00:00:0e:01";

fn conf() -> Value {
    dual_stack(json!({ "isGateway": true, "macspoofchk": true }))
}

fn another_mac_does_not_pass(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    assert_reaches(&a, "10.1.1.3");
    assert_reaches(&a, GATEWAY6);
    let own = a.link("eth0").mac().to_owned();
    a.ip(&format!("link set eth0 address {OTHER}"));
    assert!(!pings(&a, &["10.1.1.3"]));
    assert!(!pings(&a, &[GATEWAY]));
    assert!(!pings(&a, &[GATEWAY6]));
    assert_reaches(&b, GATEWAY);
    a.ip(&format!("link set eth0 address {own}"));
    assert_reaches(&a, "10.1.1.3");
}

fn frames_pass_without_macspoofchk(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    let off = ipv4(json!({ "isGateway": true, "macspoofchk": false }));
    lab.add(&b, &off);
    b.ip(&format!("link set eth0 address {OTHER}"));
    assert_reaches(&b, GATEWAY);
}

fn del_removes_the_rules(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    let mac = "02:00:00:00:0a:0a";
    let with_mac =
        |mac| dual_stack(json!({ "macspoofchk": true, "runtimeConfig": { "mac": mac } }));
    lab.add(&a, &with_mac(mac));
    lab.add(&b, &with_mac("02:00:00:00:0b:0b"));
    assert!(lab.ruleset().contains(mac), "{}", lab.ruleset());
    lab.del(&a, &with_mac(mac));
    let rules = lab.ruleset();
    assert!(!rules.contains(mac), "{rules}");
    assert!(rules.contains("02:00:00:00:0b:0b"), "{rules}");
    lab.del(&b, &with_mac("02:00:00:00:0b:0b"));
    let rules = lab.ruleset();
    assert!(!rules.contains("02:00:00:00:0b:0b"), "{rules}");
    assert!(!rules.contains("drop"), "{rules}");
}
