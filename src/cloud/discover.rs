//! Discovery: a fixed handful of paged calls, in parallel, for a stack of any size.
//!
//! EC2 filters by tag. Elastic Load Balancing cannot: its listings are narrowed to our names and then to our tags, twenty
//! resources a call. What hangs below the load balancer follows in a second round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use futures_util::try_join;

use jiff::Timestamp;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::{Filter, Instance, LaunchTemplate, SecurityGroup};
use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, Rule, TargetGroup, TargetHealthDescription};

use super::snapshot::{Snapshot, is_present, tag};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::clock;
use crate::cloud::tags;
use crate::cloud::tags::Tags;
use crate::engine::{deadline, lock};
use crate::problem::Problem;
use crate::resource::context::boot_grace;
use crate::resources::alarm::has_no_cloudwatch;
use crate::stack::names;

/// How many ARNs DescribeTags takes (ELBv2 API).
const ARNS_PER_CALL: usize = 20;
/// How long, and how often, the tags of something listed are asked for while AWS does not know it.
const UNKNOWN_LIMIT: Duration = Duration::from_secs(5);
const UNKNOWN_PAUSE: Duration = Duration::from_millis(200);
/// The largest pages that AWS gives; some endpoints give small ones unasked.
const EC2_PAGE: i32 = 1000;
const ELB_PAGE: i32 = 400;
const AUTOSCALING_PAGE: i32 = 100;
/// DescribeLaunchTemplates gives fewer than the rest of EC2.
const TEMPLATES_PAGE: usize = 200;
/// What the name of a cluster ends in (`stack/language.rs`).
const LAST_CHARACTERS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// Into how many a listing is split that was cut: few enough calls, and rarely twice.
const PARTS: usize = 6;
/// Every name starts with this (`stack/names.rs`).
const NAME_PREFIX: &str = "cs-";
/// A cut name keeps at least this much of the stack's (`stack/names.rs` cuts at 32 and adds a hash of 6).
const NAME_CHARACTERS_KEPT: usize = 24;

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What exists at all: for `down` and its audit.
    Existence,
    /// With listeners, rules, policies, and the health of fleets: for `diff` and `up`. A group looks after its own health.
    Plan,
    /// What serves: load balancers, target groups with the health of every target, instances, groups: for `status`.
    Status,
}

/// Lists everything that carries the tag of `stack`.
///
/// # Errors
/// The first call that fails.
pub async fn discover(clients: &Clients, stack: &str, depth: Depth) -> Result<Snapshot, Problem> {
    let whole = depth != Depth::Status;
    let (instances, security_groups, launch_templates, alarms, load_balancers, target_groups, groups) = try_join!(
        instances(clients, Some(stack)),
        async { if whole { security_groups(clients, stack).await } else { Ok(Vec::new()) } },
        async { if whole { launch_templates(clients, stack).await } else { Ok(Vec::new()) } },
        async { if whole { alarms(clients, stack).await } else { Ok(None) } },
        load_balancers(clients),
        target_groups(clients),
        groups(clients),
    )?;
    let (launch_templates, lock) = lock::set_apart(launch_templates);
    let mut snapshot = Snapshot {
        stack: stack.to_owned(),
        taken: clock::now(),
        boot_grace: boot_grace(clients.provider),
        instances,
        security_groups,
        launch_templates,
        alarms_untold: alarms.is_none(),
        alarms: alarms.unwrap_or_default(),
        lock,
        load_balancers,
        target_groups,
        ..Snapshot::default()
    };
    keep_our_groups(&mut snapshot, groups);
    keep_our_names(&mut snapshot);
    let arns = snapshot.load_balancers.iter().filter_map(|lb| lb.load_balancer_arn().map(str::to_owned));
    let arns =
        arns.chain(snapshot.target_groups.iter().filter_map(|group| group.target_group_arn().map(str::to_owned)));
    let arns = arns.collect();
    snapshot.elb_tags = elb_tags(clients, arns).await?;
    keep_our_tags(&mut snapshot);
    match depth {
        Depth::Existence => {}
        Depth::Plan => complete(clients, &mut snapshot).await?,
        Depth::Status => snapshot.target_health = healths(clients, &snapshot, |_| true).await?,
    }
    Ok(snapshot)
}

