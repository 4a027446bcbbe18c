//! From a stack to the cloud: discover what is live, compare, order, apply, wait.
//!
//! [`Engine`] is the door: commands and the benchmark ask it for a plan, apply the plan, wait until the stack serves, and
//! take it down. There is no state file: every answer is made of what the cloud says now.

pub mod adopt;
pub mod apply;
pub mod deadline;
pub mod diff;
pub mod down;
pub mod lock;
pub mod look;
pub mod offline;
pub mod park;
pub mod plan;
pub mod plan_file;
pub mod price;
pub mod scheduler;
pub mod snapshot;
pub mod wait;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::diff::Node;
use self::lock::Lock;
use self::plan::Report;
use self::wait::Wait;
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::cloud::activities::{Activity, activities};
use crate::cloud::image::{self, Images};
use crate::cloud::lease::Lease;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::document::suggest;
use crate::problem::{Problem, Problems};
use crate::resource::change::Action;
use crate::resource::context::Run;
use crate::resource::event::{Event, Sink};
use crate::resource::status::Status;
use crate::resource::{Resource as _, Scope, in_cluster};
use crate::resources::scaling_group::{self, ScalingGroup};
use crate::resources::{TYPES, load_balancer};
use crate::stack::model::Stack;

/// A stack and the cloud that it lives in.
#[derive(Clone)]
pub struct Engine {
    pub stack: Arc<Stack>,
    run: Run,
}

