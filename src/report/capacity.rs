//! The lower band of a timeline: desired capacity as a line, healthy instances as an area, scaling events as marks.

use maud::{Markup, html};

use crate::chart::drawing::{Axis, Canvas, LEFT, RIGHT, line, px, text};
use crate::result::figures;
use crate::result::record::{CapacityPoint, CloudEvent, RunResult};

const HEIGHT: f64 = 64.0;

pub struct Capacity<'a> {
    pub axis: Axis,
    points: Vec<&'a CapacityPoint>,
    events: Vec<&'a CloudEvent>,
    seconds: f64,
}

impl<'a> Capacity<'a> {
    /// `None` where the cluster was not watched.
    pub fn of(run: &'a RunResult, cluster: &str, seconds: f64, top: f64) -> Option<Self> {
        let cloud = run.cloud.as_ref()?;
        let points: Vec<_> = cloud.capacity.iter().filter(|point| point.cluster == cluster).collect();
        let most = points.iter().map(|point| point.desired.max(point.running)).max()?;
        let events = cloud.events.iter().filter(|event| event.cluster == cluster).collect();
        Some(Self { axis: Axis::counts(top + 12.0, HEIGHT, most), points, events, seconds })
    }

    pub fn draw(&self, canvas: Canvas, x: &impl Fn(f64) -> f64, index: usize) -> Markup {
        let base = self.axis.top + self.axis.height;
        let ends = self.points.iter().skip(1).map(|point| point.at).chain([self.seconds]);
        let steps: Vec<(f64, f64, &CapacityPoint)> =
            self.points.iter().zip(ends).map(|(point, end)| (point.at, end, *point)).collect();
        let desired = steps.iter().flat_map(|(from, until, point)| {
            let y = px(self.axis.y(point.desired.into()));
            [format!("{},{y}", px(x(*from))), format!("{},{y}", px(x(*until)))]
        });
        html! {
            (text("unit", LEFT, self.axis.top - 8.0, "instances: healthy, desired (line); ▲ launched ▼ ended ◆ both"))
            (self.axis.draw(canvas, |tick| figures::count(tick as u64)))
            @for (from, until, point) in &steps {
                rect class=(format!("area s{}", index % 6)) x=(px(x(*from))) width=(px((x(*until) - x(*from)).max(0.0)))
                    y=(px(self.axis.y(point.healthy.into()))) height=(px(base - self.axis.y(point.healthy.into()))) {
                    title { (point.at) " s: " (point.healthy) " healthy, " (point.running) " running, " (point.desired) " desired" }
                }
            }
            polyline class="demand" points=(desired.collect::<Vec<_>>().join(" ")) { title { "desired" } }
            (line("axis", LEFT, base, canvas.width - RIGHT, base))
            @for group in &grouped(&self.events, |event| x(event.at)) {
                text class="note" text-anchor="middle" x=(px(x(group[0].at))) y=(px(base - 2.0)) {
                    (mark_of(group)) title { (group.iter().map(|event| told(event)).collect::<Vec<_>>().join("\n")) }
                }
            }
        }
    }
}

/// Marks closer than this would lie over each other.
const MARK_WIDTH: f64 = 13.0;

/// Events that share a mark: each group begins where the one before leaves room.
fn grouped<'e>(events: &[&'e CloudEvent], x: impl Fn(&CloudEvent) -> f64) -> Vec<Vec<&'e CloudEvent>> {
    let mut sorted = events.to_vec();
    sorted.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut groups: Vec<Vec<&CloudEvent>> = Vec::new();
    for event in sorted {
        match groups.last_mut().filter(|group| x(event) - x(group[0]) < MARK_WIDTH) {
            Some(group) => group.push(event),
            None => groups.push(vec![event]),
        }
    }
    groups
}

/// The events' own mark, or one for several that differ.
fn mark_of(events: &[&CloudEvent]) -> &'static str {
    let first = mark(events[0]);
    if events.iter().all(|event| mark(event) == first) { first } else { "◆" }
}

fn told(event: &CloudEvent) -> String {
    format!("{} s: {}. {}", event.at, event.what, event.cause)
}

/// Out, in, or failed.
pub fn mark(event: &CloudEvent) -> &'static str {
    match (event.status.as_str(), event.what.starts_with("Terminating")) {
        ("Failed" | "Cancelled", _) => "✕",
        (_, true) => "▼",
        (_, false) => "▲",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_would_lie_over_each_other_are_one() {
        let event = |at: f64, what: &str| CloudEvent {
            at,
            cluster: "web".into(),
            what: what.into(),
            cause: String::new(),
            status: "Successful".into(),
        };
        let events =
            [event(30.0, "Launching"), event(0.0, "Launching"), event(5.0, "Terminating"), event(40.0, "Launching")];
        let all: Vec<&CloudEvent> = events.iter().collect();
        let groups = grouped(&all, |event| event.at);
        let seen: Vec<_> = groups.iter().map(|group| (group.len(), mark_of(group))).collect();
        assert_eq!(seen, [(2, "◆"), (2, "▲")]);
    }
}
