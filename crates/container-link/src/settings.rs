//! The sysctls of a container's link, in the network namespace of the calling thread.
//!
//! A setting is required or optional. The ADD fails if a required one cannot be written. If an
//! optional one cannot be written, for example because `/proc/sys` is mounted read-only, the log
//! says so. An optional setting that the kernel does not have is skipped.

use cni_plugin::Log;
use netlink::sysctl::{self, SysctlError};

use crate::DuplicateDetection;

/// The settings of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// The link.
    pub(crate) ifname: &'a str,
    /// The log for optional settings that cannot be written.
    pub(crate) log: &'a Log,
}

impl Settings<'_> {
    /// Optional: the kernel announces the link's addresses to neighbours, whose caches may still
    /// have the MAC of the container that had an address before.
    pub(crate) fn announce(&self) {
        self.prefer("ipv4", "arp_notify", "1");
        self.prefer("ipv6", "ndisc_notify", "1");
    }

    /// Optional: the setting only decides about the link-local address that the kernel creates; an
    /// address that a plugin adds says by a flag whether it is checked. Enhanced DAD does not
    /// mistake the link's own packets, when they come back, for those of another host (RFC 7527).
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

    /// Optional: the link keeps its IPv6 addresses when it is set down and up again.
    pub(crate) fn keep_addresses(&self) {
        self.prefer("ipv6", "keep_addr_on_down", "1");
    }

    /// Required for IPv6 addresses: a runtime without IPv6 support may have switched IPv6 off.
    /// Returns the former setting of `lo` if it was changed, because that setting, unlike the
    /// link's, outlives the link.
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

/// Restores the IPv6 setting of `lo`.
pub(crate) fn disable_ipv6_of_lo(former: &str) -> Result<(), SysctlError> {
    sysctl::write(&disable_ipv6(LO), former)
}

/// Returns the former setting if it was changed.
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
