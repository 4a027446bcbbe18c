//! Which instance to end when a group shrinks: the fullest zone first, then the group's policies in order
//! (aws-semantics §8). Protected instances are no candidates.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::member::{Member, Template};

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TerminationPolicy {
    Default,
    AllocationStrategy,
    ClosestToNextInstanceHour,
    NewestInstance,
    OldestInstance,
    OldestLaunchConfiguration,
    OldestLaunchTemplate,
}

impl TerminationPolicy {
    pub const ALL: [(TerminationPolicy, &'static str); 7] = [
        (TerminationPolicy::AllocationStrategy, "AllocationStrategy"),
        (TerminationPolicy::ClosestToNextInstanceHour, "ClosestToNextInstanceHour"),
        (TerminationPolicy::Default, "Default"),
        (TerminationPolicy::NewestInstance, "NewestInstance"),
        (TerminationPolicy::OldestInstance, "OldestInstance"),
        (TerminationPolicy::OldestLaunchConfiguration, "OldestLaunchConfiguration"),
        (TerminationPolicy::OldestLaunchTemplate, "OldestLaunchTemplate"),
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(policy, _)| policy)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(policy, _)| *policy == self).map_or("Default", |(_, name)| name)
    }

    /// The smallest key goes first. Policies that tell nothing apart here give every instance the same key.
    fn key(self, member: &Member, rules: &Rules) -> i64 {
        match self {
            TerminationPolicy::NewestInstance => -member.launched.as_second(),
            TerminationPolicy::OldestInstance => member.launched.as_second(),
            TerminationPolicy::ClosestToNextInstanceHour => {
                3_600 - (rules.now.as_second() - member.launched.as_second()).rem_euclid(3_600)
            }
            TerminationPolicy::OldestLaunchTemplate => template_age(member, rules.current),
            TerminationPolicy::AllocationStrategy => rules.ranks.get(&member.id).copied().unwrap_or(0),
            // Another configuration than the group's is older: it cannot change.
            TerminationPolicy::OldestLaunchConfiguration => match &member.configuration {
                Some(name) if Some(name.as_str()) != rules.configuration => 0,
                _ => 1,
            },
            // `keys` spells it out.
            TerminationPolicy::Default => 0,
        }
    }
}

/// Other templates than the group's are older than any version of its own.
fn template_age(member: &Member, current: &Template) -> i64 {
    match &member.template {
        Some(template) if template.id == current.id => template.version.parse().unwrap_or(i64::MAX),
        _ => -1,
    }
}

/// What the choice is made by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub policies: &'a [TerminationPolicy],
    /// The group's template.
    pub current: &'a Template,
    /// The name of its launch configuration.
    pub configuration: Option<&'a str>,
    /// How a mixed group would rather lose its instances: the smallest first. Empty for a group of one type.
    pub ranks: &'a BTreeMap<String, i64>,
    pub now: Timestamp,
}

fn keys(member: &Member, rules: &Rules) -> Vec<i64> {
    let spelled = rules.policies.iter().flat_map(|policy| match policy {
        TerminationPolicy::Default => {
            vec![
                TerminationPolicy::AllocationStrategy,
                TerminationPolicy::OldestLaunchConfiguration,
                TerminationPolicy::OldestLaunchTemplate,
                TerminationPolicy::ClosestToNextInstanceHour,
            ]
        }
        other => vec![*other],
    });
    spelled.map(|policy| policy.key(member, rules)).collect()
}

/// The next instance to end among `candidates`, or `None` without any. `zones` counts the group's active instances per
/// zone; `pick(n)` gives a number below n for the ties that AWS breaks at random.
pub fn choose<'a>(
    candidates: &[&'a Member],
    zones: &BTreeMap<String, usize>,
    rules: &Rules,
    mut pick: impl FnMut(usize) -> usize,
) -> Option<&'a Member> {
    let fullness = |member: &Member| zones.get(&member.zone).copied().unwrap_or(0);
    let fullest = candidates.iter().map(|member| fullness(member)).max()?;
    let mut full_zones: Vec<&str> =
        candidates.iter().filter(|member| fullness(member) == fullest).map(|member| member.zone.as_str()).collect();
    full_zones.sort_unstable();
    full_zones.dedup();
    let zone = full_zones[pick(full_zones.len())];

    let in_zone: Vec<(Vec<i64>, &Member)> =
        candidates.iter().filter(|member| member.zone == zone).map(|member| (keys(member, rules), *member)).collect();
    let first = in_zone.iter().map(|(key, _)| key).min()?;
    let tied: Vec<&Member> = in_zone.iter().filter(|(key, _)| key == first).map(|(_, member)| *member).collect();
    Some(tied[pick(tied.len())])
}

