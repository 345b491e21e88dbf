//! GC: flannel deletes stale attachments, then passes GC on to the delegate.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::ScriptedDelegate;

use crate::asked::{commands, is_alive, wait_for_call, wait_until};
use crate::desk::Desk;
use crate::traced::Traced;
use crate::upkeep::{add, add_with, gc, kept, leave, netconf, with_kept, with_valid};

const ERROR: &str = r#"{"code": 999, "msg": "no bridge today", "details": "ask again"}"#;

/// A configuration of the Go plugin, which does not name its interface.
const WRITTEN_BY_GO: &str = r#"{"cniVersion":"1.0.0","name":"cbr0","type":"bridge","mtu":1234}"#;

fn json_of(stdin: &[u8]) -> Value {
    serde_json::from_slice(stdin).unwrap()
}

#[test]
fn gc_deletes_stale_attachments() {
    let desk = Desk::new();
    let attachments = [
        ("c1", "eth0"),
        ("c1", "eth1"),
        ("c2", "eth0"),
        ("c2", "eth1"),
        ("c3", "net1"),
    ];
    let added = attachments.map(|(id, ifname)| add(&desk, id, ifname));
    let before = desk.kept();
    gc(&desk, &[("c2", "eth0"), ("c1", "eth1"), ("c9", "eth0")])
        .run()
        .silent();

    let calls = desk.delegate.calls().split_off(added.len());
    let deleted: Vec<_> = calls
        .iter()
        .map(|call| {
            // An empty variable counts as not set.
            let netns = call.env.get("CNI_NETNS");
            assert!(netns.is_none_or(String::is_empty), "{call:?}");
            let name = |key| call.env.get(key).map(String::as_str);
            (
                &*call.command,
                name("CNI_CONTAINERID"),
                name("CNI_IFNAME"),
                &call.stdin,
            )
        })
        .collect();
    let [c1_eth0, _, _, c2_eth1, c3_net1] = &added;
    assert_eq!(
        deleted[..3],
        [
            ("DEL", Some("c1"), Some("eth0"), c1_eth0),
            ("DEL", Some("c3"), Some("net1"), c3_net1),
            ("DEL", Some("c2"), Some("eth1"), c2_eth1),
        ]
    );
    let valid = [("c1", "eth1"), ("c2", "eth0"), ("c9", "eth0")];
    assert_eq!(
        (deleted.len(), deleted[3].0, deleted[3].1, deleted[3].2),
        (4, "GC", None, None)
    );
    assert_eq!(
        json_of(&calls[3].stdin),
        with_valid(json_of(c1_eth0), &valid)
    );

    let expected = before
        .into_iter()
        .filter(|(name, _)| [".attachments/c1:eth1", "c2"].contains(&&**name));
    assert_eq!(desk.kept(), expected.collect());
    // DEL still finds the valid attachments.
    for (id, ifname) in [("c1", "eth1"), ("c2", "eth0")] {
        desk.call("DEL").container(id).ifname(ifname).run().silent();
    }
    assert_eq!(kept(&desk), [""; 0]);
}

