//! `twill add`, `check` and `del`: a list of plugins run by hand, as a runtime runs it.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements::require_root;
use testkit::{Container, Node, binaries};

const SUBNET_ENV: &str = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

const LIST: &str = r#"{
  "name": "cbr0",
  "cniVersion": "1.0.0",
  "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],
  "plugins": [
    { "type": "flannel", "delegate": { "hairpinMode": true, "isDefaultGateway": true } },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}"#;

const PORTS: &str = r#"{"portMappings": [{"hostPort": 8080, "containerPort": 80}]}"#;

/// A node with flannel's list, and a container to attach.
struct Desk {
    node: Node,
    plugins: TempDir,
    pod: Container,
}

/// What a command printed, and its exit status.
struct Printed {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

impl Desk {
    fn new() -> Option<Self> {
        if !require_root() {
            return None;
        }
        let desk = Self {
            node: Node::new().unwrap(),
            plugins: TempDir::with_prefix("twill-network-").unwrap(),
            pod: Container::new("pod"),
        };
        let names = ["bridge", "flannel", "host-local", "portmap"];
        binaries::link_plugins(desk.plugins.path(), &names);
        desk.node.write("/run/flannel/subnet.env", SUBNET_ENV);
        desk.node.write("/etc/cni/net.d/10-flannel.conflist", LIST);
        Some(desk)
    }

    /// Runs `twill <command> cbr0 <netns>` with these words after it, and prints the netns as
    /// `NETNS`, times as `T ms`, MACs as `MAC` and the ends of veth pairs as `VETH`.
    #[track_caller]
    fn twill(&self, command: &str, words: &[&str]) -> Printed {
        self.twill_with(command, words, &[])
    }

    #[track_caller]
    fn twill_with(&self, command: &str, words: &[&str], variables: &[(&str, &str)]) -> Printed {
        let netns = self.pod.sandbox.path();
        let start = [command, "cbr0", netns.to_str().unwrap()];
        self.run(&[&start, words].concat(), variables)
    }

    #[track_caller]
    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Printed {
        let netns = self.pod.sandbox.path();
        let mut process = Command::new(binaries::plugin("twill"));
        process.args(words).env("CNI_PATH", self.plugins.path());
        for (name, value) in variables {
            process.env(name, value);
        }
        let output = self.node.enter(|| process.output()).unwrap();
        let scrub = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let text = text.replace(netns.to_str().unwrap(), "NETNS");
            let text = text.replace(self.plugins.path().to_str().unwrap(), "PLUGINS");
            scrubbed(&text)
        };
        Printed {
            stdout: scrub(&output.stdout),
            stderr: scrub(&output.stderr),
            status: output.status.code(),
        }
    }

    fn cached(&self) -> Vec<String> {
        self.node.list("/var/lib/cni/results")
    }

    /// Addresses that are in use, and links on the node.
    fn left(&self) -> (Vec<String>, Value) {
        let mut addresses = self.node.list("/var/lib/cni/networks/cbr0");
        addresses.retain(|name| name.parse::<std::net::IpAddr>().is_ok());
        let links = self.node.ip_json(&["link"]);
        let names = links.as_array().unwrap().iter();
        (
            addresses,
            names.map(|link| link["ifname"].clone()).collect(),
        )
    }
}

/// Text without what differs each time.
fn scrubbed(text: &str) -> String {
    let is_mac = |word: &str| {
        let parts: Vec<_> = word.split(':').collect();
        parts.len() == 6 && parts.iter().all(|part| part.len() == 2)
    };
    let ends = |c: char| matches!(c, ' ' | '\n' | '"' | '(' | ',');
    let mut words: Vec<String> = Vec::new();
    for piece in text.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        let end = &piece[word.len()..];
        let is_time = word.contains('.') && word.parse::<f64>().is_ok();
        let word = match word {
            _ if is_mac(word) => "MAC",
            _ if is_time => "T",
            _ if word.starts_with("veth") => "VETH",
            _ if word.starts_with("cnitool-") && word.len() == 28 => "ID",
            word => word,
        };
        words.push(format!("{word}{end}"));
    }
    words.concat()
}

impl Printed {
    #[track_caller]
    fn is(&self, stdout: &str, status: i32) {
        assert_eq!(self.stdout, stdout, "{}", self.stderr);
        assert_eq!((self.stderr.as_str(), self.status), ("", Some(status)));
    }

