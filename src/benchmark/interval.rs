//! What a worker counted of one endpoint in one row of the timeline and one phase; intervals add up exactly, whoever made them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::grid::Grid;
use super::spread::Spread;

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
    /// Not HTTP/1.1, or not HTTP/2 where that was demanded.
    Protocol,
    /// This machine has no port or file left for another connection.
    Exhausted,
    /// The server's certificate is not trusted, or it speaks no TLS.
    Tls,
    /// A body larger than the bound: the rest of it is not read.
    Size,
}

impl Failure {
    pub const ALL: [Failure; 9] = [
        Failure::Connect,
        Failure::Timeout,
        Failure::Reset,
        Failure::Status,
        Failure::Body,
        Failure::Protocol,
        Failure::Exhausted,
        Failure::Tls,
        Failure::Size,
    ];

    /// The name in `result.json`.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Connect => "connect",
            Failure::Timeout => "timeout",
            Failure::Reset => "reset",
            Failure::Status => "status",
            Failure::Body => "body",
            Failure::Protocol => "protocol",
            Failure::Exhausted => "exhausted",
            Failure::Tls => "tls",
            Failure::Size => "size",
        }
    }
}

/// How one request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply<'a> {
    /// `None` where no complete answer came.
    pub status: Option<u16>,
    pub instance: Option<&'a str>,
    pub failure: Option<Failure>,
    /// Connections opened for it.
    pub opened: u32,
    /// It was sent again after its connection broke.
    pub retried: bool,
}

/// When a request was due, left and ended; all since the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `None` in a closed load, where nothing but the answer before it says when a request leaves.
    pub due: Option<Duration>,
    pub sent: Duration,
    pub ended: Duration,
}

/// Whose an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub endpoint: u16,
    pub phase: u16,
    pub warm_up: bool,
}

#[derive(Clone, Debug)]
pub struct Interval {
    /// The row of the timeline in which its requests ended.
    pub row: u32,
    pub place: Place,
    pub tally: Tally,
}

/// Counters and spreads; two of them add up.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub requests: u64,
    pub errors: [u64; Failure::ALL.len()],
    pub status: BTreeMap<u16, u64>,
    pub instances: HashMap<String, u64>,
    pub connections: u64,
    pub retries: u64,
    /// Correct answers, from the moment the schedule demanded the request. Empty in a closed load.
    pub response: Spread,
    /// Correct answers, from the moment the request left.
    pub service: Spread,
    /// Answers that were not correct, as `response`, in a closed load as `service`.
    pub wrong: Spread,
    /// How long after it was due a request left.
    pub lateness: Spread,
}

