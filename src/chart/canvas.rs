//! A surface to draw on in fractions of a pixel: plotters' bitmap at a multiple of the picture's size.
//!
//! The backend takes whole pixels only. Drawing at `scale` times the size and averaging it down gives smooth lines.

use plotters_backend::text_anchor::HPos;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, DrawingBackend};
use plotters_bitmap::BitMapBackend;

use super::font::{self, Lettering};
use super::theme::Color;

pub(super) type Point = (f64, f64);

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

/// The picture: pixels at `scale` times its size.
pub(super) struct Canvas<'a> {
    pub backend: BitMapBackend<'a>,
    pub scale: f64,
}

/// In memory nothing can fail but for a mistake of ours.
const IN_MEMORY: &str = "drawing in memory does not fail";

impl Canvas<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture of at most a few thousand")]
    fn place(&self, (x, y): Point) -> BackendCoord {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    pub fn rectangle(&mut self, area: Area, color: Color, alpha: f64) {
        let (from, to) = (self.place((area.left, area.top)), self.place((area.right, area.bottom)));
        self.backend.draw_rect(from, to, &ink(color, alpha), true).expect(IN_MEMORY);
    }

    pub fn polygon(&mut self, points: &[Point], color: Color, alpha: f64) {
        let points: Vec<_> = points.iter().map(|point| self.place(*point)).collect();
        self.backend.fill_polygon(points, &ink(color, alpha)).expect(IN_MEMORY);
    }

    pub fn line(&mut self, points: &[Point], color: Color, width: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
        let pen = Pen { color: ink(color, 1.0), width: (width * self.scale).round().max(1.0) as u32 };
        let mut points: Vec<_> = points.iter().map(|point| self.place(*point)).collect();
        points.dedup();
        if points.len() > 1 {
            self.backend.draw_path(points, &pen).expect(IN_MEMORY);
        }
    }

    pub fn circle(&mut self, center: Point, radius: f64, color: Color) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
        let radius = (radius * self.scale).round() as u32;
        self.backend.draw_circle(self.place(center), radius, &ink(color, 1.0), true).expect(IN_MEMORY);
    }

    /// `at` is the middle of the text's height.
    pub fn text(&mut self, text: &str, at: Point, anchor: HPos, size: f64, color: Color) {
        // Mostly digits and capitals: their middle is a little above that of small letters.
        let place = self.place((at.0, at.1 + size * 0.09));
        let style = Lettering { size: size * self.scale, color: ink(color, 1.0), anchor };
        self.backend.draw_text(text, &style, place).expect(IN_MEMORY);
    }

    pub fn text_width(&self, text: &str, size: f64) -> f64 {
        font::width(text, size)
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

struct Pen {
    color: BackendColor,
    width: u32,
}

impl BackendStyle for Pen {
    fn color(&self) -> BackendColor {
        self.color
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

fn ink(Color(red, green, blue): Color, alpha: f64) -> BackendColor {
    BackendColor { alpha, rgb: (red, green, blue) }
}
