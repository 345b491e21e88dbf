//! What shells offer after a command line.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testkit::requirements;

const FISH: &str = r#"source $COMPLETIONS/twill.fish; complete --do-complete "$LINE" | cut -f 1"#;

const BASH: &str = r#"
source "$COMPLETIONS/twill"
read -ra COMP_WORDS <<< "$LINE"
COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_twill twill "" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// zsh completes in terminals only.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -i
zpty -n -w shell "$LINE"$'\t'
while zpty -r shell printed; do print -rn -- "$printed"; done | tr -d '\r' | sed -n 's/^+//p'
"#;

/// Prints what would be offered, and ends.
const ZSHRC: &str = r#"
PROMPT=
fpath=($COMPLETIONS $fpath)
autoload -Uz compinit
compinit -u -D
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
compadd() {
    local -a found
    if [[ ${@[1,(i)(-|--)]} != *-[OAD]\ * ]]; then
        builtin compadd -O found "$@"
        print
        print -rl -- "+"$^found
    fi
    builtin compadd "$@"
}
comppostfuncs=(exit)
"#;

/// The words that a shell offers after a line, in a directory with the file `list`, sorted.
fn offered(dir: &Path, shell: &str, script: &str, line: &str) -> Vec<String> {
    let mut command = Command::new(shell);
    command
        .args(["-c", script])
        .current_dir(dir.join("empty"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "dumb")
        .env("HOME", dir)
        .env("ZDOTDIR", dir)
        .env("COMPLETIONS", dir.join("completions"))
        .env("LINE", line);
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut words: Vec<String> = printed
        .lines()
        .map(|word| word.trim_end().to_owned())
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn shells_offer_commands_sources_and_plugins() {
    let dir = TempDir::with_prefix("twill-completions-").unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_manual"))
        .arg(dir.path())
        .status();
    assert!(made.unwrap().success());
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("empty/list"), "").unwrap();
    fs::write(dir.path().join(".zshrc"), ZSHRC).unwrap();
    for (shell, script) in [("bash", BASH), ("fish", FISH), ("zsh", ZSH)] {
        if Command::new(shell).arg("--version").output().is_err() {
            requirements::skip(&format!("needs {shell} (Debian package {shell})"));
            continue;
        }
        let offered = |line| offered(dir.path(), shell, script, line);
        let commands = offered("twill ");
        for name in ["add", "doctor", "gc", "install", "status", "uninstall"] {
            let has_it = commands.iter().any(|command| command == name);
            assert!(has_it, "{shell}: {name}: {commands:?}");
        }
        assert!(commands.len() < 20, "{shell}: {commands:?}");
        let sources = ["crictl", "ctr", "list", "nerdctl", "netns", "podman"];
        for line in ["twill gc --from ", "twill doctor --from "] {
            assert_eq!(offered(line), sources, "{shell}: {line}");
        }
        let plugins = offered("twill install --plugins ");
        assert_eq!(plugins.len(), 9, "{shell}: {plugins:?}");
        assert_eq!(plugins.first().unwrap(), "bandwidth", "{shell}");
    }
}
