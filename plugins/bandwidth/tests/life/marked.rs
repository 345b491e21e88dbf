//! The links that bridge and bandwidth make say whose they are.

use serde_json::json;
use testkit::conf::with;

use crate::support::{Container, Lab, MEGABIT, conf, end, limits, ours};

ours!(
    a_del_finds_what_it_needs_by_the_attachment,
    a_del_finds_the_pair_of_another_plugin_by_the_ifb,
);

/// Without `prevResult`, and without an alias at the pair.
fn a_del_finds_the_pair_of_another_plugin_by_the_ifb(lab: &Lab) {
    let containers = ["c1", "c2"].map(Container::new);
    for container in &containers {
        lab.plug_in(container, "eth0", &end(container));
        lab.add(container, &lab.chained(container, limits(MEGABIT, MEGABIT)));
    }
    let [first, second] = &containers;
    lab.node
        .run(&lab.call("DEL", first, &conf(json!({}))))
        .silent();
    assert_eq!(lab.kinds(&end(first)), [""; 0]);
    assert_eq!(lab.kinds(&end(second)), ["tbf", "clsact"]);
    assert_eq!(lab.ifbs().len(), 1);
}

/// Without `prevResult`, the capability's arguments and the namespace.
fn a_del_finds_what_it_needs_by_the_attachment(lab: &Lab) {
    let (c1, end, alias) = (
        Container::new("c1"),
        "vethk70c0kqwsfj",
        "twill/cbr0/c1/eth0",
    );
    // As bridge makes it.
    lab.plug_in(&c1, "eth0", end);
    lab.ip(&format!("link set {end} alias {alias}"));
    let network = json!({ "name": "cbr0" });
    let previous = json!({ "prevResult": lab.previous_of(&c1, "eth0", end) });
    let keys = with(limits(MEGABIT, MEGABIT), previous);
    lab.add(&c1, &with(conf(keys), network.clone()));
    assert_eq!(lab.kinds(end), ["tbf", "clsact"]);
    let ifb = lab.link("ifbk70c0kqwsfj");
    assert_eq!(ifb.0["ifalias"], alias);

    let bare = conf(network.clone());
    let others = [
        lab.call("DEL", &c1, &bare).ifname("eth1"),
        lab.call("DEL", &c1, &bare).container("c2"),
        lab.call(
            "DEL",
            &c1,
            &with(conf(json!({})), json!({ "name": "cbr1" })),
        ),
    ];
    for other in others {
        lab.node.run(&other.without("CNI_NETNS")).silent();
        assert_eq!(lab.kinds(end), ["tbf", "clsact"]);
        assert_eq!(lab.ifbs(), ["ifbk70c0kqwsfj"]);
    }
    let del = lab.call("DEL", &c1, &bare).without("CNI_NETNS");
    lab.node.run(&del).silent();
    assert_eq!((lab.kinds(end), lab.ifbs()), (Vec::new(), Vec::new()));
}
