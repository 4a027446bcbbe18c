//! Instance refresh: replaces a group's instances step by step, keeping enough of them ready (aws-semantics §11).
//!
//! `ready − ⌈desired × min⌉` old instances may go at a time; where the upper bound allows more than the desired
//! capacity, that many are launched first. A group too small for its lower bound still replaces one at a time.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::activity::stamp;
use super::configuration::Configuration;
use super::group::{Group, Replacement, ReplacementCause};
use super::health::is_proven;
use super::member::{Lifecycle, Member, Template};
use super::mix::Mix;
use super::process::Process;
use super::refresh::{Exempt, Preferences, Refresh, RefreshStatus, Rollback};
use crate::region::context::Context;

/// AWS gives up after an hour without progress.
const STALLED_SECONDS: i64 = 3_600;
/// How often the alarms of a refresh are looked at.
const ALARMS_EVERY_SECONDS: i64 = 30;

/// What the refresh sees of its group at one moment.
struct View {
    /// Old instances that may be ended now, and how much capacity each is.
    candidates: Vec<(String, i64)>,
    /// In service, and proven where new.
    ready: i64,
    /// Some instance starts or ends.
    moving: bool,
    /// Nothing moves, none is missing, and all in service are ready.
    calm: bool,
}

impl Group {
    pub fn active_refresh(&self) -> Option<&Refresh> {
        self.refreshes.last().filter(|refresh| refresh.status.is_active())
    }

    pub fn active_refresh_mut(&mut self) -> Option<&mut Refresh> {
        self.refreshes.last_mut().filter(|refresh| refresh.status.is_active())
    }

    /// The refresh whose configuration new instances have.
    fn refreshing(&self) -> Option<&Refresh> {
        let new = [RefreshStatus::InProgress, RefreshStatus::Baking];
        self.active_refresh().filter(|refresh| new.contains(&refresh.status))
    }

    /// What new instances are made of.
    pub(super) fn template_to_launch(&self) -> &Template {
        self.refreshing().and_then(|refresh| refresh.wanted.as_ref()).unwrap_or(&self.settings.template)
    }

    /// The launch configuration that new instances are made of, where it is none of a refresh's template.
    pub(super) fn configuration_to_launch(&self) -> Option<&Configuration> {
        let refreshed = self.refreshing().is_some_and(|refresh| refresh.wanted.is_some());
        self.settings.configuration.as_ref().filter(|_| !refreshed)
    }

    /// How new instances are mixed.
    pub(super) fn mix_to_launch(&self) -> Option<&Mix> {
        match self.refreshing().filter(|refresh| refresh.wanted.is_some()) {
            Some(refresh) => refresh.mix.as_ref(),
            None => self.settings.mix.as_ref(),
        }
    }

    /// How many instances above the desired capacity the refresh keeps for now.
    pub(super) fn refresh_surge(&self) -> i64 {
        let Some(refresh) = self.active_refresh().filter(|refresh| refresh.status != RefreshStatus::Cancelling) else {
            return 0;
        };
        let preferences = &refresh.preferences;
        let surge = match preferences.max_healthy {
            None => 0,
            Some(100) => i64::from(at_least(self.desired(), preferences.min_healthy) >= self.desired()),
            Some(max) => at_least(self.desired(), max) - self.desired(),
        };
        surge.min(i64::try_from(refresh.old.len()).unwrap_or(i64::MAX)).max(0)
    }

    pub(super) fn refresh_warmup(&self, preferences: &Preferences) -> i64 {
        preferences.warmup.or(self.settings.warmup_seconds).unwrap_or(self.settings.grace_seconds)
    }

