//! The alarms that the policies of a stack's groups are called by, and when and why each changed its state: CloudWatch's own
//! record, which it keeps for 30 days.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{ComparisonOperator, HistoryItemType, MetricAlarm};
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::state::AlarmState;
use crate::aws::clients::Clients;
use crate::aws::error::CallError as _;
use crate::aws::time::timestamp;
use crate::problem::Problem;
use crate::stack::names;

/// Names that DescribeAlarms takes at once (CloudWatch API).
const ALARMS_PER_CALL: usize = 100;
/// Of an alarm that names none.
const PERIOD: i64 = 60;
/// Of an alarm's history, 100 entries each: more changes than a day has minutes.
const PAGES_MAX: usize = 20;

/// An alarm that a policy of the stack is called by.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub cluster: String,
    /// In the stack's words.
    pub policy: String,
    pub name: String,
    pub metric: String,
    pub state: AlarmState,
    pub comparison: Comparison,
    pub threshold: f64,
    /// Seconds
    pub period: i64,
    /// N of "M of N".
    pub periods: usize,
    /// M of "M of N".
    pub to_alarm: usize,
    pub since: Option<Timestamp>,
}

/// CloudWatch's comparison operators that take one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Comparison {
    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Above => ">",
            Comparison::AtLeast => "≥",
            Comparison::Below => "<",
            Comparison::AtMost => "≤",
        }
    }

    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::Above => value > threshold,
            Comparison::AtLeast => value >= threshold,
            Comparison::Below => value < threshold,
            Comparison::AtMost => value <= threshold,
        }
    }
}

/// An entry of an alarm's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmChange {
    pub alarm: String,
    pub at: Timestamp,
    /// `HistoryData`: JSON.
    pub data: String,
    pub summary: String,
}

/// A change of an alarm's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub from: AlarmState,
    pub to: AlarmState,
    /// What it saw, oldest first.
    pub values: Vec<f64>,
    /// CloudWatch's words.
    pub reason: String,
}

/// Reads `HistoryData` of a `StateUpdate`; `None` of anything else.
pub fn turn(change: &AlarmChange) -> Option<Turn> {
    let data: serde_json::Value = serde_json::from_str(&change.data).ok()?;
    let text = |state: &str, key: &str| data[state][key].as_str().map(str::to_owned);
    let reason = text("newState", "stateReason").unwrap_or_default();
    let recent = data["newState"]["stateReasonData"]["recentDatapoints"].as_array();
    let recent = recent.map(|values| values.iter().filter_map(serde_json::Value::as_f64).collect::<Vec<_>>());
    let values = recent.filter(|values| !values.is_empty()).unwrap_or_else(|| values(&reason));
    let state = |of: &str| text(of, "stateValue").map(|word| AlarmState::from(word.as_str()));
    Some(Turn { from: state("oldState")?, to: state("newState")?, values, reason })
}

/// `Threshold Crossed: 3 out of the last 3 datapoints [80.0 (05/12/24 21:24:00), 76.0 (…), 71.0 (…)] were …`: newest
/// first.
fn values(reason: &str) -> Vec<f64> {
    let list = reason.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    let values = list.split(", ").filter_map(|entry| entry.split(' ').next()?.parse::<f64>().ok());
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.reverse();
    values
}

/// `TargetTracking-…-AlarmHigh-…` is `high` to everybody who reads it; ours are called as their policy.
pub fn label(name: &str) -> &str {
    match name {
        _ if name.starts_with("TargetTracking-") && name.contains("-AlarmHigh-") => "high",
        _ if name.starts_with("TargetTracking-") && name.contains("-AlarmLow-") => "low",
        _ => name.rsplit("--").next().unwrap_or(name),
    }
}

/// Whose an alarm is: cluster and policy.
pub type Owner = (String, String);

