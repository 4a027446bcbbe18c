//! A simulated clock for one thread: time passes only when everything on the thread sleeps.
//!
//! A test that runs a whole system on one thread (a current-thread runtime, I/O in memory) starts a [`Simulation`]. From
//! then on every time of this thread comes from it, and a sleep ends when nobody has anything else to do: five minutes of
//! patience take a millisecond, and the same seed gives the same run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::Poll;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Turns that everybody else gets before the earliest sleeper moves the clock. A runtime polls whatever is ready once in a
/// turn; no step of the engine takes as many.
const TURNS: u32 = 32;

thread_local! {
    static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

struct Clock {
    started: (Timestamp, Instant),
    passed: Duration,
    /// When each sleeper wakes, with a number that tells two of the same time apart.
    sleepers: BTreeSet<(Duration, u64)>,
    next: u64,
}

/// Lasts until it is dropped.
#[derive(Debug)]
pub struct Simulation {
    /// The clock belongs to the thread.
    _stays: PhantomData<*const ()>,
}

impl Simulation {
    /// The thread's time is `now` from here on.
    pub fn start(now: Timestamp) -> Self {
        let clock =
            Clock { started: (now, Instant::now()), passed: Duration::ZERO, sleepers: BTreeSet::new(), next: 0 };
        CLOCK.with_borrow_mut(|slot| *slot = Some(clock));
        Self { _stays: PhantomData }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        CLOCK.with_borrow_mut(|slot| *slot = None);
    }
}

/// The simulated times, where this thread's clock is simulated.
pub(super) fn times() -> Option<(Timestamp, Instant)> {
    CLOCK
        .with_borrow(|slot| slot.as_ref().map(|clock| (clock.started.0 + clock.passed, clock.started.1 + clock.passed)))
}

/// A place among the sleepers, given up when the sleep ends or is abandoned.
struct Sleeper((Duration, u64));

impl Sleeper {
    fn add(duration: Duration) -> Option<Self> {
        CLOCK.with_borrow_mut(|slot| {
            let clock = slot.as_mut()?;
            clock.next += 1;
            let place = (clock.passed + duration, clock.next);
            clock.sleepers.insert(place);
            Some(Self(place))
        })
    }

    /// Whether it is time; moves the clock where this is the earliest sleeper and everybody else had their `turns`.
    fn wakes(&self, turns: u32) -> bool {
        CLOCK.with_borrow_mut(|slot| {
            let Some(clock) = slot else { return true };
            let is_first = clock.sleepers.first() == Some(&self.0);
            if turns >= TURNS && is_first {
                clock.passed = clock.passed.max(self.0.0);
            }
            clock.passed >= self.0.0
        })
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        CLOCK.with_borrow_mut(|slot| slot.as_mut().map(|clock| clock.sleepers.remove(&self.0)));
    }
}

/// Sleeps by the simulated clock; `false` where this thread has none.
pub(super) async fn sleep(duration: Duration) -> bool {
    // Everything that is Send in a sleep that is not simulated stays so: the sleeper holds two numbers.
    let Some(sleeper) = Sleeper::add(duration) else { return false };
    let mut turns = 0;
    let mut first = None;
    poll_fn(|context| {
        // Whoever moved the clock woke somebody, who has work to do now.
        let earliest = CLOCK.with_borrow(|slot| slot.as_ref().map(|clock| clock.passed));
        turns = if earliest == first { turns + 1 } else { 0 };
        first = earliest;
        if sleeper.wakes(turns) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    true
}

#[cfg(test)]
mod tests {
    use crate::clock;

    use super::*;

    fn run<T>(story: impl Future<Output = T>) -> T {
        let _simulation = Simulation::start(Timestamp::UNIX_EPOCH);
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(story)
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_times() {
        let woken = run(async {
            let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
            for minutes in [3_u64, 1, 2] {
                let sender = sender.clone();
                tokio::spawn(async move {
                    clock::sleep(Duration::from_secs(60 * minutes)).await;
                    sender.send((minutes, clock::now().as_second())).expect("the test listens");
                });
            }
            drop(sender);
            let mut order = Vec::new();
            while let Some(one) = woken.recv().await {
                order.push(one);
            }
            order
        });
        assert_eq!(woken, [(1, 60), (2, 120), (3, 180)]);
    }

    #[test]
    fn an_abandoned_sleep_does_not_hold_the_clock() {
        let passed = run(async {
            let started = clock::instant();
            tokio::select! {
                () = clock::sleep(Duration::from_secs(3600)) => {}
                () = clock::sleep(Duration::from_secs(1)) => {}
            }
            clock::sleep(Duration::from_secs(10)).await;
            clock::instant() - started
        });
        assert_eq!(passed, Duration::from_secs(11));
    }
}
