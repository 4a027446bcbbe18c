//! When a policy may act: what warm-up, cooldown and the other policies allow (aws-semantics §2–§4).
//!
//! Out if any policy wants it; in only if every target-tracking policy that may scale in agrees, no instance is warming
//! up, and no policy has just asked for more. An alarm calls again each minute while in ALARM, so each minute is decided afresh.

use jiff::{SignedDuration, Timestamp};

use super::group::{Cooldown, Group};
use super::member::Member;
use super::policy::{Kind, Policy, Proposal, amount_for};
use super::process::Process;
use super::settings::invalid;
use super::tracking::{self, Tracking};
use crate::region::context::Context;
use crate::region::signal::AlarmState;
use crate::region::wire::ApiError;

/// How long a policy's wish stands without a new call of its alarm: a little more than the minute between two calls.
const PROPOSAL_SECONDS: i64 = 90;

/// What makes a policy act.
#[derive(Clone, Copy, Debug)]
pub struct Trigger<'a> {
    /// Completes "At … ⟨reason⟩ changing the desired capacity".
    pub reason: &'a str,
    pub value: Option<f64>,
    pub threshold: f64,
}

impl Group {
    /// The policy's warm-up: its own, else the group's, else the default cooldown.
    pub fn warmup_of(&self, policy: &Policy) -> i64 {
        policy.warmup.or(self.settings.warmup_seconds).unwrap_or(self.settings.cooldown_seconds)
    }

    /// How long a new instance stays out of the group's aggregated metrics: the group's warm-up, else the longest that a
    /// policy sets. The default cooldown, the last resort of a policy, does not hide instances from the metrics.
    pub fn metrics_warmup(&self) -> i64 {
        let of_policies = self.policies.values().filter_map(|policy| policy.warmup).max();
        self.settings.warmup_seconds.or(of_policies).unwrap_or(0)
    }

    /// An alarm calls one of the group's policies.
    pub fn alarm(&mut self, cx: &mut Context, policy: &str, alarm: &AlarmState) {
        let blocked = self.deleting || self.is_suspended(Process::AlarmNotification) || alarm.state != "ALARM";
        let Some(policy) = self.policies.get(policy).filter(|policy| !blocked && policy.enabled).cloned() else {
            return;
        };
        let reason = format!("a monitor alarm {} in state ALARM triggered policy {}", alarm.name, policy.name);
        let trigger = Trigger { reason: &reason, value: alarm.value, threshold: alarm.threshold };
        match &policy.kind {
            Kind::Tracking(tracking) => {
                let outward = alarm.name == tracking.high_alarm;
                if let Some(value) = alarm.value
                    && (outward || tracking.low_alarm.as_ref() == Some(&alarm.name))
                {
                    self.track(cx.now, &policy, tracking, trigger, value, outward);
                }
            }
            // What no step covers, or a cooldown forbids, stays undone; the alarm calls again in a minute.
            _ => drop(self.adjust(cx.now, &policy, trigger, true)),
        }
        self.turn(cx);
    }

    fn track(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        tracking: &Tracking,
        trigger: Trigger,
        value: f64,
        outward: bool,
    ) {
        let warmup = self.warmup_of(policy);
        let counts = |member: &&Member| {
            if tracking.excludes_warming { member.is_warm(now, self.metrics_warmup()) } else { member.is_in_service() }
        };
        let sharing = i64::try_from(self.members.iter().filter(counts).count()).unwrap_or(i64::MAX);
        if sharing == 0 {
            return;
        }
        let capacity = tracking::needed(sharing, value, tracking.target);
        self.propose(now, &policy.name, capacity, outward);
        if outward {
            self.scale_out(now, capacity, trigger.reason, warmup);
        } else if let Some(agreed) = self.agreed_scale_in(now) {
            self.scale_in(now, tracking::cautious(self.desired, agreed), trigger.reason, warmup);
        }
    }

