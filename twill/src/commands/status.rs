//! `twill status`: the node at a glance.

mod view;

use anyhow::Result;
use clap::Args;
use cni_types::NetworkName;

use self::view::{ListView, Status};
use super::network_status;
use crate::cli::Outcome;
use crate::faults::{ExamineOptions, FaultView, examine};
use crate::output::Output;
use crate::table::{Cell, Style, Table};

/// Shows the state of the node: flanneld's lease, the network configuration and its plugins,
/// bridges, ranges, rules, and what is wrong.
///
/// With NETWORK, the plugins of that network's list are asked instead whether they could serve an
/// ADD, as a runtime asks them.
///
/// The exit status is 0 if nothing is wrong, and 1 otherwise.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  twill status
  twill status --json | jq .problems
  twill status cbr0 -v                   STATUS of each plugin of cbr0's list")]
pub(crate) struct Options {
    /// The network whose plugins are asked.
    network: Option<NetworkName>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    examine: ExamineOptions,
    /// Show each plugin's request, answer and time, on standard error.
    #[arg(short, long, requires = "network")]
    verbose: bool,
}

/// The number of problems of a kind that are printed.
const AT_MOST: usize = 3;

/// Prints the status.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    if let Some(network) = &options.network {
        let list = options.examine.node().list(options.verbose);
        return network_status::run(network, &list, options.json, output);
    }
    let status = Status::of(examine(&options.examine)?);
    if options.json {
        output.json(&status);
    } else {
        status.print(output);
    }
    Ok(if status.problems.is_empty() {
        Outcome::Done
    } else {
        Outcome::Faults
    })
}

impl Status {
    fn print(&self, output: &mut Output<'_>) {
        let mut facts = Table::new(["", ""]);
        let mut fact = |what: &'static str, text: String| {
            facts.row([Cell::new(what, Style::Bold), text.into()]);
        };
        if let Some(lease) = &self.lease {
            fact("lease", lease.in_words());
        }
        if let Some(ListView { file, network }) = &self.list {
            fact("list", format!("network {network}, {file}"));
        }
        for bridge in &self.bridges {
            fact("bridge", bridge.in_words());
        }
        if let Some(firewall) = &self.firewall {
            fact("firewall", firewall.in_words());
        }
        output.texts(&facts);
        let mut plugins = Table::new(["PLUGIN", "WHOSE", "FILE"]);
        for plugin in &self.plugins {
            plugins.row(plugin.cells());
        }
        let mut networks = Table::new([
            "NETWORK", "RANGE", "SIZE", "USED", "FREE", "ALIVE", "DEAD", "UNKNOWN",
        ]);
        for network in &self.networks {
            network.rows(&mut networks);
        }
        for table in [plugins, networks] {
            if !table.is_empty() {
                output.line("");
                output.table(&table);
            }
        }
        output.line("");
        if self.problems.is_empty() {
            output.styled_line("nothing is wrong", Style::Good, "");
            return;
        }
        self.print_problems(output);
        output.line("`twill doctor` names the effect of each, and `twill repair` mends some");
    }

    /// Prints the first problems of each kind.
    fn print_problems(&self, output: &mut Output<'_>) {
        let mut rest = self.problems.as_slice();
        while let Some(FaultView { kind, .. }) = rest.first() {
            let length = rest.iter().take_while(|problem| problem.kind == *kind);
            let (group, after) = rest.split_at(length.count());
            rest = after;
            for problem in group.iter().take(AT_MOST) {
                let what = problem.in_words();
                output.styled_line("problem", Style::Bad, &format!("  {kind}: {what}"));
                output.line(&format!("  to do  {}", problem.command));
            }
            if group.len() > AT_MOST {
                let more = group.len() - AT_MOST;
                output.styled_line("problem", Style::Bad, &format!("  {kind}: {more} more"));
            }
        }
    }
}