/// The health of the targets of some target groups, by ARN.
async fn healths(
    clients: &Clients,
    snapshot: &Snapshot,
    choose: impl Fn(&TargetGroup) -> bool,
) -> Result<BTreeMap<String, Vec<TargetHealthDescription>>, Problem> {
    let chosen = snapshot.target_groups.iter().filter(|group| choose(group));
    let calls = chosen.filter_map(|group| group.target_group_arn()).map(|arn| target_health(clients, arn));
    Ok(try_join_all(calls).await?.into_iter().collect())
}

/// What is asked only of what is known to be ours.
///
/// # Errors
/// The first call that fails.
pub async fn complete(clients: &Clients, snapshot: &mut Snapshot) -> Result<(), Problem> {
    let (below, health, scaling) = try_join!(
        below_load_balancers(clients, snapshot),
        healths(clients, snapshot, |group| has_fleet(snapshot, group)),
        scaling(clients, snapshot)
    )?;
    let (listeners, rules, tags) = below;
    (snapshot.listeners, snapshot.rules) = (listeners, rules);
    snapshot.elb_tags.extend(tags);
    snapshot.target_health = health;
    (snapshot.policies, snapshot.schedules) = scaling;
    Ok(())
}

/// Whether instances of a fleet belong behind the target group: then nobody else watches over them.
fn has_fleet(snapshot: &Snapshot, group: &TargetGroup) -> bool {
    let address = group.target_group_arn().and_then(|arn| snapshot.address_of(arn)).unwrap_or_default();
    let cluster = address.strip_suffix("target_group").unwrap_or(address);
    let fleet = format!("{cluster}instances");
    // One that was adopted may have targets that do not belong.
    if group.target_group_name().is_some_and(|name| !name.starts_with(NAME_PREFIX)) {
        return true;
    }
    snapshot.instances.iter().any(|instance| is_present(instance) && tag(instance, tags::ADDRESS) == Some(&fleet))
}

fn keep_our_groups(snapshot: &mut Snapshot, groups: Vec<AutoScalingGroup>) {
    let ours = |group: &AutoScalingGroup| tags::from_group(group.tags()).get(tags::STACK) == Some(&snapshot.stack);
    let (ours, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(ours);
    // AWS tells a status of those only that are being deleted.
    (snapshot.dying_groups, snapshot.groups) = ours.into_iter().partition(|group| group.status().is_some());
    let names = others.iter().filter_map(|group| group.auto_scaling_group_name().map(str::to_owned));
    snapshot.strangers.extend(names.filter(|name| name.starts_with(NAME_PREFIX)));
}

fn keep_our_names(snapshot: &mut Snapshot) {
    let full = format!("{NAME_PREFIX}{}", snapshot.stack);
    let kept: String = full.chars().take(NAME_CHARACTERS_KEPT).collect();
    let prefix = kept.trim_end_matches('-');
    snapshot.load_balancers.retain(|lb| lb.load_balancer_name().is_some_and(|name| name.starts_with(prefix)));
    // One that was adopted has a name of its own. It is behind our load balancer, or a group of ours stands behind it, or
    // it is behind none yet.
    let Snapshot { load_balancers, target_groups, groups, .. } = snapshot;
    let balanced: BTreeSet<_> = load_balancers.iter().filter_map(|lb| lb.load_balancer_arn()).collect();
    let attached: BTreeSet<_> = groups.iter().flat_map(|group| group.target_group_arns()).map(String::as_str).collect();
    target_groups.retain(|group| {
        let behind = group.load_balancer_arns();
        group.target_group_name().is_some_and(|name| name.starts_with(prefix))
            || behind.is_empty()
            || behind.iter().any(|arn| balanced.contains(arn.as_str()))
            || group.target_group_arn().is_some_and(|arn| attached.contains(arn))
    });
}

fn keep_our_tags(snapshot: &mut Snapshot) {
    let Snapshot { stack, elb_tags, load_balancers, target_groups, strangers, .. } = snapshot;
    let is_ours = |arn: Option<&str>| {
        let tags = arn.and_then(|arn| elb_tags.get(arn));
        tags.is_some_and(|tags| tags.get(tags::STACK) == Some(stack))
    };
    load_balancers.retain(|lb| {
        let keep = is_ours(lb.load_balancer_arn());
        strangers.extend((!keep).then(|| lb.load_balancer_name().unwrap_or_default().to_owned()));
        keep
    });
    target_groups.retain(|group| {
        let keep = is_ours(group.target_group_arn());
        strangers.extend((!keep).then(|| group.target_group_name().unwrap_or_default().to_owned()));
        keep
    });
}

async fn instances(clients: &Clients, stack: Option<&str>) -> Result<Vec<Instance>, Problem> {
    let pages = clients.ec2.describe_instances().filters(filter(stack)).max_results(EC2_PAGE);
    let reservations = pages.into_paginator().items().send().try_collect().await;
    let reservations =
        reservations.map_err(|error| error.problem("ec2:DescribeInstances", stack.unwrap_or("all stacks")))?;
    Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).collect())
}

