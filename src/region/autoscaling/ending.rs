//! How a group shrinks, and how one of its instances ends: out of the target groups, drained, terminated
//! (aws-semantics §1, §8).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::activity::{self, Activity, Status, stamp};
use super::balancing::NOT_OURS;
use super::group::Group;
use super::launching::GROUP_NAME_TAG;
use super::member::{Lifecycle, Member, UnhealthyCause};
use super::notice;
use super::process::Process;
use super::termination::{self, Rules};
use crate::region::context::Context;
use crate::region::signal::{InstanceState, Signal};

impl Group {
    pub(super) fn shrink(&mut self, cx: &mut Context, surplus: i64) {
        if self.is_suspended(Process::Terminate) {
            return;
        }
        // What still starts is counted, but only what serves can go: a group in motion never falls below what it wants.
        let spare = self.serving() - self.wanted();
        let victims = self.choose_victims(cx, surplus.min(spare));
        for victim in &victims {
            let returns = self.takes_back();
            if let Some(member) = self.member_mut(victim) {
                // What the pool takes back is counted as its own from now on.
                member.returns = returns;
            }
        }
        self.end_together(cx, &victims, true);
        let is_candidate = |member: &Member| member.is_active() && !(member.is_in_service() && member.protected);
        if self.active() > self.wanted()
            && !self.protection_noted
            && self.launching().next().is_none()
            && !self.members.iter().any(is_candidate)
        {
            self.protection_noted = true;
            self.note_protection(cx);
        }
    }

    /// Ends instances for being too many, in one activity each with one cause.
    fn end_together(&mut self, cx: &mut Context, victims: &[String], drain: bool) {
        if victims.is_empty() {
            return;
        }
        let from = self.active();
        let ending = victims.iter().filter_map(|id| self.member(id)).filter(|member| member.is_active());
        let to = from - ending.map(|member| member.weight).sum::<i64>();
        let reasons = std::mem::take(&mut self.reasons);
        let difference = format!(
            "At {} an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from {from} to {to}.",
            stamp(cx.now)
        );
        let selected = victims
            .iter()
            .map(|victim| format!("At {} instance {victim} was selected for termination.", stamp(cx.now)));
        let cause = activity::cause(reasons.into_iter().chain([difference]).chain(selected));
        for victim in victims {
            self.end(cx, victim, cause.clone(), drain);
        }
    }

    /// Ends every instance of a group that is being deleted, without waiting for drains.
    pub(super) fn end_all(&mut self, cx: &mut Context) {
        // What waits for a hook waits no longer.
        let waiting: Vec<String> =
            self.members.iter().filter(|it| !it.actions.is_empty()).map(|it| it.id.clone()).collect();
        for instance in waiting {
            self.drop_actions(cx, &instance);
        }
        let is_left =
            |member: &&Member| !(member.lifecycle.is_terminating() || member.lifecycle == Lifecycle::Detaching);
        let left: Vec<String> = self.members.iter().filter(is_left).map(|member| member.id.clone()).collect();
        self.end_together(cx, &left, false);
    }

    /// Instances in service that are not protected, in the order of the termination policies.
    fn choose_victims(&self, cx: &mut Context, surplus: i64) -> Vec<String> {
        let mut candidates: Vec<&Member> =
            self.members.iter().filter(|member| member.is_in_service() && !member.protected).collect();
        let mut zones = self.zones();
        let ours = |zone: &str| self.settings.subnets.iter().any(|subnet| subnet.zone == zone);
        zones.iter_mut().filter(|(zone, _)| !ours(zone)).for_each(|(_, count)| *count += NOT_OURS);
        let mut victims = Vec::new();
        let ids = &mut *cx.ids;
        let mut surplus = surplus;
        loop {
            // "If the decrement is less than the weight, no instance is terminated": capacity never falls below what is desired.
            candidates.retain(|member| member.weight <= surplus);
            let pick = |bound| ids.below(bound);
            let ranks = self.ranks(&victims);
            let rules = Rules {
                policies: &self.settings.termination,
                current: &self.settings.template,
                configuration: self.settings.configuration.as_ref().map(|it| it.name.as_str()),
                ranks: &ranks,
                now: cx.now,
            };
            let Some(victim) = termination::choose(&candidates, &zones, &rules, pick) else {
                break;
            };
            if let Some(count) = zones.get_mut(&victim.zone) {
                *count -= 1;
            }
            surplus -= victim.weight;
            victims.push(victim.id.clone());
            candidates.retain(|candidate| candidate.id != victim.id);
        }
        victims
    }