/// The alarms that the policies of groups name; `groups` are pairs of cluster and name.
///
/// # Errors
/// The first call that fails.
pub async fn alarms(clients: &Clients, groups: &[(String, String)]) -> Result<Vec<(Owner, MetricAlarm)>, Problem> {
    let calls = groups.iter().map(|(cluster, group)| async move {
        let call = clients.autoscaling.describe_policies().auto_scaling_group_name(group);
        let pages = call.into_paginator().send().try_collect().await;
        let pages = pages.map_err(|error| error.problem("autoscaling:DescribePolicies", group))?;
        let policies = pages.iter().flat_map(|page| page.scaling_policies());
        let alarms = policies.flat_map(|policy| {
            let name = names::in_stack(group, policy.policy_name().unwrap_or_default());
            let alarms = policy.alarms().iter().filter_map(|alarm| alarm.alarm_name());
            alarms.map(move |alarm| (alarm.to_owned(), (cluster.clone(), name.clone()))).collect::<Vec<_>>()
        });
        Ok::<Vec<_>, Problem>(alarms.collect())
    });
    let owners: BTreeMap<String, Owner> = try_join_all(calls).await?.into_iter().flatten().collect();
    let names: Vec<String> = owners.keys().cloned().collect();
    let mut found = Vec::new();
    for names in names.chunks(ALARMS_PER_CALL) {
        let call = clients.cloudwatch.describe_alarms().set_alarm_names(Some(names.to_vec()));
        let answer = call.max_records(100).send().await;
        let answer = answer.map_err(|error| error.problem("cloudwatch:DescribeAlarms", "the stack's alarms"))?;
        let alarms = answer.metric_alarms.unwrap_or_default().into_iter();
        found.extend(alarms.filter_map(|alarm| Some((owners.get(alarm.alarm_name()?)?.clone(), alarm))));
    }
    found.sort_by(|(one, a), (other, b)| (one, a.alarm_name()).cmp(&(other, b.alarm_name())));
    Ok(found)
}

/// `None` where it compares with a band instead of a threshold.
pub fn read((cluster, policy): &Owner, alarm: &MetricAlarm) -> Option<Alarm> {
    let comparison = match alarm.comparison_operator()? {
        ComparisonOperator::GreaterThanThreshold => Comparison::Above,
        ComparisonOperator::GreaterThanOrEqualToThreshold => Comparison::AtLeast,
        ComparisonOperator::LessThanThreshold => Comparison::Below,
        ComparisonOperator::LessThanOrEqualToThreshold => Comparison::AtMost,
        _ => return None,
    };
    let count =
        |number: Option<i32>| number.and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
    let periods = count(alarm.evaluation_periods()).unwrap_or(1);
    let math = alarm.metrics().iter().find(|query| query.return_data() != Some(false));
    let metric = alarm.metric_name().or(math.and_then(|query| query.label().or(query.id()))).unwrap_or("metric math");
    let of_math = math.and_then(|query| query.period().or(query.metric_stat().and_then(|stat| stat.period())));
    let inner = alarm.metrics().iter().find_map(|query| query.metric_stat().and_then(|stat| stat.period()));
    Some(Alarm {
        cluster: cluster.clone(),
        policy: policy.clone(),
        name: alarm.alarm_name()?.to_owned(),
        metric: metric.to_owned(),
        state: alarm.state_value().map_or(AlarmState::InsufficientData, |state| AlarmState::from(state.as_str())),
        comparison,
        threshold: alarm.threshold()?,
        period: alarm.period().or(of_math).or(inner).map_or(PERIOD, i64::from),
        periods,
        to_alarm: count(alarm.datapoints_to_alarm()).unwrap_or(periods),
        since: alarm.state_updated_timestamp().and_then(timestamp),
    })
}

