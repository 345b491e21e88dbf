//! The command line of `twill`.

use allocator::{DEFAULT_DATA_DIR, DEFAULT_LOCK_TIMEOUT, Location};
use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

pub(crate) const USAGE: &str = "\
usage: twill convert (db | disk) NETWORK [--data-dir DIR]

  convert   Move a network's addresses to the database, or from there back to files. Do it while
            no container of the network comes or goes, and set \"backend\" in the network's ipam
            right after it.

  --data-dir DIR   host-local's dataDir [default: /var/lib/cni/networks]
  --help, --version
";

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    Help,
    Version,
    /// Move a network's addresses to this location.
    Convert(Location),
}

impl Arguments {
    pub(crate) fn from_process() -> Result<Self> {
        Self::parse(Parser::from_env())
    }

    fn parse(mut parser: Parser) -> Result<Self> {
        let mut words: Vec<String> = Vec::new();
        let mut data_dir = DEFAULT_DATA_DIR.into();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("help") | Arg::Short('h') => return Ok(Self::Help),
                Arg::Long("version") | Arg::Short('V') => return Ok(Self::Version),
                Arg::Long("data-dir") => data_dir = parser.value()?.into(),
                Arg::Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [command, to, network] = words.as_slice() else {
            bail!("a command, a backend and a network are needed");
        };
        if *command != "convert" {
            bail!("there is no command {command:?}");
        }
        let backend = to.parse().with_context(|| format!("backend {to:?}"))?;
        let network = network
            .parse()
            .with_context(|| format!("{network:?} is no name of a network"))?;
        Ok(Self::Convert(Location {
            data_dir,
            network,
            backend,
            lock_timeout: DEFAULT_LOCK_TIMEOUT,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use allocator::Backend;

    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(Parser::from_args(words)).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn convert_takes_a_backend_a_network_and_a_data_dir() {
        let to = |to, data_dir: &str| {
            Ok(Arguments::Convert(Location {
                data_dir: data_dir.into(),
                network: "cbr0".parse().unwrap(),
                backend: to,
                lock_timeout: Duration::from_secs(10),
            }))
        };
        assert_eq!(
            parse(&["convert", "db", "cbr0"]),
            to(Backend::Db, "/var/lib/cni/networks")
        );
        assert_eq!(
            parse(&["convert", "--data-dir=/x", "disk", "cbr0"]),
            to(Backend::Disk, "/x")
        );
        assert_eq!(parse(&["-h"]), Ok(Arguments::Help));
        assert_eq!(parse(&["--version"]), Ok(Arguments::Version));
    }

    #[test]
    fn invalid_command_lines_are_explained() {
        for (words, message) in [
            (&[][..], "a command, a backend and a network are needed"),
            (&["conwert", "db", "x"], "there is no command \"conwert\""),
            (
                &["convert", "etcd", "x"],
                "backend \"etcd\": neither \"disk\" nor \"db\"",
            ),
            (
                &["convert", "db", "../x"],
                "\"../x\" is no name of a network: \"../x\" has invalid characters: allowed are \
                    letters and digits, then also \"_\", \".\" and \"-\"",
            ),
            (&["convert", "--force"], "invalid option '--force'"),
        ] {
            assert_eq!(parse(words), Err(message.to_owned()));
        }
    }
}
