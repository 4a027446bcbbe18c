//! The target group of a cluster, with its health check and its attributes.
//!
//! AWS reports attributes of one target group a call. They are asked for of every one that stays, also where the stack
//! leaves them alone: a deregistration delay that somebody took away loses requests.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Matcher, ProtocolEnum, TargetGroup as Api, TargetGroupAttribute, TargetTypeEnum,
};

use futures_util::future::try_join_all;

use super::connection::clients_of;
use super::{in_use, network, security_group};
use crate::aws::arn;
use crate::aws::clients::Clients;
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::discover::{ELB_PAGE, found};
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Rows, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::provider::Provider;
use crate::resource::{Output, Resource, Scope, touches};
use crate::stack::model::{Balancing, Cluster, HealthCheck, Stack};
use crate::stack::names;

/// Told where an endpoint lacks all of Elastic Load Balancing.
pub const NO_SERVICE: &str =
    "this endpoint has no Elastic Load Balancing: it counts as empty, the stack needs nothing of it";
/// Attribute → what AWS sets where nothing else is said (ELBv2 API, ModifyTargetGroupAttributes).
const ATTRIBUTES: [(&str, &str); 6] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.enabled", "false"),
    (STICKINESS_TYPE, "lb_cookie"),
    (STICKINESS, "86400"),
];
const STICKINESS_TYPE: &str = "stickiness.type";
const STICKINESS: &str = "stickiness.lb_cookie.duration_seconds";
/// That of the requests; AWS takes it, and HTTP, where nothing else is said.
const HEALTH_CHECK_PORT: &str = "traffic-port";

#[derive(Debug)]
pub struct TargetGroup;

#[derive(Clone, Debug)]
pub struct Desired {
    pub name: String,
    pub port: u16,
    pub vpc: Value,
    pub health_check: HealthCheck,
    pub balancing: Balancing,
}

#[derive(Clone, Debug)]
pub struct Observed {
    group: Api,
    tags: Tags,
    /// Of those that the stack keeps.
    attributes: Attributes,
}

/// Attributes by their names.
pub type Attributes = BTreeMap<String, String>;

/// `cluster.light.target_group`
pub fn address(cluster: &str) -> Address {
    Address::in_cluster(cluster, TargetGroup::KIND)
}

