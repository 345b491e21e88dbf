//! flannel is killed at many instants of an ADD, as by a runtime after its timeout. The DEL that
//! follows at once leaves nothing, whatever the delegate and its IPAM plugin were doing.

#![allow(clippy::restriction, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of what they share")]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/lease.rs"]
mod lease;

use std::thread::sleep;

use crate::lab::{BRIDGE, Container, Delegates, Lab, NETWORK, netconf};
use crate::lease::DUAL_STACK;

const KILLS: u32 = 100;

/// The number of instants over which each round spreads its kills.
const INSTANTS: u32 = 20;

#[test]
fn a_del_after_a_killed_add_leaves_nothing() {
    if let Some(lab) = Lab::new(&DUAL_STACK) {
        assert_nothing_is_left(&lab);
    }
}

/// Debian's host-local does not end with the delegate that started it.
#[test]
fn a_del_after_a_killed_add_leaves_nothing_with_debians_delegates() {
    if let Some(lab) = Lab::with(Delegates::Debians, &DUAL_STACK) {
        assert_nothing_is_left(&lab);
    }
}

fn assert_nothing_is_left(lab: &Lab) {
    let netconf = netconf("1.0.0");
    let container = Container::new("a");
    let add = lab.call("ADD", &container, &netconf);
    let undisturbed = lab.node.run(&add);
    undisturbed.success();
    lab.del(&container, &netconf);

    let mut interrupted = 0;
    let mut kept = 0;
    let mut life = undisturbed.elapsed;
    for number in 0..KILLS {
        let running = lab.node.start(&add);
        // From before the first instruction to after the last, also on a machine that becomes
        // slower or faster.
        sleep(life * (number % INSTANTS) * 11 / (INSTANTS * 10));
        running.kill();
        let killed = running.wait();
        if killed.signal == Some(9) {
            interrupted += 1;
            life += life / 16;
        } else {
            life -= life / 4;
        }
        kept += u32::from(!configurations(lab).is_empty());

        lab.del(&container, &netconf);
        let kill_number = format!("kill {number}");
        assert_eq!(container.link_names(), ["lo"], "{kill_number}");
        assert_eq!(
            lab.links()
                .iter()
                .filter(|link| *link != "lo" && *link != BRIDGE)
                .count(),
            0,
            "{kill_number}"
        );
        assert_eq!(lab.taken(NETWORK), [""; 0], "{kill_number}");
        assert_eq!(configurations(lab), [""; 0], "{kill_number}");
    }
    // The kills must have hit before, during and after the ADD.
    assert!(
        interrupted > KILLS / 5,
        "{interrupted} of {KILLS} interrupted"
    );
    assert!(kept > KILLS / 5, "{kept} of {KILLS} left a configuration");
    lab.add(&container, &netconf);
    lab.del(&container, &netconf);
}

/// The kept configurations of all attachments, without a `.new` that the next writer overwrites.
fn configurations(lab: &Lab) -> Vec<String> {
    let kept = lab.kept().into_iter();
    kept.filter(|name| name != ".new").collect()
}
