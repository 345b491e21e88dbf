//! What archives and packages contain, and where a distribution has it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xtask::command::{self, Show};
use xtask::workspace::Workspace;

use crate::stage::{PAGE, PROGRAM, Stage};

/// What was built for an architecture.
#[derive(Clone, Debug)]
pub struct Product {
    /// The multi-call binary.
    pub binary: PathBuf,
    /// The directory that the program `manual` has filled.
    pub manual: PathBuf,
    /// The licences of libraries, from [`notices`](crate::notices).
    pub notices: String,
}

impl Product {
    /// The level at which xz compresses all copies of the binary to little more than one: the
    /// lowest whose dictionary has room for it.
    pub(crate) fn xz_level(&self) -> Result<u8> {
        let binary = fs::metadata(&self.binary);
        let size = binary.with_context(|| format!("cannot read {}", self.binary.display()))?;
        Ok(if size.len() < 4 << 20 { 3 } else { 6 })
    }
}

/// The directories of a distribution.
pub(crate) struct Layout {
    pub(crate) plugins: &'static str,
    pub(crate) zsh_completions: &'static str,
}

const BASH_COMPLETIONS: &str = "usr/share/bash-completion/completions";
const DOCUMENTATION: &str = "usr/share/doc/twill";
const FISH_COMPLETIONS: &str = "usr/share/fish/vendor_completions.d";
const UNITS: &str = "usr/lib/systemd/system";

/// The name of the licences of libraries.
pub(crate) const NOTICES: &str = "third-party-notices.txt";

/// What to read about it, besides.
const PAGES: [&str; 5] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
];

/// The directories that pages lead to.
const DIRECTORIES: [&str; 4] = ["deploy", "deploy/helm", "deploy/kustomize", "docs"];

/// The pages and what they lead to, by their paths in the workspace, with their modes.
fn documentation(root: &Path) -> Result<Vec<(String, u32)>> {
    let mut all: Vec<_> = PAGES
        .iter()
        .map(|page| ((*page).to_owned(), PAGE))
        .collect();
    for dir in DIRECTORIES {
        for file in files(&root.join(dir))? {
            let is_script = file.extension().is_some_and(|it| it == "sh");
            let mode = if is_script { PROGRAM } else { PAGE };
            if file.is_file() {
                all.push((format!("{dir}/{}", base(&file)), mode));
            }
        }
    }
    Ok(all)
}

/// Writes the manual pages and completions into a directory.
///
/// # Errors
/// If the program `manual` does not build, or fails.
pub fn write_manual(workspace: &Workspace, dir: &Path) -> Result<()> {
    let mut manual = workspace.run("manual");
    manual.arg(dir);
    command::run(manual, Show::IfItFails)
}

/// Stages the contents of an archive below its name.
pub(crate) fn stage_archive(
    stage: &Stage,
    name: &str,
    root: &Path,
    product: &Product,
) -> Result<()> {
    stage.copy(&format!("{name}/twill"), PROGRAM, &product.binary)?;
    for (page, mode) in documentation(root)? {
        stage.copy(&format!("{name}/{page}"), mode, &root.join(page))?;
    }
    stage.copy(&format!("{name}/LICENSE"), PAGE, &root.join("LICENSE"))?;
    stage.write(&format!("{name}/{NOTICES}"), PAGE, &product.notices)?;
    for dir in ["man", "completions"] {
        for file in files(&product.manual.join(dir))? {
            stage.copy(&format!("{name}/{dir}/{}", base(&file)), PAGE, &file)?;
        }
    }
    for unit in files(&root.join("deploy/systemd"))? {
        stage.copy(&format!("{name}/systemd/{}", base(&unit)), PAGE, &unit)?;
    }
    Ok(())
}

/// Stages what a distribution's package installs. Each plugin is a file of its own, because a
/// program that overwrites one of them (`cp -f`) must leave the others whole.
pub(crate) fn stage_package(
    stage: &Stage,
    layout: &Layout,
    workspace: &Workspace,
    product: &Product,
) -> Result<()> {
    stage.copy("usr/bin/twill", PROGRAM, &product.binary)?;
    for plugin in workspace.plugins()? {
        let path = format!("{}/{plugin}", layout.plugins);
        stage.copy(&path, PROGRAM, &product.binary)?;
    }
    for (page, mode) in documentation(&workspace.root)? {
        let path = format!("{DOCUMENTATION}/{page}");
        stage.copy(&path, mode, &workspace.root.join(page))?;
    }
    stage.compress(&format!("{DOCUMENTATION}/{NOTICES}"), &product.notices)?;
    for page in files(&product.manual.join("man"))? {
        let section = page.extension().unwrap_or_default().display().to_string();
        let path = format!("usr/share/man/man{section}/{}", base(&page));
        stage.compress(&path, read(&page)?)?;
    }
    let completions = product.manual.join("completions");
    for (dir, name) in [
        (BASH_COMPLETIONS, "twill"),
        (layout.zsh_completions, "_twill"),
        (FISH_COMPLETIONS, "twill.fish"),
    ] {
        stage.copy(&format!("{dir}/{name}"), PAGE, &completions.join(name))?;
    }
    for unit in files(&workspace.root.join("deploy/systemd"))? {
        stage.copy(&format!("{UNITS}/{}", base(&unit)), PAGE, &unit)?;
    }
    Ok(())
}

/// The files of a directory, in order.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        files.push(entry.with_context(unreadable)?.path());
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn base(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets of links in a page, without the parts of pages.
    fn links(page: &str) -> Vec<&str> {
        let ends = page.split("](").skip(1);
        let targets = ends.filter_map(|rest| rest.split([')', '#']).next());
        targets
            .filter(|target| !target.is_empty() && !target.contains("://"))
            .collect()
    }

    #[test]
    fn each_link_of_a_page_leads_to_another_one() {
        let root = Workspace::find().unwrap().root;
        let all = documentation(&root).unwrap();
        let (mut count, mut dead) = (0, Vec::new());
        for (path, _) in all.iter().filter(|(path, _)| path.ends_with(".md")) {
            let page = fs::read_to_string(root.join(path)).unwrap();
            let dir = Path::new(path).parent().unwrap();
            for link in links(&page) {
                let target = match link.strip_prefix("../") {
                    Some(above) => dir.parent().unwrap().join(above),
                    None => dir.join(link),
                };
                count += 1;
                if !all.iter().any(|(path, _)| Path::new(path) == target) {
                    dead.push(format!("{path}: {link}"));
                }
            }
        }
        assert!(count > 20, "{count}");
        assert_eq!(dead, [""; 0]);
    }
}
