//! What host-local's files say of a network's addresses (`<dataDir>/<network>`, as the Go plugin has them too). They tell
//! whether a gateway's address on the node is one that a plugin once gave.

use std::fs::{self, DirEntry};
use std::net::IpAddr;
use std::path::PathBuf;

use cni_plugin::Call;
use cni_types::json::OptionalText;
use state::read_bounded;

const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";

/// The file with the address that was given last from a range set, up to its number.
const LAST_GIVEN: &str = "last_reserved_ip.";

/// More bytes than an address has.
const MAX_FILE: usize = 128;

/// The network's addresses that containers hold. None where host-local keeps none there.
pub(crate) fn held(call: &Call<'_>) -> Vec<IpAddr> {
    addresses(call, held_by)
}

/// The network's addresses that were given last from each range set.
pub(crate) fn last_given(call: &Call<'_>) -> Vec<IpAddr> {
    addresses(call, last_given_by)
}

fn addresses(call: &Call<'_>, by: fn(&DirEntry, &str) -> Option<IpAddr>) -> Vec<IpAddr> {
    let Ok(entries) = fs::read_dir(directory(call)) else {
        return Vec::new();
    };
    let address = |entry: DirEntry| by(&entry, entry.file_name().to_str()?);
    entries.flatten().filter_map(address).collect()
}

fn held_by(_: &DirEntry, name: &str) -> Option<IpAddr> {
    name.parse().ok()
}

fn last_given_by(entry: &DirEntry, name: &str) -> Option<IpAddr> {
    if !name.starts_with(LAST_GIVEN) {
        return None;
    }
    if !entry.file_type().ok()?.is_file() {
        return None;
    }
    let contents = read_bounded(&entry.path(), MAX_FILE).ok()?;
    String::from_utf8(contents).ok()?.trim().parse().ok()
}

fn directory(call: &Call<'_>) -> PathBuf {
    let ipam = call.conf.section("ipam").ok();
    let data_dir: Option<OptionalText> = ipam.and_then(|ipam| ipam.value("dataDir").ok()?);
    let data_dir = data_dir.unwrap_or_default();
    PathBuf::from(data_dir.get().unwrap_or(DEFAULT_DATA_DIR)).join(call.conf.name.as_str())
}
