//! Every known difference from the Go plugin 1.1.1, with what ours does and why.

use serde_json::{Value, json};
use testkit::conf::with;

use crate::limits::tbf;
use crate::support::{Container, Lab, MEGABIT, Side, both, conf, end, limits};

both!(
    two_attachments_of_a_container,
    a_repeated_add,
    unknown_keys_of_the_previous_result,
    kubelets_burst,
    a_burst_without_room_for_a_packet,
    a_check_after_a_qdisc_is_gone,
    a_failed_add,
    every_version,
);

/// The Go plugin names the link for what a container sends by the container alone.
fn two_attachments_of_a_container(lab: &Lab) {
    let a = lab.container("a");
    lab.plug_in(&a, "eth1", "second");
    let keys = limits(MEGABIT, MEGABIT);
    lab.add(&a, &lab.chained(&a, keys.clone()));
    let previous = lab.previous_of(&a, "eth1", "second");
    let second = with(conf(keys.clone()), json!({ "prevResult": previous }));
    let outcome = lab.node.run(&lab.call("ADD", &a, &second).ifname("eth1"));
    if lab.side == Side::Reference {
        assert!(outcome.failure().msg.contains("file exists"), "{outcome}");
        return;
    }
    let result = outcome.success();
    assert_eq!(lab.ifbs().len(), 2);
    assert!(tbf(lab, "second").is_some());
    // The DEL of one leaves the other.
    lab.del(&a, &lab.chained(&a, keys.clone()));
    assert_eq!(
        lab.ifbs(),
        [result["interfaces"][2]["name"].as_str().unwrap()]
    );
    let check = with(conf(keys), json!({ "prevResult": result }));
    lab.node
        .run(&lab.call("CHECK", &a, &check).ifname("eth1"))
        .silent();
}

/// It changes nothing, and has the same result.
fn a_repeated_add(lab: &Lab) {
    let a = lab.container("a");
    let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
    let result = lab.add(&a, &conf);
    let all = || {
        let filters = lab.tc("filter", &format!("dev {} ingress", end(&a)));
        let without_counts = |mut qdiscs: Vec<Value>| {
            for key in [
                "bytes",
                "packets",
                "drops",
                "backlog",
                "qlen",
                "overlimits",
                "requeues",
            ] {
                for qdisc in &mut qdiscs {
                    qdisc[key] = Value::Null;
                }
            }
            qdiscs
        };
        let ifb = result["interfaces"][2]["name"].as_str().unwrap();
        let qdiscs =
            [&end(&a), ifb].map(|link| without_counts(lab.tc("qdisc", &format!("dev {link}"))));
        (lab.ifbs(), filters.len(), qdiscs)
    };
    let before = all();
    let outcome = lab.node.run(&lab.call("ADD", &a, &conf));
    match lab.side {
        Side::Ours => assert_eq!(outcome.success(), result),
        Side::Reference => assert!(outcome.failure().msg.contains("exists"), "{outcome}"),
    }
    assert_eq!(all(), before);
}

fn unknown_keys_of_the_previous_result(lab: &Lab) {
    let a = lab.container("a");
    for keys in [json!({}), limits(MEGABIT, MEGABIT)] {
        let mut conf = lab.chained(&a, keys);
        conf["prevResult"]["new"] = json!({ "n": 1 });
        conf["prevResult"]["interfaces"][0]["new"] = json!(2);
        let result = lab.add(&a, &conf);
        let (outer, inner) = lab
            .side
            .pick((json!({ "n": 1 }), json!(2)), (json!(null), json!(null)));
        assert_eq!(result["new"], outer);
        assert_eq!(result["interfaces"][0]["new"], inner);
    }
}

/// kubelet has no annotation for a burst, and sends the largest number that it knows: at 1 Mbit/s,
/// half an hour without a limit. Ours is a tenth of a second's.
fn kubelets_burst(lab: &Lab) {
    let a = lab.container("a");
    let keys = json!({ "ingressRate": MEGABIT, "ingressBurst": i32::MAX });
    lab.add(&a, &lab.chained(&a, keys));
    let (rate, burst) = tbf(lab, &end(&a)).unwrap();
    assert_eq!(rate, 125_000);
    match lab.side {
        Side::Ours => assert!(burst.abs_diff(12_500) <= 1, "{burst}"),
        // The kernel reports what fits into its number.
        Side::Reference => assert!(burst > 1_000_000, "{burst}"),
    }
}

