//! The log of a call: `CNI_LOG` and `CNI_LOG_FILE`, or `logLevel` and `logFile`.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;
use std::time::{Instant, SystemTime};

use cni_types::json::OptionalText;
use cni_types::{Error, NetConf};
use serde_json::value::RawValue;

use crate::{Environment, trace};

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

    /// The level of a name; multus has names of its own for two of them.
    fn named(name: &OsStr) -> Option<Self> {
        match name.to_str()? {
            "panic" => Some(Level::Error),
            "verbose" => Some(Level::Info),
            name => Level::ALL.into_iter().find(|level| level.as_str() == name),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// A setting of the log: a variable or, without it, a key of the configuration.
struct Setting {
    /// The name of the variable or the key.
    name: &'static str,
    /// The value, or the JSON of a key that is no text.
    value: Result<OsString, String>,
}

impl Setting {
    fn find(
        variable: &'static str,
        environment: &Environment,
        key: &'static str,
        conf: Option<&NetConf<'_>>,
    ) -> Option<Self> {
        if let Some(value) = environment.get(variable) {
            return Some(Self {
                name: variable,
                value: Ok(value.to_owned()),
            });
        }
        let conf = conf.filter(|conf| conf.contains(key))?;
        let text: Result<Option<OptionalText>, Error> = conf.value(key);
        let value = match text {
            Ok(text) => Ok(text.unwrap_or_default().into_option()?.into()),
            Err(_) => Err(conf.value::<&RawValue>(key).ok()??.get().to_owned()),
        };
        Some(Self { name: key, value })
    }
}

/// The log of a call, for operators: one line per message, in logfmt. `CNI_LOG` or, without it, the
/// key `logLevel` of the configuration sets the level (`error`, `info` or `debug`; otherwise
/// nothing is written). Lines are appended to the file that `CNI_LOG_FILE` or `logFile` names, or
/// go to standard error.
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
    /// The keys of a configuration that are about the log. Whoever composes a delegate's
    /// configuration passes them on.
    pub const KEYS: [&str; 2] = ["logLevel", "logFile"];

    /// Opens the log that the environment or the configuration asks for. The log itself reports a
    /// setting with an invalid value: a mistake in logging must not leave a container without a
    /// network.
    pub(crate) fn of(plugin: &str, environment: &Environment, conf: Option<&NetConf<'_>>) -> Self {
        let [level_key, file_key] = Self::KEYS;
        let Some(wanted) = Setting::find("CNI_LOG", environment, level_key, conf) else {
            return Self::default();
        };
        let known = wanted.value.as_deref().ok().and_then(Level::named);
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
        let parent = environment.get("TRACEPARENT").and_then(OsStr::to_str);
        if let Some(id) = parent.and_then(trace::id) {
            log.add_to_subject("trace", id);
        }
        match Setting::find("CNI_LOG_FILE", environment, file_key, conf) {
            Some(Setting {
                name,
                value: Ok(path),
            }) => match open(Path::new(&path)) {
                Ok(file) => log.file = Some(file),
                Err(error) => log.error(format_args!(
                    "{name} {}: {error}: the log goes to standard error",
                    path.display()
                )),
            },
            Some(Setting {
                name,
                value: Err(json),
            }) => log.error(format_args!(
                "{name} {json} is no text: the log goes to standard error"
            )),
            None => {}
        }
        if known.is_none() {
            let Setting { name, value } = wanted;
            let shown = value.map_or_else(|json| json, |text| format!("{text:?}"));
            log.error(format_args!(
                "{name} {shown} is none of off, error, info, debug: taken as error"
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
