//! A case as data: the initial files, the calls, and the expected answers of ours.

use serde_json::{Value, json};

/// A sequence of calls on one data directory, which at first only has `files`.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Paths below the temporary directory, in which `data` is the data directory, and their
    /// contents.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    conf: String,
}

/// One call.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) container: String,
    pub(crate) ifname: String,
    /// Additional variables, and variables to omit.
    pub(crate) env: Vec<(String, Option<String>)>,
    /// `{dataDir}` stands for the data directory, `{temp}` for the temporary directory it is in.
    pub(crate) stdin: String,
    /// The answer of ours.
    pub(crate) expected: Option<Expected>,
    /// Texts that tools look for, which the messages of both contain.
    pub(crate) both_say: Vec<String>,
    /// The names in the network's directory after a call of ours, if they are compared.
    pub(crate) leaves: Option<Vec<String>>,
    /// The reason for different answers, if they differ.
    pub(crate) answers_differ: Option<&'static str>,
    /// The reason for different directories after the call, if they differ.
    pub(crate) files_differ: Option<&'static str>,
}

pub(crate) enum Expected {
    /// Exactly this result.
    Result(Value),
    /// A result with these addresses and gateways, as `10.1.1.2/24 via 10.1.1.1`.
    Addresses(Vec<String>),
    /// Success and no output.
    Silence,
    /// An error whose message contains this text.
    Failure(String),
}

/// A case on an empty data directory.
pub(crate) fn case(name: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        files: Vec::new(),
        steps: Vec::new(),
        conf: String::new(),
    }
}

/// A configuration for the network `net`, with these keys in `ipam`. Its cniVersion is the newest
/// with equal results of both: those of 1.0.0 differ by an empty `dns`.
pub(crate) fn conf(ipam: Value) -> Value {
    conf_of("0.4.0", ipam)
}

/// As [`conf`], of another version.
pub(crate) fn conf_of(version: &str, mut ipam: Value) -> Value {
    ipam["type"] = "host-local".into();
    ipam["dataDir"] = "{dataDir}".into();
    json!({ "cniVersion": version, "name": "net", "type": "bridge", "ipam": ipam })
}

/// A configuration with one more key beside `ipam`.
pub(crate) fn with(mut conf: Value, key: &str, value: Value) -> Value {
    conf[key] = value;
    conf
}

impl Case {
    /// A file in the network's directory, before the first call.
    pub(crate) fn file(self, name: &str, contents: &str) -> Self {
        self.file_at(&format!("data/net/{name}"), contents)
    }

    /// A file anywhere in the temporary directory, before the first call.
    pub(crate) fn file_at(mut self, path: &str, contents: &str) -> Self {
        self.files.push((path.to_owned(), contents.to_owned()));
        self
    }

    /// The configuration of the calls that follow.
    pub(crate) fn conf(self, conf: &Value) -> Self {
        self.stdin(&conf.to_string())
    }

    /// The configuration of the calls that follow, as text.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        text.clone_into(&mut self.conf);
        self
    }

    /// Adds a call for `eth0` of a container. Later methods refer to this call.
    pub(crate) fn call(mut self, command: &str, container: &str) -> Self {
        self.steps.push(Step {
            command: command.to_owned(),
            container: container.to_owned(),
            ifname: "eth0".to_owned(),
            env: Vec::new(),
            stdin: self.conf.clone(),
            expected: None,
            both_say: Vec::new(),
            leaves: None,
            answers_differ: None,
            files_differ: None,
        });
        self
    }

    pub(crate) fn add(self, container: &str) -> Self {
        self.call("ADD", container)
    }

    pub(crate) fn del(self, container: &str) -> Self {
        self.call("DEL", container)
    }

    pub(crate) fn check(self, container: &str) -> Self {
        self.call("CHECK", container)
    }

    fn last(mut self, change: impl FnOnce(&mut Step)) -> Self {
        let name = &self.name;
        let step = self.steps.last_mut();
        change(step.unwrap_or_else(|| panic!("{name}: there is no call yet")));
        self
    }

    fn expect(self, expected: Expected) -> Self {
        self.last(|step| step.expected = Some(expected))
    }

    pub(crate) fn ifname(self, name: &str) -> Self {
        self.last(|step| name.clone_into(&mut step.ifname))
    }

    pub(crate) fn args(self, args: &str) -> Self {
        self.env("CNI_ARGS", args)
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        let variable = (name.to_owned(), Some(value.to_owned()));
        self.last(|step| step.env.push(variable))
    }

    pub(crate) fn without(self, name: &str) -> Self {
        self.last(|step| step.env.push((name.to_owned(), None)))
    }

    pub(crate) fn results_in(self, result: Value) -> Self {
        self.expect(Expected::Result(result))
    }

    pub(crate) fn gives(self, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|&address| address.to_owned());
        self.expect(Expected::Addresses(addresses.collect()))
    }

    pub(crate) fn silent(self) -> Self {
        self.expect(Expected::Silence)
    }

    pub(crate) fn fails(self, message: &str) -> Self {
        self.expect(Expected::Failure(message.to_owned()))
    }

    pub(crate) fn both_say(self, message: &str) -> Self {
        self.last(|step| step.both_say.push(message.to_owned()))
    }

    pub(crate) fn leaves(self, names: &[&str]) -> Self {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        self.last(|step| step.leaves = Some(names))
    }

    pub(crate) fn answers_differ(self, reason: &'static str) -> Self {
        self.last(|step| step.answers_differ = Some(reason))
    }

    pub(crate) fn files_differ(self, reason: &'static str) -> Self {
        self.last(|step| step.files_differ = Some(reason))
    }
}
