//! Fixed instances: a number of them, spread over the zones, all from the cluster's launch template.
//!
//! What to keep, launch and terminate is decided by `moves.rs` alone. New instances start first; what they replace is
//! terminated when the target group no longer sends it requests (`prune`). Instances of an older launch template are
//! replaced in rounds ([`rollout`]).

mod consequence;
mod launch;
mod moves;
mod protection;
mod rollout;
pub mod settings;
mod states;

use settings::{GIVEN, METADATA, MONITORING, SECURITY_GROUP, Settings};
pub use states::{terminate, until_running};

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance, InstanceStateName, Reservation};

use jiff::Timestamp;

use super::connection::clients_of;
use super::{launch_template, network};
use super::{security_group, target_group, targets};
use crate::aws::error::CallError;
use crate::cloud::address::Address;
use crate::cloud::discover::EC2_PAGE;
use crate::cloud::discover::filter;
use crate::cloud::health::Health;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::state::InstanceState;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::outlook::{Consequence, PartView};
use crate::resource::provider::Provider;
use crate::resource::{Coming, Output, Resource, Scope};
use crate::stack::model::Capacity;
use crate::stack::names;

/// The address that an instance carries.
pub fn address(instance: &Instance) -> Option<Address> {
    tag(instance, tags::ADDRESS).map(Address::parse)
}

/// The state that EC2 reports an instance.
pub fn state(instance: &Instance) -> InstanceState {
    InstanceState::from(instance.state().and_then(|state| state.name()).map_or("unknown", |name| name.as_str()))
}

/// Whether it is one of a cluster's fixed instances: the others are those of groups.
pub fn is_fixed(instance: &Instance) -> bool {
    address(instance).is_some_and(|address| address.is_only(targets::INSTANCES))
}

/// The launch template's version, as a field.
const VERSION: &str = "launch_template";

#[derive(Debug)]
pub struct Instances;

/// What an instance was launched from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The hash of the launch template's spec.
    pub spec: String,
    /// Its version, where it holds secrets: the hash does not follow a secret's value.
    pub version: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Desired {
    pub cluster: String,
    pub count: usize,
    /// Whether they serve behind a target group.
    pub balanced: bool,
    /// An instance of another is outdated.
    pub template: Template,
    /// Whether the template holds secrets.
    pub secret: bool,
    /// An instance of another VPC is outdated, too.
    pub vpc: Value,
    /// How many instances may run beyond `count`, and how many of it may be missing, while they are replaced.
    pub surge: usize,
    pub unavailable: usize,
    /// (zone, subnet), by zone.
    pub zones: Vec<(String, Value)>,
}

impl Desired {
    /// An instance as it is launched.
    fn member(&self, id: String, zone: String) -> Member {
        Member { id, zone, vpc: None, template: self.template.clone(), trouble: None, settings: Settings::default() }
    }
}

#[derive(Clone, Debug)]
pub struct Observed {
    /// The ARN of the cluster's target group, where there is just one.
    target_group: Option<String>,
    members: Vec<Member>,
    /// Everything AWS still lists, terminated ones included: (zone, id).
    seen: Vec<(String, String)>,
    /// Addresses of the subnets that they are in, where those are the stack's own.
    subnets: Vec<Address>,
    tags: Tags,
}

impl Observed {
    /// The launch template where all instances that hold secrets are of its latest version; else that of the oldest.
    fn launched_from(&self, cloud: &Snapshot) -> Option<Value> {
        let versions = || self.members.iter().filter_map(|member| member.template.version.as_deref());
        let oldest = versions().min_by_key(|version| version.parse::<u64>().unwrap_or_default())?;
        let template = launch_template::address(self.cluster()?);
        let latest = launch_template::latest_version(cloud, &template)?;
        Some(match versions().all(|version| version == latest) {
            true => Value::Ref(template),
            false => Value::Text(format!("version {oldest}")),
        })
    }