/// By the value of our tag, or by its being there at all.
pub fn filter(stack: Option<&str>) -> Filter {
    match stack {
        Some(stack) => Filter::builder().name(format!("tag:{}", tags::STACK)).values(stack).build(),
        None => Filter::builder().name("tag-key").values(tags::STACK).build(),
    }
}

async fn security_groups(clients: &Clients, stack: &str) -> Result<Vec<SecurityGroup>, Problem> {
    let pages = clients.ec2.describe_security_groups().filters(filter(Some(stack))).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeSecurityGroups", stack))
}

/// The stack's launch templates, and its lock, which is one too: one listing for both.
///
/// An endpoint that answers with one full page (moto has no second) may have cut the list: then its parts are asked for, by
/// the last character of the cluster's name, until they fit. By name, which it looks up faster than tags.
async fn launch_templates(clients: &Clients, stack: &str) -> Result<Vec<LaunchTemplate>, Problem> {
    let ours = [stack.to_owned(), lock::model::stack_tag(stack)];
    let mut found = BTreeMap::new();
    let mut parts = vec![LAST_CHARACTERS];
    while let Some(ends) = parts.pop() {
        let filter = match ends {
            LAST_CHARACTERS => Filter::builder().name(format!("tag:{}", tags::STACK)).set_values(Some(ours.to_vec())),
            ends => {
                let names = ends.chars().map(|end| names::launch_template(stack, &format!("*{end}")));
                let names = names.chain([names::lock(stack)]).collect();
                Filter::builder().name("launch-template-name").set_values(Some(names))
            }
        };
        let filter = filter.build();
        let call = clients.ec2.describe_launch_templates().filters(filter);
        let call = call.max_results(i32::try_from(TEMPLATES_PAGE).unwrap_or(i32::MAX));
        let pages = call.into_paginator().items().send().try_collect().await;
        let pages = pages.map_err(|error| error.problem("ec2:DescribeLaunchTemplates", stack))?;
        if pages.len() == TEMPLATES_PAGE && ends.len() > 1 {
            let length = ends.len().div_ceil(PARTS);
            parts.extend((0..ends.len()).step_by(length).map(|at| &ends[at..ends.len().min(at + length)]));
        }
        let is_ours = |template: &LaunchTemplate| {
            tags::from_ec2(template.tags()).get(tags::STACK).is_some_and(|stack| ours.contains(stack))
        };
        let listed = pages.into_iter().filter(is_ours);
        found.extend(listed.filter_map(|template| Some((template.launch_template_id()?.to_owned(), template))));
    }
    Ok(found.into_values().collect())
}

async fn load_balancers(clients: &Clients) -> Result<Vec<LoadBalancer>, Problem> {
    let pages = clients.elb.describe_load_balancers().page_size(ELB_PAGE).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("elasticloadbalancing:DescribeLoadBalancers", "the region"))
}

