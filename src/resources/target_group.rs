//! The target group of a cluster, with its health check.

use aws_sdk_elasticloadbalancingv2::types::{Matcher, ProtocolEnum, TargetGroup as Api, TargetTypeEnum};

use super::fields::{Fields, Value};
use super::tags::{self, Tags};
use super::{Output, Resource, Scope, foreign, in_cluster, security_group, touches};
use crate::aws::error::CallError;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::task::Task;
use crate::problem::Problem;
use crate::stack::model::HealthCheck;
use crate::stack::names;

/// Still referred to by a listener that is being deleted.
const IN_USE: &[&str] = &["ResourceInUse"];

#[derive(Debug)]
pub struct TargetGroup;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub port: u16,
    pub vpc: Value,
    pub health_check: HealthCheck,
}

#[derive(Clone, Debug)]
pub struct Live {
    group: Api,
    tags: Tags,
}

impl Resource for TargetGroup {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "target_group";
    const REPLACE_ON: &'static [&'static str] = &["port", "protocol", "vpc"];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let clusters = scope.stack.clusters.iter().map(|cluster| {
            let wanted = Wanted {
                name: names::target_group(&scope.stack.name, &cluster.name),
                port: cluster.port,
                vpc: scope.network.vpc.clone(),
                health_check: cluster.health_check.clone(),
            };
            (in_cluster(&cluster.name, Self::KIND), wanted)
        });
        clusters.collect()
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.target_groups.iter().filter_map(|group| {
            let tags = cloud.tags_of(group.target_group_arn()?)?.clone();
            Some((tags.get(tags::ADDRESS)?.clone(), Live { group: group.clone(), tags }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        let check = &wanted.health_check;
        Fields::default()
            .text("protocol", ProtocolEnum::Http.as_str())
            .text("port", wanted.port)
            .value("vpc", wanted.vpc.clone())
            .text("health_check.path", &check.path)
            .text("health_check.interval_s", check.interval.as_secs())
            .text("health_check.timeout_s", check.timeout.as_secs())
            .text("health_check.healthy", check.healthy)
            .text("health_check.unhealthy", check.unhealthy)
            .text("health_check.codes", &check.codes)
    }

    fn observe(live: &Live, cloud: &Snapshot) -> Fields {
        let group = &live.group;
        Fields::default()
            .maybe("protocol", group.protocol().map(ProtocolEnum::as_str))
            .maybe("port", group.port())
            .value("vpc", cloud.reference(group.vpc_id().unwrap_or_default()))
            .maybe("health_check.path", group.health_check_path())
            .maybe("health_check.interval_s", group.health_check_interval_seconds())
            .maybe("health_check.timeout_s", group.health_check_timeout_seconds())
            .maybe("health_check.healthy", group.healthy_threshold_count())
            .maybe("health_check.unhealthy", group.unhealthy_threshold_count())
            .maybe("health_check.codes", group.matcher().and_then(|matcher| matcher.http_code()))
    }

    fn after(_wanted: &Wanted) -> Vec<String> {
        vec![security_group::INSTANCES.to_owned()]
    }

    // Its targets are asked through the ways that the security group opens.
    fn stands_on(_live: &Live) -> Vec<String> {
        vec![security_group::INSTANCES.to_owned()]
    }

    fn output(live: &Live) -> Output {
        Output::id(live.group.target_group_arn().unwrap_or_default())
    }

    fn tags(live: &Live) -> Option<&Tags> {
        Some(&live.tags)
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        match create(task, wanted, &wanted.name).await? {
            Some(output) => Ok(output),
            // The predecessor that this one replaces has the name; it goes when nothing refers to it any more.
            None => {
                let name = names::successor(&wanted.name, task.spec, names::ELB_NAME_CHARACTERS_MAX);
                create(task, wanted, &name).await?.ok_or_else(|| foreign("target group", &name))
            }
        }
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, live: &Live, changes: &[FieldChange]) -> Result<Output, Problem> {
        let output = Self::output(live);
        if touches(changes, &["health_check"]) {
            let check = &wanted.health_check;
            let call = task
                .clients()
                .elb
                .modify_target_group()
                .target_group_arn(&output.id)
                .health_check_path(&check.path)
                .health_check_interval_seconds(seconds(check.interval))
                .health_check_timeout_seconds(seconds(check.timeout))
                .healthy_threshold_count(check.healthy.into())
                .unhealthy_threshold_count(check.unhealthy.into())
                .matcher(Matcher::builder().http_code(&check.codes).build());
            call.send().await.map_err(|error| error.problem("elasticloadbalancing:ModifyTargetGroup", task.address))?;
        }
        tags::write_elb(task.clients(), task.address, &output.id, &task.tags()).await?;
        Ok(output)
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let arn = live.group.target_group_arn().unwrap_or_default();
        let delete = || async {
            match task.clients().elb.delete_target_group().target_group_arn(arn).send().await {
                Err(error) if !error.is(&["TargetGroupNotFound"]) => Err(error),
                _ => Ok(()),
            }
        };
        task.patient("elasticloadbalancing:DeleteTargetGroup", IN_USE, None, delete).await
    }
}

fn seconds(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// `None` where the name is taken by a target group of this stack with other settings.
async fn create(task: &Task<'_>, wanted: &Wanted, name: &str) -> Result<Option<Output>, Problem> {
    let check = &wanted.health_check;
    let call = task
        .clients()
        .elb
        .create_target_group()
        .name(name)
        .protocol(ProtocolEnum::Http)
        .port(wanted.port.into())
        .vpc_id(task.resolve(&wanted.vpc)?)
        .target_type(TargetTypeEnum::Instance)
        .health_check_path(&check.path)
        .health_check_interval_seconds(seconds(check.interval))
        .health_check_timeout_seconds(seconds(check.timeout))
        .healthy_threshold_count(check.healthy.into())
        .unhealthy_threshold_count(check.unhealthy.into())
        .matcher(Matcher::builder().http_code(&check.codes).build())
        .set_tags(Some(tags::to_elb(&task.tags())));
    match call.send().await {
        Ok(answer) => Ok(answer.target_groups().first().and_then(|group| group.target_group_arn()).map(Output::id)),
        Err(error) if error.is(&["DuplicateTargetGroupName"]) => {
            let arn = task.appears(|| find(task, name)).await?.ok_or_else(|| foreign("target group", name))?;
            let tags = tags_of(task, &arn).await?;
            if tags.get(tags::STACK) != Some(&task.run.stack) {
                return Err(foreign("target group", name));
            }
            // A call that was answered and lost: the same spec made it.
            Ok((tags.get(tags::SPEC).map(String::as_str) == Some(task.spec)).then(|| Output::id(arn)))
        }
        Err(error) => Err(error.problem("elasticloadbalancing:CreateTargetGroup", task.address)),
    }
}

async fn find(task: &Task<'_>, name: &str) -> Result<Option<String>, Problem> {
    match task.clients().elb.describe_target_groups().names(name).send().await {
        Ok(answer) => Ok(answer.target_groups().first().and_then(|group| group.target_group_arn()).map(str::to_owned)),
        Err(error) if error.is(&["TargetGroupNotFound"]) => Ok(None),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeTargetGroups", task.address)),
    }
}

/// The tags of one resource of Elastic Load Balancing.
pub async fn tags_of(task: &Task<'_>, arn: &str) -> Result<Tags, Problem> {
    let answer = task.clients().elb.describe_tags().resource_arns(arn).send().await;
    let answer = answer.map_err(|error| error.problem("elasticloadbalancing:DescribeTags", task.address))?;
    Ok(answer.tag_descriptions().first().map(|row| tags::from_elb(row.tags())).unwrap_or_default())
}
