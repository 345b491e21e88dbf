//! CHECK: what somebody has removed or changed by hand.

use serde_json::json;
use testkit::conf::with;

use crate::support::{Lab, MEGABIT, conf, end, limits, ours};

ours!(
    each_part,
    an_add_mends_it,
    nothing_is_limited,
    limits_at_the_kernels_bounds,
    a_result_without_links_of_the_node
);

/// What is done by hand, with `END` and `IFB` for the links, and what CHECK says to it.
const DAMAGES: [(&str, &[&str]); 8] = [
    (
        "tc qdisc del dev END root",
        &["ingressRate has no effect", "the qdisc of link END"],
    ),
    (
        "tc qdisc change dev END root handle 7457: tbf rate 2mbit burst 125000 limit 130000",
        &[
            "ingressRate has another effect",
            "250000 bytes per second pass, not 125000",
        ],
    ),
    (
        "tc qdisc change dev END root handle 7457: tbf rate 1mbit burst 250000 limit 260000",
        &[
            "ingressBurst has another effect",
            "250000 bytes pass at once, not 125000",
        ],
    ),
    (
        "tc qdisc del dev END clsact",
        &["egressRate has no effect", "clsact of link END"],
    ),
    (
        "tc filter del dev END ingress",
        &[
            "egressRate has no effect",
            "a filter of what comes in of link END",
        ],
    ),
    (
        "tc qdisc del dev IFB root",
        &["egressRate has no effect", "the qdisc of link IFB"],
    ),
    ("ip link del IFB", &["egressRate has no effect"]),
    ("ip link set IFB down", &["link IFB is down"]),
];

fn each_part(lab: &Lab) {
    for (number, (command, says)) in DAMAGES.into_iter().enumerate() {
        let a = lab.container(&format!("a{number}"));
        let keys = limits(MEGABIT, MEGABIT);
        let added = lab.chained(&a, keys.clone());
        let result = lab.add(&a, &added);
        lab.check(&a, &conf(keys.clone()), &result).silent();
        let (end, ifb) = (end(&a), result["interfaces"][2]["name"].as_str().unwrap());
        let with_names = |text: &str| text.replace("END", &end).replace("IFB", ifb);
        let command = with_names(command);
        match command.strip_prefix("tc ") {
            Some(command) => lab.change_tc(command),
            None => lab.ip(command.strip_prefix("ip ").unwrap()),
        }
        let says: Vec<String> = says.iter().map(|text| with_names(text)).collect();
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        lab.check(&a, &conf(keys.clone()), &result)
            .refusal(120, &says);
        lab.add(&a, &added);
        lab.check(&a, &conf(keys), &result).silent();
        lab.del(&a, &added);
        assert_eq!((lab.kinds(&end), lab.ifbs()), (Vec::new(), Vec::new()));
        lab.ip(&format!("link del {end}"));
    }
}

/// What others have put into `clsact` stays.
fn an_add_mends_it(lab: &Lab) {
    let a = lab.container("a");
    let end = end(&a);
    lab.change_tc(&format!("qdisc add dev {end} clsact"));
    let other = "prio 7 protocol ip u32 match ip dst 192.0.2.1 classid 1:1";
    lab.change_tc(&format!("filter add dev {end} ingress {other}"));
    let conf = lab.chained(&a, limits(MEGABIT, MEGABIT));
    let result = lab.add(&a, &conf);
    lab.check(&a, &conf, &result).silent();
    assert_eq!(lab.add(&a, &conf), result);
    lab.del(&a, &conf);
    assert_eq!(lab.kinds(&end), ["clsact"]);
    let left = lab.tc("filter", &format!("dev {end} ingress"));
    assert!(left.iter().all(|filter| filter["pref"] == 7) && !left.is_empty());
}

fn nothing_is_limited(lab: &Lab) {
    let a = lab.container("a");
    let keys = json!({ "runtimeConfig": { "portMappings": [] } });
    let conf = lab.chained(&a, keys);
    let result = lab.add(&a, &conf);
    lab.check(&a, &conf, &result).silent();
}

/// The kernel counts bursts in 32 bits, of bytes and of units of 64 ns at the rate.
fn limits_at_the_kernels_bounds(lab: &Lab) {
    let a = lab.container("a");
    let kubelets = (1 << 31) - 1;
    for (rate, burst) in [
        (1, 8),
        (80, kubelets),
        (96, kubelets),
        (1_000, kubelets),
        (400_000_000_000, kubelets),
        (1_000_000_000_000_000, 1_000_000_000_000_000),
        (u64::MAX, u64::MAX),
    ] {
        for subnets in [json!([]), json!(["10.0.0.0/8"])] {
            let keys = with(limits(rate, burst), json!({ "shapedSubnets": subnets }));
            let added = lab.chained(&a, keys.clone());
            let result = lab.add(&a, &added);
            lab.check(&a, &conf(keys), &result).silent();
            assert_eq!(lab.add(&a, &added), result, "{rate} {burst}");
            lab.del(&a, &added);
        }
    }
}

/// Some plugins list the container's end alone, so the ifb is the only link of the node.
fn a_result_without_links_of_the_node(lab: &Lab) {
    let a = lab.container("a");
    let keys = limits(MEGABIT, MEGABIT);
    let mut added = lab.chained(&a, keys.clone());
    added["prevResult"]["interfaces"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    added["prevResult"]["ips"][0]["interface"] = json!(0);
    let result = lab.add(&a, &added);
    assert_eq!(result["interfaces"].as_array().unwrap().len(), 2);
    lab.check(&a, &conf(keys), &result).silent();
    assert_eq!(lab.add(&a, &added), result);
    lab.del(&a, &added);
    assert_eq!((lab.kinds(&end(&a)), lab.ifbs()), (Vec::new(), Vec::new()));
}
