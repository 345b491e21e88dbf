//! The bridge and its address.

use std::process::Command;

use crate::ward::{DB, DISK, Ward};

#[test]
fn faults_of_the_bridge() {
    for (net, kind) in [("10.211.8", DISK), ("10.211.9", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        ward.stage
            .node
            .ip(&format!("address del {net}.1/24 dev cni0"));
        ward.mend("bridge-without-gateway", &format!("{net}.1/24 on cni0"));
        // An operator's address stays.
        ward.stage.node.ip("address add 10.199.8.1/24 dev cni0");
        assert_eq!(ward.faults(), []);
    }
}

#[test]
fn the_bridge_has_the_address_of_an_earlier_lease() {
    for (net, kind) in [("10.211.20", DISK), ("10.211.21", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let file = "/run/flannel/subnet.env";
        let lease = ward.stage.node.read(file);
        ward.write(
            file,
            &lease.replace(&format!("{net}.1/24"), "10.210.7.1/24"),
        );
        let fault = |kind: &str, subject: &str| (kind.to_owned(), format!("{subject} on cni0"));
        let old = format!("{net}.1/24");
        assert_eq!(
            ward.faults(),
            [
                fault("bridge-without-gateway", "10.210.7.1/24"),
                fault("bridge-with-old-address", &old),
            ]
        );
        // The old address is the gateway of a container that runs.
        let text = ward.run(&["repair", "--apply"]).text(1);
        assert_eq!(
            text,
            format!(
                "bridge-without-gateway: 10.210.7.1/24 on cni0: added\n\
                 bridge-with-old-address: {old} on cni0: only you can: delete the pods or \
                 containers that use it: their successors get addresses of the present lease, and \
                 then this fault can be repaired\n"
            )
        );
        let gateway = format!("{net}.1");
        let reached = ward
            .one
            .sandbox
            .enter(|| Command::new("ping").args(["-c1", "-W5", &gateway]).output());
        assert!(reached.unwrap().status.success());
        ward.stage.del(&ward.one);
        assert_eq!(
            ward.run(&["repair", "--apply"]).text(0),
            format!("bridge-with-old-address: {old} on cni0: removed\n")
        );
        assert_eq!(ward.faults(), []);
        let addresses = ward
            .stage
            .node
            .ip_json(&["-4", "address", "show", "dev", "cni0"]);
        let addresses = addresses[0]["addr_info"].as_array().unwrap();
        let addresses: Vec<_> = addresses
            .iter()
            .map(|it| it["local"].as_str().unwrap())
            .collect();
        assert_eq!(addresses, ["10.210.7.1"]);
    }
}
