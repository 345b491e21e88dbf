//! Numbers as one reads them.

use std::time::Duration;

use super::stats::Summary;

/// A latency with three digits that count, as `612 µs`, `1.24 ms` or `2.05 s`.
pub(super) fn latency(time: Duration) -> String {
    let unit = Unit::of(time);
    format!("{} {}", unit.number(time), unit.name)
}

/// A latency that is a round number, as `50 ms`.
pub(super) fn round_latency(time: Duration) -> String {
    let unit = Unit::of(time);
    let number = (time.as_secs_f64() * unit.per_second * 1e3).round() / 1e3;
    format!("{number} {}", unit.name)
}

/// A median with the tenth and the ninetieth percentile in the same unit, as `612 µs (580–701)`.
pub(super) fn spread(summary: &Summary) -> String {
    let unit = Unit::of(summary.median);
    format!(
        "{} ({}–{})",
        latency(summary.median),
        unit.number(summary.low),
        unit.number(summary.high)
    )
}

/// A ratio, as `0.45x` or `0.0012x`.
pub(super) fn ratio(ratio: f64) -> String {
    let decimals = match ratio {
        0.1.. => 2,
        0.01.. => 3,
        _ => 4,
    };
    format!("{ratio:.decimals$}x")
}

/// An amount of memory, as `1.2 MiB`.
pub(super) fn memory(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}

/// A count with its digits in groups, as `50,000`.
pub(super) fn count(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

struct Unit {
    name: &'static str,
    per_second: f64,
    decimals: usize,
}

impl Unit {
    fn of(time: Duration) -> Self {
        let (name, per_second, decimals) = match time.as_micros() {
            0..1_000 => ("µs", 1e6, 0),
            1_000..10_000 => ("ms", 1e3, 2),
            10_000..100_000 => ("ms", 1e3, 1),
            100_000..1_000_000 => ("ms", 1e3, 0),
            _ => ("s", 1.0, 2),
        };
        Self {
            name,
            per_second,
            decimals,
        }
    }

    fn number(&self, time: Duration) -> String {
        let decimals = self.decimals;
        format!("{:.decimals$}", time.as_secs_f64() * self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies() {
        let expected = [
            (612, "612 µs"),
            (1_240, "1.24 ms"),
            (12_400, "12.4 ms"),
            (585_400, "585 ms"),
            (2_050_000, "2.05 s"),
        ];
        for (microseconds, text) in expected {
            assert_eq!(latency(Duration::from_micros(microseconds)), text);
        }
        let round = [500, 1_000, 50_000, 2_000_000].map(Duration::from_micros);
        assert_eq!(round.map(round_latency), ["500 µs", "1 ms", "50 ms", "2 s"]);
    }

    #[test]
    fn a_spread_has_one_unit() {
        let summary = Summary {
            count: 3,
            low: Duration::from_micros(580),
            median: Duration::from_micros(990),
            high: Duration::from_micros(1_210),
        };
        assert_eq!(spread(&summary), "990 µs (580–1210)");
    }

    #[test]
    fn counts() {
        let texts = [0, 999, 1_000, 50_000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "50,000", "1,234,567"]);
        assert_eq!(memory(1_230), "1.2 MiB");
        let ratios = [2.184, 0.449, 0.0449, 0.00118].map(ratio);
        assert_eq!(ratios, ["2.18x", "0.45x", "0.045x", "0.0012x"]);
    }
}
