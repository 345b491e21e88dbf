//! flannel is killed at many instants of an ADD, as a runtime does it with a plugin that is late: the DEL that follows
//! leaves nothing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking; what tests share is more than this one needs"
)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/lease.rs"]
mod lease;

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::{BRIDGE, Container, Lab, NETWORK, netconf};
use crate::lease::DUAL_STACK;

const KILLS: u32 = 50;

#[test]
fn a_del_after_a_killed_add_leaves_nothing() {
    let Some(lab) = Lab::new(&DUAL_STACK) else {
        return;
    };
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    let add = lab.call("ADD", &container, &netconf);
    let undisturbed = lab.node.run(&add);
    undisturbed.success();
    lab.del(&container, &netconf);

    let mut interrupted = 0;
    let mut kept = 0;
    for number in 0..KILLS {
        let running = lab.node.start(&add);
        let group = running.pid();
        // From before the first instruction to after the last, whatever the machine's speed.
        sleep(undisturbed.elapsed * number * 11 / (KILLS * 10));
        running.kill();
        let outcome = running.wait();
        interrupted += u32::from(outcome.signal == Some(9));
        // A delegate outlives flannel when that is killed, and may still be attaching the container. Until flannel takes
        // it along, a DEL beside it can be too early.
        wait_for_group(group);
        kept += u32::from(!configurations(&lab).is_empty());

        lab.del(&container, &netconf);
        let told = format!("kill {number}");
        assert_eq!(container.links(), ["lo"], "{told}");
        assert_eq!(
            lab.links()
                .iter()
                .filter(|link| *link != "lo" && *link != BRIDGE)
                .count(),
            0,
            "{told}"
        );
        assert_eq!(lab.taken(NETWORK), [""; 0], "{told}");
        assert_eq!(configurations(&lab), [""; 0], "{told}");
    }
    // That the instants were spread as they should be.
    assert!(
        interrupted > KILLS / 5,
        "{interrupted} of {KILLS} interrupted"
    );
    assert!(kept > KILLS / 5, "{kept} of {KILLS} left a configuration");
    lab.add(&container, &netconf);
    lab.del(&container, &netconf);
}

/// What is kept for any attachment, less the file that the next one overwrites before it gives it a name.
fn configurations(lab: &Lab) -> Vec<String> {
    let kept = lab.kept().into_iter();
    kept.filter(|name| name != ".new").collect()
}

/// Waits for the end of all processes of a group.
#[track_caller]
fn wait_for_group(group: u32) {
    let until = Instant::now() + Duration::from_secs(10);
    while group_is_alive(group) {
        assert!(Instant::now() < until, "group {group} does not end");
        sleep(Duration::from_millis(1));
    }
}

fn group_is_alive(group: u32) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let stat = fs::read_to_string(entry.unwrap().path().join("stat")).unwrap_or_default();
        // After the name, which may have anything in it: state, parent, group.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // A zombie that nobody waits for does nothing any more.
        fields.first() != Some(&"Z") && fields.get(2) == Some(&&*group.to_string())
    })
}
