//! What happened to a cluster during a run, as marks on the axis of time and as lines of a table: activities of its group, alarms
//! that changed, instance refreshes, what was broken on purpose. The marks are those of `cloudscale events`.

use crate::cloud::state::{AlarmState, RefreshStatus};
use crate::result::figures;
use crate::result::record::{AlarmChange, Cloud, CloudEvent, Disruption, Refresh};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Seconds since the start of the run.
    pub at: f64,
    pub cluster: String,
    pub mark: char,
    pub what: String,
    /// In AWS's words where it has some.
    pub why: String,
}

/// All of it, in the order of time.
pub fn of(cloud: &Cloud) -> Vec<Happening> {
    let mut all: Vec<Happening> = Vec::new();
    // What is of the same second is told from its cause to its effect.
    all.extend(cloud.disruptions.iter().map(disruption));
    all.extend(cloud.alarms.iter().map(alarm));
    all.extend(cloud.refreshes.iter().map(refresh));
    all.extend(cloud.events.iter().map(activity));
    all.sort_by(|one, other| one.at.floor().total_cmp(&other.at.floor()));
    all
}

/// Out, in, or failed.
fn activity(event: &CloudEvent) -> Happening {
    let mark = match (event.status.as_str(), event.what.starts_with("Terminating")) {
        ("Failed" | "Cancelled", _) => '!',
        (_, true) => '▼',
        (_, false) => '▲',
    };
    Happening {
        at: event.at,
        cluster: event.cluster.clone(),
        mark,
        what: format!("{} ({})", event.what, event.status),
        why: event.cause.clone(),
    }
}

fn alarm(change: &AlarmChange) -> Happening {
    let name = name_of(change);
    let values = figures::list(&change.values);
    let (mark, what) = match (&change.from, &change.to) {
        (_, AlarmState::Alarm) => {
            let limit = change.comparison.as_ref().zip(change.threshold);
            let limit = limit.map(|(sign, threshold)| format!(" {sign} {}", figures::short(threshold)));
            ('◆', format!("alarm {name}: {values}{}", limit.unwrap_or_default()))
        }
        (AlarmState::Alarm, AlarmState::Ok) => ('◇', format!("alarm {name} is over: {values}")),
        (_, AlarmState::Ok) => ('◇', format!("alarm {name} is OK: {values}")),
        _ => ('◇', format!("alarm {name} has insufficient data")),
    };
    let what = what.trim_end_matches(": ").to_owned();
    Happening { at: change.at, cluster: change.cluster.clone(), mark, what, why: without_values(&change.reason) }
}

/// `Threshold Crossed: 3 out of the last 3 datapoints [80.0 (…), …] were greater …` without what is told beside it.
fn without_values(reason: &str) -> String {
    let cut = reason.split_once(" [").and_then(|(before, rest)| Some((before, rest.split_once(']')?.1)));
    cut.map_or_else(|| reason.to_owned(), |(before, after)| format!("{before}{after}"))
}

/// `high of cpu`, and `busy` where the alarm is called as its policy.
pub fn name_of(change: &AlarmChange) -> String {
    if change.label == change.policy { change.label.clone() } else { format!("{} of {}", change.label, change.policy) }
}

fn refresh(refresh: &Refresh) -> Happening {
    let percent = refresh.percent.map(|percent| format!(", {percent} %")).unwrap_or_default();
    let what = match (&refresh.status, refresh.until) {
        (RefreshStatus::Successful, Some(until)) => {
            format!("instance refresh done after {}", figures::duration(until - refresh.from))
        }
        (status, Some(until)) => {
            format!("instance refresh {status} after {}{percent}", figures::duration(until - refresh.from))
        }
        (status, None) => format!("instance refresh {status}{percent}"),
    };
    let why = refresh.reason.clone().unwrap_or_default();
    Happening { at: refresh.from, cluster: refresh.cluster.clone(), mark: '⚑', what, why }
}

fn disruption(disruption: &Disruption) -> Happening {
    Happening {
        at: disruption.at,
        cluster: disruption.cluster.clone(),
        mark: '✕',
        what: format!("{} of {}", disruption.what, disruption.instances.join(", ")),
        why: "broken on purpose".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at: f64, from: &str, to: &str, values: &[f64]) -> AlarmChange {
        AlarmChange {
            at,
            cluster: "web".into(),
            policy: "cpu".into(),
            alarm: "TargetTracking-cs-s--web-AlarmHigh-1".into(),
            label: "high".into(),
            from: from.into(),
            to: to.into(),
            values: values.to_vec(),
            comparison: Some(">".into()),
            threshold: Some(50.0),
            reason: "Threshold Crossed".into(),
        }
    }

    fn event(at: f64, what: &str, status: &str) -> CloudEvent {
        CloudEvent { at, cluster: "web".into(), what: what.into(), cause: "c".into(), status: status.into() }
    }

    #[test]
    fn causes_come_before_what_they_called_for_and_each_has_its_mark() {
        let refresh = |until, status: &str| Refresh {
            from: 90.0,
            until,
            cluster: "web".into(),
            id: "r".into(),
            status: status.into(),
            percent: Some(50),
            reason: None,
        };
        let cloud = Cloud {
            events: vec![
                event(60.0, "Launching", "Successful"),
                event(61.0, "Terminating", "Successful"),
                event(62.0, "Launching", "Failed"),
            ],
            alarms: vec![
                change(60.4, "OK", "ALARM", &[71.0, 80.0]),
                change(120.0, "ALARM", "OK", &[12.0]),
                change(0.0, "INSUFFICIENT_DATA", "OK", &[]),
                change(180.0, "OK", "INSUFFICIENT_DATA", &[]),
            ],
            refreshes: vec![refresh(Some(150.0), "Successful"), refresh(None, "InProgress")],
            ..Cloud::default()
        };
        let told: Vec<String> = of(&cloud).iter().map(|one| format!("{} {}", one.mark, one.what)).collect();
        let expected = [
            "◇ alarm high of cpu is OK",
            "◆ alarm high of cpu: 71, 80 > 50",
            "▲ Launching (Successful)",
            "▼ Terminating (Successful)",
            "! Launching (Failed)",
            "⚑ instance refresh done after 1 min 0 s",
            "⚑ instance refresh InProgress, 50 %",
            "◇ alarm high of cpu is over: 12",
            "◇ alarm high of cpu has insufficient data",
        ];
        assert_eq!(told, expected);
        let reason = "Threshold Crossed: 2 out of the last 2 datapoints [80.0 (05/12/24 21:26:00), 71.0 (05/12/24 21:25:00)] were \
                      greater than the threshold (50.0).";
        let short = "Threshold Crossed: 2 out of the last 2 datapoints were greater than the threshold (50.0).";
        assert_eq!([without_values(reason), without_values("Unchecked")], [short, "Unchecked"]);
    }
}
