//! Listeners. The one that serves has the rules and answers what none of them matches with a fixed response. Where that
//! one speaks HTTPS, another leads from HTTP to it.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Certificate, FixedResponseActionConfig, Listener as Api, ProtocolEnum,
    RedirectActionConfig, RedirectActionStatusCodeEnum,
};

use super::load_balancer::DescribeLoadBalancers;
use super::load_balancer::LoadBalancer;
use super::target_group::tags_of;
use super::{load_balancer, security_group};
use crate::aws::error::{CallError, settled};
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::{ActionContext, Poll};
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope, touches};
use crate::stack::model::{FixedResponse, Https};
use futures_util::future::try_join_all;

/// The listener that has the rules.
pub const ADDRESS: Address = Address::fixed("load_balancer.listener");
const REDIRECT: Address = Address::fixed("load_balancer.redirect");
/// While the other listener still has the port: it is on its way to another, or out.
const PORT_TAKEN: &[&str] = &["DuplicateListener"];
const PORT_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Listener;

#[derive(Clone, Debug)]
pub struct Desired {
    pub port: u16,
    /// Its certificate and policy, where it speaks HTTPS.
    pub https: Option<Https>,
    pub default: Default,
}

/// What happens where no rule matches.
#[derive(Clone, Debug)]
pub enum Default {
    Answer(FixedResponse),
    /// To HTTPS on this port, for good.
    Redirect(u16),
}

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
}

