//! A delegate that fails with an error: flannel's error, and the kept configuration.

use serde_json::json;

use crate::asked::commands;
use crate::desk::Desk;
use crate::upkeep::with_kept;

const ERROR: &str =
    r#"{"cniVersion": "0.4.0", "code": 999, "msg": "no bridge today", "details": "ask again"}"#;

/// The call fails with the delegate's own error.
#[track_caller]
fn assert_fails(desk: &Desk, command: &str) {
    let outcome = desk.call(command).run();
    let failure = outcome.failure();
    assert_eq!(failure.cni_version.as_deref(), Some("1.0.0"));
    let mut expected = "bridge: no bridge today".to_owned();
    if command == "DEL" {
        expected += &with_kept(desk, "c1");
    }
    assert_eq!(
        (failure.code, failure.msg, &*failure.details),
        (999, expected, "ask again")
    );
    assert_eq!(outcome.stderr_text(), "");
}

#[test]
fn a_failed_add_is_rolled_back() {
    let desk = Desk::new();
    desk.delegate.on("ADD").stdout(ERROR).exit(1);
    assert_fails(&desk, "ADD");
    assert_eq!(desk.kept(), [].into());
    let calls = desk.delegate.calls();
    assert_eq!(commands(&desk), ["ADD", "DEL"]);
    assert_eq!(calls[0].stdin, calls[1].stdin);
    // The runtime's DEL calls the delegate again, because the kept configuration may have been
    // lost.
    desk.call("DEL").run().silent();
    assert_eq!(commands(&desk), ["ADD", "DEL", "DEL"]);
    assert_eq!(desk.delegate.calls()[2].stdin, calls[0].stdin);
}

#[test]
fn a_failed_rollback_keeps_the_configuration_for_del() {
    let desk = Desk::new();
    desk.delegate.on("ADD").stdout(ERROR).exit(1);
    let unable = r#"{"code": 5, "msg": "cannot undo it"}"#;
    desk.delegate.on("DEL").stdout(unable).exit(1);
    assert_fails(&desk, "ADD");
    assert_eq!(desk.kept().into_keys().collect::<Vec<_>>(), ["c1"]);
    let failure = desk.call("DEL").run().failure();
    let expected = format!("bridge: cannot undo it{}", with_kept(&desk, "c1"));
    assert_eq!((failure.code, failure.msg), (5, expected));

    desk.delegate.on("DEL").reset();
    desk.call("DEL").run().silent();
    assert_eq!(desk.kept(), [].into());
    assert_eq!(commands(&desk), ["ADD", "DEL", "DEL", "DEL"]);
    let calls = desk.delegate.calls();
    assert!(
        calls.iter().all(|call| call.stdin == calls[0].stdin),
        "{calls:?}"
    );
}

#[test]
fn an_add_after_a_failed_one_succeeds() {
    let desk = Desk::new();
    desk.delegate.on("ADD").stdout(ERROR).exit(1);
    desk.delegate.on("DEL").exit(1);
    assert_fails(&desk, "ADD");
    desk.delegate.on("ADD").reset();
    desk.call("ADD").run().success();
    desk.delegate.on("DEL").reset();
    desk.call("DEL").run().silent();
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn a_repeated_add_leaves_the_first_attachment_alone() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let before = desk.kept();
    desk.delegate.on("ADD").stdout(ERROR).exit(1);
    let mut netconf = desk.netconf();
    netconf["delegate"] = json!({"bridge": "cni1"});
    let again = desk.call("ADD").config(&netconf);
    assert_eq!(again.run().failure().code, 999);
    assert_eq!(commands(&desk), ["ADD", "ADD"]);
    assert_eq!(desk.kept(), before);
    desk.call("DEL").run().silent();
    let calls = desk.delegate.calls();
    assert_eq!(calls[2].stdin, calls[0].stdin);
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn a_failed_del_can_be_repeated() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let kept = desk.kept();
    desk.delegate.on("DEL").stdout(ERROR).exit(1);
    for _ in 0..2 {
        assert_fails(&desk, "DEL");
        assert_eq!(desk.kept(), kept);
    }
    desk.delegate.on("DEL").reset();
    desk.call("DEL").run().silent();
    assert_eq!(desk.kept(), [].into());
    let calls = desk.delegate.calls();
    assert_eq!(commands(&desk), ["ADD", "DEL", "DEL", "DEL"]);
    assert!(
        calls.iter().all(|call| call.stdin == calls[0].stdin),
        "{calls:?}"
    );
}

#[test]
fn a_failed_check_changes_nothing() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let before = desk.listing();
    desk.delegate.on("CHECK").stdout(ERROR).exit(1);
    assert_fails(&desk, "CHECK");
    assert_eq!(desk.listing(), before);
    assert_eq!(commands(&desk), ["ADD", "CHECK"]);
}

#[test]
fn check_and_del_report_a_delegate_that_was_uninstalled() {
    let desk = Desk::new();
    desk.call("ADD").run().success();
    let before = desk.listing();
    for command in ["CHECK", "DEL"] {
        let failure = desk
            .call(command)
            .path("/nowhere:/nowhere/else")
            .run()
            .failure();
        let mut expected = "no plugin \"bridge\" in CNI_PATH /nowhere:/nowhere/else: \
            install it there, or correct the type in the network configuration"
            .to_owned();
        if command == "DEL" {
            expected += &with_kept(&desk, "c1");
        }
        assert_eq!((failure.code, failure.msg), (100, expected));
        assert_eq!(desk.listing(), before);
    }
    desk.call("DEL").run().silent();
    assert_eq!(desk.kept(), [].into());
}
