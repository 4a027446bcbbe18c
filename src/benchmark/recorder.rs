//! What a thread measured: histograms and counters that never grow with the number of requests.
//!
//! Every thread owns a [`Recorder`]; nothing is shared while requests fly. Once a second's requests are over they are
//! handed to the target's [`Timeline`], which keeps one row a second. At the end the threads' tallies are merged.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::result::record::{Latency, Second};

/// Slower answers are recorded as this.
const LATENCY_MAX: Duration = Duration::from_secs(3600);
/// Answers of further instances are counted as `(others)`: a hostile server cannot fill the memory.
const INSTANCES_MAX: usize = 10_000;
/// A name of an instance longer than this is cut.
const INSTANCE_BYTES_MAX: usize = 128;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection.
    Connect,
    /// No complete answer in time.
    Timeout,
    /// The connection broke before the answer was complete.
    Reset,
    /// Not the status that the scenario expects.
    Status,
    /// Not the body that the scenario expects.
    Body,
    /// Not HTTP/1.1, or larger than the bounds.
    Protocol,
}

impl Failure {
    pub const ALL: [Failure; 6] =
        [Failure::Connect, Failure::Timeout, Failure::Reset, Failure::Status, Failure::Body, Failure::Protocol];

    /// The name in `result.json`.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Connect => "connect",
            Failure::Timeout => "timeout",
            Failure::Reset => "reset",
            Failure::Status => "status",
            Failure::Body => "body",
            Failure::Protocol => "protocol",
        }
    }
}

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// `None` where no complete answer came.
    pub status: Option<u16>,
    pub instance: Option<&'a str>,
    pub failure: Option<Failure>,
}

/// Counters and the latency histogram; two of them add up.
#[derive(Clone, Debug)]
pub struct Tally {
    pub requests: u64,
    pub errors: [u64; Failure::ALL.len()],
    pub status: BTreeMap<u16, u64>,
    pub instances: HashMap<String, u64>,
    /// Connections opened.
    pub connections: u64,
    /// Latency of correct answers, in nanoseconds; three significant digits.
    latency: Histogram<u64>,
    /// Exact, where the histogram rounds.
    sum: Duration,
    min: Duration,
    max: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1000, LATENCY_MAX.as_nanos() as u64, 3).expect("the bounds are valid");
        Self {
            requests: 0,
            errors: [0; Failure::ALL.len()],
            status: BTreeMap::new(),
            instances: HashMap::new(),
            connections: 0,
            latency,
            sum: Duration::ZERO,
            min: Duration::MAX,
            max: Duration::ZERO,
        }
    }
}

impl Tally {
    pub fn record(&mut self, latency: Duration, reply: Reply<'_>) {
        self.requests += 1;
        if let Some(status) = reply.status {
            *self.status.entry(status).or_default() += 1;
        }
        if let Some(instance) = reply.instance {
            self.count_instance(instance);
        }
        match reply.failure {
            Some(failure) => self.errors[failure as usize] += 1,
            None => {
                self.latency.saturating_record(nanoseconds(latency));
                self.sum += latency;
                self.min = self.min.min(latency);
                self.max = self.max.max(latency);
            }
        }
    }

    fn count_instance(&mut self, instance: &str) {
        let mut end = instance.len().min(INSTANCE_BYTES_MAX);
        while !instance.is_char_boundary(end) {
            end -= 1;
        }
        let instance = &instance[..end];
        if let Some(count) = self.instances.get_mut(instance) {
            *count += 1;
        } else {
            let name = if self.instances.len() < INSTANCES_MAX { instance } else { "(others)" };
            *self.instances.entry(name.to_owned()).or_default() += 1;
        }
    }

    pub fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.connections += other.connections;
        for (own, others) in self.errors.iter_mut().zip(other.errors) {
            *own += others;
        }
        for (status, count) in &other.status {
            *self.status.entry(*status).or_default() += count;
        }
        for (instance, count) in &other.instances {
            *self.instances.entry(instance.clone()).or_default() += count;
        }
        self.latency.add(&other.latency).expect("all tallies have the same bounds");
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub fn failed(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Errors by the name of their kind; kinds that did not occur are absent.
    pub fn errors_by_kind(&self) -> BTreeMap<String, u64> {
        let kinds = Failure::ALL.iter().map(|failure| (failure.name().to_owned(), self.errors[*failure as usize]));
        kinds.filter(|(_, count)| *count > 0).collect()
    }

    /// `quantile` 0–1, in milliseconds; never above the exact maximum.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let nanoseconds = self.latency.value_at_quantile(quantile);
        milliseconds(Duration::from_nanos(nanoseconds).min(self.max))
    }

