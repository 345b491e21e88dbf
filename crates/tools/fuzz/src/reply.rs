//! Calls of a plugin in this process, and what must be true of any reply.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context, Result, ensure};
use cni_plugin::{Environment, Plugin, Reply, Request, dispatch};
use cni_types::json::{self, Object};
use cni_types::{AddResult, Version};
use serde_json::{Map, Value};

/// The codes that docs/errors.md lists, but for that of a bug: those of the specification that are
/// in use, and the plugins' own.
const CODES: [u64; 15] = [1, 2, 4, 5, 6, 7, 8, 11, 50, 100, 101, 110, 111, 112, 120];

pub(crate) const COMMANDS: [&str; 5] = ["ADD", "CHECK", "DEL", "GC", "STATUS"];

/// A call of a plugin that finds no other one.
#[derive(Clone, Copy)]
pub(crate) struct LoneCall<'a> {
    pub(crate) plugin: &'a dyn Plugin,
    pub(crate) command: &'a str,
    pub(crate) container: &'a str,
    /// `CNI_ARGS`, which need not be text.
    pub(crate) args: &'a [u8],
    pub(crate) stdin: &'a [u8],
}

/// A reply that is as it must be.
pub(crate) enum Checked {
    /// ADD has returned a result.
    Added(AddResult),
    Done,
    Failed,
}

impl<'a> LoneCall<'a> {
    /// A call for the container `c` without `CNI_ARGS`.
    pub(crate) fn new(plugin: &'a dyn Plugin, command: &'a str, stdin: &'a [u8]) -> Self {
        Self {
            plugin,
            command,
            container: "c",
            args: b"",
            stdin,
        }
    }

    /// Calls the plugin; the error says what is wrong with the reply.
    pub(crate) fn run(self) -> Result<Checked> {
        let variables = [
            ("CNI_COMMAND", OsStr::new(self.command)),
            ("CNI_CONTAINERID", OsStr::new(self.container)),
            ("CNI_IFNAME", OsStr::new("eth0")),
            ("CNI_NETNS", OsStr::new("/nowhere")),
            ("CNI_PATH", OsStr::new("/plugins")),
            ("CNI_ARGS", OsStr::from_bytes(self.args)),
        ];
        let request = Request {
            environment: variables.into_iter().collect::<Environment>(),
            stdin: self.stdin.to_vec(),
        };
        let reply = dispatch(self.plugin, &request);
        let call = || format!("{} of {}: {reply:?}", self.command, self.plugin.name());
        self.check(&reply).with_context(call)
    }

    /// As [`Self::run`]; an error also if the call fails.
    pub(crate) fn succeeds(self) -> Result<Option<AddResult>> {
        match self.run()? {
            Checked::Added(result) => Ok(Some(result)),
            Checked::Done => Ok(None),
            Checked::Failed => anyhow::bail!("{} fails", self.command),
        }
    }

    fn check(self, reply: &Reply) -> Result<Checked> {
        let printed = &reply.stdout;
        ensure!(reply.stderr.is_empty(), "stderr is not empty");
        let enough = 20_000 + 10 * (self.stdin.len() + self.args.len());
        ensure!(printed.len() < enough, "it prints more than anyone reads");
        if reply.failed {
            ensure!(
                printed.matches('\n').count() == 1,
                "the error has several lines"
            );
            ensure_is_line(printed)?;
            let error: Map<String, Value> =
                serde_json::from_str(printed).context("the error is no JSON")?;
            let code = error.get("code").and_then(Value::as_u64);
            let code = code.context("there is no code")?;
            ensure!(CODES.contains(&code), "the code is none of docs/errors.md");
            let message = error.get("msg").and_then(Value::as_str);
            ensure!(
                message.is_some_and(|text| !text.is_empty()),
                "there is no message"
            );
            return Ok(Checked::Failed);
        }
        if self.command != "ADD" {
            ensure!(printed.is_empty(), "stdout is not empty");
            return Ok(Checked::Done);
        }
        // A chained plugin passes the values of prevResult on as they are: with their lines, and
        // with escapes of half a surrogate pair, which no string of Rust can hold.
        ensure_is_line(printed)?;
        let result: Object = json::from_str(printed).context("the result is no JSON object")?;
        let version = result.decode::<String>("cniVersion").ok().flatten();
        let is_known = version.is_some_and(|version| version.parse::<Version>().is_ok());
        ensure!(is_known, "the result has no version that is known");
        let result = AddResult::decode(printed, Version::LATEST);
        Ok(Checked::Added(result.context("the result cannot be read")?))
    }
}

/// Ensures that a reply ends as an object and a new line.
fn ensure_is_line(printed: &str) -> Result<()> {
    let is_line = printed.ends_with("}\n");
    ensure!(is_line, "the reply is no object and a new line");
    Ok(())
}
