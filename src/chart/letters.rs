//! Letters: how wide a text is, and its outlines.
//!
//! The font is inside the binary (Ubuntu Light), so a picture has letters on any machine. It is a thin cut: at label sizes its
//! outlines get a thin stroke, which reads as a regular weight.

use std::fmt::Write as _;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, OutlineCurve, Point, ScaleFont};

/// `as_scaled` takes the height from descent to ascent; sizes are given as CSS gives them, per em.
const HEIGHT_PER_EM: f64 = 1.149;
/// Of the size.
const STROKE: f64 = 0.032;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).expect("the font inside the binary is a font")
});

/// Which part of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Left,
    Center,
    Right,
}

/// The width of `text` in pixels at a size in pixels per em.
#[expect(clippy::cast_possible_truncation, reason = "sizes are small")]
pub fn width(text: &str, size: f64) -> f64 {
    let font = FONT.as_scaled((size * HEIGHT_PER_EM) as f32);
    f64::from(text.chars().map(|letter| font.h_advance(font.glyph_id(letter))).sum::<f32>())
}

/// A text as an SVG path in a colour of CSS; `y` is its baseline.
#[expect(clippy::cast_possible_truncation, reason = "pixels of a picture of at most a few thousand")]
pub fn path(text: &str, (x, y): (f64, f64), anchor: Anchor, size: f64, color: &str) -> String {
    let left = match anchor {
        Anchor::Left => x,
        Anchor::Center => x - width(text, size) / 2.0,
        Anchor::Right => x - width(text, size),
    };
    let scaled = FONT.as_scaled((size * HEIGHT_PER_EM) as f32);
    let (mut pen, mut data) = (left as f32, String::new());
    for letter in text.chars() {
        let glyph = scaled.glyph_id(letter);
        if let Some(outline) = FONT.outline(glyph) {
            let (across, up) = (scaled.h_scale_factor(), scaled.v_scale_factor());
            contours(&outline.curves, |point| (pen + point.x * across, y as f32 - point.y * up), &mut data);
        }
        pen += scaled.h_advance(glyph);
    }
    if data.is_empty() {
        return data;
    }
    let stroke = size * STROKE;
    format!("<path d=\"{data}\" fill=\"{color}\" stroke=\"{color}\" stroke-width=\"{stroke:.2}\"/>")
}

/// Curves that follow each other are one contour.
fn contours(curves: &[OutlineCurve], place: impl Fn(Point) -> (f32, f32), data: &mut String) {
    let mut last = None;
    let step = |data: &mut String, command: char, points: &[Point]| {
        data.push(command);
        for point in points {
            let (x, y) = place(*point);
            let _ = write!(data, "{x:.2} {y:.2} ");
        }
    };
    for curve in curves {
        let (from, to) = match curve {
            OutlineCurve::Line(from, to) | OutlineCurve::Quad(from, _, to) | OutlineCurve::Cubic(from, _, _, to) => {
                (*from, *to)
            }
        };
        if last != Some(from) {
            step(data, 'M', &[from]);
        }
        match curve {
            OutlineCurve::Line(_, to) => step(data, 'L', &[*to]),
            OutlineCurve::Quad(_, control, to) => step(data, 'Q', &[*control, *to]),
            OutlineCurve::Cubic(_, first, second, to) => step(data, 'C', &[*first, *second, *to]),
        }
        last = Some(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_its_letters_and_stands_at_its_anchor() {
        assert!(width("", 12.0) == 0.0 && width("WW", 12.0) > width("ii", 12.0));
        assert!((width("500", 24.0) - 2.0 * width("500", 12.0)).abs() < 0.01);
        let first_x = |anchor| {
            let path = path("H", (100.0, 50.0), anchor, 12.0, "#000000");
            path.split('M').nth(1).and_then(|rest| rest.split(' ').next()).and_then(|x| x.parse::<f64>().ok()).unwrap()
        };
        let shift = first_x(Anchor::Left) - first_x(Anchor::Right);
        assert!((shift - width("H", 12.0)).abs() < 0.05, "{shift}");
        assert_eq!(path(" ", (0.0, 0.0), Anchor::Left, 12.0, "#000000"), "");
    }
}
