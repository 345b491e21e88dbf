//! DEL: the sub-interface is removed from the container, and IPAM releases its addresses.

use cni_plugin::{Call, ContainerNetns};
use cni_types::{Attachment, Error};
use container_link::{LinkAlias, Whose};
use netlink::Link;

/// Removes the attachment's link if it is of the plugin's kind, and lets IPAM release its
/// addresses.
pub(crate) fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
    kind_name: &str,
) -> Result<(), Error> {
    let alias = LinkAlias::new(&call.conf.name, attachment);
    let whose = |link: &Link| {
        let is_of_kind = link.kind.name() == kind_name;
        Ok(if is_of_kind {
            alias.whose(link)
        } else {
            Whose::Other
        })
    };
    let remove_link = || container_link::remove_link(call, attachment, netns, whose);
    container_link::del(call, remove_link, || Ok(()))
}