    /// How a mixed group would rather lose its active instances, but for those that go already; empty without a mix.
    fn ranks(&self, going: &[String]) -> BTreeMap<String, i64> {
        let Some(mix) = &self.settings.mix else { return BTreeMap::new() };
        let staying = self.members.iter().filter(|member| member.is_active() && !going.contains(&member.id));
        mix.ranks(&staying.map(|member| (member.id.as_str(), member.purchase())).collect())
    }

    fn note_protection(&mut self, cx: &mut Context) {
        let text = "Could not scale to desired capacity because all remaining instances are protected from scale-in.";
        let cause = activity::cause(std::mem::take(&mut self.reasons).into_iter().chain([format!(
            "At {} an instance was taken out of service in response to a difference between desired and actual capacity.",
            stamp(cx.now)
        )]));
        self.history.add(Activity {
            id: cx.ids.uuid(),
            description: text.to_owned(),
            cause,
            start: cx.now,
            end: Some(cx.now),
            status: Status::Failed,
            message: Some(text.to_owned()),
            details: "{}".to_owned(),
            of_pool: false,
        });
    }

    /// Begins the end of an instance: out of its target groups, and terminated after the drain when `drain`.
    /// Returns the activity.
    pub fn end(&mut self, cx: &mut Context, instance: &str, cause: String, drain: bool) -> Option<String> {
        let warmup = self.longest_warmup();
        let member = self.members.iter_mut().find(|member| member.id == instance)?;
        // What it was launched for is still to come.
        self.growth_missing += if member.is_growing(cx.now, warmup) { member.weight } else { 0 };
        if let Some(launching) = member.activity.take() {
            self.history.finish(&launching, cx.now, Status::Cancelled, Some("The instance was ended".to_owned()));
        }
        let id = cx.ids.uuid();
        let of_pool = member.lifecycle.is_warmed();
        member.lifecycle = if of_pool { Lifecycle::WarmedTerminating } else { Lifecycle::Terminating };
        member.activity = Some(id.clone());
        let registered = leave_target_groups(cx, member);
        let waits = drain && !registered.is_empty();
        member.actions.clear();
        member.draining = if waits { registered } else { Vec::new() };
        self.history.add(Activity {
            id: id.clone(),
            description: format!("Terminating EC2 instance: {instance}"),
            cause,
            start: cx.now,
            end: None,
            status: if waits { Status::WaitingForConnectionDraining } else { Status::InProgress },
            message: None,
            details: activity::details(&member.subnet, &member.zone),
            of_pool,
        });
        if !waits {
            self.terminate(cx, instance);
        }
        self.look_soon(cx.now);
        Some(id)
    }

    /// Terminates, parks or lets go the instances whose targets have drained.
    pub(super) fn follow_drains(&mut self, cx: &mut Context) {
        let mut drained = Vec::new();
        let mut waiting = false;
        for member in &mut self.members {
            if member.draining.is_empty() {
                continue;
            }
            let id = &member.id;
            member.draining.retain(|arn| cx.facts.target_drains(arn, id));
            if member.draining.is_empty() {
                drained.push((member.id.clone(), member.lifecycle));
            } else {
                waiting = true;
            }
        }
        for (instance, lifecycle) in drained {
            self.drained(cx, instance, lifecycle);
        }
        if waiting {
            self.look_soon(cx.now);
        }
    }

    pub(super) fn drained(&mut self, cx: &mut Context, instance: String, lifecycle: Lifecycle) {
        match lifecycle {
            Lifecycle::Terminating => self.terminate(cx, &instance),
            Lifecycle::EnteringStandby => {
                if let Some(member) = self.member_mut(&instance) {
                    member.lifecycle = Lifecycle::Standby;
                }
                self.finish_move(cx.now, &instance);
            }
            Lifecycle::Detaching => {
                self.finish_move(cx.now, &instance);
                // The propagated tags stay, as on AWS: they are the instance's own since its launch.
                let tags = BTreeMap::from([(GROUP_NAME_TAG.to_owned(), None)]);
                cx.send(Signal::TagInstance { instance: instance.clone(), tags });
                self.members.retain(|member| member.id != instance);
            }
            Lifecycle::Pending
            | Lifecycle::PendingWait
            | Lifecycle::InService
            | Lifecycle::Standby
            | Lifecycle::TerminatingWait
            | Lifecycle::TerminatingProceed => {}
            // What is in the warm pool is no target.
            Lifecycle::WarmedPending
            | Lifecycle::WarmedPendingWait
            | Lifecycle::WarmedPendingProceed
            | Lifecycle::WarmedStopped
            | Lifecycle::WarmedRunning
            | Lifecycle::WarmedTerminating
            | Lifecycle::WarmedTerminatingWait
            | Lifecycle::WarmedTerminatingProceed => {}
        }
    }

