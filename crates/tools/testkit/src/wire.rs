//! A node with a wire to another machine, for plugins whose links share that wire: ipvlan and
//! macvlan.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::conf::{GATEWAY, GATEWAY6, SUBNET, SUBNET6, host_local, of, with};
use crate::requirements::skip_for_kernel;
use crate::snapshot::{Observed, Snapshot, assert_same};
use crate::{Invocation, Link, NetNs, Side, traffic};

/// A plugin of sub-interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WirePlugin {
    /// The plugin's name, which is also the kernel's name for its links.
    pub name: &'static str,
    /// The mode that its links have by default.
    pub default_mode: &'static str,
    /// A mode that is not the default.
    pub other_mode: &'static str,
}

/// The plugin `ipvlan`.
pub const IPVLAN: WirePlugin = WirePlugin {
    name: "ipvlan",
    default_mode: "l2",
    other_mode: "l3",
};

/// The plugin `macvlan`.
pub const MACVLAN: WirePlugin = WirePlugin {
    name: "macvlan",
    default_mode: "bridge",
    other_mode: "private",
};

/// A lab whose node has a wire, `wire0`, by which its default route goes. At the other end is a
/// machine with the gateway's addresses.
#[derive(Debug)]
pub struct Lab {
    lab: crate::Lab,
    outside: NetNs,
    /// The plugin that the lab is for.
    pub kind: WirePlugin,
}

impl Deref for Lab {
    type Target = crate::Lab;

    fn deref(&self) -> &crate::Lab {
        &self.lab
    }
}

impl Lab {
    /// As [`Lab::on_any_kernel`]; also `None`, reported as a skip, where the kernel does not have
    /// the plugin's kind of link.
    #[must_use]
    #[track_caller]
    pub fn new(side: Side, kind: WirePlugin) -> Option<Self> {
        Self::on_any_kernel(side, kind).filter(Self::has_kind)
    }

    /// For what comes before the link is created. `None` where there is nothing to test, as
    /// [`crate::Lab::new`] says.
    #[must_use]
    #[track_caller]
    pub fn on_any_kernel(side: Side, kind: WirePlugin) -> Option<Self> {
        let lab = Self {
            lab: crate::Lab::new(side, kind.name)?,
            outside: NetNs::new().unwrap(),
            kind,
        };
        lab.plug_in();
        Some(lab)
    }

    /// A configuration of 1.0.0 without IPAM, on the node's wire, with these keys.
    pub fn layer2(&self, keys: Value) -> Value {
        with(of(self.kind.name, json!({ "master": "wire0" })), keys)
    }

    /// A configuration with one subnet of IPv4.
    pub fn ipv4(&self, keys: Value) -> Value {
        with(self.layer2(host_local(&[SUBNET])), keys)
    }

    /// A configuration with a subnet of each family.
    pub fn dual_stack(&self, keys: Value) -> Value {
        with(self.layer2(host_local(&[SUBNET, SUBNET6])), keys)
    }

    /// A configuration with an IPAM plugin that follows a script.
    pub fn scripted(&self, keys: Value) -> Value {
        with(self.layer2(json!({ "ipam": { "type": "scripted" } })), keys)
    }

    /// The call gets one error with this code that contains all of these texts, and changes
    /// nothing. Debian's plugin fails too.
    ///
    /// # Panics
    /// If anything else happens.
    #[track_caller]
    pub fn refuses(&self, call: &Invocation, code: u64, says: &[&str]) {
        let before = Snapshot::take(self, &[]);
        let outcome = self.node.run(call);
        if self.side == Side::Reference {
            outcome.failure();
            return;
        }
        outcome.refusal(code, says);
        let what = format!("the refused call\n{outcome}\n");
        assert_same(&before, &Snapshot::take(self, &[]), &what);
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
        self.outside.ip(&format!(
            "address add {GATEWAY}/24 dev wire1\naddress add {GATEWAY6}/64 dev wire1\n\
             link set wire1 up"
        ));
        self.ip("link set wire0 up\naddress add 198.51.100.1/24 dev wire0\n\
             route add default via 198.51.100.2");
    }

    /// Whether the kernel has links of this kind; if not, the test is reported as skipped.
    #[track_caller]
    fn has_kind(&self) -> bool {
        static KNOWN: Mutex<BTreeMap<&str, bool>> = Mutex::new(BTreeMap::new());
        let name = self.kind.name;
        let probe = || {
            let mut ip = Command::new("ip");
            ip.args(["link", "add", "probe0", "link", "wire0", "type", name]);
            let has_kind = self.node.enter(|| ip.output()).unwrap().status.success();
            if has_kind {
                self.ip("link del probe0");
            }
            has_kind
        };
        let has_kind = *KNOWN.lock().unwrap().entry(name).or_insert_with(probe);
        if !has_kind {
            skip_for_kernel(name);
        }
        has_kind
    }
}

/// What these plugins may change, apart from what the kernel changes by itself.
impl Observed for Lab {
    fn details(link: &Link) -> Value {
        json!({ "info": link.0["linkinfo"], "promiscuity": link.0["promiscuity"] })
    }

    fn others(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// A container whose IPv6 addresses can be used at once.
#[derive(Debug)]
pub struct Container(crate::Container);

impl Deref for Container {
    type Target = crate::Container;

    fn deref(&self) -> &crate::Container {
        &self.0
    }
}

impl Borrow<crate::Container> for Container {
    fn borrow(&self) -> &crate::Container {
        &self.0
    }
}

impl Container {
    /// A container with this ID.
    #[must_use]
    #[track_caller]
    pub fn new(id: &str) -> Self {
        let container = crate::Container::new(id);
        // Duplicate address detection takes the kernel a second or two.
        container.set("ipv6/conf/default/accept_dad", "0");
        Self(container)
    }

    /// An address answers to pings from inside.
    #[track_caller]
    pub fn assert_reaches(&self, to: &str) {
        traffic::assert_reaches(self, to);
    }

    /// Whether one ping is answered, soon.
    #[track_caller]
    pub fn pings(&self, to: &str) -> bool {
        traffic::pings(self, &["-W1", to])
    }
}
