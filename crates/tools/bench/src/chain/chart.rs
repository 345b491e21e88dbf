//! The plot.

use super::Figures;
use super::contender::Contender;
use super::quantity::{Aspect, Command, Quantity};
use crate::chart;
use crate::plot::{Chart, Look};

/// ADD and DEL side by side, with what time passes and what processors work.
pub(super) fn of(figures: &Figures, machine: &str) -> Chart {
    let panels = [
        ("ADD", Command::Add, Aspect::Latency),
        ("ADD, processor", Command::Add, Aspect::Processor),
        ("DEL", Command::Del, Aspect::Latency),
        ("DEL, processor", Command::Del, Aspect::Processor),
    ];
    let panels = panels.map(|(title, command, aspect)| (title, Quantity::new(command, aspect)));
    Chart {
        y_label: "wall or processor time of a call, logarithmic".to_owned(),
        ..chart::of(
            figures,
            "flannel, bridge and host-local: what a container costs by the calls made at a time",
            "calls at a time",
            machine,
            &panels,
            look,
        )
    }
}

fn look(contender: Contender) -> Look {
    let (colour, dashed) = match contender {
        Contender::Empty => ("#b4bcc6", true),
        Contender::Floor => ("#7b8592", true),
        Contender::OneProcess => ("#c2410c", false),
        Contender::Processes => ("#7c3aed", false),
        Contender::Reference => ("#0e7490", false),
    };
    Look { colour, dashed }
}