    /// Replaces what may be replaced now, and ends the refresh when it is done or stuck.
    pub(super) fn turn_refresh(&mut self, cx: &mut Context) {
        if self.active_refresh().is_none() {
            return;
        }
        self.forget_replaced(cx.now);
        let view = self.count_done(cx);
        let Some(refresh) = self.active_refresh().cloned() else { return };
        let warmup = self.refresh_warmup(&refresh.preferences);
        if refresh.status == RefreshStatus::Cancelling {
            if !view.moving {
                self.finish_refresh(cx.now, RefreshStatus::Cancelled, None);
            }
            return;
        }
        if self.is_suspended(Process::InstanceRefresh) {
            return;
        }
        if let Some(alarm) = refresh.preferences.alarms.iter().find(|alarm| cx.facts.is_in_alarm(alarm)) {
            return self.fail_refresh(cx.now, &refresh, &format!("The alarm {alarm} is in ALARM."));
        }
        if !refresh.preferences.alarms.is_empty() {
            self.look_at(cx.now + SignedDuration::from_secs(ALARMS_EVERY_SECONDS));
        }
        if self.rests(cx.now, &refresh) {
            return;
        }
        let is_done = refresh.old.is_empty() || refresh.ends_at_checkpoint();
        if is_done && view.ready >= self.desired() && view.calm {
            return self.bake(cx.now, &refresh);
        }
        let stalled = refresh.progressed + SignedDuration::from_secs(STALLED_SECONDS);
        if stalled <= cx.now {
            return self.fail_refresh(cx.now, &refresh, "The instance refresh made no progress for an hour.");
        }
        let mut room = view.ready - at_least(self.desired(), refresh.preferences.min_healthy);
        if room <= 0 && view.calm && self.refresh_surge() == 0 {
            room = 1;
        }
        let replaced = refresh.total.saturating_sub(refresh.old.len());
        let before_rest = refresh.allowed().saturating_sub(replaced);
        for (instance, weight) in view.candidates.into_iter().take(before_rest) {
            // The first may be larger than the room: one at a time goes in any case.
            if room <= 0 {
                break;
            }
            room -= weight;
            let cause = format!(
                "At {} an instance was taken out of service in response to an instance refresh.",
                stamp(cx.now)
            );
            self.end(cx, &instance, cause, true);
            self.replacements.push_back(Replacement { cause: ReplacementCause::Refresh, grows: false });
        }
        self.forget_replaced(cx.now);
        self.look_at(stalled);
        let warm =
            self.members.iter().filter(|member| member.is_in_service()).filter_map(|member| member.warm_at(warmup));
        if let Some(next) = warm.filter(|at| *at > cx.now).min() {
            self.look_at(next);
        }
    }

    /// Drops instances from the list that are gone or going, which is progress, and those that are to be left alone.
    fn forget_replaced(&mut self, now: Timestamp) {
        let Some(refresh) = self.refreshes.last_mut().filter(|refresh| refresh.status.is_active()) else { return };
        let (protected, standby) = (refresh.preferences.protected, refresh.preferences.standby);
        let (before, mut ignored) = (refresh.old.len(), 0);
        refresh.old.retain(|instance| {
            let Some(member) = self.members.iter().find(|member| member.id == *instance) else { return false };
            let is_parked = matches!(member.lifecycle, Lifecycle::Standby | Lifecycle::EnteringStandby);
            let is_ignored = (is_parked && standby == Exempt::Ignore)
                || (member.protected && member.is_in_service() && protected == Exempt::Ignore);
            ignored += usize::from(is_ignored);
            !is_ignored && (member.is_active() || is_parked)
        });
        refresh.total -= ignored;
        if refresh.old.len() + ignored < before {
            refresh.progressed = now;
        }
    }

    /// Counts the replacements that are in service and warm; what is not counts as still to be updated.
    fn count_done(&mut self, cx: &Context) -> View {
        let empty = View { candidates: Vec::new(), ready: 0, moving: false, calm: false };
        let Some(refresh) = self.active_refresh() else { return empty };
        let view = self.view(cx, refresh, self.refresh_warmup(&refresh.preferences));
        let missing = usize::try_from(self.desired() - view.ready).unwrap_or(0);
        if let Some(refresh) = self.active_refresh_mut() {
            let replaced = refresh.total.saturating_sub(refresh.old.len());
            let done = replaced.saturating_sub(missing);
            if done > refresh.done {
                refresh.progressed = cx.now;
            }
            refresh.done = done;
        }
        view
    }

    /// Whether the refresh rests at a checkpoint; begins and ends that.
    fn rests(&mut self, now: Timestamp, refresh: &Refresh) -> bool {
        let checkpoints = &refresh.preferences.checkpoints;
        let is_over = refresh.rests_until.is_some_and(|until| until <= now);
        let reaches = refresh.rests_until.is_none()
            && refresh.status == RefreshStatus::InProgress
            && refresh.checkpoint < checkpoints.len()
            && refresh.done >= refresh.allowed();
        // Nothing is to come after all is replaced: the refresh does not rest there.
        let rests = reaches && !refresh.old.is_empty();
        let until = now + SignedDuration::from_secs(refresh.preferences.checkpoint_delay);
        let Some(active) = self.active_refresh_mut() else { return false };
        if is_over {
            active.rests_until = None;
            active.checkpoint += 1;
            active.progressed = now;
            active.reason = None;
            // What it may do now is worked out with the next checkpoint in mind.
            self.look_at(now);
            return true;
        }
        if rests {
            active.rests_until = Some(until);
            active.reason = Some(format!("Waiting for the checkpoint delay until {}.", stamp(until)));
        }
        let resting = active.rests_until;
        if let Some(until) = resting {
            self.look_at(until);
        }
        resting.is_some()
    }

