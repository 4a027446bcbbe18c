//! The connections of an open load: what is due goes to an idle one at once, else to a new one.
//!
//! The connection used last is used next, so a pool grows only as far as answers overlap. Beyond its bound requests
//! wait in the order in which they were due, and their response time goes on counting. Once the pool has grown, handing
//! over a request allocates nothing.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::client::Client;
use super::count::Counts;
use super::http2::Connections;
use super::plan::TargetPlan;
use crate::clock;

/// A request that is due.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub due: Instant,
    /// Which of the target's requests.
    pub request: u32,
    /// Whose turn it is among the rows of the scenario's data.
    pub turn: usize,
    pub phase: u16,
}

pub struct Pool<'a> {
    counts: &'a Counts,
    target: &'a TargetPlan,
    connections_max: usize,
    /// Those that are shared, in HTTP/2.
    shared: &'a Connections,
    connections: Cell<usize>,
    idle: RefCell<Vec<Rc<Slot>>>,
    waiting: RefCell<VecDeque<Job>>,
    /// First requests of connections that are to be opened.
    joining: RefCell<Vec<Job>>,
    changed: Notify,
    closed: Cell<bool>,
}

/// Where an idle connection finds its next request.
#[derive(Default)]
struct Slot {
    job: Cell<Option<Job>>,
    waker: Cell<Option<Waker>>,
}

impl<'a> Pool<'a> {
    pub fn new(counts: &'a Counts, target: &'a TargetPlan, connections_max: usize, shared: &'a Connections) -> Self {
        Self {
            counts,
            target,
            connections_max: connections_max.max(1),
            shared,
            connections: Cell::new(0),
            idle: RefCell::default(),
            waiting: RefCell::default(),
            joining: RefCell::default(),
            changed: Notify::new(),
            closed: Cell::new(false),
        }
    }

    pub fn send(&self, job: Job) {
        if let Some(slot) = self.idle.borrow_mut().pop() {
            slot.job.set(Some(job));
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        } else if self.connections.get() < self.connections_max {
            self.connections.set(self.connections.get() + 1);
            self.joining.borrow_mut().push(job);
            self.changed.notify_one();
        } else {
            self.counts.count_waiting();
            self.waiting.borrow_mut().push_back(job);
        }
    }

    /// Nothing more will be due: idle connections end, the others when they have answered.
    pub fn close(&self) {
        self.closed.set(true);
        for slot in self.idle.borrow_mut().drain(..) {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
        self.changed.notify_one();
    }

    /// Runs the connections until the pool is closed and everything sent is answered.
    pub async fn serve(&self) {
        let mut connections = FuturesUnordered::new();
        loop {
            for job in self.joining.borrow_mut().drain(..) {
                connections.push(self.connection(job, connections.len()));
            }
            if self.closed.get() && connections.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                _ = connections.next(), if !connections.is_empty() => {}
            }
        }
    }

    async fn connection(&self, first: Job, turn: usize) {
        let mut client = Client::of(self.target, turn, self.shared);
        let slot = Rc::new(Slot::default());
        let mut next = Some(first);
        while let Some(job) = next {
            let sent = clock::instant();
            let request = &self.target.requests[job.request as usize];
            let reply = client.send(request, self.target.row(job.turn), sent).await;
            self.counts.record(self.target.endpoint(job.request), job.phase, Some(job.due), sent, reply);
            let waiting = self.waiting.borrow_mut().pop_front();
            next = match waiting {
                Some(job) => Some(job),
                None => self.next(&slot).await,
            };
        }
    }

    async fn next(&self, slot: &Rc<Slot>) -> Option<Job> {
        if self.closed.get() {
            return None;
        }
        self.idle.borrow_mut().push(slot.clone());
        poll_fn(|context| match slot.job.take() {
            Some(job) => Poll::Ready(Some(job)),
            None if self.closed.get() => Poll::Ready(None),
            None => {
                slot.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}
