//! The operations on alarms.

use std::collections::BTreeMap;

use super::alarm::State;
use super::alarm_config::{Config, Watched};
use super::alarm_history::Entry;
use super::alarms::{Alarm, Alarms};
use super::composites::{Composite, CompositeConfig};
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

pub fn put_composite(alarms: &mut Alarms, cx: &Context, params: &Params) -> Answer {
    let config = CompositeConfig::parse(params)?;
    alarms.put_composite(cx, config, tags(params)?)?;
    Ok(Value::map())
}

/// An alarm of either kind.
#[derive(Clone, Copy)]
enum Either<'a> {
    Metric(&'a Alarm),
    Composite(&'a Composite),
}

impl<'a> Either<'a> {
    fn name(self) -> &'a str {
        match self {
            Either::Metric(alarm) => &alarm.config.name,
            Either::Composite(alarm) => &alarm.config.name,
        }
    }

    fn arn(self) -> &'a str {
        match self {
            Either::Metric(alarm) => &alarm.arn,
            Either::Composite(alarm) => &alarm.arn,
        }
    }

    fn state(self) -> State {
        match self {
            Either::Metric(alarm) => alarm.state,
            Either::Composite(alarm) => alarm.state,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Either::Metric(_) => "MetricAlarm",
            Either::Composite(_) => "CompositeAlarm",
        }
    }

    fn acts(self, prefix: &str) -> bool {
        match self {
            Either::Metric(alarm) => alarm.config.all_actions().any(|action| action.starts_with(prefix)),
            Either::Composite(alarm) => alarm.config.all_actions().any(|action| action.starts_with(prefix)),
        }
    }

    fn is_named(self, names: &[&str]) -> bool {
        names.contains(&self.name()) || names.contains(&self.arn())
    }

    fn entries(self) -> impl Iterator<Item = &'a Entry> {
        match self {
            Either::Metric(alarm) => alarm.history.iter(),
            Either::Composite(alarm) => alarm.history.iter(),
        }
    }

    /// The alarms that its rule names.
    fn children(self) -> Vec<&'a str> {
        match self {
            Either::Metric(_) => Vec::new(),
            Either::Composite(alarm) => alarm.config.rule.alarms(),
        }
    }
}

/// Every alarm, in the order of the names.
fn either(alarms: &Alarms) -> Vec<Either<'_>> {
    let metric = alarms.iter().map(|(_, alarm)| Either::Metric(alarm));
    let mut all: Vec<Either> = metric.chain(alarms.composites().map(Either::Composite)).collect();
    all.sort_by_key(|alarm| alarm.name());
    all
}

