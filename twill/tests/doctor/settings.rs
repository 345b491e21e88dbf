//! The kernel's settings.

use std::path::Path;

use crate::ward::{DISK, Ward, stand_in_for_settings};

// The kernel's settings do not depend on the store.
#[test]
fn kernel_settings() {
    let Some(ward) = Ward::new(DISK, "10.211.14") else {
        return;
    };
    ward.write("/proc/sys/net/ipv4/ip_forward", "0");
    ward.mend("sysctl", "net/ipv4/ip_forward");
    let strict = "net/ipv4/conf/all/rp_filter";
    ward.write(Path::new("/proc/sys").join(strict), "1");
    ward.find("sysctl", strict);
    ward.write(Path::new("/proc/sys").join(strict), "2");
    assert_eq!(ward.faults(), []);
}

#[test]
fn bridged_packets_that_iptables_does_not_see() {
    let Some(ward) = Ward::new(DISK, "10.211.27") else {
        return;
    };
    let name = "net/bridge/bridge-nf-call-iptables";
    // Only the module br_netfilter has the setting: a file stands in for it.
    ward.stage.node.enter(|| {
        if !Path::new("/proc/sys").join(name).exists() {
            stand_in_for_settings(&ward.stage.directory().join("sys"));
        }
    });
    ward.write(Path::new("/proc/sys").join(name), "0");
    ward.mend("sysctl", name);
}