    pub fn latency(&self) -> Latency {
        let correct = self.latency.len();
        if correct == 0 {
            return Latency::default();
        }
        Latency {
            min: milliseconds(self.min),
            mean: round3(self.sum.as_secs_f64() * 1000.0 / correct as f64),
            p50: self.quantile_ms(0.5),
            p90: self.quantile_ms(0.9),
            p95: self.quantile_ms(0.95),
            p99: self.quantile_ms(0.99),
            p999: self.quantile_ms(0.999),
            max: milliseconds(self.max),
        }
    }

    /// The latency distribution: (quantile, milliseconds), rising, at most a few hundred points.
    pub fn distribution(&self) -> Vec<(f64, f64)> {
        if self.latency.is_empty() {
            return Vec::new();
        }
        let mut points = vec![(0.0, milliseconds(self.min))];
        // Denser towards the tail: the last points are those that matter.
        for value in self.latency.iter_quantiles(16) {
            let quantile = (value.quantile_iterated_to() * 1e7).round() / 1e7;
            let point = (quantile, milliseconds(Duration::from_nanos(value.value_iterated_to()).min(self.max)));
            if points.last().is_none_or(|last| point.0 > last.0 && point.1 >= last.1) {
                points.push(point);
            }
        }
        points
    }
}

/// A thread's recorder.
#[derive(Debug, Default)]
pub struct Recorder {
    pub tally: Tally,
    open: Option<(u32, Slice)>,
    closed: Vec<(u32, Slice)>,
}

impl Recorder {
    /// Records a request that ended `at` after the start of the run.
    pub fn record(&mut self, at: Duration, latency: Duration, reply: Reply<'_>) {
        self.tally.record(latency, reply);
        let second = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        self.slice(second).record(latency, reply);
    }

    fn slice(&mut self, second: u32) -> &mut Slice {
        if self.open.as_ref().is_none_or(|(open, _)| *open != second) {
            self.closed.extend(self.open.take());
        }
        &mut self.open.get_or_insert_with(|| (second, Slice::default())).1
    }

    /// Takes the seconds that are over; all of them where `now` is `None`.
    pub fn take_seconds(&mut self, now: Option<u32>) -> Vec<(u32, Slice)> {
        if now.is_none_or(|now| self.open.as_ref().is_some_and(|(open, _)| *open < now)) {
            self.closed.extend(self.open.take());
        }
        std::mem::take(&mut self.closed)
    }
}

/// The requests that ended within one second.
#[derive(Clone, Debug)]
pub struct Slice {
    requests: u64,
    errors: u64,
    /// Two significant digits.
    latency: Histogram<u32>,
}

impl Default for Slice {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1000, LATENCY_MAX.as_nanos() as u64, 2).expect("the bounds are valid");
        Self { requests: 0, errors: 0, latency }
    }
}

impl Slice {
    fn record(&mut self, latency: Duration, reply: Reply<'_>) {
        self.requests += 1;
        if reply.failure.is_some() {
            self.errors += 1;
        } else {
            self.latency.saturating_record(nanoseconds(latency));
        }
    }

    fn add(&mut self, other: &Slice) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latency.add(&other.latency).expect("all slices have the same bounds");
    }

    fn row(&self, at: u32) -> Second {
        let quantile = |quantile| milliseconds(Duration::from_nanos(self.latency.value_at_quantile(quantile)));
        Second { at, requests: self.requests, errors: self.errors, p50_ms: quantile(0.5), p99_ms: quantile(0.99) }
    }
}

/// One target's run, second by second. Histograms of seconds long over are folded into rows.
#[derive(Debug, Default)]
pub struct Timeline {
    open: BTreeMap<u32, Slice>,
    rows: BTreeMap<u32, Second>,
}

impl Timeline {
    pub fn add(&mut self, second: u32, slice: &Slice) {
        if let Some(row) = self.rows.get_mut(&second) {
            // A straggler: counted exactly; the second's percentiles stand as they are.
            row.requests += slice.requests;
            row.errors += slice.errors;
        } else {
            self.open.entry(second).or_default().add(slice);
        }
    }

    /// Folds the seconds before `second` into rows.
    pub fn settle(&mut self, second: u32) {
        let later = self.open.split_off(&second);
        for (at, slice) in std::mem::replace(&mut self.open, later) {
            self.rows.insert(at, slice.row(at));
        }
    }

