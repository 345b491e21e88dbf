//! The log of a call: `CNI_LOG` and `CNI_LOG_FILE`.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;
use std::time::{Instant, SystemTime};

use crate::Environment;

/// The messages that are written: those of a level include those of the levels before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Off,
    Error,
    Info,
    Debug,
}

impl Level {
    const ALL: [Level; 4] = [Level::Off, Level::Error, Level::Info, Level::Debug];

    const fn as_str(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// The log of a call, for operators: one line per message, in logfmt. `CNI_LOG` sets the level
/// (`error`, `info` or `debug`; otherwise nothing is written). Lines are appended to the file that
/// `CNI_LOG_FILE` names, or go to standard error.
#[derive(Debug, Default)]
pub struct Log {
    level: Level,
    /// `None` means standard error.
    file: Option<File>,
    /// The fields that every line has, such as the container.
    subject: String,
    start: Option<Instant>,
}

impl Log {
    /// Opens the log that the environment asks for. The log itself reports a variable with an
    /// invalid value: a mistake in logging must not leave a container without a network.
    pub(crate) fn from_environment(plugin: &str, environment: &Environment) -> Self {
        let Some(wanted) = environment.get("CNI_LOG") else {
            return Self::default();
        };
        let known = Level::ALL
            .into_iter()
            .find(|level| wanted == level.as_str());
        let level = known.unwrap_or(Level::Error);
        if level == Level::Off {
            return Self::default();
        }
        let mut log = Self {
            level,
            file: None,
            subject: format!("plugin={plugin} pid={}", process::id()),
            start: Some(Instant::now()),
        };
        for (key, name) in [
            ("command", "CNI_COMMAND"),
            ("container", "CNI_CONTAINERID"),
            ("ifname", "CNI_IFNAME"),
        ] {
            if let Some(value) = environment.get(name) {
                log.add_to_subject(key, &value.to_string_lossy());
            }
        }
        if let Some(path) = environment.get("CNI_LOG_FILE").map(Path::new) {
            match open(path) {
                Ok(file) => log.file = Some(file),
                Err(error) => log.error(format_args!(
                    "CNI_LOG_FILE {}: {error}: the log goes to standard error",
                    path.display()
                )),
            }
        }
        if known.is_none() {
            log.error(format_args!(
                "CNI_LOG {wanted:?} is none of off, error, info, debug: taken as error"
            ));
        }
        log
    }

    /// Adds the network to the fields that every line has.
    pub(crate) fn set_network(&mut self, network: &str) {
        if self.level > Level::Off {
            self.add_to_subject("network", network);
        }
    }

    /// Logs a failure.
    pub fn error(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Error, message);
    }

    /// Logs the outcome of a call, or something unusual.
    pub fn info(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Info, message);
    }

    /// Logs a single step.
    pub fn debug(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Debug, message);
    }

    fn add_to_subject(&mut self, key: &str, value: &str) {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
        // Writing to a string cannot fail.
        let _ = if value.chars().all(plain) {
            write!(self.subject, " {key}={value}")
        } else {
            write!(self.subject, " {key}={value:?}")
        };
    }

    fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        if level > self.level {
            return;
        }
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        let elapsed = self.start.map(|start| start.elapsed()).unwrap_or_default();
        let line = format!(
            "time={time} level={} {} elapsed={:.3}ms msg={:?}\n",
            level.as_str(),
            self.subject,
            elapsed.as_secs_f64() * 1000.0,
            message.to_string()
        );
        // One write(2) per line keeps the lines of several processes apart. A failure to write the
        // log does not stop the call.
        let _ = match &self.file {
            Some(file) => (&mut &*file).write_all(line.as_bytes()),
            None => io::stderr().lock().write_all(line.as_bytes()),
        };
    }
}

/// `O_NONBLOCK` prevents a FIFO without a reader from blocking the plugin.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)
}

#[cfg(test)]
mod tests;
