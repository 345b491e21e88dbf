//! The operator's commands on a node with 10,000 leases, and ADDs beside them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::Node;

use crate::call::{ProgramCall, container_id};
use crate::figures::Figures;
use crate::report::{Report, Target};
use crate::{Setting, memory};

const LEASES: u32 = 10_000;
const NETWORK: &str = "net";
const SUBNET: &str = "10.244.0.0/16";
/// The first address in use; the gateway is before it.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);

const DISK: &str = "disk";
const DB: &str = "db";

const COMMANDS: [&str; 4] = ["leases", "status", "doctor", "gc"];
/// The exit status of a command that finds nothing.
const NOTHING_WRONG: &[i32] = &[0];

/// The exit statuses beside ADDs of containers that the list of the living does not have: in the
/// database, which records no age, they count as dead.
const PERHAPS_DEAD: &[i32] = &[0, 1];

const ADD: &str = "ADD";
const BESIDE: [(&str, &str); 2] = [("doctor", "ADD beside doctor"), ("gc", "ADD beside gc")];
const OPERATIONS: &[&str] = &[
    COMMANDS[0],
    COMMANDS[1],
    COMMANDS[2],
    COMMANDS[3],
    ADD,
    BESIDE[0].1,
    BESIDE[1].1,
];

pub(crate) fn measure(setting: &Setting) -> Result<Report> {
    let (rounds, adds) = if setting.quick { (5, 60) } else { (20, 300) };
    let node = Node::new()?;
    let mut figures = Figures::default();
    for backend in [DISK, DB] {
        println!("{LEASES} leases: {backend}");
        let stage = Stage::new(setting, backend)?;
        node.enter(|| stage.measure(rounds, adds, &mut figures))?;
    }
    let mut targets = Vec::new();
    for backend in [DISK, DB] {
        for command in COMMANDS {
            let key = (command, backend, LEASES);
            targets.push(Target::duration(&figures, key, Duration::from_secs(1)));
            let peak = figures.memory.get(&key).copied();
            let what = format!("{backend} {command}: peak memory");
            targets.push(Target::amount(&what, peak, 32 << 10));
        }
        for (_, beside) in BESIDE {
            let (one, alone) = ((beside, backend, LEASES), (ADD, backend, LEASES));
            targets.push(Target::time(&figures, one, alone, 1.5));
        }
    }
    Ok(Report {
        title: "The operator's commands",
        size: "leases",
        remarks: "ADDs are host-local's; beside a command, they run while it is repeated without \
                  a pause.\n",
        contenders: &[DISK, DB],
        operations: OPERATIONS,
        plotted: &COMMANDS,
        compared: &[],
        figures,
        targets,
    })
}

/// A network with leases and kept configurations, whose containers a file lists as alive.
struct Stage {
    plugins: PathBuf,
    backend: &'static str,
    /// Where everything of the network is.
    dir: PathBuf,
    /// What the plugin that attaches gets.
    conf: Value,
}

impl Stage {
    fn new(setting: &Setting, backend: &'static str) -> Result<Self> {
        let dir = setting.state.dir(&format!("operator-{backend}"));
        let conf = json!({
            "cniVersion": "1.0.0",
            "name": NETWORK,
            "type": "bridge",
            "ipam": {
                "type": "host-local",
                "dataDir": dir.join("networks"),
                "backend": backend,
                "ranges": [[{ "subnet": SUBNET }]],
            },
        });
        let stage = Self {
            plugins: setting.plugins.clone(),
            backend,
            dir,
            conf,
        };
        stage.write()?;
        Ok(stage)
    }

