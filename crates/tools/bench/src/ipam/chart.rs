//! The plot.

use super::Figures;
use super::contender::{Contender, Operation};
use crate::chart;
use crate::plot::{Chart, Look};

/// ADD and DEL side by side.
pub(super) fn of(figures: &Figures, machine: &str) -> Chart {
    chart::of(
        figures,
        "host-local: latency of a call by addresses in use",
        "addresses in use",
        machine,
        &[("ADD", Operation::Add), ("DEL", Operation::Del)],
        look,
    )
}

fn look(contender: Contender) -> Look {
    let (colour, dashed) = match contender {
        Contender::Empty => ("#7b8592", true),
        Contender::Bare => ("#b4bcc6", true),
        Contender::Disk => ("#c2410c", false),
        Contender::Db => ("#7c3aed", false),
        Contender::Reference => ("#0e7490", false),
    };
    Look { colour, dashed }
}
