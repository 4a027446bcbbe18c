//! A picture as a file: SVG, and from that PNG.

use resvg::{tiny_skia, usvg};

use super::canvas::Canvas;
use super::{Chart, SIZE_MAX, paint};

/// The picture as SVG that needs no font.
pub fn svg(chart: &Chart) -> String {
    let (width, height) = size(chart);
    let mut canvas = Canvas::new(width, height);
    paint::paint(&mut canvas, chart, width, height);
    canvas.finish()
}

/// The picture as a PNG file.
pub fn png(chart: &Chart) -> Vec<u8> {
    rendered(&svg(chart), 1.0).expect("a picture of ours is SVG")
}

/// SVG of ours as PNG, so many pixels for each of its own; `None` of what is no SVG, or has no size.
pub fn rendered(svg: &str, scale: f32) -> Option<Vec<u8>> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let side = |length: f32| (length * scale).ceil().clamp(1.0, 2.0 * SIZE_MAX as f32) as u32;
    let mut pixels = tiny_skia::Pixmap::new(side(tree.size().width()), side(tree.size().height()))?;
    // Pictures are opaque, so their pixels are as they were painted.
    pixels.fill(tiny_skia::Color::WHITE);
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let colors: Vec<u8> = pixels.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&colors).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

fn size(chart: &Chart) -> (u32, u32) {
    (chart.width.clamp(1, SIZE_MAX), chart.height.clamp(1, SIZE_MAX))
}
