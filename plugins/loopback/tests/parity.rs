//! One suite for two implementations: each assertion runs with this workspace's loopback, and with
//! Debian's. `TWILL_UNDER_TEST=ours` or `=reference` chooses one side.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::requirements::{require_reference, require_root};
use testkit::{Invocation, NetNs, Outcome, Side, binaries};

/// A plugin, and a new container, whose `lo` is down.
struct Lab {
    is_ours: bool,
    program: PathBuf,
    sandbox: NetNs,
}

impl Lab {
    #[track_caller]
    fn new(side: Side) -> Option<Self> {
        if !side.is_chosen() || !require_root() {
            return None;
        }
        let program = match side {
            Side::Ours => binaries::plugin("loopback"),
            Side::Reference => require_reference("loopback")?,
        };
        let lab = Self {
            is_ours: side == Side::Ours,
            program,
            sandbox: NetNs::new().unwrap(),
        };
        lab.ip("link set lo down");
        Some(lab)
    }

    fn ip(&self, args: &str) {
        self.sandbox.ip(args);
    }

    fn call(&self, command: &str, conf: &Value) -> Invocation {
        Invocation::attach(&self.program, command, "c1")
            .ifname("lo")
            .netns(self.sandbox.path())
            .config(conf)
    }

    fn run(&self, command: &str, conf: &Value) -> Outcome {
        self.call(command, conf).run()
    }

    fn is_up(&self) -> bool {
        let lo = &self.sandbox.ip_json(&["link", "show", "lo"])[0];
        lo["flags"].as_array().unwrap().contains(&"UP".into())
    }

    fn sandbox(&self) -> String {
        self.sandbox.path().to_str().unwrap().to_owned()
    }
}

testkit::both!(
    Lab::new;
    add_brings_lo_up_and_del_brings_it_down,
    every_version,
    without_ipv6,
    prev_result_is_passed_on,
    any_cni_ifname_means_lo,
    an_lo_that_is_up_is_no_error,
    an_address_that_is_no_loopback_address_is_refused,
    del_without_a_namespace_succeeds,
    a_path_that_is_no_namespace_is_refused_except_by_del,
    check,
);

fn conf(version: &str) -> Value {
    json!({ "cniVersion": version, "name": "lo", "type": "loopback" })
}

/// Some versions omit an empty `dns`.
fn comparable(mut result: Value) -> Value {
    if result["dns"] == json!({}) {
        result.as_object_mut().unwrap().remove("dns");
    }
    result
}

fn add_brings_lo_up_and_del_brings_it_down(lab: &Lab) {
    let result = lab.run("ADD", &conf("1.0.0")).success();
    let expected = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "lo", "mac": "00:00:00:00:00:00", "sandbox": lab.sandbox() }],
        "ips": [
            { "address": "127.0.0.1/8", "interface": 0 },
            { "address": "::1/128", "interface": 0 },
        ],
    });
    assert_eq!(comparable(result), expected);
    assert!(lab.is_up());
    lab.run("DEL", &conf("1.0.0")).silent();
    assert!(!lab.is_up());
    lab.run("DEL", &conf("1.0.0")).silent();
}

/// The Go plugin answers every version in the shape of 1.0.0.
fn every_version(lab: &Lab) {
    for version in [
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
    ] {
        if version == "1.1.0" && !lab.is_ours {
            continue;
        }
        let result = comparable(lab.run("ADD", &conf(version)).success());
        let interface = |mut interface: Value| {
            interface["name"] = "lo".into();
            interface["mac"] = "00:00:00:00:00:00".into();
            interface["sandbox"] = lab.sandbox().into();
            json!([interface])
        };
        let ips = |is_old: bool| {
            let ip = |address: &str, version: &str| {
                let mut ip = json!({ "address": address, "interface": 0 });
                if is_old {
                    ip["version"] = version.into();
                }
                ip
            };
            json!([ip("127.0.0.1/8", "4"), ip("::1/128", "6")])
        };
        let expected = match version {
            "0.1.0" | "0.2.0" if lab.is_ours => json!({
                "cniVersion": version,
                "ip4": { "ip": "127.0.0.1/8" },
                "ip6": { "ip": "::1/128" },
            }),
            "1.1.0" => json!({
                "cniVersion": version,
                "interfaces": interface(json!({ "mtu": 65536 })),
                "ips": ips(false),
            }),
            _ => json!({
                "cniVersion": version,
                "interfaces": interface(json!({})),
                "ips": ips(lab.is_ours && version != "1.0.0"),
            }),
        };
        assert_eq!(result, expected);
    }
}

fn without_ipv6(lab: &Lab) {
    let off = "/proc/sys/net/ipv6/conf/lo/disable_ipv6";
    lab.sandbox.enter(|| fs::write(off, "1")).unwrap();
    let result = lab.run("ADD", &conf("1.0.0")).success();
    let ips = json!([{ "address": "127.0.0.1/8", "interface": 0 }]);
    assert_eq!(result["ips"], ips);
}

