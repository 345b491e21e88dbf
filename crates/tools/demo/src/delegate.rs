//! The plugin that flannel delegates to, and what it needs on the node.

use serde_json::{Value, json};
use testkit::Node;

/// What attaches the containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delegate {
    #[default]
    Bridge,
    Ipvlan,
    Macvlan,
}

/// The link that containers share the wire of, and the other end of that wire.
const UPLINK: &str = "uplink";
const WIRE: &str = "wire";

impl Delegate {
    /// The delegate of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = [Self::Bridge, Self::Ipvlan, Self::Macvlan].into_iter();
        all.find(|delegate| delegate.name() == name)
    }

    /// The plugin's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Ipvlan => "ipvlan",
            Self::Macvlan => "macvlan",
        }
    }

    /// `delegate` of flannel's configuration.
    pub(crate) fn conf(self) -> Value {
        match self {
            Self::Bridge => json!({"hairpinMode": true, "isDefaultGateway": true}),
            Self::Ipvlan | Self::Macvlan => json!({"type": self.name(), "master": UPLINK}),
        }
    }

    /// Makes what the plugin expects to find.
    ///
    /// # Panics
    /// If `ip` fails.
    pub(crate) fn prepare(self, node: &Node) {
        if self != Self::Bridge {
            node.ip(&format!("link add {UPLINK} type veth peer name {WIRE}"));
            node.ip(&format!("link set {UPLINK} up"));
            node.ip(&format!("link set {WIRE} up"));
        }
    }

    /// The link that the demo shows, once containers are attached.
    pub(crate) fn link(self) -> &'static str {
        match self {
            Self::Bridge => "cni0",
            Self::Ipvlan | Self::Macvlan => UPLINK,
        }
    }

    /// The links that stay on the node when the containers are gone.
    pub(crate) fn lasting_links(self) -> &'static [&'static str] {
        match self {
            Self::Bridge => &["lo", "cni0"],
            Self::Ipvlan | Self::Macvlan => &["lo", WIRE, UPLINK],
        }
    }
}
