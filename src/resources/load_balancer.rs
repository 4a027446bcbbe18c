//! The application load balancer.

use aws_sdk_elasticloadbalancingv2::types::{
    LoadBalancer as Api, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum, LoadBalancerTypeEnum,
};

use futures_util::future::try_join_all;

use super::connection::clients_of;
use super::network;
use super::security_group;
use super::subnet::DescribeSubnets;
use super::target_group::{NO_SERVICE, tags_of};
use crate::aws::clients::Clients;
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::discover::{ELB_PAGE, found};
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::{Action, FieldChange};
use crate::resource::context::{ActionContext, Operation, Poll};
use crate::resource::event::Event;
use crate::resource::fields::{Fields, Value};
use crate::resource::outlook::{Consequence, PartView, is};
use crate::resource::provider::Provider;
use crate::resource::{Coming, Output, Resource, Scope, touches};
use crate::stack::model::Stack;
use crate::stack::names;

pub const ADDRESS: Address = Address::fixed("load_balancer");
/// An attribute of a load balancer (ELBv2 API, LoadBalancerAttribute).
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

#[derive(Debug)]
pub struct LoadBalancer;

#[derive(Clone, Debug)]
pub struct Desired {
    pub name: String,
    pub vpc: Value,
    pub subnets: Value,
}

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
    /// Addresses of the target groups that its rules refer to: they cannot be deleted before.
    target_groups: Vec<Address>,
}

