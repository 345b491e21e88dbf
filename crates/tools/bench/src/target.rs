//! What a plugin is to reach.

use super::table::{NOTHING, Table};
use super::units;

/// A goal, and what was measured for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    what: String,
    limit: String,
    /// What was measured, and whether that is enough; `None` if it was not measured.
    reached: Option<(String, bool)>,
}

/// The most memory that a plugin is to take, in KiB.
const MOST_MEMORY: u64 = 4 * 1024;

impl Target {
    /// A ratio that is not to be larger.
    pub(super) fn ratio(what: String, limit: f64, measured: Option<f64>) -> Self {
        Self {
            what,
            limit: units::ratio(limit),
            reached: measured.map(|ratio| (units::ratio(ratio), ratio <= limit)),
        }
    }

    /// A peak of memory, in KiB, that is not to be larger than any plugin's.
    pub(super) fn memory(what: String, measured: Option<u64>) -> Self {
        Self::amount(what, MOST_MEMORY, measured)
    }

    /// An amount of memory or of a disk, in KiB, that is not to be larger.
    pub(super) fn amount(what: String, limit: u64, measured: Option<u64>) -> Self {
        Self {
            what,
            limit: units::memory(limit),
            reached: measured.map(|amount| (units::memory(amount), amount <= limit)),
        }
    }
}

/// A row a target.
pub(super) fn table(targets: Vec<Target>) -> Table {
    let mut table = Table::new(["target", "at most", "measured", "verdict"]);
    for target in targets {
        let (measured, verdict) = match target.reached {
            Some((measured, true)) => (measured, "met"),
            Some((measured, false)) => (measured, "MISSED"),
            None => (NOTHING.to_owned(), "not measured"),
        };
        table.row([target.what, target.limit, measured, verdict.to_owned()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let targets = vec![
            Target::ratio("a".to_owned(), 1.6, Some(1.6)),
            Target::ratio("b".to_owned(), 1.6, Some(1.7)),
            Target::ratio("c".to_owned(), 1.6, None),
            Target::memory("d".to_owned(), Some(4096)),
            Target::memory("e".to_owned(), Some(5120)),
        ];
        assert_eq!(
            table(targets).markdown(),
            "\
| target | at most | measured |      verdict |
| ------ | ------: | -------: | -----------: |
| a      |   1.60x |    1.60x |          met |
| b      |   1.60x |    1.70x |       MISSED |
| c      |   1.60x |        – | not measured |
| d      | 4.0 MiB |  4.0 MiB |          met |
| e      | 4.0 MiB |  5.0 MiB |       MISSED |
"
        );
    }
}
