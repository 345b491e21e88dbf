//! The output for people.

use crate::ward::{DISK, Ward};

#[test]
fn the_output_for_people() {
    let Some(ward) = Ward::new(DISK, "10.211.18") else {
        return;
    };
    ward.write("/proc/sys/net/ipv4/ip_forward", "0");
    assert_eq!(
        ward.run(&["doctor"]).text(1),
        "sysctl: net/ipv4/ip_forward\n  \
           evidence  it is 0\n  \
           effect    the node drops what containers send to other nodes, and what comes back\n  \
           mend      twill repair sysctl --apply, or: sysctl -w net.ipv4.ip_forward=1\n\
         \n\
         1 fault\n"
    );
    let failure = ward.run(&["repair", "sysctls"]).failure();
    assert!(
        failure.starts_with("twill: \"sysctls\" is no kind of fault: unreadable, dead-lease, "),
        "{failure}"
    );
}
