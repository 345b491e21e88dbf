//! `twill` on the node: the commands that a person would type there.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use testkit::Node;
use xtask::command::output;

use crate::NETWORK;
use crate::attached::Attached;

/// The program, and the node that it is run on.
pub(crate) struct Twill<'a> {
    /// The directory of the program and the plugins.
    pub(crate) dir: &'a Path,
    pub(crate) node: &'a Node,
}

impl Twill<'_> {
    /// `twill add`, as a runtime of Kubernetes would do it for a pod of that name.
    pub(crate) fn add(&self, netns: &Path, id: &str) -> Result<Vec<String>> {
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME={id}");
        self.run_for("add", netns, id, &["--args", &args])
    }

    /// `twill del`.
    pub(crate) fn del(&self, netns: &Path, id: &str) -> Result<Vec<String>> {
        self.run_for("del", netns, id, &[])
    }

    /// `twill leases`: these containers have addresses, and live, and no others.
    pub(crate) fn leases(&self, containers: &[&Attached]) -> Result<Vec<String>> {
        let lines = self.run(&["leases"])?;
        let is_alive = |it: &&Attached| {
            let words = [it.ip(), &format!("demo/{}", it.container.id), "alive"];
            lines
                .iter()
                .any(|line| words.iter().all(|word| line.contains(word)))
        };
        ensure!(
            containers.iter().all(is_alive) && lines.len().saturating_sub(1) == containers.len(),
            "twill leases: {lines:#?}"
        );
        Ok(lines)
    }

    /// `twill status`: nothing is wrong.
    pub(crate) fn status(&self) -> Result<Vec<String>> {
        self.run(&["status"])
    }

    fn run_for(&self, command: &str, netns: &Path, id: &str, more: &[&str]) -> Result<Vec<String>> {
        let netns = netns.display().to_string();
        let words = [command, NETWORK, &netns, "--container", id];
        self.run(&[&words, more].concat())
    }

    /// The lines that a command prints; an error if it fails.
    fn run(&self, words: &[&str]) -> Result<Vec<String>> {
        let mut twill = Command::new(self.dir.join("twill"));
        twill.args(words).env("CNI_PATH", self.dir);
        twill.env_remove("NETCONFPATH");
        let printed = self.node.enter(|| output(&mut twill))?;
        Ok(printed.lines().map(str::to_owned).collect())
    }
}
