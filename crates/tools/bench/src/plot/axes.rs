//! A panel's place in the picture, its grid and its labels.

use super::scale::{Linear, Log, is_decade};
use super::{Chart, text};

/// Where a panel is, in pixels, and what its axes show.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Linear,
    pub(super) y: Log,
}

impl Frame {
    /// How far to the right in the picture a value of x lies.
    pub(super) fn right(&self, x: f64) -> f64 {
        self.left + self.x.place(x) * self.width
    }

    /// How far down in the picture a value of y lies.
    pub(super) fn down(&self, y: f64) -> f64 {
        self.top + (1.0 - self.y.place(y)) * self.height
    }

    /// The grid, the axes and their labels; those of y only in the first panel.
    pub(super) fn axes(&self, chart: &Chart, title: &str, is_first: bool) -> String {
        let Self {
            left,
            top,
            width,
            height,
            ..
        } = *self;
        let (right, bottom) = (left + width, top + height);
        let mut svg = text(
            left,
            top - 14.0,
            "font-size=\"14\" font-weight=\"600\" fill=\"#1c222b\"",
            title,
        );
        for value in self.y.marks() {
            let y = self.down(value);
            let colour = if is_decade(value) {
                "#cfd5dd"
            } else {
                "#edf0f3"
            };
            svg += &format!("<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"{colour}\"/>\n");
            if is_first {
                let label = (chart.y_mark)(value);
                svg += &text(left - 10.0, y + 4.0, "text-anchor=\"end\"", &label);
            }
        }
        svg += &format!("<path d=\"M{left:.1} {bottom:.1}H{right:.1}\" stroke=\"#8f98a3\"/>\n");
        for value in self.x.marks() {
            let x = self.right(value);
            svg += &format!("<path d=\"M{x:.1} {bottom:.1}v5\" stroke=\"#8f98a3\"/>\n");
            let label = (chart.x_text)(value);
            svg += &text(x, bottom + 20.0, "text-anchor=\"middle\"", &label);
        }
        let middle = left + width / 2.0;
        let quiet = "text-anchor=\"middle\" fill=\"#6b7480\"";
        svg += &text(middle, bottom + 44.0, quiet, &chart.x_label);
        if is_first {
            let (x, y) = (32.0, top + height / 2.0);
            let style = format!("{quiet} transform=\"rotate(-90 {x:.1} {y:.1})\"");
            svg += &text(x, y, &style, &chart.y_label);
        }
        svg
    }
}