impl Resource for Listener {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "listener";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeListeners>::NEW];
    // AWS could change the port in place, and refuse everybody who still comes to the old one from that moment: so the
    // new listener serves before the old one goes.
    const REPLACE_ON: &'static [&'static str] = &["load_balancer", "port"];
    const DELETED_WITH: &'static [&'static str] = &[LoadBalancer::KIND];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let Some(load_balancer) = &scope.stack.load_balancer else {
            return Vec::new();
        };
        let serving = Desired {
            port: load_balancer.serving_port(),
            https: load_balancer.https.clone(),
            default: Default::Answer(load_balancer.default.clone()),
        };
        let redirect = load_balancer
            .redirect_port()
            .map(|port| (REDIRECT, Desired { port, https: None, default: Default::Redirect(serving.port) }));
        [(ADDRESS, serving)].into_iter().chain(redirect).collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribeListeners>().iter().filter_map(|api| {
            let tags = cloud.tags_of(api.listener_arn()?)?.clone();
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let fields = Fields::default()
            .reference("load_balancer", load_balancer::ADDRESS)
            .text("protocol", protocol(desired).as_str())
            .text("port", desired.port)
            .maybe("certificate", desired.https.as_ref().map(|https| &https.certificate))
            .maybe("policy", desired.https.as_ref().map(|https| &https.policy));
        match &desired.default {
            Default::Answer(response) => fields
                .text("default.status", response.status)
                .text("default.body", &response.body)
                .text("default.content_type", &response.content_type),
            Default::Redirect(port) => {
                let status = RedirectActionStatusCodeEnum::Http301;
                fields.text("default.redirect", format!("{} to HTTPS:{port}", status.as_str()))
            }
        }
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let api = &observed.api;
        let fields = Fields::default()
            .value("load_balancer", Value::observed(cloud, api.load_balancer_arn().unwrap_or_default()))
            .maybe("protocol", api.protocol().map(ProtocolEnum::as_str))
            .maybe("port", api.port());
        let fields = match api.protocol() {
            Some(ProtocolEnum::Https) => fields
                .maybe("certificate", api.certificates().first().and_then(|certificate| certificate.certificate_arn()))
                .maybe("policy", api.ssl_policy()),
            _ => fields,
        };
        let action = api.default_actions().first();
        if let Some(redirect) = action.and_then(|action| action.redirect_config()) {
            let status = redirect.status_code().map_or("", RedirectActionStatusCodeEnum::as_str);
            let (protocol, port) = (redirect.protocol().unwrap_or("same"), redirect.port().unwrap_or("same"));
            return fields.text("default.redirect", format!("{status} to {protocol}:{port}"));
        }
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

    // Not after the listener whose port a redirect takes: that one may go only when nothing needs it.
    fn depends_on(_desired: &Desired) -> Vec<Address> {
        vec![security_group::LOAD_BALANCER.to_owned()]
    }

    // The security group keeps the port open for as long.
    fn delete_after(_observed: &Observed) -> Vec<Address> {
        vec![security_group::LOAD_BALANCER.to_owned()]
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.listener_arn().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let load_balancer = context.output(&load_balancer::ADDRESS)?.id;
        let request = context
            .clients()
            .elb
            .create_listener()
            .load_balancer_arn(&load_balancer)
            .protocol(protocol(desired))
            .port(desired.port.into())
            .set_certificates(certificates(desired))
            .set_ssl_policy(desired.https.as_ref().map(|https| https.policy.clone()))
            .default_actions(action(&desired.default))
            .set_tags(Some(tags::to_elb(&context.tags())));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => {
                    Ok(answer.listeners().first().and_then(|listener| listener.listener_arn()).map(Output::id))
                }
                Err(error) if error.is(&["DuplicateListener"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let late = |_| {
            let detail = format!("{} needs port {}, which another listener keeps", context.address, desired.port);
            Problem::new("Port already in use", detail).hint("run `cloudscale up` again: it continues")
        };
        let ask = || async {
            if let Some(output) = context.fresh("elasticloadbalancing:CreateListener", create).await? {
                return Ok(Poll::Ready(output));
            }
            let adopted = adopt(context, &load_balancer, desired.port).await?;
            let pending = || Poll::Pending(format!("port {} is not free yet", desired.port));
            Ok(adopted.map_or_else(pending, Poll::Ready))
        };
        context.poll(ask, late).await
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        if touches(changes, &["port", "protocol", "certificate", "policy", "default"]) {
            let request = context
                .clients()
                .elb
                .modify_listener()
                .listener_arn(&output.id)
                .protocol(protocol(desired))
                .port(desired.port.into())
                .set_certificates(certificates(desired))
                .set_ssl_policy(desired.https.as_ref().map(|https| https.policy.clone()))
                .default_actions(action(&desired.default));
            let call = "elasticloadbalancing:ModifyListener";
            context.patient(call, PORT_TAKEN, Some(PORT_LIMIT), || request.clone().send()).await?;
        }
        context.write_elb_tags(&output.id).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let arn = observed.api.listener_arn().unwrap_or_default();
        settled(context.clients().elb.delete_listener().listener_arn(arn).send().await, DescribeListeners::NOT_FOUND)
            .map_err(|error| error.problem("elasticloadbalancing:DeleteListener", context.address))
    }
}

/// A listener has the port: this very one, made by a call whose answer was lost; `None` where it is one of ours that is
/// on its way out.
async fn adopt(context: &ActionContext<'_>, load_balancer: &str, port: u16) -> Result<Option<Output>, Problem> {
    let look = || async {
        let pages =
            context.clients().elb.describe_listeners().load_balancer_arn(load_balancer).into_paginator().items();
        let listeners = pages.send().try_collect().await;
        let listeners = listeners.map_err(|e| e.problem("elasticloadbalancing:DescribeListeners", context.address))?;
        let found = listeners.into_iter().find(|listener| listener.port() == Some(port.into()));
        Ok(found.and_then(|listener| listener.listener_arn))
    };
    let name = format!("of port {port}");
    let arn = context.appears(look).await?.ok_or_else(|| tags::not_ours("listener", &name))?;
    let tags = tags_of(context.clients(), context.address, &arn).await?;
    if tags.get(tags::STACK) != Some(&context.run.stack) {
        return Err(tags::not_ours("listener", &name));
    }
    Ok((tags::address(&tags).as_ref() == Some(context.address)).then(|| Output::id(arn)))
}

fn protocol(desired: &Desired) -> ProtocolEnum {
    if desired.https.is_some() { ProtocolEnum::Https } else { ProtocolEnum::Http }
}

fn certificates(desired: &Desired) -> Option<Vec<Certificate>> {
    let https = desired.https.as_ref()?;
    Some(vec![Certificate::builder().certificate_arn(&https.certificate).build()])
}

fn action(default: &Default) -> Action {
    let response = match default {
        Default::Answer(response) => response,
        Default::Redirect(port) => {
            let config = RedirectActionConfig::builder()
                .protocol(ProtocolEnum::Https.as_str())
                .port(port.to_string())
                .status_code(RedirectActionStatusCodeEnum::Http301);
            return Action::builder().r#type(ActionTypeEnum::Redirect).redirect_config(config.build()).build();
        }
    };
    let config = FixedResponseActionConfig::builder()
        .status_code(response.status.to_string())
        .content_type(&response.content_type)
        .message_body(&response.body)
        .build();
    Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config).build()
}

/// The listeners of our load balancers.
#[derive(Debug)]
pub struct DescribeListeners;

impl Collection for DescribeListeners {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["ListenerNotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.listener_arn()
    }

    fn tags(_item: &Api) -> Tagged {
        Tagged::Elsewhere
    }
}

impl Listing for DescribeListeners {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let balancers =
            query.cloud.all::<DescribeLoadBalancers>().iter().filter_map(|balancer| balancer.load_balancer_arn());
        let calls = balancers.map(|arn| async move {
            let pages = query.clients.elb.describe_listeners().load_balancer_arn(arn).into_paginator().items().send();
            let found = pages.try_collect().await;
            found.map_err(|error| error.problem("elasticloadbalancing:DescribeListeners", arn))
        });
        Ok(Some(try_join_all(calls).await?.concat()))
    }
}
