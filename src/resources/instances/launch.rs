//! Launches fixed instances: so many in each zone, or in the next one that has capacity.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance, InstanceStateName, LaunchTemplateSpecification, ResourceType};

use super::{Desired, Observed, instance_tags};
use crate::aws::error::CallError;
use crate::clock;
use crate::cloud::tags;
use crate::problem::Problem;
use crate::resource::context::ActionContext;
use crate::resource::fields::short_hash;
use crate::resources::launch_template;

/// The zone has none of these instances; another may.
const NO_CAPACITY: &[&str] = &["InsufficientInstanceCapacity", "Unsupported", "InsufficientHostCapacity"];

/// How long a token may be used again. AWS lists terminated instances for longer than that, but not as long as it
/// remembers a token.
const TOKEN_PERIOD_S: i64 = 600;
const TOKENS_MAX: u32 = 5;
/// The same token with another request.
const TOKEN_USED: &[&str] = &["IdempotentParameterMismatch"];

/// Launches so many in each zone, all at once: (zone, id).
pub(super) async fn launch(
    context: &ActionContext<'_>,
    desired: &Desired,
    observed: &Observed,
    counts: &BTreeMap<String, usize>,
) -> Result<Vec<(String, String)>, Problem> {
    let launches = counts.iter().map(|(zone, count)| launch_in(context, desired, observed, zone, *count));
    Ok(futures_util::future::try_join_all(launches).await?.concat())
}

/// `1 instance`, `3 instances`
fn instances(count: usize) -> String {
    format!("{count} instance{}", if count == 1 { "" } else { "s" })
}

/// Launches in a zone, or in the next one that has capacity.
async fn launch_in(
    context: &ActionContext<'_>,
    desired: &Desired,
    observed: &Observed,
    zone: &str,
    count: usize,
) -> Result<Vec<(String, String)>, Problem> {
    let first = desired.zones.iter().position(|(name, _)| name == zone).unwrap_or_default();
    let mut refusal = None;
    for (zone, subnet) in desired.zones.iter().cycle().skip(first).take(desired.zones.len()) {
        let subnet = context.resolve(subnet)?;
        match run_instances(context, desired, observed, (zone, &subnet), (first, count)).await? {
            Ok(ids) => return Ok(ids.into_iter().map(|id| (zone.clone(), id)).collect()),
            Err(problem) => {
                context
                    .waiting(format!("insufficient capacity in {zone} for {}, trying the next zone", instances(count)));
                refusal = Some(problem);
            }
        }
    }
    let zones = desired.zones.iter().map(|(zone, _)| zone.as_str()).collect::<Vec<_>>().join(", ");
    Err(match refusal {
        Some(last) => {
            let detail = format!("insufficient capacity in {zones} for {}: {}", instances(count), last.detail);
            Problem { detail, ..last }
        }
        None => Problem::new("Too few zones", format!("{} has no subnet to launch in", context.address)),
    })
}

/// One call: count, place, tags and all. The inner error is a lack of capacity.
///
/// The client token names what was there before and the time, roughly: a retry after a lost answer and a run that
/// follows a killed one get the same instances, a launch after a termination gets new ones. AWS remembers a token for
/// longer than it lists a terminated instance, so a token may turn out to be used up; then the next is tried.
async fn run_instances(
    context: &ActionContext<'_>,
    desired: &Desired,
    observed: &Observed,
    (zone, subnet): (&str, &str),
    (origin, count): (usize, usize),
) -> Result<Result<Vec<String>, Problem>, Problem> {
    let template = context.output(&launch_template::address(&desired.cluster))?;
    let mut seen: Vec<_> = observed.seen.iter().filter(|(place, _)| place == zone).map(|(_, id)| id.as_str()).collect();
    seen.sort_unstable();
    let period = clock::now().as_second() / TOKEN_PERIOD_S;
    let numbers = [origin.to_string(), count.to_string(), period.to_string()];
    let words = [&*context.run.stack, context.address.as_str(), context.spec, &template.id, &template.revision, subnet];
    let words: Vec<_> = words.into_iter().chain(numbers.iter().map(String::as_str)).chain(seen).collect();
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let request = context
        .clients()
        .ec2
        .run_instances()
        .min_count(count)
        .max_count(count)
        .subnet_id(subnet)
        .launch_template(
            LaunchTemplateSpecification::builder().launch_template_id(&template.id).version(&template.revision).build(),
        )
        .tag_specifications(tags::specification(ResourceType::Instance, &instance_tags(context, desired)));
    for attempt in 0..TOKENS_MAX {
        let token = short_hash(words.iter().copied().chain([attempt.to_string().as_str()]));
        let request = request.clone().client_token(token);
        let run = || async {
            match request.clone().send().await {
                Ok(answer) => Ok(fresh_ids(answer.instances()).map(Ok)),
                Err(error) if error.is(TOKEN_USED) => Ok(None),
                Err(error) if error.is(NO_CAPACITY) => {
                    Ok(Some(Err(error.problem("ec2:RunInstances", context.address))))
                }
                Err(error) => Err(error),
            }
        };
        if let Some(launched) = context.fresh("ec2:RunInstances", run).await? {
            return Ok(launched);
        }
    }
    Err(Problem::new(
        "No instances were launched",
        format!("{}: AWS answers with instances of earlier launches", context.address),
    )
    .hint("run `cloudscale up` again in ten minutes"))
}

/// The ids of instances that have just been launched; `None` where one has ended already: another call launched it.
fn fresh_ids(instances: &[Instance]) -> Option<Vec<String>> {
    let is_fresh = |instance: &Instance| {
        let state = instance.state().and_then(|state| state.name());
        matches!(state, None | Some(InstanceStateName::Pending | InstanceStateName::Running))
    };
    let ids = || instances.iter().filter_map(|instance| instance.instance_id().map(str::to_owned)).collect();
    instances.iter().all(is_fresh).then(ids)
}