    /// All is replaced: watches on for the bake time, where there is one, then completes.
    fn bake(&mut self, now: Timestamp, refresh: &Refresh) {
        let bakes = refresh.preferences.bake_seconds > 0 && refresh.status != RefreshStatus::RollbackInProgress;
        let until = refresh.bakes_until.unwrap_or(now + SignedDuration::from_secs(refresh.preferences.bake_seconds));
        if !bakes || until <= now {
            return self.complete_refresh(now, refresh);
        }
        if let Some(active) = self.active_refresh_mut() {
            active.status = RefreshStatus::Baking;
            active.bakes_until = Some(until);
            active.progressed = now;
        }
        self.look_at(until);
    }

    fn view(&self, cx: &Context, refresh: &Refresh, warmup: i64) -> View {
        let load_balancer = self.settings.checks_load_balancer();
        let is_ready = |member: &&Member| {
            let is_old = refresh.old.contains(&member.id);
            let proven = is_old || is_proven(member, cx.facts, cx.now, warmup, load_balancer);
            member.is_in_service() && member.unhealthy_cause.is_none() && proven
        };
        let ready: i64 = self.members.iter().filter(is_ready).map(|member| member.weight).sum();
        let may_end = |member: &&Member| {
            let exempt = member.protected && refresh.preferences.protected != Exempt::Replace;
            let standby = member.lifecycle == Lifecycle::Standby && refresh.preferences.standby == Exempt::Replace;
            refresh.old.contains(&member.id) && (standby || (member.is_in_service() && !exempt))
        };
        let mut candidates: Vec<&Member> = self.members.iter().filter(may_end).collect();
        candidates.sort_by_key(|member| (member.unhealthy_cause.is_none(), member.launched));
        let moves = |member: &Member| {
            member.lifecycle.is_pending() || (member.lifecycle.is_terminating() && !member.lifecycle.is_warmed())
        };
        let moving = self.launching().next().is_some() || self.members.iter().any(moves);
        View {
            candidates: candidates.into_iter().map(|member| (member.id.clone(), member.weight)).collect(),
            ready,
            moving,
            calm: !moving && self.active() >= self.wanted() && ready == self.serving(),
        }
    }

    fn complete_refresh(&mut self, now: Timestamp, refresh: &Refresh) {
        if refresh.status == RefreshStatus::RollbackInProgress {
            return self.finish_refresh(now, RefreshStatus::RollbackSuccessful, None);
        }
        if let Some(wanted) = &refresh.wanted {
            self.settings.template = wanted.clone();
            self.settings.configuration = None;
            self.settings.mix.clone_from(&refresh.mix);
        }
        self.finish_refresh(now, RefreshStatus::Successful, None);
    }

    fn fail_refresh(&mut self, now: Timestamp, refresh: &Refresh, reason: &str) {
        match refresh.status {
            RefreshStatus::RollbackInProgress => {
                self.finish_refresh(now, RefreshStatus::RollbackFailed, Some(reason.to_owned()));
            }
            _ if refresh.preferences.auto_rollback && refresh.wanted.is_some() => self.roll_back(now, reason),
            _ => self.finish_refresh(now, RefreshStatus::Failed, Some(reason.to_owned())),
        }
    }

    fn finish_refresh(&mut self, now: Timestamp, status: RefreshStatus, reason: Option<String>) {
        if let Some(refresh) = self.active_refresh_mut() {
            refresh.status = status;
            refresh.end = Some(now);
            refresh.reason = reason.or_else(|| refresh.reason.take());
        }
    }

    /// Turns an active refresh round: what it has launched is replaced by what the group had before.
    pub fn roll_back(&mut self, now: Timestamp, reason: &str) {
        let members = &self.members;
        let Some(refresh) = self.refreshes.last_mut().filter(|refresh| refresh.status.is_active()) else { return };
        refresh.rollback = Some(Rollback {
            reason: reason.to_owned(),
            start: now,
            percent_before: refresh.percent(),
            left_before: refresh.left(),
        });
        let is_new = |member: &&Member| member.is_active() && !refresh.old.contains(&member.id);
        let new: BTreeSet<String> = members.iter().filter(is_new).map(|member| member.id.clone()).collect();
        refresh.total = new.len();
        refresh.done = 0;
        refresh.old = new;
        // A roll-back stops at no checkpoint.
        (refresh.rests_until, refresh.bakes_until) = (None, None);
        refresh.preferences.checkpoints.clear();
        refresh.status = RefreshStatus::RollbackInProgress;
        refresh.progressed = now;
    }
}

/// `⌈desired × percent⌉`
fn at_least(desired: i64, percent: i64) -> i64 {
    desired.saturating_mul(percent).saturating_add(99) / 100
}
