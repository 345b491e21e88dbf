//! What was skipped, by tests and by parts.

use std::collections::BTreeSet;

use testkit::requirements::LEFT_TO_VM;

/// A test, whichever of its package's test binaries it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) package: String,
    pub(super) name: String,
}

/// A line for each thing that was skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skips {
    /// What only the virtual machine can run, and did not.
    left_to_vm: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl Skips {
    /// What tests have logged, less those that were left to the virtual machine and have passed
    /// there.
    pub(super) fn of(log: &str, passed_in_vm: &BTreeSet<Test>) -> Self {
        let is_left = |line: &&str| line.ends_with(LEFT_TO_VM);
        let (left, others): (BTreeSet<_>, BTreeSet<_>) = log.lines().partition(is_left);
        let has_run = |line: &&str| named(line).is_some_and(|test| passed_in_vm.contains(&test));
        Self {
            left_to_vm: left
                .into_iter()
                .filter(|line| !has_run(line))
                .map(str::to_owned)
                .collect(),
            others: others.into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn add(&mut self, what: &str, reason: &str) {
        self.others.insert(format!("SKIPPED {what}: {reason}"));
    }

    /// Whether it is nothing, or nothing but what may be left to the virtual machine.
    pub(super) fn is_none(&self, may_leave: bool) -> bool {
        self.others.is_empty() && (may_leave || self.left_to_vm.is_empty())
    }

    /// The lines, or one that says that there are none; just the number of what may be left to the
    /// virtual machine.
    pub(super) fn printed(&self, may_leave: bool) -> String {
        let mut lines: Vec<String> = self.others.iter().cloned().collect();
        match self.left_to_vm.len() {
            0 => {}
            left if may_leave => lines.push(format!("SKIPPED {left} tests{LEFT_TO_VM}")),
            _ => lines.extend(self.left_to_vm.iter().cloned()),
        }
        match lines.as_slice() {
            [] => "skipped: none\n".to_owned(),
            lines => lines.join("\n") + "\n",
        }
    }
}

/// `SKIPPED <package> <test> (<place>): <reason>`.
fn named(line: &str) -> Option<Test> {
    let (test, _) = line.strip_prefix("SKIPPED ")?.split_once(" (")?;
    let (package, name) = test.split_once(' ')?;
    Some(Test {
        package: package.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(package: &str, name: &str, reason: &str) -> String {
        format!("SKIPPED {package} {name} (src/x.rs:7): {reason}")
    }

    #[test]
    fn only_what_passed_in_the_machine_is_forgotten() {
        let kernel = format!("needs a kernel with ipvlan{LEFT_TO_VM}");
        let lines = [
            line("twill-ipvlan", "modes::each", &kernel),
            line("twill-ipvlan", "modes::other", &kernel),
            line("twill-macvlan", "modes::each", &kernel),
            line("twill-ipvlan", "modes::each", "needs root"),
        ];
        let passed = Test {
            package: "twill-ipvlan".to_owned(),
            name: "modes::each".to_owned(),
        };
        let skips = Skips::of(&(lines.join("\n") + "\n"), &[passed].into());
        assert_eq!(skips.left_to_vm, lines[1..3].iter().cloned().collect());
        assert_eq!(skips.others, lines[3..].iter().cloned().collect());
        assert_eq!(skips.printed(false).lines().count(), 3);
        assert!(!skips.is_none(true));
    }

    #[test]
    fn what_is_left_to_the_machine_is_counted_where_it_may_be() {
        let kernel = format!("needs a kernel with ipvlan{LEFT_TO_VM}");
        let mut skips = Skips::of(&line("twill-ipvlan", "modes::each", &kernel), &[].into());
        assert!(skips.is_none(true) && !skips.is_none(false));
        assert_eq!(
            skips.printed(true),
            format!("SKIPPED 1 tests{LEFT_TO_VM}\n")
        );
        skips.add("podman", "needs root");
        assert!(!skips.is_none(true));
        assert!(
            skips
                .printed(true)
                .starts_with("SKIPPED podman: needs root\n")
        );
    }

    #[test]
    fn nothing_is_told_too() {
        assert_eq!(Skips::of("", &[].into()).printed(false), "skipped: none\n");
    }
}
