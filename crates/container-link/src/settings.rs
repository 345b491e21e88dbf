//! The kernel's settings of a container's link, for the namespace that the calling thread is in.
//!
//! A setting is needed or a nicety. Without what is needed the ADD fails. A nicety that cannot be
//! written, as `/proc/sys` may be mounted read-only, is in the log; one that the kernel does not
//! have is passed over.

use cni_plugin::Log;
use netlink::sysctl::{self, SysctlError};

use crate::DuplicateDetection;

/// The settings of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// The link.
    pub(crate) ifname: &'a str,
    /// Where niceties are noted that cannot be had.
    pub(crate) log: &'a Log,
}

impl Settings<'_> {
    /// A nicety: the kernel tells neighbours who has the address now, as one that a container had
    /// before may still be in their caches.
    pub(crate) fn announce(&self) {
        self.prefer("ipv4", "arp_notify", "1");
        self.prefer("ipv6", "ndisc_notify", "1");
    }

    /// A nicety, as the setting is about the link-local address that the kernel makes too: others
    /// are given with or without detection. Enhanced detection does not take the link's own packets
    /// that come back for another machine's (RFC 7527).
    pub(crate) fn detect_duplicates(&self, detection: DuplicateDetection) {
        let accept = match detection {
            DuplicateDetection::Off => "0",
            DuplicateDetection::On => {
                self.prefer("ipv6", "enhanced_dad", "1");
                "1"
            }
        };
        self.prefer("ipv6", "accept_dad", accept);
    }

    /// A nicety: IPv6 addresses survive that somebody sets the link down and up.
    pub(crate) fn keep_addresses(&self) {
        self.prefer("ipv6", "keep_addr_on_down", "1");
    }

    /// Needed for IPv6, which runtimes that know of none may have switched off. Returns what the
    /// setting of `lo` was, if it was changed: unlike the link's it stays when the link goes.
    pub(crate) fn enable_ipv6(&self) -> Result<Option<String>, SysctlError> {
        enable(self.ifname)?;
        enable(LO)
    }

    fn prefer(&self, family: &str, name: &str, value: &str) {
        match sysctl::write(&[family, "conf", self.ifname, name], value) {
            Ok(()) | Err(SysctlError::NotFound(_) | SysctlError::NoIpv6(_)) => {}
            Err(error) => self.log.info(format_args!("passed over: {error}")),
        }
    }
}

const LO: &str = "lo";

/// Sets IPv6 of `lo` to what it was.
pub(crate) fn disable_ipv6_of_lo(former: &str) -> Result<(), SysctlError> {
    sysctl::write(&disable_ipv6(LO), former)
}

/// Returns what the setting was, if it was changed.
fn enable(ifname: &str) -> Result<Option<String>, SysctlError> {
    let setting = disable_ipv6(ifname);
    let former = sysctl::read(&setting)?;
    if former == "0" {
        return Ok(None);
    }
    sysctl::write(&setting, "0")?;
    Ok(Some(former))
}

fn disable_ipv6(ifname: &str) -> [&str; 4] {
    ["ipv6", "conf", ifname, "disable_ipv6"]
}
