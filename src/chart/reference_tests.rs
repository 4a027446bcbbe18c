//! Reference pictures. People have looked at each of them; the sum says that it is still the same to the pixel. Whoever changes
//! a picture on purpose looks at it where the test has put it, and writes down the new sum.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::*;

/// The first eight bytes of a picture's SHA-256.
pub(crate) fn sum(svg: &str) -> String {
    Sha256::digest(svg).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Puts a picture where it can be looked at, and says where.
pub(crate) fn shown(name: &str, png: &[u8]) -> String {
    let folder = std::env::temp_dir().join("cloudscale-pictures");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(name);
    std::fs::write(&file, png).expect("written");
    file.display().to_string()
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_500_000 + minute * 60).expect("a time")
}

fn x(minutes: i64) -> XAxis {
    XAxis { start: at(0), end: at(minutes), offset: Offset::UTC }
}

/// A curve between `low` and `high` that has a gap.
fn curve(label: &str, low: f64, high: f64, every: usize) -> Series {
    let level = |minute: i64| low + (high - low) * ((minute * 7) % 20) as f64 / 19.0;
    let points = (0..30).filter(|minute| !(11..14).contains(minute)).step_by(every);
    let points = points.map(|minute| (seconds(at(minute)), level(minute))).collect();
    Series { label: label.to_owned(), points, step: Some(60.0 * every as f64), ..Series::default() }
}

fn lines() -> Chart {
    let one = Series { points: vec![(seconds(at(21)), 80.0)], ..curve("one datapoint", 0.0, 1.0, 1) };
    let left = YAxis { label: "Percent".to_owned(), ..YAxis::default() };
    Chart { series: vec![curve("light", 10.0, 70.0, 1), one], left, ..Chart::new("CPU utilization", x(30)) }
}

/// Two axes, all that can be written on a chart, and a legend at the right with more than it holds.
fn annotated() -> Chart {
    let bytes = Series { side: Side::Right, ..curve("bytes", 2e6, 9e6, 2) };
    let failed = Series { failed: true, ..curve("not available", 5.0, 6.0, 3) };
    let many = (0..30).map(|number| curve(&format!("a series of a long name, number {number}"), 40.0, 41.0, 9));
    let horizontal =
        |value, to, label: &str, fill, side| Horizontal { value, to, label: label.to_owned(), color: None, side, fill };
    let vertical = |minute, to: Option<i64>, label: &str, fill| Vertical {
        at: seconds(at(minute)),
        to: to.map(|minute| seconds(at(minute))),
        label: label.to_owned(),
        color: None,
        fill,
    };
    Chart {
        series: [curve("percent", 10.0, 70.0, 1), bytes, failed].into_iter().chain(many).collect(),
        left: YAxis { label: "Percent".to_owned(), min: Some(0.0), max: Some(100.0) },
        right: YAxis { label: "Bytes".to_owned(), ..YAxis::default() },
        horizontal: vec![
            horizontal(80.0, None, "too much", HorizontalFill::Above, Side::Left),
            horizontal(10.0, None, "too little", HorizontalFill::Below, Side::Left),
            horizontal(30.0, Some(45.0), "fine", HorizontalFill::None, Side::Left),
            horizontal(98.0, None, "under the line", HorizontalFill::None, Side::Left),
            horizontal(6e6, None, "of the right", HorizontalFill::None, Side::Right),
        ],
        vertical: vec![
            vertical(3, None, "begins", VerticalFill::Before),
            vertical(8, Some(14), "a while", VerticalFill::None),
            vertical(20, None, "a label that is cut where the next one begins", VerticalFill::None),
            vertical(26, None, "ends", VerticalFill::After),
        ],
        legend: Legend::Right,
        theme: Theme::Dark,
        width: 900,
        height: 420,
        ..Chart::new(
            "A title that is much too long for this picture, so that it has to be cut before its end, which nobody reads",
            x(30),
        )
    }
}

fn compared(kind: Kind) -> Chart {
    let last = |label: &str, value: f64| Series {
        points: vec![(seconds(at(1)), 1.0), (seconds(at(2)), value)],
        ..curve(label, 0.0, 1.0, 1)
    };
    let series =
        vec![last("seven", 7.0), last("two", 2.0), last("less than nothing", -1.5), last("three quarters", 0.75)];
    Chart { kind, series, ..Chart::new("Compared", x(30)) }
}

#[test]
fn pictures_are_as_they_were_when_they_were_looked_at() {
    let stacked = Chart {
        stacked: true,
        series: vec![curve("below", 5.0, 20.0, 1), curve("amid", 1.0, 9.0, 2), curve("above", 10.0, 12.0, 1)],
        ..Chart::new("Stacked", x(30))
    };
    let negative = Chart {
        series: vec![curve("changes", -3.0, 2.0, 1), Series { side: Side::Right, ..curve("alike", 4.0, 4.0, 1) }],
        legend: Legend::Hidden,
        ..Chart::new(
            "",
            XAxis { end: at(2 * 24 * 60), offset: Offset::from_seconds(-5 * 3600).expect("an offset"), ..x(0) },
        )
    };
    let right_only = Chart {
        series: vec![Series { side: Side::Right, ..curve("right", 0.0, 3000.0, 1) }],
        width: 320,
        height: 180,
        ..Chart::new("Right", x(60))
    };
    let crowded = Chart {
        series: (0..40)
            .map(|number| curve(&format!("series {number}"), f64::from(number), f64::from(number) + 1.0, 1))
            .collect(),
        ..Chart::new("Crowded", x(30))
    };
    let empty = Chart {
        series: vec![Series { label: "nothing".to_owned(), ..Series::default() }],
        ..Chart::new("Empty", x(30))
    };
    let no_shares = Chart { series: vec![curve("nothing", 0.0, 0.0, 1)], ..compared(Kind::Pie) };
    let tiny = Chart { width: 60, height: 40, ..lines() };
    let pictures = [
        ("lines", lines(), "7c1b338d169d565e"),
        ("annotated", annotated(), "a267babe9b02c91e"),
        ("stacked", stacked, "00563d31dd292f0f"),
        ("negative", negative, "aa1d2adfa48f719a"),
        ("right-only", right_only, "ee5366c66b1e69b8"),
        ("crowded", crowded, "2391727fa7d4709d"),
        ("empty", empty, "8321faa88888c0d0"),
        ("tiny", tiny, "445f4960932c5f07"),
        ("bars", compared(Kind::Bars), "a68b807bcc29537a"),
        ("bars-right", Chart { legend: Legend::Right, ..compared(Kind::Bars) }, "ffa11e582a3acc6a"),
        ("pie", compared(Kind::Pie), "c723bbbb825e995e"),
        ("no-shares", no_shares, "2c85d00625519bf3"),
    ];
    let changed = pictures.iter().filter(|(_, chart, known)| sum(&svg(chart)) != *known);
    let changed: Vec<String> = changed
        .map(|(name, chart, _)| {
            format!("{name} is {}: look at {}", sum(&svg(chart)), shown(&format!("{name}.png"), &png(chart)))
        })
        .collect();
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}
