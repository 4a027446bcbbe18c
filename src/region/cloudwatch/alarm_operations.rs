//! The operations on alarms.

use std::collections::BTreeMap;

use super::alarm::State;
use super::alarm_config::{Config, Watched};
use super::alarms::{Alarm, Alarms};
use super::store::MetricId;
use super::wire::{bounded, dimensions, invalid, page, page_start, validation};
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

const PAGE_MAX: i64 = 100;
const DESCRIBE_PAGE: i64 = 50;
/// Names a request may carry.
const NAMES_MAX: usize = 100;
const TAGS_MAX: usize = 50;

pub fn put(alarms: &mut Alarms, cx: &mut Context, params: &Params) -> Answer {
    let config = Config::parse(params)?;
    alarms.put(cx, config, tags(params)?)?;
    Ok(Value::map())
}

pub fn describe(alarms: &Alarms, params: &Params) -> Answer {
    let names = names(params)?;
    let state = match params.text("StateValue") {
        None => None,
        Some(text) => {
            Some(State::parse(text).ok_or_else(|| validation(format!("Value '{text}' at 'stateValue' is invalid.")))?)
        }
    };
    let prefix = params.text("AlarmNamePrefix");
    if prefix.is_some() && !names.is_empty() {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "AlarmNames and AlarmNamePrefix cannot be used together.",
        ));
    }
    let types = params.texts("AlarmTypes");
    let has_action = |alarm: &Alarm, prefix: &str| alarm.config.all_actions().any(|action| action.starts_with(prefix));
    // Words are made of those on the page only.
    let found: Vec<&Alarm> = alarms
        .iter()
        .filter(|_| types.is_empty() || types.contains(&"MetricAlarm"))
        .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .filter(|(_, alarm)| state.is_none_or(|state| state == alarm.state))
        .filter(|(_, alarm)| params.text("ActionPrefix").is_none_or(|prefix| has_action(alarm, prefix)))
        .map(|(_, alarm)| alarm)
        .collect();
    let (found, next) = page(found, page_start(params)?, page_size(params, DESCRIBE_PAGE)?);
    Ok(Value::map()
        .with("CompositeAlarms", Value::List(Vec::new()))
        .with("MetricAlarms", Value::list(found.into_iter().map(value)))
        .with("NextToken", next))
}

pub fn describe_for_metric(alarms: &Alarms, params: &Params) -> Answer {
    let wanted =
        MetricId::new(&bounded(params, "Namespace", 255)?, &bounded(params, "MetricName", 255)?, dimensions(params)?);
    let period = params.int("Period")?;
    let statistic = params.text("Statistic").or(params.text("ExtendedStatistic"));
    let watches = |alarm: &&Alarm| match &alarm.config.watched {
        Watched::Metric { id, text, unit, .. } => {
            *id == wanted
                && statistic.is_none_or(|wanted| wanted == text)
                && period.is_none_or(|period| period == alarm.config.period)
                && params.text("Unit").is_none_or(|wanted| unit.as_deref() == Some(wanted))
        }
        Watched::Math { .. } => false,
    };
    Ok(Value::map().with("MetricAlarms", Value::list(alarms.iter().map(|(_, alarm)| alarm).filter(watches).map(value))))
}

pub fn describe_history(alarms: &Alarms, params: &Params) -> Answer {
    let (start, end) = (params.time("StartDate")?, params.time("EndDate")?);
    let (name, kind) = (params.text("AlarmName"), params.text("HistoryItemType"));
    let mut found: Vec<_> = alarms
        .iter()
        .filter(|(alarm, _)| name.is_none_or(|name| name == alarm.as_str()))
        .flat_map(|(alarm, state)| state.history.iter().map(move |entry| (alarm, entry)))
        .filter(|(_, entry)| kind.is_none_or(|kind| kind == entry.kind()))
        .filter(|(_, entry)| start.is_none_or(|start| entry.at >= start) && end.is_none_or(|end| entry.at <= end))
        .collect();
    found.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
    if params.text("ScanBy") == Some("TimestampAscending") {
        found.reverse();
    }
    let (found, next) = page(found, page_start(params)?, page_size(params, PAGE_MAX)?);
    let item = |(alarm, entry): (&String, &super::alarm_history::Entry)| {
        Value::map()
            .with("AlarmName", Value::from(&**alarm))
            .with("AlarmType", Value::from("MetricAlarm"))
            .with("Timestamp", Value::Time(entry.at))
            .with("HistoryItemType", Value::from(entry.kind()))
            .with("HistorySummary", Value::from(entry.summary(alarm)))
            .with("HistoryData", Value::from(entry.data()))
    };
    Ok(Value::map().with("AlarmHistoryItems", Value::list(found.into_iter().map(item))).with("NextToken", next))
}