impl Resource for TargetGroup {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "target_group";
    const NOTICED: &'static [&'static str] = &["health_check.port", "health_check.protocol", STICKINESS_TYPE];
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[("name, kind of targets", "AWS cannot change them")];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeTargetGroups>::NEW];
    const REPLACE_ON: &'static [&'static str] = &["port", "protocol", "vpc"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let balanced = scope.stack.clusters.iter().filter(|cluster| scope.stack.balances(cluster));
        let clusters = balanced.map(|cluster| {
            let desired = Desired {
                name: names::target_group(&scope.stack.name, &cluster.name),
                port: cluster.port,
                vpc: network::of(scope).vpc.clone(),
                health_check: cluster.health_check.clone(),
                balancing: cluster.balancing.clone(),
            };
            (address(&cluster.name), desired)
        });
        clusters.collect()
    }

    fn unique_names(stack: &Stack) -> Vec<(&'static str, String)> {
        let name = |cluster: &Cluster| ("target group", names::target_group(&stack.name, &cluster.name));
        stack.clusters.iter().filter(|cluster| stack.balances(cluster)).map(name).collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribeTargetGroups>().iter().filter_map(|group| {
            let arn = group.target_group_arn()?;
            let tags = cloud.tags_of(arn)?.clone();
            let mut told = cloud.all::<DescribeTargetGroupAttributes>().iter();
            let attributes =
                told.find(|(of, _)| of == arn).map(|(_, attributes)| attributes.clone()).unwrap_or_default();
            Some((tags::address(&tags)?, Observed { group: group.clone(), tags, attributes }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let check = &desired.health_check;
        let fields = Fields::default()
            .text("protocol", ProtocolEnum::Http.as_str())
            .text("port", desired.port)
            .value("vpc", desired.vpc.clone())
            .text("health_check.path", &check.path)
            .text("health_check.interval_s", check.interval.as_secs())
            .text("health_check.timeout_s", check.timeout.as_secs())
            .text("health_check.healthy", check.healthy)
            .text("health_check.unhealthy", check.unhealthy)
            .text("health_check.codes", &check.codes);
        special(&attributes(&desired.balancing)).fold(fields, |fields, (name, value)| fields.text(name, value))
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let group = &observed.group;
        let fields = Fields::default()
            .maybe("protocol", group.protocol().map(ProtocolEnum::as_str))
            .maybe("port", group.port())
            .value("vpc", Value::observed(cloud, group.vpc_id().unwrap_or_default()))
            .maybe("health_check.path", group.health_check_path())
            .maybe("health_check.interval_s", group.health_check_interval_seconds())
            .maybe("health_check.timeout_s", group.health_check_timeout_seconds())
            .maybe("health_check.healthy", group.healthy_threshold_count())
            .maybe("health_check.unhealthy", group.unhealthy_threshold_count())
            .maybe("health_check.codes", group.matcher().and_then(|matcher| matcher.http_code()))
            .maybe("health_check.port", group.health_check_port().filter(|port| *port != HEALTH_CHECK_PORT))
            .maybe(
                "health_check.protocol",
                group.health_check_protocol().filter(|it| **it != ProtocolEnum::Http).map(ProtocolEnum::as_str),
            );
        special(&observed.attributes).fold(fields, |fields, (name, value)| fields.text(name, value))
    }

    async fn details(provider: &dyn Provider, scope: &Scope<'_>) -> Result<Option<Rows>, Problem> {
        let clients = clients_of(provider);
        let arns = asked_for(scope);
        let found = try_join_all(arns.iter().map(|arn| attributes_of(clients, arn))).await?;
        Ok(Some(Rows::of::<DescribeTargetGroupAttributes>(Some(found))))
    }

    fn depends_on(_desired: &Desired) -> Vec<Address> {
        vec![security_group::INSTANCES.to_owned()]
    }

    // Its targets are asked through the ways that the security group opens.
    fn delete_after(_observed: &Observed) -> Vec<Address> {
        vec![security_group::INSTANCES.to_owned()]
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.group.target_group_arn().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        match create(context, desired, &desired.name).await? {
            Some(output) => with_attributes(context, desired, output).await,
            // The predecessor that this one replaces has the name; it goes when nothing refers to it any more.
            None => {
                // The spec names a network of the stack's own by its address, which another network may have had.
                let reason = format!("{} {}", context.spec, context.resolve(&desired.vpc)?);
                let name = names::successor(&desired.name, &reason, names::ELB_NAME_CHARACTERS_MAX);
                let output =
                    create(context, desired, &name).await?.ok_or_else(|| tags::not_ours("target group", &name))?;
                with_attributes(context, desired, output).await
            }
        }
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        if touches(changes, &["health_check"]) {
            let check = &desired.health_check;
            let call = context
                .clients()
                .elb
                .modify_target_group()
                .target_group_arn(&output.id)
                .health_check_port(HEALTH_CHECK_PORT)
                .health_check_protocol(ProtocolEnum::Http)
                .health_check_path(&check.path)
                .health_check_interval_seconds(seconds(check.interval))
                .health_check_timeout_seconds(seconds(check.timeout))
                .healthy_threshold_count(check.healthy.into())
                .unhealthy_threshold_count(check.unhealthy.into())
                .matcher(Matcher::builder().http_code(&check.codes).build());
            call.send()
                .await
                .map_err(|error| error.problem("elasticloadbalancing:ModifyTargetGroup", context.address))?;
        }
        if changes.iter().any(|change| ATTRIBUTES.iter().any(|(name, _)| change.path == *name)) {
            set_attributes(context, &output.id, &attributes(&desired.balancing)).await?;
        }
        context.write_elb_tags(&output.id).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let arn = observed.group.target_group_arn().unwrap_or_default();
        let name = observed.group.target_group_name().unwrap_or_default();
        let delete = || async {
            settled(
                context.clients().elb.delete_target_group().target_group_arn(arn).send().await,
                DescribeTargetGroups::NOT_FOUND,
            )
        };
        let users = || in_use::of_target_group(context, arn);
        in_use::delete(context, ("elasticloadbalancing:DeleteTargetGroup", name), delete, users).await
    }
}

/// All attributes that a stack may set, as desired.
fn attributes(balancing: &Balancing) -> Attributes {
    let seconds = |duration: std::time::Duration| duration.as_secs().to_string();
    let mut desired: Attributes =
        ATTRIBUTES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut set = |name: &str, value: String| desired.insert(name.to_owned(), value);
    set("deregistration_delay.timeout_seconds", seconds(balancing.deregistration_delay));
    set("load_balancing.algorithm.type", balancing.algorithm.clone());
    if let Some(slow_start) = balancing.slow_start {
        set("slow_start.duration_seconds", seconds(slow_start));
    }
    if let Some(stay) = balancing.stickiness {
        set("stickiness.enabled", "true".to_owned());
        set(STICKINESS, seconds(stay));
    }
    desired
}

/// Those that are not as AWS sets them by itself. Of what kind a stickiness that is off would be, and how long it would
/// last, does not matter.
fn special(attributes: &Attributes) -> impl Iterator<Item = (&'static str, &str)> {
    let sticky = attributes.get("stickiness.enabled").is_some_and(|enabled| enabled == "true");
    ATTRIBUTES
        .iter()
        .filter_map(move |(name, default)| {
            let value = attributes.get(*name)?;
            (value != default || (*name == STICKINESS && sticky)).then_some((*name, value.as_str()))
        })
        .filter(move |(name, _)| sticky || ![STICKINESS, STICKINESS_TYPE].contains(name))
}

/// The ARNs of the target groups that stay: AWS tells attributes of one a call.
fn asked_for(scope: &Scope<'_>) -> Vec<String> {
    let desired: BTreeSet<_> = TargetGroup::desired(scope).into_iter().map(|(address, _)| address).collect();
    let observed = TargetGroup::observed(scope.cloud).into_iter();
    let asked = observed.filter(|(address, _)| desired.contains(address));
    asked.map(|(_, observed)| TargetGroup::output(&observed).id).collect()
}

async fn attributes_of(clients: &Clients, arn: &str) -> Result<(String, Attributes), Problem> {
    let answer = clients.elb.describe_target_group_attributes().target_group_arn(arn).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if quirks::lacks(&error) => return Ok((arn.to_owned(), Attributes::new())),
        Err(error) => return Err(error.problem("elasticloadbalancing:DescribeTargetGroupAttributes", arn)),
    };
    let attribute = |it: &TargetGroupAttribute| Some((it.key()?.to_owned(), it.value()?.to_owned()));
    Ok((arn.to_owned(), answer.attributes().iter().filter_map(attribute).collect()))
}

/// A new target group has AWS's attributes; those that the stack sets follow in a second call.
async fn with_attributes(context: &ActionContext<'_>, desired: &Desired, output: Output) -> Result<Output, Problem> {
    let attributes = attributes(&desired.balancing);
    if special(&attributes).next().is_some() {
        set_attributes(context, &output.id, &attributes).await?;
    }
    Ok(output)
}

async fn set_attributes(context: &ActionContext<'_>, arn: &str, desired: &Attributes) -> Result<(), Problem> {
    let sticky = desired.get("stickiness.enabled").is_some_and(|enabled| enabled == "true");
    // AWS wants to know of what kind the stickiness is, and nothing about one that is off.
    let attributes =
        desired.iter().filter(|(name, _)| sticky || ![STICKINESS, STICKINESS_TYPE].contains(&name.as_str()));
    let attributes = attributes.map(|(name, value)| TargetGroupAttribute::builder().key(name).value(value).build());
    let request = context.clients().elb.modify_target_group_attributes().target_group_arn(arn);
    let request = request.set_attributes(Some(attributes.collect()));
    context.fresh("elasticloadbalancing:ModifyTargetGroupAttributes", || request.clone().send()).await.map(|_| ())
}

fn seconds(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// `None` where the name is taken by a target group of this stack with other settings.
async fn create(context: &ActionContext<'_>, desired: &Desired, name: &str) -> Result<Option<Output>, Problem> {
    let check = &desired.health_check;
    let vpc = context.resolve(&desired.vpc)?;
    let call = context
        .clients()
        .elb
        .create_target_group()
        .name(name)
        .protocol(ProtocolEnum::Http)
        .port(desired.port.into())
        .vpc_id(&vpc)
        .target_type(TargetTypeEnum::Instance)
        .health_check_path(&check.path)
        .health_check_interval_seconds(seconds(check.interval))
        .health_check_timeout_seconds(seconds(check.timeout))
        .healthy_threshold_count(check.healthy.into())
        .unhealthy_threshold_count(check.unhealthy.into())
        .matcher(Matcher::builder().http_code(&check.codes).build())
        .set_tags(Some(tags::to_elb(&context.tags())));
    match call.send().await {
        Ok(answer) => Ok(answer.target_groups().first().and_then(|group| group.target_group_arn()).map(Output::id)),
        Err(error) if error.is(&["DuplicateTargetGroupName"]) => {
            let found =
                context.appears(|| find(context, name)).await?.ok_or_else(|| tags::not_ours("target group", name))?;
            let arn = found.target_group_arn().unwrap_or_default();
            let tags = tags_of(context.clients(), context.address, arn).await?;
            if tags.get(tags::STACK) != Some(&context.run.stack) {
                return Err(tags::not_ours("target group", name));
            }
            // A call that was answered and lost: the same spec made it.
            let is_same =
                found.vpc_id() == Some(&vpc) && tags.get(tags::SPEC).map(String::as_str) == Some(context.spec);
            Ok(is_same.then(|| Output::id(arn)))
        }
        Err(error) => Err(error.problem("elasticloadbalancing:CreateTargetGroup", context.address)),
    }
}

async fn find(context: &ActionContext<'_>, name: &str) -> Result<Option<Api>, Problem> {
    match context.clients().elb.describe_target_groups().names(name).send().await {
        Ok(answer) => Ok(answer.target_groups.unwrap_or_default().into_iter().next()),
        Err(error) if error.is(DescribeTargetGroups::NOT_FOUND) => Ok(None),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeTargetGroups", context.address)),
    }
}

/// The tags of one resource of Elastic Load Balancing.
///
/// # Errors
/// When the call fails; `about` names the resource.
pub async fn tags_of(clients: &Clients, about: impl AsRef<str>, arn: &str) -> Result<Tags, Problem> {
    let answer = clients.elb.describe_tags().resource_arns(arn).send().await;
    let answer = answer.map_err(|error| error.problem("elasticloadbalancing:DescribeTags", about))?;
    Ok(answer.tag_descriptions().first().map(|row| tags::from_elb(row.tags())).unwrap_or_default())
}

/// The target groups of the region, narrowed to what may be ours and then to our tags.
#[derive(Debug)]
pub struct DescribeTargetGroups;

impl Collection for DescribeTargetGroups {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["TargetGroupNotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.target_group_arn()
    }

    fn refers_to(item: &Api) -> Vec<&str> {
        item.load_balancer_arns().iter().map(String::as_str).collect()
    }

    fn tags(_item: &Api) -> Tagged {
        Tagged::Elsewhere
    }

    fn name(item: &Api) -> Option<&str> {
        item.target_group_name()
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("target group {}", item.target_group_name()?))
    }
}

impl Listing for DescribeTargetGroups {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan, Depth::Status];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let pages = query.clients.elb.describe_target_groups().page_size(ELB_PAGE).into_paginator().items().send();
        let call = "elasticloadbalancing:DescribeTargetGroups";
        found(query, pages.try_collect().await, Stack::has_load_balancer, call)
    }

    fn missed_by(_stack: Option<&Stack>) -> Option<String> {
        Some(NO_SERVICE.to_owned())
    }

    // One that was adopted has a name of its own. It is behind our load balancer, or a group of ours stands behind it,
    // or it is behind none yet.
    fn may_be_ours(item: &Api, cloud: &Snapshot) -> bool {
        let behind = item.load_balancer_arns();
        let is_ours = |name: Option<&str>| name.is_some_and(|name| names::may_be_of(&cloud.stack, name));
        is_ours(item.target_group_name())
            || behind.is_empty()
            || behind.iter().any(|balancer| is_ours(arn::name(balancer)))
            || item.target_group_arn().is_some_and(|arn| !cloud.referrers(arn).is_empty())
    }
}

