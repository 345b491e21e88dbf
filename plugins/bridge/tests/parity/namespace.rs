//! DEL and GC without the namespace, or with another container's.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Invocation;
use testkit::requirements::{REFERENCE_DIR, require_reference};

use crate::support::conf::{BRIDGE, ipv4, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;
use crate::support::traffic::{assert_reaches, pings};

ours!(
    del_without_a_namespace_removes_the_nodes_end,
    the_next_owner_of_an_address_is_the_only_one,
    a_pair_of_the_go_plugin_is_found_by_prev_result,
    gc_removes_stale_pairs,
    gc_of_another_network_removes_none,
    del_with_another_containers_path_spares_its_link,
    del_with_another_containers_path_spares_a_link_of_the_go_plugin,
    a_link_without_a_mark_stays,
    a_repeated_add_leaves_the_first_attachment_alone,
    an_add_succeeds_beside_a_stale_pair,
    names_that_are_too_long_for_an_alias_are_found,
    a_link_with_the_name_as_alternative_name_stays,
);

fn conf() -> Value {
    ipv4(json!({ "cniVersion": "1.1.0", "isGateway": true }))
}

/// An ADD by the Go plugin, with the lab's host-local.
#[track_caller]
fn add_by_go(lab: &Lab, container: &Container, conf: &Value) -> Option<Value> {
    require_reference("bridge")?;
    let add = Invocation::attach(
        Path::new(REFERENCE_DIR).join("bridge"),
        "ADD",
        &container.id,
    )
    .netns(container.sandbox.path())
    .paths(lab.plugin_directories())
    .config(conf);
    Some(lab.node.run(&add).success())
}

#[track_caller]
fn del_without_namespace(lab: &Lab, container: &Container, conf: &Value) {
    let del = lab.call("DEL", container, conf);
    lab.node.run(&del.without("CNI_NETNS")).silent();
}

/// DEL of one container with the path of another container's namespace.
#[track_caller]
fn del_at(lab: &Lab, container: &Container, conf: &Value, at: &Container) {
    let del = lab.call("DEL", container, conf).netns(at.sandbox.path());
    lab.node.run(&del).silent();
}

/// The name of the only port.
fn port(lab: &Lab) -> String {
    let ports = lab.link_names();
    let mut ports = ports.into_iter().filter(|name| name.starts_with("veth"));
    let port = ports.next().expect("there is a port");
    assert_eq!(ports.next(), None);
    port
}

// Orphaned processes of the container keep its namespace.
fn del_without_a_namespace_removes_the_nodes_end(lab: &Lab) {
    let container = Container::new("a");
    lab.add(&container, &conf());
    let mark = lab.link(&port(lab)).0["ifalias"].clone();
    assert_eq!(mark, "twill/net/a/eth0");
    del_without_namespace(lab, &container, &conf());
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(lab.taken(), [""; 0]);
    del_without_namespace(lab, &container, &conf());
}

fn the_next_owner_of_an_address_is_the_only_one(lab: &Lab) {
    let conf = with(
        conf(),
        json!({ "ipam": { "ranges": [[{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }]] } }),
    );
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    del_without_namespace(lab, &a, &conf);
    lab.add(&b, &conf);
    assert_eq!(b.link("eth0").addresses(), ["10.1.1.2/24"]);
    assert_reaches(&b, "10.1.1.1");
    assert!(!pings(&a, &["10.1.1.1"]));
}

fn a_pair_of_the_go_plugin_is_found_by_prev_result(lab: &Lab) {
    let conf = with(conf(), json!({ "cniVersion": "1.0.0" }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    let Some(result) = add_by_go(lab, &a, &conf) else {
        return;
    };
    add_by_go(lab, &b, &conf);
    del_without_namespace(lab, &a, &with(conf, json!({ "prevResult": result })));
    assert_eq!(a.link_names(), ["lo"]);
    assert_reaches(&b, "10.1.1.1");
}

fn gc(lab: &Lab, conf: &Value, valid: &Value) {
    let conf = with(conf.clone(), json!({ "cni.dev/valid-attachments": valid }));
    lab.node.run(&lab.call_alone("GC", &conf)).silent();
}

fn gc_removes_stale_pairs(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    gc(
        lab,
        &conf(),
        &json!([{ "containerID": "b", "ifname": "eth0" }]),
    );
    assert_eq!(a.link_names(), ["lo"]);
    assert_eq!(lab.taken(), ["10.1.1.3"]);
    assert_reaches(&b, "10.1.1.1");
    gc(lab, &conf(), &json!([]));
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
}

fn gc_of_another_network_removes_none(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &conf());
    for other in ["ne", "nets", "other"] {
        gc(lab, &with(conf(), json!({ "name": other })), &json!([]));
    }
    assert_reaches(&a, "10.1.1.1");
}

// The process ID now belongs to another container's process.
fn del_with_another_containers_path_spares_its_link(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf());
    lab.add(&b, &conf());
    for _ in 0..2 {
        del_at(lab, &a, &conf(), &b);
        assert_eq!(a.link_names(), ["lo"]);
        assert_eq!(lab.taken(), ["10.1.1.3"]);
        assert_reaches(&b, "10.1.1.1");
    }
}

fn del_with_another_containers_path_spares_a_link_of_the_go_plugin(lab: &Lab) {
    let conf = with(conf(), json!({ "cniVersion": "1.0.0" }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    let Some(result) = add_by_go(lab, &a, &conf) else {
        return;
    };
    add_by_go(lab, &b, &conf);
    let of_a = with(conf, json!({ "prevResult": result }));
    for _ in 0..2 {
        del_at(lab, &a, &of_a, &b);
        assert_eq!(a.link_names(), ["lo"]);
        assert_reaches(&b, "10.1.1.1");
    }
}

fn a_link_without_a_mark_stays(lab: &Lab) {
    let a = Container::new("a");
    lab.add(&a, &conf());
    lab.ip(&format!("link set {} alias mine", port(lab)));
    del_without_namespace(lab, &a, &conf());
    gc(lab, &conf(), &json!([]));
    assert_eq!(a.link_names(), ["lo", "eth0"]);
    // In its own namespace the link's name counts.
    lab.del(&a, &conf());
    assert_eq!(a.link_names(), ["lo"]);
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
}

fn a_repeated_add_leaves_the_first_attachment_alone(lab: &Lab) {
    let (a, elsewhere) = (Container::new("a"), Container::new("a"));
    lab.add(&a, &conf());
    let before = lab.link_names();
    let message = lab.add_fails(&a, &conf());
    assert!(
        message.contains("has an interface of this name already"),
        "{message}"
    );
    // In another namespace, IPAM recognises the attachment.
    lab.add_fails(&elsewhere, &conf());
    assert_eq!(elsewhere.link_names(), ["lo"]);
    assert_eq!(lab.link_names(), before);
    assert_eq!(lab.taken(), ["10.1.1.2"]);
    assert_reaches(&a, "10.1.1.1");
}

fn an_add_succeeds_beside_a_stale_pair(lab: &Lab) {
    let (stale, again) = (Container::new("a"), Container::new("a"));
    lab.add(&stale, &conf());
    let address = "/var/lib/cni/networks/net/10.1.1.2";
    lab.node.enter(|| fs::remove_file(address)).unwrap();
    lab.add(&again, &conf());
    assert_eq!(stale.link_names(), ["lo"]);
    assert_reaches(&again, "10.1.1.1");
    del_without_namespace(lab, &again, &conf());
    assert_eq!(again.link_names(), ["lo"]);
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
}

fn names_that_are_too_long_for_an_alias_are_found(lab: &Lab) {
    let (long, longer) = ("n".repeat(240), "n".repeat(241));
    let conf = with(conf(), json!({ "name": long }));
    let (a, b) = (Container::new(&long), Container::new(&longer));
    lab.add(&a, &conf);
    lab.add(&b, &conf);
    gc(
        lab,
        &conf,
        &json!([{ "containerID": longer, "ifname": "eth0" }]),
    );
    assert_eq!(a.link_names(), ["lo"]);
    assert_reaches(&b, "10.1.1.1");
    del_without_namespace(lab, &b, &conf);
    assert_eq!(lab.link_names(), ["lo", BRIDGE]);
}

fn a_link_with_the_name_as_alternative_name_stays(lab: &Lab) {
    let a = Container::new("a");
    a.ip("link add foo type veth peer name bar");
    a.ip("link property add dev foo altname eth0");
    lab.del(&a, &conf());
    assert_eq!(a.link_names(), ["lo", "bar", "foo"]);
}
