//! From a stack to the cloud: discover what is observed, compare, order, apply, wait.
//!
//! [`Engine`] is the door: commands and the benchmark ask it for a plan, apply the plan, wait until the stack serves,
//! and take it down. There is no state file: every answer is made of what the cloud says now.

pub mod adopt;
pub mod apply;
pub mod diff;
pub mod down;
pub mod lock;
pub mod obstacles;
pub mod offline;
pub mod plan;
pub mod plan_file;
pub mod scheduler;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::diff::Node;
use self::lock::Lock;
use self::plan::Report;
use crate::aws::clients::Clients;
use crate::cloud::activities::Activity;
use crate::cloud::alarms::Changed;
use crate::cloud::expiry;
use crate::cloud::lease::Lease;
use crate::cloud::refreshes::Refresh;
use crate::cloud::signals::Signal;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::document::suggest;
use crate::problem::{Problem, Problems};
use crate::resource::change::Action;
use crate::resource::context::Operation;
use crate::resource::erased::ErasedResource;
use crate::resource::event::Sink;
use crate::resource::provider::{Provider, Wait};
use crate::resource::status::{ClusterKind, Status};
use crate::resource::{Prepared, Scope};
use crate::stack::model::Stack;

/// A stack and the cloud that it lives in.
#[derive(Clone)]
pub struct Engine {
    pub stack: Arc<Stack>,
    run: Operation,
}

/// What `up` would do, ready to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub report: Report,
    /// Whose the stack was when the plan was made.
    lock: Option<Lease>,
    /// When the stack is to be gone.
    expiry: Option<Timestamp>,
    nodes: Vec<Node>,
    prepared: Vec<Prepared>,
}

impl Plan {
    /// Nothing to change, and no lock to wait for or to clear away.
    pub fn is_empty(&self) -> bool {
        self.report.summary.is_empty() && self.lock.is_none()
    }

    /// Whether it still holds under `lock`: nobody changed the stack while it was made, or after.
    pub fn is_current(&self, lock: &Lock) -> bool {
        lock.undisturbed && self.lock.is_none()
    }
}

impl Engine {
    /// `limit` bounds every wait; `cancel` ends it early.
    pub fn new(
        stack: Stack,
        provider: impl Into<Arc<dyn Provider>>,
        sink: Arc<dyn Sink>,
        cancel: CancellationToken,
        limit: Duration,
    ) -> Self {
        let mut run = Operation::new(provider, &stack.name, sink, cancel, limit);
        run.tags = stack.tags.clone();
        Self { stack: Arc::new(stack), run }
    }

    pub fn provider(&self) -> &dyn Provider {
        &*self.run.provider
    }

    /// AWS's clients, for what is no resource: metrics, and how often the cloud was called.
    ///
    /// # Errors
    /// Where the provider is another.
    pub fn clients(&self) -> Result<&Clients, Problem> {
        self.run.clients()
    }

    /// Compares the stack with the cloud. Reads only.
    ///
    /// # Errors
    /// A call that fails; resources of our names that are not ours; a stack that was stopped.
    pub async fn plan(&self) -> Result<Plan, Problems> {
        self.run.unless_interrupted(self.compare()).await
    }

    async fn compare(&self) -> Result<Plan, Problems> {
        let cloud = self.look(Depth::Plan).await?;
        self.compare_with(cloud).await
    }

    /// Everything that carries the stack's tag, and the network that the stack lives in.
    async fn look(&self, depth: Depth) -> Result<Snapshot, Problem> {
        let cloud = self.run.provider.snapshot(&self.stack.name, Some(&self.stack), depth).await?;
        self.run.note_once(&cloud.notes);
        Ok(cloud)
    }