/// ARN and attributes of those target groups that were asked for them.
#[derive(Debug)]
pub struct DescribeTargetGroupAttributes;

impl Collection for DescribeTargetGroupAttributes {
    type Item = (String, Attributes);

    const OURS_ONLY: bool = false;
}

/// The cluster that has its target group at an address.
pub fn cluster_at(address: &Address) -> Option<String> {
    address.cluster().filter(|_| address.is_only(TargetGroup::KIND)).map(str::to_owned)
}

/// The target groups of a cluster: a replacement that was interrupted leaves two.
pub fn of_cluster<'a>(cloud: &'a Snapshot, cluster: &str) -> impl Iterator<Item = &'a Api> + use<'a> {
    let address = address(cluster);
    let groups = cloud.all::<DescribeTargetGroups>().iter();
    groups
        .filter(move |group| group.target_group_arn().and_then(|arn| cloud.address_of(arn)).as_ref() == Some(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancing(stickiness: Option<u64>) -> Balancing {
        Balancing {
            algorithm: "round_robin".into(),
            stickiness: stickiness.map(std::time::Duration::from_secs),
            slow_start: None,
            deregistration_delay: std::time::Duration::from_secs(300),
        }
    }

    #[test]
    fn attributes_that_are_as_aws_sets_them_are_not_fields() {
        assert_eq!(special(&attributes(&balancing(None))).count(), 0);
        let sticky = attributes(&balancing(Some(86_400)));
        let special: Vec<_> = special(&sticky).collect();
        assert_eq!(special, [("stickiness.enabled", "true"), (STICKINESS, "86400")]);
    }

    #[test]
    fn what_a_stickiness_that_is_off_would_be_is_no_difference() {
        let told = |enabled: &str| {
            let mut told =
                Attributes::from([(STICKINESS.into(), "60".into()), (STICKINESS_TYPE.into(), "app_cookie".into())]);
            told.insert("stickiness.enabled".into(), enabled.into());
            told
        };
        assert_eq!(special(&told("false")).count(), 0);
        assert_eq!(special(&told("true")).count(), 3);
    }
}
