//! GC: removes the ifbs of stale attachments. Qdiscs at their veth pairs disappear with these.

use cni_plugin::Call;
use cni_types::{Error, ValidAttachments};
use container_link::stale_links;
use netlink::Rtnetlink;

use crate::add::is_ifb;
use crate::error::BandwidthError;
use crate::go;

pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    Ok(remove_stale(call, valid)?)
}

fn remove_stale(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), BandwidthError> {
    let network = &call.conf.name;
    let mut kernel = Rtnetlink::open()?;
    let mut ifbs = kernel.links()?;
    ifbs.retain(is_ifb);
    let mut stale = go::stale_ifbs(&mut kernel, &ifbs, network, valid)?;
    stale.extend(stale_links(ifbs, network, valid));
    for link in &stale {
        let name = &link.name;
        call.log
            .info(format_args!("{name} removed: a container that is gone"));
    }
    let indexes: Vec<u32> = stale.iter().map(|link| link.index).collect();
    Ok(kernel.remove_links(&indexes)?)
}
