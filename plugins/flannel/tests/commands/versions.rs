//! VERSION, the versions that define each command, and a call without a command.

use serde_json::json;
use testkit::{Invocation, binaries};

use crate::desk::Desk;

const SUPPORTED: [&str; 7] = [
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
];

#[test]
fn version_needs_no_parameters_and_no_configuration() {
    let outcome = Invocation::new(binaries::plugin("flannel"), "VERSION").run();
    assert_eq!(
        outcome.success(),
        json!({"cniVersion": "1.1.0", "supportedVersions": SUPPORTED})
    );
}

#[test]
fn a_call_without_a_command_prints_name_and_versions() {
    let by_hand = Invocation::new(binaries::plugin("flannel"), "").stdin("x");
    for call in [by_hand.clone(), by_hand.without("CNI_COMMAND")] {
        let outcome = call.run();
        assert_eq!((outcome.code, &*outcome.stdout), (Some(0), &b""[..]));
        let expected = format!(
            "CNI flannel plugin v1.9.1+twill.{}\nCNI protocol versions supported: {}\n",
            env!("CARGO_PKG_VERSION"),
            SUPPORTED.join(", ")
        );
        assert_eq!(outcome.stderr_text(), expected);
    }
}

#[test]
fn a_command_is_refused_that_the_version_does_not_define() {
    let desk = Desk::new();
    for (index, version) in SUPPORTED.into_iter().enumerate() {
        for (command, since) in [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")] {
            if SUPPORTED[..index + 1].contains(&since) {
                continue;
            }
            let mut netconf = desk.netconf();
            netconf["cniVersion"] = version.into();
            let failure = desk.call(command).config(&netconf).run().failure();
            assert_eq!(failure.cni_version.as_deref(), Some(version));
            let message = format!("config version does not allow {command}");
            assert_eq!((failure.code, failure.msg), (1, message));
            // Callers compare the message with the Go plugins' text.
            assert_eq!(failure.details, "");
        }
    }
    assert_eq!(desk.delegate.calls(), []);
}

#[test]
fn each_version_is_passed_to_the_delegate_and_answered() {
    for version in &SUPPORTED[2..] {
        let desk = Desk::new();
        let mut netconf = desk.netconf();
        netconf["cniVersion"] = (*version).into();
        let result = desk.call("ADD").config(&netconf).run().success();
        assert_eq!(result["cniVersion"], *version);
        let stdin: serde_json::Value =
            serde_json::from_slice(&desk.delegate.calls()[0].stdin).unwrap();
        assert_eq!(stdin["cniVersion"], *version);
        desk.call("DEL").config(&netconf).run().silent();
    }
}

#[test]
fn without_a_version_the_delegate_gets_none() {
    let desk = Desk::new();
    let result = json!({"cniVersion": "0.1.0", "ip4": {"ip": "10.244.1.2/24"}});
    desk.delegate.on("ADD").stdout(result.to_string());
    let mut netconf = desk.netconf();
    netconf.as_object_mut().unwrap().remove("cniVersion");
    assert_eq!(desk.call("ADD").config(&netconf).run().success(), result);
    let stdin: serde_json::Value = serde_json::from_slice(&desk.delegate.calls()[0].stdin).unwrap();
    assert_eq!(stdin.get("cniVersion"), None);
}

#[test]
fn an_unknown_version_is_refused() {
    let desk = Desk::new();
    let before = desk.listing();
    for version in ["0.5.0", "1.0", "2.0.0", "v1.0.0", " 1.0.0"] {
        for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let mut netconf = desk.netconf();
            netconf["cniVersion"] = version.into();
            let failure = desk.call(command).config(&netconf).run().failure();
            assert_eq!(
                (failure.code, &*failure.msg),
                (1, "incompatible CNI versions")
            );
            let details = format!(
                "cniVersion of the network configuration is {version:?}, the plugin supports {}",
                SUPPORTED.join(", ")
            );
            assert_eq!(failure.details, details);
        }
    }
    assert_eq!(desk.delegate.calls(), []);
    assert_eq!(desk.listing(), before);
}
