//! Rules of netfilter that Twill has created.

use crate::support::container;
use crate::ward::{DB, DISK, Ward};

#[test]
fn tables_that_others_have_flushed() {
    for (net, kind) in [("10.211.12", DISK), ("10.211.13", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        for damage in [
            "flush map ip twill_masquerade owners",
            "flush chain ip twill_masquerade postrouting",
            "delete table ip twill_portmap; add table ip twill_portmap",
        ] {
            ward.nft(damage);
            ward.mend("flushed-rules", "nftables");
        }
        ward.nft("flush ruleset");
        let one = format!("{net}.2 of c1 eth0 in {}", ward.stage.network());
        ward.mend("missing-masquerading", &one);
    }
}

#[test]
fn rules_of_a_container_that_is_gone() {
    for (net, kind) in [("10.211.28", DISK), ("10.211.32", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let before = ward.stage.holdings();
        let gone = container("c2");
        ward.stage.add(&gone);
        gone.ip("link delete eth0");
        ward.remove("/var/lib/cni/flannel/c2");
        ward.stage.release_addresses(&gone);
        assert_ne!(ward.stage.holdings(), before);
        let network = ward.stage.network();
        ward.mend("leftover-rules", &format!("c2 eth0 in {network}"));
        assert_eq!(ward.stage.holdings(), before);
    }
}
