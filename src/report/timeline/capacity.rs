//! The band of capacity: desired instances as a line, healthy ones as an area, those that start or leave as a lighter one.

use maud::{Markup, html};

use super::{APART, HEAD, Time, base};
use crate::chart::drawing::{Axis, LEFT, points, px, text};
use crate::result::figures;
use crate::result::record::{CapacityPoint, RunResult};

const HEIGHT: f64 = 60.0;

pub struct Capacity<'a> {
    points: Vec<&'a CapacityPoint>,
    most: u32,
    seconds: f64,
}

impl<'a> Capacity<'a> {
    /// `None` where the cluster was not watched.
    pub fn of(run: &'a RunResult, cluster: &str, seconds: f64) -> Option<Self> {
        let points: Vec<_> = run.cloud.as_ref()?.capacity.iter().filter(|point| point.cluster == cluster).collect();
        let most = points.iter().map(|point| point.desired.max(point.running).max(point.healthy)).max()?;
        Some(Self { points, most, seconds })
    }

    /// As it was at a time.
    pub fn at(&self, at: f64) -> Option<&CapacityPoint> {
        self.points.iter().rev().find(|point| point.at <= at).copied()
    }

    pub fn draw(&self, time: Time, index: usize, y: f64) -> (Markup, f64) {
        let axis = Axis::counts(y + HEAD, HEIGHT, self.most);
        let bottom = axis.top + axis.height;
        let ends = self.points.iter().skip(1).map(|point| point.at).chain([self.seconds]);
        let steps: Vec<(f64, f64, &CapacityPoint)> =
            self.points.iter().zip(ends).map(|(point, end)| (point.at, end, *point)).collect();
        let line = |of: fn(&CapacityPoint) -> u32| {
            let ends = steps.iter().flat_map(|(from, until, point)| [(*from, of(point)), (*until, of(point))]);
            let mut line: Vec<(f64, f64)> = ends.map(|(at, count)| (time.x(at), axis.y(count.into()))).collect();
            line.dedup();
            line
        };
        let area = |of: fn(&CapacityPoint) -> u32| {
            let line = line(of);
            let (first, last) = (line.first().map_or(0.0, |end| end.0), line.last().map_or(0.0, |end| end.0));
            format!("M{} {}L{}L{} {}Z", px(first), px(bottom), points(&line), px(last), px(bottom))
        };
        let drawn = html! {
            (text("unit", LEFT, y + 12.0, "instances: healthy, running (light), desired (line)"))
            (axis.draw(time.canvas, |tick| figures::count(tick as u64)))
            path class=(format!("light s{}", index % 6)) d=(area(|point| point.running)) {}
            path class=(format!("area s{}", index % 6)) d=(area(|point| point.healthy)) {}
            polyline class="demand" points=(points(&line(|point| point.desired))) {}
            (base(time.canvas, &axis))
        };
        (drawn, bottom + APART)
    }
}
