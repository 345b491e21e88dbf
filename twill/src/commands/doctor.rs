//! `twill doctor`: compares everything that a node has, and reports contradictions.

use anyhow::Result;
use clap::Args;

use crate::cli::Outcome;
use crate::faults::{ExamineOptions, FaultView, examine};
use crate::output::Output;
use crate::table::Style;

/// Reports each fault of this node, with its evidence, its effect and what mends it.
///
/// The exit status is 0 if nothing is wrong, and 1 otherwise.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twill doctor
  twill doctor --from crictl             asks the runtime, too, which containers live
  twill doctor --json | jq -r '.[].kind'")]
pub(crate) struct Options {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    examine: ExamineOptions,
}

/// Prints the faults.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let faults = examine(&options.examine)?.faults.into_iter();
    let faults: Vec<FaultView> = faults.map(FaultView::from).collect();
    if options.json {
        output.json(&faults);
    } else {
        for fault in &faults {
            print(fault, output);
        }
        output.line(&match faults.len() {
            0 => "nothing is wrong".to_owned(),
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        });
    }
    Ok(if faults.is_empty() {
        Outcome::Done
    } else {
        Outcome::Faults
    })
}

fn print(fault: &FaultView, output: &mut Output<'_>) {
    output.styled_line(fault.kind, Style::Bad, &format!(": {}", fault.subject));
    output.line(&format!("  evidence  {}", fault.evidence));
    output.line(&format!("  effect    {}", fault.effect));
    output.line(&format!("  mend      {}", fault.command));
    output.line("");
}