impl Resource for LoadBalancer {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "load_balancer";
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[("name, kind", "AWS cannot change them")];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeLoadBalancers>::NEW];
    const REPLACE_ON: &'static [&'static str] = &["scheme", "vpc"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        if !scope.stack.has_load_balancer() {
            return Vec::new();
        }
        let desired = Desired {
            name: names::load_balancer(&scope.stack.name),
            vpc: network::of(scope).vpc.clone(),
            subnets: network::of(scope).subnet_set(),
        };
        vec![(ADDRESS, desired)]
    }

    fn unique_names(stack: &Stack) -> Vec<(&'static str, String)> {
        vec![("load balancer", names::load_balancer(&stack.name))]
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribeLoadBalancers>().iter().filter_map(|api| {
            let arn = api.load_balancer_arn()?;
            let tags = cloud.tags_of(arn)?.clone();
            let behind = cloud.referrers(arn);
            let behind = behind.iter().filter_map(|arn| cloud.address_of(arn));
            let target_groups = behind.collect();
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags, target_groups }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        Fields::default()
            .text("scheme", LoadBalancerSchemeEnum::InternetFacing.as_str())
            .value("vpc", desired.vpc.clone())
            .value("subnets", desired.subnets.clone())
            .reference("security_group", security_group::LOAD_BALANCER)
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let api = &observed.api;
        let subnets: Vec<_> = api.availability_zones().iter().filter_map(|zone| zone.subnet_id()).collect();
        // It lies where its subnets lie: endpoints that imitate AWS report the default VPC of every load balancer.
        let mut own = cloud.all::<DescribeSubnets>().iter();
        let own = own.find(|own| own.subnet_id().is_some_and(|id| subnets.contains(&id)));
        let vpc = own.and_then(|subnet| subnet.vpc_id()).or(api.vpc_id());
        let vpc = Value::observed(cloud, vpc.unwrap_or_default());
        let subnets = subnets.into_iter().map(|id| Value::observed(cloud, id));
        let fields = Fields::default()
            .maybe("scheme", api.scheme().map(LoadBalancerSchemeEnum::as_str))
            .value("vpc", vpc)
            .value("subnets", Value::set(subnets));
        match api.security_groups() {
            [only] => fields.value("security_group", Value::observed(cloud, only)),
            several => fields.text("security_group", several.join(", ")),
        }
    }

    fn delete_after(observed: &Observed) -> Vec<Address> {
        observed.target_groups.clone()
    }

    async fn obstacles(
        provider: &dyn Provider,
        _cloud: &Snapshot,
        coming: &[Coming<'_, Desired, Observed>],
    ) -> Result<Vec<Problem>, Problem> {
        let going = coming.iter().filter(|coming| matches!(coming.action, Action::Delete | Action::Replace));
        let arns = going.filter_map(|coming| coming.observed?.api.load_balancer_arn());
        let found = try_join_all(arns.map(|arn| is_protected(clients_of(provider), arn))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    fn consequence(part: PartView<'_>) -> Consequence {
        let itself = part.acting(Self::KIND);
        match (part.overall(), part.stack.and_then(|stack| stack.load_balancer.as_ref())) {
            (Action::Unchanged, _) => part.consequence(),
            (Action::Delete, _) | (_, None) => Consequence::sentence(Action::Delete, "its DNS name no longer answers"),
            (_, Some(declared)) if is(itself, Action::Create) => {
                let https = declared.https.as_ref().map(|https| format!(" and HTTPS on port {}", https.port));
                let ports = format!("HTTP on port {}{}", declared.port, https.unwrap_or_default());
                let text = format!("{ports}, other paths answer {}", declared.default.status);
                Consequence::sentence(Action::Create, text)
            }
            _ if is(itself, Action::Replace) => {
                Consequence::sentence(Action::Replace, "a new load balancer takes over: its DNS name changes")
            }
            _ => {
                let mut consequence = part.consequence();
                consequence.sentences.push("its DNS name stays".to_owned());
                consequence
            }
        }
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.load_balancer_arn().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn replace(context: &ActionContext<'_>, desired: &Desired, _observed: &Observed) -> Result<Output, Problem> {
        let output = Self::create(context, desired).await?;
        // It takes minutes until it serves; the old one does so meanwhile.
        until_active(context.run, &output.id).await?;
        Ok(output)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let group = context.output(&security_group::LOAD_BALANCER)?.id;
        let subnets = context.resolve_all(&desired.subnets)?;
        let request = context
            .clients()
            .elb
            .create_load_balancer()
            .r#type(LoadBalancerTypeEnum::Application)
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .set_subnets(Some(subnets.clone()))
            .security_groups(group)
            .set_tags(Some(tags::to_elb(&context.tags())));
        // Where the predecessor that this one replaces still has the name, it gets one of its own. The spec names a
        // network of the stack's own by its address, which another network may have had.
        let reason = format!("{} {}", context.spec, context.resolve(&desired.vpc)?);
        let successor = names::successor(&desired.name, &reason, names::ELB_NAME_CHARACTERS_MAX);
        for name in [desired.name.clone(), successor] {
            let create = || async {
                match request.clone().name(&name).send().await {
                    Ok(answer) => {
                        Ok(answer.load_balancers().first().and_then(|lb| lb.load_balancer_arn()).map(str::to_owned))
                    }
                    Err(error) if error.is(&["DuplicateLoadBalancerName"]) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            let created = context.fresh("elasticloadbalancing:CreateLoadBalancer", create).await?;
            let ours = match created {
                Some(arn) => Some(arn),
                None => same(context, &name, &subnets).await?,
            };
            if let Some(arn) = ours {
                return Ok(Output::id(arn));
            }
        }
        Err(tags::not_ours("load balancer", &desired.name))
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        let elb = &context.clients().elb;
        if touches(changes, &["subnets"]) {
            let subnets = context.resolve_all(&desired.subnets)?;
            let request = elb.set_subnets().load_balancer_arn(&output.id).set_subnets(Some(subnets));
            context.fresh("elasticloadbalancing:SetSubnets", || request.clone().send()).await?;
        }
        if touches(changes, &["security_group"]) {
            let group = context.output(&security_group::LOAD_BALANCER)?.id;
            let request = elb.set_security_groups().load_balancer_arn(&output.id).security_groups(group);
            context.fresh("elasticloadbalancing:SetSecurityGroups", || request.clone().send()).await?;
        }
        context.write_elb_tags(&output.id).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let arn = observed.api.load_balancer_arn().unwrap_or_default();
        settled(
            context.clients().elb.delete_load_balancer().load_balancer_arn(arn).send().await,
            DescribeLoadBalancers::NOT_FOUND,
        )
        .map_err(|error| error.problem("elasticloadbalancing:DeleteLoadBalancer", context.address))
    }
}

/// The problem where AWS refuses to delete a load balancer.
async fn is_protected(clients: &Clients, arn: &str) -> Result<Option<Problem>, Problem> {
    let answer = match clients.elb.describe_load_balancer_attributes().load_balancer_arn(arn).send().await {
        Ok(answer) => answer,
        Err(error) if error.is(DescribeLoadBalancers::NOT_FOUND) || quirks::lacks(&error) => return Ok(None),
        Err(error) => return Err(error.problem("elasticloadbalancing:DescribeLoadBalancerAttributes", ADDRESS)),
    };
    let is_on = |attribute: &LoadBalancerAttribute| {
        attribute.key() == Some(DELETION_PROTECTION) && attribute.value() == Some("true")
    };
    let name = crate::aws::arn::name(arn).unwrap_or(arn);
    Ok(answer.attributes().iter().any(is_on).then(|| {
        Problem::new(
            "The load balancer is protected",
            format!("{name} has deletion protection: AWS refuses to delete it"),
        )
        .hint(format!(
            "nothing was changed; `aws elbv2 modify-load-balancer-attributes --attributes \
                 Key={DELETION_PROTECTION},Value=false --load-balancer-arn {arn}` lifts it"
        ))
    }))
}

/// The load balancer of a name that exists with other settings: this very one, made by a call whose answer was lost, or
/// `None` where it is the one that is to be replaced.
async fn same(context: &ActionContext<'_>, name: &str, subnets: &[String]) -> Result<Option<String>, Problem> {
    let look = || async {
        match context.clients().elb.describe_load_balancers().names(name).send().await {
            Ok(answer) => Ok(answer.load_balancers.unwrap_or_default().into_iter().next()),
            Err(error) if error.is(DescribeLoadBalancers::NOT_FOUND) => Ok(None),
            Err(error) => Err(error.problem("elasticloadbalancing:DescribeLoadBalancers", context.address)),
        }
    };
    let found = context.appears(look).await?.ok_or_else(|| tags::not_ours("load balancer", name))?;
    let arn = found.load_balancer_arn().unwrap_or_default();
    let tags = tags_of(context.clients(), context.address, arn).await?;
    if tags.get(tags::STACK) != Some(&context.run.stack) {
        return Err(tags::not_ours("load balancer", name));
    }
    let is_here = found
        .availability_zones()
        .iter()
        .filter_map(|zone| zone.subnet_id())
        .all(|id| subnets.iter().any(|subnet| subnet == id));
    let is_same = is_here && tags.get(tags::SPEC).map(String::as_str) == Some(context.spec);
    Ok(is_same.then(|| arn.to_owned()))
}

/// The load balancers of the region, narrowed to our names and then to our tags.
#[derive(Debug)]
pub struct DescribeLoadBalancers;

impl Collection for DescribeLoadBalancers {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["LoadBalancerNotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.load_balancer_arn()
    }

    fn tags(_item: &Api) -> Tagged {
        Tagged::Elsewhere
    }

    fn name(item: &Api) -> Option<&str> {
        item.load_balancer_name()
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("load balancer {}", item.load_balancer_name()?))
    }
}

impl Listing for DescribeLoadBalancers {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan, Depth::Status];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let pages = query.clients.elb.describe_load_balancers().page_size(ELB_PAGE).into_paginator().items().send();
        let call = "elasticloadbalancing:DescribeLoadBalancers";
        found(query, pages.try_collect().await, Stack::has_load_balancer, call)
    }

    fn missed_by(_stack: Option<&Stack>) -> Option<String> {
        Some(NO_SERVICE.to_owned())
    }

    fn may_be_ours(item: &Api, cloud: &Snapshot) -> bool {
        item.load_balancer_name().is_some_and(|name| names::may_be_of(&cloud.stack, name))
    }
}

/// Waits until the load balancer is active; answers with its DNS name.
///
/// # Errors
/// Where it failed, or time is up.
pub async fn until_active(run: &Operation, arn: &str) -> Result<String, Problem> {
    let broken = |detail: String| {
        Problem::new("The load balancer is not active", detail)
            .hint("`cloudscale down` and `up` make a new one; AWS's health dashboard shows trouble in the region")
    };
    let ask = || async {
        let answer = run.clients()?.elb.describe_load_balancers().load_balancer_arns(arn).send().await;
        let answer = answer.map_err(|error| error.problem("elasticloadbalancing:DescribeLoadBalancers", ADDRESS))?;
        let found = answer.load_balancers().first();
        let state = found.and_then(|lb| lb.state()).and_then(|state| state.code());
        let detail = format!("the load balancer is {}", state.map_or("unknown", LoadBalancerStateEnum::as_str));
        match state {
            Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) => {
                let name = found.and_then(|lb| lb.dns_name()).unwrap_or_default().to_owned();
                Ok(Poll::Ready((state.map_or_else(String::new, |state| state.as_str().to_owned()), name)))
            }
            Some(LoadBalancerStateEnum::Failed) => Err(broken(detail)),
            _ => Ok(Poll::Pending(detail)),
        }
    };
    let (detail, name) = run.poll(ADDRESS.as_str(), ask, broken).await?;
    run.sink.event(Event::Ready { what: ADDRESS.to_string(), detail });
    Ok(name)
}
