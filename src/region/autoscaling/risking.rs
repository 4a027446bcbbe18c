//! Capacity rebalancing: a spot instance that EC2 recommends to do without is replaced before it is taken away.
//!
//! The successor is launched first, above the desired capacity and if need be above the maximum, by a tenth, at least one;
//! the instance at risk goes when its successor is in service, healthy and warm (user guide, "Use Capacity Rebalancing").
//! Without `CapacityRebalance` it is replaced once it is gone.

use super::activity::stamp;
use super::group::Group;
use super::process::Process;
use crate::region::context::Context;

impl Group {
    /// EC2 recommends to do without an instance.
    pub(super) fn risk(&mut self, cx: &mut Context, instance: &str) {
        if !self.settings.capacity_rebalance {
            return;
        }
        if let Some(member) = self.member_mut(instance) {
            member.at_risk = true;
            self.turn(cx);
        }
    }

    /// Whether an instance at risk is to be replaced.
    fn risks(&self) -> impl Iterator<Item = (&str, i64)> {
        let may = !self.is_suspended(Process::Launch) && !self.is_suspended(Process::Terminate);
        let at_risk = self.members.iter().filter(move |it| may && it.at_risk && it.is_in_service());
        at_risk.filter(|it| it.unhealthy_cause.is_none()).map(|member| (member.id.as_str(), member.weight))
    }

    /// How much is launched above the desired capacity in place of instances at risk.
    pub(super) fn risk_surge(&self) -> i64 {
        self.risks().map(|(_, weight)| weight).sum::<i64>().min((self.desired() / 10).max(1))
    }

    /// Ends the instances at risk whose successors are ready.
    pub(super) fn replace_risks(&mut self, cx: &mut Context) {
        if self.risks().next().is_none() {
            return;
        }
        let stand = self.stand(cx);
        let mut spare = stand.ready - stand.desired;
        let going: Vec<String> = self
            .risks()
            .filter(|(_, weight)| {
                spare -= weight;
                spare >= 0
            })
            .map(|(id, _)| id.to_owned())
            .collect();
        for instance in going {
            let words = "in response to an EC2 instance rebalance recommendation";
            let cause = format!("At {} an instance was taken out of service {words}.", stamp(cx.now));
            self.end(cx, &instance, cause, true);
        }
        if self.risks().next().is_some() {
            // The successor becomes ready with time.
            self.look_soon(cx.now);
        }
    }
}
