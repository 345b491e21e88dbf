//! The file that `CNI_LOG_FILE` names.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::Command;
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::desk::Desk;
use crate::log_lines::{assert_logged, every_command, lines, messages, value};
use crate::traced::Traced;

#[test]
fn lines_are_appended_to_a_private_file() {
    let desk = Desk::new();
    let file = desk.path("log");
    let calls = every_command(&desk);
    for (number, call) in calls.iter().enumerate() {
        let before = fs::read_to_string(&file).unwrap_or_default();
        let outcome = call
            .clone()
            .env("CNI_LOG", "info")
            .env("CNI_LOG_FILE", &file)
            .run();
        assert_eq!(outcome.stderr_text(), "");
        let after = fs::read_to_string(&file).unwrap();
        let added = after.strip_prefix(&before).unwrap();
        let (last_level, _) = messages(added).pop().unwrap();
        let expected = if number == calls.len() - 1 {
            "error"
        } else {
            "info"
        };
        assert_eq!(last_level, expected, "{after}");
    }
    // Messages of delegates may contain secrets of their configurations.
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn an_unknown_level_counts_as_error() {
    let desk = Desk::new();
    let note = |level: &str| {
        let message =
            format!("CNI_LOG {level:?} is none of off, error, info, debug: taken as error");
        ("error", message)
    };
    for level in ["warn", "DEBUG", "info ", "1"] {
        let add = desk.call("ADD").env("CNI_LOG", level);
        assert_logged(&add.run(), &[note(level)]);
        desk.call("DEL").run().silent();
        let failed = "failed: eth0 of container c1 has no usable configuration in DATA: it was \
            not added, or has been deleted (code 120)";
        let failed = failed.replace("DATA", desk.data_dir().to_str().unwrap());
        let check = desk.call("CHECK").env("CNI_LOG", level);
        assert_logged(&check.run(), &[note(level), ("error", failed)]);
    }
}

#[test]
fn a_file_that_cannot_be_written_to_is_reported_on_stderr() {
    let desk = Desk::new();
    let pipe = desk.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (file, why) in [
        (desk.path(""), "Is a directory (os error 21)"),
        (
            desk.path("no/such/directory/log"),
            "No such file or directory (os error 2)",
        ),
        // A FIFO without a reader.
        (pipe, "No such device or address (os error 6)"),
    ] {
        let add = desk.call("ADD").limit(Duration::from_secs(10));
        let outcome = add.env("CNI_LOG", "info").env("CNI_LOG_FILE", &file).run();
        let note = format!(
            "CNI_LOG_FILE {}: {why}: the log goes to standard error",
            file.display()
        );
        assert_logged(&outcome, &[("error", note), ("info", "done".to_owned())]);
        assert_eq!(outcome.json()["cniVersion"], "1.0.0");
        desk.call("DEL").run().silent();
    }
}

#[test]
fn a_fifo_with_a_reader_gets_the_lines() {
    let desk = Desk::new();
    let pipe = desk.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Opened for reading and writing, the FIFO has a reader at once.
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&pipe)
        .unwrap();
    desk.call("ADD")
        .env("CNI_LOG", "info")
        .env("CNI_LOG_FILE", &pipe)
        .run()
        .success();
    let mut log = [0; 4096];
    let count = reader.read(&mut log).unwrap();
    let log = str::from_utf8(&log[..count]).unwrap();
    assert_eq!(messages(log), [("info".to_owned(), "done".to_owned())]);
}

#[test]
fn lines_of_parallel_processes_do_not_mix() {
    let desk = Desk::new();
    let file = desk.path("log");
    let running: Vec<_> = (0..10)
        .map(|number| {
            let add = desk.call("ADD").container(format!("c{number}"));
            add.env("CNI_LOG", "debug")
                .env("CNI_LOG_FILE", &file)
                .start()
        })
        .collect();
    for call in running {
        call.wait().success();
    }
    let lines = lines(&fs::read_to_string(&file).unwrap());
    assert_eq!(lines.len(), 40);
    for key in ["pid", "container"] {
        let values: BTreeSet<&str> = lines.iter().map(|line| value(line, key)).collect();
        assert_eq!(values.len(), 10, "{values:?}");
    }
}

#[test]
fn each_line_is_one_write() {
    let desk = Desk::new();
    let file = desk.path("log");
    let shown = file.to_str().unwrap();
    // Only flannel's own system calls count, not the delegate's.
    let options = ["-e", "trace=write,writev", "-P", shown];
    let variables = [
        ("CNI_LOG", "debug".as_ref()),
        ("CNI_LOG_FILE", file.as_ref()),
    ];
    let Some(traced) = Traced::start(&desk, &options, &desk.netconf(), &variables) else {
        return;
    };
    let (output, calls) = traced.wait();
    assert!(output.status.success(), "{output:?}");
    let writes = calls
        .lines()
        .filter(|line| line.starts_with("write"))
        .count();
    assert_eq!(writes, lines(&fs::read_to_string(&file).unwrap()).len());
}
