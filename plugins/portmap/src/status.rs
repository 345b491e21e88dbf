//! STATUS: whether an ADD with ports would succeed.

use cni_plugin::Call;
use cni_types::{Code, Error};
use firewall::Iptables;

use crate::config::{BackendOptions, Config};

pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    let probed = match Config::of(call.conf)?.backend {
        BackendOptions::Nftables(_) => firewall::probe_port_maps(),
        BackendOptions::Iptables(_) => Iptables.probe(),
    };
    probed.map_err(|error| Error {
        code: Code::NOT_AVAILABLE,
        ..error.into()
    })
}