async fn target_groups(clients: &Clients) -> Result<Vec<TargetGroup>, Problem> {
    let pages = clients.elb.describe_target_groups().page_size(ELB_PAGE).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("elasticloadbalancing:DescribeTargetGroups", "the region"))
}

/// All Auto Scaling groups of the region.
///
/// # Errors
/// The first call that fails.
pub async fn groups(clients: &Clients) -> Result<Vec<AutoScalingGroup>, Problem> {
    let pages = clients
        .autoscaling
        .describe_auto_scaling_groups()
        .max_records(AUTOSCALING_PAGE)
        .into_paginator()
        .items()
        .send();
    pages.try_collect().await.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", "the region"))
}

/// One resource that is not known makes AWS refuse the whole call: what is new may be listed before its tags are known, and
/// what is being deleted may be listed after. So these are asked for one by one, and given up after [`UNKNOWN_LIMIT`].
async fn elb_tags(clients: &Clients, arns: Vec<String>) -> Result<BTreeMap<String, Tags>, Problem> {
    let deadline = clock::instant() + UNKNOWN_LIMIT;
    let mut found = Vec::new();
    let mut asked: Vec<Vec<String>> = arns.chunks(ARNS_PER_CALL).map(<[String]>::to_vec).collect();
    while !asked.is_empty() {
        let calls = asked.iter().map(|arns| clients.elb.describe_tags().set_resource_arns(Some(arns.clone())).send());
        let answers = join_all(calls).await;
        let mut unknown = Vec::new();
        for (answer, arns) in answers.into_iter().zip(asked) {
            match answer {
                Ok(answer) => found.extend(answer.tag_descriptions.unwrap_or_default()),
                Err(error) if error.is_unknown() => unknown.push(arns),
                Err(error) => {
                    return Err(error.problem("elasticloadbalancing:DescribeTags", "the stack's load balancer"));
                }
            }
        }
        if unknown.iter().all(|arns| arns.len() == 1) && !unknown.is_empty() {
            if clock::instant() >= deadline {
                break;
            }
            clock::sleep(UNKNOWN_PAUSE).await;
        }
        asked = unknown.into_iter().flatten().map(|arn| vec![arn]).collect();
    }
    Ok(found.into_iter().filter_map(|row| Some((row.resource_arn()?.to_owned(), tags::from_elb(row.tags())))).collect())
}

/// Listeners, rules and their tags.
async fn below_load_balancers(
    clients: &Clients,
    snapshot: &Snapshot,
) -> Result<(Vec<Listener>, Vec<Rule>, BTreeMap<String, Tags>), Problem> {
    let arns = snapshot.load_balancers.iter().filter_map(|lb| lb.load_balancer_arn());
    let listeners = try_join_all(arns.map(|arn| listeners(clients, arn))).await?.concat();
    let rules = try_join_all(listeners.iter().filter_map(|l| l.listener_arn()).map(|arn| rules(clients, arn))).await?;
    let rules: Vec<_> = rules.concat().into_iter().filter(|rule| !rule.is_default().unwrap_or_default()).collect();
    let arns = listeners.iter().filter_map(|listener| listener.listener_arn());
    let arns = arns.chain(rules.iter().filter_map(|rule| rule.rule_arn())).map(str::to_owned).collect();
    let tags = elb_tags(clients, arns).await?;
    Ok((listeners, rules, tags))
}

async fn listeners(clients: &Clients, load_balancer: &str) -> Result<Vec<Listener>, Problem> {
    let pages = clients.elb.describe_listeners().load_balancer_arn(load_balancer).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("elasticloadbalancing:DescribeListeners", load_balancer))
}

async fn rules(clients: &Clients, listener: &str) -> Result<Vec<Rule>, Problem> {
    let pages = clients.elb.describe_rules().listener_arn(listener).page_size(ELB_PAGE).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("elasticloadbalancing:DescribeRules", listener))
}

