//! Replacement of instances that are unhealthy or too old, and how many at a time (aws-semantics §7).
//!
//! Without an instance maintenance policy: 10 % of the desired capacity at a time, at least one, each gone before its
//! successor comes. With one: `MaxHealthyPercentage` above 100 launches successors first, as many above the desired capacity
//! as it allows, and what they replace goes when they are ready or `MinHealthyPercentage` holds without it.

use jiff::SignedDuration;

use super::activity::stamp;
use super::group::{Group, Replacement, ReplacementCause};
use super::health::{is_proven, replaceable};
use super::member::{Member, UnhealthyCause};
use super::process::Process;
use super::settings::Maintenance;
use crate::region::context::Context;
use crate::region::signal::InstanceState;

/// How a group stands while it replaces, in units of capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) desired: i64,
    /// In service, proven and not unhealthy; those that are only too old are among them.
    pub(super) ready: i64,
    /// Started or launched, and not proven yet.
    under_way: i64,
    /// Active in all.
    active: i64,
}

/// How many of so many unhealthy and so many old instances may go now.
fn allowed(policy: Option<Maintenance>, stand: Stand, unhealthy: usize, old: usize) -> (usize, usize) {
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let at_a_time = match policy {
        None => replaceable(stand.desired, count(stand.under_way)),
        Some(policy) if policy.max_healthy <= 100 => {
            count((stand.desired - policy.least(stand.desired)).max(1) - stand.under_way)
        }
        Some(policy) => {
            // Each successor that is ready lets one go, and so does what is ready beyond the least.
            let replaced = count(stand.active - stand.desired - stand.under_way);
            let spare = stand.ready - policy.least(stand.desired);
            let unhealthy = if spare >= 0 { unhealthy } else { unhealthy.min(replaced) };
            let old = old.min(count(spare).max(replaced.saturating_sub(unhealthy)));
            return (unhealthy, old);
        }
    };
    let unhealthy = unhealthy.min(at_a_time);
    (unhealthy, old.min(at_a_time - unhealthy))
}

impl Group {
    /// Marks the instances that are older than the group lets them get.
    pub(super) fn examine_ages(&mut self, cx: &Context) {
        let Some(lifetime) = self.settings.lifetime_seconds else {
            return self.members.iter_mut().for_each(|member| member.expired = false);
        };
        let mut next = None;
        for member in self.members.iter_mut().filter(|member| member.is_in_service()) {
            let end = member.launched + SignedDuration::from_secs(lifetime);
            member.expired = end <= cx.now;
            if !member.expired {
                next = Some(next.map_or(end, |first: jiff::Timestamp| first.min(end)));
            }
        }
        if let Some(next) = next {
            self.look_at(next);
        }
    }

    /// What waits to be replaced: ids of unhealthy instances with the reason, and of old ones, the oldest first.
    fn to_replace(&self) -> (Vec<(String, UnhealthyCause)>, Vec<String>) {
        let in_service = || self.members.iter().filter(|member| member.is_in_service());
        let unhealthy = in_service().filter_map(|member| Some((member.id.clone(), member.unhealthy_cause?)));
        let mut old: Vec<&Member> = in_service().filter(|it| it.expired && it.unhealthy_cause.is_none()).collect();
        old.sort_by_key(|member| member.launched);
        (unhealthy.collect(), old.into_iter().map(|member| member.id.clone()).collect())
    }

    /// How many instances are launched above the desired capacity, to replace others.
    pub(super) fn replacement_surge(&self) -> i64 {
        let Some(policy) = self.settings.maintenance else { return 0 };
        if self.is_suspended(Process::ReplaceUnhealthy) || self.is_suspended(Process::Terminate) {
            return 0;
        }
        let (unhealthy, old) = self.to_replace();
        let waiting = unhealthy.iter().filter(|(_, unhealthy_cause)| !unhealthy_cause.is_urgent()).count() + old.len();
        policy.surge(self.desired()).min(i64::try_from(waiting).unwrap_or(i64::MAX))
    }

    /// Why an instance is launched above the desired capacity.
    pub(super) fn surge_cause(&self) -> Option<ReplacementCause> {
        if self.rebalancing > 0 {
            return Some(ReplacementCause::Balance);
        }
        if self.replacement_surge() > 0 {
            let unhealthy = self.members.iter().any(|it| it.is_in_service() && it.unhealthy_cause.is_some());
            return Some(if unhealthy { ReplacementCause::Unhealthy } else { ReplacementCause::Lifetime });
        }
        let refreshes = self.active_refresh().map(|_| ReplacementCause::Refresh);
        if self.risk_surge() > 0 { Some(ReplacementCause::Risk) } else { refreshes }
    }

