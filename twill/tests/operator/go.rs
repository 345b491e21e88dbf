//! A node of the Go plugins, in files and as it is left.

use serde_json::{Value, json};
use testkit::conf::with;
use testkit::requirements::{REFERENCE_DIR, require_reference, require_root};

use crate::healthy::without_ages;
use crate::site::{Site, lines};

/// A node with the Go `bridge` and more keys for it; `None` if the machine lacks what it needs.
fn site_with(keys: Value) -> Option<Site> {
    if !require_root() || require_reference("bridge").is_none() {
        return None;
    }
    let site = Site::with_plugins(REFERENCE_DIR);
    let bridge = json!({
        "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.1.0/28"}]]},
    });
    let plugins = [with(bridge, keys)];
    site.list(&json!({"cniVersion": "1.0.0", "name": "net", "plugins": plugins}));
    Some(site)
}

#[test]
fn a_node_of_the_go_plugins_is_read_as_ours_is() {
    let Some(site) = site_with(json!({})) else {
        return;
    };
    for container in ["c1", "c2"] {
        site.add("net", container, &[]);
    }
    site.end("c2");
    let (text, status) = site.twill(&["leases"]);
    let expected = lines(&[
        "NETWORK  ADDRESS   CONTAINER  INTERFACE  SINCE  BOOT  STATE  WHY",
        "net      10.1.1.2  c1         eth0       0 s    this  alive  on eth0 in /run/netns/c1",
        "net      10.1.1.3  c2         eth0       0 s    this  dead   on no link",
    ]);
    assert_eq!((without_ages(&text), status), (without_ages(&expected), 0));

    let (value, status) = site.json(&["status", "--older-than", "0s"]);
    assert_eq!(status, 1);
    let plugins = value["plugins"].as_array().unwrap();
    let shown: Vec<_> = plugins
        .iter()
        .map(|it| {
            let field = |key: &str| it[key].as_str().unwrap().to_owned();
            let report = field("reports");
            let start = format!("CNI {} plugin ", field("type"));
            (field("type"), field("whose"), report.starts_with(&start))
        })
        .collect();
    let other = |name: &str| (name.to_owned(), "other".to_owned(), true);
    assert_eq!(shown, [other("bridge"), other("host-local")]);
    assert_eq!(value["bridges"][0]["name"], "br0");
    assert_eq!(value["bridges"][0]["addresses"], json!(["10.1.1.1/28"]));
    assert_eq!(
        value["networks"][0]["ranges"],
        json!([{"range": "10.1.1.1-10.1.1.14", "size": 13, "used": 2, "free": 11, "dead": 1}])
    );
    // flannel is not in the list: its lease is not missed.
    let problems = value["problems"].as_array().unwrap();
    let kinds: Vec<_> = problems
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["dead-lease"]);

    // The pair has no alias: the ends are found by each other.
    let (value, _) = site.json(&["show", "10.1.1.2"]);
    let view = &value[0];
    assert_eq!(view["link"]["bridge"], "br0");
    assert_eq!(view["link"]["mtu"], 1500);
    assert_eq!(view["inside"]["addresses"], json!(["10.1.1.2/28"]));
    let link = view["link"]["name"].as_str().unwrap();
    assert_eq!(site.json(&["show", link]).0[0]["containerID"], "c1");
    // A pair that leads to a namespace without a name and without a process leaves a doubt.
    site.run("ip", &["netns", "add", "hidden"]);
    site.run(
        "ip",
        &[
            "link",
            "add",
            "veth-other",
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            "hidden",
        ],
    );
    let holder = site
        .node
        .enter(|| std::fs::File::open("/run/netns/hidden").unwrap());
    site.run("ip", &["netns", "del", "hidden"]);
    let (value, _) = site.json(&["leases", "--container", "c2"]);
    assert_eq!(value[0]["state"], "unknown");
    assert_eq!(
        value[0]["why"],
        "veth-other leads to a namespace that was not found"
    );
    let (value, _) = site.json(&["gc", "--from", "netns", "--older-than", "0s"]);
    let fates = value["attachments"].as_array().unwrap().iter();
    let fates: Vec<_> = fates.map(|it| (&it["containerID"], &it["state"])).collect();
    assert_eq!(json!(fates), json!([["c1", "alive"], ["c2", "unclear"]]));
    drop(holder);
}

/// Twill masquerades no container of another plugin, whose DEL would leave the rules.
#[test]
fn missing_masquerading_of_a_go_container_is_left_to_a_person() {
    let Some(site) = site_with(json!({"ipMasq": true})) else {
        return;
    };
    site.add("net", "c1", &[]);
    let words = ["repair", "--apply", "missing-masquerading"];
    assert_eq!(site.twill(&words), (String::new(), 0));
    site.run("iptables", &["-t", "nat", "-F", "POSTROUTING"]);
    let expected = lines(&[
        "missing-masquerading: 10.1.1.2 of c1 eth0 in net: only you can: delete the pod or \
         container, which Twill has not added: its successor is masqueraded",
    ]);
    assert_eq!(site.twill(&words), (expected, 1));
}
