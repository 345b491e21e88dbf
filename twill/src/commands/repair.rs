//! `twill repair`: mends what `twill doctor` finds.

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::Outcome;
use crate::context::Context;
use crate::error::in_words;
use crate::faults::{ExamineOptions, KINDS, examine, settle_all};
use crate::output::Output;

/// Mends the faults that `twill doctor` names.
///
/// Without --apply, the command only prints what it would do. Each repair looks again before it
/// changes something, and can be repeated.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twill repair                           what would be done
  twill repair --apply                   do it
  twill repair dead-lease --apply        only faults of this kind

The exit status is 1 if a fault is left.")]
pub(crate) struct Options {
    /// The kinds of faults, as `twill doctor` names them; all by default.
    fault: Vec<String>,
    /// Mend the faults; without this option, nothing is changed.
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    examine: ExamineOptions,
}

/// Mends the faults.
pub(crate) fn run(
    options: &Options,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<Outcome> {
    if let Some(unknown) = options
        .fault
        .iter()
        .find(|it| !KINDS.contains(&it.as_str()))
    {
        bail!("{unknown:?} is no kind of fault: {}", KINDS.join(", "));
    }
    if options.apply {
        // Any ADD brings the indexes up to date. That happens first here, so that it changes
        // nothing between the examination and the repair.
        settle_all(&options.examine);
    }
    let examined = examine(&options.examine)?;
    let wanted = |kind: &str| options.fault.is_empty() || options.fault.iter().any(|it| it == kind);
    let (mut left, mut failed) = (0, 0);
    for fault in examined.faults.iter().filter(|fault| wanted(fault.kind)) {
        let (kind, subject) = (fault.kind, &fault.subject);
        let Some(repair) = &fault.repair else {
            left += 1;
            output.line(&format!(
                "{kind}: {subject}: only you can: {}",
                fault.command
            ))?;
            continue;
        };
        if !options.apply {
            left += 1;
            output.line(&format!("{kind}: {subject}: would {}", repair.in_words()))?;
            continue;
        }
        match repair.apply(&examined, context) {
            Ok(done) => output.line(&format!("{kind}: {subject}: {done}"))?,
            Err(error) => {
                failed += 1;
                output.line(&format!("{kind}: {subject}: failed: {}", in_words(&error)))?;
            }
        }
    }
    if failed > 0 {
        bail!("not all faults could be mended: repeat the command once this is solved");
    }
    if left == 0 {
        return Ok(Outcome::Done);
    }
    if !options.apply {
        output.line("nothing was changed: add --apply")?;
    }
    Ok(Outcome::Faults)
}
