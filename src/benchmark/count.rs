//! What a worker counts while requests fly: intervals since they were last taken, and requests that had to wait.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::grid::Grid;
use super::interval::{Interval, Recorder, Reply, Times};
use crate::clock;

pub struct Counts {
    pub start: Instant,
    recorder: RefCell<Recorder>,
    /// Requests that had to wait because every connection was busy.
    waited: Cell<u64>,
}

impl Counts {
    pub fn new(start: Instant, warm_up: Duration, grid: Grid) -> Self {
        Self { start, recorder: RefCell::new(Recorder::new(warm_up, grid)), waited: Cell::new(0) }
    }

    /// A request that ended now.
    pub fn record(&self, endpoint: u16, phase: u16, due: Option<Instant>, sent: Instant, reply: Reply<'_>) {
        let ended = clock::instant();
        let times = Times { due: due.map(|due| due - self.start), sent: sent - self.start, ended: ended - self.start };
        self.recorder.borrow_mut().record(endpoint, phase, times, reply);
    }

    pub fn count_waiting(&self) {
        self.waited.set(self.waited.get() + 1);
    }

    pub fn waited(&self) -> u64 {
        self.waited.get()
    }

    pub fn take(&self) -> Vec<Interval> {
        self.recorder.borrow_mut().take()
    }
}
