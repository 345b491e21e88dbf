//! The pages, and what code they have.

use std::fs;
use std::path::{Path, PathBuf};

/// A page.
pub(crate) struct Page {
    /// Its path in the repository.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A block of code.
pub(crate) struct Block {
    /// Where it stands.
    pub(crate) place: String,
    /// The last heading before it.
    pub(crate) section: String,
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

/// A command, and what the page says that it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) output: Vec<String>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All pages for users and developers.
pub(crate) fn all() -> Vec<Page> {
    let mut names: Vec<String> = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
        "deploy/README.md",
    ]
    .map(str::to_owned)
    .into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    let read = |name: String| Page {
        text: fs::read_to_string(root().join(&name)).unwrap(),
        name,
    };
    names.into_iter().map(read).collect()
}

/// A page of this name.
pub(crate) fn named(name: &str) -> Page {
    all().into_iter().find(|page| page.name == name).unwrap()
}

impl Page {
    /// The blocks between fences, which may be indented.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut section) = (Vec::new(), String::new());
        let mut open: Option<(usize, Block)> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            let fence = line.trim_start().strip_prefix("```");
            open = match (open, fence) {
                (None, Some(language)) => {
                    let block = Block {
                        place: format!("{}:{number}", self.name),
                        section: section.clone(),
                        language: language.to_owned(),
                        lines: Vec::new(),
                    };
                    Some((line.len() - line.trim_start().len(), block))
                }
                (Some((_, block)), Some(_)) => {
                    blocks.push(block);
                    None
                }
                (Some((indent, mut block)), None) => {
                    block
                        .lines
                        .push(line.get(indent..).unwrap_or("").to_owned());
                    Some((indent, block))
                }
                (None, None) => {
                    if let Some(heading) = line.strip_prefix('#') {
                        section = heading.trim_start_matches('#').trim().to_owned();
                    }
                    None
                }
            };
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// The code within lines of text.
    pub(crate) fn spans(&self) -> Vec<String> {
        let (mut text, mut inside) = (String::new(), false);
        for line in self.text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            inside ^= is_fence;
            if !inside && !is_fence {
                text.push_str(line);
                text.push(' ');
            }
        }
        let words = |span: &str| span.split_whitespace().collect::<Vec<_>>().join(" ");
        text.split('`').skip(1).step_by(2).map(words).collect()
    }
}

impl Block {
    /// The commands, which follow a prompt. A comment stands two blanks behind one.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = Vec::new();
        for line in &self.lines {
            let prompt = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ "));
            if let Some(command) = prompt {
                let command = command.split("  #").next().unwrap_or_default();
                shown.push(Shown {
                    command: command.trim_end().to_owned(),
                    output: Vec::new(),
                });
            } else {
                let last = shown.last_mut();
                let last = last.unwrap_or_else(|| panic!("{} has no command", self.place));
                last.output.push(line.clone());
            }
        }
        shown
    }
}

/// All blocks of a language.
pub(crate) fn blocks(language: &str) -> Vec<Block> {
    let blocks = all().into_iter().flat_map(|page| page.blocks());
    blocks.filter(|block| block.language == language).collect()
}

/// The anchor that a heading has.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter_map(|it| match it {
        ' ' => Some('-'),
        it if it.is_alphanumeric() || "-_".contains(it) => Some(it),
        _ => None,
    });
    kept.collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut count = 0;
    for page in all() {
        let dir = Path::new(&page.name).parent().unwrap().to_owned();
        for target in page.text.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (path, part) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => root().join(&page.name),
                path => root().join(&dir).join(path),
            };
            assert!(path.exists(), "{}: no {target}", page.name);
            if !part.is_empty() {
                let text = fs::read_to_string(path).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|heading| anchor(heading) == part);
                assert!(found, "{}: no heading {target}", page.name);
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn code_is_found_with_its_place() {
    let page = Page {
        name: "page.md".to_owned(),
        text:
            "# One\n\nRun `twill\nls`.\n\n## Two\n\n- a\n\n  ```console\n  # ls  # lists\n  a b\n  \
               $ pwd\n  ```\n"
                .to_owned(),
    };
    assert_eq!(page.spans(), ["twill ls"]);
    let blocks = page.blocks();
    let [block] = blocks.as_slice() else {
        panic!("{} blocks", blocks.len());
    };
    assert_eq!(
        (block.place.as_str(), block.section.as_str()),
        ("page.md:10", "Two")
    );
    let shown = |command: &str, output: &[&str]| Shown {
        command: command.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(block.shown(), [shown("ls", &["a b"]), shown("pwd", &[])]);
}
