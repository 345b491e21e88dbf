//! The tables.

use super::contender::{Contender, Operation};
use super::{Figures, targets};
use crate::report::{Proportion, Report};
use crate::units;

/// What was measured, as Markdown.
pub(super) fn text(figures: &Figures, machine: &str, notes: &[String]) -> String {
    let mut report = Report::new(
        figures,
        "kept",
        "flannel with a delegate that does nothing",
        machine,
        "flannel starts the delegate and waits for it; its memory and its system calls are its own alone.\n\
         Kept are the configurations of other containers, in the folder that the calls use.\n",
        notes,
    );
    for operation in Operation::ALL {
        report.times(operation.command(), operation);
    }
    for operation in Operation::ALL {
        let title = format!("{}, in proportion", operation.command());
        let proportions = [
            Proportion::To(Contender::Flannel, Contender::Empty),
            Proportion::To(Contender::Flannel, Contender::Bare),
            Proportion::To(Contender::Flannel, Contender::Idle),
            Proportion::ToNone(Contender::Flannel),
        ];
        report.proportions(&title, operation, &proportions, short);
    }
    let contenders = report.contenders();
    for operation in [Operation::Add, Operation::Del] {
        let table = report.by_size(&contenders, |contender, size| {
            let count = figures.system_calls(operation, *contender, size)?;
            Some(units::count(count))
        });
        report.section(&format!("System calls of {}", operation.command()), &table);
    }
    let table = report.by_size(&contenders, |contender, size| {
        let peak = figures.peak(&Operation::ALL, *contender, size)?;
        Some(units::memory(peak))
    });
    report.section("Peak memory of any call", &table);
    report.rounds("Rounds", Operation::Add);
    report.ending_with(targets::of(figures))
}

fn short(contender: Contender) -> &'static str {
    match contender {
        Contender::Empty => "empty",
        Contender::Bare => "musl",
        Contender::Idle => "delegate",
        Contender::Flannel => "flannel",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Summary;

    #[test]
    fn the_plugin_stands_beside_what_it_starts() {
        let mut figures = Figures::default();
        for (contender, time, calls) in [
            (Contender::Empty, 400, 30),
            (Contender::Bare, 200, 15),
            (Contender::Idle, 500, 40),
            (Contender::Flannel, 1_000, 120),
        ] {
            let summary = Summary::of_one(Duration::from_micros(time));
            figures.add_time(Operation::Del, contender, 0, summary);
            figures.add_system_calls(Operation::Add, contender, 0, calls);
        }
        let text = text(&figures, "a machine", &[]);
        let proportions = "
## DEL, in proportion

| kept | flannel / empty | flannel / musl | flannel / delegate | flannel / flannel at 0 |
| ---- | --------------: | -------------: | -----------------: | ---------------------: |
| 0    |           2.50x |          5.00x |              2.00x |                  1.00x |
";
        assert!(text.contains(proportions), "{text}");
        let system_calls = "
## System calls of ADD

| kept | empty program | empty on musl | delegate alone | Twill flannel |
| ---- | ------------: | ------------: | -------------: | ------------: |
| 0    |            30 |            15 |             40 |           120 |
";
        assert!(text.contains(system_calls), "{text}");
    }
}
