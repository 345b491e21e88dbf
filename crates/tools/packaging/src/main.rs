//! `cargo xtask dist --release` and `--target`: builds for architectures, and packs what is built.

#![allow(clippy::print_stdout, reason = "a developer's command: it prints")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lexopt::{Arg, Parser, ValueExt};
use packaging::contents::{self, Product};
use packaging::release::Release;
use packaging::{archive, deb, image, notices, rpm, sbom};
use xtask::architecture::{ALL, Architecture};
use xtask::command::Show;
use xtask::dist;
use xtask::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask dist [--release] [--target NAME|all]

  --release        also make packages for Debian and for rpm, an image, and lists of the libraries
  --target NAME    build for this architecture only; `all`, the default, builds for each that this
                   machine has a compiler for

Everything goes into target/release-archives, with SHA256SUMS.
";

fn main() -> Result<()> {
    let (mut is_release, mut target) = (false, "all".to_owned());
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            Arg::Long("release") => is_release = true,
            Arg::Long("target") => target = parser.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::find()?;
    let dir = workspace.release_dir();
    make(&workspace, &dir, &architectures(&target)?, is_release)
}

fn architectures(name: &str) -> Result<Vec<&'static Architecture>> {
    if name == "all" {
        return Ok(ALL.iter().collect());
    }
    let known = ALL.map(|it| it.name).join(", ");
    let architecture = Architecture::named(name);
    let architecture =
        architecture.with_context(|| format!("{name} is neither `all` nor one of {known}"))?;
    Ok(vec![architecture])
}

/// Makes all files that this machine can make, and says why it cannot make the others.
fn make(
    workspace: &Workspace,
    dir: &Path,
    architectures: &[&'static Architecture],
    is_release: bool,
) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let release = Release::new(workspace, dir)?;
    let manual = tempfile::tempdir()?;
    contents::write_manual(workspace, manual.path())?;
    let (mut files, mut products) = (Vec::new(), Vec::new());
    let mut keep = |what: &str, made: Result<PathBuf>| match made {
        Ok(path) => {
            println!("{}", path.display());
            files.push(path);
        }
        Err(error) => println!("{what}: not made: {error:#}"),
    };
    for architecture in architectures {
        let name = architecture.name;
        let built = architecture.toolchain().and_then(|toolchain| {
            let binary = dist::build_for(workspace, &toolchain, Show::Always)?;
            let notices = notices::write(workspace, toolchain.platform.triple())?;
            Ok((toolchain, binary, notices))
        });
        let (toolchain, binary, notices) = match built {
            Ok(built) => built,
            Err(error) => {
                println!("{name}: not built: {error:#}");
                continue;
            }
        };
        let product = Product {
            binary,
            manual: manual.path().to_owned(),
            notices,
        };
        keep(name, archive::write(&release, architecture, &product));
        if is_release {
            let triple = toolchain.platform.triple();
            keep(
                "package for Debian",
                deb::write(&release, architecture, &product),
            );
            keep(
                "package for rpm",
                rpm::write(&release, architecture, &product),
            );
            keep("SBOM", sbom::write(&release, architecture, triple));
        }
        products.push((*architecture, product));
    }
    ensure!(!products.is_empty(), "nothing was built");
    if is_release {
        keep("image", image::write(&release, &products));
    }
    archive::write_sums(dir, &files)
}
