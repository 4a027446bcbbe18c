//! Everything that is drawn: CloudWatch's widget images, and the figures of reports. All of it is SVG first; where pixels are
//! needed, resvg makes them.
//!
//! A [`Chart`] says what a widget shows; `layout.rs` finds room for titles, axes and legend; `paint.rs` draws onto a `canvas.rs`.
//! Coordinates along x are seconds since 1970 (see [`seconds`]). [`drawing`] is what pages draw with: their colours follow the page,
//! and `figures.rs` makes pictures of them. `letters.rs` has the font, `output.rs` the files, `ranks.rs` tells equal lines apart.

mod axis;
mod canvas;
mod compare;
pub mod drawing;
mod figures;
mod frame;
mod layout;
pub mod letters;
mod lines;
mod output;
mod paint;
mod ranks;
mod stacking;
mod theme;

use jiff::Timestamp;
use jiff::tz::Offset;

pub use figures::{Picture, STYLE, pictures};
pub use output::{png, svg};
pub use ranks::{dashes, ranks};
pub use theme::{Color, Theme};

/// The side of a picture, in pixels: what `GetMetricWidgetImage` allows.
pub const SIZE_MAX: u32 = 2000;

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Empty for none.
    pub title: String,
    /// Pixels; clamped to 1–[`SIZE_MAX`].
    pub width: u32,
    pub height: u32,
    pub theme: Theme,
    pub kind: Kind,
    pub x: XAxis,
    pub left: YAxis,
    pub right: YAxis,
    pub series: Vec<Series>,
    /// Areas on top of each other instead of lines.
    pub stacked: bool,
    pub horizontal: Vec<Horizontal>,
    pub vertical: Vec<Vertical>,
    pub legend: Legend,
}

impl Chart {
    /// An empty light 600 × 400 chart along `x`.
    pub fn new(title: impl Into<String>, x: XAxis) -> Self {
        Self {
            title: title.into(),
            width: 600,
            height: 400,
            theme: Theme::Light,
            kind: Kind::Along,
            x,
            left: YAxis::default(),
            right: YAxis::default(),
            series: Vec::new(),
            stacked: false,
            horizontal: Vec::new(),
            vertical: Vec::new(),
            legend: Legend::Bottom,
        }
    }
}

/// The shape of the whole chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Values along x.
    #[default]
    Along,
    /// One bar a series, of its last value.
    Bars,
    /// One wedge a series, of its last value.
    Pie,
}

/// The horizontal axis: times of day, or dates, at `offset` from UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct XAxis {
    pub start: Timestamp,
    pub end: Timestamp,
    pub offset: Offset,
}

/// A place on a time axis.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
pub fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

/// A vertical axis. What is not set follows from the data; it then starts at zero unless a value is negative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct YAxis {
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The unit or name, shown above the axis.
    pub label: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    #[default]
    Left,
    Right,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub label: String,
    /// By default the next one of the palette.
    pub color: Option<Color>,
    pub side: Side,
    /// (x, y), x rising.
    pub points: Vec<(f64, f64)>,
    /// The distance of neighbours: a larger one is a gap in the line. `None` joins all.
    pub step: Option<f64>,
    /// Marked with an orange triangle in the legend: its data could not be had.
    pub failed: bool,
}

/// A horizontal line, or a band up to `to`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Horizontal {
    pub value: f64,
    pub to: Option<f64>,
    pub label: String,
    pub color: Option<Color>,
    pub side: Side,
    /// Shades one side of the line. A band is always shaded inside.
    pub fill: HorizontalFill,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HorizontalFill {
    #[default]
    None,
    Above,
    Below,
}

/// A vertical line, or a band up to `to`; its label stands above the plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vertical {
    pub at: f64,
    pub to: Option<f64>,
    pub label: String,
    pub color: Option<Color>,
    pub fill: VerticalFill,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerticalFill {
    #[default]
    None,
    Before,
    After,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legend {
    #[default]
    Bottom,
    Right,
    Hidden,
}

#[cfg(test)]
pub(crate) mod reference_tests;
#[cfg(test)]
mod tests;
