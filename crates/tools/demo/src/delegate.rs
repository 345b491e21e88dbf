//! The plugin that flannel delegates to, and what it needs on the node.

use serde_json::json;
use testkit::Node;

use crate::NETWORK;

/// The link that containers share the wire of, and the other end of that wire.
const UPLINK: &str = "uplink";
const WIRE: &str = "wire";

/// What attaches the containers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delegate {
    /// The plugin's name.
    pub(crate) name: &'static str,
    /// The link that the demo shows once containers are attached.
    pub(crate) link: &'static str,
    /// The links that stay on the node when the containers are gone.
    pub(crate) lasting_links: &'static [&'static str],
}

pub(crate) const BRIDGE: Delegate = Delegate {
    name: "bridge",
    link: "cni0",
    lasting_links: &["lo", "cni0"],
};

const fn of_uplink(name: &'static str) -> Delegate {
    Delegate {
        name,
        link: UPLINK,
        lasting_links: &["lo", WIRE, UPLINK],
    }
}

impl Delegate {
    /// The delegate of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [BRIDGE, of_uplink("ipvlan"), of_uplink("macvlan")];
        all.into_iter().find(|delegate| delegate.name == name)
    }

    pub(crate) fn is_bridge(self) -> bool {
        self.name == BRIDGE.name
    }

    /// The network's list of plugins.
    pub(crate) fn list(self) -> String {
        let delegate = match self.is_bridge() {
            true => json!({ "hairpinMode": true, "isDefaultGateway": true }),
            false => json!({ "type": self.name, "master": UPLINK }),
        };
        let list = json!({
            "cniVersion": "1.0.0",
            "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],
            "name": NETWORK,
            "plugins": [
                { "type": "flannel", "delegate": delegate },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        list.to_string()
    }

    /// Creates what the plugin expects to find.
    ///
    /// # Panics
    /// If `ip` fails.
    pub(crate) fn prepare(self, node: &Node) {
        if !self.is_bridge() {
            node.ip(&format!("link add {UPLINK} type veth peer name {WIRE}"));
            node.ip(&format!("link set {UPLINK} up"));
            node.ip(&format!("link set {WIRE} up"));
        }
    }
}
