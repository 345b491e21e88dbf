//! The names of an attachment's files, and the key of its mark of use.

use std::collections::HashSet;

use cni_types::{Attachment, ValidAttachments};
use state::stable_hash;

/// The longest name of a file, in bytes (`NAME_MAX` of the kernel's own file systems).
const MAX_NAME: usize = 255;

/// The number of bytes of a long container ID that its file name starts with.
const START_OF_ID: usize = 200;

/// The name of a further attachment's file.
pub(super) struct FurtherName {
    pub(super) text: String,
    /// Whether the name contains only the start of the container ID.
    pub(super) is_shortened: bool,
}

/// The key under which an attachment is marked as in use. Two attachments that share a key would
/// only wait for each other.
pub(super) fn key(attachment: &Attachment) -> u64 {
    stable_hash(full_name(attachment.container_id.as_str(), attachment.ifname.as_str()).as_bytes())
}

/// The name of the file of a container's first attachment; `None` if the ID is too long for a file
/// name.
pub(super) fn first_name(attachment: &Attachment) -> Option<&str> {
    Some(attachment.container_id.as_str()).filter(|id| id.len() <= MAX_NAME)
}

/// The name of the file of a further attachment, and of every attachment whose container ID is too
/// long for a file name.
pub(super) fn further_name(attachment: &Attachment) -> FurtherName {
    further_name_of(attachment.container_id.as_str(), attachment.ifname.as_str())
}

fn further_name_of(container_id: &str, ifname: &str) -> FurtherName {
    let text = full_name(container_id, ifname);
    if text.len() <= MAX_NAME {
        return FurtherName {
            text,
            is_shortened: false,
        };
    }
    let digest = stable_hash(container_id.as_bytes());
    let start = container_id.get(..START_OF_ID).unwrap_or(container_id);
    FurtherName {
        // No container ID contains a "~", so this is no other attachment's full name.
        text: format!("{start}~{digest:016x}:{ifname}"),
        is_shortened: true,
    }
}

/// The names of those files of further attachments that contain only the start of the container ID.
pub(super) fn shortened_names(valid: &ValidAttachments) -> HashSet<String> {
    let names = valid
        .iter()
        .filter(|valid| valid.container_id.len() + valid.ifname.len() >= MAX_NAME)
        .map(|valid| further_name_of(&valid.container_id, &valid.ifname));
    names
        .filter(|name| name.is_shortened)
        .map(|name| name.text)
        .collect()
}

/// Neither a container id nor an interface name has a colon, so no two attachments have one name.
fn full_name(container_id: &str, ifname: &str) -> String {
    format!("{container_id}:{ifname}")
}