    async fn compare_with(&self, mut cloud: Snapshot) -> Result<Plan, Problems> {
        let provider = &self.run.provider;
        if provider.is_stopped(&cloud) {
            return Err(stopped(&self.stack.name).into());
        }
        let types = provider.types();
        let scope = Scope { stack: &self.stack, cloud: &cloud };
        let details = try_join_all(types.iter().map(|resource| resource.details(&**provider, &scope))).await?;
        details.into_iter().flatten().for_each(|rows| cloud.store(rows));
        let mut nodes = diff::diff(types, &Scope { stack: &self.stack, cloud: &cloud })?;
        if let Some(at) = provider.expiry(&cloud).filter(|at| *at <= cloud.taken) {
            diff::explain_expiry(&mut nodes, at);
            self.run.note_once(&[format!("the stack {}", expiry::sentence(at, cloud.taken))]);
        }
        obstacles::check(&**provider, &cloud, &nodes).await?;
        let prepared = self.prepare(&nodes).await?;
        let changes: Vec<_> = nodes.iter().map(|node| node.change.clone()).collect();
        let outlook = provider.outlook(Some(&self.stack), &cloud, &changes);
        let report = Report::new(&self.stack.name, provider.name(), outlook, changes);
        let (expiry, lock) = (provider.expiry(&cloud), provider.leases().shown(&cloud));
        Ok(Plan { report, expiry, lock, nodes, prepared })
    }

