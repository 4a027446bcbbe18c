//! When requests are due: a pure reading of the rate that a load demands.
//!
//! An open load has a rate r(t), and Λ(t) = ∫ r is how many requests were demanded until t. Even arrivals are due at
//! Λ⁻¹(0), Λ⁻¹(1), Λ⁻¹(2)…; random ones (a Poisson process) at Λ⁻¹ of the sums of exponential gaps of mean 1. A rate is a
//! chain of straight pieces, so Λ is quadratic within a piece and its inverse has a closed form.

use std::f64::consts::TAU;
use std::time::Duration;

use super::control::Control;

/// Straight pieces that a period of a sine is drawn with: its mean is exact, its height within 0.2 %.
const PIECES_PER_PERIOD: u32 = 60;
/// A curve of more pieces is refused where it is read.
pub const PIECES_MAX: usize = 100_000;

/// A rate that changes in a straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    /// Seconds from the start of the curve.
    start: f64,
    seconds: f64,
    /// Requests per second at its start and at its end.
    from: f64,
    to: f64,
    /// Requests demanded before it: Λ(start).
    before: f64,
}

impl Piece {
    fn requests(&self) -> f64 {
        self.seconds * (self.from + self.to) / 2.0
    }

    /// When `requests` of this piece have been demanded, in seconds from the start of the curve. Solves
    /// a·t + (b − a)·t² / 2T = m in the form that does not cancel.
    fn at(&self, requests: f64) -> f64 {
        if requests <= 0.0 {
            return self.start;
        }
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * requests).max(0.0).sqrt();
        self.start + (2.0 * requests / (self.from + root)).min(self.seconds)
    }
}

/// A rate over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    pieces: Vec<Piece>,
}

impl Curve {
    pub fn constant(rate: f64, duration: Duration) -> Self {
        let mut curve = Self::default();
        curve.push(duration.as_secs_f64(), rate, rate);
        curve
    }

    /// From `start`, to each target in the time given with it.
    pub fn stages(start: f64, stages: &[(f64, Duration)]) -> Self {
        let mut curve = Self::default();
        let mut rate = start;
        for (target, duration) in stages {
            curve.push(duration.as_secs_f64(), rate, *target);
            rate = *target;
        }
        curve
    }

    /// `base`, and from `at` on for `lasting` `peak`.
    pub fn spike(base: f64, peak: f64, at: Duration, lasting: Duration, duration: Duration) -> Self {
        let (at, end) = (at.min(duration), (at + lasting).min(duration));
        let mut curve = Self::default();
        curve.push(at.as_secs_f64(), base, base);
        curve.push((end - at).as_secs_f64(), peak, peak);
        curve.push((duration - end).as_secs_f64(), base, base);
        curve
    }

    /// Begins at its mean, and rises first; never below 0.
    pub fn sine(mean: f64, amplitude: f64, period: Duration, duration: Duration) -> Self {
        let (period, whole) = (period.as_secs_f64(), duration.as_secs_f64());
        let step = period / f64::from(PIECES_PER_PERIOD);
        let rate = |at: f64| (mean + amplitude * (TAU * at / period).sin()).max(0.0);
        let mut curve = Self::default();
        let mut number = 0_u32;
        while f64::from(number) * step < whole && curve.pieces.len() < PIECES_MAX {
            let from = f64::from(number) * step;
            let to = (from + step).min(whole);
            curve.push(to - from, rate(from), rate(to));
            number += 1;
        }
        curve
    }

    /// Through points of (seconds, rate), in straight lines. The points' times rise.
    pub fn points(points: &[(f64, f64)]) -> Self {
        let mut curve = Self::default();
        for pair in points.windows(2) {
            curve.push(pair[1].0 - pair[0].0, pair[0].1, pair[1].1);
        }
        curve
    }

    /// The same rates, passed through so many times as fast: the requests are fewer.
    #[must_use]
    pub fn faster(&self, speed: u32) -> Self {
        let mut curve = Self::default();
        for piece in &self.pieces {
            curve.push(piece.seconds / f64::from(speed), piece.from, piece.to);
        }
        curve
    }

