//! Health checks: what makes an instance unhealthy (aws-semantics §7).

use jiff::{SignedDuration, Timestamp};

use super::group::Group;
use super::member::{Lifecycle, Member, UnhealthyCause};
use super::process::Process;
use crate::region::context::Context;
use crate::region::facts::Facts;
use crate::region::signal::InstanceState;

/// How long after a change a group looks at its instances again, in seconds. AWS does not publish its interval
/// (observed 30–60 s); a rehearsal should not wait that long.
pub const HEALTH_INTERVAL_SECONDS: i64 = 2;
/// How long status checks may fail before an instance counts as unhealthy: AWS waits "a few minutes" for it to recover.
pub const IMPAIRED_SECONDS: i64 = 180;

/// A look at one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    Healthy,
    Unhealthy(UnhealthyCause),
    /// It fails a check, but has time to recover until then.
    InGrace(Timestamp),
}

/// Looks at an instance in service. `load_balancer` says whether the group's health check type includes ELB.
pub fn examine(member: &Member, facts: &dyn Facts, now: Timestamp, grace_seconds: i64, load_balancer: bool) -> Verdict {
    let Some(instance) = facts.instance(&member.id) else { return Verdict::Unhealthy(UnhealthyCause::Gone) };
    // Not running is a failure even during the grace period.
    if instance.state != InstanceState::Running {
        return Verdict::Unhealthy(UnhealthyCause::Gone);
    }
    let is_unhealthy_target =
        |arn: &String| facts.target_health(arn, &member.id).is_some_and(|health| health.state == "unhealthy");
    let grace = member.in_service.map(|since| since + SignedDuration::from_secs(grace_seconds));
    let until = |end: Option<Timestamp>, unhealthy_cause| match end {
        Some(end) if end > now => Verdict::InGrace(end),
        _ => Verdict::Unhealthy(unhealthy_cause),
    };
    if load_balancer && member.registered.iter().any(is_unhealthy_target) {
        return until(grace, UnhealthyCause::LoadBalancer);
    }
    match instance.impaired_since.map(|since| since + SignedDuration::from_secs(IMPAIRED_SECONDS)) {
        Some(recovers) => until(Some(grace.map_or(recovers, |grace| grace.max(recovers))), UnhealthyCause::StatusCheck),
        None => Verdict::Healthy,
    }
}

/// Whether a new instance has proved itself: warm, and healthy for the load balancer where that counts.
pub fn is_proven(member: &Member, facts: &dyn Facts, now: Timestamp, warmup_seconds: i64, load_balancer: bool) -> bool {
    let serves = |arn: &String| {
        facts.target_health(arn, &member.id).is_some_and(|health| !["initial", "unhealthy"].contains(&&*health.state))
    };
    member.is_warm(now, warmup_seconds) && (!load_balancer || member.registered.iter().all(serves))
}

/// How many of the waiting unhealthy instances may be replaced now: 10 % of the desired capacity at a time, at least
/// one, less those whose replacement is under way.
pub fn replaceable(desired: i64, under_way: usize) -> usize {
    let at_a_time = usize::try_from(desired / 10).unwrap_or(0).max(1);
    at_a_time.saturating_sub(under_way)
}

impl Group {
    /// Looks at the instances after the health interval, unless that happens sooner anyway.
    pub fn look_soon(&mut self, now: Timestamp) {
        self.look_at(now + SignedDuration::from_secs(HEALTH_INTERVAL_SECONDS));
    }

    /// Looks at every instance and marks those that are unhealthy.
    pub(super) fn examine_members(&mut self, cx: &mut Context) {
        let mut look_again = None;
        let mut gone = Vec::new();
        for member in &mut self.members {
            match member.lifecycle {
                // Not even one that is gone is marked while the process is suspended.
                Lifecycle::InService if self.suspended.contains_key(&Process::HealthCheck) => {}
                Lifecycle::InService if member.unhealthy_cause.is_some() => {}
                Lifecycle::InService => {
                    let load_balancer = self.settings.checks_load_balancer();
                    match examine(member, cx.facts, cx.now, self.settings.grace_seconds, load_balancer) {
                        Verdict::Healthy => {}
                        Verdict::Unhealthy(unhealthy_cause) => member.unhealthy_cause = Some(unhealthy_cause),
                        Verdict::InGrace(end) => {
                            look_again = Some(look_again.map_or(end, |first: Timestamp| first.min(end)))
                        }
                    }
                }
                // What EC2 does not know any more will not report its end.
                _ if cx.facts.instance(&member.id).is_none_or(|facts| facts.state == InstanceState::Terminated) => {
                    gone.push(member.id.clone());
                }
                _ => {}
            }
        }
        for instance in gone {
            self.instance_state(cx, &instance, InstanceState::Terminated);
        }
        if let Some(end) = look_again {
            self.look_at(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_group_is_replaced_at_a_time_but_at_least_one() {
        assert_eq!(replaceable(4, 0), 1);
        assert_eq!(replaceable(4, 1), 0);
        assert_eq!(replaceable(30, 1), 2);
    }
}
