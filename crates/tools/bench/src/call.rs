//! One call of a plugin, as a container runtime makes it, with a clock at both ends.

use std::io::{Read, Write, pipe};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A program, its arguments, its whole environment and its stdin, which must fit into a pipe (64 KiB).
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) stdin: String,
}

/// A call that succeeded.
#[derive(Debug)]
pub(super) struct Timed {
    /// From just before the start until the process was waited for.
    pub(super) elapsed: Duration,
    pub(super) stdout: Vec<u8>,
}

/// What a call is to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    /// A result with an address.
    Address,
}

impl Call {
    /// A call with nothing at all.
    pub(super) fn bare(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: String::new(),
        }
    }

    /// A call with all that a runtime passes to a plugin, for the interface `eth0` of a container.
    pub(super) fn plugin(program: &Path, command: &str, container: &str, conf: &Value) -> Self {
        let folder = program.parent().unwrap_or(Path::new("/"));
        let environment = [
            ("CNI_COMMAND", command.to_owned()),
            ("CNI_CONTAINERID", container.to_owned()),
            ("CNI_IFNAME", "eth0".to_owned()),
            ("CNI_NETNS", format!("/run/netns/{container}")),
            ("CNI_PATH", folder.display().to_string()),
        ];
        Self {
            environment: environment.into(),
            stdin: conf.to_string(),
            ..Self::bare(program)
        }
    }

    /// The same call with another value for a variable.
    pub(super) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.retain(|(name, _)| *name != variable);
        self.environment.push((variable, value.into()));
        self
    }

    /// Runs it to its end; a failure, or another answer than this, is an error.
    pub(super) fn run_for(&self, answer: Answer) -> Result<Timed> {
        let timed = self.run()?;
        let is_right = match answer {
            Answer::Nothing => timed.stdout.is_empty(),
            Answer::Address => address_of(&timed.stdout).is_some(),
        };
        let text = String::from_utf8_lossy(&timed.stdout);
        ensure!(is_right, "{}: unexpected answer: {text}", self.title());
        Ok(timed)
    }

    /// Runs it to its end; a failure is an error that tells what the plugin said.
    pub(super) fn run(&self) -> Result<Timed> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().cloned());
        let (input, mut fill) = pipe()?;
        fill.write_all(self.stdin.as_bytes())?;
        drop(fill);
        let (mut output, stdout) = pipe()?;
        let stderr = stdout.try_clone()?;
        command.stdin(input).stdout(stdout).stderr(stderr);

        let start = Instant::now();
        let child = command.spawn();
        let mut child =
            child.with_context(|| format!("cannot start {}", self.program.display()))?;
        let status = child.wait()?;
        let elapsed = start.elapsed();

        // It holds the pipe's other end, which would never be at its end.
        drop(command);
        let mut stdout = Vec::new();
        output.read_to_end(&mut stdout)?;
        self.succeeded(status, &stdout)?;
        Ok(Timed { elapsed, stdout })
    }

    /// An error unless the call ended well.
    pub(super) fn succeeded(&self, status: ExitStatus, output: &[u8]) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        bail!("{}: {status}: {}", self.title(), told(output));
    }

    fn title(&self) -> String {
        let is_command = |(name, _): &&(_, _)| *name == "CNI_COMMAND";
        let command = self.environment.iter().find(is_command);
        let command = command.map_or("", |(_, value)| value);
        format!("{} {command}", self.program.display())
    }
}

/// The address in an ADD's result.
fn address_of(result: &[u8]) -> Option<IpAddr> {
    let result: Value = serde_json::from_slice(result).ok()?;
    let address = result.pointer("/ips/0/address")?.as_str()?;
    address.split('/').next()?.parse().ok()
}

/// The message of a plugin's error object, or else all that it printed, on one line.
fn told(output: &[u8]) -> String {
    let error = serde_json::from_slice::<Value>(output).unwrap_or_default();
    let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let text = match (part("msg"), part("details")) {
        ("", "") => String::from_utf8_lossy(output).into_owned(),
        (msg, "") => msg.to_owned(),
        (msg, details) => format!("{msg}; {details}"),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Call {
        Call {
            environment: vec![("CNI_COMMAND", "ADD".to_owned())],
            stdin: text.to_owned(),
            ..Call::bare(Path::new("/bin/sh"))
        }
    }

    #[test]
    fn a_call_is_timed_from_start_to_end() {
        let timed = script("sleep 0.05; echo $CNI_COMMAND").run().unwrap();
        assert!(timed.elapsed >= Duration::from_millis(50));
        assert_eq!(timed.stdout, b"ADD\n");
    }

    #[test]
    fn an_answer_without_an_address_is_none() {
        let printing = |printed: &str, answer| script(&format!("echo '{printed}'")).run_for(answer);
        let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/8"}]}"#;
        assert!(printing(result, Answer::Address).is_ok());
        let error = printing("{}", Answer::Address).unwrap_err().to_string();
        assert_eq!(error, "/bin/sh ADD: unexpected answer: {}\n");
        assert!(printing(result, Answer::Nothing).is_err());
        assert!(script("exit 0").run_for(Answer::Nothing).is_ok());
    }

    #[test]
    fn a_variable_has_one_value() {
        let call = script("echo $CNI_COMMAND").with("CNI_COMMAND", "DEL");
        assert_eq!(call.environment, [("CNI_COMMAND", "DEL".to_owned())]);
        assert_eq!(call.run().unwrap().stdout, b"DEL\n");
    }

    #[test]
    fn a_plugins_error_is_told_in_its_words() {
        let failing = |printed: &str| {
            let call = script(&format!("cat << END\n{printed}\nEND\nexit 1"));
            call.run().unwrap_err().to_string()
        };
        let error = failing("{\n  \"code\": 7,\n  \"msg\": \"bad\",\n  \"details\": \"worse\"\n}");
        assert_eq!(error, "/bin/sh ADD: exit status: 1: bad; worse");
        assert_eq!(
            failing("two\nlines"),
            "/bin/sh ADD: exit status: 1: two lines"
        );
    }
}
