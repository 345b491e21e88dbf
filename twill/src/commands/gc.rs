//! `twill gc`: frees the holdings of dead containers.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use cni_types::NetworkName;
use living::{Living, Namespaces, Source};
use node::{ContainerNamespaces, NodeLinks, Sightings, read_cached};
use serde::Serialize;

use super::network_gc::NetworkGc;
use crate::age;
use crate::cli::Outcome;
use crate::context::Context;
use crate::error::in_words;
use crate::holdings::free::{Freed, free};
use crate::holdings::{Fate, Filter, Holding, Inquest, forget_irrelevant, read, settle};
use crate::node_options::NodeOptions;
use crate::output::Output;
use crate::table::Table;

/// Frees what dead containers hold: addresses, kept configurations, links and rules.
///
/// Without --apply, the command only lists what is dead. It reads the leases before it asks the
/// sources which containers live, so a container that is starting never counts as dead. If a
/// process runs in the namespace of a container's interface, the command keeps everything of this
/// container, whatever the sources report. If it cannot look into the namespaces of all processes,
/// it changes nothing, unless the runtime has recorded the namespace of each container.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twill gc --from crictl                 what is dead on a node of Kubernetes
  twill gc --from crictl --apply         free it
  twill gc --from podman --from crictl   two runtimes share the node
  twill gc --from - < valid.json         [{\"containerID\": \"…\", \"ifname\": \"…\"}, …]
  twill gc cbr0 --by-plugins --from valid.json --apply   as a runtime does it

The exit status is 1 if something dead is left.")]
pub(crate) struct Options {
    /// The networks to look at; all by default.
    network: Vec<NetworkName>,
    /// The source of the living containers: crictl, podman, nerdctl, ctr, netns (the kernel's
    /// network namespaces), a file, or - (standard input). The option can be given more than once.
    #[arg(long, value_name = "SOURCE", required = true)]
    from: Vec<Source>,
    /// Free what is dead; without this option, nothing is changed.
    #[arg(long)]
    apply: bool,
    /// Keep everything that is younger than this, such as 90s, 5m or 1h.
    #[arg(long, value_name = "AGE", default_value = "5m", value_parser = age::parse)]
    older_than: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeOptions,
    /// Call the plugins of the network's list with GC, as a runtime does, with a list of the valid
    /// attachments (--from FILE or -). Before that, cached attachments that are not in the list get
    /// DEL. --older-than has no effect.
    #[arg(long, requires = "network", help_heading = "By the plugins")]
    by_plugins: bool,
    /// Show each plugin's request, answer and time, on standard error.
    #[arg(short, long, requires = "by_plugins", help_heading = "By the plugins")]
    verbose: bool,
}

/// The line or JSON object about one attachment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    network: String,
    #[serde(rename = "containerID")]
    container: String,
    name: Option<String>,
    #[serde(rename = "ifname")]
    interface: Option<String>,
    addresses: Vec<String>,
    state: State,
    reason: String,
}

/// What the command found out about an attachment, or did with its holdings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
enum State {
    Alive,
    /// The evidence does not suffice.
    Unclear,
    /// It is dead, and nothing was to be changed.
    Dead,
    Freed,
    /// It was left alone, because it has changed since it was read.
    Changed,
    /// It is dead, and freeing its holdings has failed.
    Failed,
}

impl From<State> for &'static str {
    fn from(state: State) -> Self {
        match state {
            State::Alive => "alive",
            State::Unclear => "unclear",
            State::Dead => "dead",
            State::Freed => "freed",
            State::Changed => "changed",
            State::Failed => "failed",
        }
    }
}

/// The report about all attachments.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    applied: bool,
    dead: usize,
    freed: usize,
    alive: usize,
    unclear: usize,
    attachments: Vec<Line>,
}

impl Report {
    fn count(&mut self, state: State) {
        *match state {
            State::Alive => &mut self.alive,
            State::Unclear => &mut self.unclear,
            State::Dead | State::Freed | State::Changed | State::Failed => &mut self.dead,
        } += 1;
        self.freed += usize::from(state == State::Freed);
    }
}

