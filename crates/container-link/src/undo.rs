use std::fmt;

use cni_plugin::Log;
use cni_types::Error;

type Step<'a> = Box<dyn FnOnce() -> Result<(), Error> + 'a>;

/// The way back from an ADD: dropped, it takes what was done back, the last first, unless it was committed.
///
/// What cannot be undone is told in the log. The error of the ADD is the one that the runtime gets.
#[must_use = "dropped at once, it undoes nothing"]
pub struct Undo<'a> {
    log: &'a Log,
    steps: Vec<(&'static str, Step<'a>)>,
}

impl<'a> Undo<'a> {
    /// With nothing to undo yet.
    pub fn new(log: &'a Log) -> Self {
        let steps = Vec::new();
        Self { log, steps }
    }

    /// Notes how to undo what was just done, and what that is called in the log: `remove the link`.
    pub fn push(&mut self, what: &'static str, step: impl FnOnce() -> Result<(), Error> + 'a) {
        self.steps.push((what, Box::new(step)));
    }

    /// All went well: nothing is undone.
    pub fn commit(mut self) {
        self.steps.clear();
    }

    /// Leaves everything to DEL, as when the thread is stranded in another namespace.
    pub fn abandon(&mut self) {
        for (what, _) in self.steps.drain(..) {
            self.log.error(format_args!("left for DEL: {what}"));
        }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some((what, step)) = self.steps.pop() {
            match step() {
                Ok(()) => self.log.info(format_args!("undone: {what}")),
                Err(error) => self
                    .log
                    .error(format_args!("left for DEL: cannot {what}: {error}")),
            }
        }
    }
}

impl fmt::Debug for Undo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.steps.iter().map(|(what, _)| what);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use cni_types::Code;

    use super::*;

    #[test]
    fn the_last_step_is_undone_first_whatever_becomes_of_it() {
        let (log, order) = (Log::default(), RefCell::new(Vec::new()));
        let mut undo = Undo::new(&log);
        undo.push("one", || {
            order.borrow_mut().push(1);
            Ok(())
        });
        undo.push("two", || {
            order.borrow_mut().push(2);
            Err(Error::new(Code::IO_FAILURE, "no"))
        });
        drop(undo);
        assert_eq!(*order.borrow(), [2, 1]);
    }

    #[test]
    fn what_is_committed_or_abandoned_stays() {
        let (log, undone) = (Log::default(), RefCell::new(0));
        let count = |abandoned| {
            let mut undo = Undo::new(&log);
            undo.push("one", || {
                *undone.borrow_mut() += 1;
                Ok(())
            });
            if abandoned {
                undo.abandon();
                drop(undo);
            } else {
                undo.commit();
            }
        };
        count(false);
        count(true);
        assert_eq!(*undone.borrow(), 0);
    }
}
