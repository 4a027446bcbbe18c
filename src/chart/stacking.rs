//! Series on top of each other.

use super::canvas::Point;
use super::{Chart, Series, Side};

/// The heights that stacked series have reached, by x.
#[derive(Default)]
pub(super) struct Stack(Vec<Point>);

impl Stack {
    /// Puts a series on top; returns its lower and upper edge.
    pub fn put(&mut self, points: &[Point]) -> (Vec<Point>, Vec<Point>) {
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for &(x, y) in points {
            let index = match self.0.binary_search_by(|(at, _)| at.total_cmp(&x)) {
                Ok(index) => index,
                Err(index) => {
                    self.0.insert(index, (x, 0.0));
                    index
                }
            };
            lower.push((x, self.0[index].1));
            self.0[index].1 += y;
            upper.push((x, self.0[index].1));
        }
        (lower, upper)
    }
}

/// Every height that stacked series reach, for the scale.
pub(super) fn stacked_extremes(chart: &Chart, side: Side) -> Vec<f64> {
    let mut stack = Stack::default();
    let of_side = chart.series.iter().filter(|series| series.side == side);
    of_side.flat_map(|series| stack.put(&finite(series).collect::<Vec<_>>()).1).map(|(_, height)| height).collect()
}

pub(super) fn finite(series: &Series) -> impl Iterator<Item = Point> {
    series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
}
