//! The service: its groups, and who gets which signal.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::activity::Activity;
use super::calls::OPERATIONS;
use super::configuration::Configurations;
use super::group::Group;
use super::notice::Sent;
use super::parameters::invalid;
use crate::region::context::Context;
use crate::region::signal::Signal;
use crate::region::wire::operation;
use crate::region::wire::{Answer, ApiError, Request};

/// Activities kept of groups that are deleted, over all groups.
const DELETED_ACTIVITIES_MAX: usize = 2_000;

/// An activity of a group that is gone.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct DeletedActivity {
    pub group: String,
    pub group_arn: String,
    pub activity: Activity,
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Autoscaling {
    pub(in crate::region) groups: BTreeMap<String, Group>,
    pub(super) configurations: Configurations,
    /// Newest last.
    pub(super) deleted: VecDeque<DeletedActivity>,
    /// What groups told topics and queues.
    pub sent: Sent,
}

impl Autoscaling {
    /// Runs one operation.
    pub fn call(&mut self, cx: &mut Context, request: &Request) -> Answer {
        let answer = operation::run(&[OPERATIONS], self, cx, request);
        self.remove_deleted(cx.now);
        answer
    }

    /// Takes what another service or a shell says; ignores what does not concern it.
    pub fn signal(&mut self, cx: &mut Context, signal: &Signal) {
        match signal {
            Signal::InstanceLaunched { group, activity, instance } => match self.groups.get_mut(group) {
                Some(group) => group.launched(cx, activity, instance),
                None => cx.send(Signal::TerminateInstance { instance: instance.clone() }),
            },
            Signal::LaunchFailed { group, activity, message, .. } => {
                if let Some(group) = self.groups.get_mut(group) {
                    group.launch_refused(cx, activity, message);
                }
            }
            Signal::InstanceState { instance, state } => {
                if let Some(group) = self.group_with(instance) {
                    group.instance_state(cx, instance, *state);
                    group.turn(cx);
                }
            }
            Signal::RebalanceRecommended { instance } => {
                if let Some(group) = self.group_with(instance) {
                    group.risk(cx, instance);
                }
            }
            // Its status checks fail from now on, or it is about to be reported as stopped.
            Signal::ProcessEnded { instance } => {
                if let Some(group) = self.group_with(instance) {
                    group.look_soon(cx.now);
                }
            }
            Signal::TargetHealth { instance, health, .. } => {
                if let Some(group) = self.group_with(instance) {
                    // Drains end, and replacements prove themselves, without delay; what is unhealthy is judged by the
                    // next health check. Not here: signals of the same moment may still be under way.
                    if ["unhealthy", "draining", "initial"].contains(&&*health.state) {
                        group.look_soon(cx.now);
                    } else {
                        group.look_at(cx.now);
                    }
                }
            }
            Signal::AlarmAction { policy_arn, alarm } => {
                let found = self.groups.values_mut().find_map(|group| {
                    let name = group.policies.values().find(|policy| policy.arn == *policy_arn)?.name.clone();
                    Some((group, name))
                });
                let done = match found {
                    Some((group, policy)) => group.alarm(cx.now, &policy, alarm),
                    None => Err(invalid(format!("The scaling policy {policy_arn} does not exist"))),
                };
                cx.send(Signal::AlarmActionDone {
                    alarm: alarm.name.clone(),
                    policy_arn: policy_arn.clone(),
                    error: done.err().map(|error| error.message),
                });
            }
            _ => return,
        }
        self.remove_deleted(cx.now);
    }

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, cx: &mut Context) {
        for group in self.groups.values_mut() {
            if group.next_deadline().is_some_and(|due| due <= cx.now) {
                group.advance(cx);
            }
        }
        self.remove_deleted(cx.now);
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.groups.values().filter_map(Group::next_deadline).min()
    }

    /// Sends what groups have to tell, and removes deleted groups whose last instance has ended; their activities stay.
    fn remove_deleted(&mut self, now: Timestamp) {
        for group in self.groups.values_mut().filter(|group| !group.outbox.is_empty()) {
            self.sent.add(group.outbox.drain(..));
        }
        let gone: Vec<String> =
            self.groups.values().filter(|group| group.is_gone()).map(|group| group.name.clone()).collect();
        for name in gone {
            let Some(group) = self.groups.remove(&name) else { continue };
            let mut activities: Vec<Activity> = group.history.newest_first().cloned().collect();
            activities.reverse();
            for mut activity in activities {
                activity.end.get_or_insert(now);
                self.deleted.push_back(DeletedActivity {
                    group: group.name.clone(),
                    group_arn: group.arn.clone(),
                    activity,
                });
            }
        }
        while self.deleted.len() > DELETED_ACTIVITIES_MAX {
            self.deleted.pop_front();
        }
    }

    pub(super) fn group_with(&mut self, instance: &str) -> Option<&mut Group> {
        self.groups.values_mut().find(|group| group.member(instance).is_some())
    }

    /// The group of that name.
    ///
    /// # Errors
    /// `ValidationError` without one.
    pub(super) fn group(&self, name: &str) -> Result<&Group, ApiError> {
        self.groups.get(name).ok_or_else(|| no_such_group(name))
    }

    /// The group of that name, to change it.
    ///
    /// # Errors
    /// `ValidationError` without one, `ScalingActivityInProgress` where it is being deleted.
    pub(super) fn group_mut(&mut self, name: &str) -> Result<&mut Group, ApiError> {
        let group = self.groups.get_mut(name).ok_or_else(|| no_such_group(name))?;
        if group.deleting {
            return Err(ApiError::new("ScalingActivityInProgress", format!("The group {name} is being deleted.")));
        }
        Ok(group)
    }

    // ---- what the neighbours ask ----

    pub fn group_of(&self, instance: &str) -> Option<String> {
        self.groups.values().find(|group| group.member(instance).is_some()).map(|group| group.name.clone())
    }

    /// The group where the instance is in service and past the warm-up that the group or one of its policies sets.
    pub fn group_that_counts(&self, instance: &str, now: Timestamp) -> Option<&str> {
        let counts =
            |group: &&Group| group.member(instance).is_some_and(|member| member.is_warm(now, group.metrics_warmup()));
        self.groups.values().find(counts).map(|group| group.name.as_str())
    }

    /// The ARN of every group, and its tags.
    pub fn tagged(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let tags = |group: &Group| group.tags.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
        self.groups.values().map(|group| (group.arn.clone(), tags(group))).collect()
    }
}

fn no_such_group(name: &str) -> ApiError {
    invalid(format!("AutoScalingGroup name not found - no such group: {name}"))
}
