//! The rollback of an ADD.

use std::fmt;

use cni_plugin::Log;
use cni_types::Error;

type Undoing<'a> = Box<dyn FnOnce() -> Result<(), Error> + 'a>;
type IsNeeded<'a> = Box<dyn FnOnce() -> Result<bool, Error> + 'a>;

/// What was done, by the words for taking it back.
struct Step<'a> {
    what: &'static str,
    /// Whether others have come to need it; `None` for what concerns nobody else.
    is_needed: Option<IsNeeded<'a>>,
    undoing: Undoing<'a>,
}

enum Outcome {
    Undone,
    Needed,
}

/// The way back from an ADD: dropped, it takes what was done back, the last first, unless it was
/// committed.
///
/// What cannot be undone is told in the log. The error of the ADD is the one that the runtime gets.
#[must_use = "dropped at once, it undoes nothing"]
pub struct Undo<'a> {
    log: &'a Log,
    steps: Vec<Step<'a>>,
}

impl<'a> Undo<'a> {
    /// With nothing to undo yet.
    pub fn new(log: &'a Log) -> Self {
        let steps = Vec::new();
        Self { log, steps }
    }

    /// Where it says what it could not undo.
    pub(crate) fn log(&self) -> &'a Log {
        self.log
    }

    /// Notes how to undo what was just done, and what that is called in the log: `remove the link`.
    pub fn push(&mut self, what: &'static str, step: impl FnOnce() -> Result<(), Error> + 'a) {
        self.steps.push(Step::own(what, step));
    }

    /// As [`Undo::push`], for what others may have come to need by then: it is as if they had done
    /// it.
    pub fn push_shared(
        &mut self,
        what: &'static str,
        is_needed: impl FnOnce() -> Result<bool, Error> + 'a,
        step: impl FnOnce() -> Result<(), Error> + 'a,
    ) {
        self.steps.push(Step {
            is_needed: Some(Box::new(is_needed)),
            ..Step::own(what, step)
        });
    }

    /// As [`Undo::push`], for what is undone after all others, whatever else is done until then.
    pub fn push_last(&mut self, what: &'static str, step: impl FnOnce() -> Result<(), Error> + 'a) {
        self.steps.insert(0, Step::own(what, step));
    }

    /// All went well: nothing is undone.
    pub fn commit(mut self) {
        self.steps.clear();
    }

    /// Leaves everything to DEL, as when the thread is stranded in another namespace.
    pub fn abandon(&mut self) {
        for step in self.steps.drain(..) {
            self.log.error(format_args!("left for DEL: {}", step.what));
        }
    }
}

impl<'a> Step<'a> {
    fn own(what: &'static str, undoing: impl FnOnce() -> Result<(), Error> + 'a) -> Self {
        Self {
            what,
            is_needed: None,
            undoing: Box::new(undoing),
        }
    }

    fn undo(self) -> Result<Outcome, Error> {
        if let Some(is_needed) = self.is_needed
            && is_needed()?
        {
            return Ok(Outcome::Needed);
        }
        (self.undoing)()?;
        Ok(Outcome::Undone)
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            let (log, what) = (self.log, step.what);
            match step.undo() {
                Ok(Outcome::Undone) => log.info(format_args!("undone: {what}")),
                Ok(Outcome::Needed) => log.info(format_args!("left, others need it: {what}")),
                Err(error) => log.error(format_args!("left for DEL: cannot {what}: {error}")),
            }
        }
    }
}

impl fmt::Debug for Undo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.steps.iter().map(|step| step.what);
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
        undo.push_last("three", || {
            order.borrow_mut().push(3);
            Ok(())
        });
        undo.push("two", || {
            order.borrow_mut().push(2);
            Err(Error::new(Code::IO_FAILURE, "no"))
        });
        drop(undo);
        assert_eq!(*order.borrow(), [2, 1, 3]);
    }

    #[test]
    fn what_others_need_stays() {
        let (log, undone) = (Log::default(), RefCell::new(Vec::new()));
        let mut undo = Undo::new(&log);
        let unknown = || Err(Error::new(Code::IO_FAILURE, "who knows"));
        for (number, is_needed) in [(1, Ok(true)), (2, Ok(false)), (3, unknown())] {
            let undone = &undone;
            let step = move || {
                undone.borrow_mut().push(number);
                Ok(())
            };
            undo.push_shared("step", move || is_needed, step);
        }
        drop(undo);
        assert_eq!(*undone.borrow(), [2]);
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
