//! DEL.

use cni_plugin::{Call, ContainerNetns};
use cni_types::{Attachment, Error};
use netlink::Kind;

use crate::rules;

/// Both ends of the pair go with one. The rules go before IPAM may give the addresses to another container.
pub(crate) fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
) -> Result<(), Error> {
    let is_own = |kind: &Kind| *kind == Kind::Veth;
    let clean_up = || rules::remove(call, attachment, None);
    container_link::del(call, attachment, netns, is_own, clean_up)
}
