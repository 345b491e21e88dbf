use std::fs;
use std::os::unix::fs::MetadataExt;

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
    for folder in [root.clone(), root.join(FURTHER)] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
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

/// What is kept for an attachment, as text.
fn found(scratch: &Scratch, attachment: &Attachment) -> Option<String> {
    scratch.find(attachment).unwrap().map(|kept| match kept {
        Kept::Conf(kept) => format!("{} {}", kept.plugin_type, kept.conf.to_json().unwrap()),
        Kept::Debris => "debris".to_owned(),
    })
}

const BRIDGE: &str = r#"{"name":"a","type":"bridge"}"#;
const MACVLAN: &str = r#"{"name":"b","type":"macvlan"}"#;

#[test]
fn one_attachment_is_where_the_go_plugin_looks_for_it() {
    let (temp, scratch) = scratch();
    let eth0 = attachment("c1", "eth0");
    assert_eq!(found(&scratch, &eth0), None);
    scratch.keep(&eth0, &conf(BRIDGE)).unwrap();
    assert_eq!(
        files(&temp),
        [(
            "c1".to_owned(),
            r#"{"name":"a","type":"bridge","twill/ifname":"eth0"}"#.to_owned()
        )]
    );
    let file = fs::metadata(temp.path().join("flannel/c1")).unwrap();
    let folder = fs::metadata(temp.path().join("flannel")).unwrap();
    assert_eq!((file.mode() & 0o777, folder.mode() & 0o777), (0o600, 0o700));
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));

    scratch.keep(&eth0, &conf(MACVLAN)).unwrap();
    assert_eq!(found(&scratch, &eth0), Some(format!("macvlan {MACVLAN}")));
    scratch.remove(&eth0).unwrap();
    scratch.remove(&eth0).unwrap();
    assert_eq!(files(&temp), []);
}

#[test]
fn attachments_of_one_container_never_touch_each_others() {
    let (temp, scratch) = scratch();
    let (eth0, eth1) = (attachment("c1", "eth0"), attachment("c1", "eth1"));
    scratch.keep(&eth0, &conf(BRIDGE)).unwrap();
    scratch.keep(&eth1, &conf(MACVLAN)).unwrap();
    let names: Vec<String> = files(&temp).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [".attachments/c1:eth1", "c1"]);

    scratch.remove(&eth0).unwrap();
    assert_eq!(found(&scratch, &eth0), None);
    assert_eq!(found(&scratch, &eth1), Some(format!("macvlan {MACVLAN}")));
    // Another first attachment does not hide the one that came second.
    scratch.keep(&eth0, &conf(BRIDGE)).unwrap();
    assert_eq!(found(&scratch, &eth1), Some(format!("macvlan {MACVLAN}")));
    scratch.remove(&eth1).unwrap();
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    assert_eq!(found(&scratch, &eth1), None);
}

#[test]
fn the_go_plugins_file_belongs_to_whoever_asks() {
    let (temp, scratch) = scratch();
    fs::write(temp.path().join("flannel/c1"), BRIDGE).unwrap();
    let (eth0, eth1) = (attachment("c1", "eth0"), attachment("c1", "eth1"));
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    // It is not overwritten: its attachment may be another one.
    scratch.keep(&eth1, &conf(MACVLAN)).unwrap();
    assert_eq!(found(&scratch, &eth1), Some(format!("macvlan {MACVLAN}")));
    scratch.remove(&eth1).unwrap();
    assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    scratch.remove(&eth0).unwrap();
    assert_eq!(files(&temp), []);
}

#[test]
fn debris_is_told_from_a_configuration_and_overwritten() {
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
        scratch.keep(&eth0, &conf(BRIDGE)).unwrap();
        assert_eq!(found(&scratch, &eth0), Some(format!("bridge {BRIDGE}")));
    }
    fs::write(temp.path().join("flannel/c1"), "").unwrap();
    scratch.remove(&eth0).unwrap();
    assert_eq!(files(&temp), []);
}

#[test]
fn looking_makes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    assert!(
        Scratch::open(&temp.path().join("flannel"))
            .unwrap()
            .is_none()
    );
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}
