//! STATUS: whether an ADD could succeed now.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::Invocation;

use crate::asked::{commands, last_call};
use crate::desk::{Desk, SUBNET_ENV};
use crate::upkeep::{self, add, netconf};

const FLANNELDS: &str = "check the log of flanneld on this node";

#[track_caller]
fn status(desk: &Desk) -> Invocation {
    upkeep::call(desk, "STATUS")
}

/// STATUS fails at once with this error, and changes nothing.
#[track_caller]
fn assert_not_ready(desk: &Desk, status: &Invocation, message: &str, details: &str) {
    let before = desk.listing();
    let outcome = status.run();
    let failure = outcome.failure();
    assert_eq!(failure.cni_version.as_deref(), Some("1.1.0"));
    assert_eq!(
        (failure.code, &*failure.msg, &*failure.details),
        (50, message, details)
    );
    assert_eq!(outcome.stderr_text(), "");
    assert_eq!(desk.listing(), before);
}

#[test]
fn status_of_a_ready_node_succeeds() {
    let desk = Desk::new();
    let before = desk.listing();
    status(&desk).run().silent();
    assert_eq!(desk.listing(), before);
    assert_eq!(commands(&desk), ["STATUS"]);
    let asked = last_call(&desk).stdin;
    // The delegate gets the configuration that an ADD would give it.
    assert_eq!(add(&desk, "c1", "eth0"), asked);
    let before = desk.listing();
    status(&desk).run().silent();
    assert_eq!(desk.listing(), before);
}

#[test]
fn a_missing_or_invalid_lease_is_reported() {
    let desk = Desk::new();
    let whole_but = |from: &str, to: &str| SUBNET_ENV.replace(from, to);
    for (contents, problem, details) in [
        (
            None,
            "there is no such file: flanneld has no lease for this node yet",
            FLANNELDS,
        ),
        (
            Some(String::new()),
            "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ missing: \
             flanneld has not written all of the lease",
            FLANNELDS,
        ),
        (
            Some(whole_but("FLANNEL_IPMASQ=true\n", "")),
            "FLANNEL_IPMASQ missing: flanneld has not written all of the lease",
            FLANNELDS,
        ),
        (
            Some(whole_but("FLANNEL_MTU=", "FLANNEL_MTU ")),
            "line 3: \"FLANNEL_MTU\" is no assignment of the form KEY=value",
            "correct it, or have flanneld write it anew by restarting it",
        ),
        (
            Some(whole_but("1450", "14x")),
            "FLANNEL_MTU: \"14x\" is no number of bytes",
            "correct it, or have flanneld write it anew by restarting it",
        ),
    ] {
        fs::remove_file(desk.subnet_file()).unwrap();
        if let Some(contents) = contents {
            fs::write(desk.subnet_file(), contents).unwrap();
        }
        let file = desk.subnet_file();
        let message = format!("failed to load the lease: {}: {problem}", file.display());
        assert_not_ready(&desk, &status(&desk), &message, details);
        fs::write(desk.subnet_file(), SUBNET_ENV).unwrap();
    }

    fs::remove_file(desk.subnet_file()).unwrap();
    fs::create_dir(desk.subnet_file()).unwrap();
    let message = format!(
        "failed to load the lease: {}: cannot be read: Is a directory (os error 21)",
        desk.subnet_file().display()
    );
    let remedy = "make it a file that root can read";
    assert_not_ready(&desk, &status(&desk), &message, remedy);
    assert_eq!(commands(&desk), [""; 0]);
}

#[test]
fn status_never_waits_for_the_lease() {
    let desk = Desk::new();
    fs::remove_file(desk.subnet_file()).unwrap();
    let mut netconf = netconf(&desk);
    netconf["subnetFileWait"] = json!(20);
    let outcome = status(&desk).config(&netconf).run();
    assert_eq!(outcome.failure().code, 50);
    // On an idle machine the call takes milliseconds.
    assert!(outcome.elapsed < Duration::from_secs(5), "{outcome}");

    // A FIFO without a writer is not waited for.
    let made = Command::new("mkfifo").arg(desk.subnet_file()).status();
    assert!(made.unwrap().success());
    let outcome = status(&desk).limit(Duration::from_secs(5)).run();
    assert_eq!(outcome.failure().code, 50);
}

