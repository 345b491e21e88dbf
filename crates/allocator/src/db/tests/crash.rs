//! Storage that fails, power cuts, kills, and many processes at once.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;

use super::*;

const DUAL: [&str; 2] = ["10.1.0.0/16", "fd00::/64"];

/// What happens when a storage fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// One operation does, those after it do not.
    Once,
    /// All operations do from then on, and the first that does writes half of what it should have.
    Torn,
    /// All operations do from then on, and of what was not synced some is lost.
    PowerCut(u64),
}

/// Pages whose storage fails after some operations.
#[derive(Debug)]
struct Failing {
    pages: PageFile,
    file: File,
    failure: Failure,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: usize,
    failed: bool,
    /// How to undo what was done since the last sync.
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Write { at: u64, before: Vec<u8> },
    Resize(u64),
}

/// What an operation changes in the file.
enum Change {
    Nothing,
    Bytes { at: u64, len: usize },
    Length,
}

impl Failing {
    fn step(&self, change: &Change) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let fails = match self.failure {
            Failure::Once => state.left == 0 && !state.failed,
            Failure::Torn | Failure::PowerCut(_) => state.left == 0,
        };
        if !fails {
            state.left = state.left.saturating_sub(1);
            match *change {
                Change::Nothing => {}
                Change::Bytes { at, len } => {
                    let mut before = vec![0; len];
                    let read = self.file.read_at(&mut before, at)?;
                    before.truncate(read);
                    state.undo.push(Undo::Write { at, before });
                }
                Change::Length => state.undo.push(Undo::Resize(self.file.metadata()?.len())),
            }
            return Ok(());
        }
        match (self.failure, change) {
            // The header is one sector.
            (Failure::Torn, Change::Bytes { at, len }) if !state.failed && *at > 0 => {
                self.file.write_all_at(&vec![0x5a; len / 2], *at)?;
            }
            (Failure::PowerCut(mut seed), _) => {
                for undo in state.undo.drain(..).rev() {
                    seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    match undo {
                        _ if seed >> 63 == 0 => {}
                        Undo::Write { at, before } => self.file.write_all_at(&before, at)?,
                        Undo::Resize(len) => self.file.set_len(len)?,
                    }
                }
            }
            _ => {}
        }
        state.failed = true;
        Err(io::Error::other("the disk is gone"))
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.pages.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.step(&Change::Nothing)?;
        self.pages.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (at, len) = match data.len() {
            320 => (0, 328),
            len => (offset / 4096 * 4104, len / 4096 * 4104),
        };
        self.step(&Change::Bytes { at, len })?;
        self.pages.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(&Change::Length)?;
        self.pages.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(&Change::Nothing)?;
        self.pages.sync_data()?;
        self.state.lock().unwrap().undo.clear();
        Ok(())
    }
}

/// ADD with a storage that fails after so many operations.
fn failing_add(database: &Database, left: usize, failure: Failure) -> Result<(), String> {
    let guard = database.dir.lock(LOCK, TIMEOUT).unwrap();
    let open = || database.dir.open_in_place(FILE).unwrap().unwrap();
    let pages = PageFile::open(open()).unwrap();
    let failing = Failing {
        pages: pages.clone(),
        file: open(),
        failure,
        state: Mutex::new(State {
            left,
            failed: false,
            undo: Vec::new(),
        }),
    };
    let transaction = database.begin_on(failing, pages, guard, BootId::parse(BOOT));
    let transaction = transaction.map_err(|error| error.to_string())?;
    add(transaction.network(&name("net")), &DUAL, "new").map(drop)
}

#[test]
fn whichever_operation_fails_the_add_counts_or_does_not() {
    let directory = Directory::new();
    for id in 0..20 {
        directory.add("net", &DUAL, &format!("c{id}")).unwrap();
    }
    let database = directory.database();
    let file = fs::read(directory.file()).unwrap();
    let before = audit(&database);
    directory.add("net", &DUAL, "new").unwrap();
    let after = audit(&database);
    assert_eq!(after.len(), before.len() + 2);

    for failure in [
        Failure::Once,
        Failure::Torn,
        Failure::PowerCut(1),
        Failure::PowerCut(2),
        Failure::PowerCut(u64::MAX),
    ] {
        let mut failures = 0;
        loop {
            fs::write(directory.file(), &file).unwrap();
            let added = failing_add(&database, failures, failure);
            let found = audit(&database);
            match &added {
                Ok(()) => assert!(found == after, "{failure:?} {failures}"),
                Err(message) => {
                    assert!(
                        found == before || found == after,
                        "{failure:?} {failures}: {found:?}"
                    );
                    assert!(message.contains("the disk is gone"), "{message}");
                }
            }
            // And it goes on from there.
            if found == before {
                directory.add("net", &DUAL, "new").unwrap();
            }
            directory.add("net", &DUAL, "next").unwrap();
            assert_eq!(audit(&database).len(), after.len() + 2);
            if added.is_ok() {
                break;
            }
            failures += 1;
        }
        assert!(failures > 20, "{failure:?} {failures}");
    }
}

