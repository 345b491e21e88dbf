//! A file that is not as it was written.

use super::*;

/// A page and its checksum, in the file.
const STRIDE: usize = 4104;

fn filled() -> (Directory, Vec<u8>) {
    let directory = Directory::new();
    for id in 0..40 {
        directory
            .add("net", &["10.1.1.0/24"], &format!("c{id}"))
            .unwrap();
    }
    let file = fs::read(directory.file()).unwrap();
    (directory, file)
}

/// Everything that reads the file: an ADD, a lookup, a walk through a network.
fn read_all(directory: &Directory) -> Result<(), String> {
    let database = directory.database();
    let transaction = begin(&database).map_err(|error| error.to_string())?;
    let mut store = transaction.network(&name("net"));
    let all = store.all().map_err(|error| error.to_string())?;
    assert_eq!(all.len(), 40);
    for id in 0..40 {
        let held = store.held_by(&attachment(&format!("c{id}")));
        assert_eq!(held.map_err(|error| error.to_string())?.len(), 1);
    }
    add(store, &["10.1.1.0/24"], "new").map(drop)
}

#[test]
fn damage_is_an_error_and_the_file_stays() {
    let (directory, whole) = filled();
    let garbage = |at: usize, len: usize| {
        let mut file = whole.clone();
        file[at..at + len].fill(0xa5);
        file
    };
    for (file, reason) in [
        (Vec::new(), "the file is empty"),
        (vec![0; 100], "it ends in the middle of a page"),
        (
            whole[..whole.len() / 2].to_vec(),
            "it ends in the middle of a page",
        ),
        (vec![0; whole.len()], "its header is not as it was written"),
        (
            garbage(0, whole.len()),
            "its header is not as it was written",
        ),
        (garbage(0, 16), "its header is not as it was written"),
        // The byte that says which of the two commits counts.
        (garbage(9, 1), "its header is not as it was written"),
    ] {
        fs::write(directory.file(), &file).unwrap();
        let expected = format!(
            "{} is damaged: {reason}; to start with an empty one, end this node's containers, \
                whose addresses it would give again, and move the file away",
            directory.file().display()
        );
        assert_eq!(
            directory.add("net", &["10.1.1.0/24"], "new"),
            Err(expected.clone())
        );
        assert_eq!(directory.held_by("net", "c1"), Err(expected));
        assert!(fs::read(directory.file()).unwrap() == file);
    }
    let error = begin(&directory.database()).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }));
}

