//! A virtual machine that runs, and its console at the end.

use std::io::{PipeReader, Read, pipe};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Prefixes the script's exit status on the console.
const STATUS: &str = "vm: exit status ";

/// A virtual machine that runs. Dropped, it is switched off.
#[derive(Debug)]
pub struct Running {
    qemu: Killed,
    console: Console,
    until: Instant,
    /// Holds what it boots from.
    _dir: TempDir,
}

/// A virtual machine that has run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What its console has printed.
    pub console: String,
    /// The script's exit status; `None` if it did not come to an end, in time or at all.
    pub status: Option<i32>,
}

impl Running {
    pub(crate) fn start(mut qemu: Command, dir: TempDir, limit: Duration) -> Result<Self> {
        let (output, input) = pipe().context("cannot make a pipe")?;
        let child = qemu
            .stdin(Stdio::null())
            .stdout(input.try_clone().context("cannot make a pipe")?)
            .stderr(input)
            .spawn()
            .context("cannot run `nice` (Debian package coreutils)")?;
        // The command's ends of the pipe close with it here: only the machine's stay open.
        Ok(Self {
            qemu: Killed(child),
            console: Console::of(output),
            until: Instant::now() + limit,
            _dir: dir,
        })
    }

    /// Waits until its console is as `is_so` wants it; false if the machine ends before that, or
    /// after the timeout.
    pub fn waits_until(&mut self, timeout: Duration, is_so: impl Fn(&str) -> bool) -> bool {
        let until = self.until.min(Instant::now() + timeout);
        loop {
            if is_so(&self.console.text()) {
                return true;
            }
            if !self.console.reads_more(until) {
                return false;
            }
        }
    }

    /// Lets it run for a while, or to its end if that comes earlier, and switches it off as a power
    /// cut does.
    pub fn cut_after(self, time: Duration) -> Finished {
        let until = self.until.min(Instant::now() + time);
        self.end_at(until)
    }

    /// Waits for its end; when its time is over, it is switched off.
    pub fn finish(self) -> Finished {
        let until = self.until;
        self.end_at(until)
    }

    fn end_at(mut self, until: Instant) -> Finished {
        while self.console.reads_more(until) {}
        self.qemu.kill();
        // The last lines may still be in the pipe.
        let soon = Instant::now() + Duration::from_secs(10);
        while self.console.reads_more(soon) {}
        let console = self.console.text();
        let mut lines = console.lines().rev();
        let status = lines.find_map(|line| line.strip_prefix(STATUS));
        let status = status.and_then(|status| status.parse().ok());
        Finished { console, status }
    }
}

/// What a machine has printed so far.
#[derive(Debug)]
struct Console {
    bytes: Vec<u8>,
    pieces: Receiver<Vec<u8>>,
}

impl Console {
    fn of(mut output: PipeReader) -> Self {
        let (sender, pieces) = channel();
        thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut room) {
                let piece = room.get(..length).unwrap_or_default();
                if sender.send(piece.to_owned()).is_err() {
                    break;
                }
            }
        });
        Self {
            bytes: Vec::new(),
            pieces,
        }
    }

    /// Waits for more; false at its end, or when the time is over.
    fn reads_more(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let piece = self.pieces.recv_timeout(left);
        piece.map(|piece| self.bytes.extend(piece)).is_ok()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).replace('\r', "")
    }
}

/// A child that does not outlive this value.
#[derive(Debug)]
struct Killed(Child);

impl Killed {
    fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A shell in the place of qemu.
    fn running(script: &str, limit: Duration) -> Running {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        Running::start(sh, tempfile::tempdir().unwrap(), limit).unwrap()
    }

    #[test]
    fn the_status_is_read_from_the_console() {
        let finished = running("printf 'a\r\n\r\nvm: exit status 3\r\n'", LONG).finish();
        assert_eq!(finished.status, Some(3));
        assert_eq!(finished.console, "a\n\nvm: exit status 3\n");
    }

    #[test]
    fn a_machine_that_takes_too_long_is_killed() {
        let finished = running("exec sleep 600", Duration::from_millis(50)).finish();
        assert_eq!(finished.status, None, "{}", finished.console);
    }

    #[test]
    fn a_machine_is_switched_off_where_it_is() {
        let mut running = running("echo before; exec sleep 600", LONG);
        assert!(running.waits_until(LONG, |console| console.contains("before\n")));
        assert!(!running.waits_until(Duration::ZERO, |console| console.contains("after")));
        let finished = running.cut_after(Duration::ZERO);
        assert_eq!((finished.status, &*finished.console), (None, "before\n"));
    }
}
