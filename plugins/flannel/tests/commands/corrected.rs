//! DEL and GC with a kept configuration that the delegate refuses, or whose delegate is not
//! installed, before and after the network configuration is corrected.

use std::ffi::OsStr;
use std::fs;

use serde_json::{Value, json};
use testkit::{Invocation, ScriptedDelegate};

use crate::asked::commands;
use crate::desk::Desk;
use crate::traced::Traced;
use crate::upkeep::{gc, kept, leave, netconf, with_kept};

/// Errors of delegates, and of IPAM plugins as delegates pass them on.
const UNDECODABLE: &str = r#"{"code": 6, "msg": "cannot decode the network configuration: mtu"}"#;
const NO_IPAM: &str = r#"{"code": 100, "msg": "no plugin \"hostlocal\" in CNI_PATH"}"#;
const OF_GO: &str =
    r#"{"code": 999, "msg": "failed to load netconf: json: cannot unmarshal string"}"#;
const NO_BRIDGE: &str = r#"{"code": 999, "msg": "no bridge today"}"#;
const BUSY: &str = r#"{"code": 11, "msg": "locked by process 7"}"#;

/// The configuration that an ADD kept with an earlier network configuration: a macvlan with another
/// IPAM plugin.
const OF_MACVLAN: &str = r#"{"name":"cbr0","cniVersion":"1.0.0","type":"macvlan","ipam":{"type":"pool","dataDir":"/x"},"twill/ifname":"eth0"}"#;

/// A node with these two plugins, beside the present delegate.
struct Both {
    desk: Desk,
    macvlan: ScriptedDelegate,
    pool: ScriptedDelegate,
}

impl Both {
    fn new() -> Self {
        let both = Self {
            desk: Desk::new(),
            macvlan: ScriptedDelegate::new("macvlan"),
            pool: ScriptedDelegate::new("pool"),
        };
        leave(&both.desk, "c1", OF_MACVLAN);
        both
    }

    /// A DEL of the attachment, and a GC that finds it stale.
    fn calls(&self) -> [Invocation; 2] {
        let paths = [
            self.desk.delegate.dir(),
            self.macvlan.dir(),
            self.pool.dir(),
        ];
        let of_gc = gc(&self.desk, &[]);
        [self.desk.call("DEL"), of_gc].map(|call| call.paths(&paths))
    }

    /// The number of DELs that each of the three plugins got.
    fn asked(&self) -> [usize; 3] {
        [&self.desk.delegate, &self.macvlan, &self.pool].map(|delegate| {
            let calls = delegate.calls().into_iter();
            calls.filter(|call| call.command == "DEL").count()
        })
    }
}

fn stdin(delegate: &ScriptedDelegate, number: usize) -> Value {
    serde_json::from_slice(&delegate.calls()[number].stdin).unwrap()
}

#[test]
fn an_add_that_the_delegate_refused_keeps_nothing() {
    for (of_add, of_del) in [
        (UNDECODABLE, UNDECODABLE),
        (NO_IPAM, NO_IPAM),
        (UNDECODABLE, NO_IPAM),
        (OF_GO, OF_GO),
        (BUSY, BUSY),
    ] {
        let desk = Desk::new();
        desk.delegate.on("ADD").stdout(of_add).exit(1);
        desk.delegate.on("DEL").stdout(of_del).exit(1);
        desk.call("ADD").run().failure();
        assert_eq!(commands(&desk), ["ADD", "DEL"]);
        assert_eq!(kept(&desk), [""; 0], "{of_add}");
    }
    // A delegate that may have done something before it failed, or that ended without an error.
    for (of_add, of_del) in [(OF_GO, NO_BRIDGE), ("", UNDECODABLE), (UNDECODABLE, "")] {
        let desk = Desk::new();
        desk.delegate.on("ADD").stdout(of_add).exit(1);
        desk.delegate.on("DEL").stdout(of_del).exit(1);
        desk.call("ADD").run().failure();
        assert_eq!(kept(&desk), ["c1"], "{of_add}");
    }
}