#[test]
fn no_damaged_page_is_used() {
    let (directory, whole) = filled();
    let pages = whole.len() / STRIDE;
    let used: Vec<usize> = (0..pages)
        .filter(|page| {
            whole[page * STRIDE..][..STRIDE]
                .iter()
                .any(|byte| *byte != 0)
        })
        .collect();
    let mut refused = 0;
    for page in &used {
        for (at, len, flip) in [(0, STRIDE, 0xff), (100, 1, 0x01), (4100, 1, 0x80)] {
            if *page == 0 && at == 4100 {
                continue;
            }
            let mut file = whole.clone();
            for byte in &mut file[page * STRIDE + at..][..len] {
                *byte ^= flip;
            }
            fs::write(directory.file(), &file).unwrap();
            // Either the page is met and refused, or it is a free one and all else is as it was.
            if let Err(message) = read_all(&directory) {
                let named = message.contains(&format!("page {page} is not as it was written"))
                    || (*page == 0 && message.contains("its header is not as it was written"));
                assert!(named, "page {page}: {message}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 10, "{refused} of {}", used.len());
}

#[test]
fn a_page_at_another_place_is_damage() {
    let (directory, whole) = filled();
    let mut met = 0;
    for page in 1..whole.len() / STRIDE {
        let mut file = whole.clone();
        let other = if page == 1 { 2 } else { 1 };
        file.copy_within(other * STRIDE..(other + 1) * STRIDE, page * STRIDE);
        fs::write(directory.file(), &file).unwrap();
        if let Err(message) = read_all(&directory) {
            assert!(
                message.contains(&format!("page {page} is not")),
                "{message}"
            );
            met += 1;
        }
    }
    assert!(met >= 4, "{met}");
}

#[test]
fn tables_that_disagree_are_damage() {
    let (directory, _) = filled();
    let database = directory.database();
    let mut transaction = begin(&database).unwrap();
    let key = keys::address(&name("net"), ip("10.1.1.2"));
    transaction.unset(ADDRESSES, &key).unwrap();
    transaction.commit().unwrap();
    let message = directory.held_by("net", "c0").unwrap_err();
    assert!(
        message.contains("is damaged: 10.1.1.2 is not with its owner;"),
        "{message}"
    );

    let mut transaction = begin(&database).unwrap();
    transaction.set(ADDRESSES, &key, b"nonsense").unwrap();
    transaction.commit().unwrap();
    let message = directory.add("net", &["10.1.1.2/29"], "new").unwrap_err();
    assert!(
        message.contains("the owner of 10.1.1.2 makes no sense"),
        "{message}"
    );
    let transaction = begin(&database).unwrap();
    let message = transaction
        .network(&name("net"))
        .all()
        .unwrap_err()
        .to_string();
    assert!(message.contains("an entry makes no sense"), "{message}");
}

/// The file after each of some commits, and what it says then.
struct History {
    directory: Directory,
    versions: Vec<Version>,
}

struct Version {
    file: Vec<u8>,
    held: Vec<(NetworkName, IpAddr, String)>,
}

impl History {
    /// Pods come and go, so that pages are freed and used again.
    fn new() -> Self {
        let directory = Directory::new();
        let database = directory.database();
        for id in 0..60 {
            directory
                .add("net", &["10.1.0.0/16"], &format!("c{id}"))
                .unwrap();
        }
        let mut versions = Vec::new();
        for round in 60..76 {
            let (new, old) = (format!("c{round}"), format!("c{}", round - 60));
            directory.add("net", &["10.1.0.0/16"], &new).unwrap();
            del(begin(&database).unwrap().network(&name("net")), &old).unwrap();
            versions.push(Version {
                file: fs::read(directory.file()).unwrap(),
                held: audit(&database),
            });
        }
        Self {
            directory,
            versions,
        }
    }

    fn pages(&self) -> usize {
        let lengths = self.versions.iter().map(|version| version.file.len());
        lengths.min().unwrap() / STRIDE
    }

    /// A file each of whose pages is of the version that `of` says.
    fn mixture(&self, of: impl Fn(usize) -> usize) -> Vec<u8> {
        let mut file = Vec::new();
        for page in 0..self.pages() {
            let whole = &self.versions[of(page)].file;
            file.extend(&whole[page * STRIDE..][..STRIDE]);
        }
        file
    }

    /// Puts a file in the place of the database: it is refused, or it says what the version says
    /// that its header is of, and an ADD gives what nobody has there. Tells whether it was refused.
    fn try_file(&self, file: &[u8], version: usize, what: &str) -> bool {
        fs::write(self.directory.file(), file).unwrap();
        let held = &self.versions[version].held;
        let database = self.directory.database();
        match begin(&database).map(drop) {
            Ok(()) => {
                assert!(audit(&database) == *held, "{what}");
                let given = self.directory.add("net", &["10.1.0.0/16"], "new").unwrap();
                let given = ip(&given[0]);
                assert!(held.iter().all(|(_, held, _)| *held != given), "{what}");
                false
            }
            Err(error) => {
                assert!(
                    matches!(error, StoreError::Damaged { .. }),
                    "{what}: {error}"
                );
                let message = error.to_string();
                let start = format!("{} is damaged: ", self.directory.file().display());
                assert!(message.starts_with(&start), "{what}: {message}");
                assert!(message.contains("move the file away"), "{what}: {message}");
                assert!(fs::read(self.directory.file()).unwrap() == file, "{what}");
                // Whoever comes next does not take the file for one that has been found right.
                let again = begin(&database).map(drop).unwrap_err().to_string();
                assert_eq!(again, message, "{what}");
                true
            }
        }
    }
}

#[test]
fn a_file_that_is_cut_off_is_damage() {
    let history = History::new();
    let last = history.versions.len() - 1;
    let whole = &history.versions[last].file;
    for pages in 1..whole.len() / STRIDE {
        let what = format!("{pages} pages");
        assert!(
            history.try_file(&whole[..pages * STRIDE], last, &what),
            "{what}"
        );
    }
    assert!(!history.try_file(whole, last, "all pages"));
}

/// For how many files each of the tests below tries, if not 150.
const CASES: &str = "TWILL_TEST_DAMAGED_FILES";

#[expect(clippy::disallowed_methods, reason = "the tests' own variable")]
fn cases() -> usize {
    let cases = std::env::var(CASES).ok();
    cases.map_or(150, |cases| cases.parse().unwrap())
}

/// Numbers without an order, each below its limit.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |limit| {
        seed = seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        usize::try_from(seed >> 33).unwrap() % limit
    }
}

#[test]
fn pages_of_an_earlier_commit_are_damage() {
    let history = History::new();
    let last = history.versions.len() - 1;
    let mut random = numbers(1);
    let mut refused = 0;
    for case in 0..cases() {
        let (earlier, one_in) = (random(last), 1 + random(6));
        let used = history.pages().min(40);
        let stale: Vec<bool> = (0..used).map(|_| random(one_in) == 0).collect();
        let file = history.mixture(|page| match stale.get(page) {
            Some(true) if page > 0 => earlier,
            _ => last,
        });
        let what = format!("case {case}: of {earlier}, one in {one_in}: {stale:?}");
        refused += usize::from(history.try_file(&file, last, &what));
    }
    println!("{refused} of {} refused, the others as they were", cases());
    assert!(refused > cases() / 2, "{refused}");
}

#[test]
fn a_copy_made_at_work_is_damage_or_one_commits() {
    let history = History::new();
    let count = history.versions.len();
    let mut random = numbers(2);
    let mut refused = 0;
    for case in 0..cases() {
        // Page by page, while others commit.
        let first = random(count);
        let mut steps: Vec<usize> = (first + 1..count).map(|_| random(60)).collect();
        steps.sort_unstable();
        let of = |page: usize| first + steps.iter().filter(|step| **step < page).count();
        let what = format!("case {case}: from {first}, {steps:?}");
        refused += usize::from(history.try_file(&history.mixture(of), first, &what));
    }
    println!("{refused} of {} refused, the others whole", cases());
    assert!(refused > cases() / 5, "{refused}");
}
