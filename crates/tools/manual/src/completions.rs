//! Completions of `twill`'s commands and options for shells.

use std::path::Path;

use anyhow::{Result, ensure};
use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::{Shell, generate};

use super::write;

/// The option that takes one of these, or a file.
const FROM: &str = "from";
const SOURCES: [&str; 5] = ["crictl", "podman", "nerdctl", "ctr", "netns"];

/// A text of a completion, and the text in its place.
type Replacement = (&'static str, &'static str);

/// Each shell, the name under which it looks for a completion, and what has it offer files beside
/// the sources.
const SHELLS: [(Shell, &str, &[Replacement]); 3] = [
    (
        Shell::Bash,
        "twill",
        &[(
            r#"$(compgen -W "crictl podman nerdctl ctr netns" -- "${cur}")"#,
            r#"$(compgen -f -W "crictl podman nerdctl ctr netns" -- "${cur}")"#,
        )],
    ),
    (
        Shell::Zsh,
        "_twill",
        &[
            (
                ":SOURCE:(crictl podman nerdctl ctr netns)'",
                ":SOURCE:_twill_sources'",
            ),
            (
                "autoload -U is-at-least\n",
                "autoload -U is-at-least\n\n_twill_sources() {\n    _alternative \
                 'sources:source:(crictl podman nerdctl ctr netns)' 'files:file:_files'\n}\n",
            ),
        ],
    ),
    (
        Shell::Fish,
        "twill.fish",
        &[("-r -f -a \"crictl\\t''", "-r -F -a \"crictl\\t''")],
    ),
];

/// Writes a file per shell.
pub(super) fn write_all(dir: &Path) -> Result<()> {
    for (shell, name, replacements) in SHELLS {
        let mut command = with_sources(twill::command());
        let mut script = Vec::new();
        generate(shell, &mut command, "twill", &mut script);
        let mut script = String::from_utf8(script)?;
        for (text, other) in replacements {
            ensure!(
                script.contains(text),
                "the completion for {shell} has no `{text}`"
            );
            script = script.replace(text, other);
        }
        write(&dir.join(name), script)?;
    }
    Ok(())
}

/// Names the sources, which the program reads as it reads files.
fn with_sources(command: Command) -> Command {
    command.mut_subcommands(|command| {
        let has_it = command.get_arguments().any(|it| it.get_id() == FROM);
        match has_it {
            true => command.mut_arg(FROM, |option| {
                option.value_parser(PossibleValuesParser::new(SOURCES))
            }),
            false => command,
        }
    })
}
