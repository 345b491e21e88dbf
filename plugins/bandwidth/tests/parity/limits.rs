//! Which limits an ADD makes, and what its result is.

use serde_json::{Value, json};
use testkit::conf::with;

use crate::support::{Container, Lab, MEGABIT, both, conf, end, limits};

both!(
    both_directions,
    one_direction,
    nothing_to_limit,
    limits_of_the_runtime,
    the_configuration_wins,
    a_check_of_what_is_there,
    del_needs_nothing,
);

/// What `tbf` at a link's root lets pass: bytes per second, and bytes at once.
#[track_caller]
pub(crate) fn tbf(lab: &Lab, link: &str) -> Option<(u64, u64)> {
    let root = lab.root(link)?;
    assert_eq!(root["kind"], "tbf", "{root}");
    let option = |key: &str| root["options"][key].as_u64().unwrap();
    Some((option("rate"), option("burst")))
}

/// The Go plugin's times are in microseconds, and the kernel's in units of 64 ns.
#[track_caller]
fn assert_tbf(lab: &Lab, link: &str, rate: u64, burst: u64) {
    let found = tbf(lab, link).unwrap_or_else(|| panic!("{link} has no limit"));
    assert_eq!(found.0, rate, "{link}");
    assert!(
        found.1.abs_diff(burst) <= 2,
        "{link}: {found:?}, not {burst}"
    );
}

#[track_caller]
fn ifb_of(result: &Value) -> String {
    result["interfaces"][2]["name"].as_str().unwrap().to_owned()
}

fn both_directions(lab: &Lab) {
    let a = lab.container("a");
    let keys = json!({
        "ingressRate": MEGABIT, "ingressBurst": 2 * MEGABIT,
        "egressRate": 3 * MEGABIT, "egressBurst": MEGABIT,
    });
    let conf = lab.chained(&a, keys);
    let result = lab.add(&a, &conf);
    assert_tbf(lab, &end(&a), 125_000, 250_000);
    let ifb = ifb_of(&result);
    assert_tbf(lab, &ifb, 375_000, 125_000);
    let link = lab.link(&ifb);
    assert_eq!(link.kind(), Some("ifb"));
    assert!(link.has_flag("UP"));
    assert_eq!(link.mtu(), lab.link(&end(&a)).mtu());
    let mut expected = conf["prevResult"].clone();
    let added = json!({ "name": ifb, "mac": link.mac() });
    expected["interfaces"].as_array_mut().unwrap().push(added);
    let mut result = result;
    result.as_object_mut().unwrap().remove("dns");
    assert_eq!(result, expected);
    lab.del(&a, &conf);
    assert_eq!(lab.ifbs(), [""; 0]);
}

fn one_direction(lab: &Lab) {
    let (a, b) = (lab.container("a"), Container::new("b"));
    lab.plug_in(&b, "eth0", &end(&b));
    let keys = json!({ "ingressRate": MEGABIT, "ingressBurst": MEGABIT });
    let result = lab.add(&a, &lab.chained(&a, keys));
    assert_eq!(result["interfaces"].as_array().unwrap().len(), 2);
    assert_tbf(lab, &end(&a), 125_000, 125_000);
    assert_eq!(lab.kinds(&end(&a)), ["tbf"]);
    assert_eq!(lab.ifbs(), [""; 0]);

    let keys = json!({ "egressRate": MEGABIT, "egressBurst": MEGABIT });
    let result = lab.add(&b, &lab.chained(&b, keys));
    assert_tbf(lab, &ifb_of(&result), 125_000, 125_000);
    assert_eq!(tbf(lab, &end(&b)), None);
}

fn nothing_to_limit(lab: &Lab) {
    let a = lab.container("a");
    for keys in [
        json!({}),
        json!({ "ingressRate": 0, "ingressBurst": 0 }),
        json!({ "runtimeConfig": {} }),
        json!({ "runtimeConfig": { "bandwidth": {} } }),
        json!({ "runtimeConfig": { "bandwidth": null } }),
    ] {
        let conf = lab.chained(&a, keys);
        let mut result = lab.add(&a, &conf);
        result.as_object_mut().unwrap().remove("dns");
        assert_eq!(result, conf["prevResult"]);
        assert_eq!((lab.root(&end(&a)), lab.ifbs()), (None, Vec::new()));
        lab.del(&a, &conf);
    }
}

fn limits_of_the_runtime(lab: &Lab) {
    let a = lab.container("a");
    let keys = json!({ "runtimeConfig": { "bandwidth": limits(MEGABIT, MEGABIT) } });
    let result = lab.add(&a, &lab.chained(&a, keys));
    assert_tbf(lab, &end(&a), 125_000, 125_000);
    assert_tbf(lab, &ifb_of(&result), 125_000, 125_000);
}

/// One key is enough.
fn the_configuration_wins(lab: &Lab) {
    let a = lab.container("a");
    let runtime = json!({ "runtimeConfig": { "bandwidth": limits(MEGABIT, MEGABIT) } });
    let own = json!({ "ingressRate": 2 * MEGABIT, "ingressBurst": MEGABIT });
    lab.add(&a, &lab.chained(&a, with(runtime.clone(), own)));
    assert_tbf(lab, &end(&a), 250_000, 125_000);
    assert_eq!(lab.ifbs(), [""; 0]);

    let b = Container::new("b");
    lab.plug_in(&b, "eth0", &end(&b));
    lab.add(
        &b,
        &lab.chained(&b, with(runtime, json!({ "egressRate": 0 }))),
    );
    assert_eq!((lab.root(&end(&b)), lab.ifbs()), (None, Vec::new()));
}

fn a_check_of_what_is_there(lab: &Lab) {
    let a = lab.container("a");
    let keys = limits(MEGABIT, MEGABIT);
    let result = lab.add(&a, &lab.chained(&a, keys.clone()));
    lab.check(&a, &conf(keys), &result).silent();
    for (rate, burst) in [(2 * MEGABIT, MEGABIT), (MEGABIT, 2 * MEGABIT)] {
        lab.check(&a, &conf(limits(rate, burst)), &result).failure();
    }
}

/// A runtime that has lost its cache has neither `prevResult` nor the capability's arguments, and
/// the namespace may be gone.
fn del_needs_nothing(lab: &Lab) {
    let a = lab.container("a");
    let keys = json!({ "runtimeConfig": { "bandwidth": limits(MEGABIT, MEGABIT) } });
    lab.add(&a, &lab.chained(&a, keys));
    assert_eq!(lab.ifbs().len(), 1);
    for _ in 0..2 {
        let del = lab.call("DEL", &a, &conf(json!({}))).without("CNI_NETNS");
        lab.node.run(&del).silent();
        assert_eq!(lab.ifbs(), [""; 0]);
    }
}
