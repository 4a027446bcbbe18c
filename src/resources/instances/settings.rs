//! What an instance has from its launch template and what may be changed while it runs: security groups and detailed
//! monitoring.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{HttpTokensState, Instance, MonitoringState};

use crate::cloud::snapshot::Snapshot;
use crate::problem::Problem;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resources::security_group;

pub const SECURITY_GROUP: &str = "security_group";
pub const MONITORING: &str = "monitoring";

/// The settings of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    groups: BTreeSet<String>,
    /// Whether it has other security groups than the stack gives.
    astray: bool,
    unmonitored: bool,
}

impl Settings {
    pub fn of(instance: &Instance, cloud: &Snapshot) -> Self {
        if !follows_its_template(instance) {
            return Self::default();
        }
        let ids = instance.security_groups().iter().filter_map(|group| group.group_id());
        let groups: BTreeSet<String> = ids.map(str::to_owned).collect();
        let is_ours = |id: &String| cloud.address_of(id) == Some(security_group::INSTANCES);
        let astray = match groups.len() {
            // The endpoint does not tell.
            0 => false,
            1 => !groups.iter().all(is_ours),
            _ => true,
        };
        Self { groups, astray, unmonitored: is_off(instance) }
    }
}

fn is_off(instance: &Instance) -> bool {
    let state = instance.monitoring().and_then(|monitoring| monitoring.state());
    matches!(state, Some(MonitoringState::Disabled | MonitoringState::Disabling))
}

/// Whether it has what its launch template gave it besides. Endpoints that stand in for AWS take little of a template: they
/// report of every instance that it is not monitored (moto), or that it has the VPC's own security group (MiniStack).
fn follows_its_template(instance: &Instance) -> bool {
    let tokens = instance.metadata_options().and_then(|options| options.http_tokens());
    tokens == Some(&HttpTokensState::Required)
}

/// Adds what all instances have, and which of them have something else.
pub fn fields<'a>(fields: Fields, all: impl Iterator<Item = (&'a str, &'a Settings)>, cloud: &Snapshot) -> Fields {
    let all: Vec<_> = all.collect();
    let groups = all.iter().flat_map(|(_, settings)| &settings.groups);
    let groups: Vec<_> = groups.map(|id| Value::observed(cloud, id)).collect();
    let fields = match groups.is_empty() {
        true => fields,
        false => fields.value(SECURITY_GROUP, Value::set(groups)),
    };
    let off: Vec<_> = all.iter().filter(|(_, settings)| settings.unmonitored).map(|(id, _)| *id).collect();
    match off.is_empty() {
        true => fields.text(MONITORING, true),
        false => fields.text(MONITORING, format!("off: {}", off.join(", "))),
    }
}

/// `1 with other security groups, 2 without detailed monitoring`
pub fn reason<'a>(all: impl Iterator<Item = &'a Settings>) -> Option<String> {
    let (mut astray, mut unmonitored) = (0, 0);
    for settings in all {
        astray += u32::from(settings.astray);
        unmonitored += u32::from(settings.unmonitored);
    }
    let parts = [(astray, "with other security groups"), (unmonitored, "without detailed monitoring")];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    Some(parts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

/// Gives instances that stay what their launch template gave them.
///
/// # Errors
/// When a call fails.
pub async fn restore(context: &ActionContext<'_>, staying: Vec<(&str, &Settings)>) -> Result<(), Problem> {
    let ec2 = &context.clients().ec2;
    for (id, _) in staying.iter().filter(|(_, settings)| settings.astray) {
        let group = context.output(&security_group::INSTANCES)?.id;
        let request = ec2.modify_instance_attribute().instance_id(*id).groups(group);
        context.fresh("ec2:ModifyInstanceAttribute", || request.clone().send()).await?;
    }
    let off = staying.iter().filter(|(_, settings)| settings.unmonitored).map(|(id, _)| (*id).to_owned());
    let off: Vec<String> = off.collect();
    if off.is_empty() {
        return Ok(());
    }
    let request = ec2.monitor_instances().set_instance_ids(Some(off));
    context.fresh("ec2:MonitorInstances", || request.clone().send()).await.map(drop)
}