/// What `up` would do, ready to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub report: Report,
    /// Whose the stack was when the plan was made.
    lock: Option<Lease>,
    /// When the stack is to be gone.
    deadline: Option<Timestamp>,
    nodes: Vec<Node>,
    images: Images,
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
        clients: Clients,
        sink: Arc<dyn Sink>,
        cancel: CancellationToken,
        limit: Duration,
    ) -> Self {
        let mut run = Run::new(clients, &stack.name, sink, cancel, limit);
        run.tags = stack.tags.clone();
        Self { stack: Arc::new(stack), run }
    }

    pub fn clients(&self) -> &Clients {
        &self.run.clients
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
        snapshot::take(&self.run.clients, &self.stack.name, Some(&self.stack), depth).await
    }

    async fn compare_with(&self, mut cloud: Snapshot) -> Result<Plan, Problems> {
        let clients = &self.run.clients;
        if park::is_stopped(&cloud) {
            return Err(park::stopped(&self.stack.name).into());
        }
        let scope = Scope { stack: &self.stack, cloud: &cloud };
        let details = try_join_all(TYPES.iter().map(|face| face.details(clients, &scope))).await?;
        details.into_iter().flatten().for_each(|rows| cloud.store(rows));
        let nodes = diff::diff(&Scope { stack: &self.stack, cloud: &cloud })?;
        let images = self.images(&nodes).await?;
        let changes: Vec<_> = nodes.iter().map(|node| node.change.clone()).collect();
        let report = Report::new(&self.stack.name, clients.provider, changes, price::hourly(&self.stack));
        Ok(Plan { report, deadline: deadline::of(&cloud), lock: lock::of(&cloud), nodes, images })
    }

    /// The images of those launch templates that get a new version; others keep theirs.
    async fn images(&self, nodes: &[Node]) -> Result<Images, Problem> {
        let changing = nodes.iter().filter(|node| !matches!(node.change.action, Action::Unchanged | Action::Delete));
        let changing: BTreeSet<_> = changing.map(|node| node.change.address.as_str()).collect();
        let clusters = self.stack.clusters.iter();
        let clusters = clusters.filter(|cluster| changing.contains(&*in_cluster(&cluster.name, "launch_template")));
        let images: Vec<_> = clusters.map(|cluster| &cluster.image).collect();
        image::resolve(&self.run.clients, &images).await
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
        run.images = plan.images;
        let is_new = |node: &Node| matches!(node.change.action, Action::Create | Action::Replace);
        let new_groups = plan.nodes.iter().any(|node| node.face.kind() == ScalingGroup::KIND && is_new(node));
        apply::apply(&run, plan.nodes).await?;
        match plan.deadline {
            Some(at) if new_groups => Ok(deadline::keep(&run, at).await?),
            _ => Ok(()),
        }
    }

    /// Waits until the stack serves; returns how it looks.
    ///
    /// # Errors
    /// What is not ready when time is up.
    pub async fn wait(&self, wait: Wait) -> Result<Status, Problems> {
        if wait == Wait::None {
            return Ok(self.status().await?);
        }
        let status = self.listed().await?;
        let Some(load_balancer) = &status.load_balancer else {
            return Ok(status);
        };
        if load_balancer.state != "active" {
            load_balancer::until_active(&self.run, &load_balancer.arn).await?;
        }
        let waits = status.clusters.iter().zip(&self.stack.clusters).filter_map(|(cluster, declared)| {
            let group = cluster.target_group.as_ref()?;
            let (healthy, expected) = (cluster.healthy(), wait::expected(cluster));
            if healthy >= expected {
                self.run.sink.event(Event::Ready {
                    what: format!("cluster.{}", cluster.name),
                    detail: format!("{healthy} of {expected} healthy"),
                });
                return None;
            }
            Some(wait::targets(&self.run, declared, &group.arn, expected))
        });
        let waits: Vec<_> = waits.collect();
        let waited = !waits.is_empty();
        let failed: Vec<_> = futures_util::future::join_all(waits).await.into_iter().filter_map(Result::err).collect();
        if !failed.is_empty() {
            return Err(Problems(failed));
        }
        match (wait, wait::host(&status)) {
            (Wait::All, Some(host)) => wait::routes(&self.run, &self.stack, host).await?,
            // The certificate is for the user's own domain, not for the load balancer's name.
            (Wait::All, None) => self.run.sink.event(Event::Ready {
                what: "routes".to_owned(),
                detail: "not asked: HTTPS answers under the name that its certificate is for".to_owned(),
            }),
            _ => {}
        }
        if waited { Ok(self.status().await?) } else { Ok(status) }
    }

    /// How the stack looks as soon as listings know all that waits look at: what was made a moment ago may be missing.
    async fn listed(&self) -> Result<Status, Problem> {
        let mut backoff = self.run.backoff();
        loop {
            let status = self.status().await?;
            let Some(unlisted) = status.unlisted() else {
                return Ok(status);
            };
            let reason = format!("{unlisted} is not listed yet");
            if self.run.is_late() {
                return Err(Problem::new("The stack is not whole", reason)
                    .hint("`cloudscale diff` shows what is missing, `cloudscale up` adds it"));
            }
            self.run.sink.event(Event::Waiting { what: "stack".to_owned(), reason });
            self.run.pause(&mut backoff).await?;
        }
    }

    /// How the stack looks now.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn status(&self) -> Result<Status, Problem> {
        let cloud = snapshot::take(&self.run.clients, &self.stack.name, None, Depth::Status);
        let cloud = self.run.unless_interrupted(cloud).await?;
        Ok(look::status(&self.stack, self.run.clients.provider, &cloud))
    }

    /// The last so many things that the stack's groups did, oldest first.
    ///
    /// # Errors
    /// A call that fails.
    pub async fn activities(&self, last: u8) -> Result<Vec<Activity>, Problem> {
        let work = async {
            let cloud = snapshot::take(&self.run.clients, &self.stack.name, None, Depth::Status).await?;
            activities(&self.run.clients, &scaling_group::by_cluster(&cloud), last).await
        };
        self.run.unless_interrupted(work).await
    }

    /// Stops the instances, under the stack's lock.
    ///
    /// # Errors
    /// The run that holds the lock for longer than `patience`; what could not be stopped.
    pub async fn stop(&self, patience: Duration) -> Result<(), Problems> {
        let lock = self.lock("stop", patience).await?;
        lock.during(park::stop(&lock.run)).await
    }

    /// Starts what was stopped, under the stack's lock.
    ///
    /// # Errors
    /// The run that holds the lock for longer than `patience`; what could not be started.
    pub async fn start(&self, patience: Duration) -> Result<(), Problems> {
        let lock = self.lock("start", patience).await?;
        lock.during(park::start(&lock.run)).await
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
    /// Where the cluster is a fleet, is not up, or the number is out of range; where another run holds the stack's lock
    /// for longer than `patience`.
    pub async fn scale(&self, cluster: &str, instances: u32, patience: Duration) -> Result<(), Problems> {
        // What is wrong is told without waiting for the lock; what the group is called then counts under it.
        self.scalable(cluster, instances).await?;
        let capacity = i32::try_from(instances).unwrap_or(i32::MAX);
        let work = async {
            let group = self.scalable(cluster, instances).await?;
            let request = self.run.clients.autoscaling.set_desired_capacity().auto_scaling_group_name(&group);
            let call = request.desired_capacity(capacity).honor_cooldown(false).send().await;
            call.map(|_| ()).map_err(|error| error.problem("autoscaling:SetDesiredCapacity", &group).into())
        };
        self.lock("scale", patience).await?.during(work).await
    }

    /// The group of a cluster that may have so many instances.
    async fn scalable(&self, cluster: &str, instances: u32) -> Result<String, Problem> {
        let status = self.status().await?;
        if status.stopped {
            return Err(park::stopped(&status.stack));
        }
        let Some(found) = status.clusters.iter().find(|candidate| candidate.name == cluster) else {
            return Err(no_such_cluster(&self.stack, cluster));
        };
        if found.kind == "fleet" {
            return Err(Problem::usage(
                "A fleet has a fixed number",
                format!("{cluster} has {} instances", found.desired),
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
                format!("{cluster} takes {} to {} instances, not {instances}", found.min, found.max),
            )
            .hint("change `min` or `max` in the stack and run `cloudscale up`"));
        }
        Ok(group.clone())
    }
}

fn no_such_cluster(stack: &Stack, cluster: &str) -> Problem {
    let known = stack.clusters.iter().map(|cluster| cluster.name.as_str());
    Problem::usage("No such cluster", format!("{} has no cluster `{cluster}`", stack.name))
        .hint(suggest::hint(cluster, known))
}
