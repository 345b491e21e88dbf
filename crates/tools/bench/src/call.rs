//! One call of a plugin, as a container runtime makes it, with a clock at both ends.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The room of a pipe, in bytes.
const PIPE: usize = 64 << 10;

/// A program, its arguments, its whole environment and its stdin.
#[derive(Clone, Debug)]
pub(crate) struct ProgramCall {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) stdin: String,
    /// Whether it prints a result with an address; otherwise it prints nothing.
    pub(crate) answers: bool,
}

/// A call that succeeded.
#[derive(Debug)]
pub(crate) struct Timed {
    /// From just before the start until the process was waited for.
    pub(crate) elapsed: Duration,
    pub(crate) stdout: Vec<u8>,
}

impl ProgramCall {
    /// A call without arguments, environment and input, which prints nothing.
    pub(crate) fn bare(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: String::new(),
            answers: false,
        }
    }

    /// A call with all that a runtime passes to a plugin, for `eth0` of a container.
    pub(crate) fn plugin(program: &Path, command: &str, container: &str, conf: &Value) -> Self {
        let dir = program.parent().unwrap_or(Path::new("/"));
        let environment = [
            ("CNI_COMMAND", command.to_owned()),
            ("CNI_CONTAINERID", container.to_owned()),
            ("CNI_IFNAME", "eth0".to_owned()),
            ("CNI_NETNS", format!("/run/netns/{container}")),
            ("CNI_PATH", dir.display().to_string()),
        ];
        Self {
            environment: environment.into(),
            stdin: conf.to_string(),
            answers: command == "ADD",
            ..Self::bare(program)
        }
    }

    /// The same call with another value for a variable.
    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.retain(|(name, _)| *name != variable);
        self.environment.push((variable, value.into()));
        self
    }

    /// The same call, of a program that prints nothing if `silent`.
    pub(crate) fn silent_if(self, silent: bool) -> Self {
        Self {
            answers: self.answers && !silent,
            ..self
        }
    }

    /// The call for another program that may start this one, whose arguments come first.
    pub(crate) fn command(&self, launcher: Option<(&str, &[&str])>) -> Command {
        let mut command = match launcher {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().cloned());
        command
    }

    /// The call's input: a pipe, as from a runtime, or a file if a pipe has no room for it.
    pub(crate) fn input(&self) -> Result<Stdio> {
        if self.stdin.len() > PIPE {
            let mut file = tempfile::tempfile()?;
            file.write_all(self.stdin.as_bytes())?;
            file.rewind()?;
            return Ok(file.into());
        }
        let (input, mut fill) = pipe()?;
        fill.write_all(self.stdin.as_bytes())?;
        Ok(input.into())
    }

    /// Runs it to its end. A failure, or another answer than expected, is an error.
    pub(crate) fn run(&self) -> Result<Timed> {
        let mut command = self.command(None);
        let (mut output, stdout) = pipe()?;
        let stderr = stdout.try_clone()?;
        command.stdin(self.input()?).stdout(stdout).stderr(stderr);

        let start = Instant::now();
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot start {self}"))?;
        let status = child.wait()?;
        let elapsed = start.elapsed();

        // It holds the pipe's other end, which would never be at its end.
        drop(command);
        let mut stdout = Vec::new();
        output.read_to_end(&mut stdout)?;
        self.succeeded(status, &stdout)?;
        let result: Option<Value> = serde_json::from_slice(&stdout).ok();
        let has_address = result.is_some_and(|it| it.pointer("/ips/0/address").is_some());
        ensure!(
            if self.answers {
                has_address
            } else {
                stdout.is_empty()
            },
            "{self}: unexpected answer: {}",
            String::from_utf8_lossy(&stdout)
        );
        Ok(Timed { elapsed, stdout })
    }

    /// An error unless the call succeeded.
    pub(crate) fn succeeded(&self, status: ExitStatus, output: &[u8]) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(output);
        let words: Vec<&str> = text.split_whitespace().collect();
        bail!("{self}: {status}: {}", words.join(" "));
    }
}

/// The program, and the command if it is a plugin.
impl std::fmt::Display for ProgramCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_command = |(name, _): &&(_, _)| *name == "CNI_COMMAND";
        let command = self.environment.iter().find(is_command);
        write!(
            f,
            "{} {}",
            self.program.display(),
            command.map_or("", |(_, value)| value)
        )
    }
}

/// A container ID as containerd makes it: 64 random digits, but the same in each run.
pub(crate) fn container_id(kind: &str, number: usize) -> String {
    let part = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (kind, number, part).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> ProgramCall {
        ProgramCall {
            environment: vec![("CNI_COMMAND", "ADD".to_owned())],
            stdin: text.to_owned(),
            ..ProgramCall::bare(Path::new("/bin/sh"))
        }
    }

    #[test]
    fn a_call_is_timed_from_start_to_end() {
        let timed = script("sleep 0.05").run().unwrap();
        assert!(timed.elapsed >= Duration::from_millis(50));
    }

    #[test]
    fn an_answer_is_what_was_expected() {
        let printing = |printed: &str, answers| {
            let call = ProgramCall {
                answers,
                ..script(&format!("echo '{printed}'"))
            };
            call.run().map(drop).map_err(|error| error.to_string())
        };
        let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/8"}]}"#;
        assert_eq!(printing(result, true), Ok(()));
        let error = "/bin/sh ADD: unexpected answer: {}\n".to_owned();
        assert_eq!(printing("{}", true), Err(error));
        assert!(printing(result, false).is_err());
        let error = script("echo '{\n\"code\": 7}'; exit 1").run().unwrap_err();
        assert_eq!(
            error.to_string(),
            "/bin/sh ADD: exit status: 1: { \"code\": 7}"
        );
    }

    #[test]
    fn a_variable_has_one_value() {
        let call = script("").with("CNI_COMMAND", "DEL");
        assert_eq!(call.environment, [("CNI_COMMAND", "DEL".to_owned())]);
    }

    #[test]
    fn containers_have_ids_of_their_own() {
        assert_eq!(container_id("a", 7), container_id("a", 7));
        assert_ne!(container_id("a", 7), container_id("b", 7));
        assert_eq!(container_id("a", 8).len(), 64);
    }
}
