//! Lines on the console.

use std::fmt::Display;
use std::io::{Write, stdout};
use std::sync::{Mutex, PoisonError};

use nix::sys::termios::tcdrain;

use crate::attachment::Attachment;
use crate::event::{Event, Step};

/// Says lines, one at a time. When one is said, it is outside of the machine, so a power cut does
/// not take it away.
#[derive(Default)]
pub(super) struct Telling(Mutex<()>);

impl Telling {
    /// # Panics
    /// If there is no console to say it on.
    pub(super) fn line(&self, line: impl Display) {
        let _one_at_a_time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut console = stdout().lock();
        let said = writeln!(console, "{line}").and_then(|()| console.flush());
        if let Err(error) = said.and_then(|()| Ok(tcdrain(console)?)) {
            panic!("cannot say `{line}`: {error}");
        }
    }

    pub(super) fn event(&self, attachment: &Attachment, step: Step) {
        self.line(Event {
            attachment: attachment.clone(),
            step,
        });
    }
}
