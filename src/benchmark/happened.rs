//! What AWS has written down of a run: the groups' activities, the changes of their alarms, their instance refreshes.

use jiff::Timestamp;

use super::metrics::Window;
use crate::cloud::activities::{ACTIVITIES_MAX, Activity};
use crate::cloud::alarms::{Changed, label};
use crate::cloud::refreshes::Refresh;
use crate::cloud::signals::{Signal, Threshold};
use crate::engine::Engine;
use crate::problem::Problem;
use crate::result::record::{self, AlarmChange, Cloud, CloudEvent};

/// The groups' activities since the start of the run.
///
/// # Errors
/// A call that fails.
pub async fn activities(engine: &Engine, started: Timestamp) -> Result<Vec<Activity>, Problem> {
    let found = engine.activities(ACTIVITIES_MAX).await?;
    // An activity's time has whole seconds.
    Ok(found.into_iter().filter(|activity| activity.started.as_second() >= started.as_second()).collect())
}

/// What AWS itself has written down of a run.
#[derive(Debug, Default)]
pub struct Happened {
    pub activities: Vec<Activity>,
    pub alarms: Vec<Changed>,
    pub refreshes: Vec<Refresh>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

impl Happened {
    /// Asks for everything that happened since the start of the run.
    pub async fn since(engine: &Engine, started: Timestamp) -> Self {
        let mut missing = Vec::new();
        let activities = or_missing(activities(engine, started).await, "scaling activities", &mut missing);
        let alarms = or_missing(engine.alarm_changes(started).await, "changes of alarms", &mut missing);
        let refreshes = or_missing(engine.refreshes().await, "instance refreshes", &mut missing);
        Self { activities, alarms, refreshes, missing }
    }

