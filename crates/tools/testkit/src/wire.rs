//! A node with a wire to another machine.

use std::fs;
use std::ops::Deref;
use std::process::Command;

use testkit::requirements::skip_for_kernel;
use testkit::{NetNs, Side};

use crate::support::conf::{GATEWAY, GATEWAY6};

/// A lab whose node has a wire, `wire0`, by which its default route goes. At the other end is a
/// machine with the gateway's addresses.
pub(crate) struct Lab {
    lab: testkit::Lab,
    outside: NetNs,
}

impl Deref for Lab {
    type Target = testkit::Lab;

    fn deref(&self) -> &testkit::Lab {
        &self.lab
    }
}

impl Lab {
    /// As [`Lab::on_any_kernel`]; also `None`, reported as a skip, if the kernel lacks the plugin's
    /// kind of link.
    #[track_caller]
    pub(crate) fn new(side: Side) -> Option<Self> {
        Self::on_any_kernel(side).filter(Self::has_kind)
    }

    /// A lab for calls that fail before the link is created. `None` as for [`testkit::Lab::new`].
    #[track_caller]
    pub(crate) fn on_any_kernel(side: Side) -> Option<Self> {
        let lab = Self {
            lab: testkit::Lab::new(side, crate::PLUGIN)?,
            outside: NetNs::new().unwrap(),
        };
        lab.plug_in();
        Some(lab)
    }

    #[track_caller]
    fn plug_in(&self) {
        let accept_dad = "/proc/sys/net/ipv6/conf/default/accept_dad";
        self.outside.enter(|| fs::write(accept_dad, "0")).unwrap();
        let path = self.outside.path();
        let netns = path.to_str().unwrap();
        self.ip(&format!(
            "link add wire0 type veth peer name wire1 netns {netns}"
        ));
        self.outside
            .ip(&format!("address add {GATEWAY}/24 dev wire1"));
        self.outside
            .ip(&format!("address add {GATEWAY6}/64 dev wire1"));
        self.outside.ip("link set wire1 up");
        self.ip("link set wire0 up");
        self.ip("address add 198.51.100.1/24 dev wire0");
        self.ip("route add default via 198.51.100.2");
    }

    /// Whether the kernel has links of this kind; if not, the test is reported as skipped.
    #[track_caller]
    fn has_kind(&self) -> bool {
        let probe = || {
            let mut ip = Command::new("ip");
            ip.args(["link", "add", "probe0", "link", "wire0", "type"]);
            ip.arg(crate::PLUGIN).output().unwrap()
        };
        let output = self.node.enter(probe);
        if output.status.success() {
            self.ip("link del probe0");
            return true;
        }
        skip_for_kernel(crate::PLUGIN);
        false
    }
}