impl Tally {
    pub fn record(&mut self, times: Times, reply: Reply<'_>) {
        self.requests += 1;
        self.connections += u64::from(reply.opened);
        self.retries += u64::from(reply.retried);
        if let Some(status) = reply.status {
            *self.status.entry(status).or_default() += 1;
        }
        if let Some(instance) = reply.instance {
            self.count_instance(instance);
        }
        let service = times.ended.saturating_sub(times.sent);
        let response = times.due.map(|due| times.ended.saturating_sub(due));
        if let Some(due) = times.due {
            self.lateness.record(times.sent.saturating_sub(due));
        }
        match reply.failure {
            None => {
                self.service.record(service);
                if let Some(response) = response {
                    self.response.record(response);
                }
            }
            Some(failure) => {
                self.errors[failure as usize] += 1;
                if reply.status.is_some() {
                    self.wrong.record(response.unwrap_or(service));
                }
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
        self.retries += other.retries;
        for (own, others) in self.errors.iter_mut().zip(other.errors) {
            *own += others;
        }
        for (status, count) in &other.status {
            *self.status.entry(*status).or_default() += count;
        }
        for (instance, count) in &other.instances {
            let known = self.instances.len() < INSTANCES_MAX || self.instances.contains_key(instance);
            let name = if known { instance.as_str() } else { "(others)" };
            *self.instances.entry(name.to_owned()).or_default() += count;
        }
        self.response.add(&other.response);
        self.service.add(&other.service);
        self.wrong.add(&other.wrong);
        self.lateness.add(&other.lateness);
    }

    pub fn failed(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Errors by the name of their kind; kinds that did not occur are absent.
    pub fn errors_by_kind(&self) -> BTreeMap<String, u64> {
        let kinds = Failure::ALL.iter().map(|failure| (failure.name().to_owned(), self.errors[*failure as usize]));
        kinds.filter(|(_, count)| *count > 0).collect()
    }

    /// What the run calls latency: response time where a schedule demanded the requests, otherwise service time.
    pub fn latency(&self) -> &Spread {
        if self.response.count() > 0 { &self.response } else { &self.service }
    }

    /// [`Tally::latency`] over correct and wrong answers.
    pub fn latency_of_all(&self) -> Spread {
        let mut all = self.latency().clone();
        all.add(&self.wrong);
        all
    }
}

/// A worker's intervals since it was last asked for them.
#[derive(Debug)]
pub struct Recorder {
    warm_up: Duration,
    grid: Grid,
    open: Vec<Interval>,
    closed: Vec<Interval>,
}

impl Recorder {
    pub fn new(warm_up: Duration, grid: Grid) -> Self {
        Self { warm_up, grid, open: Vec::new(), closed: Vec::new() }
    }

    pub fn record(&mut self, endpoint: u16, phase: u16, times: Times, reply: Reply<'_>) {
        let warm_up = times.due.unwrap_or(times.sent) < self.warm_up;
        let place = Place { endpoint, phase, warm_up };
        let row = self.grid.row(times.ended);
        let position = match self.open.iter().position(|interval| interval.place == place) {
            Some(position) if self.open[position].row == row => position,
            found => {
                let next = Interval { row, place, tally: Tally::default() };
                match found {
                    Some(position) => self.closed.push(std::mem::replace(&mut self.open[position], next)),
                    None => self.open.push(next),
                }
                found.unwrap_or(self.open.len() - 1)
            }
        };
        self.open[position].tally.record(times, reply);
    }

    /// All intervals so far. One row may come in several parts: they add up.
    pub fn take(&mut self) -> Vec<Interval> {
        let mut intervals = std::mem::take(&mut self.closed);
        intervals.append(&mut self.open);
        intervals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Reply<'_> = Reply { status: Some(200), instance: Some("i-1"), failure: None, opened: 0, retried: false };

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn closed(sent: u64, ended: u64) -> Times {
        Times { due: None, sent: ms(sent), ended: ms(ended) }
    }

    #[test]
    fn response_time_counts_from_the_schedule_and_service_time_from_the_send() {
        let mut tally = Tally::default();
        tally.record(Times { due: Some(ms(100)), sent: ms(400), ended: ms(410) }, OK);
        let max = |spread: &Spread| spread.max();
        assert_eq!([&tally.response, &tally.service, &tally.lateness].map(max), [310, 10, 300].map(|at| Some(ms(at))));
        assert_eq!(tally.latency().max(), Some(ms(310)));
    }

    #[test]
    fn a_closed_load_has_service_time_only() {
        let mut tally = Tally::default();
        tally.record(closed(5, 15), OK);
        assert_eq!((tally.response.count(), tally.lateness.count(), tally.latency().max()), (0, 0, Some(ms(10))));
    }

    #[test]
    fn failed_requests_count_and_only_wrong_answers_have_a_time_of_their_own() {
        let mut tally = Tally::default();
        tally.record(closed(0, 10), OK);
        tally.record(closed(0, 2), Reply { status: Some(502), instance: None, failure: Some(Failure::Status), ..OK });
        let timeout = Reply { status: None, instance: None, failure: Some(Failure::Timeout), ..OK };
        tally.record(closed(0, 9000), Reply { opened: 2, retried: true, ..timeout });
        assert_eq!((tally.requests, tally.failed(), tally.connections, tally.retries), (3, 2, 2, 1));
        assert_eq!(tally.status, BTreeMap::from([(200, 1), (502, 1)]));
        assert_eq!(tally.errors_by_kind(), BTreeMap::from([("status".into(), 1), ("timeout".into(), 1)]));
        assert_eq!((tally.latency().max(), tally.latency_of_all().count()), (Some(ms(10)), 2));
    }

    #[test]
    fn intervals_of_any_cut_add_up_to_the_same() {
        let (mut whole, mut cut, mut sum) =
            (Recorder::new(ms(0), Grid::of(1)), Recorder::new(ms(0), Grid::of(1)), Tally::default());
        for number in 0..3000 {
            let times = Times { due: Some(ms(number)), sent: ms(number + 1), ended: ms(number + 1 + number % 50) };
            whole.record(0, 0, times, OK);
            cut.record(0, 0, times, OK);
            if number % 77 == 0 {
                cut.take().iter().for_each(|interval| sum.add(&interval.tally));
            }
        }
        cut.take().iter().for_each(|interval| sum.add(&interval.tally));
        let mut once = Tally::default();
        let intervals = whole.take();
        intervals.iter().for_each(|interval| once.add(&interval.tally));
        assert_eq!(intervals.iter().map(|interval| interval.row).max(), Some(3));
        assert_eq!((sum.requests, &sum.instances), (3000, &once.instances));
        assert_eq!(
            (sum.response.distribution(), sum.service.latency()),
            (once.response.distribution(), once.service.latency())
        );
    }

    #[test]
    fn what_was_due_in_the_warm_up_is_kept_apart() {
        let mut recorder = Recorder::new(ms(1000), Grid::of(1));
        recorder.record(0, 0, closed(900, 1100), OK);
        recorder.record(0, 0, closed(1000, 1100), OK);
        assert_eq!(recorder.take().iter().map(|interval| interval.place.warm_up).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_server_that_invents_instances_cannot_fill_the_memory() {
        let mut tally = Tally::default();
        for number in 0..INSTANCES_MAX + 50 {
            let name = format!("i-{number}-{}", "é".repeat(200));
            tally.record(closed(0, 1), Reply { instance: Some(&name), ..OK });
        }
        assert_eq!(tally.instances.len(), INSTANCES_MAX + 1);
        assert_eq!(tally.instances["(others)"], 50);
        assert!(tally.instances.keys().all(|name| name.len() <= INSTANCE_BYTES_MAX));
    }
}
