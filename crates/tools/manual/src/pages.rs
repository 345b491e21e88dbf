//! The manual pages: `twill(1)`, one per command, and `twill-plugins(8)`.

use std::path::Path;

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;

use super::write;

/// The page about the plugins, which have no command line.
const PLUGINS: &str = include_str!("twill-plugins.8");

/// Writes all pages.
pub(super) fn write_all(dir: &Path) -> Result<()> {
    let mut program = twill::command().disable_help_subcommand(true);
    // Gives the commands their full names.
    program.build();
    write_page(dir, &program)?;
    for command in program.get_subcommands() {
        write_page(dir, command)?;
    }
    let version = program.get_version().unwrap_or_default();
    write(
        &dir.join("twill-plugins.8"),
        PLUGINS.replace("VERSION", version),
    )
}

fn write_page(dir: &Path, command: &Command) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    write(&dir.join(format!("{name}.1")), page(command, name)?)
}

/// A page as clap_mangen has it, but with the synopsis of the command's help, and with the examples
/// line by line.
fn page(command: &Command, name: &str) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    page.extend(head(command, name).into_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string);
    page.extend(sections(&after.unwrap_or_default()).into_bytes());
    page.extend(see_also(command, name).into_bytes());
    Ok(page)
}

/// The title, the name and the synopsis. The page has no date, which would change with each build.
fn head(command: &Command, name: &str) -> String {
    let usage = command.clone().render_usage().to_string();
    format!(
        ".TH {} 1 \"\" \"twill {}\" \"Twill Manual\"\n.SH NAME\n{} \\- {}\n\
         .SH SYNOPSIS\n.nf\n{}\n.fi\n",
        escaped(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        escaped(name),
        escaped(
            &command
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default()
        ),
        escaped(usage.trim_start_matches("Usage: ")),
    )
}

/// The text after a command's options: examples, of which each is an indented line, and paragraphs
/// about the exit status.
fn sections(text: &str) -> String {
    let mut roff = String::new();
    for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
        let is_example = paragraph.starts_with("Example");
        roff.push_str(if is_example {
            ".SH EXAMPLES\n"
        } else {
            ".SH \"EXIT STATUS\"\n"
        });
        for line in paragraph.lines().filter(|line| *line != "Examples:") {
            match line.strip_prefix("  ") {
                Some(example) => roff.push_str(&format!(".EX\n{}\n.EE\n", escaped(example))),
                None => roff.push_str(&format!("{}\n", escaped(line))),
            }
        }
    }
    roff.replace(".EE\n.EX\n", "")
}

fn see_also(command: &Command, name: &str) -> String {
    let mut pages: Vec<String> = command
        .get_subcommands()
        .filter_map(|command| command.get_display_name())
        .map(|name| format!("{name}(1)"))
        .collect();
    if name != "twill" {
        pages.push("twill(1)".to_owned());
    }
    pages.push("twill-plugins(8)".to_owned());
    format!(".SH \"SEE ALSO\"\n{}\n", escaped(&pages.join(", ")))
}

/// A line that roff prints as it is, with hyphens that can be copied.
fn escaped(line: &str) -> String {
    let line = line
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    match line.starts_with('.') {
        true => format!("\\&{line}"),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn examples_keep_their_lines() {
        let text = "Examples:\n  twill a 'b'\n  twill --c\n\nThe exit status is 1.";
        let expected = ".SH EXAMPLES\n.EX\ntwill a \\(aqb\\(aq\ntwill \\-\\-c\n.EE\n\
                        .SH \"EXIT STATUS\"\nThe exit status is 1.\n";
        assert_eq!(sections(text), expected);
    }

    #[test]
    fn each_command_has_a_page_with_its_synopsis_and_examples() {
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path()).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let program = read("twill.1");
        for command in twill::command().get_subcommands() {
            let name = format!("twill-{}", command.get_name());
            assert!(
                program.contains(&format!("{}(1)", escaped(&name))),
                "{name}"
            );
            assert!(
                read(&format!("{name}.1")).contains(".SH EXAMPLES\n"),
                "{name}"
            );
        }
        let gc = read("twill-gc.1");
        let synopsis =
            ".SH SYNOPSIS\n.nf\ntwill gc [OPTIONS] \\-\\-from <SOURCE> [NETWORK]...\n.fi\n";
        assert!(gc.contains(synopsis), "{gc}");
        assert!(read("twill-plugins.8").contains(env!("CARGO_PKG_VERSION")));
    }
}
