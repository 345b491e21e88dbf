//! Invalid delegates: by their configuration, or by the file in `CNI_PATH`.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde_json::{Value, json};
use testkit::binaries;

use crate::assert_refused;
use crate::desk::Desk;

/// The time limit of a call that recurses a few times at most.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn invalid_keys_of_delegate_are_refused() {
    let desk = Desk::new();
    let taken = |key: &str| format!("delegate must not have the key {key:?}: flannel sets it");
    let no_type = |text: &str| {
        format!(
            "delegate.type {text:?} is no plugin type: it must be the bare name of a file in \
                CNI_PATH"
        )
    };
    for (delegate, code, message) in [
        (json!({"name": "x"}), 7, taken("name")),
        (json!({"Name": ""}), 7, taken("name")),
        (json!({"name": null}), 7, taken("name")),
        (json!({"ipam": null}), 7, taken("ipam")),
        (
            json!({"type": null}),
            6,
            "delegate.type: null is no string: leave the key out, or name a plugin".to_owned(),
        ),
        (json!({"ipam": {}}), 7, taken("ipam")),
        (json!({"IPAM": {"type": "dhcp"}}), 7, taken("ipam")),
        (
            json!({"type": 5}),
            6,
            "delegate.type: invalid type: integer `5`, expected a string".to_owned(),
        ),
        (
            json!({"type": ["bridge"]}),
            6,
            "delegate.type: invalid type: sequence, expected a string".to_owned(),
        ),
        (json!({"type": ""}), 7, "delegate.type is empty".to_owned()),
        (
            json!({"type": "flannel"}),
            7,
            "delegate.type must not be \"flannel\": it would call itself for ever".to_owned(),
        ),
        (
            json!({"type": "Flannel"}),
            7,
            "delegate.type must not be \"flannel\": it would call itself for ever".to_owned(),
        ),
        (json!({"type": "./flannel"}), 7, no_type("./flannel")),
        (json!({"type": "../bridge"}), 7, no_type("../bridge")),
        (json!({"type": "/bin/sh"}), 7, no_type("/bin/sh")),
        (json!({"type": ".."}), 7, no_type("..")),
    ] {
        let mut netconf = desk.netconf();
        netconf["delegate"] = delegate;
        let message = format!("network configuration: {message}");
        assert_refused(&desk, &desk.call("ADD").config(&netconf), code, &message);
    }
}

#[test]
fn flannel_as_ipam_plugin_is_refused() {
    let desk = Desk::new();
    for name in ["flannel", "FLANNEL"] {
        let mut netconf = desk.netconf();
        netconf["ipam"] = json!({"type": name});
        let message = "network configuration: ipam.type must not be \"flannel\": it would call itself for ever";
        assert_refused(&desk, &desk.call("ADD").config(&netconf), 7, message);
    }
    // The Go bridge and macvlan would call themselves, also on DEL.
    for name in ["bridge", "macvlan", "portmap"] {
        let mut netconf = desk.netconf();
        netconf["ipam"] = json!({"type": name});
        let message = format!(
            "network configuration: ipam.type {name} is no IPAM plugin: it gives no addresses, and would call itself for \
             ever; leave the key out for host-local"
        );
        assert_refused(&desk, &desk.call("ADD").config(&netconf), 7, &message);
        desk.call("DEL").config(&netconf).run().silent();
        assert_eq!(desk.delegate.calls(), []);
    }
}

/// The files of the delegate and of its IPAM plugin are flannel: a link or a copy.
#[test]
fn a_delegate_whose_file_is_flannel_is_refused() {
    let links = [
        |from, to| symlink(from, to),
        |from, to| fs::copy(from, to).map(drop),
    ] as [fn(PathBuf, PathBuf) -> io::Result<()>; 2];
    let flannel = binaries::plugin("flannel");
    for link in links {
        let desk = Desk::new();
        let dir = desk.path("plugins");
        fs::create_dir(&dir).unwrap();
        for name in ["bridge", "host-local", "my-bridge", "my-ipam"] {
            link(flannel.clone(), dir.join(name)).unwrap();
        }
        // argv[0] selects the plugin of a multi-call binary.
        if flannel.is_symlink() {
            assert_is_no_plugin(&desk, &dir);
        } else {
            assert_does_not_call_itself(&desk, &dir);
        }
    }
}

