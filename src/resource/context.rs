//! What a running action is given: the clients, what others have made, and the ways to wait.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::event::{Event, Sink};
use super::provider::Provider;
use super::{Output, Prepared};
use crate::aws::clients::Clients;
use crate::aws::error::{self, CallError};
use crate::clock;
use crate::cloud::address::Address;
use crate::cloud::tags::{self, Tags};
use crate::exit::Exit;
use crate::problem::Problem;
use crate::resource::fields::Value;

/// How long a fresh id may be unknown to other calls: AWS is eventually consistent, usually within seconds.
const FRESH_LIMIT: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// One run of the engine over one stack.
#[derive(Clone)]
pub struct Operation {
    pub provider: Arc<dyn Provider>,
    pub stack: String,
    /// The user's own tags.
    pub tags: Tags,
    pub sink: Arc<dyn Sink>,
    /// Set by Ctrl-C: nothing new is started, calls in flight are finished.
    pub cancel: CancellationToken,
    /// What actions need to know and no resource reports.
    pub prepared: Vec<Prepared>,
    /// When every wait gives up.
    pub deadline: Instant,
    outputs: Arc<Mutex<BTreeMap<Address, Output>>>,
    /// Notes that were reported.
    noted: Arc<Mutex<BTreeSet<String>>>,
}

impl Operation {
    pub fn new(
        provider: impl Into<Arc<dyn Provider>>,
        stack: &str,
        sink: Arc<dyn Sink>,
        cancel: CancellationToken,
        limit: Duration,
    ) -> Self {
        Self {
            provider: provider.into(),
            stack: stack.to_owned(),
            tags: Tags::new(),
            prepared: Vec::new(),
            sink,
            cancel,
            deadline: clock::instant() + limit,
            outputs: Arc::default(),
            noted: Arc::default(),
        }
    }

    /// What resource types act through.
    ///
    /// # Panics
    /// Where the provider has another connection: a type acts only through the provider that lists it.
    pub fn connection<C: Any>(&self) -> &C {
        self.provider.connection().downcast_ref().expect("a type acts through its own provider")
    }

    /// AWS's clients, for what is no resource type's.
    ///
    /// # Errors
    /// Where the provider has another connection.
    pub fn clients(&self) -> Result<&Clients, Problem> {
        self.provider.connection().downcast_ref().ok_or_else(|| {
            let detail = format!("the provider `{}` has no AWS clients, and this needs them", self.provider.name());
            Problem::usage("Not supported", detail)
                .hint("`cloudscale --help` lists the commands; another --provider may be able to")
        })
    }

    /// What a type has prepared before anything was changed.
    pub fn prepared<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.prepared.iter().find_map(|prepared| prepared.downcast_ref())
    }

    /// Makes a resource known to those that refer to it.
    pub fn publish(&self, address: &Address, output: Output) {
        self.outputs.lock().expect("no holder panics").insert(address.clone(), output);
    }

    pub fn published(&self, address: &Address) -> Option<Output> {
        self.outputs.lock().expect("no holder panics").get(address).cloned()
    }

    /// Reports something once, however often it is found.
    pub fn note_once<'a>(&self, texts: impl IntoIterator<Item = &'a String>) {
        let mut noted = self.noted.lock().expect("no holder panics");
        for text in texts.into_iter().filter(|text| noted.insert((*text).clone())) {
            self.sink.event(Event::Note { text: text.clone() });
        }
    }

    /// Ends a wait when the user has had enough of it.
    ///
    /// # Errors
    /// After Ctrl-C.
    pub fn check_interrupt(&self) -> Result<(), Problem> {
        if self.cancel.is_cancelled() { Err(interrupted()) } else { Ok(()) }
    }

    /// For work that only reads: Ctrl-C ends it at once.
    ///
    /// # Errors
    /// After Ctrl-C, and what `work` fails with.
    pub async fn unless_interrupted<T, E: From<Problem>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            () = self.cancel.cancelled() => Err(interrupted().into()),
            outcome = work => outcome,
        }
    }

    pub fn backoff(&self) -> Backoff {
        Backoff::up_to(self.provider.timing().poll_max)
    }

    /// Waits until the next poll.
    async fn pause(&self, backoff: &mut Backoff) -> Result<(), Problem> {
        tokio::select! {
            () = self.cancel.cancelled() => Err(interrupted()),
            () = clock::sleep(backoff.next()) => Ok(()),
        }
    }

    /// As [`ActionContext::poll`], for waits that are no action's: `what` is waited for.
    ///
    /// # Errors
    /// As there.
    pub async fn poll<T, F, A>(
        &self,
        what: &str,
        ask: F,
        late: impl FnOnce(String) -> Problem + Send,
    ) -> Result<T, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Poll<T>, Problem>> + Send,
        T: Send,
    {
        self.wait(what, ask).await?.map_err(late)
    }

    /// The same for a wait whose end needs more calls: answers with the last reason where time is up.
    ///
    /// # Errors
    /// What `ask` fails with; Ctrl-C.
    pub async fn wait<T, F, A>(&self, what: &str, ask: F) -> Result<Result<T, String>, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Poll<T>, Problem>> + Send,
        T: Send,
    {
        self.wait_until(Some(self.deadline), &mut self.backoff(), self.report_waiting(what), ask).await
    }

    /// Reports what a wait waits for, that is no action's.
    pub fn report_waiting(&self, what: &str) -> impl Fn(String) + Send + use<'_> {
        let what = what.to_owned();
        move |reason| self.sink.event(Event::Waiting { what: what.clone(), reason })
    }

    /// The wait that all others are made of: asks, reports why it goes on, pauses. `None` leaves it to `ask` to give
    /// up.
    ///
    /// # Errors
    /// What `ask` fails with; Ctrl-C.
    pub async fn wait_until<T, F, A>(
        &self,
        deadline: Option<Instant>,
        backoff: &mut Backoff,
        tell: impl Fn(String) + Send,
        mut ask: F,
    ) -> Result<Result<T, String>, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Poll<T>, Problem>> + Send,
        T: Send,
    {
        loop {
            let reason = match ask().await? {
                Poll::Ready(found) => return Ok(Ok(found)),
                Poll::Pending(reason) => reason,
            };
            if deadline.is_some_and(|deadline| clock::instant() >= deadline) {
                return Ok(Err(reason));
            }
            tell(reason);
            self.pause(backoff).await?;
        }
    }

    /// Whether AWS says that it does not know what a call names: of something just made, that it has not heard of it
    /// everywhere. The types say by which codes.
    pub fn is_unknown(&self, error: &impl CallError) -> bool {
        let listings = || self.provider.types().iter().flat_map(|of| of.listings());
        error.says_unknown() || listings().any(|listing| error.is(listing.not_found()))
    }

    pub fn is_late(&self) -> bool {
        clock::instant() >= self.deadline
    }
}