    /// Ends unhealthy and old instances, so that `turn` launches their successors: urgent ones at once.
    pub(super) fn replace_members(&mut self, cx: &mut Context) {
        if self.is_suspended(Process::ReplaceUnhealthy) || self.is_suspended(Process::Terminate) {
            return;
        }
        let (unhealthy, old) = self.to_replace();
        let (urgent, waiting): (Vec<_>, Vec<_>) = unhealthy.into_iter().partition(|(_, it)| it.is_urgent());
        for (instance, unhealthy_cause) in urgent {
            self.end_unhealthy(cx, &instance, unhealthy_cause);
        }
        if waiting.is_empty() && old.is_empty() {
            return;
        }
        let (unhealthy, aged) = allowed(self.settings.maintenance, self.stand(cx), waiting.len(), old.len());
        let all_go = unhealthy == waiting.len() && aged == old.len();
        for (instance, unhealthy_cause) in waiting.into_iter().take(unhealthy) {
            self.end_unhealthy(cx, &instance, unhealthy_cause);
        }
        for instance in old.into_iter().take(aged) {
            self.end_old(cx, &instance);
        }
        if !all_go {
            self.look_soon(cx.now);
        }
    }

    pub(super) fn stand(&self, cx: &Context) -> Stand {
        let warmup = self.settings.warmup_seconds.unwrap_or(0);
        let load_balancer = self.settings.checks_load_balancer();
        let proven = |member: &Member| is_proven(member, cx.facts, cx.now, warmup, load_balancer);
        let healthy = || self.members.iter().filter(|it| it.is_active() && it.unhealthy_cause.is_none());
        let launching: i64 = self.launching().map(|launch| launch.weight).sum();
        Stand {
            desired: self.desired(),
            ready: healthy().filter(|member| proven(member)).map(|member| member.weight).sum(),
            under_way: healthy().filter(|member| !proven(member)).map(|member| member.weight).sum::<i64>() + launching,
            active: self.active(),
        }
    }

    fn end_unhealthy(&mut self, cx: &mut Context, instance: &str, unhealthy_cause: UnhealthyCause) {
        let cause = format!(
            "At {} an instance was taken out of service in response to {}.",
            stamp(cx.now),
            unhealthy_cause.words()
        );
        let grows = self.member(instance).is_some_and(|member| member.is_growing(cx.now, self.longest_warmup()));
        self.end(cx, instance, cause, unhealthy_cause != UnhealthyCause::Gone);
        self.replacements.push_back(Replacement { cause: ReplacementCause::Unhealthy, grows });
        // EC2 will not report the end of what has ended already.
        if cx.facts.instance(instance).is_none_or(|facts| facts.state == InstanceState::Terminated) {
            self.instance_state(cx, instance, InstanceState::Terminated);
        }
    }

    fn end_old(&mut self, cx: &mut Context, instance: &str) {
        let cause = format!(
            "At {} an instance was taken out of service in response to the maximum instance lifetime.",
            stamp(cx.now)
        );
        self.end(cx, instance, cause, true);
        self.replacements.push_back(Replacement { cause: ReplacementCause::Lifetime, grows: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(min_healthy: i64, max_healthy: i64) -> Option<Maintenance> {
        Some(Maintenance { min_healthy, max_healthy })
    }

    fn stand(ready: i64, under_way: i64, active: i64) -> Stand {
        Stand { desired: 10, ready, under_way, active }
    }

    #[test]
    fn without_a_policy_a_tenth_goes_at_a_time() {
        assert_eq!(allowed(None, stand(7, 0, 10), 3, 0), (1, 0));
        assert_eq!(allowed(None, stand(7, 1, 10), 2, 0), (0, 0));
        assert_eq!(allowed(None, stand(10, 0, 10), 0, 4), (0, 1));
    }

    /// 80/100: what goes, goes first, up to a fifth at a time; 100/100 is one at a time.
    #[test]
    fn a_policy_up_to_a_hundred_percent_terminates_first() {
        assert_eq!(allowed(policy(80, 100), stand(6, 0, 10), 4, 0), (2, 0));
        assert_eq!(allowed(policy(80, 100), stand(10, 0, 10), 1, 4), (1, 1));
        assert_eq!(allowed(policy(100, 100), stand(10, 0, 10), 0, 4), (0, 1));
        assert_eq!(policy(80, 100).unwrap().surge(10), 0);
    }

    /// 100/120: two are launched above the desired capacity, and two go when those are ready.
    #[test]
    fn a_policy_above_a_hundred_percent_launches_first() {
        let policy = policy(100, 120);
        assert_eq!(policy.unwrap().surge(10), 2);
        assert_eq!(allowed(policy, stand(8, 0, 10), 2, 0), (0, 0), "nothing is ready in their place");
        assert_eq!(allowed(policy, stand(8, 2, 12), 2, 0), (0, 0), "what starts does not serve yet");
        assert_eq!(allowed(policy, stand(10, 0, 12), 2, 0), (2, 0));
        assert_eq!(allowed(policy, stand(0, 0, 10), 10, 0), (0, 0));
        assert_eq!(allowed(policy, stand(2, 0, 12), 10, 0), (2, 0), "one for each successor");
        assert_eq!(allowed(policy, stand(10, 0, 10), 0, 3), (0, 0));
        assert_eq!(allowed(policy, stand(12, 0, 12), 0, 3), (0, 2));
        assert_eq!(Maintenance { min_healthy: 100, max_healthy: 101 }.surge(4), 1, "at least one");
    }
}
