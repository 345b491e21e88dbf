//! Tests of directories, files and locks.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

fn directory() -> (TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::create(&temp.path().join("d"), 0o755).unwrap();
    (temp, dir)
}

fn sorted_names(dir: &Dir) -> Vec<std::ffi::OsString> {
    let mut names = Vec::new();
    let visit = |name: &OsStr| -> Result<(), StateError> {
        names.push(name.to_owned());
        Ok(())
    };
    dir.visit(visit).unwrap();
    names.sort();
    names
}

#[test]
fn create_refuses_an_existing_file_and_replace_does_not() {
    let (_temp, dir) = directory();
    let guard = dir.lock("lock", TIMEOUT).unwrap();
    assert_eq!(dir.read("a").unwrap(), None);
    assert!(guard.create("a", b"1", None).unwrap());
    assert!(!guard.create("a", b"2", None).unwrap());
    assert_eq!(dir.read("a").unwrap().as_deref(), Some(&b"1"[..]));
    guard.replace("a", b"3").unwrap();
    assert_eq!(dir.read("a").unwrap().as_deref(), Some(&b"3"[..]));
    guard.replace("b", b"4").unwrap();
    assert_eq!(sorted_names(&dir), ["a", "b", "lock"]);
    assert!(guard.remove("a").unwrap());
    assert!(!guard.remove("a").unwrap());
    assert_eq!(sorted_names(&dir), ["b", "lock"]);
    guard.create("c", b"5", None).unwrap();
    assert!(!guard.rename_durably("c", "b").unwrap());
    assert_eq!(dir.read("b").unwrap().as_deref(), Some(&b"4"[..]));
    assert_eq!(sorted_names(&dir), ["b", "c", "lock"]);
    guard.remove("b").unwrap();
    assert!(guard.rename_durably("c", "b").unwrap());
    assert_eq!(dir.read("b").unwrap().as_deref(), Some(&b"5"[..]));
    assert_eq!(sorted_names(&dir), ["b", "lock"]);
    assert!(guard.rename_durably("c", "d").is_err());

    let metadata = fs::metadata(dir.path().join("b")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o600, 1));
}

#[test]
fn update_overwrites_in_place_only_contents_of_the_same_length() {
    let (temp, dir) = directory();
    let guard = dir.lock_whole(TIMEOUT).unwrap();
    let path = dir.path().join("a");
    let inode = || fs::metadata(&path).unwrap().ino();
    guard.update("a", b"10.0.0.8").unwrap();
    let first = inode();
    guard.update("a", b"10.0.0.9").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"10.0.0.9");
    assert_eq!(inode(), first);
    guard.update("a", b"10.0.0.10").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"10.0.0.10");
    guard.update("a", b"fd00::1").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"fd00::1");
    // A link, symbolic or hard, is never written through.
    let outside = temp.path().join("outside");
    fs::write(&outside, "1234567").unwrap();
    for link in [fs::hard_link::<&Path, &Path>, symlink] {
        fs::remove_file(&path).unwrap();
        link(&outside, &path).unwrap();
        guard.update("a", b"fd00::2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"fd00::2");
        assert_eq!(fs::read(&outside).unwrap(), b"1234567");
    }
}

#[test]
fn a_writer_replaces_the_temporary_file_of_a_killed_one() {
    let (_temp, dir) = directory();
    let guard = dir.lock_whole(TIMEOUT).unwrap();
    // Killed between linking and unlinking: one file under both names.
    fs::write(dir.path().join("a"), "given").unwrap();
    fs::hard_link(dir.path().join("a"), dir.path().join(ASIDE)).unwrap();
    guard.replace("b", b"new").unwrap();
    assert_eq!(dir.read("a").unwrap().as_deref(), Some(&b"given"[..]));
    assert_eq!(dir.read("b").unwrap().as_deref(), Some(&b"new"[..]));
    // Killed before the link.
    fs::write(dir.path().join(ASIDE), "half").unwrap();
    assert!(guard.create("c", b"whole", None).unwrap());
    assert_eq!(sorted_names(&dir), ["a", "b", "c"]);
}

#[test]
fn symbolic_links_are_not_followed() {
    let (temp, dir) = directory();
    let outside = temp.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    for name in ["a", "lock"] {
        symlink(&outside, dir.path().join(name)).unwrap();
    }
    let refusal = |name: &str| {
        format!(
            "{} is no regular file: remove it if nobody needs it",
            dir.path().join(name).display()
        )
    };
    assert_eq!(dir.read("a").unwrap_err().to_string(), refusal("a"));
    assert_eq!(
        dir.lock("lock", TIMEOUT).unwrap_err().to_string(),
        refusal("lock")
    );
    let guard = dir.lock_whole(TIMEOUT).unwrap();
    assert!(!guard.create("a", b"x", None).unwrap());
    symlink(&outside, dir.path().join(ASIDE)).unwrap();
    guard.replace("a", b"x").unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"secret");
    assert!(!dir.path().join("a").is_symlink());

    let root = Dir::open(temp.path()).unwrap().unwrap();
    symlink(dir.path(), temp.path().join("link")).unwrap();
    let refusal = format!(
        "{} is not a directory: remove it if nobody needs it",
        temp.path().join("link").display()
    );
    assert_eq!(root.open_child("link").unwrap_err().to_string(), refusal);
    assert_eq!(
        root.create_child("link", 0o755).unwrap_err().to_string(),
        refusal
    );
    assert_eq!(sorted_names(&root), ["d", "link", "outside"]);
}

