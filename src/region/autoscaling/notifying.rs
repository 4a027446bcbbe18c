//! What a group tells a topic of its launches and terminations, and a hook's target of the instances that wait for it.

use jiff::Timestamp;

use super::activity::{Activity, Status};
use super::group::Group;
use super::hook::{Hook, LifecycleAction};
use super::notice::{Notification, TEST};
use crate::region::context::ACCOUNT;

impl Group {
    /// Tells every topic that wants to know of `event`.
    pub(super) fn notify(&mut self, now: Timestamp, event: &str, activity: Option<&Activity>) {
        let topics: Vec<String> =
            self.topics.iter().filter(|(_, it)| it.contains(event)).map(|(it, _)| it.clone()).collect();
        for target in topics {
            self.notify_one(now, target, event, activity);
        }
    }

    /// Tells one topic, whatever it wants to know.
    pub(super) fn notify_one(&mut self, now: Timestamp, target: String, event: &str, activity: Option<&Activity>) {
        let mut message = serde_json::json!({
            "Service": "AWS Auto Scaling",
            "Time": now.to_string(),
            "AccountId": ACCOUNT,
            "Event": event,
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.arn,
        });
        if let (Some(activity), Some(fields)) = (activity, message.as_object_mut()) {
            let instance = activity.description.rsplit_once(": ").map(|(_, id)| id).filter(|id| id.starts_with("i-"));
            let details: serde_json::Value = serde_json::from_str(&activity.details).unwrap_or_default();
            fields.extend([
                ("ActivityId".to_owned(), activity.id.clone().into()),
                ("RequestId".to_owned(), activity.id.clone().into()),
                ("Description".to_owned(), activity.description.clone().into()),
                ("Cause".to_owned(), activity.cause.clone().into()),
                ("StartTime".to_owned(), activity.start.to_string().into()),
                ("EndTime".to_owned(), activity.end.map(|end| end.to_string()).into()),
                ("StatusCode".to_owned(), activity.status.code().into()),
                ("StatusMessage".to_owned(), activity.message.clone().unwrap_or_default().into()),
                ("Progress".to_owned(), activity.status.progress().into()),
                ("EC2InstanceId".to_owned(), instance.unwrap_or_default().into()),
                ("Details".to_owned(), details),
            ]);
        }
        self.outbox.push(Notification { time: now, target, message: message.to_string() });
    }

    /// An activity of an instance has ended: its topics hear of it.
    pub(super) fn notify_end(&mut self, now: Timestamp, activity: &str, (success, failure): (&str, &str)) {
        let Some(activity) = self.history.get(activity).cloned() else { return };
        let event = if activity.status == Status::Successful { success } else { failure };
        self.notify(now, event, Some(&activity));
    }

    /// An instance begins to wait for a hook: the hook's target hears of it.
    pub(super) fn notify_hook(
        &mut self,
        now: Timestamp,
        hook: &Hook,
        action: &LifecycleAction,
        instance: &str,
        warmed: bool,
    ) {
        let Some(target) = hook.target.clone() else { return };
        let message = serde_json::json!({
            "Service": "AWS Auto Scaling",
            "Time": now.to_string(),
            "AccountId": ACCOUNT,
            "AutoScalingGroupName": self.name,
            "RequestId": action.token,
            "LifecycleHookName": hook.name,
            "LifecycleActionToken": action.token,
            "LifecycleTransition": hook.transition.name(),
            "EC2InstanceId": instance,
            "NotificationMetadata": hook.metadata,
            "Destination": hook.transition.destination(warmed),
        });
        self.outbox.push(Notification { time: now, target, message: message.to_string() });
    }

    /// A hook's target is tried out when the hook is put (user guide, "Receive the test notification").
    pub(super) fn notify_of_test(&mut self, now: Timestamp, target: &str) {
        self.notify_one(now, target.to_owned(), TEST, None);
    }
}
