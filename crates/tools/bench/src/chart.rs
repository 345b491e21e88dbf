//! The plot: a panel per operation, a line per contender, with time on a logarithmic scale.

use std::time::Duration;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::Report;
use crate::units;

const SIZE: (u32, u32) = (1200, 560);

/// Draws a report's figures as SVG.
pub(crate) fn svg(report: &Report) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(report, &root).map_err(|error| anyhow!("cannot draw the plot: {error}"))?;
    }
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(report: &Report, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
    root.fill(&WHITE)?;
    let root = root.titled(report.title, ("sans-serif", 22))?;
    let figures = &report.figures;
    let keys = || {
        let operations = report.plotted.iter();
        operations.flat_map(|operation| {
            report.contenders.iter().flat_map(move |contender| {
                figures
                    .sizes()
                    .into_iter()
                    .map(move |size| (*operation, *contender, size))
            })
        })
    };
    let all: Vec<_> = keys().filter_map(|key| figures.time(key)).collect();
    let low = all
        .iter()
        .map(|it| it.low.as_secs_f64())
        .fold(f64::MAX, f64::min);
    let high = all
        .iter()
        .map(|it| it.high.as_secs_f64())
        .fold(0.0, f64::max);
    if all.is_empty() {
        return Ok(());
    }
    let most = figures.sizes().last().copied().unwrap_or_default().max(1);
    let panels = root.split_evenly((1, report.plotted.len()));
    for (panel, operation) in panels.iter().zip(report.plotted) {
        let mut chart = ChartBuilder::on(panel)
            .margin(10)
            .caption(operation, ("sans-serif", 16))
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(
                0.0..f64::from(most) * 1.05,
                (low / 1.3..high * 1.3).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc(report.size)
            .x_labels(4)
            .x_label_formatter(&|size| format!("{size:.0}"))
            .y_label_formatter(&|seconds| units::time(Duration::from_secs_f64(*seconds)))
            .draw()?;
        for (number, contender) in report.contenders.iter().enumerate() {
            let style = Palette99::pick(number).stroke_width(2);
            let points = figures.sizes().into_iter().filter_map(|size| {
                let summary = figures.time((operation, contender, size))?;
                let [low, median, high] =
                    [summary.low, summary.median, summary.high].map(|time| time.as_secs_f64());
                Some((f64::from(size), low, median, high))
            });
            let points: Vec<_> = points.collect();
            let bars = points.iter().map(|(size, low, median, high)| {
                ErrorBar::new_vertical(*size, *low, *median, *high, style.filled(), 8)
            });
            chart.draw_series(bars)?;
            chart
                .draw_series(LineSeries::new(points.iter().map(|it| (it.0, it.2)), style))?
                .label(*contender)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        let mut legend = chart.configure_series_labels();
        legend
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    root.present()?;
    Ok(())
}
