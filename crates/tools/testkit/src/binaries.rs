//! The paths of the binaries under test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the plugins under test: `TWILL_PLUGIN_DIR` if set, else where cargo puts the
/// binaries of the profile that the running test was built with.
#[must_use]
pub fn plugin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("TWILL_PLUGIN_DIR") {
        return dir.into();
    }
    // Tests are in `target/<profile>/deps`, binaries in `target/<profile>`.
    let test = std::env::current_exe().expect("the running test's path is known");
    test.ancestors()
        .nth(2)
        .expect("a test is two directories below the target directory")
        .to_owned()
}

/// The plugin of this name under test, such as `host-local`.
///
/// # Panics
/// If it is not built.
#[must_use]
#[track_caller]
pub fn plugin(name: &str) -> PathBuf {
    let path = plugin_dir().join(name);
    let shown = path.display();
    assert!(
        path.is_file(),
        "{shown} is missing: run `cargo build --workspace`, or set TWILL_PLUGIN_DIR"
    );
    path
}

/// The words that run a program which sees no other process. Otherwise `twill` would find the
/// network namespaces of all tests that run at the same time, by their processes.
pub const WITHOUT_OTHER_PROCESSES: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

/// The operator's command under test, as on a machine of its own: [`WITHOUT_OTHER_PROCESSES`].
///
/// # Panics
/// If it is not built.
#[must_use]
#[track_caller]
pub fn twill() -> Command {
    let [unshare, options @ ..] = WITHOUT_OTHER_PROCESSES;
    let mut twill = Command::new(unshare);
    twill.args(options).arg(plugin("twill"));
    twill
}

/// Gives a directory, which is created if it is missing, links to the multi-call binary by these
/// names.
///
/// # Panics
/// If a name exists, or the binary is not built.
#[track_caller]
pub fn link_plugins(dir: &Path, names: &[&str]) {
    fs::create_dir_all(dir).unwrap();
    let twill = plugin("twill");
    for name in names {
        symlink(&twill, dir.join(name)).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_plugin_panics_with_the_command_that_builds_it() {
        let failed = std::panic::catch_unwind(|| plugin("no-such-plugin")).unwrap_err();
        let message = failed.downcast_ref::<String>().unwrap();
        assert!(
            message.contains("/no-such-plugin is missing: run `cargo build"),
            "{message}"
        );
    }
}
