//! The file is the same on every platform, whatever its byte order and the width of its words.

use super::*;

/// The file as an x86-64 machine has written it. `TWILL_BLESS=1` writes it anew.
const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../testdata/formats/addresses.db"
);

/// Two networks, both families, and an address that was released.
fn fill(directory: &Directory) {
    for id in 0..20 {
        let subnets = ["10.1.1.0/24", "fd00:1::/64"];
        directory.add("net", &subnets, &format!("c{id}")).unwrap();
    }
    directory.add("other", &["10.2.0.0/16"], "c1").unwrap();
    let database = directory.database();
    let transaction = begin(&database).unwrap();
    let mut store = transaction.network(&name("net"));
    for held in store.held_by(&attachment("c3")).unwrap() {
        store.release(held.address).unwrap();
    }
    Box::new(store).commit().unwrap();
}

#[test]
fn a_file_of_another_platform_is_read() {
    let directory = Directory::new();
    fs::create_dir(directory.path()).unwrap();
    fs::copy(FIXTURE, directory.file()).unwrap();
    let held = directory.held_by("net", "c19").unwrap();
    assert_eq!(held, [ip("10.1.1.21"), ip("fd00:1::15")]);
    assert!(directory.held_by("net", "c3").unwrap().is_empty());
    assert_eq!(directory.held_by("other", "c1").unwrap(), [ip("10.2.0.2")]);
    let next = directory.add("net", &["10.1.1.0/24"], "new").unwrap();
    assert_eq!(next, ["10.1.1.22"]);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a setting of the test")]
fn a_file_is_the_same_on_every_platform() {
    let directory = Directory::new();
    fill(&directory);
    let written = fs::read(directory.file()).unwrap();
    if std::env::var_os("TWILL_BLESS").is_some() {
        fs::write(FIXTURE, &written).unwrap();
    }
    let fixture = fs::read(FIXTURE).unwrap();
    assert_eq!(written.len(), fixture.len());
    let different = written.iter().zip(&fixture).position(|(a, b)| a != b);
    assert_eq!(different, None);
}
