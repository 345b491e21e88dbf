//! Lines of code that have run, and that have not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

/// For each crate how many lines have code, and how many of these have run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines(BTreeMap<String, Count>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    all: usize,
    run: usize,
}

impl Lines {
    /// Takes a file in lcov's format, see geninfo(1). For each source file in it `counts` gives the
    /// name, which starts with the directory and the crate's directory in it, and the text, unless
    /// the file is of no interest.
    pub(super) fn of(
        lcov: &str,
        counts: impl Fn(&Path) -> Option<(String, String)>,
    ) -> Result<Self> {
        let mut crates = BTreeMap::new();
        let mut file: Option<(String, usize)> = None;
        for line in lcov.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                let source = counts(Path::new(path));
                file = source.map(|(name, text)| (crate_of(&name), lines_before_tests(&text)));
            } else if let Some(data) = line.strip_prefix("DA:") {
                let mut numbers = data.split(',').map(str::parse::<u64>);
                let (Some(Ok(number)), Some(Ok(times))) = (numbers.next(), numbers.next()) else {
                    None.with_context(|| format!("`{line}` is not lcov's"))?
                };
                match &file {
                    Some((name, end)) if number <= *end as u64 => {
                        let count: &mut Count = crates.entry(name.clone()).or_default();
                        count.all += 1;
                        count.run += usize::from(times > 0);
                    }
                    _ => {}
                }
            }
        }
        Ok(Self(crates))
    }
}

/// `bridge` of `plugins/bridge/src/lib.rs`.
fn crate_of(name: &str) -> String {
    name.split('/').nth(1).unwrap_or(name).to_owned()
}

/// Tests of a module stand at its end.
fn lines_before_tests(text: &str) -> usize {
    let lines = || text.lines().map(str::trim_end);
    let mut with_next = lines().zip(lines().skip(1));
    let tests = with_next.position(|pair| pair == ("#[cfg(test)]", "mod tests {"));
    tests.unwrap_or(usize::MAX)
}

impl Count {
    fn percent(self) -> f64 {
        self.run as f64 * 100.0 / self.all.max(1) as f64
    }
}

/// `94.7 % of 11690 lines (a 90, b 95)`, the crates from the lowest share to the highest.
impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |part: fn(&Count) -> usize| self.0.values().map(part).sum();
        let total = Count {
            all: sum(|count| count.all),
            run: sum(|count| count.run),
        };
        let mut crates: Vec<_> = self.0.iter().collect();
        crates.sort_by(|(_, one), (_, other)| one.percent().total_cmp(&other.percent()));
        let crates: Vec<String> = crates
            .iter()
            .map(|(name, count)| format!("{name} {:.0}", count.percent()))
            .collect();
        let crates = crates.join(", ");
        write!(
            f,
            "{:.1} % of {} lines ({crates})",
            total.percent(),
            total.all
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_crate_and_without_tests() {
        let lcov = "\
SF:/w/crates/a/src/lib.rs
DA:1,5
DA:2,0
DA:9,7
end_of_record
SF:/elsewhere/lib.rs
DA:1,0
end_of_record
SF:/w/plugins/b/src/main.rs
DA:3,1
end_of_record
";
        let counts = |file: &Path| {
            let name = file.strip_prefix("/w").ok()?.to_str()?;
            let text = "fn a() {\n}\n\n#[cfg(test)]\nmod tests {\n}\n";
            Some((name.to_owned(), text.to_owned()))
        };
        let lines = Lines::of(lcov, counts).unwrap();
        assert_eq!(lines.to_string(), "66.7 % of 3 lines (a 50, b 100)");
        let error = Lines::of("DA:x\n", counts).unwrap_err();
        assert_eq!(error.to_string(), "`DA:x` is not lcov's");
    }
}
