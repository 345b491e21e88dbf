//! flannel: what it costs itself, by the number of other containers whose configurations it keeps.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::NetNs;
use xtask::platform::Platform;

use crate::Setting;
use crate::call::{ProgramCall, container_id};
use crate::contest::{Contest, Entrant, Look};
use crate::figures::Figures;
use crate::programs;
use crate::report::{Report, Target};
use crate::state_dir::held;

const EMPTY: &str = "empty program";
const DELEGATE: &str = "delegate alone";
const FLANNEL: &str = "flannel";

/// An attachment is added, checked and deleted in this order.
const OPERATIONS: &[&str] = &["ADD", "CHECK", "DEL", "STATUS"];

/// All sizes take turns: they differ by less than two minutes of a machine do.
const SIZES: [u32; 2] = [0, 10_000];

/// The type of a delegate that does nothing but answer.
const IDLE: &str = "idle";
const RESULT: &str = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.2/24"}]}"#;

/// A lease, as flanneld writes it.
const SUBNET_ENV: &str = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
                          FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

pub(crate) fn measure(setting: &Setting) -> Result<Report> {
    let platform = Platform::of_plugins()?;
    let idle = programs::build(&setting.dir, IDLE, &idle_source(), &platform)?;
    let flannel = setting.plugins.join("flannel");
    let subnet_file = setting.state.path().join("subnet.env");
    crate::write(&subnet_file, SUBNET_ENV)?;
    // Nothing happens in it, but flannel refuses its own namespace.
    let sandbox = NetNs::new()?;
    let contenders = [
        (EMPTY, &setting.empty),
        (DELEGATE, &idle),
        (FLANNEL, &flannel),
    ];
    let mut entries = Vec::new();
    for size in SIZES {
        for (contender, program) in contenders {
            let entry = Entry {
                contender,
                program: program.clone(),
                size,
                subnet_file: subnet_file.clone(),
                delegates: setting.dir.display().to_string(),
                netns: sandbox.path().display().to_string(),
                data_dir: setting.state.dir(&format!("{contender}-{size}")),
            };
            if contender == FLANNEL {
                entry.keep_others()?;
            }
            entries.push(entry);
        }
    }
    let (rounds, seconds) = if setting.quick { (200, 5) } else { (1_500, 30) };
    let contest = Contest {
        round: OPERATIONS,
        rounds,
        budget: Duration::from_secs(seconds),
        looks: &setting.looks,
        look_rounds: 3,
    };
    let mut figures = Figures::default();
    contest.run("all sizes", &entries, &mut figures)?;
    let mut targets = Vec::new();
    for operation in ["ADD", "DEL"] {
        for size in SIZES {
            let [own, empty] = [FLANNEL, EMPTY].map(|contender| (operation, contender, size));
            targets.push(Target::time(&figures, own, empty, 2.5));
        }
    }
    let peak = figures.peak(FLANNEL);
    targets.push(Target::amount("peak memory of any call", peak, 4 * 1024));
    Ok(Report {
        title: "flannel with a delegate that does nothing",
        size: "kept",
        remarks: "flannel starts the delegate and waits for it; memory and system calls are those \
                  of flannel alone.\nKept are the configurations of other containers.\n",
        contenders: &[EMPTY, DELEGATE, FLANNEL],
        operations: OPERATIONS,
        plotted: &["ADD", "DEL"],
        compared: &[(FLANNEL, EMPTY), (FLANNEL, DELEGATE)],
        targets,
        figures,
    })
}

fn idle_source() -> String {
    format!(
        "fn main() {{\n    if std::env::var_os(\"CNI_COMMAND\").is_some_and(|it| it == \"ADD\") \
         {{\n        println!(\"{{}}\", {RESULT:?});\n    }}\n}}\n"
    )
}

/// A contender with a data directory, in which only flannel keeps anything.
struct Entry {
    contender: &'static str,
    program: PathBuf,
    /// How many other containers' configurations are kept.
    size: u32,
    subnet_file: PathBuf,
    delegates: String,
    netns: String,
    data_dir: PathBuf,
}

impl Entry {
    /// Keeps what flannel keeps for a container once for each of many others.
    fn keep_others(&self) -> Result<()> {
        self.call("ADD", 0).run()?;
        let kept = self.data_dir.join(container_id("caller", 0));
        let contents =
            fs::read(&kept).with_context(|| format!("cannot read {}", kept.display()))?;
        self.call("DEL", 0).run()?;
        for number in 0..self.size {
            let path = self.data_dir.join(container_id("holder", number as usize));
            fs::write(&path, &contents)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        // Else the kernel writes it all out while calls are measured.
        File::open(&self.data_dir)?.sync_all()?;
        Ok(())
    }
}

/// The network configuration of a command, with the idle delegate instead of `bridge`.
fn netconf(command: &str, subnet_file: &Path, data_dir: &Path) -> Value {
    let netconf = json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "type": "flannel",
        "subnetFile": subnet_file,
        "dataDir": data_dir,
        "delegate": { "type": IDLE, "hairpinMode": true, "isDefaultGateway": true },
    });
    let more = match command {
        "CHECK" | "DEL" => {
            json!({ "prevResult": serde_json::from_str::<Value>(RESULT).unwrap_or_default() })
        }
        // The first version that has it.
        "STATUS" => json!({ "cniVersion": "1.1.0" }),
        _ => json!({}),
    };
    testkit::conf::with(netconf, more)
}

impl Entrant for Entry {
    fn contender(&self) -> &'static str {
        self.contender
    }

    fn size(&self) -> u32 {
        self.size
    }

    fn call(&self, operation: &'static str, round: usize) -> ProgramCall {
        let netconf = netconf(operation, &self.subnet_file, &self.data_dir);
        let call = ProgramCall::plugin(
            &self.program,
            operation,
            &container_id("caller", round),
            &netconf,
        )
        .with("CNI_NETNS", &self.netns)
        .with("CNI_PATH", &self.delegates);
        ProgramCall {
            answers: call.answers && self.contender != EMPTY,
            ..call
        }
    }

    /// An error unless as many configurations are kept as there should be.
    fn check(&self) -> Result<()> {
        let count = held(&self.data_dir).len();
        let expected = if self.contender == FLANNEL {
            self.size as usize
        } else {
            0
        };
        ensure!(
            count == expected,
            "{count} configurations are kept instead of {expected}"
        );
        Ok(())
    }

    fn look(&self, look: Look, operation: &'static str, round: usize) -> Result<u64> {
        look.at(&self.call(operation, round), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_delegate_answers_to_add_alone() {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform::of_machine().unwrap();
        let idle = programs::build(dir.path(), IDLE, &idle_source(), &platform).unwrap();
        for command in ["ADD", "DEL"] {
            ProgramCall::plugin(&idle, command, "c", &json!({}))
                .run()
                .unwrap();
        }
    }

    #[test]
    fn a_runtime_passes_the_result_back() {
        let of = |command| netconf(command, Path::new("/s"), Path::new("/d"));
        assert_eq!(of("ADD").get("prevResult"), None);
        assert_eq!(
            of("DEL")["prevResult"]["ips"][0]["address"],
            "10.244.1.2/24"
        );
        assert_eq!(of("STATUS")["cniVersion"], "1.1.0");
    }
}
