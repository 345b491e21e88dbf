//! Tests of sysctls.

use netlink::sysctl::{self, SysctlError};
use netlink::{NetlinkError, NewLink, NewVeth};

use crate::{Pair, peer};

#[test]
fn a_setting_belongs_to_the_namespace_and_its_interface_may_have_dots() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let port = NewLink::named("veth0");
        let peer = peer("eth0.5", &both.netns);
        both.host
            .create_veth(&NewVeth { port, peer }, None)
            .unwrap();
        let name = ["ipv4", "conf", "eth0.5", "arp_notify"];
        let inside = || -> Result<_, NetlinkError> {
            assert_eq!(sysctl::read(&name).unwrap(), "0");
            sysctl::write(&name, "1").unwrap();
            Ok(sysctl::read(&name).unwrap())
        };
        assert_eq!(both.netns.enter(&both.home, inside).unwrap(), "1");
        let outside = sysctl::read(&name).unwrap_err();
        assert!(matches!(outside, SysctlError::NotFound(_)), "{outside}");
        assert_eq!(
            outside.to_string(),
            "/proc/sys/net/ipv4/conf/eth0.5/arp_notify does not exist"
        );
    });
}

#[test]
fn each_failure_has_its_own_error() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|_| {
        let missing = sysctl::write(&["ipv6", "conf", "eth9", "accept_dad"], "0").unwrap_err();
        let has_ipv6 = std::path::Path::new("/proc/sys/net/ipv6/conf").exists();
        assert_eq!(matches!(missing, SysctlError::NotFound(_)), has_ipv6);
        assert_eq!(matches!(missing, SysctlError::NoIpv6(_)), !has_ipv6);
        let refused = sysctl::write(&["ipv4", "ip_forward"], "text").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cannot write /proc/sys/net/ipv4/ip_forward: Invalid argument (os error 22)"
        );
        for part in ["", ".", "..", "a/b", "../../kernel/hostname"] {
            let invalid = sysctl::write(&["ipv4", "conf", part, "forwarding"], "1").unwrap_err();
            assert!(matches!(invalid, SysctlError::InvalidName(_)), "{invalid}");
        }
    });
}

/// A new link has its settings at once.
#[test]
fn a_link_has_its_settings() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        if bridge.accept_ra.is_none() {
            // A kernel without IPv6 has no such settings.
            assert!(!bridge.is_ipv6_off);
            return;
        }
        let settings = |both: &mut crate::Both| {
            let link = both.host.link_by_index(bridge.index).unwrap().unwrap();
            (
                link.accept_ra,
                link.is_ipv6_off,
                link.is_ipv4_forwarding_off,
            )
        };
        let write = |family, name, value| {
            sysctl::write(&[family, "conf", "cni0", name], value).unwrap();
        };
        for value in ["0", "1", "0"] {
            write("ipv6", "accept_ra", value);
            write("ipv6", "disable_ipv6", value);
            write("ipv4", "forwarding", value);
            let accept_ra = value.parse().ok();
            let is_on = value == "1";
            assert_eq!(settings(both), (accept_ra, is_on, !is_on));
        }
    });
}
