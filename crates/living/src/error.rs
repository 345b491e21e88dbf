//! The reasons why the living containers are unknown.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use node::Problem;

/// The reason why a source cannot report the living containers. No container may count as dead
/// then.
#[derive(Debug, thiserror::Error)]
pub enum LivingError {
    /// The program of a runtime is not installed.
    #[error("`{0}` is not in PATH")]
    NotInstalled(String),
    /// The program cannot be started.
    #[error("cannot run `{command}`")]
    Run {
        /// The program and its arguments.
        command: String,
        /// The reason.
        source: io::Error,
    },
    /// The program fails.
    #[error("`{command}` fails ({status}): {stderr}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// What it prints to standard error.
        stderr: String,
    },
    /// The program does not end.
    #[error("`{command}` does not end in {seconds} s")]
    TimedOut {
        /// The program and its arguments.
        command: String,
        /// The timeout, in seconds.
        seconds: u64,
    },
    /// The output is not JSON of the expected form.
    #[error("cannot decode the output of `{program}`")]
    Json {
        /// The program.
        program: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The output is no table of the expected form.
    #[error("cannot decode the output of `{program}`: {reason}")]
    Table {
        /// The program.
        program: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A list of attachments cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A list of attachments is empty, which is a mistake, such as that of a failed program before
    /// a pipe.
    #[error("the list is empty: write [] if no container lives")]
    EmptyList,
    /// A list of attachments has another form.
    #[error(
        "the list must be [{{\"containerID\": \"…\", \"ifname\": \"…\"}}, …], or an object with \
         such a list under \"cni.dev/valid-attachments\""
    )]
    InvalidList,
    /// The node's links, or those of a namespace, cannot be listed.
    #[error(transparent)]
    Unread(Problem),
}
