//! Scaling activities → events: those of one decision are one event.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cause::{self, By, Cause};
use super::event::{Event, Kind, seconds, short};
use crate::cloud::activities::Activity;
use crate::cloud::alarms::{self, Alarm, Turn};
use crate::cloud::state::{ActivityStatus, AlarmState};
use crate::result::figures;

/// An activity begins within seconds of the alarm that called for it; its cause has whole seconds.
const ALARM_SLACK: SignedDuration = SignedDuration::from_secs(2);

type Turns = BTreeMap<String, Vec<(Timestamp, Turn)>>;

/// Activities that belong together.
struct Decided<'a> {
    cause: Cause,
    activities: Vec<&'a Activity>,
}

/// The events that activities report. `turns` says what the alarms saw that called for them.
pub fn events(activities: &[Activity], turns: &Turns, alarms: &[Alarm]) -> Vec<Event> {
    let mut decided: Vec<Decided<'_>> = Vec::new();
    let mut events = Vec::new();
    for activity in activities {
        let cause = cause::parse(&activity.cause);
        if matches!(activity.status, ActivityStatus::Failed | ActivityStatus::Cancelled) {
            events.push(failed(activity));
        } else if cause.decisions.is_empty() && cause.step.is_none() {
            events.push(alone(activity, &cause));
        } else {
            match decided.iter_mut().rev().find(|known| belongs(known, activity, &cause)) {
                Some(known) => known.activities.push(activity),
                None => decided.push(Decided { cause, activities: vec![activity] }),
            }
        }
    }
    events.extend(decided.iter().map(|one| decision(one, turns, alarms)));
    events.sort_by_key(|event| event.at);
    pair(&mut events);
    events
}

/// Whether an activity is of a decision: it shares its sentence, or goes on on the way that it began.
fn belongs(known: &Decided<'_>, activity: &Activity, cause: &Cause) -> bool {
    if known.activities[0].cluster != activity.cluster {
        return false;
    }
    match (known.cause.decisions.last(), cause.decisions.last()) {
        (Some(known), Some(own)) => known.sentence == own.sentence,
        (Some(known), None) => cause.step.is_some_and(|(from, to)| {
            let grows = known.to > known.from;
            let within = |capacity: u32| capacity.clamp(known.from.min(known.to), known.from.max(known.to)) == capacity;
            grows == (to > from) && within(from) && within(to)
        }),
        _ => false,
    }
}

fn decision(decided: &Decided<'_>, turns: &Turns, alarms: &[Alarm]) -> Event {
    let Decided { cause, activities } = decided;
    let first = activities[0];
    let step = cause.step.unwrap_or_default();
    let (from, to) = match (cause.decisions.first(), cause.decisions.last()) {
        (Some(first), Some(last)) => (first.from, last.to),
        _ => step,
    };
    let by = cause.decisions.last().map(|decision| &decision.by);
    let at = cause.decisions.last().and_then(|decision| decision.at).unwrap_or(first.started).min(first.started);
    let why = by.map_or_else(|| "desired and actual capacity differed".to_owned(), |by| who(by, at, turns, alarms));
    let (kind, done) = if to > from { (Kind::ScaleOut, "in service") } else { (Kind::ScaleIn, "gone") };
    let expected = usize::try_from(from.abs_diff(to)).unwrap_or(usize::MAX);
    let ends: Vec<_> = activities.iter().filter_map(|activity| activity.ended).collect();
    let all = activities.len() >= expected && ends.len() == activities.len();
    let ended = ends.into_iter().max().filter(|_| all);
    let after = ended.map(|ended| format!("; {done} after {}", seconds(at, ended))).unwrap_or_default();
    let event = Event::new(&*first.id, at, &first.cluster, kind, format!("{why} → {from} to {to}{after}"));
    let alarm = by.and_then(|by| match by {
        By::Alarm { name, .. } => Some(name.clone()),
        _ => None,
    });
    Event {
        ended,
        capacity: Some((from, to)),
        alarm,
        instances: activities.iter().filter_map(|activity| instance(activity)).collect(),
        activities: activities.iter().map(|activity| (*activity).clone()).collect(),
        ..event
    }
}

/// `alarm high: 71, 76, 80 > 50`
fn who(by: &By, at: Timestamp, turns: &Turns, alarms: &[Alarm]) -> String {
    match by {
        By::Alarm { name, .. } => {
            let label = alarms::label(name);
            let rang = turns.get(name).into_iter().flatten().rev();
            let rang =
                rang.filter(|(_, turn)| turn.to == AlarmState::Alarm).find(|(rang, _)| *rang <= at + ALARM_SLACK);
            let of = alarms.iter().find(|alarm| alarm.name == *name);
            match (rang, of) {
                // What it saw when it rang says little about what it called for later.
                (Some((rang, _)), Some(of)) if at.duration_since(*rang).as_secs() > of.period => {
                    format!("alarm {label} in ALARM since {}", rang.to_zoned(TimeZone::UTC).strftime("%H:%M"))
                }
                (Some((_, turn)), Some(of)) if !turn.values.is_empty() => {
                    let (values, sign) = (figures::list(&turn.values), of.comparison.sign());
                    format!("alarm {label}: {values} {sign} {}", figures::short(of.threshold))
                }
                _ => format!("alarm {label}"),
            }
        }
        By::Request => "by hand".to_owned(),
        By::Creation => "created".to_owned(),
        By::Policy(policy) => format!("policy {} by hand", policy.rsplit("--").next().unwrap_or(policy)),
        By::Schedule => "schedule".to_owned(),
        By::Other(words) => words.clone(),
    }
}

