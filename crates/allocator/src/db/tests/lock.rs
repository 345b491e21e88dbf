//! The lock, and what is noted in its file.

use std::fs::TryLockError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Pages that tell, when redb lets go of them, whether the database's lock is held.
#[derive(Debug)]
struct Watching {
    pages: PageFile,
    lock: PathBuf,
    held: Arc<AtomicBool>,
}

impl StorageBackend for Watching {
    fn len(&self) -> io::Result<u64> {
        self.pages.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.pages.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.pages.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pages.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pages.sync_data()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let tried = File::open(&self.lock).unwrap().try_lock();
        let held = matches!(tried, Err(TryLockError::WouldBlock));
        self.held.store(held, Ordering::SeqCst);
    }
}

#[test]
fn redb_closes_the_file_before_the_lock_is_released() {
    let directory = Directory::new();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let database = directory.database();
    type End = fn(Transaction<'_>);
    let ends: [(&str, End); 4] = [
        ("changed and committed", |transaction| {
            del(transaction.network(&name("net")), "c1").unwrap();
        }),
        ("committed unchanged", |transaction| {
            del(transaction.network(&name("net")), "nobody").unwrap();
        }),
        ("not committed", |transaction| {
            let mut store = transaction.network(&name("net"));
            store.release(ip("10.1.1.2")).unwrap();
        }),
        ("not used", |transaction| drop(transaction)),
    ];
    for (what, end) in ends {
        let guard = database.dir.lock(LOCK, TIMEOUT).unwrap();
        let file = database.dir.open_in_place(FILE).unwrap().unwrap();
        let pages = PageFile::open(file).unwrap();
        let held = Arc::new(AtomicBool::new(false));
        let watching = Watching {
            pages: pages.clone(),
            lock: directory.path().join(LOCK),
            held: Arc::clone(&held),
        };
        end(database
            .begin_on(watching, pages, guard, BootId::parse(BOOT))
            .unwrap());
        assert!(held.load(Ordering::SeqCst), "{what}");
    }
}

#[test]
fn a_file_that_others_have_changed_is_checked() {
    let directory = Directory::new();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let database = directory.database();
    let intact = |boot| {
        let transaction = database.begin(TIMEOUT, BootId::parse(boot)).unwrap();
        transaction.lock.is_intact()
    };
    assert!(intact(BOOT));
    // Neither a look nor an ADD that fails changes that.
    directory.held_by("net", "c1").unwrap();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap_err();
    assert!(intact(BOOT));

    let same = fs::read(directory.file()).unwrap();
    let copy = directory.path().join("copy");
    type Act<'a> = &'a dyn Fn();
    let acts: [(&str, Act<'_>); 4] = [
        ("written", &|| fs::write(directory.file(), &same).unwrap()),
        ("another file", &|| {
            fs::copy(directory.file(), &copy).unwrap();
            fs::rename(&copy, directory.file()).unwrap();
        }),
        ("no note", &|| {
            fs::remove_file(directory.path().join(LOCK)).unwrap();
        }),
        ("time set back", &|| {
            let file = File::options().write(true).open(directory.file()).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }),
    ];
    for (what, act) in acts {
        act();
        assert!(!intact(BOOT), "{what}");
        assert!(intact(BOOT), "{what}");
    }
    assert!(!intact(NEXT_BOOT));
    assert!(intact(NEXT_BOOT));
}

#[test]
fn removing_the_lock_file_does_not_release_the_lock() {
    const ADDS: usize = 30;
    const THREADS: usize = 4;
    let directory = Directory::new();
    let done = AtomicBool::new(false);
    let mut given: Vec<String> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let _ = fs::remove_file(directory.path().join(LOCK));
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let adders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let directory = &directory;
                scope.spawn(move || {
                    let ids = (0..ADDS).map(|turn| format!("c{thread}-{turn}"));
                    let given = ids.map(|id| directory.add("net", &["10.1.0.0/16"], &id));
                    given.collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let given: Vec<_> = adders.into_iter().map(|adder| adder.join()).collect();
        done.store(true, Ordering::SeqCst);
        given
            .into_iter()
            .flat_map(|given| given.unwrap().unwrap())
            .flatten()
            .collect()
    });
    given.sort();
    given.dedup();
    assert_eq!(given.len(), THREADS * ADDS);
    assert_eq!(audit(&directory.database()).len(), THREADS * ADDS);
}
