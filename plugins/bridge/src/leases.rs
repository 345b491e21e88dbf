//! Which addresses host-local has noted for the network. They show whether a gateway's address on
//! the node is one that a plugin once gave.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use allocator::{DEFAULT_DATA_DIR, Leases};
use cni_plugin::Call;
use cni_types::json::OptionalText;
use state::BootId;

/// The timeout for the database's lock. If it expires, the ADD fails as with an operator's address,
/// and a repeated ADD looks again.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The network's leases in both backends: the configuration may name another one by now. None where
/// host-local keeps none.
pub(crate) fn read(call: &Call<'_>) -> Leases {
    let ipam = call.conf.section("ipam").ok();
    let data_dir: Option<OptionalText> = ipam.and_then(|ipam| ipam.value("dataDir").ok()?);
    let data_dir = data_dir.unwrap_or_default();
    let data_dir = Path::new(data_dir.get().unwrap_or(DEFAULT_DATA_DIR));
    let network = &call.conf.name;
    let or_none = |error: &dyn fmt::Display| {
        call.log.info(format_args!("{error}"));
        Leases::default()
    };
    let in_files = Leases::in_files(data_dir, network).unwrap_or_else(|error| or_none(&error));
    let in_database = Leases::in_database(data_dir, network, LOCK_TIMEOUT, BootId::read());
    let in_database = in_database.unwrap_or_else(|error| or_none(&error));
    Leases {
        held: [in_files.held, in_database.held].concat(),
        last_given: [in_files.last_given, in_database.last_given].concat(),
    }
}
