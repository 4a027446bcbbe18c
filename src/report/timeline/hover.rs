//! What the picture says of a column to whoever points at it: all figures of that time. Browsers show titles without a script; with
//! it they come at once, and by touch and arrow keys, too (`hover.js`).

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::capacity::Capacity;
use super::columns::Column;
use super::happened::Happened;
use super::{HEAD, Time, shortened, signal};
use crate::chart::drawing::px;
use crate::result::figures;
use crate::result::record::{RunResult, Signal, TargetResult};

/// Of one column.
const EVENTS_MAX: usize = 5;
const METRIC_CHARACTERS_MAX: usize = 40;

/// Where the figures come from.
pub struct Context<'a> {
    pub run: &'a RunResult,
    pub target: &'a TargetResult,
    pub signals: &'a [&'a Signal],
    pub capacity: Option<&'a Capacity<'a>>,
    pub happened: &'a Happened<'a>,
}

impl Context<'_> {
    /// A column over all bands for each column of the run.
    pub fn hits(&self, time: Time, columns: &[Column], bottom: f64) -> Markup {
        html! {
            @for column in columns {
                @let (left, right) = (time.x(column.from), time.x(column.from + column.seconds));
                rect class="hit" x=(px(left)) y=(px(HEAD)) width=(px((right - left).max(0.6))) height=(px(bottom - HEAD)) {
                    title { (self.told(column)) }
                }
            }
        }
    }

    fn told(&self, column: &Column) -> String {
        let mut lines = vec![when(self.run, column)];
        let rate = figures::rate(self.target.per_second(column.requests, column.seconds));
        lines.push(match column.demanded {
            Some(demanded) => format!("{rate}/s of {}/s demanded", figures::rate(demanded)),
            None => format!("{rate}/s"),
        });
        if column.errors > 0 {
            let percent = figures::percent(100.0 * column.errors as f64 / column.requests.max(1) as f64);
            lines.push(format!(
                "{percent} errors ({} of {})",
                figures::count(column.errors),
                figures::count(column.requests)
            ));
        }
        let named = [("p50", column.p50), ("p95", column.p95), ("p99", column.p99)];
        let latencies: Vec<String> =
            named.iter().filter_map(|(name, value)| Some(format!("{name} {}", figures::ms((*value)?)))).collect();
        if !latencies.is_empty() {
            lines.push(latencies.join(" · "));
        }
        let until = column.from + column.seconds;
        if let Some(point) = self.capacity.and_then(|capacity| capacity.at(until)) {
            lines.push(format!("{} healthy of {} desired", point.healthy, point.desired));
        }
        let middle = column.from + column.seconds / 2.0;
        let followed = self.signals.iter().filter_map(|own| Some((&own.metric, signal::at(own, middle)?)));
        lines.extend(
            followed.map(|(metric, value)| {
                format!("{} {}", shortened(metric, METRIC_CHARACTERS_MAX), figures::short(value))
            }),
        );
        let own: Vec<_> = self.happened.all.iter().filter(|one| (column.from..until).contains(&one.at)).collect();
        lines.extend(own.iter().take(EVENTS_MAX).map(|one| format!("{} {}", one.mark, one.what)));
        if own.len() > EVENTS_MAX {
            lines.push(format!("and {} more", own.len() - EVENTS_MAX));
        }
        lines.join("\n")
    }
}

/// `21:45:12 UTC, after 2 min 0 s`
fn when(run: &RunResult, column: &Column) -> String {
    let at = run.started + SignedDuration::from_millis((column.from * 1000.0) as i64);
    let clock = at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S UTC");
    format!("{clock}, after {}", figures::duration(column.from))
}