    /// What actions need to know, for those resources that change.
    async fn prepare(&self, nodes: &[Node]) -> Result<Vec<Prepared>, Problem> {
        let changing = |node: &&Node| !matches!(node.change.action, Action::Unchanged | Action::Delete);
        let of_type = |resource: &'static dyn ErasedResource| {
            let nodes = nodes.iter().filter(changing).filter(|node| node.resource.kind() == resource.kind());
            nodes.filter_map(|node| node.desired.as_ref()).collect::<Vec<_>>()
        };
        let types = self.run.provider.types().iter().map(|resource| (*resource, of_type(*resource)));
        let types = types.filter(|(_, desired)| !desired.is_empty());
        let calls = types.map(|(resource, desired)| resource.prepare(&*self.run.provider, desired));
        Ok(try_join_all(calls).await?.into_iter().flatten().collect())
    }

    /// Makes the stack this run's own, as [`lock::acquire`] says.
    ///
    /// # Errors
    /// The run that holds it; a call that fails.
    pub async fn lock(&self, command: &str, patience: Duration) -> Result<Lock, Problem> {
        lock::acquire(&self.run, command, patience).await
    }

    /// Does what the plan says, as long as the lock is held.
    ///
    /// # Errors
    /// Everything that failed; the next `up` continues.
    pub async fn apply(&self, plan: Plan, lock: &Lock) -> Result<(), Problems> {
        let mut run = lock.run.clone();
        run.prepared = plan.prepared;
        let is_new = |node: &Node| matches!(node.change.action, Action::Create | Action::Replace);
        let any_new = plan.nodes.iter().any(is_new);
        apply::apply(&run, plan.nodes).await?;
        match plan.expiry {
            Some(at) if any_new => Ok(run.provider.keep_expiry(&run, at).await?),
            _ => Ok(()),
        }
    }

    /// Waits until the stack serves; returns how it looks.
    ///
    /// # Errors
    /// What is not ready when time is up.
    pub async fn wait(&self, wait: Wait) -> Result<Status, Problems> {
        self.run.unless_interrupted(self.run.provider.until_ready(&self.run, &self.stack, wait)).await
    }

    /// How the stack looks now.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn status(&self) -> Result<Status, Problem> {
        let cloud = self.run.provider.snapshot(&self.stack.name, Some(&self.stack), Depth::Status);
        let cloud = self.run.unless_interrupted(cloud).await?;
        Ok(self.run.provider.status(&self.stack, &cloud))
    }

    /// The last so many things that the stack's groups did, oldest first.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn activities(&self, last: u8) -> Result<Vec<Activity>, Problem> {
        self.run.unless_interrupted(self.run.provider.activities(&self.stack.name, last)).await
    }

    /// How the alarms of the stack's groups changed since a time, oldest first.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn alarm_changes(&self, since: Timestamp) -> Result<Vec<Changed>, Problem> {
        self.run.unless_interrupted(self.run.provider.alarm_changes(&self.stack.name, since)).await
    }

    /// What the policies of the stack's groups followed between two times, as far as CloudWatch has it by now.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn signals(&self, window: (Timestamp, Timestamp)) -> Result<Vec<Signal>, Problem> {
        self.run.unless_interrupted(self.run.provider.signals(&self.stack.name, window)).await
    }

    /// The latest instance refreshes of the stack's groups.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn refreshes(&self) -> Result<Vec<Refresh>, Problem> {
        self.run.unless_interrupted(self.run.provider.refreshes(&self.stack.name)).await
    }

    /// Stops the instances, under the stack's lock.
    ///
    /// # Errors
    /// The run that holds the lock for longer than `patience`; what could not be stopped.
    pub async fn stop(&self, patience: Duration) -> Result<(), Problems> {
        let lock = self.lock("stop", patience).await?;
        lock.during(lock.run.provider.stop(&lock.run)).await
    }

    /// Starts what was stopped, under the stack's lock.
    ///
    /// # Errors
    /// The run that holds the lock for longer than `patience`; what could not be started.
    pub async fn start(&self, patience: Duration) -> Result<(), Problems> {
        let lock = self.lock("start", patience).await?;
        lock.during(lock.run.provider.start(&lock.run)).await
    }

    /// Removes everything that carries the stack's tag, and proves it.
    ///
    /// # Errors
    /// What could not be removed.
    pub async fn down(&self, patience: Duration) -> Result<(), Problems> {
        down::down(&self.run, down::plan(&self.run).await?, patience).await
    }

    /// Sets a group's desired capacity by hand, within its range.
    ///
    /// # Errors
    /// Where the cluster has fixed instances, is not up, or the number is out of range; where another run holds the
    /// stack's lock for longer than `patience`.
    pub async fn scale(&self, cluster: &str, instances: u32, patience: Duration) -> Result<(), Problems> {
        // What is wrong is reported without waiting for the lock; what the group is called then counts under it.
        self.scalable(cluster, instances).await?;
        let work = async {
            let group = self.scalable(cluster, instances).await?;
            Ok(self.run.provider.scale(&self.run, &group, instances).await?)
        };
        self.lock("scale", patience).await?.during(work).await
    }

    /// The group of a cluster that may have so many instances.
    async fn scalable(&self, cluster: &str, instances: u32) -> Result<String, Problem> {
        let status = self.status().await?;
        if status.stopped {
            return Err(stopped(&status.stack));
        }
        let Some(found) = status.clusters.iter().find(|candidate| candidate.name == cluster) else {
            return Err(no_such_cluster(&self.stack, cluster));
        };
        if found.kind == ClusterKind::Fixed {
            return Err(Problem::usage(
                "The cluster has fixed instances",
                format!("{cluster} has {} instances and no Auto Scaling group", found.desired),
            )
            .hint(format!(
                "write `instances: {instances}` into {} and run `cloudscale up`",
                self.stack.file.display()
            )));
        }
        let Some(group) = &found.group else {
            let problem = Problem::new("The group is not there", format!("{cluster} is not up"));
            return Err(problem.hint("run `cloudscale up`"));
        };
        if !(found.min..=found.max).contains(&instances) {
            return Err(Problem::usage(
                "Out of the group's range",
                format!("{cluster} allows {} to {} instances, not {instances}", found.min, found.max),
            )
            .hint("change `min` or `max` in the stack and run `cloudscale up`"));
        }
        Ok(group.clone())
    }
}

/// The problem of a command that needs instances.
fn stopped(stack: &str) -> Problem {
    Problem::new("The stack is stopped", format!("{stack} has no instances that run, as `cloudscale stop` left it"))
        .hint("`cloudscale start` brings them back, and then it can be compared and changed; `cloudscale down` removes it")
}

/// The problem of a command that names a cluster that the stack does not have; with what was probably meant.
pub fn no_such_cluster(stack: &Stack, cluster: &str) -> Problem {
    let known = stack.clusters.iter().map(|cluster| cluster.name.as_str());
    Problem::usage("No such cluster", format!("{} has no cluster `{cluster}`", stack.name))
        .hint(suggest::hint(cluster, known))
}
