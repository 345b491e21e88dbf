//! DEL.

use std::path::Path;

use serde_json::{Value, json};
use testkit::Invocation;
use testkit::conf::with;
use testkit::expectations::del_of_a_namespace_that_is_gone;
use testkit::requirements::{REFERENCE_DIR, require_reference};
use testkit::wire::{Container, Lab};
use testkit::{Snapshot, assert_same};

use crate::side::{both, ours};

both!(
    del_removes_everything,
    del_can_be_repeated,
    del_without_an_add_succeeds,
    del_with_a_missing_namespace_releases_the_addresses,
    del_without_cni_netns_succeeds,
    del_with_a_missing_link_releases_the_addresses,
    others_are_left_alone,
);

ours!(
    del_with_another_containers_path_spares_its_link,
    del_with_another_containers_path_spares_a_link_of_the_go_plugin,
    a_link_with_the_name_as_alternative_name_stays,
    ipam_releases_while_the_link_exists,
);

fn del_removes_everything(lab: &Lab) {
    let (conf, container) = (lab.dual_stack(json!({})), Container::new("a"));
    // The network's directory stays.
    lab.add(&container, &conf);
    lab.del(&container, &conf);
    let before = Snapshot::take(lab, &[&container]);
    let result = lab.add(&container, &conf);
    assert_eq!(lab.taken().len(), 2);
    lab.del(&container, &with(conf, json!({ "prevResult": result })));
    assert_same(&before, &Snapshot::take(lab, &[&container]), "ADD and DEL");
}

fn del_can_be_repeated(lab: &Lab) {
    let (conf, container) = (lab.ipv4(json!({})), Container::new("a"));
    for _ in 0..2 {
        lab.add(&container, &conf);
        lab.del(&container, &conf);
        lab.del(&container, &conf);
        assert_eq!(container.link_names(), ["lo"]);
        assert_eq!(lab.taken(), [""; 0]);
    }
}

fn del_without_an_add_succeeds(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &lab.ipv4(json!({})));
    let before = Snapshot::take(lab, &[&a, &b]);
    lab.del(&b, &lab.ipv4(json!({})));
    assert_same(&before, &Snapshot::take(lab, &[&a, &b]), "DEL of another");
}

fn del_with_a_missing_namespace_releases_the_addresses(lab: &Lab) {
    del_of_a_namespace_that_is_gone(lab, Container::new("a"), &lab.ipv4(json!({})));
}

fn del_without_cni_netns_succeeds(lab: &Lab) {
    let (conf, container) = (lab.ipv4(json!({})), Container::new("a"));
    lab.add(&container, &conf);
    let del = lab.call("DEL", &container, &conf);
    lab.node.run(&del.clone().without("CNI_NETNS")).silent();
    assert_eq!(lab.taken(), [""; 0]);
    lab.node.run(&del).silent();
    assert_eq!(container.link_names(), ["lo"]);
}

fn del_with_a_missing_link_releases_the_addresses(lab: &Lab) {
    let (conf, container) = (lab.ipv4(json!({})), Container::new("a"));
    lab.add(&container, &conf);
    container.ip("link del eth0");
    lab.del(&container, &conf);
    assert_eq!(lab.taken(), [""; 0]);
}

fn others_are_left_alone(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &lab.ipv4(json!({})));
    lab.add(&b, &lab.ipv4(json!({})));
    lab.del(&a, &lab.ipv4(json!({})));
    assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24"]);
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    b.assert_reaches("10.1.1.1");
}

/// Two DELs of one container with the path of another container's namespace.
#[track_caller]
fn del_at_another(lab: &Lab, a: &Container, b: &Container, conf: &Value) {
    for _ in 0..2 {
        let del = lab.call("DEL", a, conf).netns(b.sandbox.path());
        lab.node.run(&del).silent();
        assert_eq!(b.link("eth0").addresses(), ["10.1.1.3/24"]);
        b.assert_reaches("10.1.1.1");
    }
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    lab.del(b, &lab.ipv4(json!({})));
    assert_eq!(b.link_names(), ["lo"]);
}

fn del_with_another_containers_path_spares_its_link(lab: &Lab) {
    let (conf, a, b) = (
        lab.ipv4(json!({})),
        Container::new("a"),
        Container::new("b"),
    );
    lab.add(&a, &conf);
    lab.add(&b, &conf);
    del_at_another(lab, &a, &b, &conf);
}

fn del_with_another_containers_path_spares_a_link_of_the_go_plugin(lab: &Lab) {
    if require_reference(lab.kind.name).is_none() {
        return;
    }
    let (conf, a, b) = (
        lab.ipv4(json!({})),
        Container::new("a"),
        Container::new("b"),
    );
    let add = |container: &Container| {
        let program = Path::new(REFERENCE_DIR).join(lab.kind.name);
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

fn a_link_with_the_name_as_alternative_name_stays(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &lab.ipv4(json!({})));
    a.ip("link set eth0 down");
    a.ip("link set eth0 name foo");
    a.ip("link property add dev foo altname eth0");
    lab.del(&a, &lab.ipv4(json!({})));
    assert_eq!(a.link_names(), ["lo", "foo"]);
}

fn ipam_releases_while_the_link_exists(lab: &Lab) {
    let ipam = lab.install("scripted");
    let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.7/24"}]}"#;
    ipam.on("ADD").stdout(result);
    ipam.on("DEL").record_links();
    let (conf, a) = (lab.scripted(json!({})), Container::new("a"));
    lab.add(&a, &conf);
    lab.del(&a, &conf);
    assert_eq!(ipam.calls()[1].links, ["lo", "eth0"]);
    assert_eq!(a.link_names(), ["lo"]);
}
