//! Instance refresh: replaces a group's instances step by step, keeping enough of them ready (aws-semantics §11).
//!
//! `ready − ⌈desired × min⌉` old instances may go at a time; where the upper bound allows more than the desired capacity,
//! that many are launched first. A group too small for its lower bound still replaces one at a time.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::activity::stamp;
use super::group::{Group, Vacancy, VacancyCause};
use super::health::is_proven;
use super::member::{Lifecycle, Member, Template};
use super::mix::Mix;
use super::process::Process;
use crate::region::context::Context;

/// AWS gives up after an hour without progress.
const STALLED_SECONDS: i64 = 3_600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshStatus {
    InProgress,
    Cancelling,
    RollbackInProgress,
    Successful,
    Failed,
    Cancelled,
    RollbackSuccessful,
    RollbackFailed,
}

impl RefreshStatus {
    pub fn name(self) -> &'static str {
        match self {
            RefreshStatus::InProgress => "InProgress",
            RefreshStatus::Cancelling => "Cancelling",
            RefreshStatus::RollbackInProgress => "RollbackInProgress",
            RefreshStatus::Successful => "Successful",
            RefreshStatus::Failed => "Failed",
            RefreshStatus::Cancelled => "Cancelled",
            RefreshStatus::RollbackSuccessful => "RollbackSuccessful",
            RefreshStatus::RollbackFailed => "RollbackFailed",
        }
    }

    pub fn is_active(self) -> bool {
        matches!(self, RefreshStatus::InProgress | RefreshStatus::Cancelling | RefreshStatus::RollbackInProgress)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub min_healthy: i64,
    /// `None` is AWS's default of 100, which may be violated; an explicit 100 launches first when both bounds cannot hold.
    pub max_healthy: Option<i64>,
    /// Seconds; `None` is the group's default warm-up, else its grace period.
    pub warmup: Option<i64>,
    pub skip_matching: bool,
    pub auto_rollback: bool,
    /// `Wait`, `Ignore` or `Refresh`.
    pub protected: String,
}

#[derive(Clone, Debug)]
pub struct Rollback {
    pub reason: String,
    pub start: Timestamp,
    pub percent_before: i64,
    pub left_before: usize,
}

#[derive(Clone, Debug)]
pub struct Refresh {
    pub id: String,
    pub status: RefreshStatus,
    pub reason: Option<String>,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub preferences: Preferences,
    /// The template that the group has after success.
    pub wanted: Option<Template>,
    /// What it mixes then; of no meaning without `wanted`.
    pub mix: Option<Mix>,
    /// Instances still to be replaced.
    pub old: BTreeSet<String>,
    pub total: usize,
    pub progressed: Timestamp,
    pub rollback: Option<Rollback>,
}

impl Refresh {
    pub fn percent(&self) -> i64 {
        let done = self.total.saturating_sub(self.old.len());
        i64::try_from((done * 100).checked_div(self.total).unwrap_or(100)).unwrap_or(100)
    }
}

/// What the refresh sees of its group at one moment.
struct View {
    /// Old instances that may be ended now.
    candidates: Vec<String>,
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

    /// What new instances are made of.
    pub(super) fn template_to_launch(&self) -> &Template {
        let refreshing = self.active_refresh().filter(|refresh| refresh.status == RefreshStatus::InProgress);
        refreshing.and_then(|refresh| refresh.wanted.as_ref()).unwrap_or(&self.settings.template)
    }

