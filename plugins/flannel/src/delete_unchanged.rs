//! Deleting an attachment that somebody has found to be dead.

use std::path::Path;

use cni_plugin::Call;
use cni_types::{Attachment, Error};
use state::Stamp;

use crate::delegate_del::DelegateDel;
use crate::scratch::{KeptContents, Scratch};

/// Deletes an attachment by the configuration that is kept for it in `data_dir`, in a file that was
/// last changed at `as_read`. Until that is done, an ADD of the same attachment waits, as for
/// another ADD.
///
/// Returns false, and deletes nothing, if the file has been replaced or removed since (the
/// container was added again or deleted), or if an ADD is under way.
///
/// `work` is given the DEL by the kept configuration, and calls it between what else there is to do
/// before an ADD may go on.
///
/// # Errors
/// Those of `work`. Unless the DEL has succeeded, the configuration is then still kept.
pub fn delete_unchanged<E: From<Error>>(
    call: &Call<'_>,
    data_dir: &Path,
    attachment: &Attachment,
    as_read: Stamp,
    work: impl FnOnce(&dyn Fn() -> Result<(), Error>) -> Result<(), E>,
) -> Result<bool, E> {
    let Some(scratch) = Scratch::open(data_dir).map_err(Error::from)? else {
        return Ok(false);
    };
    let in_use = scratch.in_use(attachment).map_err(Error::from)?;
    let claimed = scratch.claim(attachment, as_read, &in_use);
    let Some(kept) = claimed.map_err(Error::from)? else {
        return Ok(false);
    };
    work(&|| match &kept {
        KeptContents::Conf(kept) => {
            let delegate_del = DelegateDel {
                call,
                replay: None,
                attachment,
            };
            delegate_del.delete_with_kept(&scratch, kept)
        }
        KeptContents::Debris => Ok(scratch.remove(attachment)?),
    })?;
    // The kernel removes the mark with the descriptor in any case.
    drop(in_use.release());
    Ok(true)
}
