//! The parameters of a command, validated.

use std::ffi::OsStr;
use std::path::PathBuf;

use cni_types::{Attachment, Code, Error, IfName, NameError, Quoted};

use crate::{Command, Environment};

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// There is no command: a person started the plugin.
    About,
    /// VERSION, which needs no configuration.
    Version,
    /// Any other command.
    Operation(Operation),
}

/// A command with its validated parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add {
        attachment: Attachment,
        netns: PathBuf,
    },
    Del {
        attachment: Attachment,
        netns: Option<PathBuf>,
    },
    Check {
        attachment: Attachment,
        netns: PathBuf,
    },
    Gc,
    Status,
}

impl Purpose {
    /// Reads the parameters of a call.
    ///
    /// # Errors
    /// Code 4: one error that names everything missing or invalid.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Self, Error> {
        let Some(command) = environment.get("CNI_COMMAND") else {
            return Ok(Purpose::About);
        };
        let command = command
            .to_str()
            .and_then(Command::from_text)
            .ok_or_else(|| {
                let known = Command::ALL.map(Command::as_str).join(", ");
                Error::new(
                    Code::INVALID_ENVIRONMENT,
                    format!(
                        "unknown CNI_COMMAND: {} is none of {known}",
                        Quoted(&command.to_string_lossy())
                    ),
                )
            })?;

        let mut parameters = Parameters::new(environment);
        let operation = match command {
            Command::Version => return Ok(Purpose::Version),
            Command::Gc => parameters.path().map(|()| Operation::Gc),
            Command::Status => parameters.path().map(|()| Operation::Status),
            Command::Add => parameters
                .attachment_and_netns(str::parse)
                .map(|(attachment, netns)| Operation::Add { attachment, netns }),
            Command::Check => parameters
                .attachment_and_netns(str::parse)
                .map(|(attachment, netns)| Operation::Check { attachment, netns }),
            Command::Del => {
                // An earlier ADD, of the Go plugin, may have accepted a name that ADD now refuses.
                let attachment = parameters.attachment(IfName::recorded);
                let netns = environment.get("CNI_NETNS").map(PathBuf::from);
                let path = parameters.path();
                attachment
                    .zip(path)
                    .map(|(attachment, ())| Operation::Del { attachment, netns })
            }
        };
        match operation {
            Some(operation) => Ok(Purpose::Operation(operation)),
            None => Err(parameters.error()),
        }
    }
}

type IfNameParser = fn(&str) -> Result<IfName, NameError>;

/// Collects all problems with the variables for one error.
struct Parameters<'a> {
    environment: &'a Environment,
    missing: Vec<&'static str>,
    invalid: Vec<String>,
}

