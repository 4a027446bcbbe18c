//! One look at a stack: the calls that an [`Observation`] is made of.
//!
//! The stack itself must be readable. Whatever else is not (a role without CloudWatch, an endpoint that lacks an
//! operation) costs its part of the view and a sentence about it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::MetricAlarm;
use aws_sdk_ec2::types::{Filter, Instance as Ec2Instance};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::metrics;
use super::observation::{Instance, Observation};
use crate::aws::clients::Clients;
use crate::aws::error::CallError as _;
use crate::aws::server_time::ServerTime;
use crate::aws::time::timestamp;
use crate::clock;
use crate::cloud::activities::{ACTIVITIES_MAX, activities};
use crate::cloud::alarms::{self, AlarmChange, Owner, alarms, history};
use crate::cloud::refreshes::refreshes;
use crate::cloud::state::Lifecycle;
use crate::cloud::tags;
use crate::engine::Engine;
use crate::problem::Problem;
use crate::resources::{instances, targets};
use crate::result::live::Load;

/// What comes late to CloudWatch is asked for again: load balancers publish up to some minutes later.
const LATE: SignedDuration = SignedDuration::from_mins(15);
const PAGES_MAX: usize = 20;

/// How often, in wall time, a stack is looked at: a look is a dozen calls.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    pub look: Duration,
    /// `None` where nobody wants them.
    pub metrics: Option<Duration>,
}

impl Cadence {
    pub fn of(engine: &Engine) -> Self {
        let timing = engine.provider().timing();
        Self { look: timing.look, metrics: Some(timing.metrics) }
    }
}

/// Looks at a stack again and again.
pub struct Observer {
    engine: Engine,
    cadence: Cadence,
    /// How far back the first look asks for metrics.
    span: SignedDuration,
    /// When metrics were asked for last, in both times.
    asked: Option<(Instant, Timestamp)>,
    /// By alarm, the change of state up to which its history was read.
    read: BTreeMap<String, Option<Timestamp>>,
    latest: Option<Timestamp>,
}

impl Observer {
    pub fn new(engine: Engine, cadence: Cadence, span: SignedDuration) -> Self {
        Self { engine, cadence, span, asked: None, read: BTreeMap::new(), latest: None }
    }

    pub fn cadence(&self) -> Cadence {
        self.cadence
    }

    /// Looks.
    ///
    /// # Errors
    /// Where the stack itself cannot be read.
    pub async fn look(&mut self) -> Result<Observation, Problem> {
        let status = self.engine.status().await?;
        let clients = self.engine.clients()?.clone();
        let (instances, told) = instances(&clients, &status.stack).await?;
        // A region's time goes forward; answers may overtake each other.
        let at = self.latest.map_or(told, |latest| latest.max(told));
        self.latest = Some(at);
        let groups: Vec<(String, String)> =
            status.clusters.iter().filter_map(|cluster| Some((cluster.name.clone(), cluster.group.clone()?))).collect();
        let mut missing = Vec::new();
        let (lifecycles, found, refreshes, alarms) = tokio::join!(
            lifecycles(&clients, &groups),
            activities(&clients, &groups, ACTIVITIES_MAX),
            refreshes(&clients, &groups),
            alarms(&clients, &groups),
        );
        let lifecycles = or_missing(lifecycles, &mut missing);
        let activities = or_missing(found, &mut missing);
        let refreshes = or_missing(refreshes, &mut missing);
        let alarms = or_missing(alarms, &mut missing);
        let alarm_changes = self.changes(&clients, &alarms, &mut missing).await;
        let api: Vec<MetricAlarm> = alarms.iter().map(|(_, alarm)| alarm.clone()).collect();
        let metrics = self.metrics(&clients, &status, &api, at, &mut missing).await;
        let alarms = alarms.iter().filter_map(|(owner, alarm)| alarms::read(owner, alarm)).collect();
        missing.dedup();
        let load = Load::told(Path::new(""), &status.stack);
        Ok(Observation {
            at,
            load,
            status,
            lifecycles,
            instances,
            activities,
            refreshes,
            alarms,
            alarm_changes,
            metrics,
            missing,
        })
    }

