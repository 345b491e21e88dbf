//! The log that `CNI_LOG` and `CNI_LOG_FILE` switch on.

use std::fs::{self};
use std::path::Path;

use serde_json::{Value, json};
use testkit::Invocation;

use crate::desk::Desk;
use crate::log_lines::{assert_logged, every_command, lines, value};
use crate::upkeep::{self, add, gc, leave, netconf};

const ERROR: &str = r#"{"code": 999, "msg": "no bridge today", "details": "ask again"}"#;

#[test]
fn nothing_is_logged_by_default() {
    let (desk, logged) = (Desk::new(), Desk::new());
    let file = desk.path("log");
    for (silent, asked) in every_command(&desk).iter().zip(every_command(&logged)) {
        for (name, value) in [("CNI_LOG", ""), ("CNI_LOG", "off"), ("CNI_TRACE", "debug")] {
            let outcome = silent
                .clone()
                .env("CNI_LOG_FILE", &file)
                .env(name, value)
                .run();
            assert_eq!(outcome.stderr_text(), "");
        }
        let silent = silent.run();
        assert_eq!(silent.stderr_text(), "");
        // Logging does not change the answer.
        let asked = asked.env("CNI_LOG", "debug").run();
        let answer = String::from_utf8(asked.stdout.clone()).unwrap();
        let answer = answer.replace(
            logged.data_dir().to_str().unwrap(),
            desk.data_dir().to_str().unwrap(),
        );
        assert_eq!(
            (silent.code, String::from_utf8(silent.stdout).unwrap()),
            (asked.code, answer)
        );
        assert_ne!(asked.stderr_text(), "");
    }
    assert!(!file.exists());
}

#[test]
fn each_level_includes_the_levels_before_it() {
    let desk = Desk::new();
    let failing = |level: &str| {
        desk.delegate.on("ADD").stdout(ERROR).exit(1);
        desk.call("ADD").env("CNI_LOG", level).run()
    };
    let failed = || {
        (
            "error",
            "failed: bridge: no bridge today: ask again (code 999)".to_owned(),
        )
    };
    let undoing = || {
        let message = "the delegate failed, undoing: bridge: no bridge today: ask again (code 999)";
        ("info", message.to_owned())
    };
    let lease = || {
        let file = desk.subnet_file();
        let message = format!(
            "{} has the lease: 10.244.1.0/24 of 10.244.0.0/16, MTU 1450",
            file.display()
        );
        ("debug", message)
    };
    let started = || {
        let program = desk.delegate.program().display();
        ("debug", format!("{program} started"))
    };
    let keeping = || {
        let directory = desk.data_dir();
        let message = format!("configuration kept in {}", directory.display());
        ("debug", message)
    };
    assert_logged(&failing("error"), &[failed()]);
    assert_logged(&failing("info"), &[undoing(), failed()]);
    assert_logged(
        &failing("debug"),
        &[lease(), started(), keeping(), undoing(), failed()],
    );

    desk.delegate.on("ADD").reset();
    let done = || ("info", "done".to_owned());
    let add = |level: &str| desk.call("ADD").env("CNI_LOG", level).run();
    assert_logged(&add("error"), &[]);
    assert_logged(&add("info"), &[done()]);
    assert_logged(&add("debug"), &[lease(), started(), keeping(), done()]);
}

