//! Links, and what the kernel can do with them.

use std::process::Command;

pub(crate) use testkit::Link;

use crate::support::lab::Lab;

/// Whether the kernel can tell VLANs apart on a bridge.
#[track_caller]
pub(crate) fn can_filter_vlans(lab: &Lab) -> bool {
    let mut add = Command::new("ip");
    add.args("link add probe0 type bridge vlan_filtering 1".split(' '));
    let can = lab.node.enter(|| add.output()).unwrap().status.success();
    if can {
        lab.ip("link del probe0");
    }
    can
}
