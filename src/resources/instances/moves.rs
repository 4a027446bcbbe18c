//! Which fixed instances stay, and where others are launched: evenly over the zones.

use std::collections::BTreeMap;

use super::{Member, Template};
use crate::resource::fields::Value;

/// What to do to fixed instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Ids that stay.
    pub(super) keep: Vec<String>,
    /// How many to launch, by zone.
    pub(super) launch: BTreeMap<String, usize>,
}

/// Keeps what serves and is current, as many as desired, evenly over the zones; launches the rest where there are
/// fewest.
pub(super) fn moves(count: usize, template: &Template, zones: &[(String, Value)], members: &[Member]) -> Moves {
    let mut by_zone: BTreeMap<&str, Vec<&str>> = zones.iter().map(|(zone, _)| (zone.as_str(), Vec::new())).collect();
    for member in members.iter().filter(|member| member.trouble.is_none() && member.is_of(template)) {
        by_zone.entry(&member.zone).or_default().push(&member.id);
    }
    while by_zone.values().map(Vec::len).sum::<usize>() > count {
        let fullest = by_zone
            .values_mut()
            .max_by_key(|ids| ids.len())
            .expect("more instances than desired, so some zone has one");
        fullest.pop();
    }
    let mut sizes: BTreeMap<&str, usize> =
        zones.iter().map(|(zone, _)| (zone.as_str(), by_zone.get(zone.as_str()).map_or(0, Vec::len))).collect();
    let keep: Vec<_> = by_zone.into_values().flatten().map(str::to_owned).collect();
    let mut launch = BTreeMap::new();
    for _ in keep.len()..count {
        let Some((zone, size)) = sizes.iter_mut().min_by_key(|(_, size)| **size) else { break };
        *size += 1;
        *launch.entry((*zone).to_owned()).or_default() += 1;
    }
    Moves { keep, launch }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{member, of, zones};
    use super::*;

    fn launches(moves: &Moves) -> Vec<(&str, usize)> {
        moves.launch.iter().map(|(zone, count)| (zone.as_str(), *count)).collect()
    }

    #[test]
    fn new_instances_are_spread_over_the_zones() {
        assert_eq!(launches(&moves(5, &of("t"), &zones(), &[])), [("a", 2), ("b", 2), ("c", 1)]);
    }

    #[test]
    fn a_missing_instance_is_launched_where_it_is_missing() {
        let moves = moves(3, &of("t"), &zones(), &[member("i-1", "a"), member("i-3", "c")]);
        assert_eq!(moves.keep, ["i-1", "i-3"]);
        assert_eq!(launches(&moves), [("b", 1)]);
    }

    #[test]
    fn an_unhealthy_instance_is_replaced() {
        let sick = Member { trouble: Some("unhealthy".into()), ..member("i-2", "b") };
        let moves = moves(2, &of("t"), &zones(), &[member("i-1", "a"), sick]);
        assert_eq!((moves.keep.as_slice(), launches(&moves)), (&["i-1".to_owned()][..], vec![("b", 1)]));
    }

    #[test]
    fn an_outdated_instance_is_replaced() {
        let old = Member { template: of("old"), ..member("i-1", "a") };
        assert_eq!(launches(&moves(1, &of("t"), &zones(), &[old])), [("a", 1)]);
    }

    #[test]
    fn surplus_instances_leave_the_fullest_zone() {
        let moves = moves(2, &of("t"), &zones(), &[member("i-1", "a"), member("i-2", "a"), member("i-3", "b")]);
        assert_eq!(moves.keep, ["i-1", "i-3"]);
        assert!(moves.launch.is_empty());
    }
}
