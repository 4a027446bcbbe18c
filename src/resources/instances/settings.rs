//! What an instance has from its launch template and what may be changed while it runs: security groups, detailed
//! monitoring, and who may ask its metadata service.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    HttpTokensState, Instance, InstanceMetadataEndpointState, InstanceMetadataOptionsResponse,
    InstanceMetadataTagsState, MonitoringState,
};

use crate::cloud::snapshot::Snapshot;
use crate::problem::Problem;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resources::launch_template::METADATA_HOPS;
use crate::resources::security_group;

pub const SECURITY_GROUP: &str = "security_group";
pub const MONITORING: &str = "monitoring";
pub const METADATA: &str = "metadata";
/// How the launch template's options of the metadata service read.
pub const GIVEN: &str = "as launched";

/// The settings of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    groups: BTreeSet<String>,
    /// Whether it has other security groups than the stack gives.
    astray: bool,
    unmonitored: bool,
    /// The options of its metadata service, where they are others.
    metadata: Option<String>,
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
        let metadata = instance.metadata_options().and_then(changed);
        Self { groups, astray, unmonitored: is_off(instance), metadata }
    }
}

fn is_off(instance: &Instance) -> bool {
    let state = instance.monitoring().and_then(|monitoring| monitoring.state());
    matches!(state, Some(MonitoringState::Disabled | MonitoringState::Disabling))
}

/// Whether it has what its launch template gave it besides. Endpoints that stand in for AWS take little of a template: they
/// report of every instance that it is not monitored (moto), or that it has the VPC's own security group (MiniStack).
/// Whatever it still has of the metadata options that we give says that the endpoint takes them.
fn follows_its_template(instance: &Instance) -> bool {
    instance.metadata_options().is_some_and(|options| {
        let (tokens, hops, tags) = ours(options);
        tokens || hops || tags
    })
}

/// Which of the metadata options are as the launch template has them: tokens, hops, tags.
fn ours(options: &InstanceMetadataOptionsResponse) -> (bool, bool, bool) {
    (
        options.http_tokens() == Some(&HttpTokensState::Required),
        options.http_put_response_hop_limit() == Some(METADATA_HOPS),
        options.instance_metadata_tags() == Some(&InstanceMetadataTagsState::Enabled),
    )
}

