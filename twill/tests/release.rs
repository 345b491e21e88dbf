//! `twill release` and `twill reserve`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use support::{KINDS, Kind, Stage, container};

#[test]
fn an_address_is_not_released_while_a_link_has_it() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let net = format!("10.212.{number}");
        let Some(stage) = Stage::new(kind, &net) else {
            return;
        };
        let (one, two) = (container("c1"), container("c2"));
        stage.add(&one);
        stage.add(&two);
        let (before, network) = (stage.holdings(), stage.network());
        let mounted = stage.mount_namespace(&one);
        let address = format!("{net}.2");
        let refused = format!(
            "twill: {address} is on link eth0 in /run/netns/c1: delete the container, or repeat it \
             with --force\n"
        );
        assert_eq!(stage.twill(&["release", &address]).failure(), refused);
        assert_eq!(stage.twill(&["release", "c1"]).failure(), refused);
        // The namespace may be hidden; the pair's end on the node is not.
        drop(mounted);
        let failure = stage.twill(&["release", "c1"]).failure();
        let start = format!("twill: {address} of c1 eth0 in {network} has link veth");
        assert!(failure.starts_with(&start), "{failure}");
        assert_eq!(stage.holdings(), before, "{kind:?}");

        let forced = stage.twill(&["release", &address, "--force"]).text(0);
        assert_eq!(
            forced,
            format!("released {address} of c1 eth0 in {network}\n")
        );
        assert_eq!(stage.holdings(), before.only(&[&two]), "{kind:?}");
        assert_eq!(one.link_names(), ["lo"]);
        let again = stage.twill(&["release", "c1"]).text(0);
        assert_eq!(again, "nothing is held: there is nothing to release\n");
        stage.check(&two);
    }
}

#[test]
fn an_address_on_no_link_is_released() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let net = format!("10.213.{number}");
        let Some(stage) = Stage::new(kind, &net) else {
            return;
        };
        let one = container("c1");
        stage.add(&one);
        one.ip("link delete eth0");
        let network = stage.network();
        let released = stage.twill(&["release", "c1", &network]).text(0);
        assert_eq!(
            released,
            format!("released {net}.2 of c1 eth0 in {network}\n")
        );
        assert!(stage.holdings().is_empty(), "{kind:?}");
    }
}

#[test]
fn mistakes_are_explained() {
    let Some(stage) = Stage::new(KINDS[0], "10.214.0") else {
        return;
    };
    let failure = stage.twill(&["release", "../x"]).failure();
    assert!(
        failure.contains("neither an address nor a container ID"),
        "{failure}"
    );
}

#[test]
fn a_container_reserves_addresses_in_all_networks_or_in_none() {
    let db = Kind {
        flannel: false,
        backend: "db",
    };
    let Some(stage) = Stage::new(db, "10.215.0") else {
        return;
    };
    let first = stage.network();
    let list = |name: &str, subnet: &str, backend: &str| {
        format!(
            r#"{{"cniVersion":"1.0.0","name":"{name}","plugins":[{{"type":"bridge","ipam":{{
                "type":"host-local","backend":"{backend}","ranges":[[{{"subnet":"{subnet}"}}]]}}}}]}}"#
        )
    };
    stage.node.write(
        "/etc/cni/net.d/20-b.conflist",
        list("storage", "10.215.1.0/29", "db"),
    );
    stage.node.write(
        "/etc/cni/net.d/30-c.conflist",
        list("files", "10.215.2.0/29", "disk"),
    );
    let wish = format!("{first}=10.215.0.7");
    let given = stage.twill(&["reserve", "c1", &wish, "storage"]).text(0);
    assert_eq!(
        given,
        format!(
            "{first} eth0 10.215.0.7/24 gateway 10.215.0.1\n\
             storage eth1 10.215.1.2/29 gateway 10.215.1.1\n"
        )
    );
    // The second network cannot give what is asked for, so the first gives nothing.
    let failure = stage
        .twill(&["reserve", "c2", &first, "storage=10.215.1.2"])
        .failure();
    assert!(failure.starts_with("twill: network storage: "), "{failure}");
    let given = stage.twill(&["reserve", "c3", &first]).text(0);
    assert_eq!(
        given,
        format!("{first} eth0 10.215.0.2/24 gateway 10.215.0.1\n")
    );

    let failure = stage.twill(&["reserve", "c4", "files"]).failure();
    assert!(
        failure.starts_with("twill: network files: its ipam has not \"backend\": \"db\""),
        "{failure}"
    );
    let failure = stage.twill(&["reserve", "c4", "nowhere"]).failure();
    assert_eq!(
        failure,
        "twill: network nowhere: no network configuration has this name\n"
    );

    let released = stage.twill(&["release", "c1"]).text(0);
    assert_eq!(
        released,
        format!(
            "released 10.215.0.7 of c1 eth0 in {first}\nreleased 10.215.1.2 of c1 eth1 in storage\n"
        )
    );
    let given = stage
        .twill(&["reserve", "c5", "storage=10.215.1.2"])
        .text(0);
    assert_eq!(given, "storage eth0 10.215.1.2/29 gateway 10.215.1.1\n");
}
