//! What a running action is given: the clients, what others have made, and the ways to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::Filter;
use tokio_util::sync::CancellationToken;

use super::event::{Event, Sink};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::clock;
use crate::cloud::image::{Images, LiveImage};
use crate::cloud::tags;
use crate::cloud::tags::Tags;
use crate::exit::Exit;
use crate::problem::Problem;
use crate::resource::Output;
use crate::resource::fields::Value;
use crate::stack::model::{Image, Provider};

/// How long a fresh id may be unknown to other calls: AWS is eventually consistent, usually within seconds.
const FRESH_LIMIT: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The embedded region changes in milliseconds, AWS in seconds.
const PAUSE_MAX_LOCAL: Duration = Duration::from_millis(500);
const PAUSE_MAX_AWS: Duration = Duration::from_secs(5);
/// How long a fleet's instance may take to serve before it counts as broken. A process that installs nothing serves in a
/// second or two; an EC2 instance boots for about a minute and then often installs its application.
const BOOT_GRACE_LOCAL: Duration = Duration::from_secs(5);
const BOOT_GRACE_AWS: Duration = Duration::from_secs(300);

/// How long after its launch an instance that does not serve is waited for instead of replaced.
pub fn boot_grace(provider: Provider) -> Duration {
    match provider {
        Provider::Local => BOOT_GRACE_LOCAL,
        Provider::Aws => BOOT_GRACE_AWS,
    }
}

/// One run of the engine over one stack.
#[derive(Clone)]
pub struct Run {
    pub clients: Clients,
    pub stack: String,
    /// The user's own tags.
    pub tags: Tags,
    pub sink: Arc<dyn Sink>,
    /// Set by Ctrl-C: nothing new is started, calls in flight are finished.
    pub cancel: CancellationToken,
    /// What the wanted images are, where a launch template needs one.
    pub images: Images,
    /// When every wait gives up.
    pub deadline: Instant,
    outputs: Arc<Mutex<BTreeMap<String, Output>>>,
}

impl Run {
    pub fn new(clients: Clients, stack: &str, sink: Arc<dyn Sink>, cancel: CancellationToken, limit: Duration) -> Self {
        Self {
            clients,
            stack: stack.to_owned(),
            tags: Tags::new(),
            images: Images::new(),
            sink,
            cancel,
            deadline: clock::instant() + limit,
            outputs: Arc::default(),
        }
    }

    /// Makes a resource known to those that refer to it.
    pub fn publish(&self, address: &str, output: Output) {
        self.outputs.lock().expect("no holder panics").insert(address.to_owned(), output);
    }

    pub fn published(&self, address: &str) -> Option<Output> {
        self.outputs.lock().expect("no holder panics").get(address).cloned()
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
        let pause_max = match self.clients.provider {
            Provider::Local => PAUSE_MAX_LOCAL,
            Provider::Aws => PAUSE_MAX_AWS,
        };
        Backoff { pause: PAUSE_FIRST, pause_max }
    }

    /// Waits until the next poll.
    ///
    /// # Errors
    /// After Ctrl-C.
    pub async fn pause(&self, backoff: &mut Backoff) -> Result<(), Problem> {
        tokio::select! {
            () = self.cancel.cancelled() => Err(interrupted()),
            () = clock::sleep(backoff.next()) => Ok(()),
        }
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
    fn next(&mut self) -> Duration {
        let pause = self.pause.mul_f64(0.8 + 0.4 * fastrand::f64());
        self.pause = self.pause.mul_f64(1.5).min(self.pause_max);
        pause
    }
}

/// The problem that Ctrl-C ends in.
pub fn interrupted() -> Problem {
    Problem::new("Interrupted", "calls in flight were finished; nothing is lost")
        .hint("`cloudscale up` continues where this stopped, `cloudscale down` removes what is there")
        .exit(Exit::Interrupted)
}

/// One action of a run.
#[derive(Clone)]
pub struct Task<'a> {
    pub run: &'a Run,
    pub address: &'a str,
    /// The hash of what is wanted; empty for deletions.
    pub spec: &'a str,
}