    fn finish_move(&mut self, now: Timestamp, instance: &str) {
        if let Some(activity) = self.member_mut(instance).and_then(|member| member.activity.take()) {
            self.history.finish(&activity, now, Status::Successful, None);
        }
    }

    /// EC2 reports an instance's state.
    pub fn instance_state(&mut self, cx: &mut Context, instance: &str, state: InstanceState) {
        let Some(member) = self.member(instance) else { return };
        match (state, member.lifecycle) {
            (InstanceState::Running, Lifecycle::Pending) => self.started(cx, instance),
            (InstanceState::Running, Lifecycle::WarmedPending) => self.started_in_pool(cx, instance),
            (InstanceState::Stopped, Lifecycle::WarmedPendingProceed) => self.stopped_in_pool(cx, instance),
            (InstanceState::Terminated, _) => self.terminated(cx, instance),
            (
                InstanceState::ShuttingDown | InstanceState::Stopping | InstanceState::Stopped,
                Lifecycle::Pending | Lifecycle::PendingWait | Lifecycle::WarmedPending | Lifecycle::WarmedPendingWait,
            )
            | (InstanceState::ShuttingDown, Lifecycle::WarmedPendingProceed) => self.died_pending(cx, instance),
            (
                InstanceState::ShuttingDown | InstanceState::Stopping | InstanceState::Stopped,
                Lifecycle::InService | Lifecycle::WarmedStopped | Lifecycle::WarmedRunning,
            ) => {
                // Acted on at the next look, as every health check is: by then it may be gone altogether.
                self.look_soon(cx.now);
            }
            _ => {}
        }
    }

    /// An instance that dies before it is in service is a failed launch.
    fn died_pending(&mut self, cx: &mut Context, instance: &str) {
        let Some(member) = self.member_mut(instance) else { return };
        let zone = member.zone.clone();
        if let Some(activity) = member.activity.take() {
            let mut message =
                "Instance became unhealthy while waiting for instance to be in InService state.".to_owned();
            // In AWS's words (EC2 Auto Scaling user guide, "Troubleshoot: EC2 instance launch failures").
            if let Some(reason) = cx.facts.instance(instance).and_then(|facts| facts.reason) {
                message = format!("{message} Termination Reason: {reason}");
            }
            self.history.finish(&activity, cx.now, Status::Cancelled, Some(message));
        }
        self.back_off(cx.now, &zone);
        let cause = format!(
            "At {} an instance was taken out of service in response to {}.",
            stamp(cx.now),
            UnhealthyCause::Gone.words()
        );
        self.end(cx, instance, cause, false);
    }

    fn terminated(&mut self, cx: &mut Context, instance: &str) {
        match self.member(instance).map(|member| member.lifecycle) {
            Some(
                Lifecycle::Pending
                | Lifecycle::PendingWait
                | Lifecycle::WarmedPending
                | Lifecycle::WarmedPendingWait
                | Lifecycle::WarmedPendingProceed,
            ) => self.died_pending(cx, instance),
            // The health check marks it, and its replacement follows from that: either process may be suspended.
            Some(Lifecycle::InService) => {
                if !self.is_suspended(Process::HealthCheck)
                    && let Some(member) = self.member_mut(instance)
                {
                    member.unhealthy_cause = Some(UnhealthyCause::Gone);
                }
                return self.look_at(cx.now);
            }
            _ => {}
        }
        let ending = self.member(instance).filter(|member| member.lifecycle.is_terminating());
        let ending = ending.and_then(|member| member.activity.clone());
        self.finish_move(cx.now, instance);
        if let Some(activity) = ending {
            self.notify_end(cx.now, &activity, (notice::TERMINATE, notice::TERMINATE_ERROR));
        }
        self.members.retain(|member| member.id != instance);
    }
}

/// Deregisters an instance from everything it was registered with; returns those target groups.
pub fn leave_target_groups(cx: &mut Context, member: &mut Member) -> Vec<String> {
    let registered = std::mem::take(&mut member.registered);
    for target_group in &registered {
        let instances = vec![member.id.clone()];
        cx.send(Signal::DeregisterTargets { target_group: target_group.clone(), instances });
    }
    registered
}
