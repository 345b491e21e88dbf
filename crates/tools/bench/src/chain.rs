//! The whole chain, flannel, bridge and host-local: what it costs to attach and detach a container.

mod attached;
mod batch;
mod chart;
mod contender;
mod effort;
mod entry;
mod means;
mod network;
mod orphans;
mod programs;
mod quantity;
mod report;
mod seen;
mod slot;
mod targets;

use anyhow::Result;

use self::contender::Contender;
use self::effort::{AT_A_TIME, Effort};
use self::entry::Entry;
use self::means::Means;
use self::quantity::Quantity;
use super::contest::Entrant;
use super::{Outputs, Setting, figures, memory};
use xtask::workspace::Workspace;

type Figures = figures::Figures<Quantity, Contender>;

/// Measures, and tells of it in tables and a plot.
pub(super) fn run(workspace: &Workspace, setting: &mut Setting) -> Result<Outputs> {
    let effort = Effort::of(setting.extent);
    let mut notes: Vec<String> = memory::obstacle(&setting.bare).into_iter().collect();
    let measures_memory = notes.is_empty();
    setting
        .terminal
        .line("building each plugin by itself, and making nodes and containers");
    let mut entries = contenders(workspace, setting, effort.containers, &mut notes)?;
    let terminal = &mut setting.terminal;
    for note in &notes {
        terminal.line(note);
    }

    let mut figures = Figures::default();
    let peaks = |entry: &Entry, figures: &mut Figures| {
        let looks = 0..if measures_memory { effort.looks } else { 0 };
        let mut calls = looks.flat_map(|round| Quantity::ROUND.map(|quantity| (quantity, round)));
        calls.try_for_each(|(quantity, round)| entry.run_for_peak(quantity, round, figures))
    };
    let label = "one after another";
    effort
        .single
        .run(label, terminal, &mut entries, &mut figures, peaks)?;
    for entry in &mut entries {
        entry.at_a_time = AT_A_TIME;
    }
    let label = format!("{AT_A_TIME} at a time");
    let nothing = |_: &Entry, _: &mut Figures| Ok(());
    effort
        .together
        .run(&label, terminal, &mut entries, &mut figures, nothing)?;

    let machine = &setting.machine;
    let size = programs::size(&setting.plugins)?;
    Ok(Outputs {
        text: report::text(&figures, size, machine, &notes),
        plot: chart::of(&figures, machine).svg(),
    })
}

/// All who can take part; why others cannot is noted.
fn contenders(
    workspace: &Workspace,
    setting: &Setting,
    containers: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<Entry>> {
    let means = Means::new(workspace, setting)?;
    let mut entries = Vec::new();
    for contender in Contender::ALL {
        let entry = means
            .of(contender)
            .and_then(|(program, plugins)| Entry::new(contender, &program, plugins, containers));
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                let error = format!("{error:#}");
                let reason = error.lines().next().unwrap_or_default();
                notes.push(format!("{contender} is left out: {reason}."));
            }
        }
    }
    let of = |contender| {
        let found = entries.iter().find(|entry| entry.contender() == contender);
        found.and_then(|entry| entry.attached.as_ref())
    };
    for contender in Contender::ALL {
        if let (Some(own), Some(floor)) = (of(contender), of(Contender::Floor))
            && let Err(error) = own.check_same(floor)
        {
            notes.push(format!(
                "{contender} makes something else than the floor: {error}."
            ));
        }
    }
    Ok(entries)
}