    /// Applies a step or simple policy.
    ///
    /// # Errors
    /// As `ExecutePolicy` answers them: no step for the value, or a cooldown that is honoured.
    pub fn adjust(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        trigger: Trigger,
        honor_cooldown: bool,
    ) -> Result<(), ApiError> {
        let warmup = self.warmup_of(policy);
        match &policy.kind {
            Kind::Tracking(_) => Err(invalid("ExecutePolicy is not supported for target tracking scaling policies.")),
            Kind::Step { adjustment, steps, .. } => {
                let value = trigger.value.ok_or_else(|| {
                    invalid("MetricValue must be specified when executing a policy of type StepScaling")
                })?;
                let amount = amount_for(steps, trigger.threshold, value).ok_or_else(|| {
                    invalid(format!(
                        "No step adjustment found for metric value {value} and breach threshold {}",
                        trigger.threshold
                    ))
                })?;
                // Instances that still warm up are part of this scale-out, not of the capacity that it starts from.
                let base = self.growth_base.filter(|_| self.is_growing(now, warmup)).unwrap_or(self.desired);
                let outward = adjustment.apply(base, amount) > base;
                let capacity = adjustment.apply(if outward { base } else { self.desired }, amount);
                self.propose(now, &policy.name, capacity, outward);
                if outward {
                    self.scale_out(now, capacity, trigger.reason, warmup);
                } else {
                    self.scale_in(now, capacity, trigger.reason, warmup);
                }
                Ok(())
            }
            Kind::Simple { adjustment, amount, cooldown } => {
                if honor_cooldown {
                    self.check_cooldown(now)?;
                }
                let capacity = adjustment.apply(self.desired, *amount);
                if capacity < self.desired && self.wants_more(now, capacity) {
                    return Ok(());
                }
                let before = self.desired;
                self.set_desired(now, capacity, trigger.reason);
                if self.desired != before {
                    let seconds = cooldown.unwrap_or(self.settings.cooldown_seconds);
                    self.cooldown = Some(Cooldown::Waiting { seconds });
                }
                Ok(())
            }
        }
    }

    /// # Errors
    /// `ScalingActivityInProgress` while an activity runs or the cooldown lasts.
    pub fn check_cooldown(&self, now: Timestamp) -> Result<(), ApiError> {
        if let Some(activity) = self.history.in_progress() {
            let message = format!("Scaling activity {} is in progress and blocks this action", activity.id);
            return Err(ApiError::new("ScalingActivityInProgress", message));
        }
        match self.cooldown {
            Some(Cooldown::Until(end)) if end <= now => Ok(()),
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                "ScalingActivityInProgress",
                "The group is in its cooldown period, which blocks this action",
            )),
        }
    }

    fn propose(&mut self, now: Timestamp, policy: &str, capacity: i64, outward: bool) {
        if let Some(policy) = self.policies.get_mut(policy) {
            policy.proposal = Some(Proposal { at: now, capacity, outward });
        }
    }

    fn scale_out(&mut self, now: Timestamp, capacity: i64, reason: &str, warmup: i64) {
        if capacity > self.desired {
            let base = self.growth_base.filter(|_| self.is_growing(now, warmup)).unwrap_or(self.desired);
            self.set_desired(now, capacity, reason);
            self.growth_base = Some(base);
        }
    }

    fn scale_in(&mut self, now: Timestamp, capacity: i64, reason: &str, warmup: i64) {
        if capacity < self.desired && !self.is_warming(now, warmup) && !self.wants_more(now, capacity) {
            self.set_desired(now, capacity, reason);
        }
    }

    /// Some instance is missing, starting or not warm yet.
    fn is_warming(&self, now: Timestamp, warmup: i64) -> bool {
        self.active() < self.desired
            || !self.launches.is_empty()
            || self.members.iter().any(|member| member.is_active() && !member.is_warm(now, warmup))
    }

    /// Instances of an earlier scale-out by a policy still warm up.
    fn is_growing(&self, now: Timestamp, warmup: i64) -> bool {
        self.growth_base.is_some() && self.is_warming(now, warmup)
    }

    fn fresh(&self, now: Timestamp) -> impl Iterator<Item = (&Policy, Option<Proposal>)> {
        let is_fresh = move |proposal: &Proposal| proposal.at + SignedDuration::from_secs(PROPOSAL_SECONDS) >= now;
        let enabled = self.policies.values().filter(|policy| policy.enabled);
        enabled.map(move |policy| (policy, policy.proposal.filter(is_fresh)))
    }

    /// A policy has just asked for more than `capacity`.
    fn wants_more(&self, now: Timestamp, capacity: i64) -> bool {
        self.fresh(now).filter_map(|(_, proposal)| proposal).any(|wish| wish.outward && wish.capacity > capacity)
    }

    /// The largest capacity that the target-tracking policies want, once all that may scale in are ready to.
    fn agreed_scale_in(&self, now: Timestamp) -> Option<i64> {
        let may_scale_in = |policy: &Policy| matches!(&policy.kind, Kind::Tracking(tracking) if tracking.scale_in);
        let wishes = self.fresh(now).filter(|(policy, _)| may_scale_in(policy));
        let wishes: Option<Vec<i64>> =
            wishes.map(|(_, wish)| wish.filter(|wish| !wish.outward).map(|wish| wish.capacity)).collect();
        wishes?.into_iter().max()
    }
}
