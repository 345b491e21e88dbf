//! Tests of the log.

use std::fs;
use std::os::unix::fs::MetadataExt;

use tempfile::TempDir;

use super::*;

/// A directory, for a log file.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self, level: &str, variables: &[(&str, &str)]) -> Log {
        let file = self.0.path().join("log");
        let own = [("CNI_LOG", level), ("CNI_LOG_FILE", file.to_str().unwrap())];
        let environment = own.iter().chain(variables).copied().collect();
        Log::of("tester", &environment, None)
    }

    /// As [`Desk::log`], with a configuration; `FILE` in it stands for the log file.
    fn log_of_conf(&self, variables: &[(&str, &str)], conf: &str) -> Log {
        let file = self.0.path().join("log");
        let conf = conf.replace("FILE", file.to_str().unwrap());
        let conf = NetConf::parse(conf.as_bytes()).unwrap();
        let environment = variables.iter().copied().collect();
        Log::of("tester", &environment, Some(&conf))
    }

    /// The lines of the log file without the values that differ each time: times and pid.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("log")).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        let own = format!(" pid={}", process::id());
        text.lines()
            .map(|line| without_times(line).replace(&own, ""))
            .collect()
    }
}

#[track_caller]
fn without_times(line: &str) -> String {
    let (time, rest) = line.strip_prefix("time=").unwrap().split_once(' ').unwrap();
    assert_eq!(time.len(), "2026-01-31T23:59:59.123456Z".len(), "{line}");
    let (before, elapsed) = rest.split_once(" elapsed=").unwrap();
    let (elapsed, after) = elapsed.split_once("ms ").unwrap();
    assert!(
        elapsed.parse::<f64>().is_ok_and(|elapsed| elapsed >= 0.0),
        "{line}"
    );
    format!("{before} {after}")
}

fn tell_all(log: &Log) {
    log.error(format_args!("e"));
    log.info(format_args!("i"));
    log.debug(format_args!("d"));
}

#[test]
fn each_level_includes_the_levels_before_it() {
    let lines = [
        r#"level=error plugin=tester msg="e""#,
        r#"level=info plugin=tester msg="i""#,
        r#"level=debug plugin=tester msg="d""#,
    ];
    for (level, count) in [("error", 1), ("info", 2), ("debug", 3)] {
        let desk = Desk::new();
        tell_all(&desk.log(level, &[]));
        assert_eq!(desk.lines(), lines[..count]);
    }
}

#[test]
fn level_off_creates_no_file() {
    for level in ["off", ""] {
        let desk = Desk::new();
        let mut log = desk.log(level, &[("CNI_CONTAINERID", "c1")]);
        log.set_network("n");
        tell_all(&log);
        assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 0);
        assert_eq!(log.subject, "");
    }
    tell_all(&Log::default());
}

#[test]
fn an_unknown_level_counts_as_error_and_is_reported() {
    for level in ["warn", "Info", "debug,info"] {
        let desk = Desk::new();
        tell_all(&desk.log(level, &[]));
        let note = format!(
            r#"level=error plugin=tester msg="CNI_LOG \"{level}\" is none of off, error, info, debug: taken as error""#
        );
        assert_eq!(
            desk.lines(),
            [&*note, r#"level=error plugin=tester msg="e""#]
        );
    }
}

#[test]
fn keys_of_the_configuration_switch_it_on_too() {
    let (error, info) = (
        r#"level=error plugin=tester msg="e""#,
        r#"level=info plugin=tester msg="i""#,
    );
    for (level, expected) in [
        ("error", &[error][..]),
        ("panic", &[error]),
        ("info", &[error, info]),
        ("verbose", &[error, info]),
    ] {
        let desk = Desk::new();
        let conf = format!(r#"{{"name":"n","LogLevel":"{level}","logFile":"FILE"}}"#);
        tell_all(&desk.log_of_conf(&[], &conf));
        assert_eq!(desk.lines(), expected);
    }
    for keys in [
        r#""logLevel":"off""#,
        r#""logLevel":"""#,
        r#""logLevel":null"#,
        r#""x":1"#,
    ] {
        let desk = Desk::new();
        let conf = format!(r#"{{"name":"n",{keys},"logFile":"FILE"}}"#);
        tell_all(&desk.log_of_conf(&[], &conf));
        assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 0);
    }
}

#[test]
fn each_variable_wins_over_its_key() {
    let desk = Desk::new();
    let conf = r#"{"name":"n","logLevel":"debug","logFile":"FILE"}"#;
    tell_all(&desk.log_of_conf(&[("CNI_LOG", "error")], conf));
    assert_eq!(desk.lines(), [r#"level=error plugin=tester msg="e""#]);
    let other = desk.0.path().join("other");
    let variables = [("CNI_LOG_FILE", other.to_str().unwrap())];
    tell_all(&desk.log_of_conf(&variables, conf));
    assert_eq!(desk.lines().len(), 1);
    assert_eq!(fs::read_to_string(other).unwrap().lines().count(), 3);
}

#[test]
fn a_key_that_is_no_text_is_reported() {
    let desk = Desk::new();
    let conf = r#"{"name":"n","logLevel":7,"logFile":"FILE"}"#;
    desk.log_of_conf(&[], conf);
    let note = r#"level=error plugin=tester msg="logLevel 7 is none of off, error, info, debug: taken as error""#;
    assert_eq!(desk.lines(), [note]);
    let log = desk.log_of_conf(&[], r#"{"name":"n","logLevel":"error","logFile":["FILE"]}"#);
    assert!(log.file.is_none());
}

#[test]
fn every_line_names_the_trace() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let desk = Desk::new();
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    desk.log("info", &[("CNI_IFNAME", "eth0"), ("TRACEPARENT", &parent)])
        .info(format_args!("i"));
    desk.log("info", &[("TRACEPARENT", "00-x-y-01")])
        .info(format_args!("i"));
    assert_eq!(
        desk.lines(),
        [
            format!(r#"level=info plugin=tester ifname=eth0 trace={trace} msg="i""#),
            r#"level=info plugin=tester msg="i""#.to_owned(),
        ]
    );
}

#[test]
fn every_line_names_plugin_command_and_attachment() {
    let desk = Desk::new();
    let mut log = desk.log(
        "info",
        &[
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
        ],
    );
    log.info(format_args!("before"));
    log.set_network("cbr0");
    log.info(format_args!("after"));
    let subject = "level=info plugin=tester command=ADD container=c1 ifname=eth0";
    assert_eq!(
        desk.lines(),
        [
            format!(r#"{subject} msg="before""#),
            format!(r#"{subject} network=cbr0 msg="after""#),
        ]
    );
}

#[test]
fn any_value_stays_one_field_on_one_line() {
    let desk = Desk::new();
    let mut log = desk.log(
        "info",
        &[("CNI_CONTAINERID", "a b"), ("CNI_IFNAME", "x=\"1\"\n")],
    );
    log.set_network("back\\slash");
    log.info(format_args!("two\nlines \"quoted\" \u{1b}[1m"));
    assert_eq!(
        desk.lines(),
        [
            r#"level=info plugin=tester container="a b" ifname="x=\"1\"\n" network="back\\slash" msg="two\nlines \"quoted\" \u{1b}[1m""#
        ]
    );
}

#[test]
fn the_file_is_appended_to_and_private() {
    let desk = Desk::new();
    for _ in 0..2 {
        tell_all(&desk.log("error", &[]));
    }
    assert_eq!(desk.lines(), [r#"level=error plugin=tester msg="e""#; 2]);
    let mode = fs::metadata(desk.0.path().join("log")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
}
