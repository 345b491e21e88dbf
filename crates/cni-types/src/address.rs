//! IP addresses and networks as text.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::Quoted;

/// Text that is neither an IP address nor a network in CIDR notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an IPv4 address in dotted-quad form nor an IPv6 address.
    #[error("{} is no IP address", Quoted(.0))]
    Address(String),
    /// Not an address, a slash and a prefix length.
    #[error("{} is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64", Quoted(.0))]
    Network(String),
}

/// Parses an IPv4 address in dotted-quad form, or an IPv6 address (RFC 4291, without zone).
///
/// An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is the IPv4 address, as for the Go plugins: each
/// address has one value, and thus one file.
///
/// # Errors
/// [`AddressError::Address`].
pub fn parse_ip(text: &str) -> Result<IpAddr, AddressError> {
    text.parse::<IpAddr>()
        .map(|address| address.to_canonical())
        .map_err(|_| AddressError::Address(text.to_owned()))
}

/// Parses an address and its prefix length in CIDR notation (RFC 4632): `10.1.2.3/24`. Host bits
/// are kept.
///
/// # Errors
/// [`AddressError::Network`], also for a netmask in the place of the prefix length, for an address
/// without prefix length, and for IPv4-mapped IPv6.
pub fn parse_cidr(text: &str) -> Result<IpNetwork, AddressError> {
    let error = || AddressError::Network(text.to_owned());
    let (address, prefix) = text.split_once('/').ok_or_else(error)?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    let address: IpAddr = address.parse().map_err(|_| error())?;
    if address != address.to_canonical() {
        return Err(error());
    }
    IpNetwork::new(address, prefix.parse().map_err(|_| error())?).map_err(|_| error())
}

/// Parses `a` or `a/len`, and returns the address.
///
/// # Errors
/// [`AddressError`].
pub fn parse_ip_or_cidr(text: &str) -> Result<IpAddr, AddressError> {
    if text.contains('/') {
        parse_cidr(text).map(|network| network.ip())
    } else {
        parse_ip(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_keep_their_host_bits() {
        assert_eq!(
            parse_cidr("203.0.113.1/24").unwrap().to_string(),
            "203.0.113.1/24"
        );
        assert_eq!(
            parse_cidr("3ffe:ffff:0:01ff::1/64").unwrap().to_string(),
            "3ffe:ffff:0:1ff::1/64"
        );
        assert_eq!(parse_cidr("0.0.0.0/0").unwrap().prefix(), 0);
    }

    #[test]
    fn text_that_is_not_cidr_notation_is_refused() {
        for bad in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/255.0.0.0",
            "10.0.0/24",
            "010.0.0.0/8",
            "fe80::1%eth0/64",
            "fd00::/129",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/99999999999999",
            " 10.0.0.0/8",
        ] {
            assert_eq!(
                parse_cidr(bad),
                Err(AddressError::Network(bad.to_owned())),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn each_address_has_one_value() {
        assert_eq!(parse_ip("::ffff:10.0.0.1"), parse_ip("10.0.0.1"));
        assert_eq!(
            parse_ip("FD00:0::01").unwrap().to_string(),
            "fd00::1",
            "RFC 5952 form"
        );
        assert_eq!(parse_ip_or_cidr("10.0.0.1/24"), parse_ip("10.0.0.1"));
        assert_eq!(
            parse_ip("10.0.0.1/24"),
            Err(AddressError::Address("10.0.0.1/24".to_owned()))
        );
        assert_eq!(
            parse_ip_or_cidr("10.0.0.1/x"),
            Err(AddressError::Network("10.0.0.1/x".to_owned()))
        );
    }
}
