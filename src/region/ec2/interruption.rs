//! How a spot instance is taken away: a rebalance recommendation, then the notice, two minutes later the end.
//!
//! There is no market here, so it only happens on purpose (`cloudscale chaos interrupt`), as AWS Fault Injection Service does
//! it: the recommendation comes at once, the end after a time of at least two minutes (EC2 user guide, "Spot Instance
//! interruptions"; FIS user guide, `aws:ec2:send-spot-instance-interruptions`).

use jiff::SignedDuration;

use super::instances::{self, Instance, Interruption};
use super::model::Ec2;
use crate::region::context::Context;
use crate::region::signal::Signal;

/// A spot instance will be taken away `after` so long, at least two minutes; nothing for any other instance.
pub fn begin(ec2: &mut Ec2, cx: &mut Context, id: &str, after: SignedDuration) {
    let Some(instance) = ec2.instances.all.get_mut(id).filter(|instance| instance.is_interruptible()) else { return };
    instance.interruption = Some(Interruption::new(cx.now, after));
    cx.send(Signal::RebalanceRecommended { instance: id.to_owned() });
}

/// Takes away what is due.
pub fn advance(ec2: &mut Ec2, cx: &mut Context) {
    let is_due = |it: &&Instance| it.interruption.is_some_and(|interruption| interruption.ends <= cx.now);
    let due: Vec<String> = ec2.instances.all.values().filter(is_due).map(|instance| instance.id.clone()).collect();
    for id in due {
        let reason = ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination");
        instances::terminate(ec2, cx, &id, reason);
    }
}