/// Alarms that are not there are not missed.
pub fn delete(alarms: &mut Alarms, params: &Params) -> Answer {
    for name in names(params)? {
        alarms.remove(name);
    }
    Ok(Value::map())
}

pub fn set_state(alarms: &mut Alarms, cx: &mut Context, params: &Params) -> Answer {
    let name = bounded(params, "AlarmName", 255)?;
    let text = params.required("StateValue")?;
    let state = State::parse(text).ok_or_else(|| validation(format!("Value '{text}' at 'stateValue' is invalid.")))?;
    let data = params.text("StateReasonData");
    if data.is_some_and(|data| serde_json::from_str::<serde_json::Value>(data).is_err()) {
        return Err(ApiError::new("InvalidFormat", "StateReasonData is not valid JSON."));
    }
    if !alarms.set_state(cx, &name, state, params.required("StateReason")?, data) {
        return Err(ApiError { status: 404, ..ApiError::new("ResourceNotFound", format!("Unknown alarm {name}.")) });
    }
    Ok(Value::map())
}

/// `EnableAlarmActions` and `DisableAlarmActions`.
pub fn enable_actions(alarms: &mut Alarms, params: &Params, enabled: bool) -> Answer {
    for name in names(params)? {
        if let Some(alarm) = alarms.get_mut(name) {
            alarm.config.actions_enabled = enabled;
        }
    }
    Ok(Value::map())
}

pub fn tag(alarms: &mut Alarms, params: &Params) -> Answer {
    let new = tags(params)?;
    let alarm = by_arn(alarms, params)?;
    alarm.tags.extend(new);
    Ok(Value::map())
}

pub fn untag(alarms: &mut Alarms, params: &Params) -> Answer {
    let alarm = by_arn(alarms, params)?;
    for key in params.texts("TagKeys") {
        alarm.tags.remove(key);
    }
    Ok(Value::map())
}

pub fn list_tags(alarms: &Alarms, params: &Params) -> Answer {
    // An alarm that is gone has no tags, and that is no error.
    let arn = params.required("ResourceARN")?;
    let tags = alarms.by_arn(arn).into_iter().flat_map(|alarm| &alarm.tags);
    let tag = |(key, value): (&String, &String)| {
        Value::map().with("Key", Value::from(&**key)).with("Value", Value::from(&**value))
    };
    Ok(Value::map().with("Tags", Value::list(tags.map(tag))))
}

fn by_arn<'a>(alarms: &'a mut Alarms, params: &Params) -> Result<&'a mut Alarm, ApiError> {
    let arn = params.required("ResourceARN")?;
    alarms.by_arn_mut(arn).ok_or_else(|| ApiError {
        status: 404,
        ..ApiError::new("ResourceNotFoundException", format!("There is no alarm {arn}."))
    })
}

fn tags(params: &Params) -> Result<BTreeMap<String, String>, ApiError> {
    let list = params.maps("Tags");
    if list.len() > TAGS_MAX {
        return Err(invalid(format!("The collection Tags must not have a size greater than {TAGS_MAX}.")));
    }
    list.iter().map(|tag| Ok((bounded(tag, "Key", 128)?, tag.text("Value").unwrap_or("").to_owned()))).collect()
}

fn names(params: &Params) -> Result<Vec<&str>, ApiError> {
    let names = params.texts("AlarmNames");
    if names.len() > NAMES_MAX {
        return Err(validation(format!("The collection AlarmNames must not have a size greater than {NAMES_MAX}.")));
    }
    Ok(names)
}

fn page_size(params: &Params, default: i64) -> Result<usize, ApiError> {
    let size = params.int("MaxRecords")?.unwrap_or(default);
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(validation(format!("Value '{size}' at 'maxRecords' must be between 1 and {PAGE_MAX}.")));
    }
    Ok(usize::try_from(size).unwrap_or(1))
}

/// A `MetricAlarm`.
fn value(alarm: &Alarm) -> Value {
    alarm
        .config
        .value()
        .with("AlarmArn", Value::from(&*alarm.arn))
        .with("AlarmConfigurationUpdatedTimestamp", Value::Time(alarm.configured))
        .with("StateValue", Value::from(alarm.state.as_str()))
        .with("StateReason", Value::from(alarm.reason.text(alarm.state)))
        .with("StateReasonData", alarm.reason.data().map(Value::from))
        .with("StateUpdatedTimestamp", Value::Time(alarm.updated))
        .with("StateTransitionedTimestamp", Value::Time(alarm.transitioned))
}