#[test]
fn del_succeeds_with_nothing_kept_and_a_configuration_that_the_delegate_refuses() {
    for refusal in [UNDECODABLE, NO_IPAM] {
        let desk = Desk::new();
        desk.delegate.on("DEL").stdout(refusal).exit(1);
        desk.call("DEL").run().silent();
        leave(&desk, "c1", "");
        desk.call("DEL").run().silent();
        assert_eq!(kept(&desk), [""; 0]);
        assert_eq!(commands(&desk), ["DEL", "DEL"]);
    }
    for failure in [OF_GO, BUSY] {
        let desk = Desk::new();
        desk.delegate.on("DEL").stdout(failure).exit(1);
        desk.call("DEL").run().failure();
    }
}

#[test]
fn del_with_a_missing_delegate_uses_the_present_configuration() {
    for call in [0, 1] {
        let both = Both::new();
        fs::remove_file(both.macvlan.program()).unwrap();
        both.calls()[call].run().silent();
        assert_eq!(both.asked(), [1, 0, 1]);
        assert_eq!(kept(&both.desk), [""; 0]);
        let present = stdin(&both.desk.delegate, 0);
        assert_eq!(present["type"], "bridge");
        assert_eq!(present["ipam"]["type"], "host-local");
        // The IPAM plugin of the kept configuration has the addresses.
        let released = stdin(&both.pool, 0);
        assert_eq!(released["ipam"], json!({"type": "pool", "dataDir": "/x"}));
        assert_eq!(released.get("twill/ifname"), None);
        let del = &both.pool.calls()[0];
        assert_eq!(
            (&*del.env["CNI_CONTAINERID"], &*del.env["CNI_IFNAME"]),
            ("c1", "eth0")
        );
    }
}

#[test]
fn del_with_a_refused_configuration_uses_the_present_one() {
    for refusal in [UNDECODABLE, NO_IPAM] {
        for call in [0, 1] {
            let both = Both::new();
            both.macvlan.on("DEL").stdout(refusal).exit(1);
            // The IPAM plugin refuses the configuration too.
            both.pool.on("DEL").stdout(refusal).exit(1);
            both.calls()[call].run().silent();
            assert_eq!(both.asked(), [1, 1, 1]);
            assert_eq!(kept(&both.desk), [""; 0]);
        }
    }
}

#[test]
fn a_failure_that_may_be_temporary_fails_one_del() {
    for call in [0, 1] {
        let both = Both::new();
        both.macvlan.on("DEL").stdout(OF_GO).exit(1);
        let failure = both.calls()[call].run().failure();
        let whose = if call == 0 {
            ""
        } else {
            "eth0 of container c1: "
        };
        let expected = format!(
            "{whose}macvlan: failed to load netconf: json: cannot unmarshal string{}; \
             the next attempt goes on with the present network configuration",
            with_kept(&both.desk, "c1")
        );
        assert_eq!((failure.code, failure.msg), (999, expected));
        // The addresses are not released while the link may still exist.
        assert_eq!(both.asked(), [0, 1, 0]);
        assert_eq!(kept(&both.desk), ["c1"]);

        both.calls()[call].run().silent();
        assert_eq!(both.asked(), [1, 2, 1]);
        assert_eq!(kept(&both.desk), [""; 0]);
        for number in [0, 1] {
            let mut expected: Value = serde_json::from_str(OF_MACVLAN).unwrap();
            expected.as_object_mut().unwrap().remove("twill/ifname");
            assert_eq!(stdin(&both.macvlan, number), expected);
        }
    }
    // The failure was temporary.
    let both = Both::new();
    both.macvlan.on("DEL").stdout(OF_GO).exit(1);
    let [del, _] = both.calls();
    del.run().failure();
    both.macvlan.on("DEL").reset();
    del.run().silent();
    assert_eq!(both.asked(), [0, 2, 0]);
    assert_eq!(kept(&both.desk), [""; 0]);
}

#[test]
fn del_succeeds_if_the_ipam_plugin_of_the_kept_configuration_fails_too() {
    for of_pool in [UNDECODABLE, NO_IPAM, OF_GO] {
        let both = Both::new();
        both.macvlan.on("DEL").stdout(OF_GO).exit(1);
        both.pool.on("DEL").stdout(of_pool).exit(1);
        let [del, _] = both.calls();
        del.run().failure();
        let outcome = del.env("CNI_LOG", "error").run();
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(
            outcome.stderr_text().contains("addresses may stay taken"),
            "{outcome}"
        );
        assert_eq!(kept(&both.desk), [""; 0]);
    }
}

