//! The boundary to a cloud: what the engine asks of a provider, and everything in which providers differ.
//!
//! A provider has a connection, resource types that act through it, and a snapshot of what is observed. AWS and the
//! embedded region are one provider that differs in its endpoint and its [`Timing`]; a cloud with another API brings
//! types and collections of its own.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

use super::change::Change;
use super::context::Operation;
use super::erased::ErasedResource;
use super::outlook::Outlook;
use super::status::Status;
use crate::cloud::activities::Activity;
use crate::cloud::address::Address;
use crate::cloud::alarms::Changed;
use crate::cloud::lease::{Holder, Lease};
use crate::cloud::refreshes::Refresh;
use crate::cloud::signals::Signal;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::tags::Tags;
use crate::problem::{Problem, Problems};
use crate::stack::model::Stack;

/// What a provider answers later.
pub type Answer<'a, T, E = Problem> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The longest pause between two polls.
    pub poll_max: Duration,
    /// How long after its launch an instance that does not serve is waited for instead of replaced.
    pub boot_grace: Duration,
    /// How long a listing may miss what was just made.
    pub listing_lag: Duration,
    /// How soon a run notices that its lock was taken away.
    pub lease_check: Duration,
    /// How often a stack that somebody watches is looked at, in wall time.
    pub look: Duration,
    /// How often it is looked at while it is loaded, in wall time.
    pub look_loaded: Duration,
    /// How often its metrics are asked for, in wall time: they may cost money.
    pub metrics: Duration,
    /// How long metrics of a load may come after its end.
    pub metrics_timeout: Duration,
    /// The shortest and the longest pause between two questions for them.
    pub metrics_poll: (Duration, Duration),
}

/// How far `up` waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until every target is healthy and every route answers.
    All,
    /// Until every target is healthy: for endpoints that route no requests.
    Targets,
    /// Not at all.
    None,
}

/// What is to be adopted, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existing {
    /// An Auto Scaling group, by its name.
    Group(String),
    /// A target group, by its name or ARN.
    TargetGroup(String),
}

/// What an expiry was written on, and what the provider does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub at: Timestamp,
    /// Groups that are taken to zero.
    pub groups: usize,
    /// Instances that run on.
    pub instances: usize,
}

/// A cloud that stacks can live in.
pub trait Provider: Send + Sync + 'static {
    /// `aws`, `local`
    fn name(&self) -> &'static str;

    /// Every resource type; what others refer to comes before them.
    fn types(&self) -> &'static [&'static dyn ErasedResource];

    /// What its resource types act through.
    fn connection(&self) -> &(dyn Any + Send + Sync);

    fn timing(&self) -> Timing;

    /// Whether what runs there is paid for: then nothing is made or deleted without asking.
    fn costs_money(&self) -> bool {
        true
    }

    /// Whether the processes of its instances can be made to hang, or to be slow.
    fn can_disturb(&self) -> bool {
        false
    }

    /// The command that prints the console of `INSTANCE`.
    fn console_command(&self) -> Option<&'static str> {
        None
    }

    /// Lists everything that carries the stack's tag; `declared` is the stack file, where it is known.
    fn snapshot<'a>(&'a self, stack: &'a str, declared: Option<&'a Stack>, depth: Depth) -> Answer<'a, Snapshot>;

    /// Asks what only further calls report what has joined a snapshot.
    fn complete<'a>(&'a self, cloud: &'a mut Snapshot, _declared: &'a Stack) -> Answer<'a, ()> {
        let _ = cloud;
        Box::pin(async { Ok(()) })
    }

    fn status(&self, stack: &Stack, cloud: &Snapshot) -> Status;

    /// What a plan comes to for each cluster, and what it costs; `declared` is `None` where the stack is removed.
    fn outlook(&self, _declared: Option<&Stack>, _cloud: &Snapshot, changes: &[Change]) -> Outlook {
        Outlook::of(changes)
    }

    /// Waits until the stack serves; answers with how it looks then.
    fn until_ready<'a>(
        &'a self,
        operation: &'a Operation,
        stack: &'a Stack,
        wait: Wait,
    ) -> Answer<'a, Status, Problems>;

    /// Whether the stack was stopped and not started again.
    fn is_stopped(&self, _cloud: &Snapshot) -> bool {
        false
    }

    fn stop<'a>(&'a self, operation: &'a Operation) -> Answer<'a, (), Problems> {
        Box::pin(async move { Err(unsupported(operation, "stop a stack").into()) })
    }

    fn start<'a>(&'a self, operation: &'a Operation) -> Answer<'a, (), Problems> {
        Box::pin(async move { Err(unsupported(operation, "start a stack").into()) })
    }

    /// Sets the desired capacity of a group.
    fn scale<'a>(&'a self, operation: &'a Operation, _group: &'a str, _instances: u32) -> Answer<'a, ()> {
        Box::pin(async move { Err(unsupported(operation, "scale a group")) })
    }

    /// When the stack is to be gone.
    fn expiry(&self, _cloud: &Snapshot) -> Option<Timestamp> {
        None
    }

    /// Notes when everything is to be gone, and lets the provider end what it can.
    fn expire<'a>(&'a self, operation: &'a Operation, _at: Timestamp) -> Answer<'a, Expiry> {
        Box::pin(async move { Err(unsupported(operation, "let a stack expire")) })
    }

    /// Notes an expiry on what was made since it was set, too.
    fn keep_expiry<'a>(&'a self, _operation: &'a Operation, _at: Timestamp) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Finds what is to be adopted for a cluster.
    fn find_existing<'a>(
        &'a self,
        operation: &'a Operation,
        _stack: &'a Stack,
        _cluster: &'a str,
        _existing: &'a [Existing],
    ) -> Answer<'a, Vec<Box<dyn Adoptee>>> {
        Box::pin(async move { Err(unsupported(operation, "adopt what exists")) })
    }

    /// The last so many things that the stack's groups did, oldest first.
    fn activities<'a>(&'a self, _stack: &'a str, _last: u8) -> Answer<'a, Vec<Activity>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// How the alarms of the stack's groups changed since a time, oldest first.
    fn alarm_changes<'a>(&'a self, _stack: &'a str, _since: Timestamp) -> Answer<'a, Vec<Changed>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What the policies of the stack's groups followed between two times.
    fn signals<'a>(&'a self, _stack: &'a str, _window: (Timestamp, Timestamp)) -> Answer<'a, Vec<Signal>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The latest instance refreshes of the stack's groups.
    fn refreshes<'a>(&'a self, _stack: &'a str) -> Answer<'a, Vec<Refresh>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn leases(&self) -> &dyn Leases;
}

