//! Replaces fixed instances in rounds: within `rollout`, neither their capacity nor the account's quota is left.
//!
//! [`round`] decides alone. In a round, what may be missing leaves the target group, drains and ends; then what there
//! is room for starts, joins and gets healthy. Whatever fails ends the rollout there: those that are left of the old
//! ones serve.

use std::collections::BTreeMap;

use super::launch::launch;
use super::moves::moves;
use super::states::{terminate_at_once, until_running, until_terminated};
use super::{Desired, Member, Observed};
use crate::problem::Problem;
use crate::resource::context::ActionContext;
use crate::resources::target_group;
use crate::resources::targets;

/// What happens before the next look: first the end, then the launch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Round {
    end: Vec<String>,
    /// How many to launch, by zone.
    launch: BTreeMap<String, usize>,
}

/// The next round; `None` when nothing outdated serves any more.
fn round(desired: &Desired, members: &[Member]) -> Option<Round> {
    let (troubled, serving): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.trouble.is_some());
    let (current, mut old): (Vec<&Member>, Vec<&Member>) =
        serving.into_iter().partition(|member| member.is_of(&desired.template));
    if old.is_empty() {
        return None;
    }
    let at_least = desired.count.saturating_sub(desired.unavailable);
    let may_end = (current.len() + old.len()).saturating_sub(at_least).min(old.len());
    let mut end: Vec<String> = troubled.into_iter().map(|member| member.id.clone()).collect();
    for _ in 0..may_end {
        let in_zone = |zone: &str| current.iter().chain(&old).filter(|member| member.zone == zone).count();
        let fullest = (0..old.len()).max_by_key(|index| in_zone(&old[*index].zone)).expect("there are that many");
        end.push(old.remove(fullest).id.clone());
    }
    let room = (desired.count + desired.surge).saturating_sub(current.len() + old.len());
    let next = current.len() + room.min(desired.count.saturating_sub(current.len()));
    let current: Vec<_> = current.into_iter().cloned().collect();
    let launch = moves(next.max(current.len()), &desired.template, &desired.zones, &current).launch;
    Some(Round { end, launch })
}

/// Replaces what is outdated and serves; answers with the instances as they are then.
///
/// Behind a new target group the old instances cannot serve: then all new ones are launched at once, and this does
/// nothing.
///
/// # Errors
/// New instances that do not run or do not get healthy in time, and any call that fails.
pub(super) async fn run(
    context: &ActionContext<'_>,
    desired: &Desired,
    observed: &Observed,
) -> Result<Observed, Problem> {
    let mut observed = observed.clone();
    let target_group = match desired.balanced {
        true => Some(context.output(&target_group::address(&desired.cluster))?.id),
        false => None,
    };
    if observed.target_group != target_group {
        return Ok(observed);
    }
    let is_old = |member: &&Member| !member.is_of(&desired.template);
    let total = observed.members.iter().filter(is_old).count();
    let mut ended = Vec::new();
    while let Some(round) = round(desired, &observed.members) {
        if let Some(target_group) = &target_group {
            targets::leave(context, target_group, &round.end).await?;
        }
        terminate_at_once(context, &round.end).await?;
        observed.members.retain(|member| !round.end.contains(&member.id));
        ended.extend(round.end);
        let progress = format!("{} of {total} replaced", total - observed.members.iter().filter(is_old).count());
        context.waiting(&progress);
        let launched = launch(context, desired, &observed, &round.launch).await?;
        let ids: Vec<_> = launched.iter().map(|(_, id)| id.clone()).collect();
        until_running(context, &ids).await?;
        if let Some(target_group) = &target_group {
            targets::join(context, target_group, &ids).await?;
            targets::until_healthy(context, target_group, &ids, &progress).await?;
        }
        observed.seen.extend(launched.iter().cloned());
        observed.members.extend(launched.into_iter().map(|(zone, id)| desired.member(id, zone)));
    }
    until_terminated(context, &ended).await?;
    Ok(observed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{desired, member, of};
    use super::*;

    /// Plays the rounds through; (running, serving) after each half of each round.
    fn play(desired: &Desired, mut members: Vec<Member>) -> Vec<(usize, usize)> {
        let mut course = Vec::new();
        while let Some(round) = round(desired, &members) {
            members.retain(|member| !round.end.contains(&member.id));
            course.push(sizes(&members));
            for (zone, count) in &round.launch {
                let first = course.len() * 100;
                members.extend((0..*count).map(|n| desired.member(format!("i-{zone}{}", first + n), zone.clone())));
            }
            course.push(sizes(&members));
            assert!(course.len() < 100, "{course:?}");
        }
        assert!(members.iter().all(|member| member.is_of(&desired.template) && member.trouble.is_none()));
        course
    }

    fn sizes(members: &[Member]) -> (usize, usize) {
        (members.len(), members.iter().filter(|member| member.trouble.is_none()).count())
    }

    fn old(count: usize) -> Vec<Member> {
        let zones = ["a", "b", "c"].iter().cycle();
        zones
            .take(count)
            .enumerate()
            .map(|(n, zone)| Member { template: of("old"), ..member(&format!("o-{n}"), zone) })
            .collect()
    }

    #[test]
    fn a_rollout_stays_within_its_bounds() {
        for (count, surge, unavailable) in [(4, 1, 0), (4, 4, 0), (5, 2, 1), (4, 0, 2), (1, 0, 1), (3, 1, 3), (1, 1, 0)]
        {
            let desired = Desired { surge, unavailable, ..desired(count) };
            let course = play(&desired, old(count));
            assert!(course.iter().all(|(running, _)| *running <= count + surge), "{course:?}");
            assert!(course.iter().all(|(_, serving)| serving + unavailable >= count), "{course:?}");
        }
    }

    #[test]
    fn one_more_at_a_time_goes_through_the_zones() {
        let desired = Desired { surge: 1, unavailable: 0, ..desired(3) };
        let course = play(&desired, old(3));
        assert_eq!(course, [(3, 3), (4, 4), (3, 3), (4, 4), (3, 3), (4, 4), (3, 3), (3, 3)]);
    }

    #[test]
    fn what_does_not_serve_ends_first_and_a_smaller_fleet_launches_fewer() {
        let desired = Desired { surge: 1, unavailable: 0, ..desired(2) };
        let mut members = old(4);
        members[1].trouble = Some("unhealthy".into());
        let first = round(&desired, &members).expect("outdated ones");
        assert_eq!(first.end, ["o-1", "o-3"], "the sick one, and one that is too many");
        assert_eq!(first.launch.values().sum::<usize>(), 1);
    }

    #[test]
    fn a_fleet_that_is_current_has_no_rounds() {
        assert_eq!(round(&desired(2), &[member("i-1", "a")]), None);
    }
}
