//! The burst of a limit.

use cni_plugin::Log;
use netlink::traffic::Bucket;

use crate::config::Limit;

/// The burst that kubelet sends for every pod, in bytes: it has no annotation for it.
const KUBELETS: u64 = (i32::MAX as u64) / 8;

/// The longest burst that is used as given, in seconds at the rate. A longer one would leave most
/// connections without any limit.
const LONGEST_SECONDS: u64 = 10;

/// The replacement is the rate divided by this, a tenth of a second: as long as the kernel may be
/// busy with something else.
const NEEDED_PARTS: u64 = 10;

/// The smallest burst in packets: with fewer, large packets would never pass.
const PACKETS: u64 = 2;

/// The bytes of an Ethernet header with a VLAN tag, which the MTU does not include.
const ETHERNET: u64 = 18;

/// The bucket of a limit on a link with this MTU. The burst is that of the configuration if it is
/// reasonable for the rate; a replacement is logged.
pub(crate) fn bucket(limit: Limit, mtu: u32, direction: &str, log: &Log) -> Bucket {
    let burst = effective(limit, mtu);
    if burst != limit.burst {
        log.info(format_args!(
            "{direction}Burst of {} bytes makes no sense at {} bytes per second: it is {burst}",
            limit.burst, limit.rate
        ));
    }
    Bucket::new(limit.rate, burst)
}

fn effective(limit: Limit, mtu: u32) -> u64 {
    let Limit { rate, burst } = limit;
    let packets = PACKETS * (u64::from(mtu) + ETHERNET);
    let is_meant = burst != KUBELETS && burst <= rate.saturating_mul(LONGEST_SECONDS).max(packets);
    let burst = if is_meant { burst } else { rate / NEEDED_PARTS };
    burst.max(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u32 = 1500;
    const PACKETS_OF_MTU: u64 = 3036;

    fn burst(rate: u64, burst: u64) -> u64 {
        effective(Limit { rate, burst }, MTU)
    }

    #[test]
    fn a_burst_that_is_meant_stays() {
        for seconds in [1, 2, 10] {
            assert_eq!(burst(125_000, 125_000 * seconds), 125_000 * seconds);
        }
        assert_eq!(burst(125_000, 15_000), 15_000);
    }

    #[test]
    fn an_absurd_one_becomes_what_the_rate_needs() {
        // kubelet's at 1 Mbit/s, and at 10 Gbit/s, where it is a fifth of a second's.
        assert_eq!(burst(125_000, (1 << 28) - 1), 12_500);
        assert_eq!(burst(1_250_000_000, (1 << 28) - 1), 125_000_000);
        assert_eq!(burst(125_000, 1_250_001), 12_500);
        assert_eq!(burst(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn packets_fit() {
        assert_eq!(burst(125_000, 1), PACKETS_OF_MTU);
        assert_eq!(burst(1, 57), PACKETS_OF_MTU);
        assert_eq!(burst(1, PACKETS_OF_MTU), PACKETS_OF_MTU);
        assert_eq!(burst(1, u64::MAX), PACKETS_OF_MTU);
    }
}
