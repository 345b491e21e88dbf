//! DEL.

use std::path::Path;

use serde_json::{Value, json};
use testkit::Invocation;
use testkit::expectations::del_of_a_namespace_that_is_gone;
use testkit::requirements::{REFERENCE_DIR, require_reference};

use crate::support::conf::{dual_stack, ipv4, with};
use crate::support::container::Container;
use crate::support::lab::Lab;
use crate::support::side::{both, ours};
use crate::support::snapshot::{Snapshot, assert_same};

both!(
    everything_is_as_before,
    more_than_once,
    of_what_was_never_there,
    a_namespace_that_is_gone,
    no_namespace_is_told,
    the_link_is_gone_already,
    others_are_left_alone,
);

ours!(
    a_path_that_is_another_containers,
    a_path_that_is_another_containers_of_the_go_plugin,
    a_link_that_only_has_the_name_beside_its_own,
    ipam_releases_while_the_link_is_there,
);

fn everything_is_as_before(lab: &Lab) {
    let (conf, container) = (dual_stack(json!({})), Container::new("a"));
    // The network's directory stays.
    lab.add(&container, &conf);
    lab.del(&container, &conf);
    let before = Snapshot::take(lab, &[&container]);
    let result = lab.add(&container, &conf);
    assert_eq!(lab.taken().len(), 2);
    lab.del(&container, &with(conf, json!({ "prevResult": result })));
    assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD and DEL");
}

fn more_than_once(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    for _ in 0..2 {
        lab.add(&container, &conf);
        lab.del(&container, &conf);
        lab.del(&container, &conf);
        assert_eq!(container.link_names(), ["lo"]);
        assert_eq!(lab.taken(), [""; 0]);
    }
}

fn of_what_was_never_there(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &ipv4(json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    lab.del(&b, &ipv4(json!({})));
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "DEL of another");
}

fn a_namespace_that_is_gone(lab: &Lab) {
    del_of_a_namespace_that_is_gone(lab, Container::new("a"), &ipv4(json!({})));
}

fn no_namespace_is_told(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    lab.add(&container, &conf);
    let del = lab.call("DEL", &container, &conf);
    lab.node.run(&del.clone().without("CNI_NETNS")).silent();
    assert_eq!(lab.taken(), [""; 0]);
    lab.node.run(&del).silent();
    assert_eq!(container.link_names(), ["lo"]);
}

fn the_link_is_gone_already(lab: &Lab) {
    let (conf, container) = (ipv4(json!({})), Container::new("a"));
    lab.add(&container, &conf);
    container.ip("link del eth0");
    lab.del(&container, &conf);
    assert_eq!(lab.taken(), [""; 0]);
}

fn others_are_left_alone(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &ipv4(json!({})));
    lab.add(&b, &ipv4(json!({})));
    lab.del(&a, &ipv4(json!({})));
    assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24"]);
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    b.assert_reaches("10.1.1.1");
}

/// DEL of one container with the path of another one's namespace, twice.
#[track_caller]
fn del_at_another(lab: &Lab, a: &Container, b: &Container, conf: &Value) {
    for _ in 0..2 {
        let del = lab.call("DEL", a, conf).netns(b.sandbox.path());
        lab.node.run(&del).silent();
        assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24"]);
        b.assert_reaches("10.1.1.1");
    }
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    lab.del(b, &ipv4(json!({})));
    assert_eq!(b.link_names(), ["lo"]);
}

fn a_path_that_is_another_containers(lab: &Lab) {
    let (conf, a, b) = (ipv4(json!({})), Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    lab.add(&b, &conf);
    del_at_another(lab, &a, &b, &conf);
}

fn a_path_that_is_another_containers_of_the_go_plugin(lab: &Lab) {
    if require_reference(crate::PLUGIN).is_none() {
        return;
    }
    let (conf, a, b) = (ipv4(json!({})), Container::new("a"), Container::new("b"));
    let add = |container: &Container| {
        let program = Path::new(REFERENCE_DIR).join(crate::PLUGIN);
        let add = Invocation::attach(program, "ADD", &container.id)
            .netns(container.sandbox.path())
            .paths(lab.plugin_directories())
            .config(&conf);
        lab.node.run(&add).success()
    };
    let result = add(&a);
    add(&b);
    let conf = with(conf.clone(), json!({ "prevResult": result }));
    del_at_another(lab, &a, &b, &conf);
}

fn a_link_that_only_has_the_name_beside_its_own(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &ipv4(json!({})));
    a.ip("link set eth0 down");
    a.ip("link set eth0 name foo");
    a.ip("link property add dev foo altname eth0");
    lab.del(&a, &ipv4(json!({})));
    assert_eq!(a.link_names(), ["lo", "foo"]);
}

fn ipam_releases_while_the_link_is_there(lab: &Lab) {
    let ipam = lab.install("scripted");
    let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.7/24"}]}"#;
    ipam.on("ADD").stdout(result);
    ipam.on("DEL").record_links();
    let (conf, a) = (
        crate::support::conf::scripted(json!({})),
        Container::new("a"),
    );
    lab.add(&a, &conf);
    lab.del(&a, &conf);
    assert_eq!(ipam.calls()[1].links, ["lo", "eth0"]);
    assert_eq!(a.link_names(), ["lo"]);
}
