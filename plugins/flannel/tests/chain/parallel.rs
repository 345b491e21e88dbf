//! Parallel ADDs of one attachment, as by a runtime that repeats a call after its timeout.

use testkit::Running;

use crate::attached::{assert_attached, assert_nothing_left};
use crate::lab::{Container, Delegates, Lab, NETWORK, netconf, with_prev_result};
use crate::lease::ONLY_IPV4;

const ROUNDS: usize = 8;
const CALLS: usize = 5;

#[test]
fn one_of_parallel_adds_of_an_attachment_succeeds() {
    for delegates in Delegates::BOTH {
        one_succeeds(delegates);
    }
}

fn one_succeeds(delegates: Delegates) {
    let Some(lab) = Lab::with(delegates, &ONLY_IPV4) else {
        return;
    };
    let netconf = netconf("1.0.0");
    for round in 0..ROUNDS {
        let container = Container::new("a");
        let add = lab.call("ADD", &container, &netconf);
        let running: Vec<Running> = (0..CALLS).map(|_| lab.node.start(&add)).collect();
        let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
        let (succeeded, failed): (Vec<_>, Vec<_>) =
            outcomes.iter().partition(|outcome| outcome.code == Some(0));
        assert_eq!(succeeded.len(), 1, "{delegates:?}, round {round}");
        for outcome in failed {
            let msg = outcome.failure().msg;
            assert!(msg.contains("eth0"), "{msg}");
        }
        let result = succeeded[0].success();
        let address = result["ips"][0]["address"].as_str().unwrap();
        let number = address.split(['.', '/']).nth(3).unwrap().parse().unwrap();
        assert_attached(&lab, &container, ONLY_IPV4, number, &result);
        assert_eq!(lab.taken(NETWORK), ONLY_IPV4.host(number));
        let check = lab.call("CHECK", &container, &with_prev_result(&netconf, &result));
        lab.node.run(&check).silent();
        lab.del(&container, &netconf);
        assert_nothing_left(&lab, &[&container]);
    }
}
