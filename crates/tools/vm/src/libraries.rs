//! The libraries that a program needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The files that the dynamic linker would load for a program, and the linker; none for a script or
/// a static program.
pub(crate) fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot run `ldd` (Debian package libc-bin)")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // `name => /path (0x…)`, or `/path (0x…)` for the linker. A program that is not dynamic fails.
    let paths = printed.lines().filter_map(|line| {
        let place = line.split("=> ").last()?.trim();
        let path = place.split(" (").next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    });
    Ok(paths.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_a_script() {
        let libraries = of(Path::new("/bin/ls")).unwrap();
        let has = |part: &str| {
            let mut texts = libraries.iter().map(|path| path.to_string_lossy());
            texts.any(|path| path.contains(part))
        };
        assert!(has("libc.so") && has("ld-linux"), "{libraries:?}");
        assert_eq!(
            of(Path::new("/etc/passwd")).unwrap(),
            [""; 0].map(PathBuf::from)
        );
    }
}