#[test]
fn a_lock_fails_every_del() {
    let both = Both::new();
    both.macvlan.on("DEL").stdout(BUSY).exit(1);
    let [del, _] = both.calls();
    let file = both.desk.kept()["c1"].clone();
    for _ in 0..3 {
        let failure = del.run().failure();
        let expected = format!(
            "macvlan: locked by process 7{}",
            with_kept(&both.desk, "c1")
        );
        assert_eq!((failure.code, failure.msg), (11, expected));
        assert_eq!(both.desk.kept()["c1"], file);
    }
    assert_eq!(both.asked(), [0, 3, 0]);

    both.macvlan.on("DEL").stdout(NO_IPAM);
    both.pool.on("DEL").stdout(BUSY).exit(1);
    for _ in 0..3 {
        assert_eq!(del.run().failure().code, 11);
        assert_eq!(kept(&both.desk), ["c1"]);
    }
    both.pool.on("DEL").reset();
    del.run().silent();
    assert_eq!(kept(&both.desk), [""; 0]);
}

#[test]
fn a_correction_for_the_same_delegate_and_ipam_plugin_works_at_once() {
    // An ADD keeps this if its delegate was killed and the rollback failed.
    let desk = Desk::new();
    desk.delegate.on("ADD").kill(9);
    desk.delegate.on("DEL").stdout(OF_GO).exit(1);
    let mut mistaken = desk.netconf();
    mistaken["delegate"] = json!({"mtu": "1400"});
    desk.call("ADD").config(&mistaken).run().failure();
    assert_eq!(kept(&desk), ["c1"]);
    // Without a correction, there is no other configuration to try.
    let failure = desk.call("DEL").config(&mistaken).run().failure();
    let of_go = "bridge: failed to load netconf: json: cannot unmarshal string";
    let of_kept = format!("{of_go}{}", with_kept(&desk, "c1"));
    assert_eq!(failure.msg, of_kept);
    assert_eq!(commands(&desk), ["ADD", "DEL", "DEL"]);
    desk.delegate.on("DEL").reset();
    desk.call("DEL").run().silent();
    assert_eq!(kept(&desk), [""; 0]);
}

/// The failed ADD with its failed rollback counts as the first failure.
#[test]
fn the_configuration_of_a_failed_add_fails_one_del() {
    for is_corrected in [false, true] {
        let desk = Desk::new();
        desk.delegate.on("ADD").kill(9);
        desk.delegate.on("DEL").stdout(OF_GO).exit(1);
        let mut netconf = desk.netconf();
        netconf["delegate"] = json!({"mtu": "1400"});
        desk.call("ADD").config(&netconf).run().failure();
        let mut expected = format!(
            "bridge: failed to load netconf: json: cannot unmarshal string{}",
            with_kept(&desk, "c1")
        );
        if is_corrected {
            // The delegate fails with the present configuration too.
            netconf = desk.netconf();
            expected += "; with the present network configuration: bridge: failed to load \
                netconf: json: cannot unmarshal string";
        }
        let del = desk.call("DEL").config(&netconf);
        let failure = del.run().failure();
        assert_eq!((failure.code, failure.msg), (999, expected));
        assert_eq!(kept(&desk), ["c1"]);
        let outcome = del.env("CNI_LOG", "error").run();
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let log = outcome.stderr_text();
        for message in [
            "given up: bridge: failed",
            "addresses may stay taken until GC: no plugin",
        ] {
            assert!(log.contains(message), "{outcome}");
        }
        assert_eq!(kept(&desk), [""; 0]);
    }
}

#[test]
fn a_failed_repeated_add_does_not_count_as_a_success() {
    let desk = Desk::new();
    desk.delegate.on("ADD").kill(9);
    desk.delegate.on("DEL").stdout(NO_BRIDGE).exit(1);
    let mut first = desk.netconf();
    first["delegate"] = json!({"bridge": "cni1"});
    desk.call("ADD").config(&first).run().failure();
    let kept_first = desk.kept();

    // The repeated ADD fails and rolls back its own work; the first attachment remains.
    desk.delegate.on("DEL").reset();
    desk.delegate.on("ADD").reset().stdout(OF_GO).exit(1);
    desk.call("ADD").run().failure();
    assert_eq!(commands(&desk), ["ADD", "DEL", "ADD", "DEL"]);
    let calls = desk.delegate.calls();
    assert_eq!(calls[3].stdin, calls[2].stdin);
    assert_eq!(desk.kept(), kept_first);
    desk.call("DEL").run().silent();
    assert_eq!(desk.delegate.calls()[4].stdin, calls[0].stdin);
    assert_eq!(kept(&desk), [""; 0]);
}

