//! Notifications of a group to topics.

use super::super::model::Autoscaling;
use super::super::notice::{TEST, TYPES};
use super::super::parameters::invalid;
use super::super::wire;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

const NAME: &str = "AutoScalingGroupName";
/// AWS's quota of topics of a group.
const TOPICS_MAX: usize = 10;

pub fn put(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    let topic = params.required("TopicARN")?;
    if !topic.starts_with("arn:aws:sns:") {
        return Err(invalid(format!("Invalid SNS Topic ARN: {topic}")));
    }
    let types = params.texts("NotificationTypes");
    if types.is_empty() {
        return Err(ApiError::missing("NotificationTypes"));
    }
    if let Some(unknown) = types.iter().find(|name| !TYPES.contains(*name)) {
        return Err(invalid(format!("\"{unknown}\" is not a valid Notification Type")));
    }
    if group.topics.len() >= TOPICS_MAX && !group.topics.contains_key(topic) {
        return Err(ApiError::new("LimitExceeded", format!("A group may have {TOPICS_MAX} topics.")));
    }
    group.topics.insert(topic.to_owned(), types.into_iter().map(str::to_owned).collect());
    group.notify_one(cx.now, topic.to_owned(), TEST, None);
    Ok(Value::map())
}

pub fn delete(service: &mut Autoscaling, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    group.topics.remove(params.required("TopicARN")?);
    Ok(Value::map())
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let names = params.texts("AutoScalingGroupNames");
    for name in &names {
        service.group(name)?;
    }
    let asked = service.groups.values().filter(|group| names.is_empty() || names.contains(&group.name.as_str()));
    let topics = asked.flat_map(|group| group.topics.iter().map(move |(topic, types)| (group, topic, types)));
    let all: Vec<(&str, &str, &str)> = topics
        .flat_map(|(group, topic, types)| types.iter().map(move |it| (&*group.name, topic.as_str(), it.as_str())))
        .collect();
    wire::page(
        params,
        "NotificationConfigurations",
        100,
        &all,
        |(group, topic, kind)| format!("{group} {topic} {kind}"),
        |(group, topic, kind)| {
            Value::map()
                .with(NAME, Value::from(*group))
                .with("TopicARN", Value::from(*topic))
                .with("NotificationType", Value::from(*kind))
        },
    )
}

pub fn describe_types() -> Answer {
    let names = TYPES.iter().map(|name| Value::from(*name));
    Ok(Value::map().with("AutoScalingNotificationTypes", Value::list(names)))
}
