//! Whether containers may live in namespaces that nobody could look into.

use std::collections::HashMap;
use std::path::Path;

use cni_types::{Attachment, NetworkName};
use node::{CachedAttachment, ContainerNamespaces};

use super::Holding;

/// Forgets that the namespaces of some processes are unknown, if the runtime has recorded a
/// namespace for the attachment of each holding, and each of these was looked into: then no
/// attachment can be in another one.
pub(crate) fn forget_irrelevant(
    found: &mut ContainerNamespaces,
    cached: &[CachedAttachment],
    holdings: &[Holding],
) {
    let netns = cached.iter().filter_map(|it| {
        let key = (&it.network, &it.attachment);
        Some((key, it.netns.as_deref()?))
    });
    let netns: HashMap<(&NetworkName, &Attachment), &Path> = netns.collect();
    let is_seen = |holding: &Holding| {
        let attachment = holding.attachment();
        let path = attachment.and_then(|it| netns.get(&(&holding.network, &it)).copied());
        path.is_some_and(|path| found.has(path))
    };
    if holdings.iter().all(is_seen) {
        found.hidden = None;
    }
}
