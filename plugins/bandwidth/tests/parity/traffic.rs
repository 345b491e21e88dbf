//! Real packets.

use std::thread::sleep;
use std::time::Duration;

use crate::support::traffic::{Flows, Way, time_of};
use crate::support::{INSIDE, INSIDE6, Lab, MEGABIT, OUTSIDE, OUTSIDE6, both, limits};

both!(
    a_rate_holds_in_both_directions,
    eight_flows_share_the_whole_rate,
);

/// With 8 Mbit/s and a burst of 100 kB, 600 kB take half a second: no less, whatever the machine
/// does, and not much more unless it does much else.
fn a_rate_holds_in_both_directions(lab: &Lab) {
    let a = lab.container("a");
    lab.add(&a, &lab.chained(&a, limits(8 * MEGABIT, 800_000)));
    for (inside, outside) in [(INSIDE, OUTSIDE), (INSIDE6, OUTSIDE6)] {
        for way in [Way::Into, Way::OutOf] {
            let elapsed = time_of(lab, &a, way, 600_000, inside, outside).as_secs_f64();
            assert!(elapsed > 0.45, "{way:?} {inside}: {elapsed} s");
            assert!(elapsed < 5.0, "{way:?} {inside}: {elapsed} s");
        }
    }
}

/// The payload's share of a packet with Ethernet, IPv4 and TCP headers, the latter with timestamps.
const PAYLOAD: f64 = 1448.0 / 1514.0;

/// The limit counts headers. On a busy machine, senders and receivers may not get their turn for a
/// while, so one second in which the flows reach the rate is enough.
fn eight_flows_share_the_whole_rate(lab: &Lab) {
    let a = lab.container("a");
    let (rate, burst) = (8 * MEGABIT, MEGABIT / 2);
    lab.add(&a, &lab.chained(&a, limits(rate, burst)));
    let (rate, burst) = (rate as f64 / 8.0 * PAYLOAD, burst as f64 / 8.0 * PAYLOAD);
    for way in [Way::Into, Way::OutOf] {
        let flows = Flows::start(lab, &a, way, 8, INSIDE, OUTSIDE);
        // The first second contains the burst.
        sleep(Duration::from_secs(1));
        let mut seconds = Vec::new();
        while !seconds.iter().any(|share| *share > 0.95) {
            assert!(seconds.len() < 20, "{way:?}: of the rate, {seconds:?}");
            let (start, before) = flows.so_far();
            sleep(Duration::from_secs(1));
            let (end, after) = flows.so_far();
            let in_time = rate * (end - start).as_secs_f64();
            seconds.push((after - before) as f64 / in_time);
            let most = rate * end.as_secs_f64() + burst;
            assert!(
                after as f64 <= most * 1.01,
                "{way:?}: {after} bytes in {end:?}"
            );
        }
    }
}