impl Task<'_> {
    pub fn clients(&self) -> &Clients {
        &self.run.clients
    }

    /// The tags of what this action makes.
    pub fn tags(&self) -> Tags {
        tags::of(&self.run.stack, self.address, self.spec, &self.run.tags)
    }

    /// What this action has made, among EC2's resources.
    pub fn filters(&self) -> Vec<Filter> {
        let filter = |key: &str, value: &str| Filter::builder().name(format!("tag:{key}")).values(value).build();
        vec![filter(tags::STACK, &self.run.stack), filter(tags::ADDRESS, self.address)]
    }

    /// Writes tags onto resources of EC2 that exist.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn write_ec2_tags(&self, ids: Vec<String>, tags: &Tags) -> Result<(), Problem> {
        let request = self.clients().ec2.create_tags().set_resources(Some(ids)).set_tags(Some(tags::to_ec2(tags)));
        self.fresh("ec2:CreateTags", || request.clone().send()).await.map(drop)
    }

    /// What another resource has become.
    ///
    /// # Errors
    /// Where it is not there: the order of the actions is wrong.
    pub fn output(&self, address: &str) -> Result<Output, Problem> {
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

    /// The image that the stack names.
    ///
    /// # Errors
    /// Where it was not resolved: the plan did not expect a launch template to change.
    pub fn image(&self, image: &Image) -> Result<LiveImage, Problem> {
        let name = image.name();
        self.run.images.get(name).cloned().ok_or_else(|| {
            Problem::new("The image is not known", format!("{} needs {name}", self.address))
                .hint("run `cloudscale up` again")
        })
    }

    /// Tells what is being waited for.
    pub fn waiting(&self, reason: impl Into<String>) {
        self.run.sink.event(Event::ActionWaiting { address: self.address.to_owned(), reason: reason.into() });
    }

    /// A call on something just made, patient while AWS has not heard of it everywhere.
    ///
    /// # Errors
    /// Any other refusal, or none better after [`FRESH_LIMIT`].
    pub async fn fresh<T, E, F, A>(&self, call: &str, attempt: F) -> Result<T, Problem>
    where
        E: CallError,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, E>> + Send,
    {
        self.persist(call, CallError::is_unknown, Some(FRESH_LIMIT), attempt).await
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
        E: CallError,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, E>> + Send,
    {
        self.persist(call, |error: &E| error.is(codes), limit, attempt).await
    }

    async fn persist<T, E, F, A>(
        &self,
        call: &str,
        passes: impl Fn(&E) -> bool + Send,
        limit: Option<Duration>,
        mut attempt: F,
    ) -> Result<T, Problem>
    where
        E: CallError,
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, E>> + Send,
    {
        let deadline = limit.map_or(self.run.deadline, |limit| (clock::instant() + limit).min(self.run.deadline));
        let mut backoff = self.run.backoff();
        loop {
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !passes(&error) || clock::instant() >= deadline {
                return Err(error.problem(call, self.address));
            }
            self.waiting(format!("{} from {call}", error.code().unwrap_or("no answer")));
            self.run.pause(&mut backoff).await?;
        }
    }

    /// Looks for what AWS says is there, patiently: its listings may not have heard of it yet.
    ///
    /// # Errors
    /// What `look` fails with.
    pub async fn appears<T, F, A>(&self, mut look: F) -> Result<Option<T>, Problem>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<Option<T>, Problem>> + Send,
    {
        let deadline = (clock::instant() + FRESH_LIMIT).min(self.run.deadline);
        let mut backoff = self.run.backoff();
        loop {
            let found = look().await?;
            if found.is_some() || clock::instant() >= deadline {
                return Ok(found);
            }
            self.waiting("it is there, and not listed yet");
            self.run.pause(&mut backoff).await?;
        }
    }
}
