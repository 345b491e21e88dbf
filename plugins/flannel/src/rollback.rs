//! The rollback of an ADD that the delegate failed. Its steps are decided before the first one is
//! carried out.

use std::fmt;

use cni_plugin::{Command, Delegate, DelegateError, Log};
use cni_types::{Attachment, Error};

use crate::outlook;
use crate::scratch::{Failures, KeptConf, KeptContents, Scratch};

/// A step of the rollback.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Undo {
    /// Call the delegate's DEL.
    CallDel,
    /// Restore the configuration that an earlier ADD of the attachment kept.
    PutBack(Box<KeptConf>),
    /// Remove the kept configuration.
    Forget,
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallDel => f.write_str("call DEL of the delegate"),
            Self::PutBack(earlier) => {
                write!(
                    f,
                    "put back the configuration in {}",
                    earlier.file.display()
                )
            }
            Self::Forget => f.write_str("remove the kept configuration"),
        }
    }
}

impl Undo {
    /// The steps for an error of the delegate, in order. `earlier` was kept before the ADD.
    pub(crate) fn steps(error: &DelegateError, earlier: Option<KeptContents>) -> Vec<Self> {
        // A delegate that could not be started has created nothing.
        let call_del = !matches!(error, DelegateError::Start { .. });
        let call_del = call_del.then_some(Self::CallDel);
        let keep = match earlier {
            // A repeated ADD: DEL would undo the ADD that succeeded.
            Some(KeptContents::Conf(earlier)) if earlier.failures.is_empty() => {
                return vec![Self::PutBack(Box::new(earlier))];
            }
            Some(KeptContents::Conf(earlier)) => Self::PutBack(Box::new(earlier)),
            Some(KeptContents::Debris) | None => Self::Forget,
        };
        call_del.into_iter().chain([keep]).collect()
    }
}

/// An ADD that the delegate failed.
pub(crate) struct FailedAdd<'a> {
    pub(crate) attachment: &'a Attachment,
    pub(crate) scratch: &'a Scratch,
    pub(crate) delegate: &'a Delegate<'a>,
    /// The delegate's configuration.
    pub(crate) json: &'a str,
    /// Why it failed.
    pub(crate) error: &'a DelegateError,
    pub(crate) log: &'a Log,
}

impl FailedAdd<'_> {
    /// Carries out the steps up to the first that fails. Then the configuration stays, with the
    /// failure, for the runtime's DEL.
    pub(crate) fn roll_back(&self, steps: &[Undo]) {
        self.log
            .info(format_args!("the delegate failed, undoing: {}", self.error));
        for step in steps {
            if let Err(error) = self.carry_out(step) {
                self.log
                    .error(format_args!("left for DEL: cannot {step}: {error}"));
                self.note(&error);
                return;
            }
        }
    }

    fn carry_out(&self, step: &Undo) -> Result<(), Error> {
        match step {
            Undo::CallDel => match self.delegate.run(Command::Del, self.json) {
                Err(of_del) if outlook::left_nothing(self.error, &of_del) => Ok(()),
                outcome => Ok(outcome?),
            },
            Undo::PutBack(earlier) => Ok(self.scratch.put_back(self.attachment, earlier)?),
            Undo::Forget => Ok(self.scratch.remove(self.attachment)?),
        }
    }

    /// Records in the kept configuration that an ADD and its rollback failed.
    fn note(&self, error: &Error) {
        if let Ok(Some(KeptContents::Conf(kept))) = self.scratch.find(self.attachment)
            && let Err(error) =
                self.scratch
                    .note(self.attachment, &kept, &Failures::default().and(error))
        {
            self.log
                .error(format_args!("cannot record the failure: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use cni_types::Code;
    use cni_types::json::Object;

    use super::*;
    use crate::scratch::FileKind;

    fn kept(failures: u32) -> KeptConf {
        KeptConf {
            kind: FileKind::First,
            file: "/var/lib/cni/flannel/c1".into(),
            plugin_type: "bridge".parse().unwrap(),
            conf: Object::default(),
            failures: Failures {
                count: failures,
                last: String::new(),
            },
        }
    }

    fn failed() -> DelegateError {
        DelegateError::Failed {
            plugin_type: "bridge".parse().unwrap(),
            error: Error::new(Code::INTERNAL, "no"),
        }
    }

    fn not_started() -> DelegateError {
        DelegateError::Start {
            program: "/opt/cni/bin/bridge".into(),
            source: io::Error::other("no"),
        }
    }

    #[test]
    fn a_first_add_is_deleted_and_forgotten() {
        for earlier in [None, Some(KeptContents::Debris)] {
            assert_eq!(
                Undo::steps(&failed(), earlier),
                [Undo::CallDel, Undo::Forget]
            );
        }
    }

    #[test]
    fn a_repeated_add_leaves_the_one_that_succeeded_alone() {
        let put_back = [Undo::PutBack(Box::new(kept(0)))];
        for error in [failed(), not_started()] {
            assert_eq!(
                Undo::steps(&error, Some(KeptContents::Conf(kept(0)))),
                put_back
            );
        }
    }

    #[test]
    fn an_add_after_a_failed_one_is_deleted_and_keeps_the_failures() {
        let put_back = Undo::PutBack(Box::new(kept(2)));
        assert_eq!(
            Undo::steps(&failed(), Some(KeptContents::Conf(kept(2)))),
            [Undo::CallDel, put_back]
        );
    }

    #[test]
    fn a_delegate_that_did_not_start_has_no_del_to_call() {
        assert_eq!(Undo::steps(&not_started(), None), [Undo::Forget]);
        let put_back = [Undo::PutBack(Box::new(kept(1)))];
        assert_eq!(
            Undo::steps(&not_started(), Some(KeptContents::Conf(kept(1)))),
            put_back
        );
    }

    #[test]
    fn a_step_says_what_it_does() {
        let steps = [
            Undo::CallDel,
            Undo::PutBack(Box::new(kept(0))),
            Undo::Forget,
        ];
        assert_eq!(
            steps.map(|step| step.to_string()),
            [
                "call DEL of the delegate",
                "put back the configuration in /var/lib/cni/flannel/c1",
                "remove the kept configuration",
            ]
        );
    }
}
