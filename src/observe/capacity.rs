//! A cluster's capacity over time: as it was seen, and before the first look as its events report it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::event::{Event, Kind};

/// For so long before the first known change nothing changed, as far as a view looks back.
const AS_BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// Capacity from a time on, until the next point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capacity {
    pub desired: u32,
    pub in_service: u32,
    /// Launched, and not in service yet.
    pub warming: u32,
    /// Out of service, and not gone yet.
    pub leaving: u32,
    /// `None` before the first look: nobody keeps a record of it.
    pub healthy: Option<u32>,
    pub unhealthy: Option<u32>,
}

/// Points where it changes, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(Vec<(Timestamp, Capacity)>);

impl History {
    /// What is known after a look: `events` count where it is the first.
    pub fn look(&mut self, at: Timestamp, now: Capacity, cluster: &str, events: &[Event]) {
        if self.0.is_empty() {
            self.0 = before(at, now, cluster, events);
        }
        if self.0.last().is_none_or(|(_, known)| *known != now) {
            self.0.push((at, now));
        }
    }

    /// Forgets what is older than `span`, but for the point that the span begins with.
    pub fn forget(&mut self, now: Timestamp, span: SignedDuration) {
        let oldest = now - span;
        let first = self.0.partition_point(|(at, _)| *at <= oldest).saturating_sub(1);
        self.0.drain(..first);
    }

    pub fn points(&self) -> &[(Timestamp, Capacity)] {
        &self.0
    }
}

/// Walks back from `now`, taking away what each event brought.
fn before(at: Timestamp, now: Capacity, cluster: &str, events: &[Event]) -> Vec<(Timestamp, Capacity)> {
    // When desired and in service changed, and by how much.
    let mut changes: Vec<(Timestamp, i64, i64)> = Vec::new();
    for event in events.iter().filter(|event| event.cluster == cluster) {
        let is_fixed = event.activities.is_empty();
        let count = |at: Option<Timestamp>, sign: i64| at.map(|at| (at, 0, sign));
        match (event.kind, event.capacity) {
            (Kind::ScaleOut | Kind::ScaleIn, Some((from, to))) => {
                changes.push((event.at, i64::from(to) - i64::from(from), 0));
                let grows = event.kind == Kind::ScaleOut;
                let each =
                    event.activities.iter().map(|activity| if grows { activity.ended } else { Some(activity.started) });
                changes.extend(each.filter_map(|at| count(at, if grows { 1 } else { -1 })));
            }
            // Of fixed instances: what the stack wants was wanted before.
            (Kind::Launched, _) if is_fixed => {
                let launched = i64::try_from(event.instances.len()).unwrap_or(i64::MAX);
                changes.push((event.at, 0, launched));
            }
            _ if is_fixed => {}
            (Kind::Launched | Kind::Replaced, _) => changes.extend(count(event.ended, 1)),
            (Kind::Ended, _) => changes.extend(count(Some(event.at), -1)),
            _ => {}
        }
    }
    changes.retain(|(changed, ..)| *changed <= at);
    changes.sort_by_key(|(changed, ..)| *changed);
    let (mut desired, mut in_service) = (i64::from(now.desired), i64::from(now.in_service));
    let mut points = Vec::new();
    let size = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let first = changes.first().map(|(first, ..)| *first);
    for (changed, desired_by, in_service_by) in changes.into_iter().rev() {
        let (wanted, serving) = (size(desired), size(in_service));
        let warming = wanted.saturating_sub(serving);
        points.push((changed, Capacity { desired: wanted, in_service: serving, warming, ..Capacity::default() }));
        (desired, in_service) = (desired - desired_by, in_service - in_service_by);
    }
    if let Some(first) = first {
        let start = Capacity { desired: size(desired), in_service: size(in_service), ..Capacity::default() };
        points.push((first - AS_BEFORE, start));
    }
    points.reverse();
    // Of several changes at one time the last counts.
    points.dedup_by(|later, earlier| {
        later.0 == earlier.0 && {
            earlier.1 = later.1;
            true
        }
    });
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::activities::Activity;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn scaled(from: u32, to: u32, began: i64, ends: &[i64]) -> Event {
        let kind = if to > from { Kind::ScaleOut } else { Kind::ScaleIn };
        let activity = |end: &i64| Activity {
            id: String::new(),
            cluster: "web".into(),
            started: at(began),
            ended: Some(at(*end)),
            status: "Successful".into(),
            description: String::new(),
            cause: String::new(),
            message: None,
        };
        let event = Event::new("e", at(began), "web", kind, "");
        Event { capacity: Some((from, to)), activities: ends.iter().map(activity).collect(), ..event }
    }

    #[test]
    fn before_the_first_look_capacity_is_what_the_events_left_over() {
        let events = [scaled(2, 4, 100, &[150, 160]), scaled(4, 3, 300, &[350])];
        let now = Capacity { desired: 3, in_service: 3, healthy: Some(3), ..Capacity::default() };
        let mut history = History::default();
        history.look(at(400), now, "web", &events);
        history.look(at(401), now, "web", &events);
        let seen: Vec<_> =
            history.points().iter().map(|(at, c)| (at.as_second(), c.desired, c.in_service, c.healthy)).collect();
        assert_eq!(
            seen,
            [
                (-3500, 2, 2, None),
                (100, 4, 2, None),
                (150, 4, 3, None),
                (160, 4, 4, None),
                (300, 3, 3, None),
                (400, 3, 3, Some(3))
            ]
        );
        let mut fixed = History::default();
        let launched = Event {
            instances: vec!["i-1".into(), "i-2".into()],
            ..Event::new("e", at(100), "web", Kind::Launched, "")
        };
        let two = Capacity { desired: 2, in_service: 2, healthy: Some(2), ..Capacity::default() };
        fixed.look(at(400), two, "web", &[launched]);
        let seen: Vec<_> = fixed.points().iter().map(|(at, c)| (at.as_second(), c.desired, c.in_service)).collect();
        assert_eq!(seen, [(-3500, 2, 0), (100, 2, 2), (400, 2, 2)]);
        history.forget(at(400), SignedDuration::from_secs(200));
        assert_eq!(history.points()[0].0, at(160), "the span begins with it");
    }
}
