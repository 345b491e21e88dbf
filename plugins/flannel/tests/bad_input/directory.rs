//! The directory of the kept configurations.

use std::fs;
use std::os::unix::fs::symlink;

use crate::desk::Desk;
use crate::{COMMANDS, assert_refused};

#[test]
fn a_file_in_the_place_of_the_directory_is_reported() {
    let desk = Desk::new();
    fs::write(desk.data_dir(), "precious").unwrap();
    let shown = desk.data_dir().display().to_string();
    let message = format!("cannot open {shown}: Not a directory (os error 20)");
    for command in COMMANDS {
        assert_refused(&desk, &desk.call(command), 5, &message);
    }
    let below = desk.data_dir().join("a/b");
    let mut netconf = desk.netconf();
    netconf["dataDir"] = below.to_str().unwrap().into();
    let message = format!(
        "cannot open {}: Not a directory (os error 20)",
        below.display()
    );
    for command in COMMANDS {
        assert_refused(&desk, &desk.call(command).config(&netconf), 5, &message);
    }
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let desk = Desk::new();
    fs::create_dir(desk.data_dir()).unwrap();
    let precious = desk.path("precious");
    for target in [&precious, &desk.path("absent")] {
        // DEL would replay the target if it followed the link.
        fs::write(&precious, r#"{"type":"bridge"}"#).unwrap();
        let file = desk.data_dir().join("c1");
        symlink(target, &file).unwrap();
        let shown = file.display().to_string();
        let message = format!("{shown} is no regular file: remove it if nobody needs it");
        for command in COMMANDS {
            assert_refused(&desk, &desk.call(command), 5, &message);
        }
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_reported() {
    let desk = Desk::new();
    let file = desk.data_dir().join("c1");
    fs::create_dir_all(&file).unwrap();
    let message = format!(
        "{} is no regular file: remove it if nobody needs it",
        file.display()
    );
    for command in COMMANDS {
        assert_refused(&desk, &desk.call(command), 5, &message);
    }
}

#[test]
fn the_data_dir_may_be_a_link() {
    let desk = Desk::new();
    fs::create_dir(desk.path("disk")).unwrap();
    symlink(desk.path("disk"), desk.data_dir()).unwrap();
    desk.call("ADD").run().success();
    assert!(desk.path("disk").join("c1").is_file());
    desk.call("DEL").run().silent();
    assert_eq!(fs::read_dir(desk.path("disk")).unwrap().count(), 0);
}
