//! GC is passed on to the delegate with the runtime's list.

use std::fs;

use serde_json::{Value, json};
use testkit::ScriptedDelegate;

use crate::asked::{commands, last_call};
use crate::desk::Desk;
use crate::upkeep::{add, call, gc, kept, leave, netconf, with_valid};

const ERROR: &str = r#"{"code": 999, "msg": "no bridge today", "details": "ask again"}"#;

const VERSIONS_WITH_GC: &str =
    r#"{"cniVersion": "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}"#;
const VERSIONS_WITHOUT_GC: &str =
    r#"{"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}"#;

fn json_of(stdin: &[u8]) -> Value {
    serde_json::from_slice(stdin).unwrap()
}

#[test]
fn a_delegate_that_does_not_know_gc_is_no_error() {
    let desk = Desk::new();
    add(&desk, "c1", "eth0");
    for unknown in [
        r#"{"code": 4, "msg": "unknown CNI_COMMAND: GC"}"#,
        r#"{"cniVersion": "1.0.0", "code": 4, "msg": "unknown CNI_COMMAND", "details": "GC"}"#,
    ] {
        desk.delegate.on("GC").stdout(unknown).exit(1);
        gc(&desk, &[("c1", "eth0")]).run().silent();
        assert_eq!(last_call(&desk).command, "GC");
    }
    // The delegate's answer to VERSION decides, not its error.
    desk.delegate.on("VERSION").stdout(VERSIONS_WITHOUT_GC);
    for (said, code) in [(ERROR, 1), ("", 1), ("usage: bridge", 2)] {
        desk.delegate.on("GC").stdout(said).exit(code);
        gc(&desk, &[("c1", "eth0")]).run().silent();
        assert_eq!(last_call(&desk).command, "VERSION");
    }
    assert_eq!(kept(&desk), ["c1"]);
}

#[test]
fn the_ipam_plugin_of_a_delegate_without_gc_gets_gc() {
    let desk = Desk::new();
    let host_local = ScriptedDelegate::new("host-local");
    let paths = [desk.delegate.dir(), host_local.dir()];
    let unknown = r#"{"code": 4, "msg": "unknown CNI_COMMAND: GC"}"#;
    let gc = gc(&desk, &[("c1", "eth0")]).paths(&paths);
    // A delegate that knows GC calls its IPAM plugin by itself.
    gc.run().silent();
    assert_eq!(host_local.calls(), []);
    desk.delegate.on("GC").stdout(unknown).exit(1);
    gc.run().silent();
    let [asked] = &host_local.calls()[..] else {
        panic!("{:?}", host_local.calls());
    };
    assert_eq!(asked.command, "GC");
    assert_eq!(asked.stdin, last_call(&desk).stdin);

    host_local.on("GC").stdout(unknown).exit(1);
    gc.run().silent();
    host_local.on("GC").stdout(ERROR);
    host_local.on("VERSION").stdout(VERSIONS_WITH_GC);
    let failure = gc.run().failure();
    assert_eq!(
        (failure.code, &*failure.msg),
        (999, "host-local: no bridge today")
    );
}

/// A mistake in the present configuration does not keep stale attachments.
#[test]
fn a_mistaken_list_is_reported_after_everything_else() {
    let desk = Desk::new();
    add(&desk, "c1", "eth0");
    let mut netconf = with_valid(netconf(&desk), &[]);
    netconf["delegate"] = json!({"type": 5});
    let failure = gc(&desk, &[]).config(&netconf).run().failure();
    assert_eq!(
        (failure.code, &*failure.msg),
        (
            6,
            "network configuration: delegate.type: invalid type: integer `5`, expected a string"
        )
    );
    assert_eq!(commands(&desk), ["ADD", "DEL"]);
    assert_eq!(kept(&desk), [""; 0]);
}

#[test]
fn a_delegates_failed_gc_is_reported() {
    for versions in [
        VERSIONS_WITH_GC,
        "",
        "garbage",
        r#"{"cniVersion": "1.0.0"}"#,
    ] {
        let desk = Desk::new();
        desk.delegate.on("VERSION").stdout(versions);
        desk.delegate.on("GC").stdout(ERROR).exit(1);
        let failure = gc(&desk, &[]).run().failure();
        assert_eq!(
            (failure.code, &*failure.msg, &*failure.details),
            (999, "bridge: no bridge today", "ask again")
        );
        // The error is about another variable than CNI_COMMAND.
        let about_a_variable = r#"{"code": 4, "msg": "CNI_PATH is a mess"}"#;
        desk.delegate.on("GC").stdout(about_a_variable);
        let failure = gc(&desk, &[]).run().failure();
        assert_eq!(
            (failure.code, &*failure.msg),
            (4, "bridge: CNI_PATH is a mess")
        );
    }
}

