//! Tests of kept configurations.

use std::fs;
use std::os::unix::fs::MetadataExt;

use cni_types::{Code, Error};
use tempfile::TempDir;

use super::*;

fn attachment(container_id: &str, ifname: &str) -> Attachment {
    Attachment {
        container_id: container_id.parse().unwrap(),
        ifname: ifname.parse().unwrap(),
    }
}

fn conf(text: &str) -> Object {
    json::from_str(text).unwrap()
}

fn scratch() -> (TempDir, Scratch) {
    let temp = tempfile::tempdir().unwrap();
    let scratch = Scratch::create(&temp.path().join("flannel")).unwrap();
    (temp, scratch)
}

fn files(temp: &TempDir) -> Vec<(String, String)> {
    let root = temp.path().join("flannel");
    let mut files = Vec::new();
    for directory in [root.clone(), root.join(FURTHER)] {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                files.push((name.to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn keep(scratch: &Scratch, attachment: &Attachment, conf: &Object) {
    let in_use = scratch.in_use(attachment).unwrap();
    let kept = scratch.keep(attachment, conf, &in_use, Duration::ZERO);
    kept.unwrap();
}

/// What is kept for an attachment, as text.
fn found(scratch: &Scratch, attachment: &Attachment) -> Option<String> {
    scratch.find(attachment).unwrap().map(|kept| match kept {
        KeptContents::Conf(kept) => {
            format!("{} {}", kept.plugin_type, kept.conf.to_json().unwrap())
        }
        KeptContents::Debris => "debris".to_owned(),
    })
}

const BRIDGE: &str = r#"{"name":"a","type":"bridge"}"#;
const MACVLAN: &str = r#"{"name":"b","type":"macvlan"}"#;

#[test]
fn the_first_attachments_file_is_the_go_plugins() {
    let (temp, scratch) = scratch();
    let eth0 = attachment("c1", "eth0");
    assert_eq!(found(&scratch, &eth0), None);
    keep(&scratch, &eth0, &conf(BRIDGE));
    assert_eq!(
        files(&temp),
        [(
            "c1".to_owned(),
            r#"{"name":"a","type":"bridge","twill/ifname":"eth0"}"#.to_owned()
        )]
    );
    let file = fs::metadata(temp.path().join("flannel/c1")).unwrap();
    let directory = fs::metadata(temp.path().join("flannel")).unwrap();
    assert_eq!(
        (file.mode() & 0o777, directory.mode() & 0o777),
        (0o600, 0o700)
    );
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));

    keep(&scratch, &eth0, &conf(MACVLAN));
    assert_eq!(found(&scratch, &eth0), Some(format!("macvlan {MACVLAN}")));
    scratch.remove(&eth0).unwrap();
    scratch.remove(&eth0).unwrap();
    assert_eq!(files(&temp), []);
}

#[test]
fn attachments_of_one_container_have_files_of_their_own() {
    let (temp, scratch) = scratch();
    let (eth0, eth1) = (attachment("c1", "eth0"), attachment("c1", "eth1"));
    keep(&scratch, &eth0, &conf(BRIDGE));
    keep(&scratch, &eth1, &conf(MACVLAN));
    let names: Vec<String> = files(&temp).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [".attachments/c1:eth1", "c1"]);

    scratch.remove(&eth0).unwrap();
    assert_eq!(found(&scratch, &eth0), None);
    assert_eq!(found(&scratch, &eth1), Some(format!("macvlan {MACVLAN}")));
    // Another first attachment does not hide the one that came second.
    keep(&scratch, &eth0, &conf(BRIDGE));
    assert_eq!(found(&scratch, &eth1), Some(format!("macvlan {MACVLAN}")));
    scratch.remove(&eth1).unwrap();
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    assert_eq!(found(&scratch, &eth1), None);
}

#[test]
fn the_go_plugins_file_belongs_to_any_attachment_of_its_container() {
    let (temp, scratch) = scratch();
    fs::write(temp.path().join("flannel/c1"), BRIDGE).unwrap();
    let (eth0, eth1) = (attachment("c1", "eth0"), attachment("c1", "eth1"));
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    // It is not overwritten: its attachment may be another one.
    keep(&scratch, &eth1, &conf(MACVLAN));
    assert_eq!(found(&scratch, &eth1), Some(format!("macvlan {MACVLAN}")));
    scratch.remove(&eth1).unwrap();
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    scratch.remove(&eth0).unwrap();
    assert_eq!(files(&temp), []);
}

#[test]
fn debris_is_recognised_and_overwritten() {
    let (temp, scratch) = scratch();
    let eth0 = attachment("c1", "eth0");
    for debris in [
        "",
        "{\"name\":\"a\",\"ty",
        "[]",
        "{}",
        r#"{"type":"../x"}"#,
        "\0\0\0",
    ] {
        fs::write(temp.path().join("flannel/c1"), debris).unwrap();
        assert_eq!(
            found(&scratch, &eth0).as_deref(),
            Some("debris"),
            "{debris:?}"
        );
        keep(&scratch, &eth0, &conf(BRIDGE));
        assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    }
    fs::write(temp.path().join("flannel/c1"), "").unwrap();
    scratch.remove(&eth0).unwrap();
    assert_eq!(files(&temp), []);
}

#[test]
fn reading_creates_nothing() {
    let temp = tempfile::tempdir().unwrap();
    assert!(
        Scratch::open(&temp.path().join("flannel"))
            .unwrap()
            .is_none()
    );
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn an_add_waits_for_another_add_of_the_attachment() {
    const MOMENT: Duration = Duration::from_millis(50);
    let (temp, scratch) = scratch();
    let (eth0, eth1) = (attachment("c1", "eth0"), attachment("c1", "eth1"));
    let [first, second, other] =
        [&eth0, &eth0, &eth1].map(|attachment| scratch.in_use(attachment).unwrap());
    let kept = scratch.keep(&eth0, &conf(BRIDGE), &first, MOMENT).unwrap();
    assert!(kept.is_none(), "{kept:?}");
    let before = files(&temp);
    let error = scratch.keep(&eth0, &conf(MACVLAN), &second, MOMENT);
    let error = Error::from(error.unwrap_err());
    assert_eq!(
        (error.code, error.msg.as_str()),
        (
            Code::TRY_AGAIN_LATER,
            "another ADD of eth0 of container c1 is under way, or something that a killed one has \
                started: wait for it, or call DEL"
        )
    );
    assert_eq!(files(&temp), before);
    scratch.keep(&eth1, &conf(MACVLAN), &other, MOMENT).unwrap();

    // The one that has waited learns what the first one kept.
    let kept = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| scratch.keep(&eth0, &conf(MACVLAN), &second, MOMENT * 100));
        std::thread::sleep(MOMENT);
        first.release().unwrap();
        waiting.join().unwrap().unwrap()
    });
    let Some(KeptContents::Conf(kept)) = kept else {
        panic!("{kept:?}");
    };
    assert_eq!(kept.plugin_type.as_str(), "bridge");
}

/// A daemon that a killed ADD's delegate has left holds its mark for ever; a DEL has done with that
/// ADD.
#[test]
fn a_mark_of_use_without_a_file_is_ignored() {
    let (_temp, scratch) = scratch();
    let eth0 = attachment("c1", "eth0");
    let [daemons, own] = [(); 2].map(|()| scratch.in_use(&eth0).unwrap());
    scratch
        .keep(&eth0, &conf(BRIDGE), &daemons, Duration::ZERO)
        .unwrap();
    scratch.remove(&eth0).unwrap();
    let kept = scratch
        .keep(&eth0, &conf(BRIDGE), &own, Duration::ZERO)
        .unwrap();
    assert!(kept.is_none(), "{kept:?}");
}