/// The kinds that a request asks for: metric alarms where it does not say.
fn kinds(params: &Params) -> Vec<&str> {
    let types = params.texts("AlarmTypes");
    if types.is_empty() { vec!["MetricAlarm"] } else { types }
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
    let family = match (params.text("ChildrenOfAlarmName"), params.text("ParentsOfAlarmName")) {
        (Some(parent), None) => {
            let all = either(alarms);
            let parent = all.iter().find(|alarm| alarm.name() == parent);
            let children = parent.map(|alarm| alarm.children()).unwrap_or_default();
            Some(all.into_iter().filter(|alarm| alarm.is_named(&children)).collect())
        }
        (None, Some(child)) => {
            let all = either(alarms);
            let child = all.iter().find(|alarm| alarm.name() == child).copied();
            let names = |it: &Either| child.is_some_and(|child| child.is_named(&it.children()));
            Some(all.into_iter().filter(names).collect())
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            let message = "ChildrenOfAlarmName and ParentsOfAlarmName cannot be used together.";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
    };
    let asks_for_family = family.is_some();
    let types = kinds(params);
    // Words are made of those on the page only.
    let found: Vec<Either> = family
        .unwrap_or_else(|| either(alarms))
        .into_iter()
        .filter(|alarm| asks_for_family || types.contains(&alarm.kind()))
        .filter(|alarm| names.is_empty() || names.contains(&alarm.name()))
        .filter(|alarm| prefix.is_none_or(|prefix| alarm.name().starts_with(prefix)))
        .filter(|alarm| state.is_none_or(|state| state == alarm.state()))
        .filter(|alarm| params.text("ActionPrefix").is_none_or(|prefix| alarm.acts(prefix)))
        .collect();
    let (found, next) = page(found, page_start(params)?, page_size(params, DESCRIBE_PAGE)?);
    let metric = found.iter().filter_map(|it| if let Either::Metric(alarm) = it { Some(value(alarm)) } else { None });
    let composite =
        found.iter().filter_map(|it| if let Either::Composite(alarm) = it { Some(alarm.value()) } else { None });
    Ok(Value::map()
        .with("CompositeAlarms", Value::list(composite))
        .with("MetricAlarms", Value::list(metric))
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
    let types = kinds(params);
    let mut found: Vec<_> = either(alarms)
        .into_iter()
        .filter(|alarm| types.contains(&alarm.kind()))
        .filter(|alarm| name.is_none_or(|name| name == alarm.name()))
        .flat_map(|alarm| alarm.entries().map(move |entry| (alarm, entry)))
        .filter(|(_, entry)| kind.is_none_or(|kind| kind == entry.kind()))
        .filter(|(_, entry)| start.is_none_or(|start| entry.at >= start) && end.is_none_or(|end| entry.at <= end))
        .collect();
    found.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
    if params.text("ScanBy") == Some("TimestampAscending") {
        found.reverse();
    }
    let (found, next) = page(found, page_start(params)?, page_size(params, PAGE_MAX)?);
    let item = |(alarm, entry): (Either<'_>, &Entry)| {
        Value::map()
            .with("AlarmName", Value::from(alarm.name()))
            .with("AlarmType", Value::from(alarm.kind()))
            .with("Timestamp", Value::Time(entry.at))
            .with("HistoryItemType", Value::from(entry.kind()))
            .with("HistorySummary", Value::from(entry.summary(alarm.name())))
            .with("HistoryData", Value::from(entry.data()))
    };
    Ok(Value::map().with("AlarmHistoryItems", Value::list(found.into_iter().map(item))).with("NextToken", next))
}

/// Alarms that are not there are not missed.
pub fn delete(alarms: &mut Alarms, params: &Params) -> Answer {
    let names = names(params)?;
    let composite = |name: &&str| alarms.composites().any(|alarm| alarm.config.name == **name);
    if names.len() > 1 && names.iter().any(composite) {
        return Err(validation("A composite alarm is deleted in a request of its own."));
    }
    for name in names {
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
        if let Some(alarm) = alarms.composite_mut(name) {
            alarm.config.actions_enabled = enabled;
        }
    }
    Ok(Value::map())
}

pub fn tag(alarms: &mut Alarms, params: &Params) -> Answer {
    let new = tags(params)?;
    by_arn(alarms, params)?.extend(new);
    Ok(Value::map())
}

pub fn untag(alarms: &mut Alarms, params: &Params) -> Answer {
    let tags = by_arn(alarms, params)?;
    for key in params.texts("TagKeys") {
        tags.remove(key);
    }
    Ok(Value::map())
}

pub fn list_tags(alarms: &Alarms, params: &Params) -> Answer {
    // An alarm that is gone has no tags, and that is no error.
    let arn = params.required("ResourceARN")?;
    let tags = alarms.tags(arn).into_iter().flatten();
    let tag = |(key, value): (&String, &String)| {
        Value::map().with("Key", Value::from(&**key)).with("Value", Value::from(&**value))
    };
    Ok(Value::map().with("Tags", Value::list(tags.map(tag))))
}

fn by_arn<'a>(alarms: &'a mut Alarms, params: &Params) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let arn = params.required("ResourceARN")?;
    alarms.tags_mut(arn).ok_or_else(|| ApiError {
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
