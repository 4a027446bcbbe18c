//! Load: requests per second over time, straight lines between points.

use jiff::Timestamp;

/// Before its first point and after its last, a load stays as it is there.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// (when, requests per second), in the order of time.
    points: Vec<(Timestamp, f64)>,
}

impl Load {
    /// Goes straight to `rate` at `at`, from wherever the last point is.
    ///
    /// # Panics
    /// When a later point is there already: a load is written from its beginning to its end.
    pub fn then(&mut self, at: Timestamp, rate: f64) {
        assert!(self.points.last().is_none_or(|(last, _)| *last <= at), "a load goes forward in time");
        self.points.push((at, rate));
    }

    /// Requests per second at `at`.
    pub fn rate(&self, at: Timestamp) -> f64 {
        let after = self.points.partition_point(|(time, _)| *time <= at);
        match (after.checked_sub(1).map(|index| self.points[index]), self.points.get(after)) {
            (None, None) => 0.0,
            (Some((_, rate)), None) | (None, Some(&(_, rate))) => rate,
            (Some((from, low)), Some(&(to, high))) => {
                let share = at.duration_since(from).as_secs_f64() / to.duration_since(from).as_secs_f64();
                low + (high - low) * share
            }
        }
    }

    /// The requests of `[from, to)`: exact, as lines are.
    pub fn requests(&self, from: Timestamp, to: Timestamp) -> f64 {
        let first = self.points.partition_point(|(at, _)| *at <= from);
        let inner = self.points[first..].iter().map(|(at, _)| *at).take_while(|at| *at < to);
        let mut total = 0.0;
        let mut start = from;
        // A point can be a step: its rate on this side is that of the line which ends here.
        for end in inner.chain([to]) {
            let middle = start + end.duration_since(start) / 2;
            total += self.rate(middle) * end.duration_since(start).as_secs_f64();
            start = end;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_load_rises_steps_and_stays() {
        let mut load = Load::default();
        assert_eq!(load.rate(at(0)), 0.0);
        load.then(at(10), 100.0);
        load.then(at(20), 200.0);
        load.then(at(20), 50.0);
        assert_eq!([0, 15, 20, 99].map(|second| load.rate(at(second))), [100.0, 150.0, 50.0, 50.0]);
        assert_eq!(load.requests(at(0), at(10)), 1000.0);
        assert_eq!(load.requests(at(5), at(25)), 500.0 + 1500.0 + 250.0);
    }
}
