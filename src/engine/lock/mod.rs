//! The lock of a stack: two runs never change it at the same time.
//!
//! It is a launch template of a fixed name: AWS creates only one of a name, it costs nothing, launches nothing, and
//! needs no permission that a stack does not need anyway. Its tags, from the call that creates it, report who holds it.
//! It is a lease in the cloud's own time: a run renews it while it works, and one that is not renewed may be taken
//! over. Whoever takes it over deletes the old one by its id, which works once, and creates a new one, which one of
//! several manages.
//!
//! A run that died on this machine is known to be dead by its process, so the next run need not wait for the lease to
//! end.

pub mod process;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::clock;
use crate::cloud::lease::{Holder, Lease, State, length, renew_after};
use crate::problem::{Problem, Problems};
use crate::resource::context::{Operation, Poll};
use crate::resource::event::Event;

/// How often a lock that exists may be missing from the listing: AWS is eventually consistent.
const UNSEEN_MAX: u32 = 20;
/// How long a new lock may be unknown to calls and missing from the listing, for the same reason.
const NEW: Duration = Duration::from_secs(5);
const KNOWN_PAUSE: Duration = Duration::from_millis(200);
/// What events about the lock are called.
const WHAT: &str = "lock";

/// The lock of a stack, held. Dropped without [`Lock::during`], it ends with its lease.
pub struct Lock {
    id: String,
    /// Nobody else held the lock when this run asked for it.
    pub undisturbed: bool,
    /// The run, whose work ends after Ctrl-C and when the lock is lost.
    pub run: Operation,
    lost: Arc<OnceLock<Problem>>,
    renewal: JoinHandle<()>,
    /// When AWS knows it everywhere.
    known: Instant,
}

/// Takes the lock; where another run holds it, waits for it as long as `patience`.
///
/// # Errors
/// The run that holds it, when patience is over; a call that fails.
pub async fn acquire(run: &Operation, command: &str, patience: Duration) -> Result<Lock, Problem> {
    let holder = process::holder(command);
    let deadline = clock::instant() + patience;
    let (disturbed, unseen) = (AtomicBool::new(false), AtomicU32::new(0));
    let ask = || async {
        let leases = run.provider.leases();
        loop {
            run.check_interrupt()?;
            if let Some(id) = leases.create(&run.stack, &run.tags, &holder).await? {
                return Ok(Poll::Ready(id));
            }
            let (lease, now) = leases.find(&run.stack).await?;
            let Some(lease) = lease else {
                // Let go of between the two calls, or not listed yet.
                if unseen.fetch_add(1, Ordering::Relaxed) >= UNSEEN_MAX {
                    return Err(leases.unlisted(&run.stack));
                }
                disturbed.store(true, Ordering::Relaxed);
                return Ok(Poll::Pending("it is about to be free, or not listed yet".to_owned()));
            };
            // Made by a call whose answer was lost, and as good as new.
            if lease.holder == holder && now < lease.since + renew_after() {
                return Ok(Poll::Ready(lease.id));
            }
            disturbed.store(true, Ordering::Relaxed);
            match lease.state(now, process::is_gone(&lease.holder.process)) {
                State::Held if clock::instant() >= deadline => return Err(lease.problem(now)),
                State::Held => return Ok(Poll::Pending(lease.sentence(now))),
                stale => {
                    leases.delete(&run.stack, &lease.id).await?;
                    run.sink.event(Event::Note { text: cleared(&lease, stale) });
                }
            }
        }
    };
    // Patience is for a run that holds it; how often a listing may miss it is counted.
    let id = run.wait_until(None, &mut run.backoff(), run.report_waiting(WHAT), ask).await?;
    let id = id.map_err(|reason| Problem::new("The stack is locked", format!("{}: {reason}", run.stack)))?;
    Ok(Lock::start(run, id, !disturbed.load(Ordering::Relaxed)))
}

fn cleared(lease: &Lease, stale: State) -> String {
    let why = match stale {
        State::Abandoned => "its process is gone",
        State::Expired | State::Held => "its lease was not renewed in time",
    };
    let Holder { who, command, process } = &lease.holder;
    format!("Cleared the lock of {who} (process {}, `cloudscale {command}`, since {}): {why}", process.pid, lease.since)
}

