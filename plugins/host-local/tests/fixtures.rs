//! The cases in `testdata/host-local`, one directory per case.
//!
//! `add/<case>`: `netconf.json`, `env` with more variables of the call, and in `expected.json` the
//! result or error of an ADD on an empty data directory, and the files that it leaves.
//! `state/<case>`: a data directory of another writer, `networks`, and in `expected.json` the
//! owners, the next address, and the files that remain once all is released; if the Go plugin wrote
//! it, `calls.json` has the calls. `{dataDir}` stands for the data directory and `{case}` for the
//! case's own.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements::require_reference;
use testkit::{Invocation, Outcome, binaries};

#[path = "support/directory.rs"]
mod directory;

use directory::contents;

struct Case {
    directory: PathBuf,
    data_dir: TempDir,
}

/// The cases of one kind, each with an empty data directory.
fn cases(kind: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/host-local")
        .join(kind);
    let mut directories: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    directories.sort();
    assert!(!directories.is_empty(), "{} has no cases", root.display());
    directories
        .into_iter()
        .map(|directory| Case {
            directory,
            data_dir: tempfile::tempdir().unwrap(),
        })
        .collect()
}

impl Case {
    fn name(&self) -> &str {
        self.directory.file_name().unwrap().to_str().unwrap()
    }

    fn json(&self, file: &str) -> Value {
        let path = self.directory.join(file);
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn conf(&self) -> String {
        self.json("netconf.json")
            .to_string()
            .replace("{dataDir}", self.data_dir.path().to_str().unwrap())
            .replace("{case}", self.directory.to_str().unwrap())
    }

    fn call(&self, program: &Path, command: &str, container: &str) -> Invocation {
        let call = Invocation::attach(program, command, container).stdin(self.conf());
        let variables = fs::read_to_string(self.directory.join("env")).unwrap_or_default();
        variables.lines().fold(call, |call, line| {
            let (name, value) = line.split_once('=').expect("a variable has a value");
            call.env(name, value)
        })
    }

    fn ours(&self, command: &str, attachment: &Value) -> Invocation {
        let text = |key: &str| attachment[key].as_str().unwrap().to_owned();
        self.call(&binaries::plugin("host-local"), command, &text("container"))
            .ifname(text("ifname"))
    }

    fn files(&self) -> BTreeMap<String, String> {
        let found = contents(self.data_dir.path()).into_iter();
        found
            .filter_map(|(path, contents)| Some((path, contents?)))
            .collect()
    }

    /// The names of the files in the one network's directory.
    fn names(&self) -> Vec<String> {
        let files = self.files();
        files
            .keys()
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect()
    }
}

#[track_caller]
fn silent(case: &Case, outcome: &Outcome) {
    assert!(
        outcome.code == Some(0) && outcome.stdout.is_empty() && outcome.stderr.is_empty(),
        "{}: expected silence\n{outcome}",
        case.name()
    );
}

#[test]
fn add() {
    for case in cases("add") {
        let (name, expected) = (case.name(), case.json("expected.json"));
        let ours = |command: &str| case.call(&binaries::plugin("host-local"), command, "c1");

        let outcome = ours("ADD").run();
        let code = if expected["error"].is_null() { 0 } else { 1 };
        let answer = if code == 0 {
            &expected["result"]
        } else {
            &expected["error"]
        };
        assert_eq!(
            (outcome.code, &outcome.json()),
            (Some(code), answer),
            "{name}\n{outcome}"
        );
        assert_eq!(outcome.stderr_text(), "", "{name}");
        let expected_files = expected["files"].as_object().unwrap().iter();
        let expected_files: BTreeMap<String, String> = expected_files
            .map(|(path, text)| {
                (
                    path.clone(),
                    text.as_str().unwrap().escape_default().to_string(),
                )
            })
            .collect();
        assert_eq!(case.files(), expected_files, "{name}");

        if code == 0 && answer["ips"].is_array() && answer["cniVersion"] != "0.3.1" {
            let mut conf: Value = serde_json::from_str(&case.conf()).unwrap();
            conf["prevResult"] = answer.clone();
            silent(&case, &ours("CHECK").config(&conf).run());
        }
        silent(&case, &ours("DEL").run());
        let held: Vec<String> = case
            .names()
            .into_iter()
            .filter(|name| is_address(name))
            .collect();
        assert_eq!(held, [""; 0], "{name}");
    }
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
}

#[test]
fn state_that_others_left() {
    for case in cases("state") {
        let (name, expected) = (case.name(), case.json("expected.json"));
        let attachments = expected["attachments"].as_array().unwrap();
        let newcomer = json!({ "container": "newcomer", "ifname": "eth0" });
        copy(&case.directory.join("networks"), case.data_dir.path());

        let result = case.ours("ADD", &newcomer).run().success();
        let ips = result["ips"].as_array().unwrap().iter();
        let given: Vec<&str> = ips.map(|ip| ip["address"].as_str().unwrap()).collect();
        assert_eq!(given, strings(&expected["next"]), "{name}");

        for attachment in attachments {
            silent(&case, &case.ours("CHECK", attachment).run());
            let again = case.ours("ADD", attachment).run().failure();
            assert_eq!(again.code, 112, "{name}: {again:?}");
            for address in strings(&attachment["addresses"]) {
                let other = json!({ "container": "other", "ifname": "eth0" });
                let taken = case
                    .ours("ADD", &other)
                    .args(format!("IP={address}"))
                    .run()
                    .failure();
                assert_eq!(taken.code, 111, "{name}: {taken:?}");
            }
        }

        for attachment in attachments.iter().chain([&newcomer]) {
            let before = case.names();
            silent(&case, &case.ours("DEL", attachment).run());
            let after = case.names();
            let mut gone: Vec<&str> = before
                .iter()
                .filter(|name| !after.contains(name))
                .map(String::as_str)
                .collect();
            let mut expected = match &attachment["addresses"] {
                Value::Null => given
                    .iter()
                    .map(|address| address.split('/').next().unwrap())
                    .collect(),
                addresses => strings(addresses),
            };
            gone.sort_unstable();
            expected.sort_unstable();
            assert_eq!(gone, expected, "{name}: {attachment}");
        }
        assert_eq!(case.names(), strings(&expected["left"]), "{name}");
    }
}

/// The Go plugin still writes the recorded directories.
#[test]
fn the_go_plugin_writes_the_recorded_directories() {
    let Some(reference) = require_reference("host-local") else {
        return;
    };
    let mut count = 0;
    for case in cases("state")
        .iter()
        .filter(|case| case.directory.join("calls.json").exists())
    {
        count += 1;
        for call in case.json("calls.json").as_array().unwrap() {
            let text = |key: &str| call[key].as_str().unwrap();
            let run = case
                .call(&reference, text("command"), text("container"))
                .ifname(text("ifname"))
                .run();
            assert_eq!(run.code, Some(0), "{run}");
        }
        let written = contents(case.data_dir.path());
        assert_eq!(
            written,
            contents(&case.directory.join("networks")),
            "{}",
            case.name()
        );
    }
    assert_eq!(count, 2);
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
