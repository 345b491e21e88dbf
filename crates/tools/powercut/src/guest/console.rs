//! Lines on the console.

use std::io::{Write, stdout};
use std::sync::{Mutex, PoisonError};

use nix::sys::termios::tcdrain;

use crate::event::{Attachment, Event, Progress};

/// Prints lines, one at a time. A printed line is outside of the machine, so a power cut does not
/// take it away.
#[derive(Default)]
pub(super) struct Console(Mutex<()>);

impl Console {
    /// Prints a line with its end.
    ///
    /// # Panics
    /// If there is no console.
    pub(super) fn line(&self, line: &str) {
        let _one_at_a_time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut console = stdout().lock();
        let printed = write!(console, "{line}").and_then(|()| console.flush());
        if let Err(error) = printed.and_then(|()| Ok(tcdrain(console)?)) {
            panic!("cannot print `{line}`: {error}");
        }
    }

    /// Reports an event.
    ///
    /// # Panics
    /// As [`Self::line`].
    pub(super) fn event(&self, attachment: &Attachment, progress: Progress) {
        let attachment = attachment.clone();
        match (Event {
            attachment,
            progress,
        })
        .line()
        {
            Ok(line) => self.line(&line),
            Err(error) => panic!("an event is no JSON: {error}"),
        }
    }
}
