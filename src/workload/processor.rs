//! A modelled processor: requests wait for it and take their service time, and no CPU time is used.
//!
//! It has virtual CPUs, each of which serves one request at a time, in the order of arrival. When each is free again is all
//! that has to be known. So a laptop carries fifty instances that are as busy as the model says, which they report as their
//! CPUUtilization (`report.rs`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests that may wait; the next one is refused.
pub const QUEUE_MAX: u32 = 100;
/// The spread of lognormal service times: the 99th percentile is 2.8 times the mean, as web applications have it.
const SIGMA: f64 = 0.6;
/// Less than any baseline.
const SHARE_MIN: f64 = 0.01;

/// How service times are spread around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    #[default]
    Fixed,
    Exponential,
    Lognormal,
}

impl Distribution {
    pub const NAMES: [&'static str; 3] = ["fixed", "exponential", "lognormal"];

    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Fixed, Self::Exponential, Self::Lognormal];
        Self::NAMES.into_iter().zip(all).find(|(known, _)| *known == name).map(|(_, distribution)| distribution)
    }

    /// A service time of that mean, from two random numbers of 0 to 1.
    pub fn draw(self, mean: Duration, (first, second): (f64, f64)) -> Duration {
        // Of 1 - u, so that the logarithm is finite: u may be 0.
        let exponential = -(1.0 - first).ln();
        match self {
            Self::Fixed => mean,
            Self::Exponential => mean.mul_f64(exponential),
            Self::Lognormal => {
                let normal = (2.0 * exponential).sqrt() * (std::f64::consts::TAU * second).cos();
                mean.mul_f64((SIGMA * normal - SIGMA * SIGMA / 2.0).exp())
            }
        }
    }
}

/// The state of a processor.
#[derive(Debug)]
pub struct Processor {
    service_time: Duration,
    distribution: Distribution,
    /// What each virtual CPU has to do, in the order of arrival.
    lanes: Vec<VecDeque<Work>>,
    /// The service times of all requests that are done.
    done: Duration,
    /// Of its virtual CPUs: a burstable instance whose credits are gone has its baseline.
    share: f64,
}

/// A request on its virtual CPU.
#[derive(Clone, Copy, Debug)]
struct Work {
    start: Instant,
    end: Instant,
    /// What it takes of the virtual CPU; less than it lasts where a share of that is all there is.
    busy: Duration,
}

impl Work {
    fn busy_until(&self, now: Instant) -> Duration {
        let (lasts, past) = (self.end - self.start, now.saturating_duration_since(self.start));
        if past >= lasts { self.busy } else { self.busy.mul_f64(past.as_secs_f64() / lasts.as_secs_f64()) }
    }
}

impl Processor {
    pub fn new(service_time: Duration, distribution: Distribution, vcpus: u16) -> Self {
        let lanes = vec![VecDeque::new(); vcpus.max(1).into()];
        Self { service_time, distribution, lanes, done: Duration::ZERO, share: 1.0 }
    }

    /// A processor that does one request after the other, so many in a second (above 0).
    pub fn of_rate(rate: f64) -> Self {
        Self::new(Duration::from_secs_f64(1.0 / rate), Distribution::Fixed, 1)
    }

    /// What arrives from now on has this share of the virtual CPUs.
    pub fn allow(&mut self, share: f64) {
        self.share = share.clamp(SHARE_MIN, 1.0);
    }

    /// When a request that arrives now is done, or `None` where the queue is full.
    pub fn admit(&mut self, now: Instant, random: (f64, f64)) -> Option<Instant> {
        let vcpus = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        for lane in &mut self.lanes {
            while let Some(work) = lane.pop_front_if(|work| work.end <= now) {
                self.done += work.busy;
            }
        }
        let free_at = |lane: &VecDeque<Work>| lane.back().map_or(now, |work| work.end);
        let first = self.lanes.iter_mut().min_by_key(|lane| free_at(lane))?;
        let start = free_at(first);
        if start.duration_since(now) > (self.service_time * QUEUE_MAX / vcpus).div_f64(self.share) {
            return None;
        }
        let busy = self.distribution.draw(self.service_time, random);
        let end = start + busy.div_f64(self.share);
        first.push_back(Work { start, end, busy });
        Some(end)
    }

