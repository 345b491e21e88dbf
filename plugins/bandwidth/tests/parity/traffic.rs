//! Real packets.

use crate::support::traffic::{Way, time_of};
use crate::support::{INSIDE, INSIDE6, Lab, MEGABIT, OUTSIDE, OUTSIDE6, both, limits};

both!(a_rate_holds_in_both_directions);

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
