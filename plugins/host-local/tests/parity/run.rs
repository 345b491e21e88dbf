//! Runs each case in one temporary directory per implementation, and compares the outcomes.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use testkit::requirements::require_reference;
use testkit::{Invocation, Outcome, binaries};

use crate::case::{Case, Expected, Step};
use crate::directory::{Contents, contents};

/// Runs the cases and reports all failures. Without the Go plugin, ours is still compared with the
/// expected answers.
#[track_caller]
pub(crate) fn run(cases: &[Case]) {
    let ours = binaries::plugin("host-local");
    let theirs = require_reference("host-local");
    let problems: Vec<String> = cases
        .iter()
        .flat_map(|case| problems(case, &ours, theirs.as_deref()))
        .collect();
    let (count, problems) = (problems.len(), problems.join("\n\n"));
    assert!(count == 0, "{count} problems\n\n{problems}");
}

fn problems(case: &Case, ours: &Path, theirs: Option<&Path>) -> Vec<String> {
    let our_home = Home::new(case);
    let their_home = theirs.map(|program| (program, Home::new(case)));
    let mut problems = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let place = format!(
            "{}: call {index}, {} {}",
            case.name, step.command, step.container
        );
        let our_outcome = our_home.call(ours, step);
        let our_contents = our_home.contents();
        for problem in expectations(step, &our_outcome, &our_contents) {
            problems.push(format!(
                "{place}: {problem}\nours: {our_outcome}\n{our_contents:#?}"
            ));
        }
        if let Some((program, home)) = &their_home {
            let (their_outcome, their_contents) = (home.call(program, step), home.contents());
            for problem in differences(
                step,
                (&our_outcome, &our_contents),
                (&their_outcome, &their_contents),
            ) {
                problems.push(format!(
                    "{place}: {problem}\nours: {our_outcome}\n{our_contents:#?}\n\
                     theirs: {their_outcome}\n{their_contents:#?}"
                ));
            }
        }
    }
    problems
}

/// An implementation's temporary directory.
struct Home(TempDir);

impl Home {
    fn new(case: &Case) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for (path, contents) in &case.files {
            let path = home.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        home
    }

    fn call(&self, program: &Path, step: &Step) -> Outcome {
        let temp = self.0.path().to_str().unwrap();
        let stdin = step
            .stdin
            .replace("{dataDir}", &format!("{temp}/data"))
            .replace("{temp}", temp);
        let mut call = Invocation::attach(program, &step.command, &step.container)
            .ifname(&step.ifname)
            .stdin(stdin);
        for (name, value) in &step.env {
            call = match value {
                Some(value) => call.env(name, value),
                None => call.without(name),
            };
        }
        call.run()
    }

    fn contents(&self) -> Contents {
        contents(self.0.path())
    }
}

/// The differences between ours and the case's expectations.
fn expectations(step: &Step, outcome: &Outcome, contents: &Contents) -> Vec<String> {
    let mut problems = Vec::new();
    if !outcome.stderr.is_empty() {
        problems.push("stderr is not empty".to_owned());
    }
    let answer = Answer::of(outcome);
    let wrong = match (&step.expected, &answer) {
        (None, _) => Some("the case does not say what it expects".to_owned()),
        (Some(Expected::Result(expected)), Answer::Result(result)) if result == expected => None,
        (Some(Expected::Result(expected)), _) => Some(format!("expected {expected}")),
        (Some(Expected::Addresses(expected)), Answer::Result(result))
            if addresses(result) == *expected =>
        {
            None
        }
        (Some(Expected::Addresses(expected)), _) => Some(format!("expected {expected:?}")),
        (Some(Expected::Silence), Answer::Silence) => None,
        (Some(Expected::Silence), _) => Some("expected silence".to_owned()),
        (Some(Expected::Failure(message)), Answer::Failure(error_text))
            if error_text.contains(message) =>
        {
            None
        }
        (Some(Expected::Failure(message)), _) => Some(format!("expected the error {message:?}")),
    };
    problems.extend(wrong);
    for message in &step.both_say {
        if !answer.says(message) {
            problems.push(format!("ours does not say {message:?}"));
        }
    }
    if let Some(expected) = &step.leaves {
        let names = contents
            .keys()
            .filter_map(|path| path.strip_prefix("data/net/"));
        let names: Vec<&str> = names.collect();
        if names != *expected {
            problems.push(format!("expected {expected:?} to be left, not {names:?}"));
        }
    }
    problems
}

/// The unlisted differences between both, and the listed ones that do not exist.
fn differences(
    step: &Step,
    ours: (&Outcome, &Contents),
    theirs: (&Outcome, &Contents),
) -> Vec<String> {
    let (our_answer, their_answer) = (Answer::of(ours.0), Answer::of(theirs.0));
    let mut problems = Vec::new();
    for (what, same, reason) in [
        (
            "answers",
            our_answer.is_like(&their_answer),
            step.answers_differ,
        ),
        ("directories", ours.1 == theirs.1, step.files_differ),
    ] {
        match reason {
            None if !same => problems.push(format!("the {what} differ")),
            Some(reason) if same => {
                problems.push(format!("the {what} do not differ any more: {reason}"));
            }
            _ => {}
        }
    }
    for message in &step.both_say {
        if !their_answer.says(message) {
            problems.push(format!("theirs does not say {message:?}"));
        }
    }
    problems
}

/// The answer of a plugin, as a runtime sees it.
#[derive(Debug)]
enum Answer {
    Result(Value),
    Silence,
    /// The message of the error object.
    Failure(String),
    /// An answer that the specification does not allow.
    Nonsense,
}

impl Answer {
    fn of(outcome: &Outcome) -> Self {
        let json = serde_json::from_slice::<Value>(&outcome.stdout).ok();
        match (outcome.code, json) {
            (Some(0), None) if outcome.stdout.is_empty() => Answer::Silence,
            (Some(0), Some(result @ Value::Object(_))) => Answer::Result(result),
            (Some(1), Some(error)) if error["code"].is_u64() && error["msg"].is_string() => {
                let text = |key: &str| error[key].as_str().unwrap_or_default();
                Answer::Failure(format!("{}; {}", text("msg"), text("details")))
            }
            _ => Answer::Nonsense,
        }
    }

    /// Whether a runtime sees the same answer: results are compared by value, errors are all equal.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Answer::Result(ours), Answer::Result(theirs)) => ours == theirs,
            (Answer::Silence, Answer::Silence) | (Answer::Failure(_), Answer::Failure(_)) => true,
            _ => false,
        }
    }

    fn says(&self, message: &str) -> bool {
        matches!(self, Answer::Failure(error_text) if error_text.contains(message))
    }
}

/// The addresses of a result in any version's shape, with their gateways.
fn addresses(result: &Value) -> Vec<String> {
    let pair = |ip: &Value, key: &str| {
        let text = |key: &str| ip[key].as_str().unwrap_or("nothing").to_owned();
        format!("{} via {}", text(key), text("gateway"))
    };
    match result["ips"].as_array() {
        Some(ips) => ips.iter().map(|ip| pair(ip, "address")).collect(),
        None => ["ip4", "ip6"]
            .iter()
            .filter(|key| result[*key].is_object())
            .map(|key| pair(&result[*key], "ip"))
            .collect(),
    }
}
