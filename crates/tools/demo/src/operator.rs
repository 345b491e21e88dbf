//! What `twill` prints about the node.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::Node;

use crate::attached::Attached;

/// `twill`, with the plugins of its directory.
pub(crate) struct Operator<'a> {
    dir: &'a Path,
}

impl<'a> Operator<'a> {
    pub(crate) fn new(dir: &'a Path) -> Self {
        Self { dir }
    }

    /// `twill leases`: these containers have addresses, and live.
    ///
    /// # Panics
    /// If it lists other containers.
    pub(crate) fn leases(
        &self,
        node: &Node,
        containers: &[&Attached],
    ) -> Result<((), Vec<String>)> {
        let lines = self.run(node, "leases")?;
        let is_alive = |it: &&Attached| {
            let pod = format!("demo/{}", it.container.id);
            let words = [it.ip(), pod.as_str(), "alive"];
            lines
                .iter()
                .any(|line| words.iter().all(|word| line.contains(word)))
        };
        assert!(containers.iter().all(is_alive), "{lines:#?}");
        assert_eq!(
            lines.len().saturating_sub(1),
            containers.len(),
            "{lines:#?}"
        );
        Ok(((), lines))
    }

    /// `twill status`: nothing is wrong.
    pub(crate) fn status(&self, node: &Node) -> Result<((), Vec<String>)> {
        let lines = self.run(node, "status")?;
        Ok(((), lines))
    }

    fn run(&self, node: &Node, command: &str) -> Result<Vec<String>> {
        let program = self.dir.join("twill");
        let output = node.enter(|| {
            let mut twill = Command::new(&program);
            twill
                .arg(command)
                .env("CNI_PATH", self.dir)
                .env_remove("NETCONFPATH");
            twill.output()
        });
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "twill {command}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text.lines().map(str::to_owned).collect())
    }
}