/// Lists the holdings of dead attachments, and frees them with `--apply`.
pub(crate) fn run(
    options: &Options,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<Outcome> {
    if options.by_plugins {
        return run_by_plugins(options, output);
    }
    let paths = options.node.paths();
    let filter = Filter {
        networks: options.network.clone(),
        container: None,
    };
    if options.apply {
        settle(&paths, &filter)?;
    }
    let holdings = read(&paths, &filter)?;
    let living = Living::ask(&options.from)
        .context("it is unknown which containers live, so nothing was changed")?;
    let (links, mut found) = (NodeLinks::of_node(), ContainerNamespaces::read(&paths));
    if let Ok(found) = &mut found
        && found.hidden.is_some()
    {
        let cached = read_cached(&paths.cache_dirs).unwrap_or_default();
        forget_irrelevant(found, &cached, &holdings);
    }
    let namespaces = Namespaces::new(&links, &found)
        .context("the network namespaces cannot be read, so nothing was changed")?;
    let inquest = Inquest {
        living: &living,
        namespaces: &namespaces,
        sightings: &Sightings::of(&links, &found),
        now: SystemTime::now(),
        older_than: options.older_than,
    };
    let mut report = Report {
        applied: options.apply,
        ..Report::default()
    };
    let mut has_failed = false;
    for holding in &holdings {
        let (state, reason) = match inquest.fate(holding) {
            Fate::Alive(reason) => (State::Alive, reason),
            Fate::Unclear(reason) => (State::Unclear, reason),
            Fate::Dead(reason) if !options.apply => (State::Dead, reason),
            Fate::Dead(reason) => {
                let namespace = holding.with_subject(|subject| namespaces.of(subject));
                outcome(free(holding, namespace, &context.environment), reason)
            }
        };
        report.count(state);
        has_failed |= state == State::Failed;
        // The table for people leaves out attachments that are alive.
        if options.json || state != State::Alive {
            let line = Line::of(holding, &living, state, reason);
            report.attachments.push(line);
        }
    }
    print(options, &report, output);
    if has_failed {
        bail!("not all dead attachments could be freed: repeat the command once this is solved");
    }
    Ok(if report.dead == 0 || report.applied {
        Outcome::Done
    } else {
        Outcome::Faults
    })
}

fn run_by_plugins(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let [network] = options.network.as_slice() else {
        bail!("--by-plugins takes one network");
    };
    let valid = Living::ask(&options.from)?.attachments().context(
        "--by-plugins needs a list of the valid attachments: --from FILE, or - for standard input",
    )?;
    let gc = NetworkGc {
        network,
        list: &options.node.list(options.verbose),
        valid: &valid,
        apply: options.apply,
        json: options.json,
    };
    gc.run(output)
}

fn outcome(freed: Result<Freed>, reason: String) -> (State, String) {
    match freed {
        Ok(Freed::All) => (State::Freed, reason),
        Ok(Freed::Changed) => (
            State::Changed,
            "it has changed meanwhile, and was left alone".to_owned(),
        ),
        Err(error) => (State::Failed, in_words(&error)),
    }
}

impl Line {
    fn of(holding: &Holding, living: &Living, state: State, reason: String) -> Self {
        let container = holding.owner.container_id.as_str();
        let ifname = holding.owner.ifname.as_ref();
        Self {
            network: holding.network.to_string(),
            container: container.to_owned(),
            name: living.name_of(container).map(str::to_owned),
            interface: ifname.map(ToString::to_string),
            addresses: holding
                .addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            state,
            reason,
        }
    }
}

fn print(options: &Options, report: &Report, output: &mut Output<'_>) {
    if options.json {
        output.json(report);
        return;
    }
    let mut table = Table::new(["NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "STATE"]);
    for line in &report.attachments {
        let container = line.name.clone();
        let container = container.unwrap_or_else(|| line.container.chars().take(16).collect());
        table.row([
            line.network.as_str().into(),
            container.into(),
            line.interface.as_deref().unwrap_or("-").into(),
            line.addresses.join(",").into(),
            format!("{}: {}", <&str>::from(line.state), line.reason).into(),
        ]);
    }
    if !table.is_empty() {
        output.table(&table);
        output.line("");
    }
    let Report {
        dead,
        freed,
        alive,
        unclear,
        ..
    } = report;
    output.line(&if *dead == 0 {
        format!("nothing is dead; {alive} alive, {unclear} unclear")
    } else if report.applied {
        format!("{freed} of {dead} dead attachments freed; {alive} alive, {unclear} unclear")
    } else {
        format!("{dead} dead, {alive} alive, {unclear} unclear: --apply frees what is dead")
    });
}