/// The health of a target group's targets, with its ARN.
pub async fn target_health(
    clients: &Clients,
    target_group: &str,
) -> Result<(String, Vec<TargetHealthDescription>), Problem> {
    let call = clients.elb.describe_target_health().target_group_arn(target_group).send().await;
    match call {
        Ok(answer) => Ok((target_group.to_owned(), answer.target_health_descriptions.unwrap_or_default())),
        Err(error) if error.is(&["TargetGroupNotFound"]) => Ok((target_group.to_owned(), Vec::new())),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeTargetHealth", target_group)),
    }
}

type Scaling =
    (Vec<aws_sdk_autoscaling::types::ScalingPolicy>, Vec<aws_sdk_autoscaling::types::ScheduledUpdateGroupAction>);

/// Policies and scheduled actions; nothing is asked where the stack has no group.
async fn scaling(clients: &Clients, snapshot: &Snapshot) -> Result<Scaling, Problem> {
    if snapshot.groups.is_empty() {
        return Ok(Scaling::default());
    }
    let ours = |name: Option<&str>| snapshot.groups.iter().any(|group| group.auto_scaling_group_name() == name);
    let (mut policies, mut schedules) = try_join!(
        async {
            let pages =
                clients.autoscaling.describe_policies().max_records(AUTOSCALING_PAGE).into_paginator().items().send();
            pages.try_collect().await.map_err(|error| error.problem("autoscaling:DescribePolicies", &snapshot.stack))
        },
        async {
            let pages = clients
                .autoscaling
                .describe_scheduled_actions()
                .max_records(AUTOSCALING_PAGE)
                .into_paginator()
                .items()
                .send();
            let pages = pages.try_collect().await;
            pages.map_err(|error| error.problem("autoscaling:DescribeScheduledActions", &snapshot.stack))
        },
    )?;
    policies.retain(|policy| ours(policy.auto_scaling_group_name()));
    schedules.retain(|action| ours(action.auto_scaling_group_name()));
    Ok((policies, schedules))
}

/// Our own alarms, by their names: they outlive the groups that they scale. `None` where the endpoint has no CloudWatch.
async fn alarms(
    clients: &Clients,
    stack: &str,
) -> Result<Option<Vec<aws_sdk_cloudwatch::types::MetricAlarm>>, Problem> {
    let prefix = format!("{NAME_PREFIX}{stack}--");
    let pages = clients.cloudwatch.describe_alarms().alarm_name_prefix(prefix).into_paginator().send();
    match pages.try_collect().await {
        Ok(pages) => Ok(Some(pages.into_iter().flat_map(|page| page.metric_alarms.unwrap_or_default()).collect())),
        Err(error) if has_no_cloudwatch(&error) => Ok(None),
        Err(error) => Err(error.problem("cloudwatch:DescribeAlarms", stack)),
    }
}

/// The names of all stacks that have something in the region, for `ls`.
///
/// # Errors
/// The first call that fails.
pub async fn stacks(clients: &Clients) -> Result<Vec<StackSummary>, Problem> {
    let groups = async {
        let pages = clients.ec2.describe_security_groups().filters(filter(None)).into_paginator().items().send();
        pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeSecurityGroups", "all stacks"))
    };
    let (groups, instances) = try_join!(groups, instances(clients, None))?;
    let mut found = BTreeMap::<String, StackSummary>::new();
    for group in &groups {
        let mut tags = tags::from_ec2(group.tags());
        if let Some(stack) = tags.remove(tags::STACK) {
            let row = found.entry(stack.clone()).or_insert(StackSummary { stack, instances: 0, down_after: None });
            row.down_after = row.down_after.or(deadline::read(&tags));
        }
    }
    for instance in instances.iter().filter(|instance| is_present(instance)) {
        if let Some(stack) = tag(instance, tags::STACK) {
            let new = || StackSummary { stack: stack.to_owned(), instances: 0, down_after: None };
            found.entry(stack.to_owned()).or_insert_with(new).instances += 1;
        }
    }
    Ok(found.into_values().collect())
}

/// One row of `ls`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StackSummary {
    pub stack: String,
    /// Instances that are not on their way out.
    pub instances: usize,
    /// When it is to be gone, by `cloudscale down --after`.
    pub down_after: Option<Timestamp>,
}
