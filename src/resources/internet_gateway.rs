//! The internet gateway of a stack's own network, attached to its VPC.

use aws_sdk_ec2::types::{InternetGateway as Api, ResourceType};

use super::in_use;
use super::network;
use super::vpc::DescribeVpcs;
use crate::aws::error::{CallError, settled};
use crate::cloud::address::Address;
use crate::cloud::discover::filter;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{
    Bulk, Collection, Depth, ErasedCollection, ErasedListing, Listing, Query, Tagged,
};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope, touches};
use crate::stack::model::Network;

pub const ADDRESS: Address = Address::fixed("network.internet_gateway");

#[derive(Debug)]
pub struct InternetGateway;

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
}

impl Observed {
    fn attached_to(&self) -> Option<&str> {
        self.api.attachments().first().and_then(|attachment| attachment.vpc_id())
    }
}

impl Resource for InternetGateway {
    type Desired = ();
    type Observed = Observed;

    const KIND: &'static str = "internet_gateway";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeInternetGateways>::NEW];
    // A detached gateway is attached again; one of another VPC stays there until that VPC goes.
    const REPLACE_ON: &'static [&'static str] = &["vpc"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, ())> {
        match scope.stack.network {
            Network::Created { .. } => vec![(ADDRESS, ())],
            Network::Default | Network::Existing { .. } => Vec::new(),
        }
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let mut gateways: Vec<_> = cloud.all::<DescribeInternetGateways>().iter().collect();
        gateways.sort_by_key(|gateway| gateway.attachments().is_empty());
        let ours = gateways.into_iter().filter_map(|api| {
            let tags = tags::from_ec2(api.tags());
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn desired_fields((): &()) -> Fields {
        Fields::default().reference("vpc", network::VPC).text("attached", true)
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let attached_to = observed.attached_to();
        let vpc = attached_to.map_or_else(|| Value::Ref(network::VPC), |id| Value::observed(cloud, id));
        Fields::default().value("vpc", vpc).text("attached", attached_to.is_some())
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.internet_gateway_id().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, (): &()) -> Result<Output, Problem> {
        let call = context.clients().ec2.create_internet_gateway();
        let call = call.tag_specifications(tags::specification(ResourceType::InternetGateway, &context.tags()));
        let answer = call.send().await.map_err(|error| error.problem("ec2:CreateInternetGateway", context.address))?;
        let id = answer.internet_gateway().and_then(|gateway| gateway.internet_gateway_id()).unwrap_or_default();
        delete_duplicates(context, id).await?;
        attach(context, id).await?;
        Ok(Output::id(id))
    }

    async fn update(
        context: &ActionContext<'_>,
        (): &(),
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        if touches(changes, &["attached"]) {
            attach(context, &output.id).await?;
        }
        context.write_ec2_tags(vec![output.id.clone()], &context.tags()).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let ec2 = &context.clients().ec2;
        let id = observed.api.internet_gateway_id().unwrap_or_default();
        if let Some(vpc) = observed.attached_to() {
            let detach = || async {
                let gone = [&["Gateway.NotAttached"][..], DescribeInternetGateways::NOT_FOUND, DescribeVpcs::NOT_FOUND]
                    .concat();
                settled(ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc).send().await, &gone)
            };
            // Public addresses of instances and load balancers that are on their way out still use it.
            let users = || in_use::of_gateway(context, vpc);
            in_use::delete(context, ("ec2:DetachInternetGateway", id), detach, users).await?;
        }
        let delete = || async {
            let call = ec2.delete_internet_gateway().internet_gateway_id(id).send().await;
            settled(call, DescribeInternetGateways::NOT_FOUND)
        };
        let users = || async { Ok(observed.attached_to().map(|vpc| format!("VPC {vpc}")).into_iter().collect()) };
        in_use::delete(context, ("ec2:DeleteInternetGateway", id), delete, users).await
    }
}

/// AWS takes no client token for this: an attempt whose answer was lost has left a gateway that is attached to nothing.
async fn delete_duplicates(context: &ActionContext<'_>, id: &str) -> Result<(), Problem> {
    let ec2 = &context.clients().ec2;
    let answer = ec2.describe_internet_gateways().set_filters(Some(context.filters())).send().await;
    let answer = answer.map_err(|error| error.problem("ec2:DescribeInternetGateways", context.address))?;
    let duplicates = answer.internet_gateways().iter().filter(|twin| twin.attachments().is_empty());
    for twin in duplicates.filter_map(|twin| twin.internet_gateway_id()).filter(|twin| *twin != id) {
        settled(
            ec2.delete_internet_gateway().internet_gateway_id(twin).send().await,
            DescribeInternetGateways::NOT_FOUND,
        )
        .map_err(|error| error.problem("ec2:DeleteInternetGateway", context.address))?;
    }
    Ok(())
}

async fn attach(context: &ActionContext<'_>, id: &str) -> Result<(), Problem> {
    let vpc = context.output(&network::VPC)?.id;
    let attach = || async {
        let call = context.clients().ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(&vpc);
        // Already, by a call whose answer was lost.
        settled(call.send().await, &["Resource.AlreadyAssociated"])
    };
    context.fresh("ec2:AttachInternetGateway", attach).await
}

/// The gateways of a network of the stack's own.
#[derive(Debug)]
pub struct DescribeInternetGateways;

impl Collection for DescribeInternetGateways {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["InvalidInternetGatewayID.NotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.internet_gateway_id()
    }

    fn tags(item: &Api) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("internet gateway {}", item.internet_gateway_id()?))
    }
}

impl Listing for DescribeInternetGateways {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];
    const BELOW: Option<&'static dyn ErasedCollection> = Some(&Bulk::<DescribeVpcs>::NEW);

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let stack = &query.cloud.stack;
        let pages =
            query.clients.ec2.describe_internet_gateways().filters(filter(Some(stack))).into_paginator().items().send();
        pages.try_collect().await.map(Some).map_err(|error| error.problem("ec2:DescribeInternetGateways", stack))
    }
}