#[test]
fn a_delegate_that_cannot_be_started_is_reported() {
    let desk = Desk::new();
    assert_not_ready(
        &desk,
        &status(&desk).path("/nowhere:/nowhere/else"),
        "no plugin \"bridge\" in CNI_PATH /nowhere:/nowhere/else: \
         install it there, or correct the type in the network configuration",
        "",
    );
    let directory = desk.path("plugins");
    fs::create_dir(&directory).unwrap();
    let program = directory.join("bridge");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    let message = format!(
        "plugin {} is not executable: make it so with chmod +x",
        program.display()
    );
    assert_not_ready(&desk, &status(&desk).path(&directory), &message, "");
    assert_eq!(commands(&desk), [""; 0]);
}

#[test]
fn a_data_dir_without_write_access_is_reported() {
    let desk = Desk::new();
    fs::write(desk.data_dir(), "precious").unwrap();
    let not_a_directory = |path: &str| {
        format!("dataDir cannot be written to: cannot open {path}: Not a directory (os error 20)")
    };
    let message = not_a_directory(desk.data_dir().to_str().unwrap());
    assert_not_ready(&desk, &status(&desk), &message, "");

    let below = desk.data_dir().join("a");
    let mut netconf = netconf(&desk);
    netconf["dataDir"] = json!(below);
    let message = not_a_directory(below.to_str().unwrap());
    assert_not_ready(&desk, &status(&desk).config(&netconf), &message, "");
    assert_eq!(commands(&desk), [""; 0]);
}

#[test]
fn the_delegates_error_is_passed_on() {
    let desk = Desk::new();
    for (code, details) in [(50, ""), (51, "two of three uplinks"), (7, "x")] {
        let error =
            json!({"cniVersion": "1.1.0", "code": code, "msg": "no uplink", "details": details});
        desk.delegate.on("STATUS").stdout(error.to_string()).exit(1);
        let failure = status(&desk).run().failure();
        assert_eq!(
            (failure.code, &*failure.msg, &*failure.details),
            (code, "bridge: no uplink", details)
        );
    }
}

#[test]
fn a_delegate_that_does_not_know_status_is_no_error() {
    for versions in [
        "",
        "garbage",
        r#"{"cniVersion": "1.1.0", "supportedVersions": ["1.1.0"]}"#,
    ] {
        let desk = Desk::new();
        desk.delegate.on("VERSION").stdout(versions);
        desk.delegate
            .on("STATUS")
            .stdout(r#"{"code": 4, "msg": "unknown CNI_COMMAND: STATUS"}"#)
            .exit(1);
        status(&desk).run().silent();
    }
}

#[test]
fn a_delegate_without_the_configurations_version_is_reported() {
    let desk = Desk::new();
    let versions = r#"{"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}"#;
    desk.delegate.on("VERSION").stdout(versions);
    let program = desk.delegate.program().display();
    let message = format!("plugin {program} does not support cniVersion 1.1.0");
    for error in [
        r#"{"code": 4, "msg": "unknown CNI_COMMAND: STATUS"}"#,
        r#"{"code": 1, "msg": "incompatible CNI versions"}"#,
    ] {
        desk.delegate.on("STATUS").stdout(error).exit(1);
        assert_not_ready(&desk, &status(&desk), &message, "");
    }
    // A runtime calls STATUS every few seconds.
    assert_eq!(commands(&desk), ["STATUS", "VERSION"].repeat(2));
}

#[test]
fn an_invalid_configuration_is_reported() {
    let desk = Desk::new();
    let mut netconf = netconf(&desk);
    netconf["delegate"] = json!({"name": "x"});
    let failure = status(&desk).config(&netconf).run().failure();
    assert_eq!(
        (failure.code, &*failure.msg),
        (
            7,
            "network configuration: delegate must not have the key \"name\": flannel sets it"
        )
    );
}
