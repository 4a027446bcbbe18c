//! One Auto Scaling group: it launches and ends instances until as many are active as it desires.
//!
//! Every input ends in [`Group::turn`], which compares desired with actual and acts; what waits for time (drains, health,
//! back-off) is looked at in [`Group::advance`]. Ending an instance: leave the target groups → wait for the drain →
//! terminate (aws-semantics §1). An instance is a member from the answer of EC2 until it is terminated or detached.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::activity::{History, stamp};
use super::hook::Hook;
use super::member::{Member, Template};
use super::mix::Purchase;
use super::notice::Notification;
use super::policy::Policy;
use super::process::Process;
use super::proposal::Proposal;
use super::refresh::Refresh;
use super::schedule::ScheduledAction;
use super::settings::Settings;
use super::warm_pool::WarmPool;
use crate::region::context::Context;
use crate::region::facts::SubnetFacts;

/// A launch that EC2 has not answered yet.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct PendingLaunch {
    pub activity: String,
    pub subnet: SubnetFacts,
    /// Resolved to a version number.
    pub template: Option<Template>,
    pub configuration: Option<String>,
    pub purchase: Purchase,
    /// How much of the desired capacity it is.
    pub weight: i64,
    /// Part of a scale-out by a policy.
    pub grows: bool,
    /// Into the warm pool, not into service.
    pub into_pool: bool,
}

/// An active instance that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Replacement {
    pub cause: ReplacementCause,
    /// It had not finished the warm-up of the scale-out that it was launched for.
    pub grows: bool,
}

/// Why an active instance is missing, for the cause of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ReplacementCause {
    Unhealthy,
    Refresh,
    Lifetime,
    Balance,
    Risk,
}

impl ReplacementCause {
    /// The second half of AWS's cause.
    pub fn words(self) -> &'static str {
        match self {
            ReplacementCause::Unhealthy => "in response to an unhealthy instance needing to be replaced",
            ReplacementCause::Refresh => "in response to an instance refresh",
            ReplacementCause::Lifetime => "in response to the maximum instance lifetime",
            ReplacementCause::Balance => "to aid in balancing the group's zones",
            ReplacementCause::Risk => "in response to an EC2 instance rebalance recommendation",
        }
    }
}

/// Failed launches in a row.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Failures {
    pub count: u32,
    /// When the first of them failed.
    pub since: Option<Timestamp>,
    pub retry_at: Option<Timestamp>,
    /// Where the last one failed.
    pub zone: Option<String>,
    /// Types of a mixed group that could not be had.
    pub types: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tag {
    pub value: String,
    pub propagate: bool,
}

/// A cooldown starts when the last instance of its activity is done (aws-semantics §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Cooldown {
    Waiting { seconds: i64 },
    Until(Timestamp),
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Group {
    pub name: String,
    pub arn: String,
    pub created: Timestamp,
    pub settings: Settings,
    /// Changed by [`Group::set_desired`] and [`Group::shift_desired`] only.
    desired: i64,
    pub tags: BTreeMap<String, Tag>,
    pub members: Vec<Member>,
    pub launches: Vec<PendingLaunch>,
    pub history: History,
    pub policies: BTreeMap<String, Policy>,
    pub schedule: BTreeMap<String, ScheduledAction>,
    pub hooks: BTreeMap<String, Hook>,
    pub refreshes: Vec<Refresh>,
    pub warm_pool: Option<WarmPool>,
    /// With AWS's reason.
    pub suspended: BTreeMap<Process, String>,
    /// Names of the group metrics that are collected.
    pub metrics: BTreeSet<String>,
    pub metrics_due: Option<Timestamp>,
    pub deleting: bool,
    pub cooldown: Option<Cooldown>,
    /// What each topic wants to hear of.
    pub topics: BTreeMap<String, BTreeSet<String>>,
    /// Notifications that the service has not taken over yet.
    pub(super) outbox: Vec<Notification>,
    /// Instances launched above the desired capacity to even out the zones.
    pub(super) rebalancing: i64,
    /// When that is tried again.
    pub(super) rebalance_after: Option<Timestamp>,
    /// Instances of scale-outs by policies that are still to be launched.
    pub(super) growth_missing: i64,
    /// What policies ask for at this moment, decided once all their alarms have called.
    pub(super) proposals: Vec<Proposal>,
    /// When that is decided.
    pub(super) decide_due: Option<Timestamp>,
    /// When to look at the instances again.
    pub(super) check_due: Option<Timestamp>,
    pub(super) replacements: VecDeque<Replacement>,
    pub(super) failures: Failures,
    /// Why the desired capacity changed since the last launch or termination.
    pub(super) reasons: Vec<String>,
    /// Said already that every remaining instance is protected.
    pub(super) protection_noted: bool,
}

