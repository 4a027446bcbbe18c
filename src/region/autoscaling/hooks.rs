//! Lifecycle hooks at work: an instance waits between its launch and its service (or its place in the warm pool), and
//! between its drain and its end, until
//! every hook is told to go on or its time is over (aws-semantics §9).
//!
//! `ABANDON` at launch terminates the instance, and another is launched; at the end both results end in termination, but
//! `ABANDON` drops the other hooks. A hook's time can be prolonged by heartbeats, up to 100 times its timeout or 48 hours.

use jiff::{SignedDuration, Timestamp};

use super::activity::{Status, stamp};
use super::group::Group;
use super::hook::{ActionResult, LifecycleAction, Transition};
use super::member::Lifecycle;
use crate::region::context::Context;
use crate::region::signal::{InstanceState, Signal};

impl Group {
    /// Has an instance wait for the hooks of a transition; `false` where there are none.
    pub(super) fn wait_for_hooks(&mut self, cx: &mut Context, instance: &str, transition: Transition) -> bool {
        let mut actions = Vec::new();
        for hook in self.hooks.values().filter(|hook| hook.transition == transition) {
            let deadline = cx.now + SignedDuration::from_secs(hook.heartbeat);
            actions.push(LifecycleAction { hook: hook.name.clone(), token: cx.ids.uuid(), started: cx.now, deadline });
        }
        if actions.is_empty() {
            return false;
        }
        let Some(member) = self.member_mut(instance) else { return false };
        member.actions = actions;
        member.lifecycle = match (transition, member.lifecycle.is_warmed()) {
            (Transition::Launching, false) => Lifecycle::PendingWait,
            (Transition::Launching, true) => Lifecycle::WarmedPendingWait,
            (Transition::Terminating, false) => Lifecycle::TerminatingWait,
            (Transition::Terminating, true) => Lifecycle::WarmedTerminatingWait,
        };
        let (warmed, actions) = (member.lifecycle.is_warmed(), member.actions.clone());
        for action in &actions {
            if let Some(hook) = self.hooks.get(&action.hook).cloned() {
                self.notify_hook(cx.now, &hook, action, instance, warmed);
            }
        }
        self.mark_activity(instance, Status::MidLifecycleAction);
        true
    }

    /// The state of the activity that moves the instance.
    fn mark_activity(&mut self, instance: &str, status: Status) {
        let activity = self.member(instance).and_then(|member| member.activity.clone());
        if let Some(entry) = activity.and_then(|id| self.history.get_mut(&id)) {
            entry.status = status;
        }
    }

    /// Terminates an instance that has left its target groups, or takes it into the warm pool, after its hooks. Those do not
    /// run for one that is gone already, that was never ready, or while the group is deleted by force.
    pub(super) fn terminate(&mut self, cx: &mut Context, instance: &str) {
        let Some(member) = self.member(instance) else { return };
        let warmed = member.lifecycle.is_warmed();
        let was_ready = if warmed { member.prepared.is_some() } else { member.in_service.is_some() };
        let state = cx.facts.instance(instance).map(|facts| facts.state);
        let is_there = state == Some(InstanceState::Running) || (warmed && state == Some(InstanceState::Stopped));
        let waits =
            is_there && was_ready && !self.deleting && self.wait_for_hooks(cx, instance, Transition::Terminating);
        if !waits {
            self.mark_activity(instance, Status::InProgress);
            self.leave_service(cx, instance);
        }
    }

    /// What has passed its hooks goes for good, or into the warm pool.
    fn leave_service(&mut self, cx: &mut Context, instance: &str) {
        let runs = cx.facts.instance(instance).is_some_and(|facts| facts.state == InstanceState::Running);
        let returns = self.member(instance).is_some_and(|member| member.returns);
        // The pool may have gone meanwhile.
        if returns && runs && !self.deleting && self.warm_pool.as_ref().is_some_and(|pool| !pool.deleting) {
            self.return_to_pool(cx, instance);
        } else {
            if let Some(member) = self.member_mut(instance) {
                member.returns = false;
            }
            cx.send(Signal::TerminateInstance { instance: instance.to_owned() });
        }
    }

