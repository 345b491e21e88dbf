//! The flannel network that containers are attached to, the same on each node.

use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value, json};

/// The name of the CNI network.
pub(super) const NAME: &str = "cbr0";

/// What bridge calls its link unless told otherwise.
pub(super) const BRIDGE: &str = "cni0";

/// The bridge's address on the node.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);

/// The length of the prefix of the node's part of the network.
pub(super) const PREFIX: u8 = 24;

pub(super) const MTU: u32 = 1450;

/// Where a container's routes through the gateway lead: everywhere, and the flannel network.
pub(super) const DESTINATIONS: [&str; 2] = ["0.0.0.0/0", "10.244.0.0/16"];

/// The lease, as flanneld writes it when it takes care of masquerade itself.
pub(super) fn subnet_env() -> String {
    let [_, network] = DESTINATIONS;
    format!(
        "FLANNEL_NETWORK={network}\nFLANNEL_SUBNET={GATEWAY}/{PREFIX}\nFLANNEL_MTU={MTU}\nFLANNEL_IPMASQ=true\n"
    )
}

/// A configuration as flannel's documentation has it, and where things are kept.
pub(super) fn netconf(subnet_file: &Path, data_dir: &Path, addresses: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": NAME,
        "type": "flannel",
        "subnetFile": subnet_file,
        "dataDir": data_dir,
        "ipam": { "dataDir": addresses },
        "delegate": { "hairpinMode": true, "isDefaultGateway": true },
    })
}

/// The address of a container by its number, from 0, with the prefix's length.
pub(super) fn address(number: usize) -> String {
    let ip = Ipv4Addr::from_bits(GATEWAY.to_bits() + 1 + number as u32);
    format!("{ip}/{PREFIX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_gateway() {
        assert_eq!(address(0), "10.244.1.2/24");
        assert_eq!(address(31), "10.244.1.33/24");
        assert!(subnet_env().contains("\nFLANNEL_SUBNET=10.244.1.1/24\n"));
    }
}
