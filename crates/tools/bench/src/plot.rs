//! Line plots as SVG that needs nothing else: no fonts, no style sheets, no scripts.
//!
//! Written by hand, for the crates that draw plots bring more than a plot of a few lines needs, and none of those that are small has a
//! logarithmic axis, whiskers and labels at the lines' ends.

mod axes;
mod labels;
mod scale;

use axes::Frame;
use scale::{Linear, Log};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 520.0;
/// Around the panels.
const LEFT: f64 = 98.0;
const TOP: f64 = 134.0;
const BOTTOM: f64 = 64.0;
/// To the right of each panel, for the labels at the lines' ends.
const RIGHT: f64 = 78.0;

/// Panels side by side that share their axes, their lines' names and a title.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) subtitle: String,
    /// What runs to the right, from 0 on a linear scale.
    pub(super) x_label: String,
    pub(super) x_text: fn(f64) -> String,
    /// What runs upwards, on a logarithmic scale.
    pub(super) y_label: String,
    /// A measured value, beside a line's end.
    pub(super) y_text: fn(f64) -> String,
    /// A round value, at the axis.
    pub(super) y_mark: fn(f64) -> String,
    /// The names and looks of the lines, in the panels' order of lines.
    pub(super) legend: Vec<(String, Look)>,
    pub(super) panels: Vec<Panel>,
}

/// A plot of its own.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    /// One for each entry of the legend.
    pub(super) lines: Vec<Vec<Point>>,
}

/// A measurement and how far it spreads. Values of y are greater than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) low: f64,
    pub(super) y: f64,
    pub(super) high: f64,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// As `#c2410c`.
    pub(super) colour: &'static str,
    pub(super) dashed: bool,
}

impl Look {
    fn stroke(self) -> String {
        let dashes = if self.dashed {
            " stroke-dasharray=\"6 4\""
        } else {
            ""
        };
        format!(
            "fill=\"none\" stroke=\"{}\" stroke-width=\"2.2\" stroke-linejoin=\"round\"{dashes}",
            self.colour
        )
    }
}

impl Chart {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"system-ui, 'Segoe UI', \
             'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#3f4754\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
        );
        svg += &text(
            24.0,
            38.0,
            "font-size=\"20\" font-weight=\"600\" fill=\"#1c222b\"",
            &self.title,
        );
        svg += &text(24.0, 60.0, "fill=\"#6b7480\"", &self.subtitle);
        svg += &self.legend();

        let count = self.panels.len().max(1) as f64;
        let width = (WIDTH - LEFT) / count - RIGHT;
        let x = Linear::to(self.points().map(|point| point.x).fold(0.0, f64::max));
        let y = Log::over(self.points().flat_map(|point| [point.low, point.high]));
        for (number, panel) in self.panels.iter().enumerate() {
            let frame = Frame {
                left: LEFT + number as f64 * (width + RIGHT),
                top: TOP,
                width,
                height: HEIGHT - TOP - BOTTOM,
                x: x.clone(),
                y: y.clone(),
            };
            svg += &frame.axes(self, &panel.title, number == 0);
            for (line, (_, look)) in panel.lines.iter().zip(&self.legend) {
                svg += &curve(&frame, line, *look);
            }
            svg += &self.end_labels(&frame, panel);
        }
        svg + "</svg>\n"
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.panels.iter().flat_map(|panel| &panel.lines).flatten()
    }

    fn legend(&self) -> String {
        let mut svg = String::new();
        let mut left = 24.0;
        for (name, look) in &self.legend {
            svg += &format!(
                "<path d=\"M{left} 85H{}\" {}/>\n",
                left + 28.0,
                look.stroke()
            );
            svg += &text(left + 36.0, 89.0, "font-size=\"13\"", name);
            left += 36.0 + labels::width(name, 13.0) + 28.0;
        }
        svg
    }

    /// The last value of each line, beside its end.
    fn end_labels(&self, frame: &Frame, panel: &Panel) -> String {
        let last = panel.lines.iter().zip(&self.legend);
        let last: Vec<_> = last
            .filter_map(|(line, (_, look))| Some((line.last()?, look)))
            .collect();
        let wanted: Vec<f64> = last.iter().map(|(point, _)| frame.down(point.y)).collect();
        let limits = (frame.top + 4.0, frame.top + frame.height);
        let places = labels::apart(&wanted, 15.0, limits);
        let labels = last.iter().zip(places).map(|((point, look), place)| {
            let style = format!("font-weight=\"600\" fill=\"{}\"", look.colour);
            let value = (self.y_text)(point.y);
            text(frame.right(point.x) + 9.0, place + 4.0, &style, &value)
        });
        labels.collect()
    }
}

/// A line with a mark and a whisker at each point.
fn curve(frame: &Frame, line: &[Point], look: Look) -> String {
    if line.is_empty() {
        return String::new();
    }
    let Look { colour, .. } = look;
    let mut svg = String::new();
    for point in line {
        let (x, high, low) = (
            frame.right(point.x),
            frame.down(point.high),
            frame.down(point.low),
        );
        svg += &format!(
            "<path d=\"M{:.1} {high:.1}h8m-4 0V{low:.1}m-4 0h8\" fill=\"none\" \
             stroke=\"{colour}\" stroke-width=\"1.3\" stroke-opacity=\"0.55\"/>\n",
            x - 4.0
        );
    }
    let at = |point: &Point| format!("{:.1} {:.1}", frame.right(point.x), frame.down(point.y));
    let path: Vec<String> = line.iter().map(at).collect();
    svg += &format!("<path d=\"M{}\" {}/>\n", path.join("L"), look.stroke());
    for point in line {
        svg += &format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.6\" fill=\"{colour}\" stroke=\"#ffffff\" \
             stroke-width=\"1.4\"/>\n",
            frame.right(point.x),
            frame.down(point.y)
        );
    }
    svg
}

fn text(x: f64, y: f64, style: &str, content: &str) -> String {
    let content = content
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{content}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(lines: Vec<Vec<Point>>) -> Chart {
        let look = Look {
            colour: "#c2410c",
            dashed: true,
        };
        let legend = lines.iter().map(|_| ("a < b".to_owned(), look)).collect();
        let panel = Panel {
            title: "ADD".to_owned(),
            lines,
        };
        Chart {
            title: "title".to_owned(),
            subtitle: "subtitle".to_owned(),
            x_label: "x".to_owned(),
            x_text: |x| x.to_string(),
            y_label: "y".to_owned(),
            y_text: |y| y.to_string(),
            y_mark: |y| format!("{y} ms"),
            legend,
            panels: vec![panel.clone(), panel],
        }
    }

    fn point(x: f64, y: f64) -> Point {
        Point {
            x,
            low: y / 2.0,
            y,
            high: y * 2.0,
        }
    }

    #[test]
    fn a_line_of_each_panel_has_a_mark_a_point() {
        let svg = chart(vec![vec![point(0.0, 1.0), point(10.0, 100.0)]]).svg();
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(svg.matches(">100</text>").count(), 2);
        assert_eq!(svg.matches(">100 ms</text>").count(), 1, "one axis");
        assert!(svg.contains("a &lt; b"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn nothing_measured_is_no_reason_to_fail() {
        for lines in [vec![], vec![vec![]]] {
            let svg = chart(lines).svg();
            assert!(svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
