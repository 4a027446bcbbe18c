//! Every figure stands under its own name: eight latencies of eight lengths, on the page, in Markdown and in a comparison.

use super::{compare, markdown, render};
use crate::result::record::{Images, Latency, RunResult, TargetResult};

fn target(name: &str, times: f64) -> TargetResult {
    TargetResult {
        name: name.into(),
        requests: 2500,
        errors: 25,
        status: [(200, 2475), (502, 25)].into(),
        rate: 412.5 * times,
        connections: 2,
        latency_ms: Some(Latency {
            min: 1.0 * times,
            mean: 2.0 * times,
            p50: 3.0 * times,
            p90: 4.0 * times,
            p95: 5.0 * times,
            p99: 6.0 * times,
            p999: 7.0 * times,
            max: 8.0 * times,
        }),
        ..TargetResult::default()
    }
}

fn run(times: f64) -> RunResult {
    let mut run = RunResult::empty("web", "2026-11-21T21:45:12Z".parse().expect("a time"));
    run.run = format!("run-{times}");
    run.targets = vec![target("light", times)];
    run
}

/// The cells of the first table row that has `first` in it, without markup.
fn cells(page: &str, first: &str) -> Vec<String> {
    let row = page.split("<tr").find(|row| row.contains(first)).unwrap_or_else(|| panic!("no row with {first}"));
    let row = row.split("</tr>").next().unwrap_or_default();
    let cells = row.split("<t").skip(1).filter(|cell| cell.starts_with('d') || cell.starts_with('h'));
    let text = |cell: &str| {
        let mut text = String::new();
        let mut is_tag = true;
        for character in cell.chars() {
            match character {
                '<' => is_tag = true,
                '>' => is_tag = false,
                other if !is_tag => text.push(other),
                _ => {}
            }
        }
        text.trim().to_owned()
    };
    cells.map(text).collect()
}

#[test]
fn every_latency_of_the_page_stands_under_its_name() {
    let page = render(&run(1.0), &Images::new());
    let heads = cells(&page, "p99.9");
    let table = page.split("p99.9").nth(1).expect("the table of latencies");
    let values = cells(table, "light");
    let pairs: Vec<(&str, &str)> = heads.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
    for pair in [
        ("min", "1.00 ms"),
        ("mean", "2.00 ms"),
        ("p50", "3.00 ms"),
        ("p90", "4.00 ms"),
        ("p95", "5.00 ms"),
        ("p99", "6.00 ms"),
        ("p99.9", "7.00 ms"),
        ("max", "8.00 ms"),
    ] {
        assert!(pairs.contains(&pair), "{pair:?} in {pairs:?}");
    }
}

#[test]
fn the_figures_of_markdown_stand_under_their_names() {
    let text = markdown::markdown(&run(1.0));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows[0], "| | requests | errors | rate | p50 | p95 | p99 |");
    assert_eq!(rows[2], "| light | 2,500 | 1 % | 412/s | 3.00 ms | 5.00 ms | 6.00 ms |");
}

#[test]
fn a_comparison_has_each_figure_of_both_runs_and_its_change() {
    let compared = compare::compare(&run(1.0), &run(2.0));
    assert_eq!((compared.before.as_str(), compared.after.as_str()), ("run-1", "run-2"));
    let rows: Vec<_> = compared.targets[0]
        .rows
        .iter()
        .map(|row| format!("{}: {} {} {}", row.figure, row.value(row.before), row.value(row.after), row.change()))
        .collect();
    assert_eq!(
        rows,
        [
            "errors: 1 % 1 % +0.0 %",
            "requests: 2,500 2,500 +0.0 %",
            "rate: 412/s 825/s +100.0 %",
            "mean: 2.00 ms 4.00 ms +100.0 %",
            "p50: 3.00 ms 6.00 ms +100.0 %",
            "p90: 4.00 ms 8.00 ms +100.0 %",
            "p99: 6.00 ms 12.0 ms +100.0 %",
            "max: 8.00 ms 16.0 ms +100.0 %",
        ]
    );
    let page = compare::page(std::slice::from_ref(&compared));
    assert_eq!(cells(&page, ">p90<"), ["p90", "4.00 ms", "8.00 ms", "+100.0 %"]);
    // The other way round it is half as much, with a minus sign.
    let back = compare::compare(&run(2.0), &run(1.0));
    let p50 = back.targets[0].rows.iter().find(|row| row.figure == "p50").expect("a row");
    assert_eq!(p50.change(), "−50.0 %");
}
