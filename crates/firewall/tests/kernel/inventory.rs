//! What the tables have for all attachments.

use firewall::{AttachmentDigest, EntryKind, PortMap, PortMapping, Snat, Transport, map_ports};
use netlink::Mac;

use crate::{addresses, attachment, namespace, network, nftables, printed};

fn held(inventory: &firewall::Inventory, container: &str) -> Vec<EntryKind> {
    let digest = AttachmentDigest::new(&network("cbr0"), &attachment(container, "eth0"));
    let entries = inventory.entries.iter();
    let own = entries.filter(|entry| entry.attachment == digest);
    own.map(|entry| entry.kind.clone()).collect()
}

#[test]
fn each_attachment_has_what_it_was_given() {
    let Some(netns) = namespace() else { return };
    let mut nftables = nftables(&netns);
    assert_eq!(
        nftables.inventory().unwrap(),
        firewall::Inventory::default()
    );
    let (net, c1, c2) = (
        network("cbr0"),
        attachment("c1", "eth0"),
        attachment("c2", "eth0"),
    );
    let both = addresses(&["10.1.0.2/24", "fd00::2/64"]);
    nftables.masquerade(&net, &c1, &both).unwrap();
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    nftables.allow_only_mac(&net, &c1, "veth1", mac).unwrap();
    let mapping = PortMapping {
        protocol: Transport::Udp,
        host_ip: None,
        host_port: 53,
        container_port: 5353,
    };
    // The second claim of the port has it.
    for (attachment, address) in [(&c1, "10.1.0.2/24"), (&c2, "10.1.0.3/24")] {
        let map = PortMap {
            addresses: &addresses(&[address]),
            mappings: &[mapping],
            snat: Snat::WhereNeeded,
            conditions4: None,
            conditions6: None,
        };
        netns.enter(|| map_ports(&net, attachment, &map).unwrap());
    }
    let inventory = nftables.inventory().unwrap();
    let tables = [
        "ip twill_masquerade",
        "ip6 twill_masquerade",
        "bridge twill_macspoofchk",
        "ip twill_portmap",
    ];
    assert_eq!(inventory.tables, tables);
    assert_eq!(inventory.missing, [""; 0]);
    let port = |target: &str, is_waiting| EntryKind::Port {
        mapping,
        target: target.parse().unwrap(),
        is_waiting,
    };
    assert_eq!(
        held(&inventory, "c1"),
        [
            EntryKind::Masqueraded(both[0]),
            EntryKind::Masqueraded(both[1]),
            EntryKind::OnlyMac {
                port: "veth1".to_owned(),
                mac,
            },
            port("10.1.0.2", true),
        ]
    );
    assert_eq!(held(&inventory, "c2"), [port("10.1.0.3", false)]);
    assert!(
        inventory
            .entries
            .iter()
            .any(|it| it.words == "eth0 of c1 in cbr0")
    );

    printed(&netns, "nft flush map ip twill_masquerade owners");
    let inventory = nftables.inventory().unwrap();
    assert_eq!(held(&inventory, "c1").len(), 3);
    // What is missing is what a repair restores.
    let is_in_table = |what: &String| what.contains("ip twill_masquerade");
    assert!(inventory.missing.iter().any(is_in_table), "{inventory:?}");
    assert_eq!(nftables.repair().unwrap(), inventory.missing);
    let inventory = nftables.inventory().unwrap();
    assert_eq!(inventory.missing, [""; 0]);
    assert_eq!(held(&inventory, "c1").len(), 4);
    for damage in [
        "flush chain ip twill_portmap prerouting",
        "flush chain ip6 twill_masquerade postrouting",
        "delete chain bridge twill_macspoofchk prerouting",
    ] {
        printed(&netns, &format!("nft {damage}"));
        let missing = nftables.inventory().unwrap().missing;
        assert_ne!(missing, [""; 0], "{damage}");
        assert_eq!(nftables.repair().unwrap(), missing, "{damage}");
        assert_eq!(nftables.inventory().unwrap().missing, [""; 0], "{damage}");
    }
}
