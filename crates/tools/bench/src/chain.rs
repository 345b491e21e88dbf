//! flannel, bridge and host-local: what it costs to attach and detach a container.

mod batch;
mod boot;
mod entry;
mod gc;
mod list;
mod orphans;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::requirements::REFERENCE_DIR;
use xtask::command::Show;
use xtask::dist;

use self::entry::{Entry, Plugins};
use self::list::List;
use crate::Setting;
use crate::contest::Contest;
use crate::figures::Figures;
use crate::report::{Report, Target};

/// A program that has the kernel make the same, and does nothing else.
const FLOOR: &str = "floor";
/// The multi-call binary, which calls its own plugins in one process.
const TWILL: &str = "Twill";
/// Our flannel with the Go plugins behind it.
const GO: &str = "Go";

const CONTENDERS: &[&str] = &[FLOOR, TWILL, GO];

/// How many calls are made at a time, beside one after another.
const AT_A_TIME: u32 = 8;

/// The processor time of a call's processes, in user and in system mode; the mean of a batch.
const ADD_PROCESSOR: &str = "ADD, processor time";
const DEL_PROCESSOR: &str = "DEL, processor time";
/// The time of a batch of calls over their number.
const ADD_SHARE: &str = "ADD, time per container";
const DEL_SHARE: &str = "DEL, time per container";

/// How long a GC of ten dead containers may take.
const GC_LIMIT: Duration = Duration::from_millis(60);

const REMARKS: &str = "\
A call attaches or detaches one container, whose network namespace exists, on a node of the
contender's own whose bridge exists. flanneld masquerades, so nobody makes rules. Go is Debian's
bridge and host-local behind our flannel. The
floor is one static program that has the kernel make the same links, address and routes. Its DEL,
like ours, ends with the event that the link is gone. What the kernel does after that counts as
processor time, for whoever waits for it. Memory is added up over a call's processes.
A list has portmap behind flannel, one process after another; Go's portmap works with iptables, and
the floor has none.
A boot is timed from the first ADD until the last one of 110 has returned; the bridge that has 900
ports already, with the containers' nearly as many as the kernel allows, exists before it. A GC is
one of flannel with 10,000 containers, by their kept configurations and addresses.
";

