//! The names of an attachment's files, and the key that it is marked under.

use cni_types::Attachment;
use state::stable_hash;

/// The longest name of a file, in bytes (`NAME_MAX` of the kernel's own file systems).
const MAX_NAME: usize = 255;

/// How much of an id a name starts with that has no room for all of it, in bytes.
const START_OF_ID: usize = 200;

/// The name of a further attachment's file.
pub(super) struct FurtherName {
    pub(super) text: String,
    /// Whether the end of the container id is missing from it.
    pub(super) is_shortened: bool,
}

/// What an attachment is marked under. Two that share a key would only wait for each other.
pub(super) fn key(attachment: &Attachment) -> u64 {
    stable_hash(full_name(attachment).as_bytes())
}

/// The name of the file of a container's first attachment; `None` where the id is too long for one.
pub(super) fn first_name(attachment: &Attachment) -> Option<&str> {
    Some(attachment.container_id.as_str()).filter(|id| id.len() <= MAX_NAME)
}

/// The name of the file of a further attachment, and of every attachment whose id is too long to be a name.
pub(super) fn further_name(attachment: &Attachment) -> FurtherName {
    let text = full_name(attachment);
    if text.len() <= MAX_NAME {
        return FurtherName {
            text,
            is_shortened: false,
        };
    }
    let id = attachment.container_id.as_str();
    let digest = stable_hash(id.as_bytes());
    let start = id.get(..START_OF_ID).unwrap_or(id);
    FurtherName {
        // No id has a "~", so this is no other attachment's full name.
        text: format!("{start}~{digest:016x}:{}", attachment.ifname),
        is_shortened: true,
    }
}

/// Neither a container id nor an interface name has a colon, so no two attachments have one name.
fn full_name(attachment: &Attachment) -> String {
    format!("{}:{}", attachment.container_id, attachment.ifname)
}