    #[track_caller]
    fn fails(&self, stderr: &str) {
        assert_eq!(self.stderr, stderr, "{}", self.stdout);
        assert_eq!(self.status, Some(2));
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.stderr, "");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

const ADDED: &str = "\
eth0 of NETNS is attached to cbr0 (2 plugins, T ms)
  address    10.244.1.2/24 gateway 10.244.1.1
  route      10.244.0.0/16
  route      0.0.0.0/0 via 10.244.1.1
  interface  cni0 MAC mtu 1450
  interface  VETH MAC mtu 1450
  interface  eth0 MAC mtu 1450 in the namespace
";

#[test]
fn an_attachment_is_added_checked_and_deleted() {
    let Some(desk) = Desk::new() else { return };
    desk.twill("add", &["--cap", PORTS]).is(ADDED, 0);
    assert_eq!(desk.pod.link_names(), ["lo", "eth0"]);
    assert_eq!(desk.cached().len(), 1);
    let checked = "eth0 of NETNS is as its ADD to cbr0 made it (2 plugins, T ms)\n";
    desk.twill("check", &[]).is(checked, 0);

    // The capability arguments of the ADD are those of the CHECK: without the rules it fails.
    let nft = |words: &str| {
        let output = desk
            .node
            .enter(|| Command::new("nft").arg(words).output().unwrap());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(nft("list ruleset").contains("tcp . 8080"));
    nft("flush ruleset");
    let printed = desk.twill("check", &[]);
    let start = "eth0 of NETNS is not as its ADD to cbr0 made it: plugin 2 of the list: portmap: ";
    assert!(printed.stdout.starts_with(start), "{}", printed.stdout);
    assert_eq!((printed.stderr.as_str(), printed.status), ("", Some(1)));
    let error = &desk.twill("check", &["--json"]).json()["error"];
    assert_eq!(error["code"], 120, "{error}");

    let gone = "eth0 of NETNS is detached from cbr0 (2 plugins, T ms)\n";
    desk.twill("del", &[]).is(gone, 0);
    assert_eq!(desk.left(), (vec![], json!(["lo", "cni0"])));
    assert_eq!(desk.cached(), [""; 0]);
    let again = format!(
        "{gone}no result of an ADD of eth0 of container ID was cached: the plugins had none to go by\n"
    );
    desk.twill("del", &[]).is(&again, 0);
}

#[test]
fn json_is_the_result_as_a_runtime_gets_it() {
    let Some(desk) = Desk::new() else { return };
    let result = desk
        .twill("add", &["--json", "--ifname", "net1", "--container", "c1"])
        .json();
    assert_eq!(result["cniVersion"], "1.1.0");
    assert_eq!(result["interfaces"][2]["name"], "net1");
    assert_eq!(result["ips"][0]["address"], "10.244.1.2/24");
    assert_eq!(desk.cached(), ["cbr0-c1-net1"]);
    let words = ["--json", "--ifname", "net1", "--container", "c1"];
    let expected = json!({"network": "cbr0", "containerID": "c1", "ifname": "net1", "error": null});
    assert_eq!(desk.twill("check", &words).json(), expected);
    let expected =
        json!({"network": "cbr0", "containerID": "c1", "ifname": "net1", "hadResult": true});
    assert_eq!(desk.twill("del", &words).json(), expected);
    assert_eq!(desk.left().0, [""; 0]);
}

#[test]
fn each_plugins_request_answer_and_time_are_shown() {
    let Some(desk) = Desk::new() else { return };
    let cnitool = [
        ("CNI_IFNAME", "net1"),
        ("CNI_ARGS", "IP=10.244.1.9"),
        ("CAP_ARGS", PORTS),
    ];
    let printed = desk.twill_with("add", &["-v"], &cnitool);
    assert_eq!(printed.status, Some(0), "{}", printed.stderr);
    let delegate = r#""delegate":{ "hairpinMode": true, "isDefaultGateway": true }"#;
    let variables = |command: &str| {
        format!(
            "  CNI_COMMAND={command}\n  CNI_CONTAINERID=ID\n  CNI_NETNS=NETNS\n  CNI_IFNAME=net1\n  \
             CNI_ARGS=IP=10.244.1.9\n  CNI_PATH=PLUGINS\n"
        )
    };
    let scrub = |text: &str| {
        // The IDs stand behind an equals sign.
        let id = text
            .split("CNI_CONTAINERID=")
            .nth(1)
            .and_then(|rest| rest.split('\n').next());
        text.replace(id.unwrap(), "ID")
    };
    let steps = scrub(&printed.stderr);
    let (flannel, portmap) = steps.split_once("ADD portmap: ").unwrap();
    let start = format!(
        "ADD flannel: PLUGINS/flannel\n{}  request: {{\"type\":\"flannel\",{delegate},\"cniVersion\":\"1.1.0\",\"name\":\"cbr0\"}}\n  answer: {{",
        variables("ADD")
    );
    assert!(flannel.starts_with(&start), "{flannel}");
    assert!(flannel.ends_with("}\n  time: T ms\n"), "{flannel}");
    assert!(
        portmap.starts_with(&format!("PLUGINS/portmap\n{}", variables("ADD"))),
        "{portmap}"
    );
    let mapping = r#""runtimeConfig":{"portMappings":[{"hostPort": 8080, "containerPort": 80}]}}"#;
    assert!(
        portmap.contains(mapping) && portmap.contains(r#""prevResult":{"#),
        "{portmap}"
    );

    // DEL has the arguments of the ADD.
    let printed = desk.twill_with("del", &["-v", "--json"], &[("CNI_IFNAME", "net1")]);
    let steps = scrub(&printed.stderr);
    let start = format!("DEL portmap: PLUGINS/portmap\n{}", variables("DEL"));
    assert!(steps.starts_with(&start), "{steps}");
    assert!(steps.contains(mapping), "{steps}");
    assert!(steps.ends_with("  time: T ms\n"), "{steps}");
}

#[test]
fn arguments_that_no_plugin_takes_are_named() {
    let Some(desk) = Desk::new() else { return };
    let printed = desk.twill(
        "add",
        &["--cap", r#"{"portMappings": [], "ips": ["10.244.1.9"]}"#],
    );
    assert_eq!((printed.stdout.as_str(), printed.status), (ADDED, Some(0)));
    let note = "no plugin of cbr0 has the capability ips: its argument is not passed on\n";
    assert_eq!(printed.stderr, note);
}

#[test]
fn an_add_that_fails_leaves_nothing() {
    let Some(desk) = Desk::new() else { return };
    let bad = r#"{"portMappings": [{"hostPort": 70000, "containerPort": 80}]}"#;
    let printed = desk.twill("add", &["--cap", bad]);
    let mapping =
        "runtimeConfig.portMappings[0] (hostPort 70000 to containerPort 80): hostPort 70000";
    let start = format!("twill: plugin 2 of the list: portmap: {mapping}");
    assert!(printed.stderr.starts_with(&start), "{}", printed.stderr);
    assert!(
        printed.stderr.ends_with("; nothing of the ADD is left\n"),
        "{}",
        printed.stderr
    );
    assert_eq!((printed.stdout.as_str(), printed.status), ("", Some(2)));
    assert_eq!(desk.left(), (vec![], json!(["lo", "cni0"])));
    assert_eq!(desk.cached(), [""; 0]);
    let printed = desk.twill("add", &["--json", "--cap", bad]);
    let error: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(
        (&error["code"], &error["cniVersion"]),
        (&json!(7), &json!("1.1.0"))
    );
}

#[test]
fn status_of_a_network_asks_its_plugins() {
    let Some(desk) = Desk::new() else { return };
    let status = |words: &[&str]| desk.run(&[&["status", "cbr0"], words].concat(), &[]);
    status(&[]).is("cbr0 is ready (2 plugins, T ms)\n", 0);
    let ready = json!({"network": "cbr0", "cniVersion": "1.1.0", "isReady": true, "error": null});
    assert_eq!(status(&["--json"]).json(), ready);
    let lease = "/run/flannel/subnet.env";
    desk.node.enter(|| std::fs::remove_file(lease)).unwrap();
    let no_lease = format!(
        "failed to load the lease: {lease}: there is no such file: flanneld has no lease for this \
         node yet"
    );
    let remedy = "check the log of flanneld on this node";
    let text = format!(
        "cbr0 is not ready: plugin 1 of the list: flannel: {no_lease}: {remedy} (code 50)\n"
    );
    status(&[]).is(&text, 1);
    let error = json!({"code": 50, "msg": format!("flannel: {no_lease}"), "details": remedy});
    assert_eq!(status(&["--json"]).json()["error"], error);
    let printed = status(&["--path", "/nowhere"]);
    let start = "cbr0 is not ready: no plugin \"flannel\" in CNI_PATH /nowhere: install it there";
    assert!(printed.stdout.starts_with(start), "{}", printed.stdout);
    assert_eq!(printed.status, Some(1));
    // Before 1.1.0 there was no STATUS.
    let old = LIST.replace(r#""1.0.0", "1.1.0"]"#, r#""1.0.0"]"#);
    desk.node.write("/etc/cni/net.d/10-flannel.conflist", old);
    status(&[]).is(
        "cbr0: the plugins of the list are installed; its cniVersion, 1.0.0, has no STATUS\n",
        0,
    );
}

#[test]
fn gc_by_the_plugins_deletes_what_is_not_listed() {
    let Some(desk) = Desk::new() else { return };
    desk.twill("add", &["--container", "c1"]).is(ADDED, 0);
    let other = Container::new("other");
    let netns = other.sandbox.path();
    let add = ["add", "cbr0", netns.to_str().unwrap(), "--container", "c2"];
    assert_eq!(desk.run(&add, &[]).status, Some(0));
    let list = r#"[{"containerID": "c2", "ifname": "eth0"}]"#;
    desk.node.write("/run/valid.json", list);
    let gc = |words: &[&str]| {
        let start = ["gc", "cbr0", "--by-plugins", "--from"];
        desk.run(&[&start, words].concat(), &[])
    };
    gc(&["/run/valid.json"]).is(
        "would delete eth0 of container c1: its ADD is cached\n\
         would call GC of the plugins of cbr0 with 1 valid attachment; --apply does it\n",
        1,
    );
    assert_eq!(desk.cached(), ["cbr0-c1-eth0", "cbr0-c2-eth0"]);
    gc(&["netns"]).fails(
        "twill: --by-plugins needs a list of the valid attachments: --from FILE, or - for \
         standard input\n",
    );
    gc(&["/run/valid.json", "--apply"]).is(
        "deleted eth0 of container c1\n\
         GC of cbr0 with 1 valid attachment: 4 calls, T ms\n",
        0,
    );
    assert_eq!(desk.cached(), ["cbr0-c2-eth0"]);
    assert_eq!(desk.left().0, ["10.244.1.3"]);
    assert_eq!(desk.pod.link_names(), ["lo"]);
    assert_eq!(other.link_names(), ["lo", "eth0"]);
    let expected = json!({"network": "cbr0", "isDone": true, "valid": 1, "stale": []});
    assert_eq!(
        gc(&["/run/valid.json", "--apply", "--json"]).json(),
        expected
    );
}

#[test]
fn a_repeated_add_changes_nothing() {
    let Some(desk) = Desk::new() else { return };
    desk.twill("add", &["--container", "c1"]).is(ADDED, 0);
    desk.twill("add", &["--container", "c1"]).fails(
        "twill: eth0 of NETNS is attached to cbr0 already: its result is in \
         /var/lib/cni/results/cbr0-c1-eth0: detach it with `twill del`, or choose another \
         interface with --ifname\n",
    );
    let checked = "eth0 of NETNS is as its ADD to cbr0 made it (2 plugins, T ms)\n";
    desk.twill("check", &["--container", "c1"]).is(checked, 0);
}

/// Its DEL would remove what the first ADD has made.
#[test]
fn a_repeated_add_whose_result_is_lost_changes_nothing() {
    let Some(desk) = Desk::new() else { return };
    desk.twill("add", &["--container", "c1"]).is(ADDED, 0);
    let file = "/var/lib/cni/results/cbr0-c1-eth0";
    desk.node.enter(|| std::fs::remove_file(file)).unwrap();
    let before = desk.left();
    desk.twill("add", &["--container", "c1"]).fails(
        "twill: eth0 of NETNS exists already: choose another interface with --ifname, or detach it \
         with `twill del`\n",
    );
    assert_eq!(desk.left(), before);
    assert_eq!(desk.pod.link_names(), ["lo", "eth0"]);
}

#[test]
fn del_needs_no_list_and_add_and_check_say_what_is_missing() {
    let Some(desk) = Desk::new() else { return };
    desk.twill("check", &[])
        .fails("twill: no result of an ADD is cached: CHECK has nothing to compare with\n");
    desk.twill("add", &[]).is(ADDED, 0);
    desk.node
        .enter(|| std::fs::remove_file("/etc/cni/net.d/10-flannel.conflist"))
        .unwrap();
    let gone = "eth0 of NETNS is detached from cbr0 (2 plugins, T ms)\n";
    desk.twill("del", &[]).is(gone, 0);
    assert_eq!(desk.left(), (vec![], json!(["lo", "cni0"])));
    desk.twill("add", &[])
        .fails("twill: no file in /etc/cni/net.d is the list of network \"cbr0\"\n");
}

#[test]
fn mistakes_in_the_options_name_them() {
    let Some(desk) = Desk::new() else { return };
    desk.node
        .write("/run/lists/other", LIST.replace("cbr0", "podman"));
    for (words, message) in [
        (
            &["--args", "IP"][..],
            "--args: \"IP\" is no pair of the form KEY=VALUE: separate pairs by \";\"",
        ),
        (
            &["--cap", "["],
            "--cap: the capability arguments are no JSON object: EOF while parsing a list at line 1 column 1",
        ),
        (
            &["--conf", "/run/lists/other"],
            "/run/lists/other is the list of network podman, not of \"cbr0\"",
        ),
        (
            &["--conf", "/run/lists"],
            "no file in /run/lists is the list of network \"cbr0\"",
        ),
    ] {
        desk.twill("add", words)
            .fails(&format!("twill: {message}\n"));
    }
    let printed = desk.twill("add", &["--path", "/nowhere"]);
    let message =
        "twill: plugin 1 of the list: no plugin \"flannel\" in CNI_PATH /nowhere: install it there";
    assert!(printed.stderr.starts_with(message), "{}", printed.stderr);
    assert_eq!(printed.status, Some(2));
}