pub(crate) fn measure(setting: &Setting) -> Result<Report> {
    println!("building the floor, and making nodes and containers");
    let (rounds, batches, seconds, containers, look_rounds, rare_rounds) = if setting.quick {
        (40, 4, 3, 16, 1, 1)
    } else {
        (300, 20, 20, 32, 3, 7)
    };
    let (mut entries, mut booting) = (Vec::new(), Vec::new());
    for contender in CONTENDERS {
        let (program, plugins) = means(setting, contender)?;
        if *contender != FLOOR {
            let (program, plugins) = (program.clone(), plugins.clone());
            booting.push(Entry::on_new_node(
                contender,
                program,
                plugins,
                boot::CONTAINERS,
            )?);
        }
        entries.push(Entry::new(contender, program, plugins, containers)?);
    }
    // What is compared must do the same.
    for entry in &entries {
        for floor in &entries {
            let (own, floors) = (&entry.attached, &floor.attached);
            ensure!(own == floors, "one makes {own:#?}, and another {floors:#?}");
        }
    }
    let mut figures = Figures::default();
    let mut contest = Contest {
        round: &["ADD", "DEL"],
        rounds,
        budget: Duration::from_secs(seconds),
        looks: &setting.looks,
        look_rounds,
    };
    contest.run("one after another", &entries, &mut figures)?;
    let lists: Vec<_> = entries.iter().map(List).collect();
    (contest.round, contest.looks) = (&list::OPERATIONS, &[]);
    contest.run("a list with portmap", &lists, &mut figures)?;
    (contest.round, contest.looks) = (&["ADD", "DEL"], &setting.looks);
    for entry in &mut entries {
        entry.at_a_time = AT_A_TIME;
    }
    (contest.rounds, contest.looks) = (batches, &[]);
    contest.run(&format!("{AT_A_TIME} at a time"), &entries, &mut figures)?;
    boot::measure(setting, &mut booting, rare_rounds, &mut figures)?;
    gc::measure(setting, rare_rounds, &mut figures)?;

    let time = |operation, size, other, limit| {
        Target::time(
            &figures,
            (operation, TWILL, size),
            (operation, other, size),
            limit,
        )
    };
    let targets = vec![
        time("ADD", 1, GO, 0.15),
        time("ADD", 1, FLOOR, 1.3),
        time(ADD_PROCESSOR, 1, GO, 0.16),
        time(ADD_SHARE, AT_A_TIME, FLOOR, 1.35),
        // Three times the containers in the same time.
        time(ADD_SHARE, AT_A_TIME, GO, 1.0 / 3.0),
        time("DEL", 1, GO, 0.12),
        time("DEL", 1, FLOOR, 1.8),
        time(DEL_SHARE, AT_A_TIME, GO, 0.2),
        time(DEL_PROCESSOR, 1, GO, 0.14),
        time(list::OPERATIONS[2], 1, GO, 0.12),
        Target::duration(&figures, (gc::OF_TEN, TWILL, 1), GC_LIMIT),
        Target::amount("peak memory", figures.peak(TWILL), 5 * 1024),
        Target::amount(
            "all plugins on a disk",
            Some(size(&setting.plugins)?),
            4 * 1024,
        ),
    ];
    Ok(Report {
        title: "flannel, bridge and host-local, one after another and many at a time",
        size: "at a time",
        remarks: REMARKS,
        contenders: CONTENDERS,
        operations: &[
            "ADD",
            "DEL",
            ADD_PROCESSOR,
            DEL_PROCESSOR,
            ADD_SHARE,
            DEL_SHARE,
            list::OPERATIONS[0],
            list::OPERATIONS[1],
            list::OPERATIONS[2],
            list::OPERATIONS[3],
            boot::ON_AN_EMPTY_NODE,
            boot::BESIDE_PORTS,
            gc::CASES[0].0,
            gc::CASES[1].0,
            gc::CASES[2].0,
            gc::CASES[3].0,
        ],
        plotted: &["ADD", ADD_PROCESSOR, "DEL", DEL_PROCESSOR],
        compared: &[(TWILL, GO), (TWILL, FLOOR), (GO, FLOOR)],
        targets,
        figures,
    })
}

/// The program that a contender runs, and where it finds things if it is a plugin.
fn means(setting: &Setting, contender: &str) -> Result<(PathBuf, Option<Plugins>)> {
    let delegates = match contender {
        FLOOR => {
            let built = dist::build_program(&setting.workspace, "attach", Show::IfItFails)?;
            let floor = setting.dir.join("attach");
            dist::install(&built, &floor)?;
            return Ok((floor, None));
        }
        TWILL => &setting.plugins,
        _ => Path::new(REFERENCE_DIR),
    };
    let plugins = Plugins {
        delegates: delegates.to_owned(),
        subnet_file: setting.state.path().join("subnet.env"),
        data_dir: setting.state.dir(&format!("{contender}-flannel")),
        addresses: setting.state.dir(&format!("{contender}-networks")),
    };
    crate::write(&plugins.subnet_file, &entry::subnet_env())?;
    Ok((setting.plugins.join("flannel"), Some(plugins)))
}

/// What the files in a directory take on a disk, in KiB, each counted once whatever its names.
fn size(dir: &Path) -> Result<u64> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let file = fs::metadata(entry?.path())?;
        files.insert((file.dev(), file.ino()), file.size());
    }
    Ok(files.values().sum::<u64>().div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_of_several_names_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("twill"), vec![0; 5000]).unwrap();
        symlink("twill", path("bridge")).unwrap();
        assert_eq!(size(dir.path()).unwrap(), 5);
        fs::write(path("flannel"), vec![0; 1024]).unwrap();
        assert_eq!(size(dir.path()).unwrap(), 6);
    }
}