    /// What alarms did since they were asked last: those whose state has changed.
    async fn changes(
        &mut self,
        clients: &Clients,
        alarms: &[(Owner, MetricAlarm)],
        missing: &mut Vec<String>,
    ) -> Vec<AlarmChange> {
        let changed = alarms.iter().filter_map(|(_, alarm)| {
            let name = alarm.alarm_name()?;
            let at = alarm.state_updated_timestamp().and_then(timestamp);
            (self.read.get(name) != Some(&at)).then(|| (name.to_owned(), at))
        });
        let changed: Vec<_> = changed.collect();
        let calls = changed.iter().map(|(name, _)| async move { history(clients, name, None).await });
        let mut found = Vec::new();
        for ((name, at), answer) in changed.iter().zip(join_all(calls).await) {
            match answer {
                Ok(changes) => {
                    self.read.insert(name.clone(), *at);
                    found.extend(changes);
                }
                Err(problem) => missing.push(problem.detail),
            }
        }
        found
    }

    async fn metrics(
        &mut self,
        clients: &Clients,
        status: &crate::resource::status::Status,
        alarms: &[MetricAlarm],
        at: Timestamp,
        missing: &mut Vec<String>,
    ) -> Option<super::observation::Metrics> {
        let (now, every) = (clock::instant(), self.cadence.metrics?);
        let is_due = self.asked.is_none_or(|(asked, _)| now - asked >= every);
        if !is_due {
            return None;
        }
        let from = self.asked.map_or(at - self.span, |(_, asked)| (asked - LATE).max(at - self.span));
        match metrics::read(clients, status, alarms, (from, at + SignedDuration::from_mins(1))).await {
            Ok(metrics) => {
                self.asked = Some((now, at));
                Some(metrics)
            }
            Err(problem) => {
                missing.push(problem.detail);
                None
            }
        }
    }
}

fn or_missing<T: Default>(answer: Result<T, Problem>, missing: &mut Vec<String>) -> T {
    answer.unwrap_or_else(|problem| {
        missing.push(problem.detail);
        T::default()
    })
}

/// Every instance that carries the stack's tag, and the region's time.
async fn instances(clients: &Clients, stack: &str) -> Result<(Vec<Instance>, Timestamp), Problem> {
    let time = ServerTime::default();
    let ours = Filter::builder().name(format!("tag:{}", tags::STACK)).values(stack).build();
    let mut found = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let call = clients.ec2.describe_instances().filters(ours.clone()).set_next_token(token.take());
        let page = call.customize().interceptor(time.clone()).send().await;
        let page = page.map_err(|error| error.problem("ec2:DescribeInstances", stack))?;
        token = page.next_token.clone().filter(|token| !token.is_empty());
        found.extend(
            page.reservations().iter().flat_map(|reservation| reservation.instances()).filter_map(read_instance),
        );
        if token.is_none() {
            break;
        }
    }
    Ok((found, time.read()))
}

fn read_instance(instance: &Ec2Instance) -> Option<Instance> {
    let tags = tags::from_ec2(instance.tags());
    let address = tags::address(&tags)?;
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        cluster: address.cluster()?.to_owned(),
        instance_type: instance.instance_type().map_or("unknown", |kind| kind.as_str()).to_owned(),
        state: instances::state(instance),
        launched: instance.launch_time().and_then(timestamp),
        transition: instance.state_transition_reason().filter(|text| !text.is_empty()).map(str::to_owned),
        of_group: !address.is_only(targets::INSTANCES),
        disturbed: tags.get(tags::DISTURBED).cloned(),
    })
}

/// Instance → lifecycle state.
async fn lifecycles(clients: &Clients, groups: &[(String, String)]) -> Result<BTreeMap<String, Lifecycle>, Problem> {
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names = groups.iter().map(|(_, group)| group.clone()).collect();
    let pages = clients.autoscaling.describe_auto_scaling_groups().set_auto_scaling_group_names(Some(names));
    let pages = pages.into_paginator().send().try_collect().await;
    let pages = pages.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", "the stack's groups"))?;
    let groups = pages.iter().flat_map(|page| page.auto_scaling_groups());
    let members = groups.flat_map(|group| group.instances());
    let state = |member: &aws_sdk_autoscaling::types::Instance| {
        Some((member.instance_id()?.to_owned(), Lifecycle::from(member.lifecycle_state()?.as_str())))
    };
    Ok(members.filter_map(state).collect())
}
