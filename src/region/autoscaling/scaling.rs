//! When a policy may act: what warm-up, cooldown and the other policies allow (aws-semantics §2–§4).
//!
//! An alarm calls its policy each minute while in ALARM, so each minute is decided afresh. What the policies ask for in one
//! moment is collected and then decided together: out if any wants it, to the largest capacity asked for. In only if every
//! target-tracking policy that may scale in agrees, no instance is warming up and no policy has just asked for more; and
//! of several that scale in, the one that keeps the largest capacity wins. Nothing scales in below what a predictive policy
//! expects of the hour.

use jiff::{SignedDuration, Timestamp};

use super::group::{Cooldown, Group};
use super::member::Member;
use super::parameters::invalid;
use super::policy::{Kind, Policy, Recommendation, amount_for};
use super::process::Process;
use super::proposal::{By, Caller, Proposal};
use super::tracking::{self, Tracking};
use crate::region::signal::{AlarmState, AlarmStateValue};
use crate::region::wire::ApiError;

/// How long a policy's recommendation stands without a new call of its alarm: a little more than the minute between two calls.
const RECOMMENDATION_SECONDS: i64 = 90;

impl Group {
    /// The policy's warm-up: its own, else the group's, else the default cooldown.
    pub fn warmup_of(&self, policy: &Policy) -> i64 {
        policy.warmup.or(self.settings.warmup_seconds).unwrap_or(self.settings.cooldown_seconds)
    }

    pub(super) fn longest_warmup(&self) -> i64 {
        self.policies.values().map(|policy| self.warmup_of(policy)).max().unwrap_or(0)
    }

    /// How long a new instance stays out of the group's aggregated metrics: the group's warm-up, else the longest that a
    /// policy sets. The default cooldown, the last resort of a policy, does not hide instances from the metrics.
    pub fn metrics_warmup(&self) -> i64 {
        let of_policies = || self.policies.values().filter_map(|policy| policy.warmup).max();
        self.settings.warmup_seconds.or_else(of_policies).unwrap_or(0)
    }

    /// An alarm calls one of the group's policies.
    ///
    /// # Errors
    /// Why the policy cannot do anything, as the alarm's history tells it.
    pub fn alarm(&mut self, now: Timestamp, policy: &str, alarm: &AlarmState) -> Result<(), ApiError> {
        if self.deleting || self.is_suspended(Process::AlarmNotification) {
            return Err(invalid(format!("The process AlarmNotification of the group {} does not run", self.name)));
        }
        let Some(policy) = self.policies.get(policy) else {
            return Err(invalid(format!("The policy {policy} does not exist")));
        };
        if !policy.enabled {
            return Err(invalid(format!("The policy {} is disabled", policy.name)));
        }
        let caller = Caller::Alarm { name: alarm.name.clone(), state: alarm.state };
        let proposal = match &policy.kind {
            Kind::Tracking(tracking) if alarm.state == AlarmStateValue::Alarm => {
                self.track(now, policy, tracking, caller, alarm)
            }
            Kind::Tracking(_) => None,
            _ => self.adjusted(now, policy, caller, &alarm.datapoints, alarm.threshold, true)?,
        };
        if let Some(proposal) = proposal {
            self.propose(now, proposal);
        }
        // Alarms of the same moment may still be about to call.
        self.decide_due = Some(now);
        Ok(())
    }

    /// A user executes a step or simple policy.
    ///
    /// # Errors
    /// As `ExecutePolicy` answers them: no step for the value, or a cooldown that is honoured.
    pub fn execute(
        &mut self,
        now: Timestamp,
        policy: &str,
        value: Option<f64>,
        threshold: f64,
        honor_cooldown: bool,
    ) -> Result<(), ApiError> {
        let Some(policy) = self.policies.get(policy) else {
            return Err(invalid(format!("The policy {policy} does not exist")));
        };
        let values: Vec<f64> = value.into_iter().collect();
        if let Some(proposal) = self.adjusted(now, policy, Caller::User, &values, threshold, honor_cooldown)? {
            self.propose(now, proposal);
        }
        self.decide(now);
        Ok(())
    }

