//! The plot of figures: latency by size.

use std::fmt::Display;
use std::time::Duration;

use super::figures::Figures;
use super::plot::{Chart, Look, Panel, Point};
use super::units;

/// Operations side by side, a line a contender.
pub(super) fn of<O: Copy + Ord, C: Copy + Ord + Display>(
    figures: &Figures<O, C>,
    title: &str,
    size: &str,
    machine: &str,
    panels: &[(&str, O)],
    look: impl Fn(C) -> Look,
) -> Chart {
    let contenders = figures.contenders();
    let panel = |(title, operation): &(&str, O)| Panel {
        title: (*title).to_owned(),
        lines: contenders
            .iter()
            .map(|contender| line(figures, *operation, *contender))
            .collect(),
    };
    Chart {
        title: title.to_owned(),
        subtitle: format!(
            "The median, with whiskers from the 10th to the 90th percentile; {machine}"
        ),
        x_label: size.to_owned(),
        x_text: |size| units::count(size as u32),
        y_label: "wall time of a call, logarithmic".to_owned(),
        y_text: |seconds| units::latency(Duration::from_secs_f64(seconds)),
        y_mark: |seconds| units::round_latency(Duration::from_secs_f64(seconds)),
        legend: contenders
            .iter()
            .map(|contender| (contender.to_string(), look(*contender)))
            .collect(),
        panels: panels.iter().map(panel).collect(),
    }
}

fn line<O: Copy + Ord, C: Copy + Ord>(
    figures: &Figures<O, C>,
    operation: O,
    contender: C,
) -> Vec<Point> {
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
