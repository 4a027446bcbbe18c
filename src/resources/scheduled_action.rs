//! The scheduled actions of a group: sizes that change by the clock.

use std::str::FromStr;

use aws_sdk_autoscaling::primitives::DateTime;
use aws_sdk_autoscaling::types::ScheduledUpdateGroupAction;
use croner::Cron;
use jiff::Timestamp;

use super::scaling_group::ScalingGroup;
use super::scaling_group::{self, schedules::DescribeScheduledActions};
use crate::aws::error::{CallError, settled};
use crate::cloud::address::Address;
use crate::cloud::expiry;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, ErasedListing};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope};
use crate::stack::model::{self, Capacity};
use crate::stack::names;

/// What AWS assumes where no time zone is given.
const DEFAULT_TIME_ZONE: &str = "UTC";

#[derive(Debug)]
pub struct ScheduledAction;

#[derive(Clone, Debug)]
pub struct Desired {
    pub cluster: String,
    /// Its `start` is there only where AWS still reports it.
    pub action: model::ScheduledAction,
}

#[derive(Clone, Debug)]
pub struct Observed {
    action: ScheduledUpdateGroupAction,
}

fn address(cluster: &str, name: &str) -> Address {
    Address::in_cluster(cluster, "schedule").named(name)
}

impl Resource for ScheduledAction {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "scheduled_action";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeScheduledActions>::NEW];
    const REPLACE_WITH: &'static [&'static str] = &["group"];
    const DELETED_WITH: &'static [&'static str] = &[ScalingGroup::KIND];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let mut actions = Vec::new();
        for cluster in &scope.stack.clusters {
            if let Capacity::Group(scaling) = &cluster.capacity {
                for action in scaling.schedule.iter().filter(|action| !is_over(action, scope.cloud.taken)) {
                    let mut desired = Desired { cluster: cluster.name.clone(), action: action.clone() };
                    let next = next_run(action.cron.as_deref(), &action.time_zone, scope.cloud.taken);
                    desired.action.start =
                        action.start.filter(|start| *start > scope.cloud.taken && Some(*start) != next);
                    actions.push((address(&cluster.name, &action.name), desired));
                }
            }
        }
        actions
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud
            .all::<DescribeScheduledActions>()
            .iter()
            .filter(|action| !expiry::is_action(action.scheduled_action_name()));
        let ours = ours.filter_map(|action| {
            let cluster = scaling_group::cluster_of(cloud, action.auto_scaling_group_name())?;
            let name = names::in_stack(action.auto_scaling_group_name()?, action.scheduled_action_name()?);
            Some((address(&cluster, &name), Observed { action: action.clone() }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let action = &desired.action;
        Fields::default()
            .reference("group", scaling_group::address(&desired.cluster))
            .maybe("cron", action.cron.as_ref())
            .text("time_zone", &action.time_zone)
            .maybe("start", action.start)
            .maybe("end", action.end)
            .maybe("min", action.min)
            .maybe("max", action.max)
            .maybe("desired", action.desired)
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let action = &observed.action;
        let time_zone = action.time_zone().unwrap_or(DEFAULT_TIME_ZONE);
        let next = next_run(action.recurrence(), time_zone, cloud.taken);
        let time = |time: Option<&DateTime>| time.and_then(|time| Timestamp::from_second(time.secs()).ok());
        // Of a recurring action AWS reports the next run as its start.
        let start = time(action.start_time()).filter(|start| *start > cloud.taken && Some(*start) != next);
        Fields::default()
            .value("group", Value::observed(cloud, action.auto_scaling_group_name().unwrap_or_default()))
            .maybe("cron", action.recurrence())
            .text("time_zone", time_zone)
            .maybe("start", start)
            .maybe("end", time(action.end_time()))
            .maybe("min", action.min_size())
            .maybe("max", action.max_size())
            .maybe("desired", action.desired_capacity())
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.action.scheduled_action_name().unwrap_or_default())
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        put(context, desired).await
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        // What a call leaves out stays as it was.
        if changes.iter().any(|change| change.desired.is_none()) {
            Self::delete(context, observed).await?;
        }
        put(context, desired).await
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let call = context
            .clients()
            .autoscaling
            .delete_scheduled_action()
            .set_auto_scaling_group_name(observed.action.auto_scaling_group_name().map(str::to_owned))
            .set_scheduled_action_name(observed.action.scheduled_action_name().map(str::to_owned));
        settled(call.send().await, &["ValidationError"])
            .map_err(|error| error.problem("autoscaling:DeleteScheduledAction", context.address))
    }
}

/// AWS forgets an action after its only run, or after its end.
fn is_over(action: &model::ScheduledAction, now: Timestamp) -> bool {
    let last = if action.cron.is_some() { action.end } else { action.start };
    last.is_some_and(|last| last <= now)
}

/// When a recurring action next runs.
fn next_run(cron: Option<&str>, time_zone: &str, now: Timestamp) -> Option<Timestamp> {
    let now = now.in_tz(time_zone).ok()?;
    let next = Cron::from_str(cron?).ok()?.find_next_occurrence(&now, false).ok()?;
    Some(next.timestamp())
}

fn api_time(time: Timestamp) -> DateTime {
    DateTime::from_secs(time.as_second())
}

/// Creates or changes: the call is idempotent by name.
async fn put(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
    let group = context.output(&scaling_group::address(&desired.cluster))?.id;
    let action = &desired.action;
    let size = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    let request = context
        .clients()
        .autoscaling
        .put_scheduled_update_group_action()
        .auto_scaling_group_name(&group)
        .scheduled_action_name(names::in_group(&group, &action.name))
        .set_recurrence(action.cron.clone())
        .set_time_zone(action.cron.is_some().then(|| action.time_zone.clone()))
        .set_start_time(action.start.map(api_time))
        .set_end_time(action.end.map(api_time))
        .set_min_size(size(action.min))
        .set_max_size(size(action.max))
        .set_desired_capacity(size(action.desired));
    context.fresh("autoscaling:PutScheduledUpdateGroupAction", || request.clone().send()).await?;
    Ok(Output::id(&action.name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn action(cron: Option<&str>, start: Option<&str>, end: Option<&str>) -> model::ScheduledAction {
        model::ScheduledAction {
            name: "sale".to_owned(),
            cron: cron.map(str::to_owned),
            time_zone: "America/Toronto".to_owned(),
            start: start.map(at),
            end: end.map(at),
            min: Some(4),
            max: None,
            desired: None,
        }
    }

    #[test]
    fn what_ran_its_only_time_or_has_ended_is_not_wanted_any_more() {
        let now = at("2026-11-27T12:00:00Z");
        assert!(is_over(&action(None, Some("2026-11-27T12:00:00Z"), None), now));
        assert!(!is_over(&action(None, Some("2026-11-27T12:00:01Z"), None), now));
        assert!(!is_over(&action(Some("0 8 * * *"), Some("2026-11-01T00:00:00Z"), None), now));
        assert!(is_over(&action(Some("0 8 * * *"), None, Some("2026-11-02T00:00:00Z")), now));
    }

    #[test]
    fn the_start_that_aws_tells_of_a_recurring_action_is_its_next_run() {
        let now = at("2026-11-27T14:00:00Z");
        assert_eq!(next_run(Some("0 8 * * *"), "America/Toronto", now), Some(at("2026-11-28T13:00:00Z")));
        let observed = |start: &str| {
            let action = ScheduledUpdateGroupAction::builder()
                .scheduled_action_name("sale")
                .recurrence("0 8 * * *")
                .time_zone("America/Toronto")
                .start_time(api_time(at(start)))
                .build();
            let cloud = Snapshot::of("web", now, Duration::ZERO);
            let observed = Observed { action };
            ScheduledAction::observed_fields(&observed, &cloud).get("start").map(ToString::to_string)
        };
        assert_eq!(observed("2026-11-28T13:00:00Z"), None);
        assert_eq!(observed("2026-12-24T13:00:00Z").as_deref(), Some("2026-12-24T13:00:00Z"), "set, and still to come");
    }
}