    fn write(&self) -> Result<()> {
        let leases = self.dir.join("networks").join(NETWORK);
        let (lists, kept) = (self.dir.join("net.d"), self.dir.join("flannel"));
        for dir in [&leases, &lists, &kept] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let list = json!({ "cniVersion": "1.0.0", "name": NETWORK, "plugins": [self.conf] });
        crate::write(&lists.join("net.conflist"), &list.to_string())?;
        let conf = testkit::conf::with(self.conf.clone(), json!({ "twill/ifname": "eth0" }));
        let mut alive = Vec::new();
        for number in 0..LEASES {
            let id = container_id("holder", number as usize);
            let address = Ipv4Addr::from_bits(FIRST.to_bits() + number);
            crate::write(&leases.join(address.to_string()), &format!("{id}\r\neth0"))?;
            crate::write(&kept.join(&id), &conf.to_string())?;
            alive.push(json!({ "containerID": id, "ifname": "eth0" }));
        }
        crate::write(&self.alive(), &Value::from(alive).to_string())?;
        if self.backend == DB {
            let convert = ["convert", "db", NETWORK, "--data-dir"];
            let data_dir = self.dir.join("networks").display().to_string();
            self.run(
                &self.twill(convert.into_iter().chain([data_dir.as_str()])),
                NOTHING_WRONG,
            )?;
        }
        Ok(())
    }

    fn alive(&self) -> PathBuf {
        self.dir.join("alive.json")
    }

    fn twill<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> ProgramCall {
        ProgramCall {
            arguments: words.into_iter().map(str::to_owned).collect(),
            ..ProgramCall::bare(&self.plugins.join("twill"))
        }
    }

    /// A command that finds nothing wrong.
    fn command(&self, command: &str) -> ProgramCall {
        let path = |path: PathBuf| path.display().to_string();
        let mut words = vec![command.to_owned()];
        if command != "leases" {
            words.extend(["--from".to_owned(), path(self.alive())]);
        }
        if command != "gc" {
            words.extend(["--path".to_owned(), path(self.plugins.clone())]);
            words.extend(["--conf".to_owned(), path(self.dir.join("net.d"))]);
        }
        words.extend(["--data-dir".to_owned(), path(self.dir.join("networks"))]);
        words.extend(["--flannel-dir".to_owned(), path(self.dir.join("flannel"))]);
        self.twill(words.iter().map(String::as_str))
    }

    /// Runs a command that prints more than a pipe holds, and returns its duration.
    ///
    /// # Errors
    /// If its exit status is not one of the expected ones.
    fn run(&self, call: &ProgramCall, expected: &[i32]) -> Result<Duration> {
        let mut command = call.command(None);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().context("cannot start twill")?;
        let elapsed = start.elapsed();
        let is_expected = status.code().is_some_and(|code| expected.contains(&code));
        ensure!(is_expected, "twill {:?}: {status}", call.arguments);
        Ok(elapsed)
    }

    fn measure(&self, rounds: usize, adds: usize, figures: &mut Figures) -> Result<()> {
        crate::write(Path::new("/proc/sys/net/ipv4/ip_forward"), "1")?;
        for command in COMMANDS {
            let call = self.command(command);
            for _ in 0..rounds {
                figures.add_time(
                    (command, self.backend, LEASES),
                    self.run(&call, NOTHING_WRONG)?,
                );
            }
            let peak = memory::peak(&call, false)?;
            figures.add_memory((command, self.backend, LEASES), peak);
        }
        // In parts that take turns, so that what else the machine does concerns all.
        for part in 0..10 {
            self.add(ADD, part, adds / 10, figures)?;
            for (command, operation) in BESIDE {
                self.beside(&self.command(command), || {
                    self.add(operation, part, adds / 10, figures)
                })?;
            }
        }
        Ok(())
    }

    /// Does something while a command is repeated.
    fn beside(&self, command: &ProgramCall, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let repeated = scope.spawn(|| -> Result<()> {
                while !is_over.load(Ordering::Relaxed) {
                    self.run(command, PERHAPS_DEAD)?;
                }
                Ok(())
            });
            let done = work();
            is_over.store(true, Ordering::Relaxed);
            let repeated = repeated.join();
            done?;
            repeated.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn add(
        &self,
        operation: &'static str,
        part: usize,
        rounds: usize,
        figures: &mut Figures,
    ) -> Result<()> {
        let host_local = self.plugins.join("host-local");
        for round in 0..rounds {
            let id = container_id(operation, part * rounds + round);
            let call = |command| ProgramCall::plugin(&host_local, command, &id, &self.conf);
            let elapsed = call("ADD").run()?.elapsed;
            figures.add_time((operation, self.backend, LEASES), elapsed);
            call("DEL").run()?;
        }
        Ok(())
    }
}