    fn push(&mut self, seconds: f64, from: f64, to: f64) {
        if seconds > 0.0 {
            let (start, before) = self
                .pieces
                .last()
                .map_or((0.0, 0.0), |last| (last.start + last.seconds, last.before + last.requests()));
            self.pieces.push(Piece { start, seconds, from, to, before });
        }
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.pieces.last().map_or(0.0, |last| last.start + last.seconds))
    }

    /// Requests demanded over the whole curve: Λ(end).
    pub fn requests(&self) -> f64 {
        self.pieces.last().map_or(0.0, |last| last.before + last.requests())
    }

    /// Requests demanded until a time: Λ(t).
    pub fn requests_until(&self, at: Duration) -> f64 {
        let at = at.as_secs_f64();
        let after = self.pieces.partition_point(|piece| piece.start + piece.seconds <= at);
        self.pieces.get(after).map_or_else(
            || self.requests(),
            |piece| {
                let inside = at - piece.start;
                let slope = (piece.to - piece.from) / piece.seconds;
                piece.before + piece.from * inside + slope * inside * inside / 2.0
            },
        )
    }

    /// When it is next at least `level`, from a time on; `None` where it never is.
    pub fn reaches(&self, level: f64, from: Duration) -> Option<Duration> {
        let from = from.as_secs_f64();
        // Half a thousandth: a line that ends at 10 has been at 10.
        let level = level - 5e-4;
        let first = self.pieces.partition_point(|piece| piece.start + piece.seconds <= from);
        let at = self.pieces[first..].iter().find_map(|piece| {
            let start = piece.start.max(from);
            let slope = (piece.to - piece.from) / piece.seconds;
            let value = piece.from + slope * (start - piece.start);
            if value >= level {
                return Some(start);
            }
            (piece.to >= level).then(|| piece.start + ((level - piece.from) / slope).min(piece.seconds))
        });
        at.map(Duration::from_secs_f64)
    }

    /// The rate at a time.
    pub fn rate_at(&self, at: Duration) -> f64 {
        let at = at.as_secs_f64();
        let here = self.pieces.partition_point(|piece| piece.start + piece.seconds <= at);
        self.pieces
            .get(here)
            .map_or(0.0, |piece| piece.from + (piece.to - piece.from) / piece.seconds * (at - piece.start))
    }

    /// When its straight piece ends, and the rate there.
    pub fn next_bend(&self, at: Duration) -> Option<(Duration, f64)> {
        let at = at.as_secs_f64();
        let here = self.pieces.partition_point(|piece| piece.start + piece.seconds <= at);
        // A steady piece leads to what comes after it.
        let piece = self.pieces.get(here)?;
        let end = Duration::from_secs_f64(piece.start + piece.seconds);
        match self.pieces.get(here + 1) {
            Some(next) if piece.from == piece.to => Some((end, next.to)),
            Some(_) => Some((end, piece.to)),
            None => (piece.from != piece.to).then_some((end, piece.to)),
        }
    }

    /// (seconds, rate at the start, rate at the end) of each straight piece.
    pub fn segments(&self) -> Vec<(f64, f64, f64)> {
        self.pieces.iter().map(|piece| (piece.seconds, piece.from, piece.to)).collect()
    }

    /// The highest rate.
    pub fn peak(&self) -> f64 {
        self.pieces.iter().flat_map(|piece| [piece.from, piece.to]).fold(0.0, f64::max)
    }
}

/// How arrivals are spread under a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    Even,
    /// Independent of each other, as many users are; the same seed gives the same times.
    Poisson {
        seed: u64,
    },
}

/// The due times of a curve, counted from its start.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    curve: &'a Curve,
    /// The piece in which the last arrival fell.
    piece: usize,
    /// Λ at the next arrival.
    demanded: f64,
    gaps: Gaps,
    /// In percent of the rate; 100 where nobody changes it.
    percent: Option<&'a Control>,
}

#[derive(Clone, Debug)]
enum Gaps {
    Even,
    Exponential(Random),
}

impl<'a> Arrivals<'a> {
    pub fn new(curve: &'a Curve, spacing: Spacing) -> Self {
        let mut gaps = match spacing {
            Spacing::Even => Gaps::Even,
            Spacing::Poisson { seed } => Gaps::Exponential(Random(seed)),
        };
        let demanded = match &mut gaps {
            Gaps::Even => 0.0,
            Gaps::Exponential(random) => random.exponential(),
        };
        Self { curve, piece: 0, demanded, gaps, percent: None }
    }

