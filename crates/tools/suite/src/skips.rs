//! The list of tests and parts that were skipped, with the reasons.

use std::collections::BTreeSet;

use testkit::requirements::LEFT_TO_VM;

/// A line for each thing that was skipped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Skips {
    /// What only the virtual machine can run, and did not.
    left_to_vm: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl Skips {
    /// What tests have logged, as `SKIPPED <package> <test> (<place>): <reason>`, less the tests
    /// that were left to the virtual machine and have passed there, as `<package> <test>`.
    pub(super) fn of(log: &str, passed_in_vm: &BTreeSet<String>) -> Self {
        let has_passed = |line: &&String| {
            let test = line
                .strip_prefix("SKIPPED ")
                .and_then(|line| line.split_once(" ("));
            test.is_some_and(|(test, _)| passed_in_vm.contains(test))
        };
        let lines = log.lines().map(str::to_owned);
        let (left, others): (BTreeSet<_>, _) = lines.partition(|line| line.ends_with(LEFT_TO_VM));
        let left_to_vm = left
            .iter()
            .filter(|line| !has_passed(line))
            .cloned()
            .collect();
        Self { left_to_vm, others }
    }

    pub(super) fn add(&mut self, what: &str, reason: &str) {
        self.others.insert(format!("SKIPPED {what}: {reason}"));
    }

    /// Whether it is nothing, or nothing but what may be left to the virtual machine.
    pub(super) fn is_none(&self, may_leave: bool) -> bool {
        self.others.is_empty() && (may_leave || self.left_to_vm.is_empty())
    }

    /// The lines, or one that there are none; just the number of tests that may be left to the
    /// virtual machine.
    pub(super) fn printed(&self, may_leave: bool) -> String {
        let mut lines: Vec<String> = self.others.iter().cloned().collect();
        match self.left_to_vm.len() {
            0 => {}
            left if may_leave => lines.push(format!("SKIPPED {left} tests{LEFT_TO_VM}")),
            _ => lines.extend(self.left_to_vm.iter().cloned()),
        }
        match lines.as_slice() {
            [] => "skipped: none".to_owned(),
            lines => lines.join("\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(package: &str, name: &str, reason: &str) -> String {
        format!("SKIPPED {package} {name} (src/x.rs:7): {reason}\n")
    }

    #[test]
    fn only_what_passed_in_the_machine_is_forgotten() {
        let kernel = format!("needs a kernel with ipvlan{LEFT_TO_VM}");
        let lines = [
            line("ipvlan", "modes::each", &kernel),
            line("ipvlan", "modes::other", &kernel),
            line("macvlan", "modes::each", &kernel),
            line("ipvlan", "modes::each", "needs root"),
        ];
        let skips = Skips::of(&lines.concat(), &["ipvlan modes::each".to_owned()].into());
        let trimmed = |lines: &[String]| lines.iter().map(|line| line.trim().to_owned()).collect();
        assert_eq!(skips.left_to_vm, trimmed(&lines[1..3]));
        assert_eq!(skips.others, trimmed(&lines[3..]));
        assert_eq!(skips.printed(false).lines().count(), 3);
        assert!(!skips.is_none(true));
    }

    #[test]
    fn what_is_left_to_the_machine_is_counted_where_it_may_be() {
        let kernel = format!("needs a kernel with ipvlan{LEFT_TO_VM}");
        let mut skips = Skips::of(&line("ipvlan", "modes::each", &kernel), &[].into());
        assert!(skips.is_none(true) && !skips.is_none(false));
        assert_eq!(skips.printed(true), format!("SKIPPED 1 tests{LEFT_TO_VM}"));
        skips.add("podman", "needs root");
        assert!(!skips.is_none(true));
        assert!(
            skips
                .printed(true)
                .starts_with("SKIPPED podman: needs root\n")
        );
        assert_eq!(Skips::default().printed(false), "skipped: none");
    }
}
