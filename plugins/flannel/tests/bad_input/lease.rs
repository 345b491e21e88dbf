//! Valid and invalid contents of subnet.env.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::assert_refused;
use crate::desk::{Desk, SUBNET_ENV};

const FLANNELDS: &str = "check the log of flanneld on this node";
const ANYBODYS: &str = "correct it, or have flanneld write it anew by restarting it";

/// ADD fails with this code, message and advice about the lease.
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
fn a_missing_lease_fails_with_code_11() {
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
fn an_incomplete_lease_fails_with_code_11() {
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
fn invalid_values_are_refused() {
    let desk = Desk::new();
    let no_network = "is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64";
    for (line, message) in [
        (
            "FLANNEL_MTU=1450 1500",
            "line 5: \"1500\" is no assignment of the form KEY=value".to_owned(),
        ),
        (
            "FLANNEL_NETWORK=10.244.0.0/16 10.245.0.0/16",
            "line 5: \"10.245.0.0/16\" is no assignment of the form KEY=value".to_owned(),
        ),
        (
            "FLANNEL_SUBNET='10.244.1.1/24",
            "line 5: a quote is not closed, or a backslash ends the line".to_owned(),
        ),
        (
            "FLANNEL_MTU=1450\\",
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
    ] {
        fs::write(desk.subnet_file(), format!("{SUBNET_ENV}{line}\n")).unwrap();
        assert_no_lease(&desk, 6, &message, ANYBODYS);
    }
    fs::write(desk.subnet_file(), b"FLANNEL_MTU=\xff\n").unwrap();
    assert_no_lease(&desk, 6, "is no text: byte 12 is not UTF-8", ANYBODYS);
    // A key in a comment is not a key that flanneld is about to write.
    fs::write(
        desk.subnet_file(),
        SUBNET_ENV.replace("FLANNEL_MTU=", "FLANNEL_MTU = "),
    )
    .unwrap();
    let message = "line 3: \"FLANNEL_MTU\" is no assignment of the form KEY=value";
    assert_no_lease(&desk, 6, message, ANYBODYS);
}

#[test]
fn a_subnet_without_room_for_a_container_is_refused() {
    let desk = Desk::new();
    for (key, subnet, network, longest) in [
        ("FLANNEL_SUBNET", "10.244.1.1/31", "10.244.1.0/31", 30),
        ("FLANNEL_SUBNET", "10.244.1.1/32", "10.244.1.1/32", 30),
        ("FLANNEL_IPV6_SUBNET", "fd00::1/127", "fd00::/127", 126),
    ] {
        fs::write(desk.subnet_file(), format!("{SUBNET_ENV}{key}={subnet}\n")).unwrap();
        let error_text = format!(
            "{key}: {network} has no room for a gateway and a container: \
             have flanneld get subnets of a prefix length of at most {longest}"
        );
        let remedy =
            "see SubnetLen and IPv6SubnetLen in flannel's net-conf.json, or podCIDR of this node";
        assert_no_lease(&desk, 7, &error_text, remedy);
        let mut netconf = desk.netconf();
        netconf["cniVersion"] = json!("1.1.0");
        let status = desk.call("STATUS").config(&netconf).run();
        let failure = status.failure();
        let file = desk.subnet_file();
        let message = format!("failed to load the lease: {}: {error_text}", file.display());
        assert_eq!((failure.code, failure.msg), (50, message));
        // DEL of a container of an earlier lease succeeds.
        desk.call("DEL").run().silent();
    }
    // Another IPAM plugin may have addresses elsewhere.
    let mut netconf = desk.netconf();
    netconf["ipam"] = json!({"type": "static"});
    desk.call("ADD").config(&netconf).run().success();
}

/// ADD succeeds with these contents of the lease, and the log has these messages about the file.
#[track_caller]
fn assert_lease(desk: &Desk, contents: impl AsRef<[u8]>, error_text: &[&str]) -> Value {
    fs::write(desk.subnet_file(), contents).unwrap();
    let mut netconf = desk.netconf();
    netconf["subnetFileWait"] = json!(25);
    let add = desk.call("ADD").config(&netconf).run();
    add.success();
    assert_eq!(add.stderr_text(), "");
    assert!(add.elapsed < SOON, "{add}");
    let stdin = desk.delegate.calls().pop().unwrap().stdin;
    desk.call("DEL").run().silent();
    let logged = desk.call("ADD").env("CNI_LOG", "info").run();
    for error_text in error_text {
        let error_text = format!("{}: {error_text}", desk.subnet_file().display());
        let error_text = format!("{error_text:?}");
        assert!(
            logged.stderr_text().contains(error_text.trim_matches('"')),
            "{error_text}: {logged}"
        );
    }
    desk.call("DEL").run().silent();
    serde_json::from_slice(&stdin).unwrap()
}

/// The time limit of an ADD that does not wait.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn unknown_lines_are_ignored_and_logged() {
    let desk = Desk::new();
    let usual = assert_lease(&desk, SUBNET_ENV, &[]);
    let no_assignment = |word: &str| {
        format!("line 5: {word:?} is passed over: it is no assignment of the form KEY=value")
    };
    let open = "line 5 is passed over: a quote is not closed, or a backslash ends the line";
    for (line, error_text) in [
        ("nonsense", &*no_assignment("nonsense")),
        ("=1", &no_assignment("=1")),
        ("A=1 B", &no_assignment("B")),
        ("A='1", open),
        ("NOTE=it's \"open", open),
        ("PATH=C:\\flannel\\", open),
        ("\0\0\0\0", "4 NUL bytes at the end are passed over"),
    ] {
        let contents = format!("{SUBNET_ENV}{line}");
        assert_eq!(
            assert_lease(&desk, contents, &[error_text]),
            usual,
            "{line}"
        );
    }
    let contents = [b"# \xfcber\nA=\xff\n\xfe\n", SUBNET_ENV.as_bytes()].concat();
    assert_eq!(assert_lease(&desk, contents, &["line 3: "]), usual);
}

#[test]
fn values_of_flannel_ipmasq() {
    let desk = Desk::new();
    for (value, is_true) in [
        ("true", true),
        ("TRUE", true),
        ("1", true),
        ("Yes", true),
        ("0", false),
        ("False", false),
        ("no", false),
        ("maybe", false),
        ("", false),
    ] {
        let contents = SUBNET_ENV.replace("=true", &format!("={value}"));
        let odd =
            format!("FLANNEL_IPMASQ: {value:?} is taken for false: it is neither true, yes nor 1");
        let error_text = [&*odd];
        let error_text = if ["maybe", ""].contains(&value) {
            &error_text[..]
        } else {
            &[]
        };
        let stdin = assert_lease(&desk, contents, error_text);
        assert_eq!(stdin["ipMasq"], !is_true, "{value:?}");
    }
}

#[test]
fn a_lease_of_ipv6_alone() {
    let desk = Desk::new();
    let contents = SUBNET_ENV
        .replace("10.244.0.0/16", "fd00:244::/56")
        .replace("10.244.1.1/24", "fd00:244:0:1::1/64");
    let stdin = assert_lease(&desk, contents, &[]);
    assert_eq!(
        stdin["ipam"]["ranges"],
        json!([[{"subnet": "fd00:244:0:1::/64"}]])
    );
    assert_eq!(stdin["ipam"]["routes"], json!([{"dst": "fd00:244::/56"}]));
}

#[test]
fn an_unreadable_lease_is_reported() {
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
fn shell_syntax_is_understood() {
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
