//! A list by which plugins would call each other for ever.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::binaries;
use testkit::requirements::REFERENCE_DIR;

use crate::attached::assert_nothing_left;
use crate::lab::{Container, Delegates, Lab, netconf};
use crate::lease::DUAL_STACK;

/// What a call may take that goes round once.
const SOON: Duration = Duration::from_secs(20);

/// bridge calls its IPAM plugin with its own configuration, and flannel would call bridge with that.
#[test]
fn an_ipam_plugin_that_is_flannel() {
    // argv[0] selects the plugin of a multi-call binary: under another name it is not flannel.
    if binaries::plugin("flannel").is_symlink() {
        return;
    }
    for delegates in Delegates::BOTH {
        let Some(lab) = Lab::with(delegates, &DUAL_STACK) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        symlink(binaries::plugin("flannel"), folder.path().join("my-ipam")).unwrap();
        let mut netconf = netconf("1.0.0");
        let container = Container::new("a");
        let call = |command: &str, netconf: &Value| {
            let call = lab.call(command, &container, netconf).limit(SOON);
            let paths = [folder.path(), lab.plugins.path(), Path::new(REFERENCE_DIR)];
            lab.node.run(&call.paths(paths))
        };
        // The bridge is there from now on.
        call("ADD", &netconf).success();
        call("DEL", &netconf).silent();

        netconf["ipam"] = json!({"type": "my-ipam"});
        let failure = call("ADD", &netconf).failure();
        assert_eq!(failure.code, 7, "{failure:?}");
        let told = "flannel is called as \"bridge\", and delegate.type is that as well: it would call itself for ever";
        assert!(failure.msg.contains(told), "{failure:?}");
        call("DEL", &netconf).silent();
        assert_nothing_left(&lab, &[&container]);
    }
}
