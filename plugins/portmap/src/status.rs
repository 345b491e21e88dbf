//! STATUS: whether an ADD with ports would succeed.

use cni_plugin::Call;
use cni_types::{Code, Error};

use crate::config::Config;

pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    Config::of(call.conf)?;
    firewall::probe_port_maps().map_err(|error| Error {
        code: Code::NOT_AVAILABLE,
        ..error.into()
    })
}