#[test]
fn without_a_lease_kept_configurations_give_the_subnets() {
    for valid in [&[("c1", "eth0")][..], &[]] {
        let desk = Desk::new();
        add(&desk, "c1", "eth0");
        fs::remove_file(desk.subnet_file()).unwrap();
        gc(&desk, valid).run().silent();
        let call = last_call(&desk);
        assert_eq!(call.command, "GC");
        let expected = json!({
            "name": "cbr0",
            "cniVersion": "1.1.0",
            "type": "bridge",
            "ipMasq": true,
            "mtu": 0,
            "isGateway": true,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]], "routes": []},
        });
        assert_eq!(json_of(&call.stdin), with_valid(expected, valid));
        assert_eq!(kept(&desk).len(), valid.len());
    }
}

#[test]
fn without_a_lease_and_kept_configurations_gc_fails_with_code_11() {
    let desk = Desk::new();
    // This configuration belongs to another network.
    leave(
        &desk,
        "c1",
        r#"{"name":"other","type":"bridge","ipam":{"ranges":[[{"subnet":"10.1.0.0/24"}]]}}"#,
    );
    fs::remove_file(desk.subnet_file()).unwrap();
    let before = desk.listing();
    let failure = gc(&desk, &[]).run().failure();
    let expected = format!(
        "failed to load the lease: {}: there is no such file: flanneld has no lease for this node \
            yet",
        desk.subnet_file().display()
    );
    assert_eq!((failure.code, failure.msg), (11, expected));
    assert_eq!(failure.details, "check the log of flanneld on this node");
    assert_eq!(desk.listing(), before);
    assert_eq!(commands(&desk), [""; 0]);
}

#[test]
fn gc_without_a_valid_list_does_nothing() {
    let desk = Desk::new();
    add(&desk, "c1", "eth0");
    let before = desk.listing();
    // libcni omits the key if its caller passes no list.
    call(&desk, "GC").run().silent();
    for (list, what) in [
        (
            json!({"containerID": "c1"}),
            ": invalid type: map, expected a sequence",
        ),
        (
            json!("c1"),
            ": invalid type: string \"c1\", expected a sequence",
        ),
        (
            json!([{"containerID": 1}]),
            "[0].containerID: invalid type: integer `1`, expected a string",
        ),
    ] {
        let mut netconf = netconf(&desk);
        netconf["cni.dev/valid-attachments"] = list;
        let failure = call(&desk, "GC").config(&netconf).run().failure();
        let expected =
            format!("cannot decode the network configuration: cni.dev/valid-attachments{what}");
        assert_eq!((failure.code, failure.msg), (6, expected));
    }
    let mut old = with_valid(netconf(&desk), &[]);
    old["cniVersion"] = "1.0.0".into();
    let failure = call(&desk, "GC").config(&old).run().failure();
    assert_eq!(
        (failure.code, &*failure.msg),
        (1, "config version does not allow GC")
    );
    assert_eq!(desk.listing(), before);
    assert_eq!(commands(&desk), ["ADD"]);
}

#[test]
fn an_empty_or_null_list_means_that_nothing_is_valid() {
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        for list in [json!([]), Value::Null] {
            let desk = Desk::new();
            add(&desk, "c1", "eth0");
            let mut netconf = netconf(&desk);
            netconf[key] = list;
            call(&desk, "GC").config(&netconf).run().silent();
            assert_eq!(kept(&desk), [""; 0]);
            assert_eq!(commands(&desk), ["ADD", "DEL", "GC"]);
            let passed_on = json_of(&last_call(&desk).stdin);
            assert_eq!(
                (
                    &passed_on["cni.dev/valid-attachments"],
                    &passed_on["cni.dev/attachments"]
                ),
                (&json!([]), &json!([]))
            );
        }
    }
}

#[test]
fn gc_with_nothing_kept_only_calls_the_delegate() {
    let desk = Desk::new();
    let before = desk.listing();
    gc(&desk, &[("c1", "eth0")]).run().silent();
    assert_eq!(commands(&desk), ["GC"]);
    assert_eq!(desk.listing(), before);
}
