//! Times for people and for programs.

use std::time::{Duration, SystemTime};

/// A duration in its largest unit: 90 seconds are `1 min`.
pub(crate) fn in_words(duration: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3600, "h"), (60, "min")];
    let seconds = duration.as_secs();
    let unit = UNITS.into_iter().find(|(length, _)| seconds >= *length);
    let (length, unit) = unit.unwrap_or((1, "s"));
    format!("{} {unit}", seconds / length)
}

/// Parses a duration, such as `90s`, `5m` or `1h 30m`.
///
/// # Errors
/// What a duration looks like.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "no duration such as 90s, 5m or 1h")
}

/// The time since a moment, in words; `0 s` if the moment is in the future by the clock.
pub(crate) fn since(moment: SystemTime, now: SystemTime) -> String {
    in_words(now.duration_since(moment).unwrap_or_default())
}

/// A moment for programs: `2026-08-01T12:00:00Z` (RFC 3339).
pub(crate) fn rfc3339(moment: SystemTime) -> String {
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_counts() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (86_399, "23 h"),
            (86_400 * 40, "40 d"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
