//! A line for people who wait: on standard error, if that is a terminal, for work that takes longer
//! than a second.

#![allow(
    clippy::print_stderr,
    reason = "the edge of a program that people run: its terminal"
)]

use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The line, which is removed with this value.
pub(crate) struct Progress {
    /// Its end stops the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to count the seconds of a command; `None` without a terminal.
    pub(crate) fn of(command: &'static str) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut line = String::new();
            for seconds in 1.. {
                if stopped.recv_timeout(SECOND) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                line = format!("twill {command}: at work for {seconds} s");
                eprint!("\r{line}");
            }
            if !line.is_empty() {
                eprint!("\r{}\r", " ".repeat(line.len()));
            }
        });
        Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}