#[test]
fn anything_but_a_regular_file_is_an_error() {
    let (_temp, dir) = directory();
    nix::unistd::mkfifo(&dir.path().join("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    for name in ["fifo", "directory"] {
        assert_eq!(
            dir.read(name).unwrap_err().to_string(),
            format!(
                "{} is no regular file: remove it if nobody needs it",
                dir.path().join(name).display()
            )
        );
    }
}

#[test]
fn directories_are_created_with_their_mode_and_may_be_missing() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a/b");
    assert!(Dir::open(&path).unwrap().is_none());
    let dir = Dir::create(&path, 0o700).unwrap();
    assert!(dir.open_child("c").unwrap().is_none());
    dir.create_child("c", 0o711).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(&path.join("c"))), (0o700, 0o711));
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(
        Dir::create(&file.join("x"), 0o700).unwrap_err().to_string(),
        format!(
            "cannot open {}: Not a directory (os error 20)",
            file.join("x").display()
        )
    );
}

#[test]
fn one_process_holds_the_lock_and_the_error_of_others_names_it() {
    let (_temp, dir) = directory();
    let guard = dir.lock("lock", TIMEOUT).unwrap();
    let other = Dir::open(dir.path()).unwrap().unwrap();
    let error = other.lock("lock", Duration::from_millis(20)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is locked by process {} for more than 0.02 s: wait for it or end it",
            dir.path().join("lock").display(),
            std::process::id()
        )
    );
    // Locking a file in the directory locks the directory too.
    let error = other.lock_whole(Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is locked by process {} for more than 0 s: wait for it or end it",
            dir.path().display(),
            std::process::id()
        )
    );
    drop(guard);
    drop(other.lock_whole(Duration::ZERO).unwrap());
    drop(other.lock("lock", Duration::ZERO).unwrap());
}

#[test]
fn removing_the_lock_file_does_not_release_the_lock() {
    let (_temp, dir) = directory();
    let path = dir.path().join("lock");
    let guard = dir.lock("lock", TIMEOUT).unwrap();
    let other = Dir::open(dir.path()).unwrap().unwrap();
    for _ in 0..2 {
        fs::remove_file(&path).unwrap();
        let error = other.lock("lock", Duration::from_millis(20)).unwrap_err();
        assert!(
            matches!(&error, StateError::Locked { path, .. } if path == dir.path()),
            "{error}"
        );
    }
    drop(guard);
    drop(other.lock("lock", TIMEOUT).unwrap());
    assert!(path.exists());
}

/// Locks as the Go plugin does: the file alone, without a timeout.
fn go_lock(dir: &Dir) -> File {
    let path = dir.path().join("lock");
    let file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn a_process_that_waited_on_a_removed_lock_file_waits_for_the_new_one() {
    let (_temp, dir) = directory();
    let first = go_lock(&dir);
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let own = scope.spawn(|| {
            let guard = dir.lock("lock", TIMEOUT).unwrap();
            assert!(ended.load(std::sync::atomic::Ordering::SeqCst));
            drop(guard);
        });
        let waits = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let inode = format!(":{} ", first.metadata().unwrap().ino());
            locks
                .lines()
                .any(|line| line.contains("-> FLOCK") && line.contains(&inode))
        };
        while !waits() {
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(dir.path().join("lock")).unwrap();
        let second = go_lock(&dir);
        drop(first);
        std::thread::sleep(Duration::from_millis(100));
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        drop(second);
        own.join().unwrap();
    });
}

/// The lock file is open for writing, as NFS needs it.
#[test]
fn the_lock_file_is_opened_for_writing() {
    let (_temp, dir) = directory();
    let guard = dir.lock("lock", TIMEOUT).unwrap();
    let file = guard.locks.file().unwrap();
    let flags = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    let access = OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE;
    assert_eq!(access, OFlag::O_RDWR);
}

#[test]
fn anything_but_a_regular_file_is_no_lock_file() {
    let (_temp, dir) = directory();
    let path = |name| dir.path().join(name);
    nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(path("directory")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    for name in ["fifo", "directory", "socket"] {
        assert_eq!(
            dir.lock(name, TIMEOUT).unwrap_err().to_string(),
            format!(
                "{} is no regular file: remove it if nobody needs it",
                path(name).display()
            )
        );
    }
}

#[test]
fn the_lock_is_handed_over_while_waiting() {
    let (_temp, dir) = directory();
    let counter = dir.path().join("counter");
    fs::write(&counter, "0").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let own = Dir::open(dir.path()).unwrap().unwrap();
                    let guard = own.lock("lock", TIMEOUT).unwrap();
                    let text = fs::read_to_string(&counter).unwrap();
                    let next: u32 = text.parse::<u32>().unwrap() + 1;
                    guard
                        .replace("counter", next.to_string().as_bytes())
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(fs::read_to_string(&counter).unwrap(), "200");
}

#[test]
fn a_name_that_is_too_long_counts_as_missing() {
    let (_temp, dir) = directory();
    let name = "a".repeat(256);
    assert_eq!(dir.read(&name).unwrap(), None);
    assert!(dir.open_child(&name).unwrap().is_none());
    let guard = dir.lock_whole(TIMEOUT).unwrap();
    assert!(!guard.remove(&name).unwrap());
    let error = guard.replace(&name, b"1").unwrap_err().to_string();
    assert!(error.ends_with("name too long (os error 36)"), "{error}");
    assert!(dir.create_child(&name, 0o700).is_err());
    assert_eq!(sorted_names(&dir), [""; 0]);
}
