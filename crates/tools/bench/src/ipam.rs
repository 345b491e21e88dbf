//! host-local: ADD and DEL by the number of addresses in use.

mod chart;
mod contender;
mod database;
mod effort;
mod files;
mod held;
mod measure;
mod report;
mod targets;

use anyhow::Result;

use self::contender::{Contender, Entry, Operation};
use self::effort::Effort;
use super::{Outputs, Setting, figures, memory, units};

type Figures = figures::Figures<Operation, Contender>;

/// Measures, and tells of it in tables and a plot.
pub(super) fn run(setting: &mut Setting) -> Result<Outputs> {
    let empty = &setting.empty;
    let plugin = setting.plugins.join("host-local");
    let state = &setting.state;
    let mut entries = vec![
        Entry::new(Contender::Empty, empty, state.folder("empty"))?,
        Entry::new(Contender::Bare, &setting.bare, state.folder("bare"))?,
        Entry::new(Contender::Disk, &plugin, state.folder("disk"))?,
        Entry::new(Contender::Db, &plugin, state.folder("db"))?,
    ];
    let reference = contender::reference()?;
    let data_dir = state.folder("reference");
    entries.push(Entry::new(Contender::Reference, &reference, data_dir)?);

    let mut figures = Figures::default();
    let effort = Effort::of(setting.extent);
    let notes: Vec<String> = memory::obstacle(empty).into_iter().collect();
    let measures_memory = notes.is_empty();
    let terminal = &mut setting.terminal;
    for note in &notes {
        terminal.line(note);
    }
    let contest = measure::contest(&effort);
    for size in effort.sizes {
        for entry in &mut entries {
            entry.size = *size;
        }
        let label = format!("{:>7} addresses in use", units::count(*size));
        contest.run(
            &label,
            terminal,
            &mut entries,
            &mut figures,
            |entry, figures| {
                measure::after_changes(entry, &effort, figures)?;
                if measures_memory {
                    measure::peaks(entry, &effort, figures)?;
                }
                Ok(())
            },
        )?;
    }

    let machine = &setting.machine;
    Ok(Outputs {
        text: report::text(&figures, machine, &notes),
        plot: chart::of(&figures, machine).svg(),
    })
}