impl fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn unsupported(operation: &Operation, what: &str) -> Problem {
    let name = operation.provider.name();
    Problem::usage("Not supported", format!("the provider `{name}` cannot {what}"))
        .hint("`cloudscale --help` lists the commands; another --provider may be able to")
}

/// Where a provider keeps the locks of stacks.
pub trait Leases: Send + Sync {
    /// The lock that a snapshot shows: a run holds it, or left it behind.
    fn shown(&self, cloud: &Snapshot) -> Option<Lease>;

    /// The lock as the cloud reports it, and the cloud's time.
    fn find<'a>(&'a self, stack: &'a str) -> Answer<'a, (Option<Lease>, Timestamp)>;

    /// The problem of a lock that somebody has and that is not listed as the stack's.
    fn unlisted(&self, stack: &str) -> Problem {
        Problem::new("Lock not found", format!("the lock of {stack} exists, and no run is listed as its holder"))
            .hint("run the command again; `cloudscale unlock` releases the lock of a dead run")
    }

    /// Takes the lock and answers with its id; `None` where somebody has it. `tags` are the user's own.
    fn create<'a>(&'a self, stack: &'a str, tags: &'a Tags, holder: &'a Holder) -> Answer<'a, Option<String>>;

    /// Gives the lease its full length from `now` on.
    fn renew<'a>(&'a self, stack: &'a str, id: &'a str, now: Timestamp) -> Answer<'a, ()>;

    /// Takes the lock away, whoever holds it; whether it was there.
    fn delete<'a>(&'a self, stack: &'a str, id: &'a str) -> Answer<'a, bool>;
}

/// Something of the account that is to join a stack.
pub trait Adoptee: Send + Sync {
    /// The address that it is to have.
    fn address(&self) -> &Address;

    fn name(&self) -> &str;

    /// Whether it is the stack's at that address already.
    fn is_adopted(&self, stack: &str) -> bool;

    /// Why it cannot be adopted, as far as that does not depend on what the stack wants of it.
    fn obstacle(&self, cloud: &Snapshot) -> Option<Problem>;

    /// What else stands in the way, in calls of its own.
    fn conflict<'a>(
        &'a self,
        operation: &'a Operation,
        stack: &'a Stack,
        cloud: &'a Snapshot,
        existing: &'a [Existing],
    ) -> Answer<'a, Option<Problem>>;

    /// Makes the snapshot look as if the tags were written.
    fn join(&self, cloud: &mut Snapshot);

    /// Writes the stack's tags.
    fn tag<'a>(&'a self, operation: &'a Operation, stack: &'a str) -> Answer<'a, ()>;
}