    /// A hook is done with an instance.
    pub fn complete_action(&mut self, cx: &mut Context, instance: &str, hook: &str, result: ActionResult) {
        let Some(member) = self.member_mut(instance) else { return };
        let Some(index) = member.actions.iter().position(|action| action.hook == hook) else { return };
        let action = member.actions.remove(index);
        if result == ActionResult::Abandon {
            member.actions.clear();
        }
        if !member.actions.is_empty() {
            return;
        }
        match (member.lifecycle, result) {
            (Lifecycle::PendingWait, ActionResult::Continue) => self.enter_service(cx, instance),
            (Lifecycle::WarmedPendingWait, ActionResult::Continue) => self.settle_in_pool(cx, instance),
            (Lifecycle::PendingWait | Lifecycle::WarmedPendingWait, ActionResult::Abandon) => {
                self.abandon_launch(cx, instance, &action.token);
            }
            (Lifecycle::TerminatingWait | Lifecycle::WarmedTerminatingWait, _) => {
                self.proceed_to_terminate(cx, instance);
            }
            _ => {}
        }
    }

    fn abandon_launch(&mut self, cx: &mut Context, instance: &str, token: &str) {
        let activity = self.member_mut(instance).and_then(|member| member.activity.take());
        if let Some(activity) = activity {
            let message = format!(
                "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was abandoned: \
                 Lifecycle Action Completed with ABANDON Result"
            );
            self.history.finish(&activity, cx.now, Status::Failed, Some(message));
        }
        let cause = format!(
            "At {} an instance was taken out of service in response to a launch lifecycle hook that was abandoned.",
            stamp(cx.now)
        );
        self.end(cx, instance, cause, false);
    }

    fn proceed_to_terminate(&mut self, cx: &mut Context, instance: &str) {
        if let Some(member) = self.member_mut(instance) {
            member.lifecycle = match member.lifecycle.is_warmed() {
                false => Lifecycle::TerminatingProceed,
                true => Lifecycle::WarmedTerminatingProceed,
            };
        }
        self.mark_activity(instance, Status::InProgress);
        self.leave_service(cx, instance);
    }

    /// Ends an instance's wait without its hooks' word: the group is deleted by force.
    pub(super) fn drop_actions(&mut self, cx: &mut Context, instance: &str) {
        let Some(member) = self.member_mut(instance) else { return };
        member.actions.clear();
        if matches!(member.lifecycle, Lifecycle::TerminatingWait | Lifecycle::WarmedTerminatingWait) {
            self.proceed_to_terminate(cx, instance);
        }
    }

    /// Actions whose time is over end with their hook's default result.
    pub(super) fn end_overdue_actions(&mut self, cx: &mut Context) {
        let mut overdue = Vec::new();
        for member in &self.members {
            for action in member.actions.iter().filter(|action| action.deadline <= cx.now) {
                // A hook that was deleted meanwhile lets its actions go on.
                let result = self.hooks.get(&action.hook).map_or(ActionResult::Continue, |hook| hook.default_result);
                overdue.push((member.id.clone(), action.hook.clone(), result));
            }
        }
        for (instance, hook, result) in overdue {
            self.complete_action(cx, &instance, &hook, result);
        }
    }

    /// Prolongs an action by its hook's timeout, within the longest that it may last; `false` without such an action.
    pub fn heartbeat(&mut self, now: Timestamp, instance: &str, hook: &str) -> bool {
        let Some(hook) = self.hooks.get(hook).cloned() else { return false };
        let Some(member) = self.member_mut(instance) else { return false };
        let Some(action) = member.actions.iter_mut().find(|action| action.hook == hook.name) else { return false };
        let longest = action.started + SignedDuration::from_secs(hook.longest());
        action.deadline = longest.min(now + SignedDuration::from_secs(hook.heartbeat));
        true
    }
}
