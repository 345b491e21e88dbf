//! A master by an alternative name, which may be longer than a name.

use serde_json::json;
use testkit::conf::with;
use testkit::wire::{Container, Lab};

use crate::side::ours;

ours!(a_long_alternative_name, no_such_alternative_name);

const ALTNAME: &str = "a-wire-by-a-name-of-more-than-15-bytes";

fn a_long_alternative_name(lab: &Lab) {
    lab.ip(&format!("link property add dev wire0 altname {ALTNAME}"));
    let (conf, container) = (lab.ipv4(json!({ "master": ALTNAME })), Container::new("a"));
    lab.node
        .run(&lab.call_alone(
            "STATUS",
            &with(conf.clone(), json!({ "cniVersion": "1.1.0" })),
        ))
        .silent();
    let result = lab.add(&container, &conf);
    let link = container.link("eth0");
    assert_eq!(link.kind(), Some(lab.kind.name));
    assert_eq!(link.parent(), Some(lab.link("wire0").index()));
    container.assert_reaches("10.1.1.1");
    lab.check(&container, &conf, &result).silent();
    lab.ip(&format!("link property del dev wire0 altname {ALTNAME}"));
    let failure = lab.check(&container, &conf, &result).failure();
    assert_eq!(failure.code, 120, "{failure:?}");
    assert!(failure.msg.contains(ALTNAME), "{failure:?}");
    lab.del(&container, &conf);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
}

fn no_such_alternative_name(lab: &Lab) {
    let container = Container::new("a");
    for name in [ALTNAME, &"a".repeat(127)] {
        let call = lab.call("ADD", &container, &lab.ipv4(json!({ "master": name })));
        let says = ["master", name, "does not exist"];
        lab.node.run(&call).refusal(7, &says);
    }
    let name = "a".repeat(128);
    let call = lab.call("ADD", &container, &lab.ipv4(json!({ "master": name })));
    lab.node.run(&call).refusal(7, &["master", "127 bytes"]);
    assert_eq!(container.link_names(), ["lo"]);
}