    /// Puts it into the record of a run that began at `started` and took so long; pure.
    pub fn put(&self, cloud: &mut Cloud, started: Timestamp, elapsed: f64) {
        let since = |at: Timestamp| to_the_millisecond(at.duration_since(started).as_secs_f64());
        let event = |activity: &Activity| CloudEvent {
            at: since(activity.started).max(0.0),
            cluster: activity.cluster.clone(),
            what: activity.description.clone(),
            cause: activity.cause.clone(),
            status: activity.status.to_string(),
        };
        cloud.events = self.activities.iter().map(event).collect();
        cloud.alarms = alarms(&self.alarms, since, elapsed);
        cloud.refreshes = refreshes(&self.refreshes, since, elapsed);
        cloud.missing.clone_from(&self.missing);
    }
}

/// Puts what the policies followed into the record.
pub async fn put_signals(cloud: &mut Cloud, engine: &Engine, (started, ended): (Timestamp, Timestamp)) {
    let window = Window::of(started, ended);
    let found =
        or_missing(engine.signals((window.start, window.end)).await, "the policies' metrics", &mut cloud.missing);
    cloud.signals = found.iter().map(|found| signal(found, started)).collect();
}

fn signal(signal: &Signal, started: Timestamp) -> record::Signal {
    let since = |second: i64| to_the_millisecond(second as f64 - started.as_duration().as_secs_f64());
    let threshold = |threshold: &Threshold| record::Threshold {
        label: threshold.label.clone(),
        comparison: threshold.comparison.sign().to_owned(),
        value: threshold.value,
    };
    record::Signal {
        cluster: signal.cluster.clone(),
        policy: signal.policy.clone(),
        metric: signal.metric.clone(),
        period_seconds: signal.period as f64,
        points: signal.points.iter().map(|(at, value)| (since(*at), *value)).collect(),
        thresholds: signal.thresholds.iter().map(threshold).collect(),
    }
}

/// Seconds as the record has them.
fn to_the_millisecond(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn or_missing<T: Default>(answer: Result<T, Problem>, what: &str, missing: &mut Vec<String>) -> T {
    answer.unwrap_or_else(|problem| {
        missing.push(format!("{what}: {}", problem.detail));
        T::default()
    })
}

fn alarms(changes: &[Changed], since: impl Fn(Timestamp) -> f64, elapsed: f64) -> Vec<AlarmChange> {
    let during = changes.iter().filter(|change| (0.0..=elapsed).contains(&since(change.at)));
    let change = |change: &Changed| AlarmChange {
        at: since(change.at),
        cluster: change.cluster.clone(),
        policy: change.policy.clone(),
        alarm: change.alarm.clone(),
        label: label(&change.alarm).to_owned(),
        from: change.turn.from.clone(),
        to: change.turn.to.clone(),
        values: change.turn.values.clone(),
        comparison: change.limit.map(|(comparison, _)| comparison.sign().to_owned()),
        threshold: change.limit.map(|(_, threshold)| threshold),
        reason: change.turn.reason.clone(),
    };
    during.map(change).collect()
}

/// Those that went on at some time of the run.
fn refreshes(refreshes: &[Refresh], since: impl Fn(Timestamp) -> f64, elapsed: f64) -> Vec<record::Refresh> {
    let ended = |refresh: &Refresh| refresh.ended.map(&since);
    let during = |refresh: &&Refresh| since(refresh.started) <= elapsed && ended(refresh).is_none_or(|at| at >= 0.0);
    let mut found: Vec<record::Refresh> = refreshes
        .iter()
        .filter(during)
        .map(|refresh| record::Refresh {
            from: since(refresh.started).max(0.0),
            until: ended(refresh).filter(|at| *at <= elapsed),
            cluster: refresh.cluster.clone(),
            id: refresh.id.clone(),
            status: refresh.status.clone(),
            percent: refresh.percent,
            reason: refresh.reason.clone(),
        })
        .collect();
    found.sort_by(|one, other| one.from.total_cmp(&other.from));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::watch::tests::at;
    use crate::cloud::alarms::{Comparison, Turn};

    fn changed(second: i64, to: &str) -> Changed {
        Changed {
            at: at(second),
            cluster: "web".into(),
            policy: "cpu".into(),
            alarm: "TargetTracking-cs-s--web-AlarmHigh-1".into(),
            limit: Some((Comparison::Above, 50.0)),
            turn: Turn {
                from: "OK".into(),
                to: to.into(),
                values: vec![71.0, 80.0],
                reason: "Threshold Crossed".into(),
            },
        }
    }

    fn refresh(id: &str, from: i64, until: Option<i64>) -> Refresh {
        Refresh {
            cluster: "web".into(),
            id: id.into(),
            status: "InProgress".into(),
            started: at(from),
            ended: until.map(at),
            percent: Some(50),
            reason: None,
        }
    }

    #[test]
    fn the_points_of_a_signal_are_told_from_the_start_of_the_run() {
        let threshold = Threshold { label: "high".into(), comparison: Comparison::Above, value: 50.0 };
        let signal = Signal {
            cluster: "web".into(),
            policy: "cpu".into(),
            metric: "CPUUtilization".into(),
            period: 60,
            points: vec![(1_794_072_000, 20.0), (1_794_072_060, 71.0)],
            thresholds: vec![threshold],
        };
        let started = Timestamp::from_millisecond(1_794_072_022_500).expect("a time");
        let recorded = super::signal(&signal, started);
        assert_eq!(recorded.points, [(-22.5, 20.0), (37.5, 71.0)]);
        assert_eq!((&*recorded.thresholds[0].comparison, recorded.thresholds[0].value), (">", 50.0));
    }

    #[test]
    fn what_happened_during_the_run_is_in_its_record_and_nothing_else() {
        let activity = Activity {
            id: "a".into(),
            message: None,
            cluster: "web".into(),
            started: at(9),
            ended: None,
            status: "Successful".into(),
            description: "Launching a new EC2 instance: i-2".into(),
            cause: "alarm high".into(),
        };
        let happened = Happened {
            activities: vec![activity],
            alarms: vec![changed(-1, "OK"), changed(8, "ALARM"), changed(41, "OK")],
            refreshes: vec![
                refresh("over before", -20, Some(-1)),
                refresh("goes on", 30, None),
                refresh("into the run", -5, Some(10)),
                refresh("ends later", 35, Some(50)),
                refresh("begins later", 45, None),
            ],
            missing: vec!["scaling activities: not allowed".into()],
        };
        let mut cloud = Cloud::default();
        happened.put(&mut cloud, at(0), 40.0);
        assert_eq!((cloud.events[0].at, cloud.events[0].cause.as_str()), (9.0, "alarm high"));
        let alarms: Vec<_> = cloud.alarms.iter().map(|alarm| (alarm.at, &*alarm.label, alarm.to.as_str())).collect();
        assert_eq!(alarms, [(8.0, "high", "ALARM")]);
        let limit = (cloud.alarms[0].comparison.as_deref(), cloud.alarms[0].threshold);
        assert_eq!(limit, (Some(">"), Some(50.0)));
        let spans: Vec<_> = cloud.refreshes.iter().map(|refresh| (&*refresh.id, refresh.from, refresh.until)).collect();
        assert_eq!(spans, [("into the run", 0.0, Some(10.0)), ("goes on", 30.0, None), ("ends later", 35.0, None)]);
        assert_eq!(cloud.missing, ["scaling activities: not allowed"]);
    }
}