fn is_launch(activity: &Activity) -> bool {
    activity.description.starts_with("Launching")
}

/// `Launching a new EC2 instance: i-0123456789abcdef0`
fn instance(activity: &Activity) -> Option<String> {
    let id = activity.description.rsplit(' ').next()?;
    id.starts_with("i-").then(|| id.to_owned())
}

fn failed(activity: &Activity) -> Event {
    let what = match activity.description.as_str() {
        text if text.starts_with("Launching") => "a launch".to_owned(),
        text if text.starts_with("Terminating") => "a termination".to_owned(),
        text => format!("“{text}”"),
    };
    let verb = if activity.status == ActivityStatus::Cancelled { "was cancelled" } else { "failed" };
    let why = activity.message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let event =
        Event::new(&*activity.id, activity.started, &activity.cluster, Kind::Failed, format!("{what} {verb}{why}"));
    Event {
        ended: activity.ended,
        instances: instance(activity).into_iter().collect(),
        activities: vec![activity.clone()],
        ..event
    }
}

/// One instance that came or went for a reason of its own.
fn alone(activity: &Activity, cause: &Cause) -> Event {
    let words = cause.response.as_deref().map(cause::response_words);
    let id = instance(activity);
    let name = id.as_deref().map_or_else(|| "an instance".to_owned(), short);
    let after = |done: &str| {
        let ended = activity.ended.map(|ended| format!("; {done} after {}", seconds(activity.started, ended)));
        ended.unwrap_or_default()
    };
    let (kind, text) = match &words {
        Some(words) if is_launch(activity) && words.starts_with("replaces") => {
            (Kind::Replaced, format!("{name} {words}{}", after("in service")))
        }
        Some(words) if is_launch(activity) => {
            (Kind::Launched, format!("{name} launched: {words}{}", after("in service")))
        }
        Some(words) => (Kind::Ended, format!("{name} {words}")),
        None if is_launch(activity) => (Kind::Launched, format!("{name} launched{}", after("in service"))),
        None => (Kind::Ended, activity.description.clone()),
    };
    let event = Event::new(&*activity.id, activity.started, &activity.cluster, kind, text);
    Event { ended: activity.ended, instances: id.into_iter().collect(), activities: vec![activity.clone()], ..event }
}

