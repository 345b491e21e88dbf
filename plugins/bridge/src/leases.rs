//! The addresses that host-local has recorded for the network. They show whether a plugin has set a
//! gateway's address on the node.

use std::time::Duration;

use allocator::{DEFAULT_DATA_DIR, Leases, Location, StoreKind};
use cni_plugin::Call;
use cni_types::json::OptionalText;
use state::BootId;

/// The timeout for the database's lock. If it expires, the ADD fails as with an operator's address,
/// and a repeated ADD looks again.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The network's leases in both backends, because the configuration may name another one by now.
pub(crate) fn read(call: &Call<'_>) -> Leases {
    let ipam = call.conf.section("ipam").ok();
    let data_dir: Option<OptionalText> = ipam.and_then(|ipam| ipam.value("dataDir").ok()?);
    let data_dir = data_dir.unwrap_or_default();
    let location = Location {
        data_dir: data_dir.get().unwrap_or(DEFAULT_DATA_DIR).into(),
        network: call.conf.name.clone(),
        backend: StoreKind::Disk,
        lock_timeout: LOCK_TIMEOUT,
    };
    let read = |location: &Location| {
        Leases::read(location, BootId::read()).unwrap_or_else(|error| {
            call.log.info(format_args!("{error}"));
            Leases::default()
        })
    };
    let (in_files, in_database) = (read(&location), read(&location.other()));
    Leases {
        held: [in_files.held, in_database.held].concat(),
        last_given: [in_files.last_given, in_database.last_given].concat(),
    }
}
