//! A place in which plugins can run with any input and damage nothing.

use std::cell::{Cell, RefCell};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot};
use testkit::Node;

/// The timeout of one input. Some calls rightly wait for a second.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Where the root directory of the jail is on its node.
const ROOT: &str = "/run/jail";

/// Neither the plugins' nor a directory to look into.
const PROC: &str = "/proc";

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The message of the thread's last panic.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A thread whose network is a node's, and whose whole file system is a few empty directories in
/// memory and `/proc`. All of it is gone when the thread ends.
#[derive(Debug)]
pub(crate) struct Jail {
    inputs: Sender<Vec<u8>>,
    verdicts: Receiver<Result<()>>,
}

impl Jail {
    /// Starts the thread, which calls `feed` for each input.
    pub(crate) fn new(feed: fn(&[u8]) -> Result<()>) -> Self {
        let usual = take_hook();
        set_hook(Box::new(move |panic| match IS_INSIDE.get() {
            true => PANIC.set(panic.to_string()),
            false => usual(panic),
        }));
        let (inputs, incoming) = channel::<Vec<u8>>();
        let (outgoing, verdicts) = channel();
        let serve = move || {
            close()?;
            IS_INSIDE.set(true);
            for input in incoming {
                let feed = || clear().and_then(|()| feed(&input));
                let fed = catch_unwind(AssertUnwindSafe(feed));
                let verdict = fed.unwrap_or_else(|_| Err(anyhow!(PANIC.take())));
                // Without a receiver it has taken too long.
                drop(outgoing.send(verdict));
            }
            Ok(())
        };
        thread::spawn(|| Node::new().and_then(|node| node.enter(serve)));
        Self { inputs, verdicts }
    }

    /// Feeds one input; the error says what is wrong with the replies.
    pub(crate) fn feed(&self, input: &[u8]) -> Result<()> {
        // If the thread has ended, the receiver says so.
        drop(self.inputs.send(input.to_owned()));
        match self.verdicts.recv_timeout(TIMEOUT) {
            Ok(verdict) => verdict,
            Err(RecvTimeoutError::Timeout) => bail!("no reply after {TIMEOUT:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("cannot make the jail: this needs root"),
        }
    }
}

fn close() -> Result<()> {
    let proc = format!("{ROOT}{PROC}");
    fs::create_dir_all(&proc)?;
    let (none, flags) = (None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC);
    mount(Some(PROC), proc.as_str(), none, flags, none).context("cannot have /proc in the jail")?;
    chroot(ROOT).context("cannot enter the jail")?;
    chdir("/").context("cannot leave the old directory")
}

/// Removes all files.
fn clear() -> Result<()> {
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        if entry.path() == Path::new(PROC) {
            continue;
        }
        let removed = match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
        removed.context("cannot clear the jail")?;
    }
    Ok(())
}

/// Writes a file, and its directories where they are missing.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    Ok(fs::write(path, contents)?)
}

/// All files below a directory, without directories.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let below = |path: PathBuf| match path.is_dir() && !path.is_symlink() {
        true => files(&path),
        false => vec![path],
    };
    paths
        .filter(|path| path != Path::new(PROC))
        .flat_map(below)
        .collect()
}

#[cfg(test)]
mod tests {
    use testkit::requirements::require_root;

    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_input_finds_no_files() {
        if !require_root() {
            return;
        }
        let jail = Jail::new(|input| {
            write(Path::new("/a/b"), input)?;
            let found = files(Path::new("/"));
            assert_eq!(found, [Path::new("/a/b")]);
            assert_ne!(input, b"bad", "the input is bad");
            Ok(())
        });
        jail.feed(b"good").unwrap();
        let error = jail.feed(b"bad").unwrap_err().to_string();
        assert!(error.contains("the input is bad"), "{error}");
        jail.feed(b"good").unwrap();
    }
}
