//! The plot.

use std::time::Duration;

use super::contender::{Contender, Operation};
use super::figures::Figures;
use crate::bench::plot::{Chart, Look, Panel, Point};
use crate::bench::units;

/// ADD and DEL side by side, a line a contender.
pub(super) fn of(figures: &Figures, machine: &str) -> Chart {
    let contenders = figures.contenders();
    let panel = |title: &str, operation: Operation| Panel {
        title: title.to_owned(),
        lines: contenders
            .iter()
            .map(|contender| line(figures, operation, *contender))
            .collect(),
    };
    Chart {
        title: "host-local: latency of a call by addresses in use".to_owned(),
        subtitle: format!(
            "The median, with whiskers from the 10th to the 90th percentile; {machine}"
        ),
        x_label: "addresses in use".to_owned(),
        x_text: |size| units::count(size as u32),
        y_label: "wall time of a call, logarithmic".to_owned(),
        y_text: |seconds| units::latency(Duration::from_secs_f64(seconds)),
        y_mark: |seconds| units::round_latency(Duration::from_secs_f64(seconds)),
        legend: contenders
            .iter()
            .map(|contender| (contender.to_string(), look(*contender)))
            .collect(),
        panels: vec![panel("ADD", Operation::Add), panel("DEL", Operation::Del)],
    }
}

fn line(figures: &Figures, operation: Operation, contender: Contender) -> Vec<Point> {
    let sizes = figures.sizes().into_iter();
    let points = sizes.filter_map(|size| {
        let summary = figures.time(operation, contender, size)?;
        Some(Point {
            x: f64::from(size),
            low: summary.low.as_secs_f64(),
            y: summary.median.as_secs_f64(),
            high: summary.high.as_secs_f64(),
        })
    });
    points.collect()
}

fn look(contender: Contender) -> Look {
    let (colour, dashed) = match contender {
        Contender::Empty => ("#7b8592", true),
        Contender::Disk => ("#c2410c", false),
        Contender::Db => ("#7c3aed", false),
        Contender::Reference => ("#0e7490", false),
    };
    Look { colour, dashed }
}