#[cfg(test)]
mod tests {
    use super::super::member::Lifecycle;
    use super::*;

    fn member(id: &str, zone: &str, launched: i64, version: &str) -> Member {
        Member {
            id: id.to_owned(),
            subnet: format!("subnet-{zone}"),
            zone: zone.to_owned(),
            instance_type: "t3.micro".to_owned(),
            spot: false,
            weight: 1,
            image: "ami-1".to_owned(),
            template: Some(template(version)),
            configuration: None,
            lifecycle: Lifecycle::InService,
            activity: None,
            launched: Timestamp::from_second(launched).unwrap(),
            in_service: None,
            unhealthy_cause: None,
            expired: false,
            at_risk: false,
            protected: false,
            grows: false,
            registered: Vec::new(),
            draining: Vec::new(),
            actions: Vec::new(),
            prepared: None,
            returns: false,
        }
    }

    fn template(version: &str) -> Template {
        Template { id: "lt-1".to_owned(), name: "web".to_owned(), version: version.to_owned() }
    }

    fn chosen(members: &[Member], policies: &[TerminationPolicy], now: i64) -> String {
        let mut zones = BTreeMap::new();
        for member in members {
            *zones.entry(member.zone.clone()).or_insert(0) += 1;
        }
        let candidates: Vec<&Member> = members.iter().collect();
        let now = Timestamp::from_second(now).unwrap();
        let rules = Rules { policies, current: &template("2"), configuration: None, ranks: &BTreeMap::new(), now };
        choose(&candidates, &zones, &rules, |_| 0).unwrap().id.clone()
    }

    #[test]
    fn the_fullest_zone_gives_first_whatever_the_policy_says() {
        let members = [member("old", "a", 0, "1"), member("b1", "b", 10, "2"), member("b2", "b", 20, "2")];
        assert_eq!(chosen(&members, &[TerminationPolicy::OldestInstance], 100), "b1");
        assert_eq!(chosen(&members, &[TerminationPolicy::NewestInstance], 100), "b2");
    }

    #[test]
    fn by_default_the_oldest_template_version_goes_and_then_the_one_closest_to_its_next_hour() {
        let members = [member("new", "a", 0, "2"), member("early", "a", 1_000, "1"), member("late", "a", 3_000, "1")];
        assert_eq!(chosen(&members, &[TerminationPolicy::Default], 4_000), "early");
        assert_eq!(chosen(&members, &[TerminationPolicy::Default], 4_700), "late", "early began a new hour");
    }

    /// "Determine whether any of the instances use the oldest launch template", by the version's number (user guide, "Termination
    /// policies"); another template than the group's is older than all.
    #[test]
    fn versions_are_numbers_and_other_templates_are_the_oldest() {
        let oldest = [TerminationPolicy::OldestLaunchTemplate, TerminationPolicy::NewestInstance];
        let members = [member("two", "a", 0, "2"), member("ten", "a", 90, "10")];
        assert_eq!(chosen(&members, &oldest, 100), "two");
        let mut another = member("another", "a", 0, "11");
        another.template = Some(Template { id: "lt-2".to_owned(), ..template("11") });
        let mut none = member("none", "a", 1, "1");
        none.template = None;
        assert_eq!(chosen(&[member("one", "a", 90, "1"), another], &oldest, 100), "another");
        assert_eq!(chosen(&[member("one", "a", 90, "1"), none], &oldest, 100), "none");
    }

    #[test]
    fn policies_are_asked_in_order() {
        let members = [member("x", "a", 5, "1"), member("y", "a", 5, "2"), member("z", "a", 9, "1")];
        let policies = [TerminationPolicy::OldestLaunchTemplate, TerminationPolicy::NewestInstance];
        assert_eq!(chosen(&members, &policies, 100), "z");
    }
}
