//! The links that bridge and bandwidth make say whose they are.

use serde_json::json;
use testkit::conf::with;

use crate::support::{Container, Lab, MEGABIT, conf, limits, ours};

ours!(a_del_finds_what_it_needs_by_the_attachment);

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