#[test]
fn a_failed_repeated_add_restores_the_go_plugins_file() {
    let desk = Desk::new();
    let of_go = r#"{"cniVersion":"1.0.0","name":"cbr0","type":"bridge","mtu":1234}"#;
    leave(&desk, "c1", of_go);
    desk.delegate.on("ADD").stdout(NO_BRIDGE).exit(1);
    desk.call("ADD").run().failure();
    assert_eq!(commands(&desk), ["ADD"]);
    assert_eq!(desk.kept(), [("c1".to_owned(), of_go.to_owned())].into());
}

#[test]
fn the_error_names_the_file_and_the_present_configurations_mistake() {
    let both = Both::new();
    fs::remove_file(both.macvlan.program()).unwrap();
    fs::remove_file(both.desk.subnet_file()).unwrap();
    let mut netconf = netconf(&both.desk);
    netconf["delegate"] = json!({"type": "../x"});
    let [del, _] = both.calls();
    for _ in 0..2 {
        let failure = del.clone().config(&netconf).run().failure();
        assert!(
            failure
                .msg
                .starts_with("no plugin \"macvlan\" in CNI_PATH ")
                && failure.msg.ends_with(&with_kept(&both.desk, "c1")),
            "{failure:?}"
        );
        assert_eq!(kept(&both.desk), ["c1"]);
    }
    // Without a lease, the subnets of the attachment's own addresses count.
    let failure = del.run().failure();
    assert!(
        failure.msg.ends_with(&with_kept(&both.desk, "c1")),
        "{failure:?}"
    );
    let with_ranges = OF_MACVLAN.replace(
        r#""dataDir""#,
        r#""ranges":[[{"subnet":"10.9.0.0/24"}]],"dataDir""#,
    );
    leave(&both.desk, "c1", with_ranges);
    del.run().silent();
    let ranges = &stdin(&both.desk.delegate, 0)["ipam"]["ranges"];
    assert_eq!(*ranges, json!([[{"subnet": "10.9.0.0/24"}]]));
}

#[test]
fn a_refused_configuration_without_correction_releases_its_addresses() {
    let desk = Desk::new();
    let pool = ScriptedDelegate::new("pool");
    let paths = [desk.delegate.dir(), pool.dir()];
    let mut netconf = desk.netconf();
    netconf["ipam"] = json!({"type": "pool"});
    desk.call("ADD").config(&netconf).run().success();
    desk.delegate.on("DEL").stdout(UNDECODABLE).exit(1);
    let del = desk.call("DEL").config(&netconf);
    let failure = del.run().failure();
    let expected = format!(
        "bridge: cannot decode the network configuration: mtu{}",
        with_kept(&desk, "c1")
    );
    assert_eq!((failure.code, failure.msg), (6, expected));
    assert_eq!(kept(&desk), ["c1"]);
    del.paths(&paths).run().silent();
    assert_eq!(kept(&desk), [""; 0]);
    assert_eq!(pool.calls()[0].stdin, desk.delegate.calls()[0].stdin);
}

#[test]
fn a_failure_that_cannot_be_recorded_is_final() {
    let both = Both::new();
    both.macvlan.on("DEL").stdout(OF_GO).exit(1);
    let paths = [
        both.desk.delegate.dir(),
        both.macvlan.dir(),
        both.pool.dir(),
    ];
    let paths = std::env::join_paths(paths).unwrap();
    let variables = [("CNI_COMMAND", OsStr::new("DEL")), ("CNI_PATH", &paths)];
    let options = ["-e", "inject=renameat,renameat2:error=ENOSPC"];
    let Some(traced) = Traced::start(&both.desk, &options, &both.desk.netconf(), &variables) else {
        return;
    };
    let (output, calls) = traced.wait();
    assert!(calls.contains("ENOSPC"), "{calls}");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]));
    assert_eq!(both.asked(), [1, 1, 1]);
    assert_eq!(kept(&both.desk), [""; 0]);
}