/// `tokens optional, 1 hops`: the options that somebody has changed.
fn changed(options: &InstanceMetadataOptionsResponse) -> Option<String> {
    let (tokens, hops, tags) = ours(options);
    let is_off = options.http_endpoint() == Some(&InstanceMetadataEndpointState::Disabled);
    let limit = options.http_put_response_hop_limit().unwrap_or_default();
    let parts = [
        is_off.then(|| "off".to_owned()),
        (!tokens).then(|| "tokens optional".to_owned()),
        (!hops).then(|| format!("{limit} hop{}", if limit == 1 { "" } else { "s" })),
        (!tags).then(|| "without tags".to_owned()),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
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
    let fields = match off.is_empty() {
        true => fields.text(MONITORING, true),
        false => fields.text(MONITORING, format!("off: {}", off.join(", "))),
    };
    let changed = all.iter().filter_map(|(id, settings)| Some(format!("{id}: {}", settings.metadata.as_ref()?)));
    let changed: Vec<_> = changed.collect();
    fields.text(METADATA, if changed.is_empty() { GIVEN.to_owned() } else { changed.join("; ") })
}

/// `1 with other security groups, 2 without detailed monitoring, 1 with other metadata options`
pub fn reason<'a>(all: impl Iterator<Item = &'a Settings>) -> Option<String> {
    let (mut astray, mut unmonitored, mut metadata) = (0, 0, 0);
    for settings in all {
        astray += u32::from(settings.astray);
        unmonitored += u32::from(settings.unmonitored);
        metadata += u32::from(settings.metadata.is_some());
    }
    let parts = [
        (astray, "with other security groups"),
        (unmonitored, "without detailed monitoring"),
        (metadata, "with other metadata options"),
    ];
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
    for (id, _) in staying.iter().filter(|(_, settings)| settings.metadata.is_some()) {
        let request = ec2
            .modify_instance_metadata_options()
            .instance_id(*id)
            .http_endpoint(InstanceMetadataEndpointState::Enabled)
            .http_tokens(HttpTokensState::Required)
            .http_put_response_hop_limit(METADATA_HOPS)
            .instance_metadata_tags(InstanceMetadataTagsState::Enabled);
        context.fresh("ec2:ModifyInstanceMetadataOptions", || request.clone().send()).await?;
    }
    let off = staying.iter().filter(|(_, settings)| settings.unmonitored).map(|(id, _)| (*id).to_owned());
    let off: Vec<String> = off.collect();
    if off.is_empty() {
        return Ok(());
    }
    let request = ec2.monitor_instances().set_instance_ids(Some(off));
    context.fresh("ec2:MonitorInstances", || request.clone().send()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Monitoring;

    use super::*;

    fn options(tokens: HttpTokensState, hops: i32, tags: InstanceMetadataTagsState) -> InstanceMetadataOptionsResponse {
        let options = InstanceMetadataOptionsResponse::builder().http_tokens(tokens);
        options.http_put_response_hop_limit(hops).instance_metadata_tags(tags).build()
    }

    #[test]
    fn metadata_options_that_somebody_has_changed_are_named() {
        use HttpTokensState::{Optional, Required};
        use InstanceMetadataTagsState::{Disabled, Enabled};
        let told = |tokens, hops, tags| changed(&options(tokens, hops, tags)).unwrap_or_default();
        assert_eq!(told(Required, METADATA_HOPS, Enabled), "");
        assert_eq!(told(Optional, METADATA_HOPS, Enabled), "tokens optional");
        assert_eq!(told(Required, 1, Enabled), "1 hop");
        assert_eq!(told(Required, 3, Disabled), "3 hops, without tags");
        let off = InstanceMetadataEndpointState::Disabled;
        let off = InstanceMetadataOptionsResponse::builder().http_endpoint(off).http_tokens(Required);
        let off = off.http_put_response_hop_limit(METADATA_HOPS).instance_metadata_tags(Enabled).build();
        assert_eq!(changed(&off).as_deref(), Some("off"));
    }

    /// Tokens that somebody has made optional must not hide what else he has changed.
    #[test]
    fn an_endpoint_that_takes_any_of_our_options_takes_templates() {
        use HttpTokensState::{Optional, Required};
        use InstanceMetadataTagsState::{Disabled, Enabled};
        let unmonitored = |options: Option<InstanceMetadataOptionsResponse>| {
            let off = Monitoring::builder().state(MonitoringState::Disabled).build();
            let instance = Instance::builder().monitoring(off).set_metadata_options(options).build();
            Settings::of(&instance, &Snapshot::empty("web")).unmonitored
        };
        assert!(unmonitored(Some(options(Required, 1, Disabled))));
        assert!(unmonitored(Some(options(Optional, METADATA_HOPS, Disabled))));
        assert!(unmonitored(Some(options(Optional, 1, Enabled))));
        assert!(!unmonitored(Some(options(Optional, 1, Disabled))), "it takes nothing of a template");
        assert!(!unmonitored(None));
    }

    #[test]
    fn instances_with_other_security_groups_than_the_stacks_are_astray() {
        use HttpTokensState::Required;
        use InstanceMetadataTagsState::Enabled;

        use crate::cloud::tags::{self, Tags};
        let mut cloud = Snapshot::empty("web");
        cloud.note_tags("sg-ours", tags::of("web", &security_group::INSTANCES, "x", &Tags::new()));
        let astray = |groups: &[&str]| {
            let group = |id: &&str| aws_sdk_ec2::types::GroupIdentifier::builder().group_id(*id).build();
            let instance = Instance::builder().metadata_options(options(Required, METADATA_HOPS, Enabled));
            let groups = groups.iter().map(group).collect();
            Settings::of(&instance.set_security_groups(Some(groups)).build(), &cloud).astray
        };
        assert!(!astray(&[]), "the endpoint does not tell");
        assert!(!astray(&["sg-ours"]));
        assert!(astray(&["sg-theirs"]) && astray(&["sg-ours", "sg-theirs"]));
    }
}