impl Group {
    pub fn new(name: &str, arn: String, created: Timestamp, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            arn,
            created,
            settings,
            desired: 0,
            tags: BTreeMap::new(),
            members: Vec::new(),
            launches: Vec::new(),
            history: History::default(),
            policies: BTreeMap::new(),
            schedule: BTreeMap::new(),
            hooks: BTreeMap::new(),
            refreshes: Vec::new(),
            warm_pool: None,
            suspended: BTreeMap::new(),
            metrics: BTreeSet::new(),
            metrics_due: None,
            deleting: false,
            cooldown: None,
            topics: BTreeMap::new(),
            outbox: Vec::new(),
            rebalancing: 0,
            rebalance_after: None,
            growth_missing: 0,
            proposals: Vec::new(),
            decide_due: None,
            check_due: None,
            replacements: VecDeque::new(),
            failures: Failures::default(),
            reasons: Vec::new(),
            protection_noted: false,
        }
    }

    pub fn desired(&self) -> i64 {
        self.desired
    }

    /// Sets the desired capacity within the bounds. `reason` completes "At … ⟨reason⟩ changing the desired capacity".
    pub fn set_desired(&mut self, now: Timestamp, desired: i64, reason: &str) {
        let by = self.move_desired(now, desired, reason);
        self.shift_desired(by);
    }

    /// A policy scales out: until the new instances are warm, they are not part of what the next policy starts from.
    pub(super) fn grow_desired(&mut self, now: Timestamp, desired: i64, reason: &str) {
        let by = self.move_desired(now, desired, reason);
        self.desired += by;
        self.growth_missing += by.max(0);
    }

    /// Says why the desired capacity changes, and answers by how much.
    fn move_desired(&mut self, now: Timestamp, desired: i64, reason: &str) -> i64 {
        let desired = desired.clamp(self.settings.min, self.settings.max);
        if desired != self.desired {
            self.reasons.push(format!(
                "At {} {reason} changing the desired capacity from {} to {desired}.",
                stamp(now),
                self.desired
            ));
            self.protection_noted = false;
        }
        desired - self.desired
    }

    /// Moves the desired capacity where the instance that goes or comes has an activity with a cause of its own.
    pub fn shift_desired(&mut self, by: i64) {
        if by == 0 {
            return;
        }
        self.desired += by;
        self.protection_noted = false;
        // What policies scale out from is the capacity that was set last, whoever set it.
        self.growth_missing = 0;
        self.members.iter_mut().for_each(|member| member.grows = false);
        self.launches.iter_mut().for_each(|launch| launch.grows = false);
        self.replacements.iter_mut().for_each(|replacement| replacement.grows = false);
    }

    pub fn is_suspended(&self, process: Process) -> bool {
        self.suspended.contains_key(&process)
    }

    pub fn member(&self, instance: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == instance)
    }

    pub fn member_mut(&mut self, instance: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == instance)
    }

    /// The capacity that counts towards the desired one, that of instances being launched included: each has its weight.
    pub fn active(&self) -> i64 {
        let members: i64 = self.members.iter().filter(|member| member.is_active()).map(|member| member.weight).sum();
        members + self.launching().map(|launch| launch.weight).sum::<i64>()
    }

    /// How much capacity is in service.
    pub(super) fn serving(&self) -> i64 {
        self.members.iter().filter(|member| member.is_in_service()).map(|member| member.weight).sum()
    }

    /// Launches for the group's capacity that EC2 has not answered yet.
    pub(super) fn launching(&self) -> impl Iterator<Item = &PendingLaunch> {
        self.launches.iter().filter(|launch| !launch.into_pool)
    }

    /// Nothing is left of it.
    pub fn is_gone(&self) -> bool {
        self.deleting && self.members.is_empty() && self.launches.is_empty()
    }

    /// Looks at the instances at `time`, unless that happens sooner anyway.
    pub fn look_at(&mut self, time: Timestamp) {
        self.check_due = Some(self.check_due.map_or(time, |due| due.min(time)));
    }

    /// When time alone next changes something.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let actions = self.members.iter().flat_map(|member| &member.actions).map(|action| action.deadline).min();
        let scheduled = self.schedule.values().filter_map(ScheduledAction::deadline).min();
        let predicted = self.prediction_due();
        [self.check_due, self.failures.retry_at, scheduled, predicted, self.metrics_due, self.decide_due, actions]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, cx: &mut Context) {
        if self.check_due.is_some_and(|due| due <= cx.now) {
            self.check_due = None;
            self.follow_drains(cx);
            self.examine_members(cx);
            self.examine_ages(cx);
        }
        self.end_overdue_actions(cx);
        if self.failures.retry_at.is_some_and(|retry| retry <= cx.now) {
            self.failures.retry_at = None;
        }
        self.run_schedule(cx);
        self.predict(cx);
        self.measure(cx);
        if self.decide_due.is_some_and(|due| due <= cx.now) {
            self.decide(cx.now);
        }
        self.turn(cx);
    }

    /// Compares desired with actual, and acts.
    pub fn turn(&mut self, cx: &mut Context) {
        if self.deleting {
            return self.end_all(cx);
        }
        self.replace_members(cx);
        self.replace_risks(cx);
        self.turn_refresh(cx);
        self.turn_zones(cx);
        let wanted = self.wanted();
        let active = self.active();
        self.growth_missing = self.growth_missing.min((wanted - active).max(0));
        if active < wanted {
            self.launch(cx, wanted - active);
        } else {
            self.replacements.clear();
            if active > wanted {
                self.shrink(cx, active - wanted);
                if self.mix_to_launch().is_some_and(|mix| !mix.weights.is_empty()) {
                    // No instance is as small as what is too much.
                    self.reasons.clear();
                }
            } else {
                self.reasons.clear();
            }
        }
        self.turn_pool(cx);
        self.settle_cooldown(cx.now);
    }

    /// How many instances shall be active: what is desired, and what a replacement or a rebalancing adds for a while.
    pub(super) fn wanted(&self) -> i64 {
        self.desired + self.refresh_surge().max(self.replacement_surge()).max(self.rebalancing).max(self.risk_surge())
    }

    /// Launches are tried again at once, as if none had failed.
    pub fn forget_failures(&mut self) {
        self.failures = Failures::default();
    }

    fn settle_cooldown(&mut self, now: Timestamp) {
        match self.cooldown {
            Some(Cooldown::Waiting { seconds }) if self.history.in_progress().is_none() => {
                self.cooldown = Some(Cooldown::Until(now + SignedDuration::from_secs(seconds)));
            }
            Some(Cooldown::Until(end)) if end <= now => self.cooldown = None,
            _ => {}
        }
    }
}
