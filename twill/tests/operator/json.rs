//! `--json` of the commands that change something.

use serde_json::{Value, json};
use testkit::requirements::require_root;

use crate::site::Site;

#[test]
fn what_was_done_is_printed_as_json() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({
        "cniVersion": "1.0.0", "name": "cbr0",
        "plugins": [{"type": "flannel", "ipam": {"backend": "db"}}],
    }));
    let done = |words: &[&str], expected: Value| {
        assert_eq!(site.json(words), (expected, 0), "{words:?}");
    };
    done(&["release", "r1"], json!([]));
    done(
        &["reserve", "r1", "cbr0=10.244.1.9"],
        json!([{
            "network": "cbr0", "ifname": "eth0", "address": "10.244.1.9/24",
            "gateway": "10.244.1.1",
        }]),
    );
    done(
        &["convert", "disk", "cbr0"],
        json!({
            "network": "cbr0", "backend": "disk", "dataDir": "/var/lib/cni/networks", "moved": 1,
        }),
    );
    done(
        &["release", "10.244.1.9"],
        json!([{
            "network": "cbr0", "containerID": "r1", "ifname": "eth0", "addresses": ["10.244.1.9"],
        }]),
    );
    let file = "/var/lib/cni/networks/cbr0/10.244.1.9";
    site.node.write(file, "");
    let garbled = |outcome: &str, text: &str| {
        json!([{
            "kind": "garbled-address-file", "subject": file, "outcome": outcome, "text": text,
        }])
    };
    let kind = "garbled-address-file";
    let (value, status) = site.json(&["repair", kind]);
    assert_eq!(
        (value, status),
        (garbled("repairable", "remove the file"), 1)
    );
    done(&["repair", kind, "--apply"], garbled("done", "removed"));
    done(&["repair", kind, "--apply"], json!([]));

    let dir = "/run/plugins";
    let install = ["install", dir, "--plugins", "bridge"];
    let report = |dry_run: bool, change: &str| {
        json!({
            "dryRun": dry_run, "remarks": [], "needed": [],
            "files": [{"file": "/run/plugins/bridge", "change": change}],
        })
    };
    done(
        &[&install[..], &["--dry-run"]].concat(),
        report(true, "installed"),
    );
    done(&install, report(false, "installed"));
    done(&install, report(false, "unchanged"));
    done(&["uninstall", dir], report(false, "removed"));
    let (text, status) = site.twill(&[&install[..], &["--skip", "bridge"]].concat());
    let expected = "twill: --skip leaves nothing of --plugins: name other plugins";
    assert_eq!((text.as_str(), status), (expected, 2));
}
