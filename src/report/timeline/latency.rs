//! The band of latency: percentiles as lines with their names at their ends, and what the scenario asks for.

use maud::{Markup, html};

use super::columns::Column;
use super::{APART, HEAD, Time, base, runs, steps};
use crate::chart::drawing::{Axis, LEFT, line, plain_ms, points, text};
use crate::chart::{dashes, ranks};

const HEIGHT: f64 = 112.0;
/// Names nearer to each other than this would lie over each other.
const NAME_HEIGHT: f64 = 12.5;

type Percentile = (&'static str, fn(&Column) -> Option<f64>);

/// The slowest first: the median is drawn over the others.
const PERCENTILES: [Percentile; 3] =
    [("p99", |column| column.p99), ("p95", |column| column.p95), ("p50", |column| column.p50)];

pub fn draw(time: Time, columns: &[Column], objective: Option<f64>, index: usize, y: f64) -> (Markup, f64) {
    let values = |of: fn(&Column) -> Option<f64>| columns.iter().map(of).collect::<Vec<_>>();
    let measured = || PERCENTILES.iter().flat_map(|(_, of)| columns.iter().filter_map(of));
    let Some(slowest) = measured().reduce(f64::max) else {
        return (html! {}, y);
    };
    let fastest = measured().fold(slowest, f64::min).max(0.001);
    // An objective far away would press the lines together.
    let objective = objective.filter(|ms| (fastest / 10.0..=slowest * 10.0).contains(ms));
    let ends = objective.map_or((fastest, slowest), |ms| (fastest.min(ms), slowest.max(ms)));
    let axis = Axis::log(y + HEAD, HEIGHT, ends.0, ends.1);
    let lines: Vec<Vec<Vec<(f64, f64)>>> = PERCENTILES
        .iter()
        .map(|(_, of)| runs(columns, &values(*of)).iter().map(|run| steps(time, &axis, run)).collect())
        .collect();
    let ranks = ranks(&lines.iter().map(|line| line.concat()).collect::<Vec<_>>());
    let last = lines.iter().map(|line| Some(line.last()?.last()?.1));
    let named: Vec<(f64, &str)> = last.zip(PERCENTILES).filter_map(|(y, (name, _))| Some((y?, name))).collect();
    let drawn = html! {
        (text("unit", LEFT, y + 12.0, if objective.is_some() { "latency, and the objective (dashes)" } else { "latency" }))
        (axis.draw(time.canvas, plain_ms))
        @if let Some(objective) = objective {
            (line("mark", LEFT, axis.y(objective), time.canvas.end(), axis.y(objective)))
        }
        @for (((name, _), line), rank) in PERCENTILES.iter().zip(&lines).zip(ranks) {
            @let dashes = dashes(rank);
            @for part in line {
                polyline class=(format!("curve {name} s{}", index % 6)) points=(points(part))
                    stroke-dasharray=[dashes.map(|(dash, gap, _)| format!("{dash} {gap}"))]
                    stroke-dashoffset=[dashes.map(|(.., offset)| offset.to_string())] {}
            }
        }
        (names(time, named, axis.top + axis.height))
        (base(time.canvas, &axis))
    };
    (drawn, axis.top + axis.height + APART)
}

/// Names at the ends of their lines.
pub fn names(time: Time, names: Vec<(f64, &str)>, bottom: f64) -> Markup {
    html! { @for (y, name) in apart(names, bottom) { (text("end", time.canvas.end() + 5.0, y + 4.0, name)) } }
}

/// Names at the heights of their lines, pushed up where they would lie over each other; none is below the band.
fn apart(mut names: Vec<(f64, &str)>, bottom: f64) -> Vec<(f64, &str)> {
    // Of lines that end at the same height, the slower stays above.
    names.reverse();
    names.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut free = bottom;
    for (y, _) in &mut names {
        *y = y.min(free);
        free = *y - NAME_HEIGHT;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_equal_lines_stand_above_each_other_in_their_order() {
        let names = apart(vec![(50.0, "p99"), (50.0, "p95"), (50.0, "p50")], 100.0);
        assert_eq!(names, [(50.0, "p50"), (37.5, "p95"), (25.0, "p99")]);
        assert_eq!(apart(vec![(20.0, "p99"), (104.0, "p50")], 100.0), [(100.0, "p50"), (20.0, "p99")]);
    }
}