#[test]
fn unusual_events_are_logged() {
    let desk = Desk::new();
    let done = || ("info", "done".to_owned());
    let assert_call_logs = |call: Invocation, expected: &[(&str, String)]| {
        assert_logged(&call.env("CNI_LOG", "info").run(), expected);
    };
    let program = desk.delegate.program().display().to_string();
    let rebuilding = format!("no configuration is kept: calling {program} with a new one");
    assert_call_logs(desk.call("DEL"), &[("info", rebuilding), done()]);

    add(&desk, "c1", "eth0");
    let unknown = r#"{"code": 4, "msg": "unknown CNI_COMMAND: GC"}"#;
    desk.delegate.on("GC").stdout(unknown).exit(1);
    let stale = "eth0 of container c1 is not valid any more: deleting it".to_owned();
    let unknown = format!("{program} does not know GC");
    assert_call_logs(
        gc(&desk, &[]),
        &[("info", stale), ("info", unknown), done()],
    );

    fs::remove_file(desk.subnet_file()).unwrap();
    let absent = format!(
        "{}: there is no such file: flanneld has no lease for this node yet",
        desk.subnet_file().display()
    );
    let nothing = format!(
        "no configuration is kept, nor can it be rebuilt: \
         failed to load the lease: {absent}: check the log of flanneld on this node (code 11)"
    );
    assert_call_logs(desk.call("DEL"), &[("info", nothing), done()]);
    let mut netconf = desk.netconf();
    netconf["subnetFileWait"] = json!(0.05);
    assert_call_logs(
        desk.call("ADD").config(&netconf),
        &[
            ("info", format!("{absent}; waiting for 50ms")),
            (
                "error",
                format!(
                    "failed: failed to load the lease: {absent}: check the log of flanneld on \
                        this node (code 11)"
                ),
            ),
        ],
    );
}

#[test]
fn each_line_names_time_process_and_attachment() {
    let desk = Desk::new();
    for call in every_command(&desk) {
        let call = call.env("CNI_LOG", "debug");
        let running = call.start();
        let pid = running.pid().to_string();
        let outcome = running.wait();
        let shown = call.to_string();
        let command = ["ADD", "CHECK", "GC", "STATUS", "VERSION", "DEL"]
            .into_iter()
            .find(|command| shown.contains(&format!("CNI_COMMAND={command}\n")))
            .unwrap();
        let of_container = !matches!(command, "GC" | "STATUS");
        let of_network = command != "VERSION";
        let mut keys = vec!["time", "level", "plugin", "pid", "command"];
        keys.extend(
            of_container
                .then_some(["container", "ifname"])
                .iter()
                .flatten(),
        );
        keys.extend(of_network.then_some("network"));
        keys.extend(["elapsed", "msg"]);

        let mut before = (0.0, String::new());
        for line in lines(&outcome.stderr_text()) {
            let names: Vec<&str> = line.iter().map(|(name, _)| &**name).collect();
            assert_eq!(names, keys);
            assert_eq!(value(&line, "plugin"), "flannel");
            assert_eq!(value(&line, "pid"), pid);
            assert_eq!(value(&line, "command"), command);
            if of_container {
                assert_eq!(value(&line, "container"), "c1");
                assert_eq!(value(&line, "ifname"), "eth0");
            }
            if of_network {
                assert_eq!(value(&line, "network"), "cbr0");
            }
            let time = value(&line, "time");
            // For example 2026-01-31T23:59:59.123456Z.
            let shape: String = time
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
            let elapsed = value(&line, "elapsed").strip_suffix("ms").unwrap();
            let (_, decimals) = elapsed.split_once('.').unwrap();
            assert_eq!(decimals.len(), 3, "{elapsed}");
            let elapsed: f64 = elapsed.parse().unwrap();
            assert!(
                elapsed <= outcome.elapsed.as_secs_f64() * 1000.0,
                "{outcome}"
            );
            let now = (elapsed, time.to_owned());
            assert!(now.0 >= before.0 && now.1 >= before.1, "{outcome}");
            before = now;
        }
    }
}

