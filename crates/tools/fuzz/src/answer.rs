//! What any answer of a plugin must be like.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use cni_plugin::{Environment, Plugin, Reply, Request, dispatch};
use cni_types::{AddResult, Version};
use serde_json::{Map, Value};

/// The codes that the README lists: those of the specification that are in use, and the plugins'
/// own.
const CODES: [u64; 15] = [1, 2, 4, 5, 6, 7, 8, 11, 50, 100, 101, 110, 111, 112, 120];

pub(crate) const COMMANDS: [&str; 5] = ["ADD", "CHECK", "DEL", "GC", "STATUS"];

/// A call of a plugin that finds no other one.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) plugin: &'a dyn Plugin,
    pub(crate) command: &'a str,
    pub(crate) container: &'a str,
    /// `CNI_ARGS`, which need not be text.
    pub(crate) args: &'a [u8],
    pub(crate) stdin: &'a [u8],
}

/// An answer that is as it must be.
pub(crate) struct Answer {
    /// The answer without numbers and names, to tell it from answers to quite another input.
    pub(crate) kind: String,
    /// What ADD has given.
    pub(crate) result: Option<AddResult>,
    pub(crate) failed: bool,
}

impl Call<'_> {
    /// Calls the plugin; the error says what is wrong with the answer.
    pub(crate) fn answer(self) -> Result<Answer, String> {
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
        self.judge(&reply).map_err(|problem| {
            let name = self.plugin.name();
            format!("{} of {name}: {problem}: {reply:?}", self.command)
        })
    }

    fn judge(self, reply: &Reply) -> Result<Answer, String> {
        let said = &reply.stdout;
        ensure(reply.stderr.is_empty(), "it says something on stderr")?;
        let enough = 20_000 + 10 * (self.stdin.len() + self.args.len());
        ensure(said.len() < enough, "it says more than anyone reads")?;
        if reply.failed {
            return self.judge_failure(&object(said)?);
        }
        if self.command != "ADD" {
            ensure(
                said.is_empty(),
                "it says something where nothing is to be said",
            )?;
            return Ok(self.answered("done", None));
        }
        let result = object(said)?;
        let version = result.get("cniVersion").and_then(Value::as_str);
        ensure(
            version.is_some_and(|version| version.parse::<Version>().is_ok()),
            "the result has no version that is known",
        )?;
        let result = AddResult::decode(said, Version::LATEST)
            .map_err(|error| format!("the result cannot be read: {error}"))?;
        let kind = format!(
            "{} {} {} {}",
            version.unwrap_or_default(),
            result.ips.len(),
            result.routes.len().min(3),
            result.dns.is_empty()
        );
        Ok(self.answered(&kind, Some(result)))
    }

    fn judge_failure(self, error: &Map<String, Value>) -> Result<Answer, String> {
        let code = error.get("code").and_then(Value::as_u64);
        let code = code.ok_or("there is no code")?;
        ensure(CODES.contains(&code), "no one knows the code")?;
        let message = error.get("msg").and_then(Value::as_str).unwrap_or_default();
        ensure(!message.is_empty(), "there is no message")?;
        let answer = self.answered(&format!("{code} {}", outline(message)), None);
        Ok(Answer {
            failed: true,
            ..answer
        })
    }

    fn answered(self, kind: &str, result: Option<AddResult>) -> Answer {
        Answer {
            kind: format!("{} {kind}", self.command),
            result,
            failed: false,
        }
    }
}

/// The one line of JSON that an answer is.
fn object(said: &str) -> Result<Map<String, Value>, String> {
    ensure(
        said.ends_with("}\n"),
        "the answer is no object and a new line",
    )?;
    ensure(
        said.matches('\n').count() == 1,
        "the answer has several lines",
    )?;
    serde_json::from_str(said).map_err(|error| format!("the answer is no JSON: {error}"))
}

/// A message's words, without what is quoted and without names, addresses and numbers.
fn outline(message: &str) -> String {
    let words = message
        .split('"')
        .step_by(2)
        .flat_map(str::split_whitespace);
    let words = words.map(|word| word.trim_matches([',', ';', ':', '(', ')', '.']));
    let plain = words.filter(|word| {
        word.bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    });
    plain.take(12).collect::<Vec<_>>().join(" ")
}

pub(crate) fn ensure(fulfilled: bool, problem: &str) -> Result<(), String> {
    if fulfilled {
        Ok(())
    } else {
        Err(problem.into())
    }
}
