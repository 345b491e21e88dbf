//! DEL: needs only the attachment, because a runtime without its cache passes nothing else.

use cni_plugin::Call;
use cni_types::{Attachment, Error};

use crate::config::Config;

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let may_be_by_iptables = Config::may_be_by_iptables(call.conf);
    Ok(firewall::unmap_ports(
        &call.conf.name,
        attachment,
        may_be_by_iptables,
    )?)
}
