//! The live loop around the world: locks it, turns its crank when a deadline comes, passes signals to the shells.
//!
//! A panic in a model is a mistake in the region's own code: from then on the world may contradict itself. So the first one
//! is the region's end ([`Region::failed`]): whoever serves it says so, keeps the state and stops.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};

use super::signal::{Probe, Signal};
use super::state::{self, Journal, Told};
use super::wire::{Answer, ApiError, Request};
use super::world::World;
use crate::clock;

/// How long an instance that is to end is left alone while a request may be on its way to it.
const LEAVING_MAX: Duration = Duration::from_secs(5);

/// How far the load balancers' data plane has followed the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// It routes as the world of this generation wants, and no request is about to go another way.
    pub generation: u64,
    /// Instances that get no new requests, and have some in flight.
    pub busy: BTreeSet<String>,
}

/// The running region. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Region {
    world: Mutex<Kept>,
    /// Wakes `run` when a deadline may have moved.
    changed: Notify,
    /// Counts changes of the world: the data plane's shells look again when it moves.
    generation: watch::Sender<u64>,
    /// `None` where nobody routes.
    routed: watch::Sender<Option<Routed>>,
    /// What a model panicked with.
    failure: watch::Sender<Option<String>>,
    processes: mpsc::UnboundedSender<Signal>,
    probes: mpsc::UnboundedSender<Probe>,
}

/// The world, and what it was told as far as that is kept.
#[derive(Debug)]
struct Kept {
    world: World,
    journal: Option<Journal>,
}

impl Kept {
    /// Writes down what the world was told. Where that fails nothing is kept from then on: half a story is worse than none.
    fn note(&mut self, told: &Told<'_>, now: Timestamp) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.add(told, now, &self.world) {
            tracing::error!(%error, "the region's state cannot be kept: it is forgotten when the region stops");
            if let Some(journal) = self.journal.take() {
                journal.discard();
            }
        }
    }
}

/// What leaves the world, by the shell that acts on it.
#[derive(Debug)]
pub struct Outward {
    /// `Boot` and `EndProcess`, for EC2's processes.
    pub processes: mpsc::UnboundedReceiver<Signal>,
    /// Health checks, for Elastic Load Balancing's prober.
    pub probes: mpsc::UnboundedReceiver<Probe>,
}

impl Region {
    /// A region around `world`; signals for the shells come out of [`Outward`].
    pub fn new(world: World) -> (Self, Outward) {
        Self::kept(world, None)
    }

    /// As [`Region::new`], of a world that is kept.
    pub fn kept(world: World, journal: Option<Journal>) -> (Self, Outward) {
        let (processes, for_processes) = mpsc::unbounded_channel();
        let (probes, for_prober) = mpsc::unbounded_channel();
        let region = Self {
            world: Mutex::new(Kept { world, journal }),
            changed: Notify::new(),
            generation: watch::Sender::new(0),
            routed: watch::Sender::new(None),
            failure: watch::Sender::new(None),
            processes,
            probes,
        };
        (region, Outward { processes: for_processes, probes: for_prober })
    }

    /// Runs one operation.
    pub fn call(&self, request: &Request) -> Answer {
        if let Some(failure) = &*self.failure.borrow() {
            return Err(internal(failure));
        }
        // The time is read under the lock: two calls at once must not see it run backwards.
        let told = |kept: &mut Kept| {
            let now = clock::now();
            let done = kept.world.call(now, request);
            if state::changes(request) {
                kept.note(&Told::Call(now, Cow::Borrowed(request)), now);
            }
            done
        };
        let (answer, signals) = match self.attempt(told) {
            Ok(done) => done,
            Err(panic) => return Err(internal(&said(&*panic))),
        };
        self.after(signals);
        answer
    }

    /// Takes what a shell says.
    pub fn signal(&self, signal: Signal) {
        let signals = self.tell(|kept| {
            let now = clock::now();
            // A signal is used up by the world, and only what it did not break on is kept.
            let told = kept.journal.is_some().then(|| signal.clone());
            let signals = kept.world.signal(now, signal);
            if let Some(told) = told {
                kept.note(&Told::Signal(now, Cow::Owned(told)), now);
            }
            signals
        });
        self.after(signals);
    }

    /// Lets in a caller who signed for the region `name`, as [`World::admit`].
    ///
    /// # Errors
    /// Where this region is another.
    pub fn admit(&self, name: &str) -> Result<(), ApiError> {
        self.tell(|kept| {
            if kept.world.is_named(name) {
                return Ok(());
            }
            let admitted = kept.world.admit(name);
            kept.note(&Told::Admit(Cow::Borrowed(name)), clock::now());
            admitted
        })
    }