    /// One row for each second from the start to `seconds`, also where nothing happened.
    pub fn finish(mut self, seconds: u32) -> Vec<Second> {
        self.settle(u32::MAX);
        let end = self.rows.last_key_value().map_or(seconds, |(last, _)| seconds.max(last + 1));
        (0..end).map(|at| self.rows.get(&at).copied().unwrap_or(Second { at, ..Second::default() })).collect()
    }
}

fn nanoseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds with three decimals: whole microseconds.
pub fn milliseconds(latency: Duration) -> f64 {
    round3(latency.as_secs_f64() * 1000.0)
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Reply<'_> = Reply { status: Some(200), instance: Some("i-1"), failure: None };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn extremes_and_mean_are_exact_and_percentiles_within_a_thousandth() {
        let mut tally = Tally::default();
        for millisecond in 1..=1000 {
            tally.record(ms(millisecond), OK);
        }
        let latency = tally.latency();
        assert_eq!((latency.min, latency.mean, latency.max), (1.0, 500.5, 1000.0));
        for (measured, exact) in
            [(latency.p50, 500.0), (latency.p90, 900.0), (latency.p99, 990.0), (latency.p999, 999.0)]
        {
            assert!((measured - exact).abs() <= exact / 1000.0, "{measured} against {exact}");
        }
    }

    #[test]
    fn failed_requests_count_but_have_no_latency() {
        let mut tally = Tally::default();
        tally.record(ms(10), OK);
        tally.record(ms(5000), Reply { status: Some(502), instance: None, failure: Some(Failure::Status) });
        tally.record(ms(9000), Reply { status: None, instance: None, failure: Some(Failure::Timeout) });
        assert_eq!((tally.requests, tally.failed(), tally.latency().max), (3, 2, 10.0));
        assert_eq!(tally.status, BTreeMap::from([(200, 1), (502, 1)]));
        assert_eq!(tally.errors_by_kind(), BTreeMap::from([("status".into(), 1), ("timeout".into(), 1)]));
    }

    #[test]
    fn two_tallies_add_up_to_what_one_would_have_counted() {
        let (mut one, mut first, mut second) = (Tally::default(), Tally::default(), Tally::default());
        for millisecond in 1..=100 {
            one.record(ms(millisecond), OK);
            let half = if millisecond % 2 == 0 { &mut first } else { &mut second };
            half.record(ms(millisecond), OK);
        }
        first.add(&second);
        assert_eq!(first.latency(), one.latency());
        assert_eq!(first.instances, one.instances);
        assert_eq!(first.distribution(), one.distribution());
    }

    #[test]
    fn the_distribution_rises_and_ends_at_the_maximum() {
        let mut tally = Tally::default();
        for microsecond in (100..100_000).step_by(7) {
            tally.record(Duration::from_micros(microsecond), OK);
        }
        let points = tally.distribution();
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert_eq!(points.first().map(|point| point.1), Some(0.1));
        assert_eq!(points.last().copied(), Some((1.0, tally.latency().max)));
        assert!(points.len() < 500, "{} points", points.len());
    }

    #[test]
    fn the_timeline_has_a_row_for_every_second_and_loses_no_request() {
        let (mut recorder, mut timeline) = (Recorder::default(), Timeline::default());
        for at in [0, 400, 999, 3000, 3500] {
            recorder.record(ms(at), ms(2), OK);
        }
        for (second, slice) in recorder.take_seconds(Some(4)) {
            timeline.add(second, &slice);
        }
        timeline.settle(4);
        recorder.record(ms(3999), ms(2), Reply { status: None, instance: None, failure: Some(Failure::Reset) });
        for (second, slice) in recorder.take_seconds(None) {
            timeline.add(second, &slice);
        }
        let rows = timeline.finish(5);
        let counts: Vec<_> = rows.iter().map(|row| (row.at, row.requests, row.errors)).collect();
        assert_eq!(counts, [(0, 3, 0), (1, 0, 0), (2, 0, 0), (3, 3, 1), (4, 0, 0)]);
    }

    #[test]
    fn a_server_that_invents_instances_cannot_fill_the_memory() {
        let mut tally = Tally::default();
        for number in 0..INSTANCES_MAX + 50 {
            let name = format!("i-{number}-{}", "é".repeat(200));
            tally.record(ms(1), Reply { instance: Some(&name), ..OK });
        }
        assert_eq!(tally.instances.len(), INSTANCES_MAX + 1);
        assert_eq!(tally.instances["(others)"], 50);
        assert!(tally.instances.keys().all(|name| name.len() <= INSTANCE_BYTES_MAX));
    }
}
