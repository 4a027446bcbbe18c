//! `down --after` on AWS: when a stack is to be gone, kept by AWS and not by a laptop that sleeps.
//!
//! The expiry is a tag on what carries the stack's tag, so that `status` and `ls` report it on any machine, and a
//! scheduled action that takes every group to zero at that time. AWS has nothing that would end an instance or a load
//! balancer by itself: those stay until somebody runs `down`.

use aws_sdk_ec2::primitives::DateTime;
use jiff::Timestamp;

use super::instances;
use super::load_balancer::DescribeLoadBalancers;
use super::scaling_group;
use super::security_group::DescribeSecurityGroups;
use crate::aws::error::CallError;
use crate::clock;
use crate::cloud::address::Address;
use crate::cloud::expiry;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::tags;
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Operation};
use crate::resource::provider::Expiry;

/// The stack's expiry: the earliest that something carries.
pub fn of(cloud: &Snapshot) -> Option<Timestamp> {
    let instances = instances::present(cloud).map(|instance| tags::from_ec2(instance.tags()));
    let groups = scaling_group::all(cloud).map(|group| tags::from_group(group.tags()));
    let balancers = cloud.all::<DescribeLoadBalancers>().iter();
    let balancers = balancers.filter_map(|balancer| cloud.tags_of(balancer.load_balancer_arn()?).cloned());
    instances.chain(groups).chain(balancers).filter_map(|tags| expiry::read(&tags)).min()
}

/// Reports AWS that everything is to be gone `after` this long.
///
/// # Errors
/// A stack that is not there; a call that fails.
pub async fn set(run: &Operation, at: Timestamp) -> Result<Expiry, Problem> {
    let cloud = run.provider.snapshot(&run.stack, None, Depth::Existence).await?;
    let mark = expiry::tag(at);
    let instances: Vec<_> = instances::present(&cloud).collect();
    let ids = instances.iter().filter_map(|instance| instance.instance_id());
    let ids = ids.chain(cloud.all::<DescribeSecurityGroups>().iter().filter_map(|group| group.group_id()));
    let ids: Vec<_> = ids.map(str::to_owned).collect();
    if ids.is_empty() {
        return Err(Problem::new(
            "The stack is not up",
            format!("nothing carries the tag {}={}", tags::STACK, run.stack),
        )
        .hint("`cloudscale ls` shows the stacks of the region"));
    }
    let context = ActionContext { run, address: &Address::fixed("the stack"), spec: "", tags_to_drop: &[] };
    context.write_ec2_tags(ids, &mark).await?;
    for balancer in cloud.all::<DescribeLoadBalancers>().iter().filter_map(|balancer| balancer.load_balancer_arn()) {
        tags::write_elb(run.clients()?, "load_balancer", balancer, &mark).await?;
    }
    for group in scaling_group::all(&cloud).filter_map(|group| group.auto_scaling_group_name()) {
        note(run, group, at).await?;
    }
    let in_group = |id: Option<&str>| {
        scaling_group::all(&cloud).flat_map(|group| group.instances()).any(|member| member.instance_id() == id)
    };
    let fixed = instances.iter().filter(|instance| !in_group(instance.instance_id())).count();
    Ok(Expiry { at, groups: scaling_group::all(&cloud).count(), instances: fixed })
}

/// Notes an expiry on the groups that were made since it was set, too.
///
/// # Errors
/// A call that fails.
pub async fn keep(run: &Operation, at: Timestamp) -> Result<(), Problem> {
    if at <= clock::now() {
        return Ok(());
    }
    let cloud = run.provider.snapshot(&run.stack, None, Depth::Existence).await?;
    let unaware = scaling_group::all(&cloud).filter(|group| expiry::read(&tags::from_group(group.tags())).is_none());
    for group in unaware.filter_map(|group| group.auto_scaling_group_name()) {
        note(run, group, at).await?;
    }
    Ok(())
}

async fn note(run: &Operation, group: &str, at: Timestamp) -> Result<(), Problem> {
    tags::write_group(run.clients()?, group, group, &expiry::tag(at)).await?;
    to_zero(run, group, at).await
}

async fn to_zero(run: &Operation, group: &str, at: Timestamp) -> Result<(), Problem> {
    let call = run
        .clients()?
        .autoscaling
        .put_scheduled_update_group_action()
        .auto_scaling_group_name(group)
        .scheduled_action_name(format!("{group}{}", expiry::ACTION))
        .start_time(DateTime::from_secs(at.as_second()))
        .min_size(0)
        .max_size(0)
        .desired_capacity(0)
        .send()
        .await;
    call.map(|_| ()).map_err(|error| error.problem("autoscaling:PutScheduledUpdateGroupAction", group))
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{AutoScalingGroup, TagDescription};

    use super::scaling_group::DescribeAutoScalingGroups;
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    #[test]
    fn the_earliest_expiry_counts() {
        let group = |at: &str| {
            let tag = TagDescription::builder().key(expiry::TAG).value(time(at).to_string()).build();
            let ours = TagDescription::builder().key(tags::STACK).value("web").build();
            AutoScalingGroup::builder().tags(tag).tags(ours).build()
        };
        let groups = vec![group("05:00:00"), group("04:00:00"), AutoScalingGroup::builder().build()];
        let cloud = Snapshot::empty("web").with::<DescribeAutoScalingGroups>(groups);
        assert_eq!(of(&cloud), Some(time("04:00:00")));
        assert_eq!(of(&Snapshot::default()), None);
    }
}
