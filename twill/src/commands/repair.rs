//! `twill repair`: mends what `twill doctor` finds.

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use crate::cli::Outcome;
use crate::context::Context;
use crate::error::in_words;
use crate::faults::{ExamineOptions, Examined, Fault, KINDS, examine, settle_all};
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
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    examine: ExamineOptions,
}

/// What becomes of a fault; the fields are the keys of the JSON.
#[derive(Debug, Serialize)]
struct Mended<'a> {
    kind: &'static str,
    subject: &'a str,
    /// `manual`, `repairable`, `done` or `failed`.
    outcome: &'static str,
    /// What has to be done, would be done, was done, or has failed.
    text: String,
}

impl<'a> Mended<'a> {
    fn of(fault: &'a Fault, examined: &Examined, context: &Context, apply: bool) -> Self {
        let (outcome, text) = match &fault.repair {
            None => ("manual", fault.command.clone()),
            Some(repair) if !apply => ("repairable", repair.in_words()),
            Some(repair) => match repair.apply(examined, context) {
                Ok(done) => ("done", done),
                Err(error) => ("failed", in_words(&error)),
            },
        };
        Self {
            kind: fault.kind,
            subject: &fault.subject,
            outcome,
            text,
        }
    }

    fn in_words(&self) -> String {
        let Self {
            kind,
            subject,
            outcome,
            text,
        } = self;
        let outcome = match *outcome {
            "manual" => "only you can: ",
            "repairable" => "would ",
            "failed" => "failed: ",
            _ => "",
        };
        format!("{kind}: {subject}: {outcome}{text}")
    }
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
    let wanted = examined.faults.iter().filter(|fault| wanted(fault.kind));
    let mut all = Vec::new();
    for fault in wanted {
        let mended = Mended::of(fault, &examined, context, options.apply);
        if !options.json {
            output.line(&mended.in_words());
        }
        all.push(mended);
    }
    if options.json {
        output.json(&all);
    } else if all.is_empty() {
        output.remark("nothing to mend");
    }
    let has = |outcome: &str| all.iter().any(|it| it.outcome == outcome);
    if has("failed") {
        bail!("not all faults could be mended: repeat the command once this is solved");
    }
    if has("repairable") && !options.json {
        output.line("nothing was changed: add --apply");
    }
    Ok(match has("manual") || has("repairable") {
        true => Outcome::Faults,
        false => Outcome::Done,
    })
}