impl Lock {
    fn start(run: &Operation, id: String, undisturbed: bool) -> Self {
        let mut run = run.clone();
        run.cancel = run.cancel.child_token();
        let lost = Arc::<OnceLock<Problem>>::default();
        let known = clock::instant() + NEW;
        let watch = Watch { run: run.clone(), id: id.clone(), renewed: clock::now(), lost: Arc::clone(&lost), known };
        let renewal = tokio::spawn(watch.go());
        Self { id, undisturbed, run, lost, renewal, known }
    }

    /// Does work and lets go of the lock, whatever comes of the work.
    ///
    /// # Errors
    /// Those of the work; the loss of the lock in the middle of it.
    pub async fn during<T>(&self, work: impl Future<Output = Result<T, Problems>>) -> Result<T, Problems> {
        let outcome = work.await;
        self.renewal.abort();
        if let Some(lost) = self.lost.get() {
            return outcome.map_err(|_| lost.clone().into());
        }
        if let Err(problem) = self.release().await {
            // The work counts; the next run of this machine finds that this process is gone, others that the lease
            // ended.
            self.run.sink.event(Event::Note { text: format!("The lock stays until its lease ends: {problem}") });
        }
        // Whoever pressed Ctrl-C in the last moment is answered all the same.
        outcome.and_then(|value| self.run.check_interrupt().map(|()| value).map_err(Into::into))
    }

    /// Deletes it, also where AWS has not heard of it everywhere yet, and after Ctrl-C, which ends other waits.
    async fn release(&self) -> Result<(), Problem> {
        let leases = self.run.provider.leases();
        while !leases.delete(&self.run.stack, &self.id).await? && clock::instant() < self.known {
            clock::sleep(KNOWN_PAUSE).await;
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Keeps a lease alive while its run works, and notices when it is gone.
struct Watch {
    run: Operation,
    id: String,
    /// By this machine's clock, which counts the time that a laptop sleeps.
    renewed: Timestamp,
    lost: Arc<OnceLock<Problem>>,
    /// When AWS lists it.
    known: Instant,
}

impl Watch {
    async fn go(mut self) {
        let pause = self.run.provider.timing().lease_check;
        let (mut listed, mut missed) = (false, 0);
        let lost = loop {
            clock::sleep(pause).await;
            let asked = clock::now();
            match self.run.provider.leases().find(&self.run.stack).await {
                Ok((Some(lease), now)) if lease.id == self.id && now < lease.expires => {
                    (listed, missed) = (true, 0);
                    self.renew(asked, now).await;
                }
                Ok((Some(lease), _)) if lease.id == self.id => {
                    break format!("it could not be renewed, and ended at {}", lease.expires);
                }
                Ok((Some(other), now)) => break other.sentence(now),
                Ok((None, _)) if !listed && clock::instant() < self.known => {}
                // One listing may be an old one.
                Ok((None, _)) if missed == 0 => missed += 1,
                Ok((None, _)) => break "it was released by somebody else".to_owned(),
                Err(problem) if asked >= self.renewed + length() => {
                    break format!("it could not be renewed: {problem}");
                }
                // The next look may go better; the lease lives on for a while.
                Err(_) => {}
            }
        };
        let problem = Problem::new("The lock was lost", format!("of {}: {lost}", self.run.stack)).hint(
            "nothing new was started, and calls in flight were finished; when nobody else changes the stack any more, \
             run the command again: it continues",
        );
        // The cell is empty: only this task fills it.
        let _ = self.lost.set(problem);
        self.run.cancel.cancel();
    }

    async fn renew(&mut self, asked: Timestamp, now: Timestamp) {
        if asked < self.renewed + renew_after() {
            return;
        }
        match self.run.provider.leases().renew(&self.run.stack, &self.id, now).await {
            Ok(()) => self.renewed = asked,
            Err(problem) => {
                let text = format!("The lock could not be renewed yet: {problem}");
                self.run.sink.event(Event::Note { text });
            }
        }
    }
}