/// Growing pauses between polls, with jitter so that many waits do not poll in step.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pause: Duration,
    pause_max: Duration,
}

impl Backoff {
    fn up_to(pause_max: Duration) -> Self {
        Self { pause: PAUSE_FIRST.min(pause_max), pause_max }
    }

    fn next(&mut self) -> Duration {
        let pause = self.pause.mul_f64(0.8 + 0.4 * fastrand::f64());
        self.pause = self.pause.mul_f64(1.5).min(self.pause_max);
        pause
    }
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll<T> {
    Ready(T),
    /// Not yet, and what is being waited for.
    Pending(String),
}

/// The problem that Ctrl-C ends in.
pub fn interrupted() -> Problem {
    Problem::new("Interrupted", "calls in flight were finished; nothing is lost")
        .hint("an interrupted change: `cloudscale up` continues it, `cloudscale down` removes what is there")
        .exit(Exit::Interrupted)
}

/// One action of a run.
#[derive(Clone)]
pub struct ActionContext<'a> {
    pub run: &'a Operation,
    pub address: &'a Address,
    /// The hash of what is desired; empty for deletions.
    pub spec: &'a str,
    /// Keys of tags that the stack no longer has.
    pub tags_to_drop: &'a [String],
}

impl ActionContext<'_> {
    /// The tags of what this action makes.
    pub fn tags(&self) -> Tags {
        tags::of(&self.run.stack, self.address, self.spec, &self.run.tags)
    }

    /// What another resource has become.
    ///
    /// # Errors
    /// Where it is not there: the order of the actions is wrong.
    pub fn output(&self, address: &Address) -> Result<Output, Problem> {
        self.run.published(address).ok_or_else(|| {
            Problem::new("A resource is missing", format!("{} needs {address}, which is not there", self.address))
                .hint("run `cloudscale up` again; if it stays, please report it")
        })
    }

    /// The ids that a value stands for, in the order of the value.
    ///
    /// # Errors
    /// Where a resource that it refers to is not there.
    pub fn resolve_all(&self, value: &Value) -> Result<Vec<String>, Problem> {
        match value {
            Value::Text(id) => Ok(vec![id.clone()]),
            Value::Sensitive(text) => Ok(vec![text.expose().to_owned()]),
            Value::Ref(address) | Value::Replaced(address) => Ok(vec![self.output(address)?.id]),
            Value::Set(values) => {
                Ok(values.iter().map(|value| self.resolve_all(value)).collect::<Result<Vec<_>, _>>()?.concat())
            }
        }
    }

    /// The one id that a value stands for.
    ///
    /// # Errors
    /// Where the resource that it refers to is not there.
    pub fn resolve(&self, value: &Value) -> Result<String, Problem> {
        Ok(self.resolve_all(value)?.join(","))
    }

    /// Reports what is being waited for.
    pub fn waiting(&self, reason: impl Into<String>) {
        self.run.sink.event(Event::ActionWaiting { address: self.address.clone(), reason: reason.into() });
    }

    /// Asks again and again, with growing pauses, until what is waited for is there.
    ///
    /// # Errors
    /// What `ask` fails with; Ctrl-C; `late`, given the last reason, when the run's time is up.
    pub async fn poll<T, F, A>(&self, ask: F, late: impl FnOnce(String) -> Problem + Send) -> Result<T, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Poll<T>, Problem>> + Send,
        T: Send,
    {
        self.wait(ask).await?.map_err(late)
    }

    /// As [`Operation::wait`].
    ///
    /// # Errors
    /// What `ask` fails with; Ctrl-C.
    pub async fn wait<T, F, A>(&self, ask: F) -> Result<Result<T, String>, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Poll<T>, Problem>> + Send,
        T: Send,
    {
        self.until(self.run.deadline, ask).await
    }

    /// A call on something just made, patient while AWS has not heard of it everywhere.
    ///
    /// # Errors
    /// Any other refusal, or none better after [`FRESH_LIMIT`].
    pub async fn fresh<T, E, F, A>(&self, call: &str, attempt: F) -> Result<T, Problem>
    where
        T: Send,
        E: CallError,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, E>> + Send,
    {
        self.persist(call, |error: &E| self.run.is_unknown(error), Some(FRESH_LIMIT), attempt).await
    }

    /// Repeats a call while it is refused with one of `codes`, until `limit` or the run's deadline.
    ///
    /// # Errors
    /// Any other refusal; the last refusal when time is up.
    pub async fn patient<T, E, F, A>(
        &self,
        call: &str,
        codes: &[&str],
        limit: Option<Duration>,
        attempt: F,
    ) -> Result<T, Problem>
    where
        T: Send,
        E: CallError,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, E>> + Send,
    {
        self.persist(call, |error: &E| error.is(codes), limit, attempt).await
    }

    async fn persist<T, E, F, A>(
        &self,
        call: &str,
        passes: impl Fn(&E) -> bool + Send + Sync,
        limit: Option<Duration>,
        mut attempt: F,
    ) -> Result<T, Problem>
    where
        T: Send,
        E: CallError,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, E>> + Send,
    {
        let refusal = |error: &E| {
            let problem = error.problem(call, self.address);
            if self.run.is_unknown(error) { error::unknown(problem) } else { problem }
        };
        let last = Mutex::new(None);
        let ask = || {
            let attempt = attempt();
            let (passes, refusal, last) = (&passes, &refusal, &last);
            async move {
                let error = match attempt.await {
                    Ok(answer) => return Ok(Poll::Ready(answer)),
                    Err(error) if passes(&error) => error,
                    Err(error) => return Err(refusal(&error)),
                };
                *last.lock().expect("no holder panics") = Some(refusal(&error));
                Ok(Poll::Pending(format!("{} from {call}", error.code().unwrap_or("no answer"))))
            }
        };
        let outcome = self.until(self.until_limit(limit), ask).await?;
        outcome.map_err(|reason| {
            let last = last.into_inner().expect("no holder panics");
            last.unwrap_or_else(|| Problem::new("AWS refused a call", format!("{call} for {}: {reason}", self.address)))
        })
    }

    /// Looks for what AWS says is there, patiently: its listings may not have heard of it yet.
    ///
    /// # Errors
    /// What `look` fails with.
    pub async fn appears<T, F, A>(&self, mut look: F) -> Result<Option<T>, Problem>
    where
        T: Send,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Option<T>, Problem>> + Send,
    {
        let ask = || {
            let look = look();
            async move {
                let found = look.await?;
                Ok(found.map_or_else(|| Poll::Pending("it exists, and is not listed yet".to_owned()), Poll::Ready))
            }
        };
        Ok(self.until(self.until_limit(Some(FRESH_LIMIT)), ask).await?.ok())
    }

    /// When a wait of at most `limit` gives up: never later than the run.
    fn until_limit(&self, limit: Option<Duration>) -> Instant {
        limit.map_or(self.run.deadline, |limit| (clock::instant() + limit).min(self.run.deadline))
    }

    async fn until<T, F, A>(&self, deadline: Instant, ask: F) -> Result<Result<T, String>, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Poll<T>, Problem>> + Send,
        T: Send,
    {
        self.run.wait_until(Some(deadline), &mut self.run.backoff(), |reason| self.waiting(reason), ask).await
    }
}
