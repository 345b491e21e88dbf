//! The subnet.env that flanneld has written, or somebody else.

use std::fs;

use serde_json::{Value, json};

use crate::assert_refused;
use crate::desk::{Desk, SUBNET_ENV};

const FLANNELDS: &str = "check the log of flanneld on this node";
const ANYBODYS: &str = "correct it, or have flanneld write it anew by restarting it";

/// ADD fails at the lease with this code and message, and a hint at what to do.
#[track_caller]
fn assert_no_lease(desk: &Desk, code: u64, message: &str, remedy: &str) {
    let mut netconf = desk.netconf();
    netconf["subnetFileWait"] = json!(0);
    let add = desk.call("ADD").config(&netconf);
    let file = desk.subnet_file();
    let message = format!("failed to load the lease: {}: {message}", file.display());
    assert_refused(desk, &add, code, &message);
    let details = add.run().failure().details;
    assert_eq!(details, remedy);
}

#[test]
fn it_may_come_later() {
    let desk = Desk::new();
    fs::remove_file(desk.subnet_file()).unwrap();
    let message = "there is no such file: flanneld has no lease for this node yet";
    assert_no_lease(&desk, 11, message, FLANNELDS);
    desk.call("CHECK").run().failure();
    desk.call("DEL").run().silent();
    fs::write(desk.subnet_file(), SUBNET_ENV).unwrap();
    desk.call("ADD").run().success();
}

#[test]
fn the_rest_of_it_may_come_later() {
    let desk = Desk::new();
    let networks = "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK";
    let subnets = "FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET";
    let all = format!("{networks}, {subnets}, FLANNEL_MTU, FLANNEL_IPMASQ");
    for (text, missing) in [
        ("", &*all),
        ("\n# nothing\n", &all),
        ("FLANNEL_NETWORK=\nFLANNEL_MTU=''\n", &all),
        (
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n",
            "FLANNEL_MTU, FLANNEL_IPMASQ",
        ),
        (
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
            subnets,
        ),
        (
            "FLANNEL_IPV6_SUBNET=fd00::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
            networks,
        ),
    ] {
        fs::write(desk.subnet_file(), text).unwrap();
        let message = format!("{missing} missing: flanneld has not written all of the lease");
        assert_no_lease(&desk, 11, &message, FLANNELDS);
    }
}

#[test]
fn what_makes_no_sense() {
    let desk = Desk::new();
    let no_network = "is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64";
    for (line, message) in [
        (
            "nonsense",
            "line 5: \"nonsense\" is no assignment of the form KEY=value".to_owned(),
        ),
        (
            "=1",
            "line 5: \"=1\" is no assignment of the form KEY=value".to_owned(),
        ),
        (
            "A=1 B",
            "line 5: \"B\" is no assignment of the form KEY=value".to_owned(),
        ),
        (
            "A='1",
            "line 5: a quote is not closed, or a backslash ends the line".to_owned(),
        ),
        (
            "FLANNEL_SUBNET=10.244.1.1",
            format!("FLANNEL_SUBNET: \"10.244.1.1\" {no_network}"),
        ),
        (
            "FLANNEL_SUBNET=10.244.1.1/33",
            format!("FLANNEL_SUBNET: \"10.244.1.1/33\" {no_network}"),
        ),
        (
            "FLANNEL_NETWORK=10.0.0.0/8,x",
            format!("FLANNEL_NETWORK: \"x\" {no_network}"),
        ),
        (
            "FLANNEL_SUBNET=fd00::1/64",
            "FLANNEL_SUBNET: fd00::/64 is not IPv4".to_owned(),
        ),
        (
            "FLANNEL_IPV6_NETWORK=10.0.0.0/8",
            "FLANNEL_IPV6_NETWORK: 10.0.0.0/8 is not IPv6".to_owned(),
        ),
        (
            "FLANNEL_MTU=1450.5",
            "FLANNEL_MTU: \"1450.5\" is no number of bytes".to_owned(),
        ),
        (
            "FLANNEL_MTU=-1",
            "FLANNEL_MTU: \"-1\" is no number of bytes".to_owned(),
        ),
        (
            "FLANNEL_MTU=99999999999",
            "FLANNEL_MTU: \"99999999999\" is no number of bytes".to_owned(),
        ),
        (
            "FLANNEL_IPMASQ=maybe",
            "FLANNEL_IPMASQ: \"maybe\" is neither true nor false".to_owned(),
        ),
    ] {
        fs::write(desk.subnet_file(), format!("{SUBNET_ENV}{line}\n")).unwrap();
        assert_no_lease(&desk, 6, &message, ANYBODYS);
    }
    fs::write(desk.subnet_file(), b"FLANNEL_MTU=\xff\n").unwrap();
    assert_no_lease(&desk, 6, "is no text: byte 12 is not UTF-8", ANYBODYS);
}

#[test]
fn what_cannot_be_read() {
    let desk = Desk::new();
    fs::remove_file(desk.subnet_file()).unwrap();
    fs::create_dir(desk.subnet_file()).unwrap();
    let remedy = "make it a file that root can read";
    let message = "cannot be read: Is a directory (os error 21)";
    assert_no_lease(&desk, 5, message, remedy);
    fs::remove_dir(desk.subnet_file()).unwrap();
    fs::write(desk.subnet_file(), "#".repeat((1 << 20) + 1)).unwrap();
    assert_no_lease(&desk, 5, "cannot be read: file too large", remedy);
}

#[test]
fn what_a_shell_would_take_works() {
    let desk = Desk::new();
    let text = "\
        # by hand\r\n\
        \r\n\
        export FLANNEL_NETWORK=\"10.244.0.0/16,10.244.0.0/16\"\r\n\
        \tFLANNEL_SUBNET='10.244.1.1/24' # the bridge's\r\n\
        FLANNEL_MTU=1500 FLANNEL_IPMASQ=false\r\n\
        UNKNOWN=\"a b\"\r\n\
        FLANNEL_MTU=1450";
    fs::write(desk.subnet_file(), text).unwrap();
    desk.call("ADD").run().success();
    let stdin: Value = serde_json::from_slice(&desk.delegate.calls()[0].stdin).unwrap();
    assert_eq!(stdin["mtu"], 1450);
    assert_eq!(stdin["ipMasq"], true);
    assert_eq!(
        stdin["ipam"],
        json!({
            "type": "host-local",
            "ranges": [[{"subnet": "10.244.1.0/24"}]],
            "routes": [{"dst": "10.244.0.0/16"}],
        })
    );
}
