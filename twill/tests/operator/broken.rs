//! What is left of a node that is broken.

use std::fs;

use serde_json::json;
use testkit::requirements::require_root;

use crate::site::{Site, lines};

/// The kinds of the problems, each with its subject and evidence.
fn problems(value: &serde_json::Value) -> Vec<(String, String)> {
    let problems = value["problems"].as_array().unwrap().iter();
    let problem = |it: &serde_json::Value| {
        let text = |key: &str| it[key].as_str().unwrap().to_owned();
        (
            text("kind"),
            format!("{}: {}", text("subject"), text("evidence")),
        )
    };
    problems.map(problem).collect()
}

#[test]
fn an_empty_node_lacks_a_list() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    let (value, status) = site.json(&["status"]);
    let problem = "/etc/cni/net.d: no file in it is a network configuration that can be used";
    let expected = vec![("no-list".to_owned(), problem.to_owned())];
    assert_eq!((problems(&value), status), (expected, 1));
    assert_eq!(site.json(&["leases"]), (json!([]), 0));
    assert_eq!(site.twill(&["leases"]), (String::new(), 0));
}

#[test]
fn leases_that_cannot_be_read_are_not_counted() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({
        "cniVersion": "1.0.0", "name": "cbr0", "plugins": [{"type": "flannel"}],
    }));
    site.add("cbr0", "c1", &[]);
    let file = "/var/lib/cni/networks/cbr0/10.244.1.2";
    site.run("chown", &["65534", file]);
    // Without its capabilities, root may not read another user's file.
    let twill = testkit::binaries::plugin("twill");
    let weak = |arguments: &[&str]| {
        let output = site.node.enter(|| {
            std::process::Command::new("setpriv")
                .args(["--bounding-set", "-all"])
                .arg(&twill)
                .args(arguments)
                .output()
                .unwrap()
        });
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let value: serde_json::Value = serde_json::from_str(&weak(&["status", "--json"]).0).unwrap();
    assert_eq!(
        value["networks"],
        json!([{
            "name": "cbr0", "list": "/etc/cni/net.d/10-cbr0.conflist",
            "dataDir": "/var/lib/cni/networks", "outside": 0,
            "ranges": [{"range": "10.244.1.1-10.244.1.254", "size": 253}],
        }])
    );
    let row = "cbr0     10.244.1.1-10.244.1.254  253   ?     ?     ?      ?     ?\n";
    assert!(weak(&["status"]).0.contains(row));
    let metrics = weak(&["metrics"]).0;
    assert!(
        metrics.contains("twill_range_size{network=\"cbr0\","),
        "{metrics}"
    );
    for name in ["twill_leases", "twill_range_used", "twill_range_free"] {
        assert!(!metrics.contains(name), "{metrics}");
    }
    let (_, error) = weak(&["show", "10.244.1.2"]);
    let start = "twill: no lease records 10.244.1.2, and no link has it; but not all of the node \
                 can be read: ";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_failure_says_what_is_left_and_what_is_known() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({
        "cniVersion": "1.0.0", "name": "cbr0", "plugins": [{"type": "flannel"}],
    }));
    site.add("cbr0", "c1", &[]);
    // Without its plugins, nothing is known about an attachment.
    let (text, status) = site.twill(&[
        "check",
        "cbr0",
        "c1",
        "--container",
        "c1",
        "--path",
        "/none",
    ]);
    let start = "twill: plugin 1 of the list: no plugin \"flannel\" in CNI_PATH /none: ";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(status, 2);
    site.run("mount", &["-o", "remount,ro", "/var/lib/cni"]);
    let (text, status) = site.twill(&["add", "cbr0", "c1", "--ifname", "eth1"]);
    assert!(text.contains("Read-only file system"), "{text}");
    assert!(text.ends_with("; nothing of the ADD is left"), "{text}");
    assert_eq!(status, 2);
}