    /// Looks at the world under its lock. For the shells' snapshots; keep it short. What changes the world goes the other
    /// ways: it would be lost for the next process.
    ///
    /// # Panics
    /// When `look` does, which ends the region.
    pub fn read<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        self.tell(|kept| look(&kept.world))
    }

    fn tell<R>(&self, tell: impl FnOnce(&mut Kept) -> R) -> R {
        self.attempt(tell).unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A panic is the region's failure.
    fn attempt<R>(&self, tell: impl FnOnce(&mut Kept) -> R) -> Result<R, Box<dyn Any + Send>> {
        let mut kept = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let result = catch_unwind(AssertUnwindSafe(|| tell(&mut kept)));
        if let Err(panic) = &result {
            self.failure.send_if_modified(|failure| {
                let is_first = failure.is_none();
                failure.get_or_insert_with(|| said(&**panic));
                is_first
            });
        }
        result
    }

    /// Returns when a model has panicked, with what it said.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(message) => message.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Everything that the region knows, as text: what is kept of a region that failed.
    pub fn state(&self) -> String {
        format!("{:?}", self.world.lock().unwrap_or_else(PoisonError::into_inner).world)
    }

    /// Changes when the world may have changed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Takes what the load balancers' data plane routes by now; `None` when it stops.
    pub fn routes(&self, routed: Option<Routed>) {
        self.routed.send_replace(routed);
    }

    /// Returns when no request is on its way to an instance that takes no new ones, or when it has had its time. An
    /// application can finish what it has read, but not what still comes when it has stopped to listen.
    pub async fn until_unrouted(&self, instance: &str) {
        let generation = *self.generation.borrow();
        let is_left = |routed: &Routed| routed.generation >= generation && !routed.busy.contains(instance);
        let mut routed = self.routed.subscribe();
        let left = routed.wait_for(|routed| routed.as_ref().is_none_or(is_left));
        if tokio::time::timeout(LEAVING_MAX, left).await.is_err() {
            tracing::warn!(instance, "it is ended although requests are on their way to it");
        }
    }

    /// Lets time pass in the world, for ever.
    pub async fn run(&self) {
        loop {
            let changed = self.changed.notified();
            match self.read(|world| world.next_deadline()) {
                Some(deadline) => tokio::select! {
                    () = changed => {}
                    () = clock::sleep_until(deadline) => {
                        let signals = self.tell(|kept| {
                            let now = clock::now();
                            let signals = kept.world.advance(now);
                            kept.note(&Told::Advance(now), now);
                            signals
                        });
                        self.after(signals);
                    }
                },
                None => changed.await,
            }
        }
    }

    fn after(&self, signals: Vec<Signal>) {
        // First: who acts on a signal may wait for those who follow the change.
        self.generation.send_modify(|generation| *generation += 1);
        for signal in signals {
            // A receiver is gone only while the region stops.
            let _ = match signal {
                Signal::Probe(probe) => self.probes.send(probe).is_ok(),
                other => self.processes.send(other).is_ok(),
            };
        }
        self.changed.notify_one();
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

/// What callers of a region that failed are told.
fn internal(failure: &str) -> ApiError {
    let message = format!("The embedded region met a mistake in its own code and stops: {failure}");
    ApiError { status: 500, ..ApiError::new("InternalFailure", message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::{Params, Service};

    /// Half a story would be another region: it is forgotten whole, and the region goes on.
    #[test]
    fn on_a_full_disk_calls_are_served_and_the_state_is_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let world = World::new("us-east-1", 1);
        let journal = Journal::on_a_full_disk(home.path(), &world);
        let (region, _outward) = Region::kept(world, Some(journal));
        assert!(state::exists(home.path()));
        let call = |operation: &str, params: &[(&str, &str)]| {
            let params =
                params.iter().map(|(name, text)| ((*name).to_owned(), crate::region::wire::Value::from(*text)));
            let params = Params(params.collect());
            region.call(&Request { service: Service::Ec2, operation: operation.to_owned(), params })
        };
        assert!(call("CreateVpc", &[("CidrBlock", "10.9.0.0/16")]).is_ok());
        assert!(!state::exists(home.path()), "nothing to go on from that lacks the call");
        assert!(call("CreateVpc", &[("CidrBlock", "10.8.0.0/16")]).is_ok());
        assert!(!state::exists(home.path()));
        let there = format!("{:?}", call("DescribeVpcs", &[]));
        assert!(there.contains("10.9.0.0/16") && there.contains("10.8.0.0/16"), "{there}");
    }

    #[tokio::test]
    async fn an_instance_is_left_alone_while_requests_are_on_their_way_to_it() {
        use futures_util::FutureExt as _;
        let (region, _outward) = Region::new(World::new("us-east-1", 1));
        let is_left = |instance: &str| region.until_unrouted(instance).now_or_never().is_some();
        let routed = |generation, busy: &[&str]| {
            let busy = busy.iter().map(|&instance| instance.to_owned()).collect();
            region.routes(Some(Routed { generation, busy }));
        };
        assert!(is_left("i-1"), "nobody routes");
        routed(0, &[]);
        assert!(is_left("i-1"));
        region.after(Vec::new());
        assert!(!is_left("i-1"), "requests go as the world was before");
        routed(1, &["i-1"]);
        assert_eq!((is_left("i-1"), is_left("i-2")), (false, true), "one has requests in flight");
        routed(2, &[]);
        assert!(is_left("i-1"));
        region.after(Vec::new());
        region.after(Vec::new());
        assert!(!is_left("i-1"));
        region.routes(None);
        assert!(is_left("i-1"), "the data plane has stopped");
    }

    #[tokio::test]
    async fn a_panic_in_a_model_ends_the_region_and_keeps_its_state() {
        let (region, _outward) = Region::new(World::new("us-east-1", 1));
        let request =
            Request { service: Service::Ec2, operation: "DescribeVpcs".to_owned(), params: Params::default() };
        assert!(region.call(&request).is_ok());
        let mistake = || region.read(|_| panic!("no such {}", "thing"));
        assert!(catch_unwind(AssertUnwindSafe(mistake)).is_err());
        assert_eq!(region.failed().await, "no such thing");
        let refused = region.call(&request).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (500, "InternalFailure"));
        assert!(refused.message.contains("no such thing"), "{}", refused.message);
        assert!(region.state().contains("vpc-"), "the state is there to be looked at");
    }
}
