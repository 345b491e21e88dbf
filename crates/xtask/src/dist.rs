//! The plugins as they are installed: small, stripped, and with no need of any library.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::elf::{FileHeader32, FileHeader64, PT_DYNAMIC, PT_INTERP, ProgramType};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use crate::command::{self, Show};
use crate::platform::Platform;
use crate::workspace::Workspace;

const PLUGINS: [Plugin; 3] = [
    Plugin {
        package: "twill-flannel",
        name: "flannel",
    },
    Plugin {
        package: "twill-host-local",
        name: "host-local",
    },
    // The operator's commands: no plugin, but installed with them.
    Plugin {
        package: "twill",
        name: "twill",
    },
];

// Linked statically, a plugin starts without the dynamic linker and runs on a node of any libc.
// Not being movable (no PIE) it has no relocations to be done at the start either; it gives up
// address randomization of its code, in a process that lives a millisecond and parses no network
// traffic.
pub(crate) const RUSTFLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

struct Plugin {
    package: &'static str,
    name: &'static str,
}

/// A plugin that was built.
pub(crate) struct Built {
    name: &'static str,
    bytes: u64,
}

/// Builds all plugins and leaves them in [`Workspace::dist_dir`].
pub(crate) fn build(workspace: &Workspace, show: Show) -> Result<Vec<Built>> {
    let platform = Platform::of_plugins()?;
    // With a target named, cargo keeps RUSTFLAGS from build scripts and procedural macros.
    let mut cargo = workspace.cargo(&["build", "--release", "--target", platform.triple()]);
    for plugin in PLUGINS {
        cargo.args(["--package", plugin.package]);
    }
    cargo
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::run(cargo, show)?;

    let folder = workspace.dist_dir();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let built_in = workspace.target.join(platform.triple()).join("release");
    PLUGINS
        .iter()
        .map(|Plugin { name, .. }| {
            let built = built_in.join(name);
            let bytes = check_static(&built)?;
            install(&built, &folder.join(name))?;
            Ok(Built { name, bytes })
        })
        .collect()
}

/// The plugins' sizes, one a line.
pub(crate) fn table(plugins: &[Built], folder: &Path) -> String {
    let row = |name: &str, bytes: u64| format!("{name:<12} {:>6.1} KiB", bytes as f64 / 1024.0);
    let mut table = String::new();
    for plugin in plugins {
        table.push_str(&row(plugin.name, plugin.bytes));
        table.push('\n');
    }
    let total = row("total", plugins.iter().map(|plugin| plugin.bytes).sum());
    table + &format!("{total}  in {}\n", folder.display())
}

/// The size of a binary that needs neither a dynamic linker nor a library; an error for any other.
///
/// The file's own headers say so for sure: `ldd` runs what it looks at, and its words and exit
/// codes differ from libc to libc.
fn check_static(path: &Path) -> Result<u64> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let types = match FileKind::parse(&*bytes) {
        Ok(FileKind::Elf32) => segment_types::<FileHeader32<Endianness>>(&bytes),
        Ok(FileKind::Elf64) => segment_types::<FileHeader64<Endianness>>(&bytes),
        _ => bail!("{shown} is no ELF file"),
    };
    for segment in types.with_context(|| format!("cannot read the headers of {shown}"))? {
        match segment {
            PT_INTERP => bail!("{shown} is not static: it names a dynamic linker"),
            PT_DYNAMIC => bail!("{shown} is not static: it has a dynamic section"),
            _ => {}
        }
    }
    Ok(bytes.len().try_into()?)
}

fn segment_types<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Vec<ProgramType>> {
    let header = Elf::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?.iter();
    Ok(segments.map(|segment| segment.p_type(endian)).collect())
}

/// Puts a binary into place whole, also over one that runs.
pub(crate) fn install(from: &Path, to: &Path) -> Result<()> {
    let aside = to.with_extension("new");
    let copied = fs::copy(from, &aside)
        .and_then(|_| fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&aside, to));
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    let mode = fs::metadata(to)?.permissions().mode() & 0o777;
    ensure!(
        mode == 0o755,
        "{} has mode {mode:o} instead of 755",
        to.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_is_refused() {
        // The test itself is linked in the usual way.
        let own = std::env::current_exe().unwrap();
        let error = check_static(&own).unwrap_err().to_string();
        assert!(error.contains("is not static"), "{error}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(
            check_static(&source)
                .unwrap_err()
                .to_string()
                .contains("is no ELF file")
        );
    }

    #[test]
    fn the_table_adds_up() {
        let plugins = [
            Built {
                name: "a",
                bytes: 1536,
            },
            Built {
                name: "b",
                bytes: 102_400,
            },
        ];
        assert_eq!(
            table(&plugins, Path::new("/t/cni")),
            "a               1.5 KiB\nb             100.0 KiB\ntotal         101.5 KiB  in /t/cni\n"
        );
    }

    #[test]
    fn a_binary_is_installed_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        install(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