    fn cluster(&self) -> Option<&str> {
        self.tags.get(tags::ADDRESS).and_then(|address| address.strip_prefix("cluster.")?.split('.').next())
    }
}

/// One instance that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    id: String,
    zone: String,
    vpc: Option<String>,
    template: Template,
    /// Why it does not serve, e.g. "unhealthy: …" or "stopped".
    trouble: Option<String>,
    /// What its launch template gave it and may have been changed since.
    settings: Settings,
}

impl Member {
    /// Whether it was launched from that; where no version is named, from any of that spec.
    fn is_of(&self, template: &Template) -> bool {
        self.template.spec == template.spec && (template.version.is_none() || self.template.version == template.version)
    }
}

impl Resource for Instances {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = targets::INSTANCES;
    const NOTICED: &'static [&'static str] = &["not_serving"];
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[(
        "type, image, user data and the rest of the template",
        "by the tag that names its version; of an instance that runs AWS changes none of them",
    )];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeInstances>::NEW];
    const VERSIONED: bool = true;
    const PRUNES: bool = true;
    const OPTIONAL_READBACK: &'static [&'static str] = &["vpc", SECURITY_GROUP, MONITORING];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let templates: BTreeMap<_, _> = launch_template::LaunchTemplate::desired(scope).into_iter().collect();
        let zones = network::of(scope).subnets.iter().map(|subnet| (subnet.zone.clone(), subnet.id.clone()));
        let zones: Vec<_> = zones.collect();
        let clusters = scope.stack.clusters.iter().filter_map(|cluster| {
            // None of them is nothing to create.
            let Capacity::Fixed { instances: instances @ 1.., ref rollout } = cluster.capacity else {
                return None;
            };
            let (surge, unavailable) = rollout.bounds(instances);
            let template = templates.get(&launch_template::address(&cluster.name))?;
            let desired = Desired {
                cluster: cluster.name.clone(),
                count: usize::try_from(instances).unwrap_or(usize::MAX),
                balanced: scope.stack.balances(cluster),
                surge,
                unavailable,
                // Which version it is, only the run itself knows.
                template: Template { spec: launch_template::LaunchTemplate::spec(template), version: None },
                secret: launch_template::holds_secrets(template),
                vpc: network::of(scope).vpc.clone(),
                zones: zones.clone(),
            };
            Some((targets::instances_of(&cluster.name), desired))
        });
        clusters.collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let mut by_address = BTreeMap::<Address, Vec<&Instance>>::new();
        for instance in cloud.all::<DescribeInstances>() {
            if let Some(address) = address(instance).filter(|address| address.is_only(Self::KIND)) {
                by_address.entry(address).or_default().push(instance);
            }
        }
        // Where the last instance was terminated they have to be created again, but what was seen still counts.
        let present =
            by_address.into_iter().filter(|(_, instances)| instances.iter().any(|instance| is_present(instance)));
        present.map(|(address, instances)| (address.clone(), observed(cloud, &address, &instances))).collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let fields = Fields::default().text("instances", desired.count).text("template", &desired.template.spec);
        let fields = fields
            .value("vpc", desired.vpc.clone())
            .reference(SECURITY_GROUP, security_group::INSTANCES)
            .text(MONITORING, true)
            .text(METADATA, GIVEN);
        if desired.secret { fields.reference(VERSION, launch_template::address(&desired.cluster)) } else { fields }
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let mut templates: Vec<_> = observed.members.iter().map(|member| member.template.spec.as_str()).collect();
        templates.sort_unstable();
        templates.dedup();
        let troubles =
            observed.members.iter().filter_map(|member| Some(format!("{}: {}", member.id, member.trouble.as_ref()?)));
        let troubles: Vec<_> = troubles.collect();
        let vpcs: Vec<_> =
            observed.members.iter().filter_map(|member| Some(Value::observed(cloud, member.vpc.as_ref()?))).collect();
        let fields = Fields::default().text("instances", observed.members.len()).text("template", templates.join(", "));
        let fields = if vpcs.is_empty() { fields } else { fields.value("vpc", Value::set(vpcs)) };
        let fields = fields.values(VERSION, observed.launched_from(cloud));
        let fields =
            settings::fields(fields, observed.members.iter().map(|member| (&*member.id, &member.settings)), cloud);
        fields.maybe("not_serving", (!troubles.is_empty()).then(|| troubles.join("; ")))
    }

    fn depends_on(desired: &Desired) -> Vec<Address> {
        let subnets = desired.zones.iter().flat_map(|(_, subnet)| subnet.references()).cloned();
        let target_group = desired.balanced.then(|| target_group::address(&desired.cluster));
        subnets.chain([launch_template::address(&desired.cluster)]).chain(target_group).collect()
    }

    fn delete_after(observed: &Observed) -> Vec<Address> {
        observed.subnets.iter().cloned().chain([security_group::INSTANCES]).collect()
    }

    fn reason(desired: &Desired, observed: &Observed) -> Option<String> {
        let count = |words: &str, number: usize| (number > 0).then(|| format!("{number} {words}"));
        let troubled = observed.members.iter().filter(|member| member.trouble.is_some()).count();
        let current = observed.members.iter().filter(|member| member.template.spec == desired.template.spec).count();
        let outdated = observed.members.len() - current;
        let parts = [
            count("to launch", desired.count.saturating_sub(observed.members.len())),
            count("to terminate", observed.members.len().saturating_sub(desired.count)),
            count("not serving", troubled),
            // Of a number that shrinks, those in surplus only end.
            count("to replace", outdated.min(desired.count.saturating_sub(current))),
            settings::reason(observed.members.iter().map(|member| &member.settings)),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    async fn obstacles(
        provider: &dyn Provider,
        _cloud: &Snapshot,
        coming: &[Coming<'_, Desired, Observed>],
    ) -> Result<Vec<Problem>, Problem> {
        let leaving = coming.iter().filter_map(|coming| {
            let members = coming.observed?.members.as_slice();
            let keep = coming
                .desired
                .map(|desired| moves::moves(desired.count, &desired.template, &desired.zones, members).keep);
            Some((coming.address, members, keep.unwrap_or_default()))
        });
        let leaving = leaving.flat_map(|(address, members, keep)| {
            members.iter().filter(move |member| !keep.contains(&member.id)).map(move |member| (address, &*member.id))
        });
        protection::check(clients_of(provider), &leaving.collect::<Vec<_>>()).await
    }

    fn consequence(part: PartView<'_>) -> Consequence {
        consequence::of(part)
    }

    fn output(observed: &Observed) -> Output {
        Output { members: observed.members.iter().map(|member| member.id.clone()).collect(), ..Output::default() }
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let observed = Observed {
            target_group: None,
            members: Vec::new(),
            seen: Vec::new(),
            subnets: Vec::new(),
            tags: Tags::new(),
        };
        converge(context, &pinned(context, desired)?, &observed).await
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let desired = &pinned(context, desired)?;
        let observed = rollout::run(context, desired, observed).await?;
        let output = converge(context, desired, &observed).await?;
        let leaves = |member: &Member| !output.members.contains(&member.id);
        if !desired.balanced && observed.members.iter().any(leaves) {
            // Behind a load balancer the attachment waits.
            until_running(context, &output.members).await?;
        }
        let staying = observed.members.iter().filter(|member| output.members.contains(&member.id));
        settings::restore(context, staying.map(|member| (&*member.id, &member.settings)).collect()).await?;
        if changes.iter().any(|change| change.path.starts_with("tags.")) {
            context.write_ec2_tags(output.members.clone(), &instance_tags(context, desired)).await?;
        }
        Ok(output)
    }

    async fn prune(context: &ActionContext<'_>, observed: &Observed, kept: &Output) -> Result<(), Problem> {
        let leaving = observed.members.iter().map(|member| member.id.clone()).filter(|id| !kept.members.contains(id));
        terminate(context, leaving.collect()).await
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        Self::prune(context, observed, &Output::default()).await
    }
}

fn observed(cloud: &Snapshot, address: &Address, instances: &[&Instance]) -> Observed {
    let cluster = address.cluster().unwrap_or_default();
    let zone = |instance: &Instance| {
        instance.placement().and_then(|placement| placement.availability_zone()).unwrap_or_default().to_owned()
    };
    let member = |instance: &&&Instance| {
        let id = instance.instance_id().unwrap_or_default();
        let state = state(instance);
        let health = targets::health(cloud, cluster, id).filter(Health::is_unhealthy);
        let health = health.filter(|_| !is_booting(cloud, instance));
        let stopped = state.is_stopped().then(|| state.to_string());
        Member {
            id: id.to_owned(),
            zone: zone(instance),
            vpc: instance.vpc_id().map(str::to_owned),
            template: Template {
                spec: tag(instance, tags::SPEC).unwrap_or_default().to_owned(),
                version: tag(instance, tags::VERSION).map(str::to_owned),
            },
            trouble: stopped.or_else(|| health.map(|health| health.sentence())),
            settings: Settings::of(instance, cloud),
        }
    };
    let present: Vec<_> = instances.iter().filter(|instance| is_present(instance)).collect();
    let mut members: Vec<_> = present.iter().map(member).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    // A tag counts as there when every instance has it.
    let mut shared = present.first().map(|instance| tags::from_ec2(instance.tags())).unwrap_or_default();
    shared.retain(|key, value| present.iter().all(|instance| tag(instance, key) == Some(value)));
    shared.insert(tags::ADDRESS.to_owned(), address.to_string());
    if present.iter().all(|instance| tag(instance, tags::SPEC).is_some()) {
        // Each has its own while they are replaced.
        shared.entry(tags::SPEC.to_owned()).or_default();
    }
    let seen = instances.iter().map(|instance| (zone(instance), instance.instance_id().unwrap_or_default().to_owned()));
    let target_group = match *target_group::of_cluster(cloud, cluster).collect::<Vec<_>>() {
        [only] => only.target_group_arn().map(str::to_owned),
        _ => None,
    };
    let subnets = instances.iter().filter_map(|instance| Some(Value::observed(cloud, instance.subnet_id()?)));
    let mut subnets: Vec<_> =
        subnets.flat_map(|subnet| subnet.references().into_iter().cloned().collect::<Vec<_>>()).collect();
    subnets.sort_unstable();
    subnets.dedup();
    Observed { target_group, members, seen: seen.collect(), subnets, tags: shared }
}

async fn converge(context: &ActionContext<'_>, desired: &Desired, observed: &Observed) -> Result<Output, Problem> {
    let vpc = context.resolve(&desired.vpc)?;
    let here = observed.members.iter().filter(|member| member.vpc.as_ref().is_none_or(|other| *other == vpc));
    let here: Vec<_> = here.cloned().collect();
    let moves::Moves { keep: mut members, launch } =
        moves::moves(desired.count, &desired.template, &desired.zones, &here);
    let launched = launch::launch(context, desired, observed, &launch).await?;
    members.extend(launched.into_iter().map(|(_, id)| id));
    Ok(Output { members, ..Output::default() })
}

fn instance_tags(context: &ActionContext<'_>, desired: &Desired) -> Tags {
    let mut tags = tags::of(&context.run.stack, context.address, &desired.template.spec, &context.run.tags);
    tags.extend(desired.template.version.clone().map(|version| (tags::VERSION.to_owned(), version)));
    tags.insert("Name".to_owned(), names::instance(&context.run.stack, &desired.cluster));
    tags
}

/// The same with the version of the launch template that this run has made or found, where it holds secrets.
fn pinned(context: &ActionContext<'_>, desired: &Desired) -> Result<Desired, Problem> {
    let mut desired = desired.clone();
    if desired.secret {
        desired.template.version = Some(context.output(&launch_template::address(&desired.cluster))?.revision.clone());
    }
    Ok(desired)
}

/// All instances with the tag of the stack that AWS still lists, terminated ones included.
#[derive(Debug)]
pub struct DescribeInstances;

impl Collection for DescribeInstances {
    type Item = Instance;

    const NOT_FOUND: &'static [&'static str] = &["InvalidInstanceID.NotFound"];

    fn id(item: &Instance) -> Option<&str> {
        item.instance_id()
    }

    fn tags(item: &Instance) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn is_gone(item: &Instance) -> bool {
        !is_present(item)
    }

    fn leftover(item: &Instance) -> Option<String> {
        let state = item.state().and_then(|state| state.name()).map_or("", InstanceStateName::as_str);
        Some(format!("instance {} ({state})", item.instance_id()?)).filter(|_| !is_terminated(item))
    }
}

impl Listing for DescribeInstances {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan, Depth::Status];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Instance>>, Problem> {
        let stack = &query.cloud.stack;
        let pages = query.clients.ec2.describe_instances().filters(filter(Some(stack))).max_results(EC2_PAGE);
        let reservations = pages.into_paginator().items().send().try_collect().await;
        let reservations: Vec<Reservation> =
            reservations.map_err(|error| error.problem("ec2:DescribeInstances", stack))?;
        let instances = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
        Ok(Some(instances.collect()))
    }
}

