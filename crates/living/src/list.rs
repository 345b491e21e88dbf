//! A list of the valid attachments, as GC gets it from a runtime (CNI specification, "GC").

use cni_types::{ValidAttachment, ValidAttachments};
use serde::Deserialize;

use crate::LivingError;

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "cni.dev/valid-attachments")]
    list: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "containerID")]
    container_id: String,
    ifname: String,
}

/// Reads a list, or a GC's configuration that has one. `[]` means that no container lives; an empty
/// input is a mistake, such as that of a failed program before a pipe.
pub(crate) fn parse(input: &[u8]) -> Result<ValidAttachments, LivingError> {
    let list = match input.trim_ascii().first() {
        None => return Err(LivingError::EmptyList),
        Some(b'[') => serde_json::from_slice(input),
        Some(_) => serde_json::from_slice(input).map(|it: Configuration| it.list),
    };
    let list: Vec<Element> = list.map_err(|_| LivingError::InvalidList)?;
    let attachments = list.into_iter().map(|element| ValidAttachment {
        container_id: element.container_id,
        ifname: element.ifname,
    });
    Ok(attachments.collect())
}
