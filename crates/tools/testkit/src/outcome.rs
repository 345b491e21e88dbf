//! The outcome of a plugin's call, and assertions about it.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::invocation::Invocation;

/// What came of a plugin's call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code, if the plugin ended by itself.
    pub code: Option<i32>,
    /// The signal that ended the plugin.
    pub signal: Option<i32>,
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// All of stderr.
    pub stderr: Vec<u8>,
    /// From just before the start until the plugin's exit.
    pub elapsed: Duration,
    pub(crate) call: Invocation,
}

/// The error object that a failed plugin prints (CNI specification 1.1.0, section 5, "Error").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CniFailure {
    /// The protocol version of the error.
    #[serde(rename = "cniVersion")]
    pub cni_version: Option<String>,
    /// The error code.
    pub code: u64,
    /// A short message.
    pub msg: String,
    /// A longer message; empty if there is none.
    #[serde(default)]
    pub details: String,
}

impl Outcome {
    /// The result of a call that succeeded.
    ///
    /// # Panics
    /// Unless the exit code is 0, stderr is empty and stdout is one JSON value.
    #[track_caller]
    pub fn success(&self) -> Value {
        assert!(
            self.code == Some(0) && self.stderr.is_empty(),
            "expected a success\n{self}"
        );
        self.json()
    }

    /// A success of a call that has no result.
    ///
    /// # Panics
    /// Unless the exit code is 0, and stdout and stderr are empty.
    #[track_caller]
    pub fn silent(&self) {
        let silent = self.stdout.is_empty() && self.stderr.is_empty();
        assert!(
            self.code == Some(0) && silent,
            "expected a silent success\n{self}"
        );
    }

    /// The error of a call that failed.
    ///
    /// # Panics
    /// Unless the exit code is 1 and stdout is one JSON object with `code` and `msg`, both of the
    /// right type, and no keys but these, `cniVersion` and `details`.
    #[track_caller]
    pub fn failure(&self) -> CniFailure {
        assert!(
            self.code == Some(1),
            "expected a failure with exit code 1\n{self}"
        );
        match serde_json::from_slice(&self.stdout) {
            Ok(failure) => failure,
            Err(error) => panic!("expected an error object: {error}\n{self}"),
        }
    }

    /// The error of a call that was refused, whose message has all of these texts.
    ///
    /// # Panics
    /// Unless it is a failure with this code, one line long and with an empty stderr.
    #[track_caller]
    pub fn refusal(&self, code: u64, says: &[&str]) -> CniFailure {
        let failure = self.failure();
        assert_eq!(failure.code, code, "{self}");
        for text in says {
            assert!(
                failure.msg.contains(text),
                "the message lacks {text:?}\n{self}"
            );
        }
        // go-cni would take it for a success.
        assert!(!failure.msg.contains("not found"), "{self}");
        let lines = self.stdout.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, 1, "{self}");
        assert_eq!(self.stderr_text(), "", "{self}");
        failure
    }

    /// stdout as one JSON value, whatever the exit code.
    ///
    /// # Panics
    /// If stdout is anything else.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("expected one JSON value on stdout: {error}\n{self}"),
        }
    }

    /// stderr as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}")?,
            (None, Some(signal)) => write!(f, "ended by signal {signal}")?,
            (None, None) => write!(f, "no exit code")?,
        }
        writeln!(f, " after {:?}", self.elapsed)?;
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let length = bytes.len();
            let shown = bytes.get(..65_536).unwrap_or(bytes);
            writeln!(
                f,
                "{name} ({length} bytes): {}",
                String::from_utf8_lossy(shown)
            )?;
        }
        write!(f, "{}", self.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: i32, stdout: &str, stderr: &str) -> Outcome {
        Outcome {
            code: Some(code),
            signal: None,
            stdout: stdout.into(),
            stderr: stderr.into(),
            elapsed: Duration::ZERO,
            call: Invocation::new("/bin/true", "ADD"),
        }
    }

    fn fails(check: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *std::panic::catch_unwind(check)
            .unwrap_err()
            .downcast()
            .unwrap()
    }

    #[test]
    fn a_failure_is_parsed() {
        let stdout = r#"{"cniVersion":"1.0.0","code":7,"msg":"bad","details":"worse"}"#;
        let failure = outcome(1, stdout, "noise").failure();
        assert_eq!(failure.cni_version.as_deref(), Some("1.0.0"));
        assert_eq!(
            (failure.code, &*failure.msg, &*failure.details),
            (7, "bad", "worse")
        );
    }

    #[test]
    fn anything_but_an_error_object_panics() {
        for (code, stdout) in [
            (0, r#"{"code":7,"msg":"bad"}"#),
            (1, r#"{"code":7,"msg":"bad"}{}"#),
            (1, r#"{"code":7}"#),
            (1, r#"{"code":"7","msg":"bad"}"#),
            (1, r#"{"code":7,"msg":"bad","ips":[]}"#),
            (1, "panicked"),
        ] {
            let message = fails(move || drop(outcome(code, stdout, "").failure()));
            assert!(message.contains(stdout), "{message}");
        }
    }

    #[test]
    fn a_refusal_is_one_line_with_its_code_and_texts() {
        let refused = |stdout: &'static str, stderr, code, says: &'static [&str]| {
            let outcome = outcome(1, stdout, stderr);
            move || drop(outcome.refusal(code, says))
        };
        let stdout = "{\"code\":7,\"msg\":\"mtu is -1\"}\n";
        refused(stdout, "", 7, &["mtu", "-1"])();
        fails(refused(stdout, "", 6, &["mtu"]));
        fails(refused(stdout, "", 7, &["mtu", "-2"]));
        fails(refused(stdout, "noise", 7, &[]));
        fails(refused("{\n\"code\":7,\"msg\":\"\"}\n", "", 7, &[]));
        fails(refused("{\"code\":7,\"msg\":\"not found\"}\n", "", 7, &[]));
    }

    #[test]
    fn a_success_is_quiet() {
        assert_eq!(outcome(0, "{}", "").success(), serde_json::json!({}));
        fails(|| drop(outcome(0, "{}", "noise").success()));
        fails(|| drop(outcome(1, "{}", "").success()));
        fails(|| outcome(0, "{}", "").silent());
        outcome(0, "", "").silent();
    }
}
