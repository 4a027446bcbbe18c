//! A group's scheduled actions at work: each changes the bounds and the desired capacity at its time (aws-semantics §5).

use super::activity::{Activity, Status, stamp};
use super::group::Group;
use super::process::Process;
use super::schedule::{Bounds, ScheduledAction};
use crate::region::context::Context;

impl Group {
    /// Runs the scheduled actions that are due; forgets those that never run again. While the process is suspended,
    /// what is due is missed, not postponed.
    pub(super) fn run_schedule(&mut self, cx: &mut Context) {
        let is_due = |action: &ScheduledAction| action.next.is_some_and(|next| next <= cx.now);
        self.schedule.retain(|_, action| !action.is_over(cx.now));
        let mut due: Vec<ScheduledAction> = self.schedule.values().filter(|action| is_due(action)).cloned().collect();
        due.sort_by_key(|action| action.next);
        for mut action in due {
            if !self.is_suspended(Process::ScheduledActions) {
                self.apply_schedule(cx, action.bounds);
            }
            action.plan(cx.now);
            if action.is_over(cx.now) {
                self.schedule.remove(&action.name);
            } else {
                self.schedule.insert(action.name.clone(), action);
            }
        }
    }

    fn apply_schedule(&mut self, cx: &mut Context, bounds: Bounds) {
        let min = bounds.min.unwrap_or(self.settings.min);
        let max = bounds.max.unwrap_or(self.settings.max);
        let desired = bounds.desired.unwrap_or(self.desired()).clamp(min.min(max), max);
        let reason = format!(
            "a scheduled action update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired}"
        );
        if min > max {
            let message = format!("Max bound, {max}, must be greater than or equal to min bound, {min}");
            return self.history.add(Activity {
                id: cx.ids.uuid(),
                description: "Executing scheduled action".to_owned(),
                cause: format!("At {} {reason}.", stamp(cx.now)),
                start: cx.now,
                end: Some(cx.now),
                status: Status::Failed,
                message: Some(message),
                details: "{}".to_owned(),
                of_pool: false,
            });
        }
        self.settings.min = min;
        self.settings.max = max;
        self.set_desired(cx.now, desired, &reason);
    }
}
