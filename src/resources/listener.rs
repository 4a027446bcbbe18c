//! The listener: HTTP on the load balancer's port, answering what no rule matches with a fixed response.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, FixedResponseActionConfig, Listener as Api, ProtocolEnum,
};

use super::fields::Fields;
use super::tags::{self, Tags};
use super::target_group::tags_of;
use super::{Output, Resource, Scope, foreign, load_balancer, security_group, touches};
use crate::aws::error::CallError;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::task::Task;
use crate::problem::Problem;
use crate::stack::model::FixedResponse;

pub const ADDRESS: &str = "load_balancer.listener";

#[derive(Debug)]
pub struct Listener;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub port: u16,
    pub default: FixedResponse,
}

#[derive(Clone, Debug)]
pub struct Live {
    api: Api,
    tags: Tags,
}

impl Resource for Listener {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "listener";
    // AWS could change the port in place, and refuse everybody who still comes to the old one from that moment: so the new
    // listener serves before the old one goes.
    const REPLACE_ON: &'static [&'static str] = &["load_balancer", "port"];
    const GOES_WITH: &'static [&'static str] = &["load_balancer"];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let load_balancer = &scope.stack.load_balancer;
        vec![(ADDRESS.to_owned(), Wanted { port: load_balancer.port, default: load_balancer.default.clone() })]
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.listeners.iter().filter_map(|api| {
            let tags = cloud.tags_of(api.listener_arn()?)?.clone();
            Some((tags.get(tags::ADDRESS)?.clone(), Live { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        Fields::default()
            .reference("load_balancer", load_balancer::ADDRESS)
            .text("protocol", ProtocolEnum::Http.as_str())
            .text("port", wanted.port)
            .text("default.status", wanted.default.status)
            .text("default.body", &wanted.default.body)
            .text("default.content_type", &wanted.default.content_type)
    }

    fn observe(live: &Live, cloud: &Snapshot) -> Fields {
        let api = &live.api;
        let fields = Fields::default()
            .value("load_balancer", cloud.reference(api.load_balancer_arn().unwrap_or_default()))
            .maybe("protocol", api.protocol().map(ProtocolEnum::as_str))
            .maybe("port", api.port());
        let action = api.default_actions().first();
        match action.and_then(|action| action.fixed_response_config()) {
            Some(fixed) => fields
                .maybe("default.status", fixed.status_code())
                .text("default.body", fixed.message_body().unwrap_or_default())
                .maybe("default.content_type", fixed.content_type()),
            None => {
                fields.maybe("default.status", action.and_then(|action| action.r#type()).map(ActionTypeEnum::as_str))
            }
        }
    }

    fn after(_wanted: &Wanted) -> Vec<String> {
        vec![security_group::LOAD_BALANCER.to_owned()]
    }

    // The security group keeps the port open for as long.
    fn stands_on(_live: &Live) -> Vec<String> {
        vec![security_group::LOAD_BALANCER.to_owned()]
    }

    fn output(live: &Live) -> Output {
        Output::id(live.api.listener_arn().unwrap_or_default())
    }

    fn tags(live: &Live) -> Option<&Tags> {
        Some(&live.tags)
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        let load_balancer = task.output(load_balancer::ADDRESS)?.id;
        let request = task
            .clients()
            .elb
            .create_listener()
            .load_balancer_arn(&load_balancer)
            .protocol(ProtocolEnum::Http)
            .port(wanted.port.into())
            .default_actions(fixed_response(&wanted.default))
            .set_tags(Some(tags::to_elb(&task.tags())));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => {
                    Ok(answer.listeners().first().and_then(|listener| listener.listener_arn()).map(Output::id))
                }
                Err(error) if error.is(&["DuplicateListener"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        match task.fresh("elasticloadbalancing:CreateListener", create).await? {
            Some(output) => Ok(output),
            None => adopt(task, &load_balancer, wanted.port).await,
        }
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, live: &Live, changes: &[FieldChange]) -> Result<Output, Problem> {
        let output = Self::output(live);
        if touches(changes, &["port", "protocol", "default"]) {
            let call = task
                .clients()
                .elb
                .modify_listener()
                .listener_arn(&output.id)
                .protocol(ProtocolEnum::Http)
                .port(wanted.port.into())
                .default_actions(fixed_response(&wanted.default));
            call.send().await.map_err(|error| error.problem("elasticloadbalancing:ModifyListener", task.address))?;
        }
        tags::write_elb(task.clients(), task.address, &output.id, &task.tags()).await?;
        Ok(output)
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let arn = live.api.listener_arn().unwrap_or_default();
        match task.clients().elb.delete_listener().listener_arn(arn).send().await {
            Err(error) if !error.is(&["ListenerNotFound"]) => {
                Err(error.problem("elasticloadbalancing:DeleteListener", task.address))
            }
            _ => Ok(()),
        }
    }
}

/// A listener has the port: ours from a call whose answer was lost, or somebody else's.
async fn adopt(task: &Task<'_>, load_balancer: &str, port: u16) -> Result<Output, Problem> {
    let look = || async {
        let pages = task.clients().elb.describe_listeners().load_balancer_arn(load_balancer).into_paginator().items();
        let listeners = pages.send().try_collect().await;
        let listeners = listeners.map_err(|e| e.problem("elasticloadbalancing:DescribeListeners", task.address))?;
        let found = listeners.into_iter().find(|listener| listener.port() == Some(port.into()));
        Ok(found.and_then(|listener| listener.listener_arn))
    };
    let name = format!("of port {port}");
    let arn = task.appears(look).await?.ok_or_else(|| foreign("listener", &name))?;
    let is_ours = tags_of(task, &arn).await?.get(tags::STACK) == Some(&task.run.stack);
    if is_ours { Ok(Output::id(arn)) } else { Err(foreign("listener", &name)) }
}

fn fixed_response(response: &FixedResponse) -> Action {
    let config = FixedResponseActionConfig::builder()
        .status_code(response.status.to_string())
        .content_type(&response.content_type)
        .message_body(&response.body)
        .build();
    Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config).build()
}