/// Under any name the file is flannel, which does not call a delegate of the name that it was
/// called by.
#[track_caller]
fn assert_does_not_call_itself(desk: &Desk, dir: &Path) {
    let error_text = "network configuration: flannel is called as \"bridge\", and delegate.type is that as well: \
        it would call itself for ever; correct delegate.type or ipam.type, or install the plugin of that name again";
    let lease = fs::read(desk.subnet_file()).unwrap();
    let node = desk.listing();
    // The inner flannel does not read the outer one's keys.
    let mut netconf = desk.netconf();
    netconf["delegate"] = json!({
        "subnetFile": desk.subnet_file(),
        "dataDir": desk.data_dir(),
    });
    netconf["ipam"] = json!({"type": "my-ipam"});
    let call = |command: &str, netconf: &Value| {
        let call = desk.call(command).path(dir).config(netconf);
        call.limit(SOON).run()
    };
    let failure = call("ADD", &netconf).failure();
    assert_eq!(
        (failure.code, failure.msg),
        (7, format!("bridge: {error_text}"))
    );
    call("DEL", &netconf).silent();
    assert_eq!(desk.kept(), [].into());
    assert_eq!(fs::read(desk.subnet_file()).unwrap(), lease);
    let after = desk.listing();
    assert_eq!(
        node.keys()
            .filter(|path| !after.contains_key(*path))
            .count(),
        0
    );

    // The list itself calls flannel by that name.
    netconf["type"] = json!("bridge");
    let failure = call("ADD", &netconf).failure();
    assert_eq!((failure.code, failure.msg), (7, error_text.to_owned()));
}

/// Under a name that is not a plugin's, the multi-call binary reports an error. Like any failure
/// that may be temporary, the error fails one DEL.
#[track_caller]
fn assert_is_no_plugin(desk: &Desk, dir: &Path) {
    let error_text = "my-bridge: CNI_COMMAND is set, but the name that the program was started by, \"my-bridge\", \
        is no plugin's: link or copy it to one of ";
    let mut netconf = desk.netconf();
    netconf["delegate"] = json!({"type": "my-bridge"});
    netconf["ipam"] = json!({"type": "my-ipam"});
    netconf["cniVersion"] = "1.1.0".into();
    let call = |command: &str| {
        let call = desk.call(command).path(dir).config(&netconf);
        call.limit(SOON).run()
    };
    let failure = call("ADD").failure();
    assert_eq!(failure.code, 4, "{failure:?}");
    assert!(failure.msg.starts_with(error_text), "{failure:?}");
    assert_eq!(desk.kept(), [].into());
    // STATUS reports that no ADD can succeed.
    let failure = call("STATUS").failure();
    assert_eq!(failure.code, 4, "{failure:?}");
    assert!(failure.msg.starts_with(error_text), "{failure:?}");

    let failure = call("DEL").failure();
    assert!(failure.msg.starts_with(error_text), "{failure:?}");
    call("DEL").silent();
    assert_eq!(desk.kept(), [].into());
}

#[test]
fn a_missing_delegate_is_reported() {
    let desk = Desk::new();
    let empty = desk.path("empty");
    fs::create_dir(&empty).unwrap();
    let add = desk.call("ADD").paths([&empty, &desk.path("absent")]);
    let missing = |path: String| {
        format!(
            "no plugin \"bridge\" in CNI_PATH {path}: \
             install it there, or correct the type in the network configuration"
        )
    };
    let both = format!("{}:{}", empty.display(), desk.path("absent").display());
    assert_refused(&desk, &add, 100, &missing(both));
    // A directory and a dangling link are not plugins.
    fs::create_dir(empty.join("bridge")).unwrap();
    let add = add.path(&empty);
    assert_refused(&desk, &add, 100, &missing(empty.display().to_string()));
    fs::remove_dir(empty.join("bridge")).unwrap();
    symlink("/nowhere", empty.join("bridge")).unwrap();
    assert_refused(&desk, &add, 100, &missing(empty.display().to_string()));
}

#[test]
fn a_delegate_without_execute_permission_is_reported() {
    let desk = Desk::new();
    let directory = desk.path("plugins");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("bridge"), "#!/bin/sh\n").unwrap();
    let message = format!(
        "plugin {} is not executable: make it so with chmod +x",
        directory.join("bridge").display()
    );
    assert_refused(&desk, &desk.call("ADD").path(&directory), 100, &message);
    // An executable file in a later directory is found.
    desk.call("ADD")
        .paths([&directory, &desk.delegate.dir()])
        .run()
        .success();
}

#[test]
fn a_delegate_that_the_kernel_cannot_execute_is_reported() {
    let desk = Desk::new();
    let directory = desk.path("plugins");
    fs::create_dir(&directory).unwrap();
    let program = directory.join("bridge");
    fs::write(&program, "neither a script nor a binary").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let failure = desk.call("ADD").path(&directory).run().failure();
    let message = format!(
        "cannot start plugin {}: Exec format error (os error 8)",
        program.display()
    );
    assert_eq!((failure.code, failure.msg), (100, message));
    // The delegate has not run, so there is nothing to roll back.
    assert_eq!(desk.kept(), [].into());
    desk.call("DEL").run().silent();
}
