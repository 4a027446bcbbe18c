//! Notifications of launches, terminations and waiting instances; `notifying` says when there is one.
//!
//! There is no SNS here. What AWS would send is kept in a list that can be read, as the JSON text that subscribers get
//! (EC2 Auto Scaling user guide, "Amazon SNS notification options" and "Lifecycle hook notification message examples").

use std::collections::VecDeque;

use jiff::Timestamp;

/// Notifications kept over all groups; the oldest go first.
const KEPT_MAX: usize = 1_000;

pub const TYPES: [&str; 5] = [LAUNCH, LAUNCH_ERROR, TERMINATE, TERMINATE_ERROR, TEST];
pub const LAUNCH: &str = "autoscaling:EC2_INSTANCE_LAUNCH";
pub const LAUNCH_ERROR: &str = "autoscaling:EC2_INSTANCE_LAUNCH_ERROR";
pub const TERMINATE: &str = "autoscaling:EC2_INSTANCE_TERMINATE";
pub const TERMINATE_ERROR: &str = "autoscaling:EC2_INSTANCE_TERMINATE_ERROR";
/// Sent once, when notifications are configured.
pub const TEST: &str = "autoscaling:TEST_NOTIFICATION";

/// What was sent, and to whom.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Notification {
    pub time: Timestamp,
    /// The topic's or queue's ARN.
    pub target: String,
    /// JSON.
    pub message: String,
}

/// Newest last.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Sent(VecDeque<Notification>);

impl Sent {
    pub fn add(&mut self, sent: impl IntoIterator<Item = Notification>) {
        self.0.extend(sent);
        let surplus = self.0.len().saturating_sub(KEPT_MAX);
        self.0.drain(..surplus);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Notification> {
        self.0.iter()
    }
}
