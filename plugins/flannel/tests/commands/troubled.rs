//! Misbehaving delegates, on each command; and the processes that remain when flannel is killed.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use testkit::{Invocation, Script};

use crate::asked::{commands, is_alive, wait_for_call, wait_until};
use crate::desk::Desk;
use crate::upkeep::{self, add, gc, kept, netconf, with_kept};

const ERROR: &str = r#"{"code": 999, "msg": "no bridge today", "details": "ask again"}"#;

const COMMANDS: [&str; 5] = ["ADD", "CHECK", "DEL", "GC", "STATUS"];

/// The timeout of DEL for processes of a killed ADD.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The delegate's behaviour, and the code and message of flannel's error, if there is one: on ADD,
/// which needs a result, and on every other command. `PROGRAM` stands for the delegate's path.
type Trouble = (
    fn(Script),
    Option<(u64, &'static str)>,
    Option<(u64, &'static str)>,
);

const TROUBLES: [Trouble; 5] = [
    (
        |script| drop(script.stdout(ERROR).exit(1)),
        Some((999, "bridge: no bridge today")),
        Some((999, "bridge: no bridge today")),
    ),
    (
        |script| drop(script.stdout("").exit(3)),
        Some((
            101,
            "plugin PROGRAM failed with exit status 3 and no error in JSON",
        )),
        Some((
            101,
            "plugin PROGRAM failed with exit status 3 and no error in JSON",
        )),
    ),
    (
        |script| drop(script.stdout("garbage")),
        Some((
            6,
            "plugin PROGRAM answered ADD with an invalid result: expected value at line 1 column 1",
        )),
        None,
    ),
    (
        |script| drop(script.kill(9)),
        Some((101, "plugin PROGRAM was killed by SIGKILL")),
        Some((101, "plugin PROGRAM was killed by SIGKILL")),
    ),
    (drop, None, None),
];

/// A call for the attachment c1/eth0, if the command has an attachment.
#[track_caller]
fn call(desk: &Desk, command: &str) -> Invocation {
    match command {
        "GC" => gc(desk, &[("c1", "eth0")]),
        "STATUS" => upkeep::call(desk, command),
        _ => desk.call(command).config(&netconf(desk)),
    }
}

/// A desk with that attachment, unless the command is ADD.
#[track_caller]
fn ready_for(command: &str) -> Desk {
    let desk = Desk::new();
    if command != "ADD" {
        add(&desk, "c1", "eth0");
    }
    desk
}

#[test]
fn every_misbehaviour_on_every_command_has_its_error() {
    for command in COMMANDS {
        for (make_trouble, of_add, of_others) in TROUBLES {
            let desk = ready_for(command);
            let before = desk.kept();
            make_trouble(desk.delegate.on(command));
            let trouble = if command == "ADD" { of_add } else { of_others };
            let outcome = call(&desk, command).run();
            assert_eq!(outcome.stderr_text(), "");
            match trouble {
                Some((code, message)) => {
                    let failure = outcome.failure();
                    let program = desk.delegate.program().to_str().unwrap();
                    let mut message = message.replace("PROGRAM", program);
                    if command == "DEL" {
                        message += &with_kept(&desk, "c1");
                    }
                    let expected = (code, message);
                    assert_eq!((failure.code, failure.msg), expected, "{outcome}");
                }
                None if command == "ADD" => drop(outcome.success()),
                None => outcome.silent(),
            }

            let asked = match (command, trouble) {
                // The ADD is rolled back.
                ("ADD", Some(_)) => &["ADD", "DEL"][..],
                ("ADD", None) => &["ADD"],
                // The delegate might not know the command.
                ("GC" | "STATUS", Some(_)) => &["ADD", command, "VERSION"],
                _ => &["ADD", command],
            };
            assert_eq!(commands(&desk), asked);
            let expected = match (command, trouble) {
                ("DEL", None) => BTreeMap::new(),
                ("ADD", None) => desk.kept(),
                _ => before,
            };
            assert_eq!(desk.kept(), expected, "{command}");

            desk.delegate.on(command).reset();
            call(&desk, "DEL").run().silent();
            assert_eq!(kept(&desk), [""; 0]);
        }
    }
}

#[test]
fn an_add_whose_rollback_fails_keeps_the_configuration_unless_refused() {
    for (make_trouble, of_add, of_others) in TROUBLES {
        let (Some((code, _)), Some(_)) = (of_add, of_others) else {
            continue;
        };
        let desk = Desk::new();
        for command in ["ADD", "DEL"] {
            make_trouble(desk.delegate.on(command));
        }
        assert_eq!(call(&desk, "ADD").run().failure().code, code);
        // The same orderly error for both commands means that the delegate refuses both.
        let expected = if code == 999 { &[][..] } else { &["c1"] };
        assert_eq!(kept(&desk), expected);
        assert_eq!(call(&desk, "DEL").run().failure().code, code);
        // With nothing kept before, the configuration and the failure are kept.
        assert_eq!(kept(&desk), ["c1"]);
        desk.delegate.on("DEL").reset();
        call(&desk, "DEL").run().silent();
        assert_eq!(kept(&desk), [""; 0]);
    }
}

#[test]
fn a_hanging_delegate_ends_with_flannel() {
    for command in COMMANDS {
        let desk = ready_for(command);
        desk.delegate.on(command).hang();
        let running = call(&desk, command).start();
        let call_of_command = if command == "ADD" { 0 } else { 1 };
        let delegate = wait_for_call(&desk, call_of_command).pid.unwrap();
        assert!(is_alive(delegate));
        running.kill();
        wait_until("the delegate ends", Duration::from_secs(1), || {
            !is_alive(delegate)
        });
        // Returns only once the delegate's stdout and stderr are closed.
        assert_eq!(running.wait().signal, Some(9));

        desk.delegate.on(command).reset();
        let outcome = call(&desk, "DEL").run();
        outcome.silent();
        assert!(outcome.elapsed < TIMEOUT, "{command}: {outcome}");
        assert_eq!(kept(&desk), [""; 0]);
        let calls = desk.delegate.calls();
        assert_eq!(calls[calls.len() - 1].stdin, calls[0].stdin);
    }
}

/// A process that continues, at the latest until this value is dropped.
struct Left(u32);

impl Left {
    fn end(self) {
        drop(self);
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if is_alive(self.0) {
            drop(Command::new("kill").arg(self.0.to_string()).status());
        }
    }
}

/// Kills an ADD whose delegate hangs and has started a process of this duration. Returns that
/// process, which continues.
#[track_caller]
fn kill_add_that_leaves(desk: &Desk, time: Duration) -> Left {
    desk.delegate.on("ADD").leave(time).hang();
    let running = call(desk, "ADD").limit(Duration::from_secs(20)).start();
    let left = || desk.delegate.calls().first().and_then(|call| call.left);
    wait_until("it is started", Duration::from_secs(20), || {
        left().is_some()
    });
    running.kill();
    assert_eq!(running.wait().signal, Some(9));
    let left = Left(left().unwrap());
    assert!(is_alive(left.0), "it was to go on, and hold nothing up");
    desk.delegate.on("ADD").reset();
    left
}

#[test]
fn del_waits_for_the_processes_of_a_killed_add() {
    let desk = Desk::new();
    let left = kill_add_that_leaves(&desk, Duration::from_secs(600));
    let del = call(&desk, "DEL").env("CNI_LOG", "error").start();
    sleep(TIMEOUT / 6);
    assert_eq!(commands(&desk), ["ADD"]);
    assert!(is_alive(left.0));
    left.end();
    let outcome = del.wait();
    outcome.silent();
    assert!(outcome.elapsed >= TIMEOUT / 6, "{outcome}");
    assert_eq!(commands(&desk), ["ADD", "DEL"]);
    assert_eq!(kept(&desk), [""; 0]);
}

#[test]
fn del_fails_with_code_11_after_its_timeout() {
    let desk = Desk::new();
    let left = kill_add_that_leaves(&desk, Duration::from_secs(600));
    // Meanwhile, other containers are not affected.
    add(&desk, "c2", "eth0");
    let del = desk.call("DEL").container("c2").config(&netconf(&desk));
    let outcome = del.run();
    outcome.silent();
    assert!(outcome.elapsed < TIMEOUT, "{outcome}");

    let outcome = call(&desk, "DEL").env("CNI_LOG", "error").run();
    assert!(is_alive(left.0));
    assert_eq!((outcome.code, &*outcome.stdout), (Some(0), &b""[..]));
    assert!(outcome.elapsed >= TIMEOUT, "{outcome}");
    let error_text = format!(
        "a process that ADD has started does not end, going on: {} is locked",
        desk.data_dir().display()
    );
    assert!(outcome.stderr_text().contains(&error_text), "{outcome}");
    assert_eq!(kept(&desk), [""; 0]);
    assert_eq!(commands(&desk), ["ADD", "ADD", "DEL", "DEL"]);
}

/// Daemons that a delegate started do not delay anything once the ADD has ended, whether it
/// succeeded or failed.
#[test]
fn nothing_waits_for_the_daemons_of_an_ended_add() {
    for (make_trouble, of_add, _) in TROUBLES {
        for command in ["DEL", "GC"] {
            let desk = Desk::new();
            make_trouble(
                desk.delegate
                    .on("ADD")
                    .leave_daemon(Duration::from_secs(600)),
            );
            // After a failed ADD, GC needs a kept configuration too.
            desk.delegate.on("DEL").exit(1);
            let outcome = call(&desk, "ADD").run();
            let left = Left(desk.delegate.calls()[0].left.unwrap());
            match of_add {
                Some(_) => drop(outcome.failure()),
                None => drop(outcome.success()),
            }
            assert!(is_alive(left.0));
            assert_eq!(kept(&desk), ["c1"]);
            desk.delegate.on("DEL").reset();

            let outcome = match command {
                "GC" => gc(&desk, &[]).run(),
                _ => call(&desk, command).run(),
            };
            // A killed delegate may have started a process that is still at work.
            let is_killed = matches!(of_add, Some((101, message)) if message.contains("SIGKILL"));
            if is_killed {
                assert!(command == "GC" || outcome.elapsed >= TIMEOUT, "{outcome}");
                continue;
            }
            outcome.silent();
            assert!(outcome.elapsed < TIMEOUT, "{outcome}");
            assert_eq!(kept(&desk), [""; 0]);
            assert!(is_alive(left.0));
        }
    }
}
