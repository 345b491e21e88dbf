//! Numbers as people read them.

use std::time::Duration;

/// A time, as `612µs`, `1.24ms` or `2.05s`.
pub(crate) fn time(time: Duration) -> String {
    if time < Duration::from_millis(1) {
        format!("{time:.0?}")
    } else {
        format!("{time:.2?}")
    }
}

/// A ratio, as `0.45x` or `0.0012x`.
pub(crate) fn ratio(ratio: f64) -> String {
    if ratio < 0.1 {
        format!("{ratio:.4}x")
    } else {
        format!("{ratio:.2}x")
    }
}

/// An amount in KiB, as `1.2 MiB`.
pub(crate) fn memory(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let times = [612, 1_240, 2_050_000].map(Duration::from_micros).map(time);
        assert_eq!(times, ["612µs", "1.24ms", "2.05s"]);
        assert_eq!(
            [2.184, 0.449, 0.00118].map(ratio),
            ["2.18x", "0.45x", "0.0012x"]
        );
        assert_eq!(memory(1_230), "1.2 MiB");
    }
}
