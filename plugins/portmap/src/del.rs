//! DEL: needs nothing but the attachment, because a runtime without its cache passes nothing else.

use cni_plugin::Call;
use cni_types::{Attachment, Error};

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    Ok(firewall::unmap_ports(&call.conf.name, attachment)?)
}