    /// What a target-tracking policy asks for when one of its two alarms calls.
    fn track(
        &self,
        now: Timestamp,
        policy: &Policy,
        tracking: &Tracking,
        caller: Caller,
        alarm: &AlarmState,
    ) -> Option<Proposal> {
        let value = *alarm.datapoints.last()?;
        let outward = alarm.name == tracking.high_alarm;
        if !outward && tracking.low_alarm.as_ref() != Some(&alarm.name) {
            return None;
        }
        let hidden = self.metrics_warmup();
        let counts = |member: &&Member| {
            if tracking.excludes_warming { member.is_warm(now, hidden) } else { member.is_in_service() }
        };
        let sharing: i64 = self.members.iter().filter(counts).map(|member| member.weight).sum();
        let capacity = match sharing {
            // Nobody shares the metric, and it is above its target: the first instance is launched.
            0 if outward && self.desired() == 0 => 1,
            0 => return None,
            _ => tracking::needed(sharing, value, tracking.target),
        };
        let warmup = self.warmup_of(policy);
        Some(Proposal { policy: policy.name.clone(), capacity, outward, caller, warmup, by: By::Tracking })
    }

    /// What a step or simple policy asks for; nothing where it is to leave the capacity as it is.
    fn adjusted(
        &self,
        now: Timestamp,
        policy: &Policy,
        caller: Caller,
        values: &[f64],
        threshold: f64,
        honor_cooldown: bool,
    ) -> Result<Option<Proposal>, ApiError> {
        let warmup = self.warmup_of(policy);
        let desired = self.desired();
        let (capacity, outward, by) = match &policy.kind {
            Kind::Tracking(_) => {
                return Err(invalid("ExecutePolicy is not supported for target tracking scaling policies."));
            }
            Kind::Predictive(_) => {
                return Err(invalid("ExecutePolicy is not supported for predictive scaling policies."));
            }
            Kind::Step { adjustment, steps, aggregation } => {
                let value = aggregation.of(values).ok_or_else(|| {
                    invalid("MetricValue must be specified when executing a policy of type StepScaling")
                })?;
                let amount = amount_for(steps, threshold, value).ok_or_else(|| no_step(values, threshold))?;
                // Instances that still warm up are part of this scale-out, not of the capacity that it starts from.
                let base = desired - self.growing(now, warmup);
                let outward = adjustment.apply(base, amount) > base;
                (adjustment.apply(if outward { base } else { desired }, amount), outward, By::Step)
            }
            Kind::Simple { adjustment, amount, cooldown } => {
                if honor_cooldown {
                    self.check_cooldown(now)?;
                }
                let capacity = adjustment.apply(desired, *amount);
                let cooldown = cooldown.unwrap_or(self.settings.cooldown_seconds);
                (capacity, capacity > desired, By::Simple { cooldown })
            }
        };
        if capacity == desired {
            return Ok(None);
        }
        Ok(Some(Proposal { policy: policy.name.clone(), capacity, outward, caller, warmup, by }))
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

    fn propose(&mut self, now: Timestamp, proposal: Proposal) {
        if let Some(policy) = self.policies.get_mut(&proposal.policy) {
            policy.recommendation =
                Some(Recommendation { at: now, capacity: proposal.capacity, outward: proposal.outward });
        }
        self.proposals.push(proposal);
    }

    /// Decides about everything that was proposed in this moment.
    pub(super) fn decide(&mut self, now: Timestamp) {
        self.decide_due = None;
        let proposals = std::mem::take(&mut self.proposals);
        let desired = self.desired();
        let out = proposals.iter().filter(|proposal| proposal.outward && proposal.capacity > desired);
        if let Some(largest) = out.max_by_key(|proposal| proposal.capacity) {
            return self.apply(now, largest, largest.capacity);
        }
        let agreed = self.agreed_scale_in(now);
        let floor = self.predicted_floor(now).unwrap_or(0);
        let allowed = |proposal: &Proposal| {
            let capacity = match proposal.by {
                By::Tracking => tracking::cautious(desired, agreed?),
                By::Step | By::Simple { .. } => proposal.capacity,
            };
            let capacity = capacity.max(floor);
            let warms = !matches!(proposal.by, By::Simple { .. }) && self.is_warming(now, proposal.warmup);
            (capacity < desired && !warms && !self.wants_more(now, capacity)).then_some(capacity)
        };
        let inward = proposals.iter().filter(|proposal| !proposal.outward);
        let inward = inward.filter_map(|proposal| Some((proposal, allowed(proposal)?)));
        if let Some((proposal, capacity)) = inward.max_by_key(|(_, capacity)| *capacity) {
            self.apply(now, proposal, capacity);
        }
    }

    fn apply(&mut self, now: Timestamp, proposal: &Proposal, capacity: i64) {
        let before = self.desired();
        if capacity.clamp(self.settings.min, self.settings.max) == before {
            return;
        }
        let reason = proposal.reason();
        match proposal.by {
            By::Tracking | By::Step if capacity > before => self.grow_desired(now, capacity, &reason),
            By::Tracking | By::Step => self.set_desired(now, capacity, &reason),
            By::Simple { cooldown } => {
                self.set_desired(now, capacity, &reason);
                self.cooldown = Some(Cooldown::Waiting { seconds: cooldown });
            }
        }
    }

    /// Some instance is missing, starting or not warm yet.
    fn is_warming(&self, now: Timestamp, warmup: i64) -> bool {
        self.active() < self.desired()
            || self.launching().next().is_some()
            || self.members.iter().any(|member| member.is_active() && !member.is_warm(now, warmup))
    }

    /// How many instances of scale-outs by policies are still to come or warm up.
    fn growing(&self, now: Timestamp, warmup: i64) -> i64 {
        let launches: i64 = self.launches.iter().filter(|launch| launch.grows).map(|launch| launch.weight).sum();
        let growing = self.members.iter().filter(|member| member.is_growing(now, warmup));
        self.growth_missing + launches + growing.map(|member| member.weight).sum::<i64>()
    }

    fn fresh(&self, now: Timestamp) -> impl Iterator<Item = (&Policy, Option<Recommendation>)> {
        let is_fresh = move |recommendation: &Recommendation| {
            recommendation.at + SignedDuration::from_secs(RECOMMENDATION_SECONDS) >= now
        };
        let enabled = self.policies.values().filter(|policy| policy.enabled);
        enabled.map(move |policy| (policy, policy.recommendation.filter(is_fresh)))
    }

    /// A policy has just asked for more than `capacity`.
    fn wants_more(&self, now: Timestamp, capacity: i64) -> bool {
        self.fresh(now)
            .filter_map(|(_, recommendation)| recommendation)
            .any(|recommendation| recommendation.outward && recommendation.capacity > capacity)
    }

    /// The largest capacity that the target-tracking policies want, once all that may scale in are ready to.
    fn agreed_scale_in(&self, now: Timestamp) -> Option<i64> {
        let may_scale_in = |policy: &Policy| matches!(&policy.kind, Kind::Tracking(tracking) if tracking.scale_in);
        let recommendations = self.fresh(now).filter(|(policy, _)| may_scale_in(policy));
        let recommendations: Option<Vec<i64>> = recommendations
            .map(|(_, recommendation)| {
                recommendation
                    .filter(|recommendation| !recommendation.outward)
                    .map(|recommendation| recommendation.capacity)
            })
            .collect();
        recommendations?.into_iter().max()
    }
}

/// As AWS words it, all datapoints named.
fn no_step(values: &[f64], threshold: f64) -> ApiError {
    let shown: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    invalid(format!(
        "No step adjustment found for metric value [{}] and breach threshold {threshold:?}",
        shown.join(", ")
    ))
}
