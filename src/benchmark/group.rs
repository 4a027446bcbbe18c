//! A group that an experiment scales by hand: its own policies and schedules stand still meanwhile.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::aws::error::CallError;
use crate::clock;
use crate::engine::Engine;
use crate::problem::{Problem, Problems};
use crate::resource::context::interrupted;
use crate::resource::event::{Event, Sink};
use crate::resource::status::{ClusterStatus, Status};

/// What would change the capacity behind the experiment's back (Amazon EC2 Auto Scaling user guide, "Suspend and
/// resume").
const PROCESSES: [&str; 2] = ["AlarmNotification", "ScheduledActions"];
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub struct Group<'a> {
    engine: &'a Engine,
    pub cluster: String,
    name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub instance_type: String,
    /// Those that were at work before.
    suspended: Vec<String>,
}

impl<'a> Group<'a> {
    /// The cluster that is named, or the only group of the stack.
    ///
    /// # Errors
    /// Where it is no group, and where it is not clear which.
    pub fn find(engine: &'a Engine, status: &Status, named: Option<&str>) -> Result<Self, Problem> {
        let groups: Vec<&ClusterStatus> = status.clusters.iter().filter(|cluster| cluster.group.is_some()).collect();
        let names = || groups.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = match (named, groups.as_slice()) {
            (Some(name), all) => all.iter().find(|cluster| cluster.name == name),
            (None, [only]) => Some(only),
            (None, []) => None,
            (None, _) => {
                let detail = format!("{} has several groups: {}", status.stack, names());
                return Err(Problem::usage("Which cluster is not clear", detail).hint("name one with --cluster"));
            }
        };
        let Some(cluster) = found else {
            let detail = match named {
                Some(name) => format!("{name} is no Auto Scaling group of {} that is up", status.stack),
                None => format!("{} has no Auto Scaling group that is up", status.stack),
            };
            let hint =
                "give a cluster `autoscaling: {min: 1, max: 8}` in place of `instances`, and run `cloudscale up`";
            return Err(Problem::usage("Nothing to scale", detail).hint(hint));
        };
        Ok(Self {
            engine,
            cluster: cluster.name.clone(),
            name: cluster.group.clone().unwrap_or_default(),
            min: cluster.min,
            max: cluster.max,
            desired: cluster.desired,
            instance_type: cluster.instance_type.clone(),
            suspended: Vec::new(),
        })
    }

    /// Keeps the group's policies and schedules from scaling it.
    pub async fn hold(&mut self) -> Result<(), Problem> {
        let client = &self.engine.clients()?.autoscaling;
        let call = client.describe_auto_scaling_groups().auto_scaling_group_names(&self.name).send().await;
        let groups = call.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", &self.name))?;
        let group = groups.auto_scaling_groups().first();
        let already: Vec<&str> = group
            .map(|group| group.suspended_processes().iter().filter_map(|process| process.process_name()).collect())
            .unwrap_or_default();
        let ours: Vec<String> =
            PROCESSES.into_iter().filter(|name| !already.contains(name)).map(str::to_owned).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let call = client.suspend_processes().auto_scaling_group_name(&self.name);
        let call = call.set_scaling_processes(Some(ours.clone())).send().await;
        call.map_err(|error| error.problem("autoscaling:SuspendProcesses", &self.name))?;
        self.suspended = ours;
        Ok(())
    }

    /// Lets them go on.
    pub async fn release(&mut self) -> Result<(), Problem> {
        if self.suspended.is_empty() {
            return Ok(());
        }
        let client = &self.engine.clients()?.autoscaling;
        let call = client.resume_processes().auto_scaling_group_name(&self.name);
        let call = call.set_scaling_processes(Some(std::mem::take(&mut self.suspended))).send().await;
        call.map(drop).map_err(|error| {
            error.problem("autoscaling:ResumeProcesses", &self.name).hint("`cloudscale up` lets its policies go on")
        })
    }

    pub async fn scale(&self, instances: u32) -> Result<(), Problems> {
        self.engine.scale(&self.cluster, instances, Duration::from_secs(30)).await
    }

    pub async fn look(&self) -> Result<ClusterStatus, Problem> {
        let status = self.engine.status().await?;
        let found = status.clusters.into_iter().find(|cluster| cluster.name == self.cluster);
        found.ok_or_else(|| Problem::new("The group is gone", format!("{} is not there any more", self.cluster)))
    }

    /// Waits until it has exactly so many instances and all of them are healthy.
    pub async fn until(
        &self,
        instances: u32,
        within: Duration,
        sink: &dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<ClusterStatus, Problems> {
        let began = clock::now();
        loop {
            let cluster = self.look().await?;
            let (there, healthy) = (cluster.instances.len(), cluster.healthy());
            if there == instances as usize && healthy == there {
                let detail = format!("{instances} of {instances} healthy");
                sink.event(Event::Ready { what: self.cluster.clone(), detail });
                return Ok(cluster);
            }
            let reason = format!("{healthy} of {instances} healthy, {there} there");
            if clock::now().duration_since(began) > jiff::SignedDuration::try_from(within).unwrap_or_default() {
                let detail = format!("{}: {reason} after {} s", self.cluster, within.as_secs());
                return Err(Problem::new("Group did not reach its desired capacity", detail)
                    .hint("`cloudscale status` and `cloudscale events` show why")
                    .into());
            }
            sink.event(Event::Waiting { what: self.cluster.clone(), reason });
            if cancel.run_until_cancelled(clock::sleep(LOOK_EVERY)).await.is_none() {
                return Err(interrupted().into());
            }
        }
    }
}
