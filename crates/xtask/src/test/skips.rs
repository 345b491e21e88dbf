//! What tests said of being skipped.

use std::collections::BTreeSet;

use testkit::requirements::LEFT_TO_VM;

/// A test, whichever of its package's test binaries it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) package: String,
    pub(super) name: String,
}

/// The lines of the log of skips, less those of tests that were left to the virtual machine and have passed there.
pub(super) fn left_over(log: &str, passed_in_vm: &BTreeSet<Test>) -> BTreeSet<String> {
    let has_run =
        |line: &&str| is_left_to_vm(line) && named(line).is_some_and(|t| passed_in_vm.contains(&t));
    let lines = log.lines().filter(|line| !has_run(line));
    lines.map(str::to_owned).collect()
}

pub(super) fn is_left_to_vm(line: &str) -> bool {
    line.ends_with(LEFT_TO_VM)
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

    #[test]
    fn only_what_passed_in_the_machine_is_forgotten() {
        let of = |package: &str, name: &str, reason: &str| {
            format!("SKIPPED {package} {name} (src/x.rs:7): {reason}")
        };
        let kernel = format!("needs a kernel with ipvlan{LEFT_TO_VM}");
        let lines = [
            of("twill-ipvlan", "modes::each", &kernel),
            of("twill-ipvlan", "modes::other", &kernel),
            of("twill-macvlan", "modes::each", &kernel),
            of("twill-ipvlan", "modes::each", "needs root"),
        ];
        let passed = Test {
            package: "twill-ipvlan".to_owned(),
            name: "modes::each".to_owned(),
        };
        let log = lines.join("\n") + "\n";
        let left = left_over(&log, &[passed].into());
        assert_eq!(left, lines[1..].iter().cloned().collect());
        let left_to_vm = left.iter().filter(|line| is_left_to_vm(line)).count();
        assert_eq!(left_to_vm, 2);
    }
}
