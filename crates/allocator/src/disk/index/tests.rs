//! Tests of the index.

use std::fs;

use cni_types::ContainerId;
use tempfile::TempDir;

use super::*;
use crate::{Age, Owner};

struct Directory {
    _temp: TempDir,
    dir: Dir,
}

fn directory() -> Directory {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap().unwrap();
    Directory { _temp: temp, dir }
}

const KEY: Key = Key(1, 2);

fn slot(number: u32) -> Slot {
    let container_id: ContainerId = format!("c{number}").parse().unwrap();
    let owner = Owner {
        container_id,
        ifname: None,
    };
    Slot {
        owner: KEY.hash(&owner),
        address: std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into(),
        age: Age::ThisBoot,
    }
}

fn build(directory: &Directory, count: u32) -> Index {
    let slots: Vec<Slot> = (0..count).map(slot).collect();
    Index::build(&directory.dir, "net", &slots, KEY, None).unwrap()
}

fn open(directory: &Directory) -> Option<Index> {
    match Index::open(&directory.dir, "net") {
        Opened::Index(index) => Some(index),
        Opened::Nothing => None,
        Opened::Unread(error) => panic!("{error}"),
    }
}

fn sorted(mut slots: Vec<Slot>) -> Vec<Slot> {
    slots.sort_unstable_by_key(|slot| slot.address);
    slots
}

#[test]
fn every_slot_is_found() {
    for count in [0, 1, 1000, 5000] {
        let directory = directory();
        let index = build(&directory, count);
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
    let directory = directory();
    let index = build(&directory, 3);
    index.change(&[slot(1)], &[slot(7), slot(8)]).unwrap();
    assert_eq!(
        sorted(index.all().unwrap()),
        [slot(0), slot(2), slot(7), slot(8)]
    );
    let full = (10..100_000).find(|number| index.change(&[], &[slot(*number)]).is_err());
    // 16 buckets of 127 slots each are 2032.
    let full = full.unwrap();
    assert!((1900..=2038).contains(&full), "{full}");
    for number in (0..full).filter(|number| ![1, 3, 4, 5, 6, 9].contains(number)) {
        assert_eq!(index.find(slot(number).owner).unwrap(), [slot(number)]);
    }
}

#[test]
fn it_is_current_only_for_the_times_that_it_set() {
    let directory = directory();
    let mut index = build(&directory, 3);
    let mut set = None;
    index
        .set_current(|modified| {
            let stamp = DirStamp {
                modified,
                changed: random_stamp(),
            };
            set = Some(stamp);
            Ok(stamp)
        })
        .unwrap();
    let stamp = set.unwrap();
    let index = open(&directory).unwrap();
    assert!(index.is_current(stamp, None));
    let later = |stamp: Stamp| Stamp {
        nanoseconds: (stamp.nanoseconds + 1) % 1_000_000_000,
        ..stamp
    };
    let modified = DirStamp {
        modified: later(stamp.modified),
        ..stamp
    };
    let changed = DirStamp {
        changed: later(stamp.changed),
        ..stamp
    };
    assert!(!index.is_current(modified, None) && !index.is_current(changed, None));
    let boot = state::BootId::parse("00000000-0000-0000-0000-000000000001").map(BootTag::of);
    assert!(!index.is_current(stamp, boot));
}

#[test]
fn a_journal_makes_it_not_current() {
    let directory = directory();
    let mut index = build(&directory, 3);
    let stamp = index.header.stamp;
    assert!(index.is_current(stamp, None));
    let journal = Journal {
        owner: Some(slot(9).owner),
        addresses: vec![slot(9).address, "fd00::1".parse().unwrap()],
    };
    index.set_journal(journal.clone()).unwrap();
    let mut index = open(&directory).unwrap();
    assert_eq!(*index.journal(), journal);
    assert!(!index.is_current(stamp, None));
    index.withdraw_journal().unwrap();
    let index = open(&directory).unwrap();
    assert_eq!(*index.journal(), Journal::default());
    assert!(!index.is_current(stamp, None));
}

#[test]
fn damage_is_noticed() {
    let directory = directory();
    build(&directory, 100);
    let path = directory.dir.path().join("net");
    let good = fs::read(&path).unwrap();
    let opened = |contents: &[u8]| {
        fs::write(&path, contents).unwrap();
        open(&directory)
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

/// One owner's, and those of owners whose hashes collide.
#[test]
fn more_addresses_than_a_bucket_has_room_for() {
    let directory = directory();
    let of_one_bucket = |number: u32| Slot {
        owner: OwnerHash(u64::from(number / 200) << 32),
        ..slot(number)
    };
    let slots: Vec<Slot> = (0..600).map(of_one_bucket).collect();
    let index = Index::build(&directory.dir, "net", &slots, KEY, None).unwrap();
    assert_eq!(sorted(index.all().unwrap()), slots);
    for (owner, own) in slots.chunks(200).enumerate() {
        let found = index.find(OwnerHash((owner as u64) << 32)).unwrap();
        assert_eq!(sorted(found), own);
    }
    index
        .change(&slots[100..500], &[of_one_bucket(600)])
        .unwrap();
    let left = [&slots[..100], &slots[500..], &[of_one_bucket(600)]].concat();
    assert_eq!(sorted(index.all().unwrap()), left);
    assert_eq!(sorted(index.find(OwnerHash(0)).unwrap()), left[..100]);
    assert_eq!(index.find(OwnerHash(1 << 32)).unwrap(), []);
    // It is rebuilt before a search takes too long.
    let full = (601..2000).find(|number| index.change(&[], &[of_one_bucket(*number)]).is_err());
    assert!(full.is_some_and(|number| number > 1000), "{full:?}");
}