    /// How new instances are mixed.
    pub(super) fn mix_to_launch(&self) -> Option<&Mix> {
        let refreshing = self.active_refresh().filter(|refresh| refresh.status == RefreshStatus::InProgress);
        match refreshing.filter(|refresh| refresh.wanted.is_some()) {
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
        self.forget_replaced(cx.now);
        let Some(refresh) = self.active_refresh().cloned() else { return };
        let warmup = self.refresh_warmup(&refresh.preferences);
        let view = self.view(cx, &refresh, warmup);
        if refresh.status == RefreshStatus::Cancelling {
            if !view.moving {
                self.finish_refresh(cx.now, RefreshStatus::Cancelled, None);
            }
            return;
        }
        if self.is_suspended(Process::InstanceRefresh) {
            return;
        }
        if refresh.old.is_empty() && view.ready >= self.desired() && view.calm {
            return self.complete_refresh(cx.now, &refresh);
        }
        let stalled = refresh.progressed + SignedDuration::from_secs(STALLED_SECONDS);
        if stalled <= cx.now {
            return self.fail_refresh(cx.now, &refresh);
        }
        let mut room = view.ready - at_least(self.desired(), refresh.preferences.min_healthy);
        if room <= 0 && view.calm && self.refresh_surge() == 0 {
            room = 1;
        }
        for instance in view.candidates.into_iter().take(usize::try_from(room).unwrap_or(0)) {
            let cause = format!(
                "At {} an instance was taken out of service in response to an instance refresh.",
                stamp(cx.now)
            );
            self.end(cx, &instance, cause, true);
            self.vacancies.push_back(Vacancy { cause: VacancyCause::Refresh, grows: false });
        }
        self.forget_replaced(cx.now);
        self.look_at(stalled);
        let warm =
            self.members.iter().filter(|member| member.is_in_service()).filter_map(|member| member.warm_at(warmup));
        if let Some(next) = warm.filter(|at| *at > cx.now).min() {
            self.look_at(next);
        }
    }

    /// Drops instances from the list that are gone or going: that is progress.
    fn forget_replaced(&mut self, now: Timestamp) {
        let staying: BTreeSet<String> =
            self.members.iter().filter(|member| member.is_active()).map(|member| member.id.clone()).collect();
        if let Some(refresh) = self.active_refresh_mut() {
            let before = refresh.old.len();
            refresh.old.retain(|instance| staying.contains(instance));
            if refresh.old.len() < before {
                refresh.progressed = now;
            }
        }
    }

    fn view(&self, cx: &Context, refresh: &Refresh, warmup: i64) -> View {
        let load_balancer = self.settings.checks_load_balancer();
        let is_ready = |member: &&Member| {
            let is_old = refresh.old.contains(&member.id);
            let proven = is_old || is_proven(member, cx.facts, cx.now, warmup, load_balancer);
            member.is_in_service() && member.sickness.is_none() && proven
        };
        let ready = self.members.iter().filter(is_ready).count();
        let may_end = |member: &&Member| {
            let spared = member.protected && refresh.preferences.protected != "Refresh";
            member.is_in_service() && refresh.old.contains(&member.id) && !spared
        };
        let mut candidates: Vec<&Member> = self.members.iter().filter(may_end).collect();
        candidates.sort_by_key(|member| (member.sickness.is_none(), member.launched));
        let in_service = self.members.iter().filter(|member| member.is_in_service()).count();
        let moves = |member: &Member| matches!(member.lifecycle, Lifecycle::Pending | Lifecycle::Terminating);
        let moving = !self.launches.is_empty() || self.members.iter().any(moves);
        View {
            candidates: candidates.into_iter().map(|member| member.id.clone()).collect(),
            ready: i64::try_from(ready).unwrap_or(i64::MAX),
            moving,
            calm: !moving && self.active() >= self.wanted() && ready == in_service,
        }
    }

    fn complete_refresh(&mut self, now: Timestamp, refresh: &Refresh) {
        if refresh.status == RefreshStatus::RollbackInProgress {
            return self.finish_refresh(now, RefreshStatus::RollbackSuccessful, None);
        }
        if let Some(wanted) = &refresh.wanted {
            self.settings.template = wanted.clone();
            self.settings.mix.clone_from(&refresh.mix);
        }
        self.finish_refresh(now, RefreshStatus::Successful, None);
    }

    fn fail_refresh(&mut self, now: Timestamp, refresh: &Refresh) {
        let reason = "The instance refresh made no progress for an hour.";
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
            left_before: refresh.old.len(),
        });
        let is_new = |member: &&Member| member.is_active() && !refresh.old.contains(&member.id);
        let new: BTreeSet<String> = members.iter().filter(is_new).map(|member| member.id.clone()).collect();
        refresh.total = new.len();
        refresh.old = new;
        refresh.status = RefreshStatus::RollbackInProgress;
        refresh.progressed = now;
    }
}

/// `⌈desired × percent⌉`
fn at_least(desired: i64, percent: i64) -> i64 {
    desired.saturating_mul(percent).saturating_add(99) / 100
}
