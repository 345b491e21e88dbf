//! GC of flannel, bridge and host-local on a node with many containers, a few of which are dead.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::Node;

use super::TWILL;
use crate::Setting;
use crate::call::{ProgramCall, container_id};
use crate::figures::Figures;
use crate::state_dir::held;

/// The number of containers that are alive.
const ALIVE: usize = 10_000;

/// What is measured: a name, the backend and the number of dead containers.
type Case = (&'static str, &'static str, usize);

pub(super) const OF_TEN: &str = "GC of 10 dead of 10,000";

pub(super) const CASES: [Case; 4] = [
    (OF_TEN, "disk", 10),
    ("GC of 100 dead of 10,000", "disk", 100),
    ("GC of 10 dead of 10,000, in the database", "db", 10),
    ("GC of 100 dead of 10,000, in the database", "db", 100),
];

const NETWORK: &str = "cbr0";
const SUBNET: &str = "10.244.0.0/16";
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);
const SUBNET_ENV: &str = "FLANNEL_NETWORK=10.0.0.0/8\nFLANNEL_SUBNET=10.244.0.1/16\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/// Measures GC with each backend.
pub(super) fn measure(setting: &Setting, rounds: usize, figures: &mut Figures) -> Result<()> {
    let node = Node::new()?;
    for backend in ["disk", "db"] {
        let network = Network::new(setting, backend)?;
        node.enter(|| network.prepare())?;
        let cases = CASES.iter().filter(|(_, its, _)| *its == backend);
        for (operation, _, dead) in cases {
            for round in 0..rounds {
                (0..*dead).try_for_each(|number| network.add_dead(round * dead + number))?;
                let elapsed = node.enter(|| network.gc().run())?.elapsed;
                figures.add_time((operation, TWILL, 1), elapsed);
                network.check()?;
            }
        }
    }
    Ok(())
}

/// A network whose containers have kept configurations and addresses, but no links.
struct Network {
    plugins: PathBuf,
    /// Where flannel keeps configurations.
    kept: PathBuf,
    /// host-local's `dataDir`.
    addresses: PathBuf,
    backend: &'static str,
    /// The configuration of a GC.
    conf: Value,
}

impl Network {
    fn new(setting: &Setting, backend: &'static str) -> Result<Self> {
        let dir = |name: &str| setting.state.dir(&format!("gc-{backend}-{name}"));
        let (kept, addresses, subnet_file) = (dir("flannel"), dir("networks"), dir("subnet.env"));
        crate::write(&subnet_file, SUBNET_ENV)?;
        let alive = (0..ALIVE).map(
            |number| json!({ "containerID": container_id("alive", number), "ifname": "eth0" }),
        );
        let alive: Vec<Value> = alive.collect();
        let conf = json!({
            "cniVersion": "1.1.0",
            "name": NETWORK,
            "type": "flannel",
            "subnetFile": subnet_file,
            "dataDir": kept,
            "ipam": { "dataDir": addresses, "backend": backend },
            "cni.dev/valid-attachments": alive,
            "cni.dev/attachments": alive,
        });
        Ok(Self {
            plugins: setting.plugins.clone(),
            kept,
            addresses,
            backend,
            conf,
        })
    }

    /// Writes what the ADDs of the living have left, and makes the first GC, which reads all of it.
    fn prepare(&self) -> Result<()> {
        let leases = self.addresses.join(NETWORK);
        for dir in [&self.kept, &leases] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        for number in 0..ALIVE {
            let id = container_id("alive", number);
            self.keep(&id)?;
            let address = Ipv4Addr::from_bits(FIRST.to_bits() + number as u32);
            crate::write(&leases.join(address.to_string()), &format!("{id}\r\neth0"))?;
        }
        if self.backend == "db" {
            let mut twill = Command::new(self.plugins.join("twill"));
            twill.args(["convert", "db", NETWORK, "--data-dir"]);
            let output = twill.arg(&self.addresses).output()?;
            ensure!(output.status.success(), "cannot convert: {output:?}");
        }
        self.gc().run()?;
        self.check()
    }

    /// Keeps a container's configuration, as flannel does.
    fn keep(&self, id: &str) -> Result<()> {
        let mut conf = self.bridge_conf();
        if let Some(conf) = conf.as_object_mut() {
            conf.insert("twill/ifname".to_owned(), "eth0".into());
        }
        crate::write(&self.kept.join(id), &conf.to_string())
    }

    /// What bridge gets on ADD.
    fn bridge_conf(&self) -> Value {
        json!({
            "cniVersion": "1.1.0",
            "name": NETWORK,
            "type": "bridge",
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": self.addresses,
                "backend": self.backend,
                "ranges": [[{ "subnet": SUBNET }]],
            },
        })
    }

    /// A container that is gone without a DEL.
    fn add_dead(&self, number: usize) -> Result<()> {
        let id = container_id("dead", number);
        let program = self.plugins.join("host-local");
        ProgramCall::plugin(&program, "ADD", &id, &self.bridge_conf()).run()?;
        self.keep(&id)
    }

    fn gc(&self) -> ProgramCall {
        ProgramCall::plugin(&self.plugins.join("flannel"), "GC", "", &self.conf)
    }

    /// An error unless exactly the living are left.
    fn check(&self) -> Result<()> {
        let leases = match self.backend {
            "disk" => held(&self.addresses.join(NETWORK)).len(),
            _ => ALIVE,
        };
        let left = [held(&self.kept).len(), leases];
        ensure!(left == [ALIVE; 2], "GC leaves {left:?} of {ALIVE}");
        Ok(())
    }
}
