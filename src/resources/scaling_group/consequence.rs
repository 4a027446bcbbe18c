//! What a plan says of a group: whether its instances are replaced, its range, and what its scaler keeps.

use std::time::Duration;

use super::ScalingGroup;
use crate::resource::Resource;
use crate::resource::change::{Action, FieldChange};
use crate::resource::outlook::{Consequence, PartView, counted, field, is};
use crate::resources::launch_template;
use crate::stack::model::Capacity;

/// What comes for a group.
pub(super) fn of(part: PartView<'_>) -> Consequence {
    let Some(Capacity::Group(scaling)) = part.cluster().map(|cluster| &cluster.capacity) else {
        return part.consequence();
    };
    let (group, seen) = (part.acting(ScalingGroup::KIND), part.cluster_running());
    let present = seen.instances();
    let mut said = Vec::new();
    if is(group, Action::Replace) {
        let text = format!(
            "a new group with {} takes over, the old goes when they are in service",
            counted(present, "instance")
        );
        return Consequence { replaced_instances: present, ..Consequence::sentence(Action::Replace, text) };
    }
    let refreshes = field(group, "launch_template").is_some() || field(group, "outdated_instances").is_some();
    if refreshes && present > 0 {
        said.push(format!(
            "an instance refresh replaces {}{}, {}–{} % healthy, warm-up {}",
            counted(present, "instance"),
            launch_template::new_type(part),
            scaling.rollout.min_healthy,
            scaling.rollout.max_healthy,
            span(scaling.warmup),
        ));
    } else if refreshes {
        said.push("new instances launch from the new launch template; none run now".to_owned());
    }
    let bounds = ["min", "max"].map(|path| field(group, path));
    if bounds.iter().any(Option::is_some) {
        let observed = |field: Option<&FieldChange>, declared: u32| {
            field.map_or_else(|| declared.to_string(), |field| field.observed.clone().unwrap_or_else(|| "?".to_owned()))
        };
        let (min, max) = (observed(bounds[0], scaling.min), observed(bounds[1], scaling.max));
        said.push(format!("range {min}–{max} → {}–{}", scaling.min, scaling.max));
    }
    if let Some(desired) = seen.desired {
        match desired.clamp(scaling.min, scaling.max) {
            kept if kept == desired => said.push(format!("desired capacity stays {desired}")),
            moved => said.push(format!("desired capacity {desired} → {moved}")),
        }
    }
    // On its own it says nothing.
    if said.len() == 1 && !refreshes && bounds.iter().all(Option::is_none) && said[0].contains("stays") {
        said.clear();
    }
    let replaced_instances = if refreshes { present } else { 0 };
    let action = if replaced_instances > 0 { Action::Replace } else { Action::Update };
    Consequence { replaced_instances, ..Consequence::of(action, said) }
}

/// `90 s`, as AWS writes it.
fn span(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}
