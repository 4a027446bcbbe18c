//! How fast the application can work: one request every `1 / rate` seconds, the rest in a queue of bounded length.

use std::time::{Duration, Instant};

/// Requests that may wait; the next one is refused.
pub const QUEUE_MAX: u32 = 100;

/// The time at which the worker is free again is all that has to be known.
#[derive(Debug)]
pub struct Pace {
    service_time: Duration,
    free_at: Option<Instant>,
}

impl Pace {
    /// `rate` in requests per second, above 0.
    pub fn new(rate: f64) -> Self {
        Self { service_time: Duration::from_secs_f64(1.0 / rate), free_at: None }
    }

    /// When a request that arrives now is done, or `None` where the queue is full.
    pub fn admit(&mut self, now: Instant) -> Option<Instant> {
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        if start.duration_since(now) > self.service_time * QUEUE_MAX {
            return None;
        }
        let done = start + self.service_time;
        self.free_at = Some(done);
        Some(done)
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

    #[test]
    fn requests_are_done_one_service_time_apart() {
        let (mut pace, now) = (Pace::new(50.0), clock::instant());
        let done: Vec<Duration> = (0..3).map(|_| pace.admit(now).unwrap() - now).collect();
        assert_eq!(done, [20, 40, 60].map(Duration::from_millis));
    }

    #[test]
    fn an_idle_worker_starts_at_once() {
        let (mut pace, now) = (Pace::new(50.0), clock::instant());
        pace.admit(now);
        let later = now + Duration::from_secs(5);
        assert_eq!(pace.admit(later).unwrap() - later, Duration::from_millis(20));
    }

    #[test]
    fn a_full_queue_refuses_until_there_is_room_again() {
        let (mut pace, now) = (Pace::new(10.0), clock::instant());
        let admitted = (0..1000).filter(|_| pace.admit(now).is_some()).count();
        assert_eq!(admitted, QUEUE_MAX as usize + 1, "one in service, the others wait");
        assert!(pace.admit(now + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn jitter_goes_both_ways_but_not_below_zero() {
        let ms = Duration::from_millis;
        assert_eq!(jittered(ms(200), ms(20), 0.0), ms(180));
        assert_eq!(jittered(ms(200), ms(20), 1.0), ms(220));
        assert_eq!(jittered(ms(10), ms(20), 0.0), ms(0));
    }
}
