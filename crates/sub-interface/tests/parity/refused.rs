//! Invalid input gets one error that names the key and the value, and changes nothing. All calls
//! fail before the link is created, so any kernel suffices.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use testkit::conf::{with, without};
use testkit::wire::{Container, Lab};

use crate::side::{Side, both_on_any_kernel};

both_on_any_kernel!(
    wrong_types,
    values,
    masters,
    no_default_route,
    ipam,
    namespaces,
    names,
    no_previous_result,
    no_rights,
    undecodable,
);

/// ADD of a container is refused. The reference is only called if it refuses the input too.
#[track_caller]
fn refuses_add(lab: &Lab, conf: &Value, code: u64, says: &[&str], reference_minds: bool) {
    if lab.side == Side::Reference && !reference_minds {
        return;
    }
    let container = Container::new("c");
    lab.refuses(&lab.call("ADD", &container, conf), code, says);
    if lab.side == Side::Ours {
        assert_eq!(container.link_names(), ["lo"]);
    }
}

fn wrong_types(lab: &Lab) {
    for (keys, says, reference_minds) in [
        (json!({ "master": 7 }), ["master", "7"], true),
        (json!({ "mode": 2 }), ["mode", "2"], true),
        (json!({ "mtu": "1400" }), ["mtu", "1400"], true),
        (json!({ "mtu": 1400.5 }), ["mtu", "1400.5"], true),
        (
            json!({ "linkInContainer": "yes" }),
            ["linkInContainer", "yes"],
            false,
        ),
        (json!({ "dns": "10.1.1.1" }), ["dns", "object"], true),
        (json!({ "ipam": "host-local" }), ["ipam", "object"], true),
        (json!({ "ipam": { "type": 7 } }), ["ipam.type", "7"], true),
    ] {
        refuses_add(lab, &lab.ipv4(keys), 6, &says, reference_minds);
    }
}

fn values(lab: &Lab) {
    // The Go ipvlan does not validate the MTU, so its answer depends on the kernel.
    let minds = lab.kind.name == "macvlan";
    for (keys, says, reference_minds) in [
        (json!({ "mode": "nonsense" }), ["mode", "nonsense"], true),
        (
            json!({ "mode": lab.kind.default_mode.to_uppercase() }),
            ["mode", &*lab.kind.default_mode.to_uppercase()],
            true,
        ),
        (json!({ "mtu": 1501 }), ["mtu 1501", "wire0, 1500"], minds),
        (json!({ "mtu": 67 }), ["mtu", "67"], minds),
        (json!({ "mtu": -1 }), ["mtu", "-1"], minds),
        (
            json!({ "mtu": 5_000_000_000_u64 }),
            ["mtu", "5000000000"],
            minds,
        ),
    ] {
        refuses_add(lab, &lab.ipv4(keys), 7, &says, reference_minds);
    }
}

fn masters(lab: &Lab) {
    for name in ["none0", "sixteen_bytes_xx", "a/b", "a b", ".."] {
        let conf = lab.ipv4(json!({ "master": name }));
        refuses_add(lab, &conf, 7, &["master", name], true);
    }
}

fn no_default_route(lab: &Lab) {
    lab.ip("route del default");
    let conf = without(lab.ipv4(json!({})), "master");
    refuses_add(lab, &conf, 7, &["master", "default route"], true);
}

fn ipam(lab: &Lab) {
    for (name, code) in [("none-such", 100), ("../none", 7), ("a/b", 7), ("..", 7)] {
        let conf = lab.layer2(json!({ "ipam": { "type": name } }));
        refuses_add(lab, &conf, code, &[name], true);
    }
}

fn namespaces(lab: &Lab) {
    let container = Container::new("c");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        "/run/netns/none".as_ref(),
        &*file,
        directory.path(),
        "/dev/null".as_ref(),
        "/proc/self/ns/uts".as_ref(),
    ] {
        let text = path.to_str().unwrap();
        let call = lab
            .call("ADD", &container, &lab.ipv4(json!({})))
            .netns(path);
        lab.refuses(&call, 8, &["CNI_NETNS", text]);
        let previous = json!({ "cniVersion": "1.0.0", "interfaces": [] });
        let conf = with(lab.ipv4(json!({})), json!({ "prevResult": previous }));
        let call = lab.call("CHECK", &container, &conf).netns(path);
        lab.refuses(&call, 8, &["CNI_NETNS", text]);
        if lab.side == Side::Ours {
            let call = lab
                .call("DEL", &container, &lab.ipv4(json!({})))
                .netns(path);
            lab.node.run(&call).silent();
        }
    }
    if lab.side == Side::Ours {
        let own = "/proc/self/ns/net";
        let call = lab.call("ADD", &container, &lab.ipv4(json!({}))).netns(own);
        lab.refuses(&call, 8, &["CNI_NETNS", own]);

        // A result cannot name the path.
        let path = directory.path().join(OsStr::from_bytes(b"c\xff"));
        symlink(container.sandbox.path(), &path).unwrap();
        let call = lab
            .call("ADD", &container, &lab.ipv4(json!({})))
            .netns(&path);
        let says = format!("CNI_NETNS {:?} is not UTF-8", path.to_string_lossy());
        lab.refuses(&call, 4, &[&says]);
        assert_eq!(container.link_names(), ["lo"]);
        lab.node.run(&call.command("DEL")).silent();
    }
}

fn names(lab: &Lab) {
    let container = Container::new("c");
    let call = lab.call("ADD", &container, &lab.ipv4(json!({})));
    for name in ["sixteen_bytes_xx", "a/b", "a b", "a:b", ".", ".."] {
        lab.refuses(&call.clone().ifname(name), 4, &["CNI_IFNAME", name]);
    }
    for name in ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_PATH"] {
        lab.refuses(&call.clone().without(name), 4, &[name]);
    }
}

fn no_previous_result(lab: &Lab) {
    let container = Container::new("c");
    let conf = lab.ipv4(json!({}));
    let call = |conf: &Value| lab.call("CHECK", &container, conf);
    lab.refuses(&call(&conf), 7, &["prevResult"]);
    for (broken, said) in [
        (json!("x"), "prevResult"),
        (
            json!({ "cniVersion": "1.0.0", "ips": [{ "address": "x" }] }),
            "prevResult.ips",
        ),
        (
            json!({ "cniVersion": "1.0.0", "interfaces": 7 }),
            "prevResult.interfaces",
        ),
    ] {
        let conf = with(conf.clone(), json!({ "prevResult": broken }));
        lab.refuses(&call(&conf), 6, &[said]);
    }
}

fn no_rights(lab: &Lab) {
    let container = Container::new("c");
    let call = lab.call_without_rights("ADD", &container, &lab.ipv4(json!({})));
    lab.refuses(&call, 5, &["CAP_NET_ADMIN"]);
    if lab.side == Side::Ours {
        assert_eq!(container.link_names(), ["lo"]);
        assert_eq!(lab.taken(), [""; 0]);
    }
}

fn undecodable(lab: &Lab) {
    let container = Container::new("c");
    for stdin in ["", "{", "[]", "null", r#"{"name":"net","cniVersion":7}"#] {
        let call = lab.call("ADD", &container, &json!({})).stdin(stdin);
        lab.refuses(&call, 6, &["network configuration"]);
    }
}
