//! The names of the kernel's headers (`include/uapi/linux`) that libc does not have, under the
//! headers' own names. All other numbers come from [`nix::libc`].

use std::ffi::c_int;

/// netlink.h: the text in an extended acknowledgement.
pub(crate) const NLMSGERR_ATTR_MSG: u16 = 1;

// if_link.h: settings of a link in a protocol, inside `IFLA_AF_SPEC`.
pub(crate) const IFLA_INET_CONF: u16 = 1;
pub(crate) const IFLA_INET6_CONF: u16 = 2;

// if_link.h: inside `IFLA_INFO_DATA`, which has its own numbers for each kind of link.
pub(crate) const IFLA_BR_VLAN_FILTERING: u16 = 7;
pub(crate) const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
pub(crate) const IFLA_IPVLAN_MODE: u16 = 1;
pub(crate) const IFLA_MACVLAN_MODE: u16 = 1;
pub(crate) const IFLA_VLAN_ID: u16 = 1;
pub(crate) const IFLA_VLAN_PROTOCOL: u16 = 5;
/// veth.h
pub(crate) const VETH_INFO_PEER: u16 = 1;

// if_link.h: inside `IFLA_INFO_SLAVE_DATA` of a bridge's port.
pub(crate) const IFLA_BRPORT_STATE: u16 = 1;
pub(crate) const IFLA_BRPORT_MODE: u16 = 4;
pub(crate) const IFLA_BRPORT_LEARNING: u16 = 8;
pub(crate) const IFLA_BRPORT_ISOLATED: u16 = 33;
/// The value of `IFLA_BRPORT_STATE` of a port that passes frames on.
pub(crate) const BR_STATE_FORWARDING: u8 = 3;

// if_link.h: the values of `IFLA_IPVLAN_MODE` and `IFLA_MACVLAN_MODE`.
pub(crate) const IPVLAN_MODE_L2: u16 = 0;
pub(crate) const IPVLAN_MODE_L3: u16 = 1;
pub(crate) const IPVLAN_MODE_L3S: u16 = 2;
pub(crate) const MACVLAN_MODE_PRIVATE: u32 = 1;
pub(crate) const MACVLAN_MODE_VEPA: u32 = 2;
pub(crate) const MACVLAN_MODE_BRIDGE: u32 = 4;
pub(crate) const MACVLAN_MODE_PASSTHRU: u32 = 8;

// if_bridge.h: inside `IFLA_AF_SPEC` of the family `AF_BRIDGE`.
pub(crate) const IFLA_BRIDGE_FLAGS: u16 = 0;
pub(crate) const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
/// The value of `IFLA_BRIDGE_FLAGS` that means the bridge itself.
pub(crate) const BRIDGE_FLAGS_SELF: u16 = 2;
// if_bridge.h: the flags of `struct bridge_vlan_info`.
pub(crate) const BRIDGE_VLAN_INFO_PVID: u16 = 2;
pub(crate) const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 4;
pub(crate) const BRIDGE_VLAN_INFO_RANGE_BEGIN: u16 = 8;
pub(crate) const BRIDGE_VLAN_INFO_RANGE_END: u16 = 16;

// net_namespace.h
pub(crate) const NETNSA_NSID: u16 = 1;
pub(crate) const NETNSA_FD: u16 = 3;

// if_addr.h
pub(crate) const IFA_RT_PRIORITY: u16 = 9;
pub(crate) const IFA_PROTO: u16 = 11;
/// An infinite lifetime, in seconds.
pub(crate) const INFINITY_LIFE_TIME: u32 = u32::MAX;

// rtnetlink.h
pub(crate) const RTAX_MTU: u16 = 2;
pub(crate) const RTAX_ADVMSS: u16 = 8;
pub(crate) const RTNH_F_ONLINK: u32 = 4;
/// The protocol of a route from a router advertisement.
pub(crate) const RTPROT_RA: u8 = 9;

// fib_rules.h
pub(crate) const FR_ACT_TO_TBL: u8 = 1;
pub(crate) const FIB_RULE_INVERT: u32 = 2;
pub(crate) const FRA_SRC: u16 = 2;
pub(crate) const FRA_PRIORITY: u16 = 6;
pub(crate) const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
pub(crate) const FRA_TABLE: u16 = 15;
pub(crate) const FRA_PAD: u16 = 18;
pub(crate) const FRA_PROTOCOL: u16 = 21;

/// A flag or a message type, which libc has as an `int`, in the 16 bits of the header.
pub(crate) const fn header_field(number: c_int) -> u16 {
    number as u16
}

/// An address family (`AF_*`), which libc has as an `int`, in the byte of a message.
pub(crate) const fn family(number: c_int) -> u8 {
    number as u8
}
