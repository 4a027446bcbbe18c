//! Pictures are looked at by people; these tests hold what a machine can see.

use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_500_000 + minute * 60).unwrap()
}

fn example() -> Chart {
    let x = XAxis { start: at(0), end: at(30), offset: Offset::UTC };
    let wave = |phase: f64| {
        (0..30)
            .filter(|minute| *minute != 12)
            .map(|minute| (seconds(at(minute)), 40.0 + 30.0 * (phase + minute as f64 / 4.0).sin()))
            .collect()
    };
    let series =
        |label: &str, points| Series { label: label.to_owned(), points, step: Some(60.0), ..Series::default() };
    Chart {
        series: vec![
            series("light i-0ab1c2d3e4f5a6b7c", wave(0.0)),
            series("heavy", wave(2.0)),
            series("one datapoint", vec![(seconds(at(21)), 80.0)]),
        ],
        left: YAxis { label: "Percent".to_owned(), ..YAxis::default() },
        ..Chart::new("CPU utilization <of> both & clusters", x)
    }
}

/// Width, height and RGB bytes.
fn decoded(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

fn has(pixels: &[u8], color: Color) -> bool {
    pixels.chunks_exact(3).any(|pixel| pixel == [color.0, color.1, color.2])
}

#[test]
fn a_png_has_the_size_asked_for_and_every_series_colour() {
    let (width, height, pixels) = decoded(&png(&Chart { legend: Legend::Hidden, ..example() }));
    assert_eq!((width, height), (600, 400));
    for index in 0..3 {
        assert!(has(&pixels, Color::of_series(index)), "series {index} is not to be seen");
    }
}

#[test]
fn a_pie_goes_round_from_the_top_clockwise() {
    let half =
        |label: &str| Series { label: label.to_owned(), points: vec![(seconds(at(1)), 5.0)], ..Series::default() };
    let pie = Chart { kind: Kind::Pie, series: vec![half("right"), half("left")], legend: Legend::Hidden, ..example() };
    let (width, _, pixels) = decoded(&png(&pie));
    let middle = |index: usize| {
        let color = Color::of_series(index);
        let found = pixels.chunks_exact(3).zip(0_u32..).filter(|(pixel, _)| **pixel == [color.0, color.1, color.2]);
        let columns: Vec<u32> = found.map(|(_, place)| place % width).collect();
        f64::from(columns.iter().sum::<u32>()) / columns.len() as f64
    };
    let (right, left) = (middle(0), middle(1));
    assert!(right - left > 100.0, "{right} {left}");
}

/// The largest picture fits at the scale of screens with two pixels for one of CSS.
#[test]
fn the_largest_picture_is_whole_at_twice_its_size() {
    let strip = svg(&Chart { width: SIZE_MAX, height: 1, ..example() });
    let (width, height, _) = decoded(&output::rendered(&strip, 2.0).unwrap());
    assert_eq!((width, height), (2 * SIZE_MAX, 2));
}

#[test]
fn the_themes_have_their_backgrounds() {
    for theme in [Theme::Light, Theme::Dark] {
        let (_, _, pixels) = decoded(&png(&Chart { theme, ..example() }));
        let background = theme.background();
        assert_eq!(pixels[..3], [background.0, background.1, background.2]);
    }
}

#[test]
fn any_size_can_be_drawn() {
    for (width, height) in [(1, 1), (40, 30), (900, 3), (3, 900), (120, 90)] {
        for kind in [Kind::Along, Kind::Bars, Kind::Pie] {
            for legend in [Legend::Bottom, Legend::Right, Legend::Hidden] {
                let chart = Chart { width, height, kind, legend, ..example() };
                let (wide, high, _) = decoded(&png(&chart));
                assert_eq!((wide, high), (width, height));
            }
        }
    }
}

#[test]
fn nothing_of_a_series_leaves_the_plot_when_the_axis_is_fixed() {
    let fixed = YAxis { min: Some(30.0), max: Some(50.0), ..YAxis::default() };
    let chart = Chart { left: fixed, legend: Legend::Hidden, title: String::new(), ..example() };
    let (width, height, pixels) = decoded(&png(&chart));
    // The title is missing, so above 12 and below 30 pixels from the bottom there are labels at most.
    let row = |y: u32| &pixels[(y * width * 3) as usize..((y + 1) * width * 3) as usize];
    assert!((0..12).all(|y| !has(row(y), Color::of_series(0))));
    assert!((height - 25..height).all(|y| !has(row(y), Color::of_series(0))));
}

#[test]
fn hostile_numbers_do_not_stop_the_drawing() {
    let points =
        vec![(f64::NAN, 1.0), (seconds(at(1)), f64::INFINITY), (seconds(at(2)), 1e300), (seconds(at(3)), -1e300)];
    let mut chart = example();
    chart.series[0].points = points;
    chart.series[0].label = "x".repeat(10_000);
    chart.horizontal.push(Horizontal { value: f64::MAX, to: Some(f64::MIN), ..Horizontal::default() });
    chart.vertical.push(Vertical {
        at: f64::NEG_INFINITY,
        to: Some(f64::NAN),
        label: "?".into(),
        ..Vertical::default()
    });
    for stacked in [false, true] {
        decoded(&png(&Chart { stacked, ..chart.clone() }));
    }
}

#[test]
fn colours_are_read_as_css_writes_them() {
    assert_eq!(Color::parse("#1F77b4"), Some(Color(0x1f, 0x77, 0xb4)));
    assert_eq!(Color::parse("#fa3"), Some(Color(0xff, 0xaa, 0x33)));
    for wrong in ["fa0", "#ffff", "#gggggg", "", "#é1"] {
        assert_eq!(Color::parse(wrong), None);
    }
}