    /// As [`Arrivals::new`], with as much of the rate as is asked for at each moment.
    #[must_use]
    pub fn controlled(self, control: &'a Control) -> Self {
        Self { percent: Some(control), ..self }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The last even arrival of 100/s for 1 s is at 0.99 s: half a thousandth keeps rounding from adding another.
        if self.demanded >= self.curve.requests() - 5e-4 {
            return None;
        }
        let pieces = &self.curve.pieces;
        while pieces.get(self.piece + 1).is_some_and(|next| next.before <= self.demanded) {
            self.piece += 1;
        }
        let piece = pieces.get(self.piece)?;
        let due = piece.at(self.demanded - piece.before);
        let gap = match &mut self.gaps {
            Gaps::Even => 1.0,
            Gaps::Exponential(random) => random.exponential(),
        };
        self.demanded += gap * self.percent.map_or(1.0, |control| 100.0 / f64::from(control.percent()));
        Some(Duration::from_secs_f64(due))
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): a seed gives the same numbers in every version of this program.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of mean 1.
    fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn even(curve: &Curve) -> Vec<f64> {
        Arrivals::new(curve, Spacing::Even).map(|due| due.as_secs_f64()).collect()
    }

    #[test]
    fn a_constant_rate_demands_exactly_rate_times_duration_evenly() {
        let due = even(&Curve::constant(2000.0, seconds(30)));
        assert_eq!(due.len(), 60_000);
        assert!(due.windows(2).all(|pair| (pair[1] - pair[0] - 0.0005).abs() < 1e-8));
        assert_eq!((due[0], even(&Curve::constant(3.0, seconds(1))).len()), (0.0, 3));
    }

    #[test]
    fn a_ramp_demands_the_area_under_it() {
        // From 0 to 100/s in 10 s: Λ(t) = 5t², so 500 requests, and the k-th at √(k/5).
        let due = even(&Curve::stages(0.0, &[(100.0, seconds(10))]));
        assert_eq!(due.len(), 500);
        for (number, due) in due.iter().enumerate() {
            assert!((due - (number as f64 / 5.0).sqrt()).abs() < 1e-8, "{number}: {due}");
        }
        let falling = even(&Curve::stages(100.0, &[(0.0, seconds(10))]));
        assert_eq!(falling.len(), 500);
        assert!((falling[250] - (10.0 - (50.0_f64).sqrt())).abs() < 1e-6, "{}", falling[250]);
    }

    #[test]
    fn stages_continue_where_the_stage_before_ended() {
        let curve =
            Curve::stages(10.0, &[(10.0, seconds(10)), (30.0, seconds(10)), (0.0, seconds(0)), (30.0, seconds(5))]);
        assert_eq!((curve.duration(), curve.peak()), (seconds(25), 30.0));
        assert!((curve.requests() - (100.0 + 200.0 + 75.0)).abs() < 1e-9, "a stage of no time only sets the rate");
        assert_eq!(
            [5, 15, 20, 24, 30].map(|at| curve.requests_until(seconds(at)).round()),
            [50.0, 175.0, 300.0, 348.0, 375.0]
        );
    }

    #[test]
    fn a_level_is_reached_where_its_line_crosses_it_and_left_where_it_falls_below() {
        // To 10 in 10 s, 10 for 10 s, and back to 0 in 10 s.
        let curve = Curve::stages(0.0, &[(10.0, seconds(10)), (10.0, seconds(10)), (0.0, seconds(10))]);
        let at = |level, from| curve.reaches(level, seconds(from)).map(|at| at.as_secs_f64().round());
        assert_eq!([at(1.0, 0), at(5.0, 0), at(10.0, 0)], [Some(1.0), Some(5.0), Some(10.0)]);
        assert_eq!([at(5.0, 12), at(5.0, 24), at(5.0, 26), at(11.0, 0)], [Some(12.0), Some(24.0), None, None]);
        let jump = Curve::stages(0.0, &[(1.0, seconds(5)), (8.0, seconds(0)), (8.0, seconds(5))]);
        assert_eq!(jump.reaches(8.0, seconds(0)), Some(seconds(5)));
    }

