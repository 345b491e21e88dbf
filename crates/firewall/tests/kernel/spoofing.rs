//! Frames with a spoofed MAC are dropped.

use crate::lan::{Lan, run};
use crate::*;

#[test]
fn only_one_mac_may_send_through_a_port() {
    if namespace().is_none() {
        return;
    }
    let lan = Lan::new();
    let mut nftables = nftables(&lan.node);
    let (cbr0, c1) = (network("cbr0"), attachment("c1", "eth0"));
    let set_mac = |mac: &str| run(&lan.containers[0], &format!("link set eth0 address {mac}"));
    let (own, spoofed) = ("02:00:00:00:00:01", "02:00:00:00:00:ff");

    set_mac(spoofed);
    assert!(lan.is_heard(true), "nothing is checked yet");
    set_mac(own);
    nftables
        .allow_only_mac(&cbr0, &c1, "veth1", own.parse().unwrap())
        .unwrap();
    assert!(lan.is_heard(true));
    set_mac(spoofed);
    assert!(!lan.is_heard(false));
    // The second container's MAC is wrong at this port, too.
    let second = "02:00:00:00:00:02".parse().unwrap();
    nftables
        .allow_only_mac(&cbr0, &attachment("c2", "eth0"), "veth2", second)
        .unwrap();
    set_mac("02:00:00:00:00:02");
    assert!(!lan.is_heard(false));
    set_mac(own);
    assert!(lan.is_heard(true));
    set_mac(spoofed);
    nftables.remove(&cbr0, &c1).unwrap();
    assert!(lan.is_heard(true));
}
