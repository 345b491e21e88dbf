//! What figures depend on and a reader wants to know of the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// The processors, the kernel, and the file system that a folder is on, as `2 CPUs, Linux 6.1.0, ext4`.
pub(super) fn described(folder: &Path) -> Result<String> {
    let cpus = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let file_system = file_system(folder)?;
    Ok(format!(
        "{cpus} CPUs, Linux {}, {file_system}",
        kernel.trim()
    ))
}

/// The type of the file system that a folder is on.
fn file_system(folder: &Path) -> Result<String> {
    let mut df = Command::new("df");
    df.arg("--output=fstype").arg(folder);
    let output = df.output().context("cannot run `df`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let kind = text.lines().nth(1).map(str::trim);
    Ok(kind
        .with_context(|| format!("`df` does not tell what {} is on", folder.display()))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_told() {
        assert_eq!(file_system(Path::new("/proc/self")).unwrap(), "proc");
        assert!(file_system(Path::new("/no/such/folder")).is_err());
    }
}
