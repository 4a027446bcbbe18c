//! The lower band of a timeline: desired capacity as a line, healthy instances as an area, scaling events as marks.

use maud::{Markup, html};

use super::drawing::{Axis, Canvas, LEFT, RIGHT, line, px, text};
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
            (text("unit", LEFT, self.axis.top - 8.0, "instances: healthy (area), desired (line); ▲ launched ▼ ended"))
            (self.axis.draw(canvas, |tick| figures::count(tick as u64)))
            @for (from, until, point) in &steps {
                rect class=(format!("area s{}", index % 6)) x=(px(x(*from))) width=(px((x(*until) - x(*from)).max(0.0)))
                    y=(px(self.axis.y(point.healthy.into()))) height=(px(base - self.axis.y(point.healthy.into()))) {
                    title { (point.at) " s: " (point.healthy) " healthy, " (point.running) " running, " (point.desired) " desired" }
                }
            }
            polyline class="demand" points=(desired.collect::<Vec<_>>().join(" ")) { title { "desired" } }
            (line("axis", LEFT, base, canvas.width - RIGHT, base))
            @for event in &self.events {
                text class="note" text-anchor="middle" x=(px(x(event.at))) y=(px(base - 2.0)) {
                    (mark(event)) title { (event.at) " s: " (event.what) ". " (event.cause) }
                }
            }
        }
    }
}

/// Out, in, or failed.
pub fn mark(event: &CloudEvent) -> &'static str {
    match (event.status.as_str(), event.what.starts_with("Terminating")) {
        ("Failed" | "Cancelled", _) => "✕",
        (_, true) => "▼",
        (_, false) => "▲",
    }
}
