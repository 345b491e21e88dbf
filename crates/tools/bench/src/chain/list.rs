//! A list of two plugins: flannel with what is behind it, and portmap.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::FLOOR;
use super::entry::{Entry, NETWORK};
use crate::call::ProgramCall;
use crate::contest::Entrant;

const NO_PORT: [&str; 2] = ["ADD of a list, no port", "DEL of a list, no port"];
const TWO_PORTS: [&str; 2] = ["ADD of a list, two ports", "DEL of a list, two ports"];

/// The operations of a round, with the floor's first, which has no ports.
pub(super) const OPERATIONS: [&str; 4] = [NO_PORT[0], NO_PORT[1], TWO_PORTS[0], TWO_PORTS[1]];

/// A contender with a second plugin in its list.
pub(super) struct List<'a>(pub(super) &'a Entry);

impl List<'_> {
    /// The call of portmap for a round's container, after flannel's ADD.
    fn portmap(&self, command: &str, operation: &str, round: usize) -> Result<ProgramCall> {
        let plugins = self
            .0
            .plugins
            .as_ref()
            .context("the floor has no plugins")?;
        let mapping =
            |port| json!({ "hostPort": 8000 + port, "containerPort": port, "protocol": "tcp" });
        let ports = if TWO_PORTS.contains(&operation) {
            80..82
        } else {
            80..80
        };
        let conf = json!({
            "cniVersion": "1.0.0",
            "name": NETWORK,
            "type": "portmap",
            "capabilities": { "portMappings": true },
            "runtimeConfig": { "portMappings": ports.map(mapping).collect::<Vec<_>>() },
            "prevResult": self.0.last_result(round).context("there is no result")?,
        });
        let call = ProgramCall {
            program: plugins.delegates.join("portmap"),
            stdin: conf.to_string(),
            answers: command == "ADD",
            ..self.0.call("ADD", round)
        };
        // Go's finds iptables there.
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        Ok(call.with("CNI_COMMAND", command).with("PATH", path))
    }

    /// Calls one plugin after another, in the order of the command, and returns the time.
    fn run(&self, operation: &'static str, round: usize) -> Result<Duration> {
        let command = if operation.starts_with("ADD") {
            "ADD"
        } else {
            "DEL"
        };
        let flannel = || {
            Ok(self
                .0
                .batch(command, round)?
                .calls
                .iter()
                .map(|call| call.elapsed)
                .sum())
        };
        let portmap = || {
            if self.0.contender == FLOOR {
                return Ok(Duration::ZERO);
            }
            let call = self.portmap(command, operation, round)?;
            Ok(self.0.node.enter(|| call.run())?.elapsed)
        };
        let spent: [Result<Duration>; 2] = match command {
            "ADD" => [flannel(), portmap()],
            _ => [portmap(), flannel()],
        };
        spent.into_iter().sum()
    }
}

impl Entrant for List<'_> {
    fn contender(&self) -> &'static str {
        self.0.contender
    }

    fn size(&self) -> u32 {
        self.0.size()
    }

    fn call(&self, operation: &'static str, round: usize) -> ProgramCall {
        self.0.call(operation, round)
    }

    fn measure(
        &self,
        operation: &'static str,
        round: usize,
    ) -> Result<Vec<(&'static str, Duration)>> {
        Ok(vec![(operation, self.run(operation, round)?)])
    }

    fn check(&self) -> Result<()> {
        self.0.check()
    }
}
