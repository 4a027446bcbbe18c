//! The scheduled actions of a group: sizes that change by the clock.

use aws_sdk_autoscaling::types::ScheduledUpdateGroupAction;

use super::fields::Fields;
use super::scaling_policy::cluster_of_group;
use super::{Output, Resource, Scope, in_cluster};
use crate::aws::error::CallError;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::task::Task;
use crate::problem::Problem;
use crate::stack::model::{self, Capacity};
use crate::stack::names;

/// What AWS assumes where no time zone is given.
const DEFAULT_TIME_ZONE: &str = "UTC";

#[derive(Debug)]
pub struct ScheduledAction;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub cluster: String,
    pub action: model::ScheduledAction,
}

#[derive(Clone, Debug)]
pub struct Live {
    cluster: String,
    action: ScheduledUpdateGroupAction,
}

fn address(cluster: &str, name: &str) -> String {
    in_cluster(cluster, &format!("schedule.{name}"))
}

impl Resource for ScheduledAction {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "scheduled_action";
    const GOES_WITH: &'static [&'static str] = &["scaling_group"];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let mut actions = Vec::new();
        for cluster in &scope.stack.clusters {
            if let Capacity::Group(scaling) = &cluster.capacity {
                for action in &scaling.schedule {
                    let wanted = Wanted { cluster: cluster.name.clone(), action: action.clone() };
                    actions.push((address(&cluster.name, &action.name), wanted));
                }
            }
        }
        actions
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.schedules.iter().filter_map(|action| {
            let cluster = cluster_of_group(cloud, action.auto_scaling_group_name())?;
            let name = names::in_stack(action.auto_scaling_group_name()?, action.scheduled_action_name()?);
            Some((address(&cluster, name), Live { cluster, action: action.clone() }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        let action = &wanted.action;
        Fields::default()
            .reference("group", in_cluster(&wanted.cluster, "scaling_group"))
            .text("cron", &action.cron)
            .text("time_zone", &action.time_zone)
            .maybe("min", action.min)
            .maybe("max", action.max)
            .maybe("desired", action.desired)
    }

    fn observe(live: &Live, _cloud: &Snapshot) -> Fields {
        let action = &live.action;
        Fields::default()
            .reference("group", in_cluster(&live.cluster, "scaling_group"))
            .maybe("cron", action.recurrence())
            .text("time_zone", action.time_zone().unwrap_or(DEFAULT_TIME_ZONE))
            .maybe("min", action.min_size())
            .maybe("max", action.max_size())
            .maybe("desired", action.desired_capacity())
    }

    fn output(live: &Live) -> Output {
        Output::id(live.action.scheduled_action_name().unwrap_or_default())
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        put(task, wanted).await
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, _live: &Live, _: &[FieldChange]) -> Result<Output, Problem> {
        put(task, wanted).await
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let call = task
            .clients()
            .autoscaling
            .delete_scheduled_action()
            .set_auto_scaling_group_name(live.action.auto_scaling_group_name().map(str::to_owned))
            .set_scheduled_action_name(live.action.scheduled_action_name().map(str::to_owned));
        match call.send().await {
            Err(error) if !error.is(&["ValidationError"]) => {
                Err(error.problem("autoscaling:DeleteScheduledAction", task.address))
            }
            _ => Ok(()),
        }
    }
}

/// Creates or changes: the call is idempotent by name.
async fn put(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
    let group = task.output(&in_cluster(&wanted.cluster, "scaling_group"))?.id;
    let action = &wanted.action;
    let size = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    let request = task
        .clients()
        .autoscaling
        .put_scheduled_update_group_action()
        .auto_scaling_group_name(&group)
        .scheduled_action_name(names::in_group(&group, &action.name))
        .recurrence(&action.cron)
        .time_zone(&action.time_zone)
        .set_min_size(size(action.min))
        .set_max_size(size(action.max))
        .set_desired_capacity(size(action.desired));
    task.fresh("autoscaling:PutScheduledUpdateGroupAction", || request.clone().send()).await?;
    Ok(Output::id(&action.name))
}
