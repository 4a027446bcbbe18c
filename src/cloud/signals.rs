//! What called for more or fewer instances: the metric that each policy follows, beside the thresholds of its alarms.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{MetricAlarm, MetricDataQuery, MetricStat};
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::alarms::{self, Comparison, alarms, label};
use super::metric_data;
use crate::aws::clients::Clients;
use crate::problem::Problem;

/// The metric of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    pub cluster: String,
    /// In the stack's words.
    pub policy: String,
    pub metric: String,
    /// Seconds
    pub period: i64,
    /// Epoch second of a period's start, and value; rising.
    pub points: Vec<(i64, f64)>,
    pub thresholds: Vec<Threshold>,
}

/// What one of the policy's alarms compares the metric with.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// `high` or `low` of a target tracking policy, else the policy.
    pub label: String,
    pub comparison: Comparison,
    pub value: f64,
}

/// The signals of groups between two times; `groups` are pairs of cluster and name. Alarms that compare with a band have none.
///
/// # Errors
/// The first call that fails.
pub async fn signals(
    clients: &Clients,
    groups: &[(String, String)],
    window: (Timestamp, Timestamp),
) -> Result<Vec<Signal>, Problem> {
    let found = alarms(clients, groups).await?;
    let read: Vec<(alarms::Alarm, &MetricAlarm)> =
        found.iter().filter_map(|(owner, alarm)| Some((alarms::read(owner, alarm)?, alarm))).collect();
    let mut signals = of_policies(read.iter().map(|(alarm, _)| alarm));
    let calls = signals.iter().map(|signal| {
        let first = read.iter().find(|(alarm, _)| (&alarm.cluster, &alarm.policy) == (&signal.cluster, &signal.policy));
        async move {
            match first {
                Some((_, alarm)) => points(clients, alarm, window).await,
                None => Ok(Vec::new()),
            }
        }
    });
    let points = try_join_all(calls).await?;
    for (signal, points) in signals.iter_mut().zip(points) {
        signal.points = points;
    }
    Ok(signals)
}

/// One signal for each policy, as its first alarm names it: all alarms of a policy watch the same metric.
fn of_policies<'a>(alarms: impl Iterator<Item = &'a alarms::Alarm>) -> Vec<Signal> {
    let mut signals: BTreeMap<(&str, &str), Signal> = BTreeMap::new();
    for alarm in alarms {
        let signal = signals.entry((&alarm.cluster, &alarm.policy)).or_insert_with(|| Signal {
            cluster: alarm.cluster.clone(),
            policy: alarm.policy.clone(),
            metric: alarm.metric.clone(),
            period: alarm.period,
            points: Vec::new(),
            thresholds: Vec::new(),
        });
        let label = label(&alarm.name).to_owned();
        signal.thresholds.push(Threshold { label, comparison: alarm.comparison, value: alarm.threshold });
    }
    signals.into_values().collect()
}

async fn points(
    clients: &Clients,
    alarm: &MetricAlarm,
    window: (Timestamp, Timestamp),
) -> Result<Vec<(i64, f64)>, Problem> {
    const WHAT: &str = "the metric of an alarm";
    let results = match metric_data::of_alarm(alarm) {
        Some((metric, statistic, period)) => {
            let stat = MetricStat::builder().metric(metric).period(period).stat(statistic).build();
            let query = MetricDataQuery::builder().id("signal").metric_stat(stat).return_data(true).build();
            metric_data::data(&clients.cloudwatch, WHAT, &[query], window).await?
        }
        None => metric_data::of_math(&clients.cloudwatch, WHAT, alarm, window).await?,
    };
    let mut points: Vec<(i64, f64)> = results.iter().flat_map(metric_data::points).collect();
    points.sort_by_key(|(at, _)| *at);
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarms_of_a_policy_are_thresholds_of_one_signal() {
        let alarm = |policy: &str, name: &str, comparison, threshold| alarms::Alarm {
            cluster: "web".into(),
            policy: policy.into(),
            name: name.into(),
            metric: "CPUUtilization".into(),
            state: "OK".into(),
            comparison,
            threshold,
            period: 60,
            periods: 3,
            to_alarm: 3,
            since: None,
        };
        let found = [
            alarm("cpu", "TargetTracking-cs-s--web-AlarmHigh-1", Comparison::Above, 50.0),
            alarm("cpu", "TargetTracking-cs-s--web-AlarmLow-2", Comparison::Below, 35.0),
            alarm("busy", "cs-s--web--busy", Comparison::AtLeast, 9.0),
        ];
        let signals = of_policies(found.iter());
        let told: Vec<_> = signals
            .iter()
            .flat_map(|signal| signal.thresholds.iter().map(|limit| (&*signal.policy, &*limit.label, limit.value)))
            .collect();
        assert_eq!(told, [("busy", "busy", 9.0), ("cpu", "high", 50.0), ("cpu", "low", 35.0)]);
    }
}
