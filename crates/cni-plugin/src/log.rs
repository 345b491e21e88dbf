//! The log: CNI_LOG and CNI_LOG_FILE.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;
use std::time::{Instant, SystemTime};

use crate::Environment;

/// How much is written.
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

/// What a plugin tells an operator about a call: one line a step, in logfmt. Nothing, unless
/// `CNI_LOG` asks for it with `error`, `info` or `debug`; it goes to standard error, or to the end
/// of the file that `CNI_LOG_FILE` names.
#[derive(Debug, Default)]
pub struct Log {
    level: Level,
    /// `None` for standard error.
    file: Option<File>,
    /// What every line has, such as the container.
    subject: String,
    start: Option<Instant>,
}

impl Log {
    /// A log as the environment wants it. What cannot be done is told in the log: it is no reason
    /// to leave a container without a network.
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

    /// Adds the network to what every line has.
    pub(crate) fn set_network(&mut self, network: &str) {
        if self.level > Level::Off {
            self.add_to_subject("network", network);
        }
    }

    /// Tells of a failure.
    pub fn error(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Error, message);
    }

    /// Tells of what an operator wants to know when all goes well, and of what is unusual.
    pub fn info(&self, message: fmt::Arguments<'_>) {
        self.write(Level::Info, message);
    }

    /// Tells of a single step.
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
        // One write a line, so that those of many processes do not mix. A log that cannot be
        // written stops nothing.
        let _ = match &self.file {
            Some(file) => (&mut &*file).write_all(line.as_bytes()),
            None => io::stderr().lock().write_all(line.as_bytes()),
        };
    }
}

/// A pipe that nobody reads would hold the plugin up, were it not for O_NONBLOCK.
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