#[test]
fn one_unreadable_part_hides_no_other() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "plugins": [{"type": "flannel"}, {"type": "firewall"}],
    }));
    site.node.write("/etc/cni/net.d/05-broken.conflist", "{");
    // `firewall` is in no directory of plugins, so the containers come by another list.
    site.node.write(
        "/run/other.conflist",
        json!({"cniVersion": "1.0.0", "name": "cbr0", "plugins": [{"type": "flannel"}]})
            .to_string(),
    );
    for container in ["c1", "c2"] {
        site.add("cbr0", container, &["--conf", "/run/other.conflist"]);
    }
    site.node.write("/var/lib/cni/networks/cbr0/10.244.1.8", "");
    site.node.write(
        "/var/lib/cni/networks/cbr0/10.244.1.9",
        "for the printer, not to be touched",
    );
    site.node.write("/var/lib/cni/networks/.addresses.db", "");
    site.node.write("/var/lib/cni/flannel/c3", "{");
    site.node
        .write("/run/flannel/subnet.env", "FLANNEL_MTU=1450\n");
    site.node
        .enter(|| fs::write("/var/lib/cni/results/cbr0-x-eth0", "{").unwrap());

    let (value, status) = site.json(&["status"]);
    assert_eq!(status, 1);
    let found = problems(&value);
    let networks = "/var/lib/cni/networks";
    let database = format!("{networks}/.addresses.db");
    let starts = [
        (
            "unreadable",
            "/etc/cni/net.d/05-broken.conflist: ".to_owned(),
        ),
        (
            "damaged-database",
            format!("{database}: {database} is damaged: the file is empty;"),
        ),
        (
            "lease-file",
            "flanneld's lease: /run/flannel/subnet.env: ".to_owned(),
        ),
        (
            "missing-plugin",
            "firewall: plugin firewall is in no plugin directory".to_owned(),
        ),
        (
            "garbled-address-file",
            format!("{networks}/cbr0/10.244.1.8: the file is empty or garbled"),
        ),
        (
            "blocked-address",
            format!("{networks}/cbr0/10.244.1.9: its text names no container"),
        ),
        (
            "garbled-kept-configuration",
            "/var/lib/cni/flannel/c3: the file is no configuration".to_owned(),
        ),
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for ((kind, problem), (expected, start)) in found.iter().zip(starts) {
        assert!(
            *kind == expected && problem.starts_with(&start),
            "{kind}: {problem}"
        );
    }
    // The ranges are those of the configurations that flannel has kept.
    assert_eq!(
        value["networks"][0]["ranges"][0],
        json!({"range": "10.244.1.1-10.244.1.254", "size": 253, "used": 4, "free": 249, "dead": 0})
    );
    assert_eq!(
        value["networks"][0]["leases"],
        json!({"alive": 2, "dead": 0, "unknown": 0, "unowned": 2})
    );

    // What can be read is printed, and that it is not all is an error.
    let (text, status) = site.twill(&["leases"]);
    let states: Vec<_> = text
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            (
                words[1].to_owned(),
                ["alive", "debris", "blocked"]
                    .into_iter()
                    .find(|it| line.contains(it)),
            )
        })
        .collect();
    let expected = [
        ("10.244.1.2", "alive"),
        ("10.244.1.3", "alive"),
        ("10.244.1.8", "debris"),
        ("10.244.1.9", "blocked"),
    ];
    let expected = expected.map(|(address, state)| (address.to_owned(), Some(state)));
    assert_eq!((states, status), (expected.to_vec(), 2));
}

#[test]
fn flushed_rules_are_found_by_what_the_runtime_has_passed() {
    if !require_root() {
        return;
    }
    let site = crate::healthy::site();
    assert_eq!(site.json(&["status"]).1, 0);
    site.run("nft", &["flush", "ruleset"]);
    let (value, status) = site.json(&["status"]);
    let kinds: Vec<_> = problems(&value)
        .into_iter()
        .map(|(kind, problem)| {
            let subject = problem.split(": ").next().unwrap().to_owned();
            (kind, subject)
        })
        .collect();
    let expected = [
        ("missing-masquerading", "10.244.1.2 of c1 eth0 in cbr0"),
        ("missing-masquerading", "10.244.1.3 of c2 eth0 in cbr0"),
        ("missing-port-map", "tcp port 8080 of c1 eth0 in cbr0"),
    ];
    let expected = expected.map(|(kind, subject)| (kind.to_owned(), subject.to_owned()));
    assert_eq!((kinds, status), (expected.to_vec(), 1));
    let (text, status) = site.twill(&["repair", "--apply"]);
    let done = lines(&[
        "missing-masquerading: 10.244.1.2 of c1 eth0 in cbr0: masqueraded",
        "missing-masquerading: 10.244.1.3 of c2 eth0 in cbr0: masqueraded",
        "missing-port-map: tcp port 8080 of c1 eth0 in cbr0: only you can: delete the pod or \
         container: its successor gets its ports",
    ]);
    assert_eq!((text, status), (done, 1));
    assert_eq!(problems(&site.json(&["status"]).0).len(), 1);
}

#[test]
fn a_failed_del_is_reported_with_its_reason() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({"cniVersion": "1.0.0", "name": "cbr0", "plugins": [{"type": "flannel"}]}));
    site.add("cbr0", "c1", &[]);
    // DEL cannot lock the addresses' directory, because somebody else holds the lock of both.
    let kept = site.node.read("/var/lib/cni/flannel/c1");
    let failed = kept.replacen(
        '{',
        "{\"twill/failure\":\"bridge: no\",\"twill/failures\":2,",
        1,
    );
    site.node.write("/var/lib/cni/flannel/c1", failed);
    let (value, status) = site.json(&["status"]);
    let problem = "eth0 of container c1: 2 calls failed: bridge: no";
    let expected = vec![("failed-delete".to_owned(), problem.to_owned())];
    assert_eq!((problems(&value), status), (expected, 1));
    let (text, _) = site.twill(&["show", "c1"]);
    let kept =
        "kept         /var/lib/cni/flannel/c1 for bridge, with which 2 calls failed: bridge: no";
    assert!(text.lines().any(|line| line == kept), "{text}");
}