/// Every change of an alarm's state since a time that CloudWatch still knows; the newest hundred where there is none.
///
/// # Errors
/// A call that fails.
pub async fn history(clients: &Clients, name: &str, since: Option<Timestamp>) -> Result<Vec<AlarmChange>, Problem> {
    let since = since.map(|since| aws_smithy_types::DateTime::from_secs(since.as_second()));
    let mut found = Vec::new();
    let mut token = None;
    let pages = if since.is_some() { PAGES_MAX } else { 1 };
    for _ in 0..pages {
        let call = clients.cloudwatch.describe_alarm_history().alarm_name(name).set_start_date(since);
        let call = call.history_item_type(HistoryItemType::StateUpdate).max_records(100).set_next_token(token.take());
        let answer = call.send().await;
        let answer = answer.map_err(|error| error.problem("cloudwatch:DescribeAlarmHistory", name))?;
        found.extend(answer.alarm_history_items().iter().filter_map(|item| {
            Some(AlarmChange {
                alarm: item.alarm_name()?.to_owned(),
                at: item.timestamp().and_then(timestamp)?,
                data: item.history_data()?.to_owned(),
                summary: item.history_summary().unwrap_or_default().to_owned(),
            })
        }));
        token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    Ok(found)
}

/// That an alarm changed its state, with what it watches.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub at: Timestamp,
    pub cluster: String,
    /// In the stack's words.
    pub policy: String,
    pub alarm: String,
    /// What its values are compared with; `None` where that is a band.
    pub limit: Option<(Comparison, f64)>,
    pub turn: Turn,
}

/// How the alarms of groups changed since a time, oldest first.
///
/// # Errors
/// The first call that fails.
pub async fn changed(
    clients: &Clients,
    groups: &[(String, String)],
    since: Timestamp,
) -> Result<Vec<Changed>, Problem> {
    let alarms = alarms(clients, groups).await?;
    let calls = alarms.iter().filter_map(|(owner, alarm)| {
        let name = alarm.alarm_name()?;
        Some(async move { Ok::<_, Problem>((owner, alarm, history(clients, name, Some(since)).await?)) })
    });
    let mut found: Vec<Changed> = Vec::new();
    for (owner, alarm, changes) in try_join_all(calls).await? {
        let limit = read(owner, alarm).map(|alarm| (alarm.comparison, alarm.threshold));
        found.extend(changes.iter().filter(|change| change.at >= since).filter_map(|change| {
            let ((cluster, policy), turn) = (owner.clone(), turn(change)?);
            Some(Changed { at: change.at, cluster, policy, alarm: change.alarm.clone(), limit, turn })
        }));
    }
    found.sort_by(|one, other| (one.at, &one.alarm).cmp(&(other.at, &other.alarm)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_tells_what_the_alarm_saw_oldest_first() {
        // The words and the JSON are those of DescribeAlarmHistory (CloudWatch API reference; the data of a
        // StateUpdate).
        let reason = "Threshold Crossed: 3 out of the last 3 datapoints [80.0 (05/12/24 21:26:00), 76.0 (05/12/24 21:25:00), \
             71.25 (05/12/24 21:24:00)] were greater than the threshold (50.0) (minimum 3 datapoints for OK -> ALARM transition).";
        let data = serde_json::json!({"version": "1.0", "oldState": {"stateValue": "OK"},
            "newState": {"stateValue": "ALARM", "stateReason": reason}});
        let change = |data: String| AlarmChange {
            alarm: "a".into(),
            at: Timestamp::UNIX_EPOCH,
            data,
            summary: "Alarm updated from OK to ALARM".into(),
        };
        let read = turn(&change(data.to_string())).unwrap();
        assert_eq!((read.from.as_str(), read.to.as_str(), read.values), ("OK", "ALARM", vec![71.25, 76.0, 80.0]));
        let mut data = data;
        data["newState"]["stateReasonData"] = serde_json::json!({"recentDatapoints": [1.0, 2.0]});
        assert_eq!(turn(&change(data.to_string())).unwrap().values, [1.0, 2.0]);
        assert_eq!(turn(&change(r#"{"type": "Create"}"#.into())), None);
        assert_eq!(turn(&change("no JSON".into())), None);
        assert_eq!(values("Unchecked: Initial alarm creation"), Vec::<f64>::new());
    }

    #[test]
    fn alarms_go_by_what_they_are_to_their_policy() {
        let called =
            ["TargetTracking-my.asg-AlarmHigh-1f2a", "TargetTracking-my.asg-AlarmLow-1f2a", "cs-shop--web--busy"];
        assert_eq!(called.map(label), ["high", "low", "busy"]);
    }
}
