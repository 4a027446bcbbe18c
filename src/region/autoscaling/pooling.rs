//! A group's warm pool at work: it is filled, drawn on, and taken back into (aws-semantics §10).
//!
//! ```text
//! launch → Warmed:Pending → (Warmed:Pending:Wait → Warmed:Pending:Proceed) → Warmed:Stopped or Warmed:Running
//! scale-out:  Warmed:… → Pending → (Pending:Wait) → InService; what the pool lacks is launched cold
//! scale-in with reuse:  InService → Terminating → (Terminating:Wait → Terminating:Proceed) → Warmed:Pending:Proceed → Warmed:…
//! too many, or the pool goes:  Warmed:… → Warmed:Terminating → (Warmed:Terminating:Wait → Warmed:Terminating:Proceed)
//! ```
//!
//! The launch hooks run twice: on the way into the pool, and on the way out of it into service.

use super::activity::{self, Activity, Status, stamp};
use super::group::{Failures, Group};
use super::hook::Transition;
use super::member::{Lifecycle, Member, UnhealthyCause};
use super::process::Process;
use super::warm_pool::PoolState;
use crate::region::context::Context;
use crate::region::signal::{InstanceState, Signal};

impl Group {
    /// Members that are in the pool or on their way into or out of it for good.
    pub fn pooled(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.lifecycle.is_warmed())
    }

    /// How many instances the pool shall have.
    pub fn pool_size_wanted(&self) -> i64 {
        self.warm_pool.as_ref().map_or(0, |pool| pool.size(self.desired(), self.settings.max))
    }

    /// How many it has, those among them that are on their way into it.
    pub fn pool_size(&self) -> i64 {
        let stays =
            |member: &&Member| member.returns || (member.lifecycle.is_warmed() && !member.lifecycle.is_terminating());
        let launches = self.launches.iter().filter(|launch| launch.into_pool).count();
        i64::try_from(self.members.iter().filter(stays).count() + launches).unwrap_or(i64::MAX)
    }

    /// The prepared instance that goes into service next: in the emptiest zone, the one that has waited longest. Not one
    /// that a refresh is about to renew: it would serve in place of those that the refresh replaces.
    pub(super) fn ready_in_pool(&self, cx: &Context) -> Option<String> {
        let (zones, outdated) = (self.zones(), self.outdated(cx));
        let is_current =
            |member: &&Member| outdated.as_ref().is_none_or(|(id, version)| !is_other(member, id, version));
        let ready = self.pooled().filter(|member| member.lifecycle.is_ready()).filter(is_current);
        let key = |member: &&Member| (zones.get(&member.zone).copied().unwrap_or(0), member.prepared);
        ready.min_by_key(key).map(|member| member.id.clone())
    }

    /// Takes a prepared instance into service: it is started where it is stopped, and passes its launch hooks again.
    pub(super) fn draw_from_pool(&mut self, cx: &mut Context, instance: &str, cause: String, grows: bool) {
        let Some(member) = self.members.iter_mut().find(|member| member.id == instance) else { return };
        let stopped = member.lifecycle == Lifecycle::WarmedStopped;
        let id = cx.ids.uuid();
        member.lifecycle = Lifecycle::Pending;
        member.activity = Some(id.clone());
        member.grows = grows;
        self.history.add(Activity {
            id,
            description: format!("Launching a new EC2 instance from warm pool: {instance}"),
            cause,
            start: cx.now,
            end: None,
            status: Status::PreInService,
            message: None,
            details: activity::details(&member.subnet, &member.zone),
            of_pool: false,
        });
        if stopped {
            cx.send(Signal::StartInstance { instance: instance.to_owned() });
        } else {
            self.started(cx, instance);
        }
    }

    /// Launches into the pool what it lacks, and ends what it has too many of.
    pub(super) fn turn_pool(&mut self, cx: &mut Context) {
        let Some(pool) = &self.warm_pool else { return };
        if pool.deleting && self.pooled().next().is_none() && !self.launches.iter().any(|launch| launch.into_pool) {
            self.warm_pool = None;
            return;
        }
        self.examine_pool(cx);
        self.renew_outdated(cx);
        let missing = self.pool_size_wanted() - self.pool_size();
        if missing > 0 {
            self.fill_pool(cx, missing);
        } else if missing < 0 && !self.is_suspended(Process::Terminate) {
            self.shrink_pool(cx, -missing);
        }
    }

    fn fill_pool(&mut self, cx: &mut Context, missing: i64) {
        let from = self.pool_size();
        for _ in 0..self.launches_allowed(cx.now, missing) {
            let cause = format!(
                "At {} an instance was started in response to a difference between desired and actual capacity, \
                 increasing the warm pool capacity from {from} to {}.",
                stamp(cx.now),
                from + missing
            );
            if self.launch_one(cx, cause, false, true).is_none() {
                return;
            }
        }
    }

    /// What is not ready yet goes first, then the oldest.
    fn shrink_pool(&mut self, cx: &mut Context, surplus: i64) {
        let leaves = |member: &&Member| !member.lifecycle.is_terminating();
        let mut there: Vec<&Member> = self.pooled().filter(leaves).collect();
        there.sort_by_key(|member| (member.lifecycle.is_ready(), member.launched));
        let ids: Vec<String> = there.iter().map(|member| member.id.clone()).collect();
        for instance in ids.into_iter().take(usize::try_from(surplus).unwrap_or(0)) {
            let cause = format!(
                "At {} an instance was taken out of service in response to a difference between desired and actual capacity, \
                 shrinking the warm pool capacity.",
                stamp(cx.now)
            );
            self.end(cx, &instance, cause, false);
        }
    }

    /// While an instance refresh runs, the pool has nothing of another version than what is launched now.
    fn renew_outdated(&mut self, cx: &mut Context) {
        if let Some((id, version)) = self.outdated(cx) {
            self.renew_pool(cx, |member| is_other(member, &id, &version));
        }
    }

    /// The launch template, and its version, of which an instance refresh wants everything to be: what is not is outdated.
    fn outdated(&self, cx: &Context) -> Option<(String, String)> {
        if self.active_refresh().is_none() || self.is_suspended(Process::InstanceRefresh) {
            return None;
        }
        let wanted = self.template_to_launch();
        let found = cx.facts.launch_template(&wanted.id, &wanted.version)?;
        Some((found.id.clone(), found.version.to_string()))
    }

    /// Ends such instances of the pool, so that it is filled again: they serve nobody, so all go at once.
    pub(super) fn renew_pool(&mut self, cx: &mut Context, is_old: impl Fn(&Member) -> bool) {
        let old = self.pooled().filter(|member| !member.lifecycle.is_terminating() && is_old(member));
        let old: Vec<String> = old.map(|member| member.id.clone()).collect();
        for instance in old {
            let cause = format!(
                "At {} an instance was taken out of service in response to an instance refresh.",
                stamp(cx.now)
            );
            self.end(cx, &instance, cause, false);
        }
    }

    /// Health checks of the pool: what waits running must run, and what waits stopped must still be there.
    fn examine_pool(&mut self, cx: &mut Context) {
        if self.is_suspended(Process::HealthCheck) || self.is_suspended(Process::ReplaceUnhealthy) {
            return;
        }
        let is_gone = |member: &&Member| {
            let state = cx.facts.instance(&member.id).map(|facts| facts.state);
            match (member.lifecycle, state) {
                (_, None | Some(InstanceState::ShuttingDown | InstanceState::Terminated)) => true,
                (Lifecycle::WarmedRunning, Some(state)) => state != InstanceState::Running,
                _ => false,
            }
        };
        let ready = self.pooled().filter(|member| member.lifecycle.is_ready());
        let gone: Vec<String> = ready.filter(is_gone).map(|member| member.id.clone()).collect();
        for instance in gone {
            let cause = format!(
                "At {} an instance was taken out of service in response to {}.",
                stamp(cx.now),
                UnhealthyCause::Gone.words()
            );
            self.end(cx, &instance, cause, false);
            if cx.facts.instance(&instance).is_none_or(|facts| facts.state == InstanceState::Terminated) {
                self.instance_state(cx, &instance, InstanceState::Terminated);
            }
        }
    }

    /// An instance of the pool runs for the first time: its launch hooks, then to its place.
    pub(super) fn started_in_pool(&mut self, cx: &mut Context, instance: &str) {
        if !self.wait_for_hooks(cx, instance, Transition::Launching) {
            self.settle_in_pool(cx, instance);
        }
    }

    /// Brings a running instance to where the pool keeps its instances.
    pub(super) fn settle_in_pool(&mut self, cx: &mut Context, instance: &str) {
        let state = self.warm_pool.as_ref().map(|pool| pool.state).unwrap_or_default();
        let Some(member) = self.member_mut(instance) else { return };
        match state {
            PoolState::Running => {
                member.lifecycle = Lifecycle::WarmedRunning;
                self.is_prepared(cx, instance);
            }
            PoolState::Stopped => {
                member.lifecycle = Lifecycle::WarmedPendingProceed;
                cx.send(Signal::StopInstance { instance: instance.to_owned() });
            }
        }
    }

    /// EC2 has stopped what was to be stopped.
    pub(super) fn stopped_in_pool(&mut self, cx: &mut Context, instance: &str) {
        if let Some(member) = self.member_mut(instance) {
            member.lifecycle = Lifecycle::WarmedStopped;
        }
        self.is_prepared(cx, instance);
    }

    fn is_prepared(&mut self, cx: &mut Context, instance: &str) {
        let Some(member) = self.member_mut(instance) else { return };
        member.prepared = Some(cx.now);
        if let Some(activity) = member.activity.take() {
            self.history.finish(&activity, cx.now, Status::Successful, None);
        }
        self.failures = Failures::default();
        // A scale-out may wait for it, or the pool may have become too large meanwhile.
        self.look_at(cx.now);
    }

    /// Whether the pool takes back an instance of a group that shrinks.
    pub(super) fn takes_back(&self) -> bool {
        let reuses = self.warm_pool.as_ref().is_some_and(|pool| pool.reuses && !pool.deleting);
        reuses && !self.deleting && self.pool_size() < self.pool_size_wanted()
    }

    /// An instance has left service for the pool.
    pub(super) fn return_to_pool(&mut self, cx: &mut Context, instance: &str) {
        let Some(member) = self.member_mut(instance) else { return };
        member.returns = false;
        member.in_service = None;
        member.unhealthy_cause = None;
        member.protected = false;
        self.settle_in_pool(cx, instance);
    }
}

/// Whether an instance was made of another launch template, or of another version.
fn is_other(member: &Member, id: &str, version: &str) -> bool {
    member.template.as_ref().is_none_or(|made| made.id != id || made.version != version)
}
