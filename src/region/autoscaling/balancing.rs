//! Zone rebalancing: a group whose zones have become uneven launches in the emptiest zone first, and ends one of the
//! fullest when the newcomer is in service (aws-semantics §8).
//!
//! It may exceed its desired capacity, and its maximum, by a tenth, at least one. It begins only where nothing else is
//! under way, and only where what would go is not protected: otherwise it would launch and end the same instance for
//! ever.

use jiff::SignedDuration;

use super::group::Group;
use super::member::Lifecycle;
use super::process::Process;
use crate::region::context::Context;

/// How long a group waits after a launch for the balance failed. AWS does not publish it.
const RETRY_SECONDS: i64 = 900;
/// A zone that is not the group's any more is fuller than any of its own.
pub(super) const NOT_OURS: usize = 1_000_000;

/// How many instances should move to another zone; `zones` has each one's, `ours` the group's zones.
fn moves<'a>(zones: impl Iterator<Item = &'a str> + Clone, ours: impl Iterator<Item = &'a str> + Clone) -> usize {
    let of = |zone: &str| zones.clone().filter(|it| *it == zone).count();
    let outside = zones.clone().filter(|zone| ours.clone().all(|it| it != *zone)).count();
    if outside > 0 {
        return outside;
    }
    let most = ours.clone().map(of).max().unwrap_or(0);
    let least = ours.clone().map(of).min().unwrap_or(0);
    (most - least) / 2
}

impl Group {
    /// Begins a rebalancing, and ends one whose new instances are in service.
    pub(super) fn turn_zones(&mut self, cx: &Context) {
        let settled = self.launching().next().is_none()
            && self
                .members
                .iter()
                .all(|it| it.is_in_service() || it.lifecycle == Lifecycle::Standby || it.lifecycle.is_warmed());
        if self.rebalancing > 0 {
            if self.failures.count > 0 {
                self.rebalancing = 0;
                self.rebalance_after = Some(cx.now + SignedDuration::from_secs(RETRY_SECONDS));
                self.look_at(cx.now + SignedDuration::from_secs(RETRY_SECONDS));
            } else if settled && self.active() >= self.wanted() {
                // Now the fullest zone has too many.
                self.rebalancing = 0;
            }
            return;
        }
        let waits = self.rebalance_after.is_some_and(|after| after > cx.now);
        let busy = !settled
            || self.active() != self.desired()
            || self.active_refresh().is_some()
            || self.members.iter().any(|member| member.unhealthy_cause.is_some() || member.expired);
        if waits || busy || self.is_suspended(Process::AzRebalance) || self.is_suspended(Process::Launch) {
            return;
        }
        self.rebalancing = self.moves().min((self.desired() / 10).max(1));
    }

    fn moves(&self) -> i64 {
        let ours = self.settings.subnets.iter().map(|subnet| subnet.zone.as_str());
        let serving = self.members.iter().filter(|it| it.is_in_service());
        let moves = moves(serving.clone().map(|member| member.zone.as_str()), ours.clone());
        if moves == 0 {
            return 0;
        }
        let fullness = |zone: &str| {
            let count = serving.clone().filter(|member| member.zone == zone).count();
            if ours.clone().any(|it| it == zone) { count } else { NOT_OURS + count }
        };
        let fullest = serving.clone().map(|member| fullness(&member.zone)).max().unwrap_or(0);
        let may_go = serving.clone().filter(|member| !member.protected);
        let may_go = may_go.filter(|member| fullness(&member.zone) == fullest).count();
        i64::try_from(moves.min(may_go)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_uneven_from_a_difference_of_two_on() {
        let count = |zones: &[(&'static str, usize)], ours: &[&'static str]| {
            let each: Vec<&str> = zones.iter().flat_map(|(zone, count)| vec![*zone; *count]).collect();
            moves(each.iter().copied(), ours.iter().copied())
        };
        assert_eq!(count(&[("a", 2), ("b", 1)], &["a", "b"]), 0);
        assert_eq!(count(&[("a", 2)], &["a", "b"]), 1);
        assert_eq!(count(&[("a", 5), ("b", 1)], &["a", "b"]), 2);
        assert_eq!(count(&[("a", 2), ("b", 2)], &["a"]), 2, "b is not the group's any more");
        assert_eq!(count(&[], &["a", "b"]), 0);
    }
}
