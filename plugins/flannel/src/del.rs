//! DEL: the delegate is called with the configuration that ADD kept.

use std::time::Duration;

use cni_plugin::Call;
use cni_types::{Attachment, Error};

use crate::circle;
use crate::config::Replay;
use crate::delegate_del::DelegateDel;
use crate::scratch::{KeptContents, Scratch};

/// The timeout of DEL for the processes of a killed ADD. They have received a signal, and end
/// within milliseconds.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let replay = Replay::of(call)?;
    let delegate_del = DelegateDel {
        call,
        replay: Some(&replay),
        attachment,
    };
    let Some(scratch) = Scratch::open(&replay.data_dir)? else {
        return delegate_del.delete_with_current(&replay.data_dir);
    };
    match find(call, &scratch, attachment)? {
        Some(KeptContents::Conf(kept)) => delegate_del.delete_with_kept(&scratch, &kept),
        Some(KeptContents::Debris) => {
            delegate_del.delete_with_current(&replay.data_dir)?;
            Ok(scratch.remove(attachment)?)
        }
        None => delegate_del.delete_with_current(&replay.data_dir),
    }
}

/// Finds the kept configuration of an attachment, once no process of its ADD is left.
fn find(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<KeptContents>, Error> {
    if let Err(error) = scratch.wait_until_unused(attachment, ORPHAN_TIMEOUT) {
        call.log.error(format_args!(
            "a process that ADD has started does not end, going on: {error}"
        ));
    }
    circle::find_kept(call, scratch, attachment)
}
