//! Commands, within text too, are what the programs' command lines accept.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::error::ErrorKind;
use serde_json::Value;

use crate::pages::{self, Page, root};

/// Options of cargo that have no name of ours behind them.
const OF_CARGO: [&str; 5] = [
    "--no-default-features",
    "--open",
    "--release",
    "--workspace",
    "--locked",
];

/// The lines of a page that may be commands, and whether they are complete: those in blocks are.
fn lines(page: &Page) -> impl Iterator<Item = (String, bool)> {
    let spans = page.spans().into_iter().map(|line| (line, false));
    let blocks = page.blocks().into_iter();
    let blocks = blocks.filter(|block| block.language == "console");
    let shown = blocks.flat_map(|block| block.shown());
    spans.chain(shown.map(|shown| (shown.command, true)))
}

#[test]
fn every_command_of_twill_is_accepted() {
    let mut count = 0;
    for page in pages::all() {
        for (line, is_complete) in lines(&page) {
            let Some(arguments) = line.strip_prefix("twill ") else {
                continue;
            };
            if let Err(problem) = parse(arguments, is_complete) {
                panic!("{}: `{line}`: {problem}", page.name);
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

/// Reads a command line, in which `[…]` may stand for what can be left out, `…` for more, and `|`
/// between alternatives.
fn parse(line: &str, is_complete: bool) -> Result<(), String> {
    let mut needed = String::new();
    for part in line.split('[') {
        needed.push_str(part.split_once(']').map_or(part, |(_, after)| after));
    }
    let words = needed.split_whitespace().filter(|word| *word != "…");
    let words = words.filter_map(|word| word.split('|').next());
    let command = twill::command();
    let Err(error) = command.try_get_matches_from(["twill"].into_iter().chain(words)) else {
        return Ok(());
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
        ErrorKind::MissingRequiredArgument if !is_complete => Ok(()),
        _ => Err(error.to_string()),
    }
}

#[test]
fn a_mistaken_command_is_found() {
    for line in ["leases", "install [DIR…]", "add", "gc --from crictl"] {
        assert_eq!(parse(line, false), Ok(()), "{line}");
    }
    for line in ["lease", "install --conf", "convert etcd cbr0"] {
        assert!(parse(line, false).is_err(), "{line}");
    }
    assert!(parse("add cbr0", true).is_err());
}

#[test]
fn every_command_of_cargo_names_what_exists() {
    let workspace = Workspace::load();
    let mut count = 0;
    for page in pages::all() {
        for (line, _) in lines(&page) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let checked = match words.as_slice() {
                ["cargo", "xtask", words @ ..] => check_xtask(words),
                ["cargo", "deny", ..] => Ok(()),
                ["cargo", "build" | "test" | "doc" | "bench", words @ ..] => workspace.check(words),
                ["cargo", command, ..] => Err(format!("nobody checks `cargo {command}`")),
                ["crates/tools/fuzz/hunt.sh", target] => check_fuzz_target(target),
                _ => continue,
            };
            assert_eq!(checked, Ok(()), "{}: `{line}`", page.name);
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

/// A word that stands for something.
fn is_placeholder(word: &str) -> bool {
    word.starts_with(|first: char| first.is_uppercase() || first == '<') || word.ends_with('…')
}

/// Each word is one of the help text of the command.
fn check_xtask(words: &[&str]) -> Result<(), String> {
    let (program, rest) = match words {
        [] => return Ok(()),
        ["test", rest @ ..] => ("suite", rest),
        [tool @ ("demo" | "bench"), rest @ ..] => (*tool, rest),
        all => ("xtask", all),
    };
    let help = help(program);
    let has = |word: &str| {
        help.split(|it: char| it.is_whitespace() || "|,[]:.".contains(it))
            .any(|it| it == word)
    };
    for word in rest {
        let is_number = word.parse::<u32>().is_ok();
        if !is_placeholder(word) && !is_number && !has(word) {
            return Err(format!("`cargo xtask {} --help` has no {word}", words[0]));
        }
    }
    Ok(())
}

/// What a tool of the workspace prints; it is built with the tests.
fn help(program: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(program);
    let shown = path.display();
    let output = Command::new(&path).arg("--help").output();
    let output =
        output.unwrap_or_else(|error| panic!("{shown}: {error}: run `cargo build --workspace`"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A target of the fuzzer has a directory of inputs.
fn check_fuzz_target(target: &str) -> Result<(), String> {
    let inputs: PathBuf = root().join("testdata/fuzz").join(target);
    match is_placeholder(target) || fs::metadata(inputs).is_ok_and(|it| it.is_dir()) {
        true => Ok(()),
        false => Err(format!("no testdata/fuzz/{target}")),
    }
}

/// The packages, as cargo has them.
struct Workspace(Value);

impl Workspace {
    fn load() -> Self {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version=1", "--offline"]);
        let output = cargo.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Packages and targets that are named exist.
    fn check(&self, words: &[&str]) -> Result<(), String> {
        let packages = self.0["packages"].as_array().unwrap();
        let mut package: Option<&Value> = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "-p" | "--package" => {
                    let name = words.next().ok_or("no package")?;
                    let found = packages.iter().find(|package| package["name"] == **name);
                    package = Some(found.ok_or_else(|| format!("no package {name}"))?);
                }
                "--test" | "--bench" => {
                    let name = words.next().ok_or("no target")?;
                    let kind = word.trim_start_matches('-');
                    let targets = package.ok_or("a target without a package")?;
                    let mut targets = targets["targets"].as_array().unwrap().iter();
                    targets
                        .find(|it| it["name"] == **name && it["kind"][0] == *kind)
                        .ok_or_else(|| format!("no {kind} {name}"))?;
                }
                option if OF_CARGO.contains(&option) => {}
                other => return Err(format!("nobody checks {other}")),
            }
        }
        Ok(())
    }
}
