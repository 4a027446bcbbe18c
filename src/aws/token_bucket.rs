//! AWS's own throttling algorithm, kept on our side: a bucket of tokens that refills at a steady rate.
//!
//! A call takes its tokens or is told how long to wait before it asks again. Nothing here reads a clock.

use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct TokenBucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    /// When `tokens` was right.
    at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(capacity: u32, per_second: f64) -> Self {
        let capacity = f64::from(capacity);
        Self { capacity, per_second, tokens: capacity, at: None }
    }

    /// How long until `tokens` are there; zero where they are.
    pub fn wait(&mut self, now: Instant, tokens: u32) -> Duration {
        let past = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.tokens = (self.tokens + past.as_secs_f64() * self.per_second).min(self.capacity);
        self.at = Some(now);
        let missing = self.price(tokens) - self.tokens;
        Duration::from_secs_f64((missing / self.per_second).max(0.0))
    }

    /// Takes what [`wait`](Self::wait) said is there.
    pub fn take(&mut self, tokens: u32) {
        self.tokens -= self.price(tokens);
    }

    /// A call that wants more than the bucket holds gets a full one.
    fn price(&self, tokens: u32) -> f64 {
        f64::from(tokens).min(self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `calls` calls goes out, in milliseconds, when all wait as they are told.
    fn times(mut bucket: TokenBucket, calls: u32) -> Vec<u128> {
        let start = crate::clock::instant();
        let mut now = start;
        let mut sent = Vec::new();
        for _ in 0..calls {
            now += bucket.wait(now, 1);
            assert_eq!(bucket.wait(now, 1), Duration::ZERO, "the wait is long enough");
            bucket.take(1);
            sent.push(now.duration_since(start).as_millis());
        }
        sent
    }

    #[test]
    fn a_burst_goes_out_at_once_and_the_rest_at_the_rate() {
        assert_eq!(times(TokenBucket::new(3, 2.0), 6), [0, 0, 0, 500, 1000, 1500]);
    }

    #[test]
    fn an_idle_bucket_fills_up_to_its_capacity_only() {
        let start = crate::clock::instant();
        let mut bucket = TokenBucket::new(2, 1.0);
        for _ in 0..2 {
            bucket.wait(start, 1);
            bucket.take(1);
        }
        let later = start + Duration::from_secs(3600);
        assert_eq!(bucket.wait(later, 2), Duration::ZERO);
        bucket.take(2);
        assert_eq!(bucket.wait(later, 1), Duration::from_secs(1));
    }

    #[test]
    fn a_call_that_wants_more_than_there_ever_is_waits_for_a_full_bucket() {
        let start = crate::clock::instant();
        let mut bucket = TokenBucket::new(10, 5.0);
        assert_eq!(bucket.wait(start, 1000), Duration::ZERO);
        bucket.take(1000);
        assert_eq!(bucket.wait(start, 1000), Duration::from_secs(2));
    }
}
