//! Requested MACs.

use serde_json::{Value, json};
use testkit::conf::with;
use testkit::wire::{Container, Lab};

use crate::side::{Side, both, ours};

both!(
    a_mac_can_be_requested_in_each_place,
    requests_have_a_precedence,
    an_invalid_mac_is_refused,
    a_mac_in_use_is_refused
);
ours!(
    args_of_the_convention,
    passthru_refuses_a_mac,
    broadcast_queue
);

const CONF: &str = "02:00:00:00:00:01";
const ARGS: &str = "02:00:00:00:00:02";
const CNI: &str = "02:00:00:00:00:03";
const RUNTIME: &str = "02:00:00:00:00:04";

/// The link gets the MAC, and the result has it.
#[track_caller]
fn assert_gets(lab: &Lab, conf: &Value, cni_args: &str, mac: &str) {
    let container = Container::new("a");
    let call = lab.call("ADD", &container, conf).args(cni_args);
    let result = lab.node.run(&call).success();
    assert_eq!(result["interfaces"][0]["mac"], mac, "{result}");
    assert_eq!(container.link("eth0").mac(), mac);
    lab.node.run(&call.command("DEL")).silent();
}

fn configured(lab: &Lab) -> Value {
    lab.layer2(json!({ "mac": CONF }))
}

fn by_runtime(conf: Value) -> Value {
    with(conf, json!({ "runtimeConfig": { "mac": RUNTIME } }))
}

fn a_mac_can_be_requested_in_each_place(lab: &Lab) {
    let plain = || lab.layer2(json!({}));
    assert_gets(lab, &configured(lab), "", CONF);
    assert_gets(lab, &plain(), &format!("MAC={ARGS}"), ARGS);
    let more = format!("IgnoreUnknown=1;K8S_POD_NAME=p;MAC={ARGS};IP=10.1.1.9");
    assert_gets(lab, &plain(), &more, ARGS);
    assert_gets(lab, &by_runtime(plain()), "", RUNTIME);
    let upper = with(
        plain(),
        json!({ "runtimeConfig": { "Mac": "02-00-00-AB-CD-EF" } }),
    );
    assert_gets(lab, &upper, "", "02:00:00:ab:cd:ef");
}

fn requests_have_a_precedence(lab: &Lab) {
    let args = format!("MAC={ARGS}");
    assert_gets(lab, &configured(lab), &args, ARGS);
    assert_gets(lab, &by_runtime(configured(lab)), &args, RUNTIME);
    assert_gets(lab, &by_runtime(configured(lab)), "", RUNTIME);
    let empty = with(configured(lab), json!({ "runtimeConfig": { "mac": "" } }));
    assert_gets(lab, &empty, "", CONF);
}

fn args_of_the_convention(lab: &Lab) {
    let args = format!("MAC={ARGS}");
    let conf = with(
        configured(lab),
        json!({ "args": { "cni": { "mac": CNI } } }),
    );
    assert_gets(lab, &conf, &args, CNI);
    assert_gets(lab, &by_runtime(conf), &args, RUNTIME);
}

fn an_invalid_mac_is_refused(lab: &Lab) {
    let container = Container::new("c");
    for mac in [
        "02:00:00:00:00",
        "02:00:00:00:00:zz",
        "x",
        // A group address, not one of a single interface.
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        // An EUI-64.
        "02:00:00:00:00:00:00:01",
    ] {
        let call = |keys| lab.call("ADD", &container, &lab.ipv4(keys));
        lab.refuses(&call(json!({ "mac": mac })), 7, &["mac", mac]);
        let runtime = json!({ "runtimeConfig": { "mac": mac } });
        lab.refuses(&call(runtime), 7, &["runtimeConfig.mac", mac]);
        let args = call(json!({})).args(format!("MAC={mac}"));
        lab.refuses(&args, 4, &["CNI_ARGS", "MAC", mac]);
        if lab.side == Side::Ours {
            let args = json!({ "args": { "cni": { "mac": mac } } });
            lab.refuses(&call(args), 7, &["args.cni.mac", mac]);
            assert_eq!(container.link_names(), ["lo"]);
        } else {
            // The remains of the failure must not affect the next case.
            lab.node.run(&call(json!({})).command("DEL")).silent();
        }
    }
    let call = lab.call("ADD", &container, &lab.ipv4(json!({})));
    lab.refuses(
        &call.args("K8S_POD_NAME=p"),
        4,
        &["CNI_ARGS", "K8S_POD_NAME"],
    );
}

/// Two links on one wire cannot have the same MAC.
fn a_mac_in_use_is_refused(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    for conf in [configured(lab), lab.ipv4(json!({ "mac": CONF }))] {
        lab.add(&a, &conf);
        let outcome = lab.node.run(&lab.call("ADD", &b, &conf));
        let failure = outcome.failure();
        if lab.side == Side::Ours {
            assert_eq!(failure.code, 7, "{outcome}");
            assert!(failure.msg.contains("mac"), "{outcome}");
            assert_eq!(b.link_names(), ["lo"]);
        }
        lab.del(&b, &conf);
        lab.del(&a, &conf);
        assert_eq!(lab.taken(), [""; 0]);
    }
}

/// In this mode, the kernel ignores the MAC and uses the master's.
fn passthru_refuses_a_mac(lab: &Lab) {
    let container = Container::new("a");
    let conf = lab.layer2(json!({ "mode": "passthru", "mac": CONF }));
    let own = lab.link("wire0").mac().to_owned();
    let says = ["mac", CONF, "passthru", "wire0", &own];
    lab.refuses(&lab.call("ADD", &container, &conf), 7, &says);
    let conf = with(conf, json!({ "mac": own }));
    lab.add(&container, &conf);
    assert_eq!(container.link("eth0").mac(), own);
}

fn broadcast_queue(lab: &Lab) {
    let container = Container::new("a");
    let conf = |length: u32| lab.ipv4(json!({ "bcqueuelen": length }));
    let call = lab.call("ADD", &container, &conf(500));
    lab.refuses(&call, 7, &["bcqueuelen", "500"]);
    lab.add(&container, &conf(0));
}
