//! A surface to draw on in fractions of a pixel: SVG, whose letters are outlines, so that it looks the same everywhere.

use std::fmt::Write as _;

use super::letters::{self, Anchor};
use super::theme::Color;

pub(super) type Point = (f64, f64);

/// Beyond this nothing is seen, and numbers stay short.
const FAR: f64 = 100_000.0;

/// Left, top, right and bottom, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// The picture so far.
pub(super) struct Canvas {
    svg: String,
}

impl Canvas {
    pub fn new(width: u32, height: u32) -> Self {
        let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">");
        Self { svg }
    }

    pub fn finish(mut self) -> String {
        self.svg += "</svg>";
        self.svg
    }

    pub fn rectangle(&mut self, area: Area, color: Color, alpha: f64) {
        let corners =
            [(area.left, area.top), (area.right, area.top), (area.right, area.bottom), (area.left, area.bottom)];
        self.polygon(&corners, color, alpha);
    }

    pub fn polygon(&mut self, points: &[Point], color: Color, alpha: f64) {
        let _ = write!(self.svg, "<path d=\"{}Z\" fill=\"{}\"", path(points), color.css());
        if alpha < 1.0 {
            let _ = write!(self.svg, " fill-opacity=\"{alpha}\"");
        }
        self.svg += "/>";
    }

    pub fn line(&mut self, points: &[Point], color: Color, width: f64) {
        self.dashed(points, color, width, None);
    }

    /// `dashes` are a dash and a gap, and where in them the line begins.
    pub fn dashed(&mut self, points: &[Point], color: Color, width: f64, dashes: Option<(f64, f64, f64)>) {
        let [first, rest @ ..] = points else { return };
        if rest.iter().all(|point| point == first) {
            return;
        }
        let _ = write!(
            self.svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"",
            path(&crisp(points)),
            color.css()
        );
        if let Some((dash, gap, offset)) = dashes {
            let _ = write!(self.svg, " stroke-dasharray=\"{dash} {gap}\" stroke-dashoffset=\"{offset}\"");
        }
        self.svg += "/>";
    }

    pub fn circle(&mut self, (x, y): Point, radius: f64, color: Color) {
        let _ = write!(
            self.svg,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\" fill=\"{}\"/>",
            number(x),
            number(y),
            color.css()
        );
    }

    /// `at` is the middle of the text's height.
    pub fn text(&mut self, text: &str, at: Point, anchor: Anchor, size: f64, color: Color) {
        // Mostly digits and capitals: their middle is a little above that of small letters.
        let baseline = (at.0, at.1 + size * 0.35);
        self.svg += &letters::path(text, baseline, anchor, size, &color.css());
    }

    pub fn text_width(&self, text: &str, size: f64) -> f64 {
        letters::width(text, size)
    }

    /// `text`, or its beginning and "…" where it is wider than `room` pixels; empty where nothing fits.
    pub fn fitted(&self, text: &str, size: f64, room: f64) -> String {
        if self.text_width(text, size) <= room {
            return text.to_owned();
        }
        let mut cut: String = text.chars().take(200).collect();
        while cut.pop().is_some() {
            let shorter = format!("{}…", cut.trim_end());
            if cut.trim_end().chars().count() >= 2 && self.text_width(&shorter, size) <= room {
                return shorter;
            }
        }
        String::new()
    }
}

/// A straight line along an axis lies on whole pixels, so that it is as sharp as they are.
fn crisp(points: &[Point]) -> Vec<Point> {
    match points {
        [(x0, y0), (x1, y1)] if y0 == y1 => vec![(*x0, y0.floor() + 0.5), (*x1, y1.floor() + 0.5)],
        [(x0, y0), (x1, y1)] if x0 == x1 => vec![(x0.floor() + 0.5, *y0), (x1.floor() + 0.5, *y1)],
        _ => points.to_vec(),
    }
}

fn path(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let _ = write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, number(*x), number(*y));
    }
    path
}

pub(super) fn number(value: f64) -> String {
    // What is not a number is nowhere.
    let value = if value.is_nan() { -FAR } else { value.clamp(-FAR, FAR) };
    format!("{}", (value * 100.0).round() / 100.0)
}
