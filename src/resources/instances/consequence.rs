//! What a plan says of a cluster's fixed instances: how many are launched, replaced and terminated, and at what pace.

use std::cmp::Ordering;

use super::Instances;
use crate::resource::Resource;
use crate::resource::change::{Action, FieldChange};
use crate::resource::outlook::{Consequence, PartView, counted, field, is};
use crate::resources::launch_template;
use crate::resources::target_group::TargetGroup;
use crate::stack::model::{Capacity, FixedRollout};

/// What comes for fixed instances.
pub(super) fn of(part: PartView<'_>) -> Consequence {
    let Some(Capacity::Fixed { instances: count, rollout }) = part.cluster().map(|cluster| &cluster.capacity) else {
        return part.consequence();
    };
    let (count, seen) = (*count, part.cluster_running());
    let instances = part.acting(Instances::KIND);
    let (mut said, ready) = (Vec::new(), Ready::of(part));
    let present = u32::try_from(seen.templates.len()).unwrap_or(u32::MAX);
    let desired = field(instances, "template").and_then(|field| field.desired.as_deref());
    let outdated = desired.map_or(0, |desired| seen.templates.iter().filter(|other| *other != desired).count());
    let rotated = field(instances, "launch_template").is_some();
    let outdated = if rotated { present } else { u32::try_from(outdated).unwrap_or(u32::MAX) };
    // Of a number that shrinks, those in surplus only end.
    let launched = count.saturating_sub(present - outdated);
    let mut replaced = outdated.min(launched);
    let network = field(instances, "vpc");
    if let Some(vpc) = network {
        let (text, old) = moved(vpc, count, present, ready);
        said.push(text);
        replaced = old;
    } else if outdated > 0 && is(part.acting(TargetGroup::KIND), Action::Replace) {
        said.push(format!("{} at once, the old {outdated} go when the new are healthy", launches(launched)));
    } else {
        if replaced > 0 {
            let what = counted(replaced, "instance");
            said.push(format!(
                "replaces {what}{}, {}",
                launch_template::new_type(part),
                pace(count, replaced, rollout, ready)
            ));
        }
        match count.cmp(&present) {
            Ordering::Greater if replaced > 0 => {
                said.push(format!("launches {} more: {present} → {count}", count - present));
            }
            Ordering::Greater if instances.is_some() => {
                said.push(format!("{}: {present} → {count}", launches(count - present)));
            }
            Ordering::Less => {
                said.push(format!("terminates {}: {present} → {count}", counted(present - count, "instance")));
            }
            _ => {}
        }
        if let Some(troubled) = field(instances, "not_serving").and_then(|field| field.observed.as_deref()) {
            let number = u32::try_from(troubled.split("; ").count()).unwrap_or(u32::MAX);
            said.push(format!(
                "replaces {} that {} not serve",
                counted(number, "instance"),
                if number == 1 { "does" } else { "do" }
            ));
            replaced = (replaced + number).min(present);
        }
    }
    let rolled = instances.filter(|_| replaced > 0 || network.is_some()).map(|change| change.address.clone());
    let rolled: Vec<_> = rolled.into_iter().collect();
    let action = if rolled.is_empty() { Action::Update } else { Action::Replace };
    Consequence { action, sentences: said, replaced_instances: replaced, rolled }
}

/// What new instances must be before old ones go: of one, of several.
#[derive(Clone, Copy)]
struct Ready(&'static str, &'static str);

impl Ready {
    fn of(part: PartView<'_>) -> Self {
        if part.is_balanced() { Self("is healthy", "are healthy") } else { Self("runs", "run") }
    }
}

/// What is said of instances that go to another network, and how many are replaced: they cannot move.
fn moved(vpc: &FieldChange, count: u32, present: u32, ready: Ready) -> (String, u32) {
    let Ready(_, ready) = ready;
    let mut observed = vpc.observed.iter().flat_map(|observed| observed.split(", "));
    if observed.any(|observed| Some(observed) == vpc.desired.as_deref()) {
        // A run before this one was interrupted; how many have moved is not in the change.
        let text = format!("launches what is missing of {} in the new network", counted(count, "instance"));
        return (format!("{text}, the old go when the new {ready}"), 0);
    }
    let text = format!("{} in the new network, the old {present} go when the new {ready}", launches(count));
    (text, present.min(count))
}

fn launches(count: u32) -> String {
    format!("launches {}", counted(count, "instance"))
}

/// `2 at a time, the old go when the new are healthy`
fn pace(count: u32, replaced: u32, rollout: &FixedRollout, ready: Ready) -> String {
    let Ready(one, several) = ready;
    let (surge, unavailable) = rollout.bounds(count);
    let all = usize::try_from(replaced).unwrap_or(usize::MAX);
    match (surge, unavailable) {
        (_, 0) if all == 1 => format!("the old goes when the new {one}"),
        (0, _) if all == 1 => "the old goes before the new starts".to_owned(),
        (surge, 0) if surge >= all => format!("all at once, the old go when the new {several}"),
        (surge, 0) => format!("{surge} at a time, the old go when the new {several}"),
        (0, gone) if gone >= all => "all at once, the old go before the new start".to_owned(),
        (0, gone) => format!("{gone} at a time, the old go before the new start"),
        (surge, gone) => format!("with at most {surge} more and {gone} fewer than {count} at any time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: Ready = Ready("is healthy", "are healthy");

    #[test]
    fn a_rollout_of_fixed_instances_is_told_by_its_bounds() {
        let told = |count, surge, unavailable, ready| {
            pace(count, count, &FixedRollout { max_surge: surge, max_unavailable: unavailable }, ready)
        };
        let pace = |count, surge, unavailable| told(count, surge, unavailable, HEALTHY);
        assert_eq!(pace(6, 33, 0), "2 at a time, the old go when the new are healthy");
        assert_eq!(pace(4, 100, 0), "all at once, the old go when the new are healthy");
        assert_eq!(pace(4, 0, 25), "1 at a time, the old go before the new start");
        assert_eq!(pace(4, 0, 100), "all at once, the old go before the new start");
        assert_eq!(pace(4, 25, 25), "with at most 1 more and 1 fewer than 4 at any time");
        assert_eq!(pace(4, 0, 0), "1 at a time, the old go when the new are healthy");
        assert_eq!(pace(1, 100, 0), "the old goes when the new is healthy");
        assert_eq!(pace(1, 0, 100), "the old goes before the new starts");
        let alone = Ready("runs", "run");
        assert_eq!(told(6, 33, 0, alone), "2 at a time, the old go when the new run");
        assert_eq!(told(4, 100, 0, alone), "all at once, the old go when the new run");
        assert_eq!(told(1, 100, 0, alone), "the old goes when the new runs");
    }

    #[test]
    fn an_interrupted_move_to_another_network_gives_no_number() {
        let vpc = |observed: &str, desired: &str| FieldChange {
            path: "vpc".into(),
            observed: Some(observed.into()),
            desired: Some(desired.into()),
            forces_replacement: false,
        };
        let (text, replaced) = moved(&vpc("network.vpc, network.vpc (replaced)", "network.vpc"), 4, 6, HEALTHY);
        assert_eq!((text.starts_with("launches what is missing of 4 instances"), replaced), (true, 0), "{text}");
        let (text, replaced) = moved(&vpc("network.vpc", "network.vpc (new)"), 4, 6, HEALTHY);
        assert_eq!((text.contains("the old 6 go"), replaced), (true, 4), "{text}");
    }
}
