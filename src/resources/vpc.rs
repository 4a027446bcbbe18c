//! The VPC of a stack's own network. Everything else of the network refers to it, so it is made first and goes last.

use aws_sdk_ec2::types::{ResourceType, Vpc as Api};

use super::in_use;
use super::network::{StackNetwork, VPC};
use crate::aws::error::{CallError, settled};
use crate::cloud::address::Address;
use crate::cloud::discover::filter;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::Fields;
use crate::resource::{Output, Resource, Scope};
use crate::stack::model::Network;

#[derive(Debug)]
pub struct Vpc;

#[derive(Clone, Debug)]
pub struct Desired {
    pub cidr: String,
}

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
}

impl Resource for Vpc {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "vpc";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<StackNetwork>::NEW, &Bulk::<DescribeVpcs>::NEW];
    // AWS can add ranges to a VPC, but neither change nor remove the first.
    const REPLACE_ON: &'static [&'static str] = &["cidr"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        match &scope.stack.network {
            Network::Created { cidr, .. } => vec![(VPC.to_owned(), Desired { cidr: cidr.clone() })],
            Network::Default | Network::Existing { .. } => Vec::new(),
        }
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        // Of two by a call whose answer was lost, the first counts: the one in use.
        let mut vpcs: Vec<_> = cloud.all::<DescribeVpcs>().iter().collect();
        vpcs.sort_by_key(|vpc| vpc.vpc_id().is_none_or(|id| cloud.referrers(id).is_empty()));
        let ours = vpcs.into_iter().filter_map(|api| {
            let tags = tags::from_ec2(api.tags());
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        Fields::default().text("cidr", &desired.cidr)
    }

    fn observed_fields(observed: &Observed, _cloud: &Snapshot) -> Fields {
        Fields::default().maybe("cidr", observed.api.cidr_block())
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.vpc_id().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let call = context.clients().ec2.create_vpc().cidr_block(&desired.cidr);
        let call = call.tag_specifications(tags::specification(ResourceType::Vpc, &context.tags())).send().await;
        let answer = call.map_err(|error| error.problem("ec2:CreateVpc", context.address))?;
        let id = answer.vpc().and_then(|vpc| vpc.vpc_id()).unwrap_or_default();
        delete_duplicates(context, id).await?;
        Ok(Output::id(id))
    }

    async fn update(
        context: &ActionContext<'_>,
        _desired: &Desired,
        observed: &Observed,
        _changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        context.write_ec2_tags(vec![output.id.clone()], &context.tags()).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let id = observed.api.vpc_id().unwrap_or_default();
        let delete =
            || async { settled(context.clients().ec2.delete_vpc().vpc_id(id).send().await, DescribeVpcs::NOT_FOUND) };
        in_use::delete(context, ("ec2:DeleteVpc", id), delete, || in_use::of_vpc(context, id)).await
    }
}

/// AWS takes no client token for this: an attempt whose answer was lost has left a VPC that nobody uses. The
/// predecessor of this one is of another spec.
async fn delete_duplicates(context: &ActionContext<'_>, id: &str) -> Result<(), Problem> {
    let ec2 = &context.clients().ec2;
    let answer = ec2.describe_vpcs().set_filters(Some(context.filters())).send().await;
    let answer = answer.map_err(|error| error.problem("ec2:DescribeVpcs", context.address))?;
    let of_this = |vpc: &&Api| tags::from_ec2(vpc.tags()).get(tags::SPEC).map(String::as_str) == Some(context.spec);
    let duplicates = answer.vpcs().iter().filter(of_this).filter_map(|vpc| vpc.vpc_id());
    for twin in duplicates.filter(|twin| *twin != id) {
        settled(ec2.delete_vpc().vpc_id(twin).send().await, DescribeVpcs::NOT_FOUND)
            .map_err(|error| error.problem("ec2:DeleteVpc", context.address))?;
    }
    Ok(())
}

/// The stack's own VPC, whether its file still names one or not. A stack without one makes this one call for the
/// network.
#[derive(Debug)]
pub struct DescribeVpcs;

impl Collection for DescribeVpcs {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["InvalidVpcID.NotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.vpc_id()
    }

    fn tags(item: &Api) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("VPC {}", item.vpc_id()?))
    }
}

impl Listing for DescribeVpcs {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let stack = &query.cloud.stack;
        let pages = query.clients.ec2.describe_vpcs().filters(filter(Some(stack))).into_paginator().items().send();
        pages.try_collect().await.map(Some).map_err(|error| error.problem("ec2:DescribeVpcs", stack))
    }
}
