//! DEL.

use cni_plugin::{Call, ContainerNetns};
use cni_types::{Attachment, Error};

use crate::{detach, rules};

/// The rules are removed before IPAM may allocate the addresses to another container.
pub(crate) fn del(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
) -> Result<(), Error> {
    let remove_pair = || detach::remove(call, attachment, netns);
    let clean_up = || rules::remove(call, attachment, None);
    container_link::del(call, remove_pair, clean_up)
}
