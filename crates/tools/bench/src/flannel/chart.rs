//! The plot.

use super::Figures;
use super::contender::{Contender, Operation};
use crate::chart;
use crate::plot::{Chart, Look};

/// ADD and DEL side by side.
pub(super) fn of(figures: &Figures, machine: &str) -> Chart {
    chart::of(
        figures,
        "flannel: latency of a call by other containers' configurations kept",
        "configurations of other containers kept",
        machine,
        &[Operation::Add, Operation::Del].map(|operation| (operation.command(), operation)),
        look,
    )
}

fn look(contender: Contender) -> Look {
    let (colour, dashed) = match contender {
        Contender::Empty => ("#7b8592", true),
        Contender::Bare => ("#b4bcc6", true),
        Contender::Idle => ("#0e7490", true),
        Contender::Flannel => ("#c2410c", false),
    };
    Look { colour, dashed }
}
