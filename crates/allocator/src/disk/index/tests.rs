use std::fs;

use cni_types::ContainerId;
use tempfile::TempDir;

use super::*;
use crate::Age;

struct Folder {
    _temp: TempDir,
    dir: Dir,
}

fn folder() -> Folder {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap().unwrap();
    Folder { _temp: temp, dir }
}

fn slot(number: u32) -> Slot {
    let container_id: ContainerId = format!("c{number}").parse().unwrap();
    let owner = Owner {
        container_id,
        ifname: None,
    };
    Slot {
        owner: OwnerHash::of(&owner),
        address: std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into(),
        age: Age::ThisBoot,
    }
}

fn build(folder: &Folder, count: u32) -> Index {
    let mut slots: Vec<Slot> = (0..count).map(slot).collect();
    Index::build(&folder.dir, "net", &mut slots, None).unwrap()
}

fn sorted(mut slots: Vec<Slot>) -> Vec<Slot> {
    slots.sort_unstable_by_key(|slot| slot.address);
    slots
}

#[test]
fn every_slot_is_found() {
    for count in [0, 1, 1000, 5000] {
        let folder = folder();
        let index = build(&folder, count);
        let expected: Vec<Slot> = (0..count).map(slot).collect();
        assert_eq!(sorted(index.all().unwrap()), expected);
        for slot in expected {
            assert_eq!(index.find(slot.owner).unwrap(), [slot]);
        }
        assert_eq!(index.find(slot(count).owner).unwrap(), []);
    }
}

#[test]
fn changes_are_found_until_there_is_no_room() {
    let folder = folder();
    let index = build(&folder, 3);
    index.change(&[slot(1)], &[slot(7), slot(8)]).unwrap();
    assert_eq!(
        sorted(index.all().unwrap()),
        [slot(0), slot(2), slot(7), slot(8)]
    );
    let full = (10..100_000).find(|number| index.change(&[], &[slot(*number)]).is_err());
    // 16 buckets of 127 slots each, unevenly filled.
    assert!(full.is_some_and(|number| (1000..2000).contains(&number)));
}

#[test]
fn it_is_current_only_for_the_time_that_it_set() {
    let folder = folder();
    let mut index = build(&folder, 3);
    let mut set = None;
    index
        .set_current(|stamp| {
            set = Some(stamp);
            Ok(stamp)
        })
        .unwrap();
    let stamp = set.unwrap();
    let index = Index::open(&folder.dir, "net").unwrap();
    assert!(index.is_current(stamp, None));
    let later = Stamp {
        nanoseconds: (stamp.nanoseconds + 1) % 1_000_000_000,
        ..stamp
    };
    assert!(!index.is_current(later, None));
    let boot = state::BootId::parse("00000000-0000-0000-0000-000000000001").map(BootTag::of);
    assert!(!index.is_current(stamp, boot));
}

#[test]
fn a_journal_makes_it_not_current() {
    let folder = folder();
    let mut index = build(&folder, 3);
    let stamp = index.header.stamp;
    assert!(index.is_current(stamp, None));
    let journal = Journal {
        owner: Some(slot(9).owner),
        addresses: vec![slot(9).address, "fd00::1".parse().unwrap()],
    };
    index.set_journal(journal.clone()).unwrap();
    let index = Index::open(&folder.dir, "net").unwrap();
    assert_eq!(*index.journal(), journal);
    assert!(!index.is_current(stamp, None));
}

#[test]
fn damage_is_noticed() {
    let folder = folder();
    build(&folder, 100);
    let path = folder.dir.path().join("net");
    let good = fs::read(&path).unwrap();
    let opened = |contents: &[u8]| {
        fs::write(&path, contents).unwrap();
        Index::open(&folder.dir, "net")
    };
    assert!(opened(&good).unwrap().all().is_ok());
    assert!(opened(b"").is_none());
    assert!(opened(&good[..100]).is_none());
    assert!(opened(&vec![0; good.len()]).is_none());
    assert!(opened(&good[..2 * PAGE]).unwrap().all().is_err());
    let mut swapped = good.clone();
    swapped[PAGE..3 * PAGE].rotate_left(PAGE);
    assert!(opened(&swapped).unwrap().all().is_err());
}

#[test]
fn more_addresses_than_a_bucket_has_room_for() {
    let folder = folder();
    let mut slots = vec![slot(1); SLOTS + 1];
    assert!(Index::build(&folder.dir, "net", &mut slots, None).is_none());
}
