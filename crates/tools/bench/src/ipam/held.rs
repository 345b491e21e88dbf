//! The network, and which of its addresses are in use.

use std::net::Ipv4Addr;

/// The name of the network.
pub(super) const NETWORK: &str = "net";

/// A subnet larger than any number of addresses in use.
pub(super) const SUBNET: &str = "10.0.0.0/8";

/// The subnet's gateway. The addresses in use are those that follow it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Every attachment's interface.
pub(super) const IFNAME: &str = "eth0";

/// The address of this number among those in use.
pub(super) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(GATEWAY.to_bits() + 1 + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_one_another() {
        assert_eq!(address(0).to_string(), "10.0.0.2");
        assert_eq!(address(299).to_string(), "10.0.1.45");
    }
}
