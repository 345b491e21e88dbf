//! Calls of GC and STATUS, which need 1.1.0, and state for them.

use std::fs;

use serde_json::{Value, json};
use testkit::Invocation;

use crate::desk::Desk;

/// A configuration of 1.1.0.
pub(crate) fn netconf(desk: &Desk) -> Value {
    let mut netconf = desk.netconf();
    netconf["cniVersion"] = "1.1.0".into();
    netconf
}

/// A call without an attachment.
#[track_caller]
pub(crate) fn call(desk: &Desk, command: &str) -> Invocation {
    desk.call(command)
        .without("CNI_CONTAINERID")
        .without("CNI_IFNAME")
        .without("CNI_NETNS")
        .config(&netconf(desk))
}

/// A GC with these valid attachments: container IDs and interfaces.
#[track_caller]
pub(crate) fn gc(desk: &Desk, valid: &[(&str, &str)]) -> Invocation {
    call(desk, "GC").config(&with_valid(netconf(desk), valid))
}

/// A configuration with a list of valid attachments, as libcni writes it.
pub(crate) fn with_valid(mut netconf: Value, valid: &[(&str, &str)]) -> Value {
    let valid: Vec<Value> = valid
        .iter()
        .map(|(id, ifname)| json!({"containerID": id, "ifname": ifname}))
        .collect();
    netconf["cni.dev/valid-attachments"] = json!(valid);
    netconf["cni.dev/attachments"] = json!(valid);
    netconf
}

/// Adds an attachment, and returns what the delegate got.
#[track_caller]
pub(crate) fn add(desk: &Desk, id: &str, ifname: &str) -> Vec<u8> {
    add_with(desk, id, ifname, &netconf(desk));
    desk.delegate.calls().pop().unwrap().stdin
}

#[track_caller]
pub(crate) fn add_with(desk: &Desk, id: &str, ifname: &str, netconf: &Value) {
    let add = desk.call("ADD").container(id).ifname(ifname);
    add.config(netconf).run().success();
}

/// Creates a file in the directory of the kept configurations.
#[track_caller]
pub(crate) fn leave(desk: &Desk, name: &str, contents: impl AsRef<[u8]>) {
    let file = desk.data_dir().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, contents).unwrap();
}

/// The end of an error that concerns a kept configuration.
pub(crate) fn with_kept(desk: &Desk, name: &str) -> String {
    let file = desk.data_dir().join(name);
    format!(" (with the configuration kept in {})", file.display())
}

/// The names of the kept files.
pub(crate) fn kept(desk: &Desk) -> Vec<String> {
    desk.kept().into_keys().collect()
}
