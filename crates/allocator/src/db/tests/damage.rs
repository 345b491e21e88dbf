//! A file that is not as it was written.

use super::*;

/// A page and its checksum, in the file.
const STRIDE: usize = 4104;

fn filled() -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    for id in 0..40 {
        folder
            .add("net", &["10.1.1.0/24"], &format!("c{id}"))
            .unwrap();
    }
    let file = fs::read(folder.file()).unwrap();
    (folder, file)
}

/// Everything that reads the file: an ADD, a lookup, a walk through a network.
fn read_all(folder: &Folder) -> Result<(), String> {
    let database = folder.database();
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
    let (folder, whole) = filled();
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
        fs::write(folder.file(), &file).unwrap();
        let expected = format!(
            "{} is damaged: {reason}; to start with an empty one, end this node's containers, whose addresses it would give again, and move the file away",
            folder.file().display()
        );
        assert_eq!(
            folder.add("net", &["10.1.1.0/24"], "new"),
            Err(expected.clone())
        );
        assert_eq!(folder.held_by("net", "c1"), Err(expected));
        assert!(fs::read(folder.file()).unwrap() == file);
    }
    let error = begin(&folder.database()).map(drop).unwrap_err();
    assert_eq!(cni_types::Error::from(error).code, Code::DECODING_FAILURE);
}

#[test]
fn no_damaged_page_is_used() {
    let (folder, whole) = filled();
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
            fs::write(folder.file(), &file).unwrap();
            // Either the page is met and refused, or it is a free one and all else is as it was.
            if let Err(message) = read_all(&folder) {
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
    let (folder, whole) = filled();
    let mut met = 0;
    for page in 1..whole.len() / STRIDE {
        let mut file = whole.clone();
        let other = if page == 1 { 2 } else { 1 };
        file.copy_within(other * STRIDE..(other + 1) * STRIDE, page * STRIDE);
        fs::write(folder.file(), &file).unwrap();
        if let Err(message) = read_all(&folder) {
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
    let (folder, _) = filled();
    let database = folder.database();
    let mut transaction = begin(&database).unwrap();
    let key = keys::address(&name("net"), ip("10.1.1.2"));
    transaction.unset(ADDRESSES, &key).unwrap();
    transaction.commit().unwrap();
    let message = folder.held_by("net", "c0").unwrap_err();
    assert!(
        message.contains("is damaged: 10.1.1.2 is not with its owner;"),
        "{message}"
    );

    let mut transaction = begin(&database).unwrap();
    transaction.set(ADDRESSES, &key, b"nonsense").unwrap();
    transaction.commit().unwrap();
    let message = folder.add("net", &["10.1.1.2/29"], "new").unwrap_err();
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
