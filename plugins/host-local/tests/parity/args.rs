//! `CNI_ARGS` and the other environment variables.

use serde_json::{Value, json};
use testkit::requirements::require_reference;
use testkit::{Invocation, binaries};

use crate::case::{Case, case, conf};
use crate::run::run;

fn subnet() -> Value {
    conf(json!({ "subnet": "10.1.1.0/24" }))
}

fn add(name: &str) -> Case {
    case(name).conf(&subnet()).add("c1")
}

const FIRST: [&str; 1] = ["10.1.1.2/24 via 10.1.1.1"];

#[test]
fn unknown_names() {
    run(&[
        add("an unknown one").args("K8S_POD_NAME=p").fails("unknown names \"K8S_POD_NAME\"").leaves(&[]),
        add("names have a case").args("ip=10.1.1.9").fails("unknown names \"ip\"").leaves(&[]),
        add("not to be ignored").args("IgnoreUnknown=0;A=1").fails("unknown names \"A\""),
        add("to be ignored").args("IgnoreUnknown=1;A=1;B=").gives(&FIRST),
        add("to be ignored, said behind it").args("A=1;IgnoreUnknown=TRUE").gives(&FIRST),
        add("nothing unknown").args("IgnoreUnknown=false").gives(&FIRST),
        add("what runtimes pass")
            .args("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=1-2")
            .gives(&FIRST)
            .check("c1")
            .args("IgnoreUnknown=1;K8S_POD_NAME=web-0")
            .silent()
            .del("c1")
            .args("IgnoreUnknown=1;K8S_POD_NAME=web-0")
            .silent()
            .leaves(&["last_reserved_ip.0", "lock"]),
        add("CHECK looks at them too").gives(&FIRST).check("c1").args("A=1").fails("unknown names \"A\""),
    ]);
}

#[test]
fn malformed_pairs() {
    let cases = [
        "A",
        "IP=10.1.1.9;",
        ";IP=10.1.1.9",
        "IP=10.1.1.9;;A=1",
        "IP=10.1.1.9=1",
        "IgnoreUnknown=1;A",
        " ",
    ]
    .map(|args| {
        add(args)
            .args(args)
            .fails("is no pair of the form KEY=VALUE")
            .leaves(&[])
    });
    run(&cases);
    run(&[
        add("neither true nor false")
            .args("IgnoreUnknown=yes;IP=10.1.1.9")
            .fails("IgnoreUnknown=\"yes\""),
        add("empty")
            .args("IgnoreUnknown=")
            .fails("IgnoreUnknown=\"\""),
        add("a list of addresses")
            .args("IP=10.1.1.9,10.1.1.10")
            .fails("\"10.1.1.9,10.1.1.10\" is no IP address"),
    ]);
}

#[test]
fn missing_variables() {
    let needed = |command: &str, names: &[&str]| -> Vec<Case> {
        let case = |name: &&str| {
            let message = format!("required env variables [{name}] missing");
            let start = case(format!("{command} without {name}")).conf(&subnet());
            let missing = start.call(command, "c1").without(name);
            missing.fails(&message).both_say(&message).leaves(&[])
        };
        names.iter().map(case).collect()
    };
    let all = ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_PATH"];
    run(&needed("ADD", &all));
    run(&needed("CHECK", &all));
    run(&needed(
        "DEL",
        &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
    ));
    run(&[
        case("DEL needs no namespace")
            .conf(&subnet())
            .add("c1")
            .gives(&FIRST)
            .del("c1")
            .without("CNI_NETNS")
            .silent()
            .leaves(&["last_reserved_ip.0", "lock"]),
        case("an empty one is missing")
            .conf(&subnet())
            .add("c1")
            .env("CNI_NETNS", "")
            .fails("[CNI_NETNS] missing")
            .both_say("[CNI_NETNS] missing"),
        case("no command of the specification")
            .conf(&subnet())
            .call("add", "c1")
            .fails("unknown CNI_COMMAND"),
        case("nonsense as command")
            .conf(&subnet())
            .call("A;B", "c1")
            .fails("unknown CNI_COMMAND"),
    ]);
}

#[test]
fn invalid_names() {
    let containers = [
        "-a", ".", "..", "../a", "a/b", "a b", "_a", "a\u{e4}", "a\n",
    ]
    .map(|id| {
        case(format!("{id:?}"))
            .conf(&subnet())
            .add(id)
            .fails("CNI_CONTAINERID")
            .leaves(&[])
    });
    run(&containers);
    let interfaces = [".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen_bytes_xx"].map(|name| {
        add(&format!("{name:?}"))
            .ifname(name)
            .fails("CNI_IFNAME")
            .leaves(&[])
    });
    run(&interfaces);
    let networks = ["", "..", "../net", "/net", "a/b", "-a", ".a", "a b"].map(|name| {
        let mut conf = subnet();
        conf["name"] = name.into();
        case(format!("{name:?}"))
            .conf(&conf)
            .add("c1")
            .fails("name of the network configuration")
            .leaves(&[])
    });
    run(&networks);
    run(&[
        add("the longest interface name")
            .ifname("fifteen_bytes_x")
            .gives(&FIRST)
            .del("c1")
            .ifname("fifteen_bytes_x")
            .silent()
            .leaves(&["last_reserved_ip.0", "lock"]),
        case("a long id of all characters")
            .conf(&subnet())
            .add(&"Ab_.-9".repeat(30))
            .gives(&FIRST)
            .check(&"Ab_.-9".repeat(30))
            .silent(),
    ]);
}

#[test]
fn versions_that_are_not_supported() {
    let cases = [
        "1.0", "01.0.0", "1.0.0 ", "v1.0.0", "0.0.1", "0.3.2", "1.0.1", "2.0.0", "x",
    ]
    .map(|version| {
        let mut conf = subnet();
        conf["cniVersion"] = version.into();
        case(version)
            .conf(&conf)
            .add("c1")
            .fails("incompatible CNI versions")
            .leaves(&[])
    });
    run(&cases);
    let checks = ["", "0.1.0", "0.2.0", "0.3.0", "0.3.1"].map(|version| {
        let mut conf = subnet();
        conf["cniVersion"] = version.into();
        let message = "config version does not allow CHECK";
        case(format!("CHECK in {version:?}"))
            .conf(&conf)
            .check("c1")
            .fails(message)
            .both_say(message)
            .leaves(&[])
    });
    run(&checks);
}

/// The text for people that both print. Only its form is the same.
#[test]
fn started_by_hand() {
    let about = |program: &std::path::Path| {
        let outcome = Invocation::new(program, "").run();
        assert_eq!(
            (outcome.code, outcome.stdout.as_slice()),
            (Some(0), &b""[..]),
            "{outcome}"
        );
        let text = outcome.stderr_text();
        let lines: Vec<&str> = text.lines().collect();
        let [name, versions] = lines[..] else {
            panic!("two lines are expected: {outcome}")
        };
        assert!(name.starts_with("CNI host-local plugin "), "{outcome}");
        assert!(
            versions.starts_with(
                "CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0"
            ),
            "{outcome}"
        );
    };
    about(&binaries::plugin("host-local"));
    if let Some(theirs) = require_reference("host-local") {
        about(&theirs);
    }
}
