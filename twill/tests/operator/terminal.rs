//! What a person sees on a terminal, and a program does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use testkit::requirements::require_root;

use crate::healthy::{site, without_ages};
use crate::site::Site;

const ESCAPE: char = '\x1b';

/// The text without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split(ESCAPE);
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain += part.split_once('m').unwrap().1;
    }
    plain
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    if !require_root() {
        return;
    }
    let site = site();
    for command in ["leases", "status", "doctor --older-than 0s", "show c1"] {
        let (text, status) = site.on_a_terminal(200, &[], command);
        assert_eq!(status, 0, "{text}");
        for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
            let (text, _) = site.on_a_terminal(200, &variables, command);
            assert!(!text.contains(ESCAPE), "{variables:?}: {text}");
        }
        let words: Vec<&str> = command.split(' ').collect();
        let (text, _) = site.twill(&words);
        assert!(!text.contains(ESCAPE), "{text}");
    }
    let (text, _) = site.on_a_terminal(200, &[], "leases");
    assert!(text.contains("\x1b[1mADDRESS\x1b[0m"), "{text}");
    assert_eq!(text.matches("\x1b[32malive\x1b[0m").count(), 2, "{text}");
    let (text, _) = site.on_a_terminal(200, &[("NO_COLOR", "")], "leases");
    assert!(text.contains("\x1b[32malive\x1b[0m"), "{text}");
    // A program gets JSON, on a terminal too.
    let (text, _) = site.on_a_terminal(20, &[], "leases --json");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value.as_array().unwrap().len(), 2);
}

#[test]
fn tables_fit_the_terminal() {
    if !require_root() {
        return;
    }
    let site = site();
    let of_width = |columns| {
        let (text, status) = site.on_a_terminal(columns, &[], "leases --sort container");
        assert_eq!(status, 0);
        let lines: Vec<String> = plain(&text).lines().map(str::to_owned).collect();
        for line in &lines {
            assert!(line.chars().count() <= usize::from(columns), "{line}");
        }
        lines
    };
    let second = |lines: Vec<String>| without_ages(&lines[1]);
    assert_eq!(
        second(of_width(120)),
        "cbr0 10.244.1.2 c1 eth0 default/web-0 0 s this alive on eth0 in /run/netns/c1"
    );
    assert_eq!(
        second(of_width(100)),
        "cbr0 10.244.1.2 c1 eth0 default/web-0 0 s this alive on eth0 in /run/netns…"
    );
    // What is less important is left out.
    let narrow = of_width(80);
    assert_eq!(
        without_ages(&narrow[0]),
        "NETWORK ADDRESS CONTAINER POD SINCE STATE WHY"
    );
    assert_eq!(
        without_ages(&of_width(60)[0]),
        "NETWORK ADDRESS CONTAINER POD SINCE STATE"
    );
}

#[test]
fn who_waits_on_a_terminal_sees_for_how_long() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.list(&json!({"cniVersion": "1.0.0", "name": "cbr0", "plugins": [{"type": "bridge"}]}));
    let crictl = "/run/programs/crictl";
    site.node
        .write(crictl, "#!/bin/sh\nsleep 2.5\necho '{\"items\": []}'\n");
    site.node.enter(|| {
        fs::set_permissions(crictl, fs::Permissions::from_mode(0o755)).unwrap();
    });
    let path = "/run/programs:/usr/sbin:/usr/bin:/sbin:/bin";
    let gc = "gc --from crictl";
    let (text, status) = site.on_a_terminal(80, &[("PATH", path)], gc);
    let shown = "\rtwill gc: at work for 1 s\rtwill gc: at work for 2 s\r";
    let result = "\rnothing is dead; 0 alive, 0 unclear\n";
    assert!(
        text.starts_with(shown) && text.ends_with(result),
        "{text:?}"
    );
    assert_eq!(status, 0);
    // Standard error is none here.
    let quiet = format!("{gc} 2>/run/stderr");
    let (text, _) = site.on_a_terminal(80, &[("PATH", path)], &quiet);
    assert_eq!(text, &result[1..]);
    assert_eq!(site.node.read("/run/stderr"), "");
    // A command that is done at once says nothing.
    let (text, _) = site.on_a_terminal(80, &[], "gc --from netns");
    assert_eq!(text, &result[1..]);
}