/// The value of an instance's tag.
pub fn tag<'a>(instance: &'a Instance, key: &str) -> Option<&'a str> {
    instance.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value())
}

/// Pending, running or stopped: not terminated and not about to be.
pub fn is_present(instance: &Instance) -> bool {
    !matches!(state(instance), InstanceState::Terminated | InstanceState::ShuttingDown)
}

pub fn is_terminated(instance: &Instance) -> bool {
    state(instance) == InstanceState::Terminated
}

/// All of the stack that are not on their way out.
pub fn present(cloud: &Snapshot) -> impl Iterator<Item = &Instance> {
    cloud.all::<DescribeInstances>().iter().filter(|instance| is_present(instance))
}

/// Those at an address.
pub fn present_at<'a>(cloud: &'a Snapshot, address: &'a Address) -> impl Iterator<Item = &'a Instance> {
    present(cloud).filter(move |instance| tag(instance, tags::ADDRESS) == Some(address.as_str()))
}

/// Whether an instance is so young that it may still be on its way to serve.
fn is_booting(cloud: &Snapshot, instance: &Instance) -> bool {
    let launched = instance.launch_time().and_then(|time| Timestamp::from_second(time.secs()).ok());
    launched.is_some_and(|launched| cloud.taken < launched + cloud.boot_grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of template `t`, in zones a, b and c.
    pub(super) fn desired(count: usize) -> Desired {
        let (cluster, vpc) = ("app".into(), Value::Text("vpc-1".into()));
        let (template, secret, zones) = (of("t"), false, zones());
        Desired { cluster, count, balanced: true, template, secret, vpc, surge: 1, unavailable: 0, zones }
    }

    pub(super) fn of(spec: &str) -> Template {
        Template { spec: spec.to_owned(), version: None }
    }

    pub(super) fn zones() -> Vec<(String, Value)> {
        ["a", "b", "c"].map(|zone| (zone.to_owned(), Value::Text(format!("subnet-{zone}")))).to_vec()
    }

    pub(super) fn member(id: &str, zone: &str) -> Member {
        let (vpc, template) = (None, of("t"));
        Member { id: id.into(), zone: zone.into(), vpc, template, trouble: None, settings: Settings::default() }
    }
}
