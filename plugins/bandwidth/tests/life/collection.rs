//! GC and STATUS.

use serde_json::{Value, json};
use testkit::conf::with;

use crate::support::{Container, Lab, MEGABIT, conf, end, limits, ours};

ours!(
    what_is_not_valid_goes,
    other_networks_stay,
    the_kernel_can_limit_traffic,
    nobody_may_change_the_network,
);

#[track_caller]
fn gc(lab: &Lab, keys: Value, valid: &[(&str, &str)]) {
    let valid: Vec<Value> = valid
        .iter()
        .map(|(id, ifname)| json!({ "containerID": id, "ifname": ifname }))
        .collect();
    let conf = with(
        conf(json!({ "cniVersion": "1.1.0", "cni.dev/valid-attachments": valid })),
        keys,
    );
    lab.node.run(&lab.call_alone("GC", &conf)).silent();
}

fn ifb_of(result: &Value) -> &str {
    result["interfaces"][2]["name"].as_str().unwrap()
}

fn what_is_not_valid_goes(lab: &Lab) {
    let (a, b) = (lab.container("a"), Container::new("b"));
    lab.plug_in(&b, "eth0", &end(&b));
    lab.plug_in(&a, "eth1", "second");
    let keys = limits(MEGABIT, MEGABIT);
    let first = lab.add(&a, &lab.chained(&a, keys.clone()));
    let previous = json!({ "prevResult": lab.previous_of(&a, "eth1", "second") });
    let second = lab.call("ADD", &a, &with(conf(keys.clone()), previous));
    let second = lab.node.run(&second.ifname("eth1")).success();
    let other = lab.add(&b, &lab.chained(&b, keys.clone()));
    assert_eq!(lab.ifbs().len(), 3);
    gc(
        lab,
        json!({}),
        &[("a", "eth0"), ("a", "eth1"), ("b", "eth0")],
    );
    assert_eq!(lab.ifbs().len(), 3);
    gc(lab, json!({}), &[("a", "eth1"), ("b", "eth0")]);
    assert_eq!(lab.ifbs(), [ifb_of(&second), ifb_of(&other)]);
    assert!(!lab.ifbs().contains(&ifb_of(&first).to_owned()));
    gc(lab, json!({}), &[]);
    assert_eq!(lab.ifbs(), [""; 0]);
}

fn other_networks_stay(lab: &Lab) {
    let a = lab.container("a");
    let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
    let result = lab.add(&a, &conf);
    gc(lab, json!({ "name": "other" }), &[]);
    assert_eq!(lab.ifbs(), [ifb_of(&result)]);
    lab.check(&a, &conf, &result).silent();
}

fn status(keys: Value) -> Value {
    with(conf(json!({ "cniVersion": "1.1.0" })), keys)
}

fn the_kernel_can_limit_traffic(lab: &Lab) {
    for keys in [
        json!({}),
        limits(MEGABIT, MEGABIT),
        with(
            limits(MEGABIT, MEGABIT),
            json!({ "shapedSubnets": ["10.0.0.0/8"] }),
        ),
    ] {
        lab.node
            .run(&lab.call_alone("STATUS", &status(keys)))
            .silent();
        assert_eq!(lab.link_names(), ["lo"]);
        assert_eq!(lab.kinds("lo"), [""; 0]);
    }
    let half = status(json!({ "ingressRate": 8 }));
    let outcome = lab.node.run(&lab.call_alone("STATUS", &half));
    outcome.refusal(50, &["ingressRate is 8 without ingressBurst"]);
}

fn nobody_may_change_the_network(lab: &Lab) {
    let a = lab.container("a");
    let call = lab.call_without_rights("STATUS", &a, &status(json!({})));
    let outcome = lab.node.run(&call);
    outcome.refusal(50, &["CAP_NET_ADMIN"]);
    let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
    let outcome = lab.node.run(&lab.call_without_rights("ADD", &a, &conf));
    outcome.failure();
    assert_eq!((lab.root(&end(&a)), lab.ifbs()), (None, Vec::new()));
}