fn prev_result_is_passed_on(lab: &Lab) {
    let previous = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "eth0", "sandbox": lab.sandbox() }],
        "ips": [{ "address": "10.1.1.2/24", "gateway": "10.1.1.1", "interface": 0 }],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dns": { "nameservers": ["10.1.1.53"] },
    });
    let mut conf = conf("1.0.0");
    conf["prevResult"] = previous.clone();
    assert_eq!(lab.run("ADD", &conf).success(), previous);
    assert!(lab.is_up());
    conf["prevResult"] = json!({ "cniVersion": "1.0.0", "ips": [{ "address": "x" }] });
    lab.ip("link set lo down");
    let failure = lab.run("ADD", &conf).failure();
    if lab.is_ours {
        assert_eq!(failure.code, 6);
        assert!(failure.msg.contains("prevResult.ips"), "{failure:?}");
    }
    assert!(!lab.is_up());
    lab.run("DEL", &conf).silent();
}

fn any_cni_ifname_means_lo(lab: &Lab) {
    let call = lab.call("ADD", &conf("1.0.0")).ifname("eth0");
    let result = call.run().success();
    assert_eq!(result["interfaces"][0]["name"], "lo");
    assert!(lab.is_up());
}

/// Docker brings `lo` up itself.
fn an_lo_that_is_up_is_no_error(lab: &Lab) {
    lab.ip("link set lo up");
    lab.ip("address add 127.0.0.2/8 dev lo");
    let first = lab.run("ADD", &conf("1.0.0")).success();
    assert_eq!(first["ips"].as_array().unwrap().len(), 2);
    assert_eq!(first["ips"][0]["address"], "127.0.0.1/8");
    assert_eq!(lab.run("ADD", &conf("1.0.0")).success(), first);
}

/// Ours leaves `lo` as it was; the Go plugin leaves it up.
fn an_address_that_is_no_loopback_address_is_refused(lab: &Lab) {
    for address in ["10.9.9.9/32", "fd00:9::9/128"] {
        lab.ip(&format!("address add {address} dev lo"));
        let outcome = lab.run("ADD", &conf("1.0.0"));
        let failure = outcome.failure();
        let ip = address.split('/').next().unwrap();
        if lab.is_ours {
            assert!(failure.msg.contains(ip), "{outcome}");
            assert_eq!(failure.code, 8, "{outcome}");
            assert_eq!(outcome.stderr_text(), "");
        }
        assert_eq!(lab.is_up(), !lab.is_ours);
        lab.ip("link set lo down");
        if !address.contains(':') {
            lab.ip(&format!("address del {address} dev lo"));
        }
    }
}

fn del_without_a_namespace_succeeds(lab: &Lab) {
    let call = lab.call("DEL", &conf("1.0.0"));
    call.clone().without("CNI_NETNS").run().silent();
    call.netns("/run/netns/none").run().silent();
}

fn a_path_that_is_no_namespace_is_refused_except_by_del(lab: &Lab) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in ["/run/netns/none", file.to_str().unwrap()] {
        for command in ["ADD", "CHECK"] {
            let outcome = lab.call(command, &conf("1.0.0")).netns(path).run();
            let failure = outcome.failure();
            if lab.is_ours {
                assert_eq!(failure.code, 8, "{outcome}");
                assert!(failure.msg.contains("CNI_NETNS"), "{outcome}");
                assert!(failure.msg.contains(path), "{outcome}");
            }
        }
    }
    if lab.is_ours {
        // The Go plugin fails each time.
        let call = lab.call("DEL", &conf("1.0.0")).netns(&file);
        call.run().silent();
        let below = file.join("below");
        let call = lab.call("DEL", &conf("1.0.0")).netns(&below);
        call.run().silent();
    }
}

/// A result cannot name the path. DEL has no result.
#[test]
fn a_path_that_is_not_utf8_is_refused_except_by_del() {
    let Some(lab) = Lab::new(Side::Ours) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(OsStr::from_bytes(b"lo\xff"));
    symlink(lab.sandbox.path(), &path).unwrap();
    let call = lab.call("ADD", &conf("1.0.0")).netns(&path);
    let says = format!("CNI_NETNS {:?} is not UTF-8", path.to_string_lossy());
    call.run().refusal(4, &[&says]);
    assert!(!lab.is_up());
    lab.run("ADD", &conf("1.0.0")).success();
    call.command("DEL").run().silent();
    assert!(!lab.is_up());
}

fn check(lab: &Lab) {
    let conf = conf("1.0.0");
    let result = lab.run("ADD", &conf).success();
    let mut conf = conf;
    conf["prevResult"] = result;
    lab.run("CHECK", &conf).silent();
    lab.ip("link set lo down");
    let outcome = lab.run("CHECK", &conf);
    let failure = outcome.failure();
    if lab.is_ours {
        assert_eq!(failure.code, 120, "{outcome}");
        assert!(failure.msg.contains("lo is down"), "{outcome}");
    }
}
