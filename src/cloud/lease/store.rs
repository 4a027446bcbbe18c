//! The lock of a stack in the cloud: a launch template of a fixed name, whose tags are the lease.

use aws_sdk_ec2::types as ec2;
use jiff::Timestamp;

use super::{Holder, Lease};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::aws::quirks;
use crate::aws::server_time::ServerTime;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::stack::names;

const TAKEN: &str = "InvalidLaunchTemplateName.AlreadyExistsException";

/// The lock as the cloud reports it, and the cloud's time.
///
/// # Errors
/// The call; a launch template of the lock's name that is no lock.
pub async fn find(clients: &Clients, stack: &str) -> Result<(Option<Lease>, Timestamp), Problem> {
    let time = ServerTime::default();
    let name = names::lock(stack);
    let filter = ec2::Filter::builder().name("launch-template-name").values(&name).build();
    let call = clients.ec2.describe_launch_templates().filters(filter).customize().interceptor(time.clone());
    let answer = call.send().await.map_err(|error| error.problem("ec2:DescribeLaunchTemplates", &name))?;
    let Some(template) = answer.launch_templates().first() else {
        return Ok((None, time.read()));
    };
    let lease = of(template).ok_or_else(|| tags::not_ours("launch template", &name))?;
    Ok((Some(lease), time.read()))
}

/// The lease that a launch template is; `None` where it is a template to launch from.
pub fn of(template: &ec2::LaunchTemplate) -> Option<Lease> {
    let created = Timestamp::from_second(template.create_time()?.secs()).ok()?;
    Lease::read(template.launch_template_id()?, created, &tags::from_ec2(template.tags()))
}

/// The lease among a stack's launch templates.
pub fn among(templates: &[ec2::LaunchTemplate]) -> Option<Lease> {
    templates.iter().find_map(of)
}

/// Takes a lock away, whoever holds it; whether it was there.
///
/// # Errors
/// The call.
pub async fn delete(clients: &Clients, stack: &str, id: &str) -> Result<bool, Problem> {
    match clients.ec2.delete_launch_template().launch_template_id(id).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.is(quirks::TEMPLATE_GONE) => Ok(false),
        Err(error) => Err(error.problem("ec2:DeleteLaunchTemplate", names::lock(stack))),
    }
}

/// Takes the lock; `None` where somebody has it.
///
/// # Errors
/// The call.
pub async fn create(clients: &Clients, stack: &str, user: &Tags, holder: &Holder) -> Result<Option<String>, Problem> {
    let name = names::lock(stack);
    let mut tags = user.clone();
    tags.extend(holder.tags(stack));
    // A template must have some content; nothing is ever launched from this one.
    let content = ec2::RequestLaunchTemplateData::builder().instance_type(ec2::InstanceType::T3Nano).build();
    let call = clients
        .ec2
        .create_launch_template()
        .launch_template_name(&name)
        .version_description("the lock of a cloudscale stack; launches nothing")
        .launch_template_data(content)
        .tag_specifications(tags::specification(ec2::ResourceType::LaunchTemplate, &tags));
    match call.send().await {
        Ok(answer) => {
            Ok(answer.launch_template().and_then(|template| template.launch_template_id().map(str::to_owned)))
        }
        Err(error) if error.is(&[TAKEN]) => Ok(None),
        Err(error) => Err(error.problem("ec2:CreateLaunchTemplate", &name)),
    }
}

/// Gives the lease its full length from `now` on.
///
/// # Errors
/// The call.
pub async fn renew(clients: &Clients, stack: &str, id: &str, now: Timestamp) -> Result<(), Problem> {
    let call = clients.ec2.create_tags().resources(id).set_tags(Some(tags::to_ec2(&super::renewal(now)))).send().await;
    call.map(drop).map_err(|error| error.problem("ec2:CreateTags", names::lock(stack)))
}