/// With the Go plugin, such a limit lets no large packet pass, ever.
fn a_burst_without_room_for_a_packet(lab: &Lab) {
    let a = lab.container("a");
    let keys = json!({ "ingressRate": MEGABIT, "ingressBurst": 800 });
    lab.add(&a, &lab.chained(&a, keys));
    let (_, burst) = tbf(lab, &end(&a)).unwrap();
    let expected = lab.side.pick(3036, 100);
    assert!(burst.abs_diff(expected) <= 1, "{burst}, not {expected}");
}

/// The Go plugin compares qdiscs with those that it finds of the kind.
fn a_check_after_a_qdisc_is_gone(lab: &Lab) {
    let a = lab.container("a");
    let keys = limits(MEGABIT, MEGABIT);
    let result = lab.add(&a, &lab.chained(&a, keys.clone()));
    lab.change_tc(&format!("qdisc replace dev {} root pfifo", end(&a)));
    let outcome = lab.check(&a, &conf(keys), &result);
    match lab.side {
        Side::Ours => {
            outcome.refusal(120, &["ingressRate has no effect", "qdisc", &end(&a)]);
        }
        Side::Reference => outcome.silent(),
    }
}

/// Something else limits the container's traffic already.
fn a_failed_add(lab: &Lab) {
    let a = lab.container("a");
    let end = end(&a);
    // The Go plugin fails with the second qdisc, after the first and the ifb.
    let foreign = lab.side.pick(
        "root handle 5: tbf rate 1mbit burst 10kb limit 20kb",
        "ingress",
    );
    lab.change_tc(&format!("qdisc add dev {end} {foreign}"));
    let before = (lab.kinds(&end), lab.ifbs());
    let outcome = lab
        .node
        .run(&lab.call("ADD", &a, &lab.chained(&a, limits(MEGABIT, MEGABIT))));
    let after = (lab.kinds(&end), lab.ifbs());
    match lab.side {
        Side::Ours => {
            outcome.refusal(2, &[&end, "qdisc tbf 5:0 of somebody else"]);
            assert_eq!(after, before);
        }
        Side::Reference => {
            outcome.failure();
            assert_eq!(after.1.len(), 1);
            assert_eq!(after.0, ["tbf", "ingress"]);
        }
    }
}

/// The Go plugin knows those from 0.3.0 to 1.0.0.
fn every_version(lab: &Lab) {
    let a: Container = lab.container("a");
    for version in [
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
    ] {
        let mut conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
        conf["cniVersion"] = json!(version);
        let previous = &mut conf["prevResult"];
        previous["cniVersion"] = json!(version);
        let is_old = version < "0.3.0";
        if is_old {
            *previous = json!({ "cniVersion": version, "ip4": { "ip": "10.1.1.2/24" } });
        } else if version < "1.0.0" {
            previous["ips"][0]["version"] = json!("4");
        }
        let outcome = lab.node.run(&lab.call("ADD", &a, &conf));
        if lab.side == Side::Reference && (is_old || version == "1.1.0") {
            outcome.failure();
            continue;
        }
        let result = outcome.success();
        assert_eq!(result["cniVersion"], version);
        assert_eq!(tbf(lab, &end(&a)).map(|limit| limit.0), Some(125_000));
        if is_old {
            assert_eq!(result["ip4"]["ip"], "10.1.1.2/24");
            assert_eq!(result["interfaces"], Value::Null);
        } else {
            let ifb = result["interfaces"][2]["name"].as_str().unwrap();
            assert_eq!(lab.ifbs(), [ifb]);
        }
        lab.del(&a, &conf);
        if lab.side == Side::Reference {
            // The Go plugin leaves these to whoever removes the pair. Ours finds the pair by the
            // ifb, even by a result without interfaces.
            let end = end(&a);
            lab.change_tc(&format!("qdisc del dev {end} root"));
            lab.change_tc(&format!("qdisc del dev {end} ingress"));
        }
        assert_eq!((lab.kinds(&end(&a)), lab.ifbs()), (Vec::new(), Vec::new()));
    }
}
