//! The plugin that flannel delegates to, and what it needs on the node.

use anyhow::{Result, ensure};
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
    pub(crate) fn prepare(self, node: &Node) -> Result<()> {
        if self == Self::Bridge {
            return Ok(());
        }
        for command in [
            format!("link add {UPLINK} type veth peer name {WIRE}"),
            format!("link set {UPLINK} up"),
            format!("link set {WIRE} up"),
        ] {
            let arguments: Vec<&str> = command.split(' ').collect();
            let output =
                node.enter(|| std::process::Command::new("ip").args(&arguments).output())?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "`ip {command}` failed: {said}");
        }
        Ok(())
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
