//! Where values come to lie, and which of them are marked on an axis.

/// The numbers of a decade that are round.
const ROUND: [f64; 3] = [1.0, 2.0, 5.0];

/// More marks than these are too many on a logarithmic axis.
const MOST_MARKS: usize = 14;

/// As many intervals at most on a linear axis.
const MOST_INTERVALS: f64 = 6.0;

/// A linear scale from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Linear {
    max: f64,
}

impl Linear {
    /// A scale that ends with this value.
    pub(super) fn to(max: f64) -> Self {
        Self {
            max: if max > 0.0 { max } else { 1.0 },
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        value / self.max
    }

    /// Round values at equal distances.
    pub(super) fn marks(&self) -> Vec<f64> {
        let steps = round_values(self.max / 1e3, self.max * 10.0);
        let step = steps
            .into_iter()
            .find(|step| self.max / step <= MOST_INTERVALS)
            .unwrap_or(self.max);
        let last = (self.max / step + 1e-9).floor() as usize;
        (0..=last).map(|number| number as f64 * step).collect()
    }
}

/// A logarithmic scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Log {
    min: f64,
    max: f64,
}

impl Log {
    /// A scale from the round value below these values to the one above. Values that are not above 0 do not count.
    pub(super) fn over(values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter().filter(|value| *value > 0.0);
        let (low, high) = values.fold((f64::MAX, 0.0), |(low, high), value| {
            (f64::min(low, value), f64::max(high, value))
        });
        if high <= 0.0 {
            return Self {
                min: 1.0,
                max: 10.0,
            };
        }
        let round = round_values(low / 10.0, high * 10.0);
        let below = round.iter().rfind(|value| **value <= low);
        let above = round.iter().find(|value| **value > high);
        Self {
            min: *below.unwrap_or(&low),
            max: *above.unwrap_or(&(high * 10.0)),
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value / self.min).log10() / (self.max / self.min).log10()
    }

    /// Round values: powers of ten, and those between them if there is room.
    pub(super) fn marks(&self) -> Vec<f64> {
        let all = round_values(self.min * 0.999, self.max * 1.001);
        if all.len() <= MOST_MARKS {
            return all;
        }
        all.into_iter().filter(|value| is_decade(*value)).collect()
    }
}

/// Whether it is a power of ten.
pub(super) fn is_decade(value: f64) -> bool {
    let exponent = value.log10();
    (exponent - exponent.round()).abs() < 1e-9
}

/// The round values from one value to another, in order.
fn round_values(from: f64, to: f64) -> Vec<f64> {
    let (first, last) = (from.log10().floor() as i32, to.log10().ceil() as i32);
    let decades = (first..=last).map(|exponent| 10f64.powi(exponent));
    decades
        .flat_map(|decade| ROUND.map(|digit| digit * decade))
        .filter(|value| (from..=to).contains(value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(values: &[f64], expected: &[f64]) {
        let alike = |(value, expected): (&f64, &f64)| (value - expected).abs() < 1e-9;
        let alike = values.iter().zip(expected).all(alike);
        assert!(
            alike && values.len() == expected.len(),
            "{values:?} instead of {expected:?}"
        );
    }

    #[test]
    fn a_logarithmic_scale_ends_with_round_values() {
        let scale = Log::over([0.7, 3.0, 40.0, 0.0]);
        assert_eq!(
            scale,
            Log {
                min: 0.5,
                max: 50.0
            }
        );
        about(
            &[scale.place(0.5), scale.place(5.0), scale.place(50.0)],
            &[0.0, 0.5, 1.0],
        );
        about(&scale.marks(), &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
    }

    #[test]
    fn many_decades_have_a_mark_each() {
        about(
            &Log::over([0.0006, 7.0]).marks(),
            &[
                0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
            ],
        );
        about(
            &Log::over([0.0001, 70.0]).marks(),
            &[0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0],
        );
    }

    #[test]
    fn one_value_is_enough_for_a_scale() {
        let scale = Log::over([2.0]);
        assert_eq!(scale, Log { min: 2.0, max: 5.0 });
        assert!(scale.place(2.0).abs() < 1e-9);
    }

    #[test]
    fn a_linear_axis_has_few_round_marks() {
        let fifty = Linear::to(50_000.0);
        assert_eq!(
            fifty.marks(),
            [0.0, 10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0]
        );
        assert_eq!(fifty.place(25_000.0), 0.5);
        let ten = Linear::to(10_000.0).marks();
        assert_eq!(ten, [0.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0, 10_000.0]);
        assert_eq!(Linear::to(7.0).marks(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(Linear::to(0.0).marks().len(), 6);
    }
}
