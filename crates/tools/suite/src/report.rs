//! What test binaries said, one after another.

use std::collections::BTreeSet;

use crate::skips::Test;

/// Comes before what a test binary says, with its package and its name.
const BEGIN: &str = "vm: suite ";

/// Of what went wrong, this many lines are printed; the first failure is usually among them.
const MOST: usize = 200;

/// The line that comes before what a test binary says.
pub(super) fn begin((package, target): (&str, &str)) -> String {
    format!("{BEGIN}{package} {target}\n")
}

/// The words of several test binaries, each after its line of [`begin`].
pub(super) struct Report<'a> {
    text: &'a str,
}

impl<'a> Report<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text }
    }

    /// The tests of a binary that have passed.
    pub(super) fn passed_in(&self, (package, target): (&str, &str)) -> BTreeSet<Test> {
        let wanted = begin((package, target));
        let lines = self.text.lines();
        let after = lines.skip_while(|line| *line != wanted.trim_end()).skip(1);
        after
            .take_while(|line| !line.starts_with(BEGIN))
            .filter_map(passed)
            .map(|name| Test {
                package: package.to_owned(),
                name: name.to_owned(),
            })
            .collect()
    }

    /// What is said beyond tests that pass, which is what is worth reading if one does not.
    pub(super) fn unexpected(&self) -> String {
        let lines = self.text.lines();
        let lines: Vec<&str> = lines
            .filter(|line| passed(line).is_none() && !line.trim().is_empty())
            .collect();
        let left_out = lines.len().saturating_sub(MOST);
        let printed: Vec<&str> = lines.into_iter().skip(left_out).collect();
        match left_out {
            0 => printed.join("\n"),
            _ => format!("({left_out} lines)\n{}", printed.join("\n")),
        }
    }
}

/// The name in a line of a test that passed.
fn passed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
SeaBIOS
vm: suite netlink kernel

running 2 tests
test vlan::a ... ok
test vlan::b ... FAILED
test result: FAILED. 1 passed
vm: suite vm boot
test vlan::c ... ok
";

    #[test]
    fn what_passed_belongs_to_its_suite() {
        let report = Report::of(TEXT);
        for (package, target, passed) in [
            ("netlink", "kernel", &["vlan::a"][..]),
            ("vm", "boot", &["vlan::c"]),
            ("vm", "kernel", &[]),
        ] {
            let tests = passed.iter().map(|name| Test {
                package: package.to_owned(),
                name: (*name).to_owned(),
            });
            assert_eq!(report.passed_in((package, target)), tests.collect());
        }
    }

    #[test]
    fn what_failed_is_told() {
        let printed = Report::of(TEXT).unexpected();
        assert!(printed.contains("vlan::b ... FAILED"), "{printed}");
        assert!(!printed.contains(" ... ok"), "{printed}");
        let long = "a line\n".repeat(MOST + 1) + "the end\n";
        let printed = Report::of(&long).unexpected();
        assert!(printed.starts_with("(2 lines)\na line\n"), "{printed}");
        assert!(printed.ends_with("\nthe end"), "{printed}");
    }
}
