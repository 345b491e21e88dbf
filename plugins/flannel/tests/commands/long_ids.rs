//! Container IDs that are too long for a file name, which has at most 255 bytes.

use serde_json::Value;

use crate::asked::commands;
use crate::desk::Desk;
use crate::upkeep::{gc, kept, netconf};

const LENGTHS: [usize; 5] = [200, 250, 252, 255, 300];

/// Two IDs of the same length that differ in the last character only.
fn ids(length: usize) -> [String; 2] {
    ["a", "b"].map(|end| "c".repeat(length - 1) + end)
}

#[test]
fn each_attachment_of_a_long_id_has_its_own_file() {
    for length in LENGTHS {
        let desk = Desk::new();
        let attachments: Vec<(String, &str)> = ids(length)
            .into_iter()
            .flat_map(|id| ["eth0", "eth1"].map(|ifname| (id.clone(), ifname)))
            .collect();
        for (number, (id, ifname)) in attachments.iter().enumerate() {
            let mut netconf = desk.netconf();
            netconf["delegate"] = serde_json::json!({"bridge": format!("cni{number}")});
            let add = desk.call("ADD").container(id).ifname(ifname);
            add.config(&netconf).run().success();
        }
        assert_eq!(kept(&desk).len(), 4, "{length}");
        assert!(kept(&desk).iter().all(|name| name.len() < 270));
        let calls = desk.delegate.calls();
        for (number, (id, ifname)) in attachments.iter().enumerate() {
            for command in ["CHECK", "DEL"] {
                let call = desk.call(command).container(id).ifname(ifname);
                call.run().silent();
                let replayed = desk.delegate.calls().pop().unwrap();
                assert_eq!(replayed.stdin, calls[number].stdin, "{length}: {ifname}");
            }
            assert_eq!(kept(&desk).len(), 3 - number);
        }
    }
}

#[test]
fn del_of_a_long_id_that_was_never_added_succeeds() {
    for length in LENGTHS {
        let desk = Desk::new();
        // With the directory in place, DEL also looks for the second attachment's names.
        desk.call("ADD").run().success();
        desk.call("ADD").ifname("eth1").run().success();
        let before = desk.kept();
        for id in ids(length) {
            let del = desk.call("DEL").container(&id);
            del.run().silent();
            del.run().silent();
        }
        assert_eq!(desk.kept(), before);
    }
}

#[test]
fn gc_finds_the_owner_of_a_shortened_name() {
    let desk = Desk::new();
    let [valid, gone] = ids(300);
    for id in [&valid, &gone] {
        for ifname in ["eth0", "eth1"] {
            let add = desk.call("ADD").container(id).ifname(ifname);
            add.config(&netconf(&desk)).run().success();
        }
    }
    gc(&desk, &[(&valid, "eth0"), (&valid, "eth1")])
        .run()
        .silent();
    assert_eq!(commands(&desk)[4..], ["DEL", "DEL", "GC"]);
    for call in &desk.delegate.calls()[4..6] {
        assert_eq!(call.env["CNI_CONTAINERID"], gone);
        let conf: Value = serde_json::from_slice(&call.stdin).unwrap();
        assert_eq!(conf.get("twill/container"), None);
    }
    assert_eq!(kept(&desk).len(), 2);
    gc(&desk, &[]).run().silent();
    assert_eq!(kept(&desk), [""; 0]);
}
