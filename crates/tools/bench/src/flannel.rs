//! flannel: what it costs itself, by the number of other containers whose configurations it keeps.

mod chart;
mod contender;
mod effort;
mod idle;
mod looks;
mod netconf;
mod report;
mod scratch_files;
mod targets;

use std::fs;

use anyhow::{Context, Result};
use testkit::NetNs;

use self::contender::{Contender, Entry, Operation, Surroundings};
use self::effort::{Effort, SIZES};
use self::looks::Looks;
use super::{Outputs, Setting, figures, memory, system_calls, units};
use xtask::platform::Platform;

type Figures = figures::Figures<Operation, Contender>;

/// Measures, and tells of it in tables and a plot.
pub(super) fn run(setting: &mut Setting) -> Result<Outputs> {
    let empty = &setting.empty;
    let idle = idle::build(&setting.folder, &Platform::of_plugins()?)?;
    let plugin = setting.plugins.join("flannel");
    let state = &setting.state;
    // Nothing happens in it, but flannel refuses its own.
    let sandbox = NetNs::new()?;
    let surroundings = Surroundings {
        subnet_file: state.path().join("subnet.env"),
        delegates: setting.folder.clone(),
        netns: sandbox.path(),
    };
    fs::write(&surroundings.subnet_file, netconf::SUBNET_ENV)
        .with_context(|| format!("cannot write {}", surroundings.subnet_file.display()))?;
    let contenders = [
        (Contender::Empty, empty, "empty"),
        (Contender::Bare, &setting.bare, "bare"),
        (Contender::Idle, &idle, "idle"),
        (Contender::Flannel, &plugin, "flannel"),
    ];
    let entries = SIZES.into_iter().flat_map(|size| {
        contenders.map(|(contender, program, folder)| {
            let data_dir = state.folder(&format!("{folder}-{size}"));
            Entry::new(contender, program, &surroundings, size, data_dir)
        })
    });
    let mut entries: Vec<Entry> = entries.collect();

    let obstacles = [memory::obstacle(empty), system_calls::obstacle(empty)];
    let [memory, system_calls] = obstacles.each_ref().map(Option::is_none);
    let looks = Looks {
        memory,
        system_calls,
    };
    let notes: Vec<String> = obstacles.into_iter().flatten().collect();
    let terminal = &mut setting.terminal;
    for note in &notes {
        terminal.line(note);
    }
    let mut figures = Figures::default();
    let effort = Effort::of(setting.extent);
    let label = format!("{} others kept", SIZES.map(units::count).join(" and "));
    effort.contest.run(
        &label,
        terminal,
        &mut entries,
        &mut figures,
        |entry, figures| (0..effort.looks).try_for_each(|round| looks.take(entry, round, figures)),
    )?;

    let machine = &setting.machine;
    Ok(Outputs {
        text: report::text(&figures, machine, &notes),
        plot: chart::of(&figures, machine).svg(),
    })
}
