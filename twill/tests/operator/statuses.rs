//! The exit status of every command: 0 if all is well or done, 1 if faults were found, 2 if the
//! command could not do its work.

use std::collections::BTreeSet;

use testkit::requirements::require_root;

use crate::healthy::site_of;
use crate::site::Site;

/// Runs commands one after another, and returns their names.
#[track_caller]
fn run(site: &Site, expected: i32, commands: &[&str]) -> BTreeSet<String> {
    let names = commands.iter().map(|command| {
        let words: Vec<&str> = command.split(' ').collect();
        let (text, status) = site.twill(&words);
        assert_eq!(status, expected, "twill {command}: {text}");
        words[0].to_owned()
    });
    names.collect()
}

#[test]
fn every_command_ends_with_the_status_of_what_it_found() {
    if !require_root() {
        return;
    }
    let site = site_of("db");
    let alive =
        r#"[{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c2", "ifname": "eth0"}]"#;
    site.node.write("/run/alive.json", alive);
    site.node.write("/run/none.json", "");
    site.run("ip", &["netns", "add", "c3"]);

    let done = run(
        &site,
        0,
        &[
            "status",
            "status cbr0",
            "leases",
            "leases --dead",
            "show c1",
            "doctor",
            "repair",
            "repair --apply",
            "gc --from netns",
            "gc --from netns --apply",
            "gc cbr0 --by-plugins --from /run/alive.json",
            "metrics",
            "metrics --output /run/twill.prom",
            "render",
            "check cbr0 c1 --container c1",
            "add cbr0 c3 --container c3",
            "del cbr0 c3 --container c3",
            "del cbr0 c3 --container c3",
            "release 10.244.1.99",
            "reserve r1 cbr0",
            "release r1",
            "install /run/elsewhere",
            "uninstall /run/elsewhere",
        ],
    );

    site.end("c2");
    site.run("ip", &["-n", "c1", "address", "flush", "dev", "eth0"]);
    let faults = run(
        &site,
        1,
        &[
            "status --older-than 0s",
            "doctor --older-than 0s",
            "repair --older-than 0s",
            "gc --from netns --older-than 0s",
            "check cbr0 c1 --container c1",
        ],
    );
    // These report what is dead as well, which is no fault of theirs.
    run(
        &site,
        0,
        &[
            "leases --dead",
            "metrics --older-than 0s",
            "repair dead-lease --older-than 0s --apply",
            "status --older-than 0s",
        ],
    );
    site.run("rm", &["/run/cni-bin/portmap"]);
    run(
        &site,
        1,
        &["status", "status cbr0", "doctor", "repair --apply"],
    );

    let failures = run(
        &site,
        2,
        &[
            "status --from /run/none.json",
            "status none",
            "doctor --from /run/none.json",
            "repair --from /run/none.json",
            "repair no-such-fault",
            "gc",
            "gc --from /run/none.json --apply",
            "gc none --by-plugins --from /run/alive.json",
            "metrics --from /run/none.json",
            "metrics --output /proc/none/twill.prom",
            "show c9",
            "release c1",
            "render /run/absent.conflist",
            "add cbr0 absent",
            "add none c3",
            "check cbr0 absent",
            "check cbr0 c3",
            "del none c3",
            "reserve r1 none",
            "convert db",
            "install /proc/none",
            "uninstall /run/alive.json",
            "leases --sort colour",
        ],
    );
    // An ADD that fails, here for want of a plugin, leaves nothing.
    run(&site, 2, &["add cbr0 c3 --container c3"]);
    run(&site, 0, &["convert disk cbr0"]);
    site.node.write("/var/lib/cni/networks/.addresses.db", "");
    run(
        &site,
        2,
        &["leases", "reserve r1 cbr0", "convert disk cbr0"],
    );
    run(&site, 1, &["status", "doctor"]);

    let mut all: BTreeSet<String> = &done | &failures;
    all.insert("convert".to_owned());
    let known = twill::command();
    let known = known.get_subcommands().map(|it| it.get_name().to_owned());
    assert_eq!(all, known.collect());
    assert_eq!(faults.len(), 5);
}
