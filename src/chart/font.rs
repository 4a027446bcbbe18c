//! Text: its width, cutting it to a width, and its pixels.
//!
//! The font is inside the binary (Ubuntu Light), so a PNG has letters on any machine. It is a thin cut: at label sizes it
//! is drawn twice, a third of a pixel apart, which reads as a regular weight.

use std::convert::Infallible;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, ScaleFont};
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, FontFamily};

/// `as_scaled` takes the height from descent to ascent; sizes are given as CSS gives them, per em.
const HEIGHT_PER_EM: f64 = 1.149;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).expect("the font inside the binary is a font")
});

/// The width of `text` in pixels at a size in pixels per em.
#[expect(clippy::cast_possible_truncation, reason = "sizes are small")]
pub(super) fn width(text: &str, size: f64) -> f64 {
    let font = FONT.as_scaled((size * HEIGHT_PER_EM) as f32);
    f64::from(text.chars().map(|letter| font.h_advance(font.glyph_id(letter))).sum::<f32>())
}

/// How a text is drawn: the painter of its pixels, which the backend calls.
pub(super) struct Lettering {
    /// Pixels per em, in the backend's own pixels.
    pub size: f64,
    pub color: BackendColor,
    pub anchor: HPos,
}

impl BackendTextStyle for Lettering {
    type FontError = Infallible;

    fn color(&self) -> BackendColor {
        self.color
    }

    fn size(&self) -> f64 {
        self.size
    }

    fn anchor(&self) -> Pos {
        Pos::new(self.anchor, VPos::Center)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name("Ubuntu Light")
    }

    #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture of at most a few thousand")]
    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Infallible> {
        Ok(((0, 0), (width(text, self.size).round() as i32, self.size.round() as i32)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "pixels of a picture of at most a few thousand")]
    fn draw<E, Draw: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        text: &str,
        (left, top): BackendCoord,
        mut draw: Draw,
    ) -> Result<Result<(), E>, Infallible> {
        let font = FONT.as_scaled((self.size * HEIGHT_PER_EM) as f32);
        // The middle of the box is the middle of a small letter.
        let baseline = (self.size * 0.5 + self.size * 0.26) as f32;
        let mut pen = 0.0;
        for letter in text.chars() {
            let mut glyph = font.scaled_glyph(letter);
            glyph.position = ab_glyph::point(pen, baseline);
            pen += font.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            let mut result = Ok(());
            for shift in [0, 1] {
                outline.draw(|x, y, coverage| {
                    if result.is_ok() && coverage > 0.0 {
                        let at = |origin: f32, pixel: u32| origin as i32 + i32::try_from(pixel).unwrap_or(i32::MAX);
                        let color = self.color.mix(f64::from(coverage.min(1.0)));
                        result = draw(left + shift + at(bounds.min.x, x), top + at(bounds.min.y, y), color);
                    }
                });
            }
            if result.is_err() {
                return Ok(result);
            }
        }
        Ok(Ok(()))
    }
}
