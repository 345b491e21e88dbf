//! A delegate that fails without the error that the specification demands.

use testkit::Script;

use crate::desk::Desk;
use crate::upkeep::with_kept;

/// The delegate's behaviour, and flannel's error: code, message after the delegate's path, details.
type Break = (fn(Script), u64, &'static str, &'static str);

const BREAKS: [Break; 6] = [
    (
        |script| drop(script.stdout("").kill(9)),
        101,
        "was killed by SIGKILL",
        "",
    ),
    (
        // The error of a killed delegate is ignored, because it may be incomplete.
        |script| drop(script.stdout(r#"{"code": 5, "msg": "x"}"#).kill(15)),
        101,
        "was killed by SIGTERM",
        r#"{"code": 5, "msg": "x"}"#,
    ),
    (
        |script| drop(script.stdout("").exit(1)),
        101,
        "failed with exit status 1 and no error in JSON",
        "",
    ),
    (
        |script| drop(script.stdout("").stderr("panic: why\n").exit(2)),
        101,
        "failed with exit status 2 and no error in JSON: panic: why",
        "panic: why",
    ),
    (
        |script| drop(script.stdout("half of {\"code\":").exit(1)),
        101,
        "failed with exit status 1 and no error in JSON: half of {\"code\":",
        "half of {\"code\":",
    ),
    (
        |script| drop(script.stdout(r#"{"msg": "no code"}"#).exit(1)),
        101,
        r#"failed with exit status 1 and no error in JSON: {"msg": "no code"}"#,
        r#"{"msg": "no code"}"#,
    ),
];

#[test]
fn every_command_reports_how_the_delegate_ended() {
    for command in ["ADD", "CHECK", "DEL"] {
        for (break_it, code, message, details) in BREAKS {
            let desk = Desk::new();
            if command != "ADD" {
                desk.call("ADD").run().success();
            }
            let kept = desk.kept();
            break_it(desk.delegate.on(command));
            let failure = desk.call(command).run().failure();
            let mut expected = format!("plugin {} {message}", desk.delegate.program().display());
            if command == "DEL" {
                expected += &with_kept(&desk, "c1");
            }
            assert_eq!((failure.code, failure.msg), (code, expected));
            assert_eq!(failure.details, details);
            assert_eq!(desk.kept(), kept, "{command}");

            desk.delegate.on(command).reset();
            desk.call("DEL").run().silent();
            assert_eq!(desk.kept(), [].into());
        }
    }
}

#[test]
fn an_add_without_a_result_is_rolled_back() {
    for (said, why) in [
        ("", "empty: a JSON object is expected"),
        ("hello", "expected value at line 1 column 1"),
        ("[]", "an object is expected, not an array"),
        (
            r#"{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.2"}]}"#,
            r#"ips[0].address: "10.244.1.2" is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64"#,
        ),
        (
            r#"{"cniVersion":"9.9.9"}"#,
            r#"cniVersion: "9.9.9" is not a supported version of the CNI specification"#,
        ),
    ] {
        let desk = Desk::new();
        desk.delegate.on("ADD").stdout(said);
        let failure = desk.call("ADD").run().failure();
        let program = desk.delegate.program().display();
        let expected = format!("plugin {program} answered ADD with an invalid result: {why}");
        assert_eq!((failure.code, failure.msg), (6, expected));
        assert_eq!(failure.details, said);
        assert_eq!(desk.kept(), [].into());
        let calls = desk.delegate.calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(
            (&*calls[1].command, &calls[1].stdin),
            ("DEL", &calls[0].stdin)
        );
    }
}

#[test]
fn an_add_whose_delegate_was_killed_is_rolled_back() {
    let desk = Desk::new();
    desk.delegate.on("ADD").stdout("").kill(9);
    desk.call("ADD").run().failure();
    let calls = desk.delegate.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (&*calls[1].command, &calls[1].stdin),
        ("DEL", &calls[0].stdin)
    );
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn the_output_of_a_successful_check_or_del_is_ignored() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    for command in ["CHECK", "DEL"] {
        desk.delegate.on(command).stdout("{\"garbage\"");
        desk.call(command).run().silent();
    }
    assert_eq!(desk.kept(), [].into());
}