/// What ended is reported with how long it took until another was there: the first that was launched for one that
/// failed.
fn pair(events: &mut [Event]) {
    let mut taken = vec![false; events.len()];
    for index in 0..events.len() {
        let event = &events[index];
        if event.kind != Kind::Ended || event.activities.is_empty() {
            continue;
        }
        let successor = (0..events.len()).find(|other| {
            let other_event = &events[*other];
            let fits = other_event.kind == Kind::Replaced && other_event.cluster == event.cluster;
            fits && !taken[*other] && other_event.at >= event.at
        });
        let Some(successor) = successor else { continue };
        taken[successor] = true;
        if let Some(ended) = events[successor].ended {
            let text = format!("; replaced after {}", seconds(events[index].at, ended));
            events[index].text += &text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::alarms::Comparison;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn activity(id: &str, started: i64, ended: Option<i64>, what: &str, cause: &str) -> Activity {
        Activity {
            id: id.into(),
            cluster: "web".into(),
            started: at(started),
            ended: ended.map(at),
            status: if ended.is_some() { "Successful" } else { "InProgress" }.into(),
            description: format!("{what} EC2 instance: i-0123456789abcdef{id}"),
            cause: cause.into(),
            message: None,
        }
    }

    const HIGH: &str = "TargetTracking-cs-s--web-AlarmHigh-1";

    fn alarm() -> Alarm {
        Alarm {
            cluster: "web".into(),
            policy: "cpu".into(),
            name: HIGH.into(),
            metric: "CPUUtilization".into(),
            state: "ALARM".into(),
            comparison: Comparison::Above,
            threshold: 50.0,
            period: 60,
            periods: 3,
            to_alarm: 3,
            since: None,
        }
    }

    fn rang(second: i64) -> Turns {
        let turn =
            Turn { from: "OK".into(), to: "ALARM".into(), values: vec![71.0, 76.0, 80.0], reason: String::new() };
        Turns::from([(HIGH.into(), vec![(at(second), turn)])])
    }

    #[test]
    fn the_activities_of_a_decision_are_one_event_that_is_over_with_the_last_of_them() {
        let cause = format!(
            "At {} a monitor alarm {HIGH} in state ALARM triggered policy cpu changing the desired capacity from 4 to 6.  \
             At {} an instance was started in response to a difference between desired and actual capacity, increasing the \
             capacity from 4 to 6.",
            at(0),
            at(5)
        );
        let mut both =
            [activity("a", 5, Some(50), "Launching a new", &cause), activity("b", 5, None, "Launching a new", &cause)];
        let told = events(&both, &rang(0), &[alarm()]);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].kind, told[0].at, told[0].capacity), (Kind::ScaleOut, at(0), Some((4, 6))));
        assert_eq!(told[0].text, "alarm high: 71, 76, 80 > 50 → 4 to 6");
        assert_eq!(told[0].instances, ["i-0123456789abcdefa", "i-0123456789abcdefb"]);
        (both[1].ended, both[1].status) = (Some(at(65)), "Successful".into());
        let told = events(&both, &rang(0), &[alarm()]);
        assert_eq!(told[0].text, "alarm high: 71, 76, 80 > 50 → 4 to 6; in service after 65 s");
        // One of two is not the whole of it.
        assert_eq!(events(&both[..1], &rang(0), &[])[0].text, "alarm high → 4 to 6");
        let later = events(&both[..1], &rang(-180), &[alarm()]);
        assert_eq!(later[0].text, "alarm high in ALARM since 22:10 → 4 to 6");
        // An alarm that rang later called for something else.
        assert_eq!(events(&both[..1], &rang(60), &[alarm()])[0].text, "alarm high → 4 to 6");
    }

    #[test]
    fn what_goes_on_on_the_way_of_a_decision_belongs_to_it() {
        let hand = format!(
            "At {} a user request explicitly set group desired capacity changing the desired capacity from 4 to 2.  At {} an \
             instance was taken out of service in response to a difference between desired and actual capacity, shrinking the \
             capacity from 4 to 3.",
            at(0),
            at(1)
        );
        let rest = format!(
            "At {} an instance was taken out of service in response to a difference between desired and actual capacity, \
             shrinking the capacity from 3 to 2.",
            at(20)
        );
        let both =
            [activity("a", 1, Some(10), "Terminating", &hand), activity("b", 20, Some(30), "Terminating", &rest)];
        let told = events(&both, &Turns::new(), &[]);
        assert_eq!(
            told.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(),
            ["by hand → 4 to 2; gone after 30 s"]
        );
    }

    #[test]
    fn what_goes_the_other_way_or_beyond_is_of_no_decision() {
        let hand = format!(
            "At {} a user request explicitly set group desired capacity changing the desired capacity from 2 to 4.  At {} an \
             instance was started in response to a difference between desired and actual capacity, increasing the capacity \
             from 2 to 3.",
            at(0),
            at(1)
        );
        let step = |way: &str, from: u32, to: u32| {
            format!(
                "At {} an instance was started in response to a difference between desired and actual capacity, {way} the \
                 capacity from {from} to {to}.",
                at(20)
            )
        };
        for (way, from, to, told) in
            [("increasing", 3, 4, 1), ("increasing", 4, 5, 2), ("increasing", 1, 2, 2), ("shrinking", 4, 3, 2)]
        {
            let rest = step(way, from, to);
            let both = [
                activity("a", 1, Some(10), "Launching a new", &hand),
                activity("b", 20, Some(30), "Launching a new", &rest),
            ];
            assert_eq!(events(&both, &Turns::new(), &[]).len(), told, "{way} from {from} to {to}");
        }
    }

    #[test]
    fn what_failed_its_health_check_is_told_with_its_replacement() {
        let failed = "At 2026-11-21T10:00:00Z an instance was taken out of service in response to an ELB system health check failure.";
        let launch = "At 2026-11-21T10:00:10Z an instance was launched in response to an unhealthy instance needing to be replaced.";
        let both =
            [activity("0", 0, Some(5), "Terminating", failed), activity("1", 10, Some(62), "Launching a new", launch)];
        let told = events(&both, &Turns::new(), &[]);
        assert_eq!(told[0].text, "i-0123… failed its health check; replaced after 62 s");
        assert_eq!(told[1].text, "i-0123… replaces an unhealthy one; in service after 52 s");
        assert_eq!((told[0].kind, told[1].kind), (Kind::Ended, Kind::Replaced));
    }

    #[test]
    fn a_launch_that_failed_says_why() {
        let mut launch =
            activity("0", 0, Some(1), "Launching a new", "At 2026-11-21T10:00:10Z an instance was started.");
        (launch.status, launch.message) = ("Failed".into(), Some("no capacity in us-east-1a".into()));
        let told = events(&[launch], &Turns::new(), &[]);
        assert_eq!((told[0].kind, told[0].text.as_str()), (Kind::Failed, "a launch failed: no capacity in us-east-1a"));
    }
}