impl<'a> Parameters<'a> {
    fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            missing: Vec::new(),
            invalid: Vec::new(),
        }
    }

    fn required(&mut self, name: &'static str) -> Option<&'a OsStr> {
        let value = self.environment.get(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value
    }

    fn name<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        let value = self.required(name)?;
        let text = value.to_string_lossy();
        let parsed = parse(&text).map_err(|error| error.to_string());
        // The text with replacement characters could be the name of another attachment.
        let parsed = match value.to_str() {
            None if parsed.is_ok() => Err(format!("{} is not UTF-8", Quoted(&text))),
            _ => parsed,
        };
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid.push(format!("{name} {error}"));
                None
            }
        }
    }

    fn attachment(&mut self, ifname: IfNameParser) -> Option<Attachment> {
        let container_id = self.name("CNI_CONTAINERID", str::parse);
        let ifname = self.name("CNI_IFNAME", ifname);
        Some(Attachment {
            container_id: container_id?,
            ifname: ifname?,
        })
    }

    fn path(&mut self) -> Option<()> {
        self.required("CNI_PATH").map(|_| ())
    }

    fn attachment_and_netns(&mut self, ifname: IfNameParser) -> Option<(Attachment, PathBuf)> {
        let attachment = self.attachment(ifname);
        let netns = self.required("CNI_NETNS").map(PathBuf::from);
        let path = self.path();
        path.and(attachment.zip(netns))
    }

    fn error(self) -> Error {
        let missing = (!self.missing.is_empty()).then(|| {
            format!(
                "required env variables [{}] missing",
                self.missing.join(",")
            )
        });
        let problems: Vec<String> = missing.into_iter().chain(self.invalid).collect();
        Error::new(Code::INVALID_ENVIRONMENT, problems.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Purpose, (u32, String)> {
        Purpose::from_environment(&variables.iter().copied().collect())
            .map_err(|error| (error.code.0, error.msg))
    }

    fn attachment() -> Attachment {
        Attachment {
            container_id: "c1".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        }
    }

    const ALL: [(&str, &str); 4] = [
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/run/netns/a"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/opt/cni/bin"),
    ];

    fn with_command(command: &str) -> Result<Purpose, (u32, String)> {
        read(&[&[("CNI_COMMAND", command)], &ALL[..]].concat())
    }

    #[test]
    fn each_command_has_its_own_required_parameters() {
        let (attachment, netns) = (attachment(), PathBuf::from("/run/netns/a"));
        for (command, operation) in [
            (
                "ADD",
                Operation::Add {
                    attachment: attachment.clone(),
                    netns: netns.clone(),
                },
            ),
            (
                "CHECK",
                Operation::Check {
                    attachment: attachment.clone(),
                    netns: netns.clone(),
                },
            ),
            (
                "DEL",
                Operation::Del {
                    attachment,
                    netns: Some(netns),
                },
            ),
            ("GC", Operation::Gc),
            ("STATUS", Operation::Status),
        ] {
            assert_eq!(with_command(command), Ok(Purpose::Operation(operation)));
        }
        assert_eq!(with_command("VERSION"), Ok(Purpose::Version));
    }

    #[test]
    fn one_error_names_all_missing_variables() {
        for (command, missing) in [
            ("ADD", "CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS,CNI_PATH"),
            ("CHECK", "CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS,CNI_PATH"),
            ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
            ("GC", "CNI_PATH"),
            ("STATUS", "CNI_PATH"),
        ] {
            let expected = format!("required env variables [{missing}] missing");
            assert_eq!(
                read(&[("CNI_COMMAND", command), ("CNI_NETNS", "")]),
                Err((4, expected))
            );
        }
        assert_eq!(read(&[("CNI_COMMAND", "VERSION")]), Ok(Purpose::Version));
        assert_eq!(read(&[("CNI_COMMAND", "")]), Ok(Purpose::About));
        assert_eq!(read(&ALL), Ok(Purpose::About));
    }

    #[test]
    fn del_does_not_require_a_netns() {
        let variables = [("CNI_COMMAND", "DEL"), ALL[0], ALL[2], ALL[3]];
        assert_eq!(
            read(&variables),
            Ok(Purpose::Operation(Operation::Del {
                attachment: attachment(),
                netns: None
            }))
        );
    }

    #[test]
    fn one_error_names_missing_and_invalid_variables() {
        let variables = [
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "../../etc"),
            ("CNI_IFNAME", "eth 0"),
            ("CNI_PATH", "/opt/cni/bin"),
        ];
        let (code, message) = read(&variables).unwrap_err();
        assert_eq!(code, 4);
        assert_eq!(
            message,
            "required env variables [CNI_NETNS] missing; \
             CNI_CONTAINERID \"../../etc\" has invalid characters: allowed are letters and digits, then also \"_\", \".\" and \"-\"; \
             CNI_IFNAME \"eth 0\" is no interface name: it must not be \".\" or \"..\" nor \
                 contain \"/\", \":\" or white space"
        );
    }

    #[test]
    fn unknown_commands_and_names_that_are_not_utf8_are_refused() {
        assert_eq!(
            with_command("add"),
            Err((
                4,
                r#"unknown CNI_COMMAND: "add" is none of ADD, DEL, CHECK, GC, STATUS, VERSION"#
                    .into()
            ))
        );
        let no_text = OsString::from_vec(b"c\xff1".to_vec());
        let environment: Environment = [
            ("CNI_COMMAND", OsString::from("DEL")),
            ("CNI_CONTAINERID", no_text.clone()),
            ("CNI_IFNAME", no_text.clone()),
            ("CNI_PATH", no_text),
        ]
        .into_iter()
        .collect();
        let error = Purpose::from_environment(&environment).unwrap_err();
        assert!(error.msg.starts_with("CNI_CONTAINERID \"c\u{fffd}1\""));
        let end = "; CNI_IFNAME \"c\u{fffd}1\" is not UTF-8";
        assert!(error.msg.ends_with(end), "{error}");
    }

    /// For `eth%d` the kernel creates `eth0`, which a DEL of `eth%d` would not find.
    #[test]
    fn only_del_accepts_a_pattern_as_interface_name() {
        let mut variables = ALL;
        variables[2].1 = "eth%d";
        for (command, is_taken) in [("ADD", false), ("CHECK", false), ("DEL", true)] {
            let read = read(&[&[("CNI_COMMAND", command)], &variables[..]].concat());
            assert_eq!(read.is_ok(), is_taken, "{read:?}");
            if let Err((code, message)) = read {
                assert_eq!(code, 4);
                assert_eq!(
                    message,
                    r#"CNI_IFNAME "eth%d" is no interface name: the kernel would make a number of the "%""#
                );
            }
        }
    }
}