#[test]
fn gc_leaves_other_files_of_the_directory_alone() {
    let desk = Desk::new();
    let other = r#"{"name":"other","type":"bridge","twill/ifname":"eth0"}"#;
    leave(&desk, "c1", other);
    leave(&desk, ".attachments/c1:eth1", other);
    leave(&desk, "c2", r#"{"name":"other","type":"bridge"}"#);
    leave(&desk, "c3", r#"{"type":"bridge"}"#);
    // Debris does not name a network.
    leave(&desk, "c4", "");
    leave(&desk, "c5", r#"{"name":"cbr0","type":"bri"#);
    leave(&desk, ".attachments/c5:eth1", "[]");
    // These are not valid container IDs or interface names.
    leave(&desk, ".new", WRITTEN_BY_GO);
    leave(&desk, "c 6", WRITTEN_BY_GO);
    leave(&desk, ".attachments/c6", WRITTEN_BY_GO);
    leave(&desk, ".attachments/c6:a:b", WRITTEN_BY_GO);
    leave(
        &desk,
        "c7",
        r#"{"name":"cbr0","type":"bridge","twill/ifname":"../eth0"}"#,
    );
    fs::create_dir(desk.data_dir().join("c8")).unwrap();
    symlink(desk.subnet_file(), desk.data_dir().join("c9")).unwrap();
    let before = desk.listing();
    gc(&desk, &[]).run().silent();
    assert_eq!(desk.listing(), before);
    assert_eq!(commands(&desk), ["GC"]);
}

#[test]
fn the_go_plugins_file_stays_while_any_attachment_of_its_container_is_valid() {
    let desk = Desk::new();
    leave(&desk, "c1", WRITTEN_BY_GO);
    gc(&desk, &[("c1", "net7")]).run().silent();
    assert_eq!(commands(&desk), ["GC"]);
    assert_eq!(
        desk.kept(),
        [("c1".to_owned(), WRITTEN_BY_GO.to_owned())].into()
    );

    gc(&desk, &[("c2", "eth0")]).run().silent();
    assert_eq!(commands(&desk), ["GC", "DEL", "GC"]);
    let del = &desk.delegate.calls()[1];
    assert_eq!(
        (&*del.env["CNI_CONTAINERID"], &*del.env["CNI_IFNAME"]),
        ("c1", "eth0")
    );
    assert_eq!(str::from_utf8(&del.stdin).unwrap(), WRITTEN_BY_GO);
    assert_eq!(kept(&desk), [""; 0]);
}

#[test]
fn gc_deletes_each_stale_file_with_its_own_configuration() {
    // Two files for one container and interface: the Go plugin's, and that of a later ADD.
    for (failing, left) in [("bridge", "c1"), ("macvlan", ".attachments/c1:eth0")] {
        let desk = Desk::new();
        let macvlan = ScriptedDelegate::new("macvlan");
        leave(&desk, "c1", WRITTEN_BY_GO);
        leave(
            &desk,
            ".attachments/c1:eth0",
            r#"{"name":"cbr0","type":"macvlan","twill/ifname":"eth0"}"#,
        );
        let failing = if failing == "bridge" {
            &desk.delegate
        } else {
            &macvlan
        };
        failing.on("DEL").stdout(ERROR).exit(1);
        let gc = gc(&desk, &[]).paths([desk.delegate.dir(), macvlan.dir()]);
        assert_eq!(gc.run().failure().code, 999);
        assert_eq!(kept(&desk), [left]);
        failing.on("DEL").reset();
        gc.run().silent();
        assert_eq!(kept(&desk), [""; 0]);
    }
}

#[test]
fn gc_goes_on_after_failures_and_reports_all() {
    let desk = Desk::new();
    let macvlan = ScriptedDelegate::new("macvlan");
    let mut other = netconf(&desk);
    other["delegate"] = json!({"type": "macvlan"});
    let paths = [desk.delegate.dir(), macvlan.dir()];
    for (id, ifname) in [("c1", "eth0"), ("c1", "eth1"), ("c3", "eth0")] {
        add(&desk, id, ifname);
    }
    let add = desk.call("ADD").container("c2").config(&other);
    add.paths(&paths).run().success();

    desk.delegate.on("DEL").stdout(ERROR).exit(1);
    desk.delegate
        .on("GC")
        .stdout(r#"{"code": 5, "msg": "disk full", "details": "of logs"}"#)
        .exit(1);
    let gc = gc(&desk, &[("c3", "eth0")]).paths(&paths);
    let failure = gc.run().failure();
    assert_eq!(failure.code, 999);
    let (of_eth0, of_eth1) = (
        with_kept(&desk, "c1"),
        with_kept(&desk, ".attachments/c1:eth1"),
    );
    assert_eq!(
        failure.msg,
        format!(
            "eth0 of container c1: bridge: no bridge today{of_eth0}; \
             eth1 of container c1: bridge: no bridge today{of_eth1}; bridge: disk full"
        )
    );
    assert_eq!(failure.details, "ask again; ask again; of logs");
    assert_eq!(kept(&desk), [".attachments/c1:eth1", "c1", "c3"]);
    assert_eq!(macvlan.calls().len(), 2);

    desk.delegate.on("DEL").reset();
    let failure = gc.run().failure();
    assert_eq!((failure.code, &*failure.msg), (5, "bridge: disk full"));
    assert_eq!(kept(&desk), ["c3"]);
    desk.delegate.on("GC").reset();
    gc.run().silent();
}

#[test]
fn gc_goes_on_after_an_unreadable_file() {
    let desk = Desk::new();
    for id in ["c1", "c2", "c3"] {
        add(&desk, id, "eth0");
    }
    let netconf = with_valid(netconf(&desk), &[("c3", "eth0")]);
    let options = ["-P", "c2", "-e", "inject=openat:error=EIO"];
    let variables = [("CNI_COMMAND", OsStr::new("GC"))];
    let Some(traced) = Traced::start(&desk, &options, &netconf, &variables) else {
        return;
    };
    let (output, _) = traced.wait();
    let failure: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = desk.data_dir().join("c2");
    assert_eq!(failure["code"], 5);
    // The text between them comes from the C library.
    let msg = failure["msg"].as_str().unwrap();
    let start = format!("cannot read {}: ", file.display());
    assert!(
        msg.starts_with(&start) && msg.ends_with(" (os error 5)"),
        "{msg}"
    );
    assert_eq!(kept(&desk), ["c2", "c3"]);
    assert_eq!(commands(&desk)[3..], ["DEL", "GC"]);
}

#[test]
fn gc_deletes_attachments_of_a_missing_delegate_with_the_present_one() {
    let desk = Desk::new();
    add(&desk, "c1", "eth0");
    leave(
        &desk,
        "c2",
        r#"{"name":"cbr0","type":"removed","twill/ifname":"eth0"}"#,
    );
    gc(&desk, &[]).run().silent();
    assert_eq!(kept(&desk), [""; 0]);
    assert_eq!(commands(&desk), ["ADD", "DEL", "DEL", "GC"]);
    let calls = desk.delegate.calls();
    assert_eq!(calls[2].env["CNI_CONTAINERID"], "c2");
    assert_eq!(calls[2].stdin, calls[0].stdin);
}

#[test]
fn gc_reports_a_missing_delegate() {
    let desk = Desk::new();
    add(&desk, "c1", "eth0");
    let nowhere = "/nowhere";
    let failure = gc(&desk, &[]).path(nowhere).run().failure();
    let gone = format!(
        "no plugin \"bridge\" in CNI_PATH {nowhere}: \
         install it there, or correct the type in the network configuration"
    );
    let expected = format!(
        "eth0 of container c1: {gone}{}; {gone}",
        with_kept(&desk, "c1")
    );
    assert_eq!((failure.code, failure.msg), (100, expected));
    assert_eq!(kept(&desk), ["c1"]);
    assert_eq!(commands(&desk), ["ADD"]);
}

#[test]
fn gc_skips_an_attachment_that_is_being_added() {
    for ifname in ["eth0", "eth1"] {
        let desk = Desk::new();
        // eth1 is the container's second attachment.
        add_with(&desk, "c1", "net0", &netconf(&desk));
        let valid = [("c1", "net0")];
        desk.delegate.on("ADD").hang();
        let add = desk.call("ADD").ifname(ifname).config(&netconf(&desk));
        let adding = add.start();
        let delegate = wait_for_call(&desk, 1).pid.unwrap();
        let before = desk.listing();
        gc(&desk, &valid).run().silent();
        assert_eq!(commands(&desk), ["ADD", "ADD", "GC"]);
        assert_eq!(desk.listing(), before);

        // Once the ADD has ended, the attachment is stale.
        drop(adding);
        wait_until("the delegate ends", Duration::from_secs(5), || {
            !is_alive(delegate)
        });
        gc(&desk, &valid).run().silent();
        assert_eq!(commands(&desk), ["ADD", "ADD", "GC", "DEL", "GC"]);
        assert_eq!(desk.delegate.calls()[3].env["CNI_IFNAME"], ifname);
        assert_eq!(kept(&desk), ["c1"]);
    }
}
