//! host-local: ADD and DEL by the number of addresses in use.

mod chart;
mod contender;
mod database;
mod effort;
mod figures;
mod files;
mod held;
mod measure;
mod report;
mod targets;

use std::path::Path;

use anyhow::Result;

use self::contender::{Contender, Entry};
use self::effort::Effort;
use self::figures::Figures;
use super::state_dir::StateDir;
use super::{Extent, Outputs, empty, machine};
use crate::command::Show;
use crate::terminal::{Ink, Terminal};
use crate::workspace::Workspace;
use crate::{dist, packages};

/// Measures, and tells of it in tables and a plot.
pub(super) fn run(
    workspace: &Workspace,
    folder: &Path,
    state: &Path,
    extent: Extent,
) -> Result<Outputs> {
    let mut terminal = Terminal::stdout();
    packages::install_missing()?;
    terminal.line("building the plugins");
    dist::build(workspace, Show::IfItFails)?;
    let empty = empty::build(folder)?;
    let plugin = workspace.dist_dir().join("host-local");

    let state = StateDir::new(state)?;
    let mut entries = vec![
        Entry::new(Contender::Empty, &empty, state.folder("empty"))?,
        Entry::new(Contender::Disk, &plugin, state.folder("disk"))?,
        Entry::new(Contender::Db, &plugin, state.folder("db"))?,
    ];
    let mut notes: Vec<String> = Vec::new();
    let reference = contender::reference()?;
    let data_dir = state.folder("reference");
    entries.push(Entry::new(Contender::Reference, &reference, data_dir)?);

    let mut figures = Figures::default();
    let effort = Effort::of(extent);
    let measures_memory = match entries.first().map(Entry::peak_of_add) {
        Some(Err(error)) => {
            notes.push(format!("Peak memory is left out: {error:#}."));
            false
        }
        _ => true,
    };
    for note in &notes {
        terminal.line(note);
    }
    for size in effort.sizes {
        let told = measure::size(&mut entries, *size, &effort, measures_memory, &mut figures)?;
        let told = terminal.ink(Ink::Dim, told);
        terminal.line(told);
    }

    let machine = machine::described(state.path())?;
    Ok(Outputs {
        text: report::text(&figures, &machine, &notes),
        plot: chart::of(&figures, &machine).svg(),
    })
}
