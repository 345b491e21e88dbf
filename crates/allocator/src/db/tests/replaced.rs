//! A file that somebody removes or replaces while a transaction is under way.

use super::*;

fn demand<'a>(attachment: &'a Attachment, sets: &'a RangeSets) -> Demand<'a> {
    Demand {
        attachment,
        sets,
        requested: &[],
        reclaim: Reclaim::AfterReboot,
    }
}

#[track_caller]
fn assert_replaced(directory: &Directory, outcome: Result<(), StoreError>) {
    let error = outcome.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} was removed or replaced while this call wrote to it, so the call has changed \
                nothing: repeat it",
            directory.file().display()
        )
    );
    assert!(matches!(error, StoreError::Replaced(_)));
}

#[test]
fn an_add_fails_if_the_file_was_replaced() {
    let subnets = ["10.1.1.0/24"];
    let (own, sets) = (attachment("new"), sets(&subnets));
    for removed in [true, false] {
        let directory = Directory::new();
        directory.add("net", &subnets, "c1").unwrap();
        let copy = directory.temp.path().join("copy");
        fs::copy(directory.file(), &copy).unwrap();
        directory.add("net", &subnets, "c2").unwrap();

        let database = directory.database();
        let mut store = begin(&database).unwrap().network(&name("net"));
        allocate(&mut store, &demand(&own, &sets)).unwrap();
        if removed {
            fs::remove_file(directory.file()).unwrap();
        } else {
            fs::rename(&copy, directory.file()).unwrap();
        }
        assert_replaced(&directory, commit(store));

        // The next call has the file that is there now.
        let expected = if removed { "10.1.1.2" } else { "10.1.1.3" };
        assert_eq!(directory.add("net", &subnets, "new").unwrap(), [expected]);
        assert_eq!(directory.held_by("net", "new").unwrap(), [ip(expected)]);
        assert_eq!(audit(&database).len(), if removed { 1 } else { 2 });
    }
}

/// A DEL that is reported as done would never be repeated.
#[test]
fn a_release_fails_if_the_file_was_replaced() {
    let directory = Directory::new();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let copy = directory.temp.path().join("copy");
    fs::copy(directory.file(), &copy).unwrap();
    let database = directory.database();
    let mut store = begin(&database).unwrap().network(&name("net"));
    store.release(ip("10.1.1.2")).unwrap();
    fs::rename(&copy, directory.file()).unwrap();
    assert_replaced(&directory, commit(store));
    assert_eq!(directory.held_by("net", "c1").unwrap(), [ip("10.1.1.2")]);
    del(begin(&database).unwrap().network(&name("net")), "c1").unwrap();
    assert_eq!(audit(&database), []);
}

#[test]
fn remove_if_empty_keeps_a_file_that_replaced_the_empty_one() {
    let directory = Directory::new();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let full = directory.temp.path().join("full");
    fs::copy(directory.file(), &full).unwrap();
    let database = directory.database();
    del(begin(&database).unwrap().network(&name("net")), "c1").unwrap();
    let transaction = begin(&database).unwrap();
    fs::rename(&full, directory.file()).unwrap();
    transaction.remove_if_empty().unwrap();
    assert_eq!(directory.held_by("net", "c1").unwrap(), [ip("10.1.1.2")]);
    del(begin(&database).unwrap().network(&name("net")), "c1").unwrap();
    begin(&database).unwrap().remove_if_empty().unwrap();
    assert!(!directory.file().exists());
}

/// An operator puts back a copy of the database after a call has found none.
#[test]
fn a_file_that_appears_while_one_is_created_stays() {
    let directory = Directory::new();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let contents = fs::read(directory.file()).unwrap();
    let database = directory.database();
    let guard = database.dir.lock(LOCK, TIMEOUT).unwrap();
    assert_replaced(&directory, database.make(&guard).map(drop));
    drop(guard);
    assert_eq!(fs::read(directory.file()).unwrap(), contents);
    assert!(!directory.path().join(ASIDE).exists());
    assert_eq!(directory.held_by("net", "c1").unwrap(), [ip("10.1.1.2")]);
}