    /// How long its virtual CPUs have been busy in the mean.
    pub fn busy(&self, now: Instant) -> Duration {
        let begun: Duration = self.lanes.iter().flatten().map(|work| work.busy_until(now)).sum();
        (self.done + begun) / u32::try_from(self.lanes.len()).unwrap_or(u32::MAX)
    }
}

/// `delay ± jitter`, never below zero; `random` from 0 to 1.
pub fn jittered(delay: Duration, jitter: Duration, random: f64) -> Duration {
    (delay + jitter.mul_f64(2.0 * random)).saturating_sub(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const RANDOM: (f64, f64) = (0.5, 0.5);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn requests_are_done_one_service_time_apart() {
        let (mut processor, now) = (Processor::of_rate(50.0), clock::instant());
        let done: Vec<Duration> = (0..3).map(|_| processor.admit(now, RANDOM).unwrap() - now).collect();
        assert_eq!(done, [20, 40, 60].map(ms));
    }

    #[test]
    fn two_virtual_cpus_serve_two_requests_at_once() {
        let (mut processor, now) = (Processor::new(ms(20), Distribution::Fixed, 2), clock::instant());
        let done: Vec<Duration> = (0..4).map(|_| processor.admit(now, RANDOM).unwrap() - now).collect();
        assert_eq!(done, [20, 20, 40, 40].map(ms));
    }

    #[test]
    fn an_idle_processor_starts_at_once() {
        let (mut processor, now) = (Processor::of_rate(50.0), clock::instant());
        processor.admit(now, RANDOM);
        let later = now + Duration::from_secs(5);
        assert_eq!(processor.admit(later, RANDOM).unwrap() - later, ms(20));
    }

    #[test]
    fn a_full_queue_refuses_until_there_is_room_again() {
        let (mut processor, now) = (Processor::of_rate(10.0), clock::instant());
        let admitted = (0..1000).filter(|_| processor.admit(now, RANDOM).is_some()).count();
        assert_eq!(admitted, QUEUE_MAX as usize + 1, "one in service, the others wait");
        assert!(processor.admit(now + Duration::from_secs(1), RANDOM).is_some());
    }

    #[test]
    fn it_has_been_busy_for_what_it_has_done_and_not_for_what_waits() {
        let (mut processor, start) = (Processor::new(ms(20), Distribution::Fixed, 2), clock::instant());
        for _ in 0..3 {
            processor.admit(start, RANDOM);
        }
        // Three times 20 ms on two: one of them works from 0 to 40 ms, the other from 0 to 20 ms.
        let busy = [0, 10, 20, 30, 40, 100].map(|at| processor.busy(start + ms(at)));
        assert_eq!(busy, [0, 10, 20, 25, 30, 30].map(ms));
    }

    #[test]
    fn with_a_share_of_it_requests_take_longer_and_it_is_no_busier_than_that() {
        let (mut processor, start) = (Processor::new(ms(20), Distribution::Fixed, 1), clock::instant());
        processor.admit(start, RANDOM);
        processor.allow(0.25);
        let done: Vec<Duration> = (0..2).map(|_| processor.admit(start, RANDOM).unwrap() - start).collect();
        assert_eq!(done, [100, 180].map(ms), "20 ms as before, and then 80 ms each");
        let busy = [20, 60, 100, 180].map(|at| processor.busy(start + ms(at)));
        assert_eq!(busy, [20, 30, 40, 60].map(ms));
        processor.allow(1.0);
        assert_eq!(processor.admit(start + ms(200), RANDOM).unwrap(), start + ms(220));
    }

    #[test]
    fn every_distribution_has_the_mean_that_was_asked_for() {
        fastrand::seed(7);
        for distribution in [Distribution::Fixed, Distribution::Exponential, Distribution::Lognormal] {
            let times = (0..100_000).map(|_| distribution.draw(ms(20), (fastrand::f64(), fastrand::f64())));
            let mean = times.sum::<Duration>().as_secs_f64() * 1000.0 / 100_000.0;
            assert!((19.7..20.3).contains(&mean), "{distribution:?}: {mean} ms");
        }
    }

    #[test]
    fn jitter_goes_both_ways_but_not_below_zero() {
        assert_eq!(jittered(ms(200), ms(20), 0.0), ms(180));
        assert_eq!(jittered(ms(200), ms(20), 1.0), ms(220));
        assert_eq!(jittered(ms(10), ms(20), 0.0), ms(0));
    }
}