#[test]
fn a_database_that_was_not_finished_is_made_again() {
    let directory = Directory::new();
    fs::create_dir(directory.path()).unwrap();
    for left in [&b""[..], b"half"] {
        fs::write(directory.path().join(ASIDE), left).unwrap();
        assert!(Database::open(&directory.path()).unwrap().is_none());
    }
    directory.add("net", &DUAL, "c1").unwrap();
    assert!(!directory.path().join(ASIDE).exists());
}

/// Tells a process that it is one of those that the tests below start, and where and what.
const DIRECTORY: &str = "TWILL_TEST_DATABASE";
const PREFIX: &str = "TWILL_TEST_PREFIX";

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(directory: &Directory, prefix: &str) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "db::tests::crash::a_process_of_the_tests"])
        .env(DIRECTORY, directory.path())
        .env(PREFIX, prefix)
        .stdout(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

/// ADDs and DELs, and notes each ADD after it and each DEL before it. A process whose prefix starts
/// with `few` ends after some, any other is to be killed.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what tests pass to their own processes"
)]
fn a_process_of_the_tests() {
    let (Ok(path), Ok(prefix)) = (std::env::var(DIRECTORY), std::env::var(PREFIX)) else {
        return;
    };
    let path = Path::new(&path);
    let mut log = File::options()
        .append(true)
        .create(true)
        .open(path.with_file_name(format!("log.{prefix}")))
        .unwrap();
    let mut note = |text: String| log.write_all(text.as_bytes()).unwrap();
    let rounds = if prefix.starts_with("few") { 20 } else { 1000 };
    for round in 0..rounds {
        let database = Database::create(path).unwrap();
        let begin = || begin(&database).unwrap().network(&name("net"));
        let id = format!("{prefix}.{round}");
        add(begin(), &DUAL, &id).unwrap();
        note(format!("+{id}\n"));
        if round % 3 != 0 {
            note(format!("-{id}\n"));
            del(begin(), &id).unwrap();
        }
    }
}

/// The containers whose ADD came to its end and whose DEL did not begin, from the notes.
fn noted(directory: &Directory, prefixes: &[String]) -> Vec<String> {
    let mut noted = BTreeMap::new();
    for prefix in prefixes {
        let log = fs::read_to_string(directory.temp.path().join(format!("log.{prefix}")));
        for line in log.unwrap_or_default().lines() {
            let (sign, id) = line.split_at(1);
            noted.insert(id.to_owned(), sign == "+");
        }
    }
    let held = noted.into_iter().filter(|(_, held)| *held);
    held.map(|(id, _)| id).collect()
}

#[test]
fn a_kill_while_the_database_is_made_leaves_none_or_a_whole_one() {
    let mut whole = 0;
    for round in 0.. {
        let directory = Directory::new();
        let mut child = start(&directory, "k");
        while !directory.path().join(LOCK).exists() {
            assert!(child.0.try_wait().unwrap().is_none());
            sleep(Duration::from_micros(50));
        }
        sleep(Duration::from_micros(250 * round));
        drop(child);
        if let Some(database) = Database::open(&directory.path()).unwrap() {
            audit(&database);
            whole += 1;
        }
        directory.add("net", &DUAL, "new").unwrap();
        if whole == 10 {
            break;
        }
    }
}

#[test]
fn kills_lose_nothing_that_was_said() {
    let directory = Directory::new();
    let mut prefixes = Vec::new();
    // A slow machine needs more rounds for the same.
    for round in 0u64.. {
        let mut children = Vec::new();
        for child in 0..3 {
            let prefix = format!("k{round}-{child}");
            children.push(start(&directory, &prefix));
            prefixes.push(prefix);
        }
        sleep(Duration::from_millis(40 + round * 37 % 120));
        drop(children);
        let held = audit(&directory.database());
        let noted = noted(&directory, &prefixes);
        for id in &noted {
            let owner = format!("{id}\r\neth0");
            let own = held.iter().filter(|(_, _, text)| *text == owner);
            assert_eq!(own.count(), DUAL.len(), "{id}");
        }
        if round >= 8 && noted.len() > 30 {
            break;
        }
    }
}

#[test]
fn many_processes_at_once_wait_for_each_other() {
    let directory = Directory::new();
    let prefixes: Vec<String> = (0..6).map(|child| format!("few{child}")).collect();
    let starts = prefixes.iter().map(|prefix| start(&directory, prefix));
    for mut child in starts.collect::<Vec<_>>() {
        assert!(child.0.wait().unwrap().success());
    }
    let held = audit(&directory.database());
    assert_eq!(held.len(), 6 * 7 * DUAL.len());
    assert_eq!(noted(&directory, &prefixes).len(), 6 * 7);
}