#[test]
fn no_input_can_add_a_line_to_the_log() {
    let desk = Desk::new();
    let forged = "c1\ntime=now level=info msg=\"all is well\"";
    let outcome = desk
        .call("ADD")
        .container(forged)
        .ifname("a b")
        .env("CNI_LOG", "error")
        .run();
    assert_eq!(outcome.failure().code, 4);
    let log = outcome.stderr_text();
    let [line] = &*lines(&log) else {
        panic!("{log}");
    };
    assert_eq!(value(line, "container"), forged);
    assert_eq!(value(line, "ifname"), "a b");

    let said = r#"{"code": 7, "msg": "one\ntwo \"three\" \\", "details": "level=debug"}"#;
    desk.delegate.on("ADD").stdout(said).exit(1);
    let outcome = desk.call("ADD").env("CNI_LOG", "error").run();
    let message = "failed: bridge: one\ntwo \"three\" \\: level=debug (code 7)";
    assert_logged(&outcome, &[("error", message.to_owned())]);
}

#[test]
fn a_delegates_stderr_does_not_go_to_the_log() {
    let desk = Desk::new();
    let file = desk.path("log");
    desk.delegate.on("ADD").stderr("a deprecated key\n");
    let add = desk.call("ADD").env("CNI_LOG", "debug");
    let outcome = add.env("CNI_LOG_FILE", &file).run();
    assert_eq!(outcome.stderr_text(), "a deprecated key\n");
    assert!(!fs::read_to_string(&file).unwrap().contains("deprecated"));
}

#[test]
fn files_of_other_attachments_are_not_logged() {
    let desk = Desk::new();
    leave(&desk, "c2", r#"{"name":"other","type":"bridge"}"#);
    let gc = gc(&desk, &[]).env("CNI_LOG", "debug").run();
    assert_logged(&gc, &[("info", "done".to_owned())]);
    assert!(Path::new(&desk.data_dir().join("c2")).exists());
}

/// The delegate gets the call's settings of the log, unless it has its own. They belong to the call
/// and are not kept, so that a DEL logs as the list says by then.
#[test]
fn settings_in_the_configuration_are_passed_on_to_the_delegate() {
    let desk = Desk::new();
    let file = desk.path("log");
    let with_log = |netconf: Value| {
        testkit::conf::with(netconf, json!({"logLevel": "debug", "logFile": file}))
    };
    let settings = |number: usize| {
        let call = &desk.delegate.calls()[number];
        let conf: Value = serde_json::from_slice(&call.stdin).unwrap();
        let settings = (conf["logLevel"].clone(), conf["logFile"].clone());
        (call.command.clone(), settings)
    };
    let passed_on = (json!("debug"), json!(file));
    let logging = with_log(netconf(&desk));
    for (number, command) in ["ADD", "CHECK", "DEL"].into_iter().enumerate() {
        let outcome = desk.call(command).config(&logging).run();
        assert_eq!(
            (outcome.code, outcome.stderr_text()),
            (Some(0), String::new())
        );
        assert_eq!(settings(number), (command.to_owned(), passed_on.clone()));
        for kept in desk.kept().values() {
            assert!(!kept.contains("logLevel"), "{kept}");
        }
    }
    let log = fs::read_to_string(&file).unwrap();
    for command in ["ADD", "CHECK", "DEL"] {
        let done = log.lines().find(|line| {
            line.contains(&format!("command={command}")) && line.ends_with("msg=\"done\"")
        });
        assert!(done.is_some(), "{log}");
    }
    let stale = with_log(testkit::conf::with(
        netconf(&desk),
        json!({"cni.dev/valid-attachments": []}),
    ));
    for (number, command) in [(3, "GC"), (4, "STATUS")] {
        upkeep::call(&desk, command).config(&stale).run().silent();
        assert_eq!(settings(number), (command.to_owned(), passed_on.clone()));
    }

    let own = json!({"delegate": {"logLevel": "error"}});
    let mixed = with_log(testkit::conf::with(desk.netconf(), own));
    desk.call("ADD").config(&mixed).run().success();
    assert_eq!(settings(5).1, (json!("error"), json!(file)));
    // Without settings in the call, only the delegate's own are left.
    desk.call("DEL").run().silent();
    assert_eq!(settings(6).1, (json!("error"), json!(null)));
}