    #[test]
    fn the_rate_now_and_where_it_goes_are_known() {
        let curve = Curve::stages(10.0, &[(50.0, seconds(10)), (50.0, seconds(10)), (0.0, seconds(10))]);
        assert_eq!([0, 5, 15, 25, 30].map(|at| curve.rate_at(seconds(at))), [10.0, 30.0, 50.0, 25.0, 0.0]);
        let bends = [0, 12, 25].map(|at| curve.next_bend(seconds(at)));
        assert_eq!(bends, [Some((seconds(10), 50.0)), Some((seconds(20), 0.0)), Some((seconds(30), 0.0))]);
        assert_eq!(Curve::constant(5.0, seconds(9)).next_bend(seconds(1)), None);
    }

    #[test]
    fn a_changed_rate_demands_more_or_less_from_then_on() {
        let (curve, control) = (Curve::constant(10.0, seconds(10)), Control::default());
        let mut arrivals = Arrivals::new(&curve, Spacing::Even).controlled(&control);
        let first = arrivals.by_ref().take(50).count();
        control.change_rate(100);
        assert_eq!((first, arrivals.count()), (50, 100), "the second half at twice the rate");
    }

    #[test]
    fn a_spike_is_where_it_was_asked_for() {
        let due = even(&Curve::spike(10.0, 200.0, seconds(20), seconds(5), seconds(60)));
        assert_eq!(due.len(), 200 + 1000 + 350);
        assert_eq!(due.iter().filter(|due| (20.0..25.0).contains(*due)).count(), 1000);
    }

    #[test]
    fn a_sine_has_its_mean_and_its_peak() {
        let curve = Curve::sine(100.0, 80.0, seconds(60), seconds(180));
        assert!((curve.requests() - 18_000.0).abs() < 1.0, "{}", curve.requests());
        assert!((curve.peak() - 180.0).abs() < 0.4, "{}", curve.peak());
        let trough =
            curve.requests_until(Duration::from_millis(45_500)) - curve.requests_until(Duration::from_millis(44_500));
        assert!((trough - 20.0).abs() < 0.4, "{trough}");
        assert!(Curve::sine(10.0, 50.0, seconds(60), seconds(60)).pieces.iter().all(|piece| piece.from >= 0.0));
    }

    #[test]
    fn a_curve_goes_through_its_points() {
        let curve = Curve::points(&[(0.0, 1.0), (100.0, 5.0), (200.0, 0.0)]);
        assert_eq!(even(&curve).len(), 550);
        assert_eq!([50, 100].map(|at| curve.requests_until(seconds(at))), [100.0, 300.0]);
    }

    #[test]
    fn random_arrivals_have_the_mean_and_the_variance_of_a_poisson_process_and_repeat_with_the_seed() {
        let curve = Curve::constant(100.0, seconds(2000));
        let due: Vec<f64> = Arrivals::new(&curve, Spacing::Poisson { seed: 7 }).map(|due| due.as_secs_f64()).collect();
        let again: Vec<f64> =
            Arrivals::new(&curve, Spacing::Poisson { seed: 7 }).map(|due| due.as_secs_f64()).collect();
        assert_eq!(due, again);
        assert_ne!(
            due,
            Arrivals::new(&curve, Spacing::Poisson { seed: 8 }).map(|due| due.as_secs_f64()).collect::<Vec<_>>()
        );
        // In each of 2,000 seconds a Poisson number of mean and variance 100.
        let mut counts = vec![0.0; 2000];
        due.iter().for_each(|due| counts[*due as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / 2000.0;
        let variance = counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / 1999.0;
        assert!((mean - 100.0).abs() < 1.0, "{mean}");
        assert!((85.0..115.0).contains(&variance), "{variance}");
    }

    #[test]
    fn arrivals_never_go_back_and_never_pass_the_end() {
        let curve = Curve::stages(5.0, &[(0.0, seconds(3)), (0.0, seconds(3)), (50.0, seconds(3)), (0.0, seconds(1))]);
        for spacing in [Spacing::Even, Spacing::Poisson { seed: 1 }] {
            let due: Vec<_> = Arrivals::new(&curve, spacing).collect();
            assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
            assert!(due.last().is_some_and(|last| *last <= curve.duration()));
        }
    }
}
