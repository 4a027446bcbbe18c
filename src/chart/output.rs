//! The picture as the bytes of a PNG file.

use plotters_backend::DrawingBackend;
use plotters_bitmap::BitMapBackend;

use super::canvas::Canvas;
use super::{Chart, SIZE_MAX, paint};

/// The picture as a PNG file.
pub fn png(chart: &Chart) -> Vec<u8> {
    let (width, height) = size(chart);
    // Large pictures are smoothed less: the memory for them stays below 50 MB.
    let scale: u8 = if width * height <= 1_000_000 { 3 } else { 2 };
    let large = (width * u32::from(scale), height * u32::from(scale));
    let mut pixels = vec![0; large.0 as usize * large.1 as usize * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut pixels, large);
        backend.ensure_prepared().expect("a bitmap in memory needs no preparation");
        let mut canvas = Canvas { backend, scale: f64::from(scale) };
        paint::paint(&mut canvas, chart, width, height);
    }
    let small = averaged(&pixels, large.0 as usize, usize::from(scale));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("the header of a picture that is not empty");
    writer.write_image_data(&small).expect("the pixels of the size in the header");
    writer.finish().expect("writing into memory");
    bytes
}

/// Each pixel the mean of `scale` × `scale` larger ones. Plain loops: the tests draw in an unoptimised build, where every
/// adapter of an iterator is a call for each of a million bytes.
#[expect(clippy::cast_possible_truncation, reason = "the mean of bytes is a byte")]
fn averaged(pixels: &[u8], width: usize, scale: usize) -> Vec<u8> {
    let mut small = Vec::with_capacity(pixels.len() / (scale * scale));
    let mut sums = vec![0_u16; width / scale * 3];
    for rows in pixels.chunks_exact(width * 3 * scale) {
        sums.fill(0);
        let mut at = 0;
        while at < rows.len() {
            let column = at / 3 % width / scale * 3;
            let end = at + 3 * scale;
            while at < end {
                sums[column] += u16::from(rows[at]);
                sums[column + 1] += u16::from(rows[at + 1]);
                sums[column + 2] += u16::from(rows[at + 2]);
                at += 3;
            }
        }
        small.extend(sums.iter().map(|sum| (sum / (scale * scale) as u16) as u8));
    }
    small
}

fn size(chart: &Chart) -> (u32, u32) {
    (chart.width.clamp(1, SIZE_MAX), chart.height.clamp(1, SIZE_MAX))
}
