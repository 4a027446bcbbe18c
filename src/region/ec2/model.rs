//! EC2: the network, security groups, launch templates and instances, and what becomes of calls, signals and time.
//!
//! Each noun has its file with its state and its operations; this one gathers them, says what EC2 makes of other
//! services' signals, and what it answers them.

use jiff::Timestamp;

use super::instances::{self, Instances};
use super::interruption;
use super::key_pairs::{self, KeyPairs};
use super::launch_templates::{self, LaunchTemplates};
use super::network::Network;
use super::processes::credits::Terms;
use super::security_groups::{self, SecurityGroups};
use super::tags::{self, Tags};
use super::{
    describe, images, instance_calls, instance_types, launch, network_interfaces, rules, spot_prices, volumes,
};
use crate::catalog::cpu_credits;
use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::network::{internet_gateways, network_acls, route_tables, subnets, vpcs, zones};
use crate::region::facts::{InstanceFacts, LaunchTemplateFacts, MetadataFacts, SubnetFacts};
use crate::region::ids::Ids;
use crate::region::signal::Signal;
use crate::region::wire::operation;
use crate::region::wire::{Answer, ApiError, Params, Request, Value};

/// An operation of EC2.
pub type Operation = operation::Operation<Ec2>;

/// Every operation, by the noun that declares it.
pub const OPERATIONS: [&[Operation]; 19] = [
    zones::OPERATIONS,
    security_groups::OPERATIONS,
    rules::OPERATIONS,
    launch_templates::OPERATIONS,
    launch::OPERATIONS,
    describe::OPERATIONS,
    instance_calls::OPERATIONS,
    tags::OPERATIONS,
    images::OPERATIONS,
    instance_types::OPERATIONS,
    spot_prices::OPERATIONS,
    key_pairs::OPERATIONS,
    volumes::OPERATIONS,
    network_interfaces::OPERATIONS,
    vpcs::OPERATIONS,
    subnets::OPERATIONS,
    internet_gateways::OPERATIONS,
    route_tables::OPERATIONS,
    network_acls::OPERATIONS,
];

/// EC2's whole state.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Ec2 {
    pub network: Network,
    pub security_groups: SecurityGroups,
    pub launch_templates: LaunchTemplates,
    pub instances: Instances,
    pub key_pairs: KeyPairs,
}

impl Ec2 {
    /// A new account: the default VPC with its subnets and its security group.
    pub fn with_default_network(region: &str, ids: &mut Ids) -> Self {
        let network = Network::default_of(region, ids);
        let groups = network.vpcs.keys().map(|vpc| security_groups::default_group(vpc, ids));
        let security_groups = groups.map(|group| (group.id.clone(), group)).collect();
        Self { network, security_groups, ..Self::default() }
    }

    /// Runs one operation. With `DryRun` it runs on a copy, so that every error shows and nothing changes.
    pub fn call(&mut self, cx: &mut Context, request: &Request) -> Answer {
        operation::run_by(&OPERATIONS, request, |operation, params| self.run(cx, operation, params))
    }

    fn run(&mut self, cx: &mut Context, operation: &Operation, params: &Params) -> Answer {
        if params.bool("DryRun")? != Some(true) {
            return (operation.run)(self, cx, params);
        }
        let (mut ids, mut addresses) = (cx.ids.clone(), cx.addresses.clone());
        let mut trial = Context {
            now: cx.now,
            region: cx.region,
            delays: cx.delays,
            facts: cx.facts,
            ids: &mut ids,
            addresses: &mut addresses,
            signals: &mut Vec::new(),
        };
        (operation.run)(&mut self.clone(), &mut trial, params)?;
        let message = "Request would have succeeded, but DryRun flag is set.";
        Err(ApiError { status: 412, ..ApiError::new("DryRunOperation", message) })
    }

    /// Takes what another service or a shell says; ignores what does not concern it.
    pub fn signal(&mut self, cx: &mut Context, signal: &Signal) {
        match signal {
            Signal::LaunchInstance { group, activity, launch } => {
                // The group learns the id before the first state, so its answer goes to the front.
                let before = cx.signals.len();
                let (group, activity) = (group.clone(), activity.clone());
                let answer = match launch::launch_for_group(self, cx, launch) {
                    Ok(instance) => Signal::InstanceLaunched { group, activity, instance },
                    Err(ApiError { code, message, .. }) => Signal::LaunchFailed { group, activity, code, message },
                };
                cx.signals.insert(before, answer);
            }
            Signal::TerminateInstance { instance } => {
                let reason = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown");
                instances::terminate(self, cx, instance, reason);
            }
            Signal::StopInstance { instance } => instances::stop(self, cx, instance),
            Signal::StartInstance { instance } => instances::start(self, cx, instance),
            Signal::TagInstance { instance, tags: changes } => {
                let Some(tags) = self.tags_mut(instance) else { return };
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(tags.insert(key.clone(), value.clone())),
                        None => drop(tags.remove(key)),
                    }
                }
            }
            Signal::InterruptSpot { instance, after } => interruption::begin(self, cx, instance, *after),
            Signal::HostFailed => instances::host_failed(self, cx),
            Signal::ProcessStarted { instance } => instances::process_started(self, cx, instance),
            Signal::InstanceBooted { instance } => instances::booted(self, instance),
            Signal::InstanceFailed { instance, reason } => {
                let message = format!("Server.InternalError: {reason}");
                instances::terminate(self, cx, instance, ("Server.InternalError", &message));
            }
            Signal::ProcessEnded { instance } => instances::process_ended(self, cx, instance),
            _ => {}
        }
    }

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, cx: &mut Context) {
        interruption::advance(self, cx);
        self.instances.forget_terminated(cx.now);
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.instances.next_deadline()
    }

    pub fn instance_facts(&self, id: &str) -> Option<InstanceFacts> {
        self.instances.all.get(id).map(instances::Instance::facts)
    }
    pub fn instance_kind(&self, id: &str) -> Option<(&str, &str)> {
        self.instances.all.get(id).map(|instance| (instance.instance_type.as_str(), instance.image.as_str()))
    }
    pub fn instances_facts(&self) -> Vec<InstanceFacts> {
        self.instances.all.values().map(instances::Instance::facts).collect()
    }
    /// What the instance's metadata service answers; nothing once it is terminated.
    pub fn metadata_facts(&self, id: &str) -> Option<MetadataFacts> {
        let instance = self.instances.all.get(id).filter(|instance| instance.occupies())?;
        let region = instance.zone.trim_end_matches(char::is_alphabetic).to_owned();
        let groups = instance.groups.iter().filter_map(|id| self.security_groups.get(id));
        Some(MetadataFacts {
            instance: instance.facts(),
            architecture: describe::architecture(instance).to_owned(),
            host_name: instances::private_dns_name(instance, &region),
            region,
            mac: instance.mac.clone(),
            reservation: instance.reservation.clone(),
            launch_index: instance.launch_index,
            security_groups: groups.map(|group| group.name.clone()).collect(),
            user_data: instance.user_data.clone(),
            enabled: instance.metadata_options.enabled,
            tokens_required: instance.metadata_options.tokens_required,
            serves_tags: instance.metadata_options.tags,
            interruption: instance.interruption.map(|it| (it.recommended, it.noticed(), it.ends)),
        })
    }
    /// The virtual CPUs of an instance's type.
    pub fn vcpus_of(&self, id: &str) -> Option<u16> {
        crate::catalog::instance_types::find(&self.instances.all.get(id)?.instance_type).map(|row| row.vcpus)
    }
    /// What an instance of a burstable type earns and may spend.
    pub fn credit_terms_of(&self, id: &str) -> Option<Terms> {
        let instance = self.instances.all.get(id)?;
        let (name, unlimited) = (&instance.instance_type, instance.cpu_credits.as_deref() == Some("unlimited"));
        let (vcpus, per_hour) = (self.vcpus_of(id)?, cpu_credits::per_hour(name)?);
        Some(Terms { vcpus, per_hour, at_launch: cpu_credits::at_launch(name, vcpus, unlimited), unlimited })
    }
    pub fn subnet_facts(&self, id: &str) -> Option<SubnetFacts> {
        let subnet = self.network.subnets.get(id)?;
        Some(SubnetFacts { id: subnet.id.clone(), vpc: subnet.vpc.clone(), zone: subnet.zone.clone() })
    }
    pub fn vpc_exists(&self, id: &str) -> bool {
        self.network.vpcs.contains_key(id)
    }
    pub fn security_group_exists(&self, id: &str) -> bool {
        self.security_groups.contains_key(id)
    }
    pub fn launch_template_facts(&self, id_or_name: &str, version: &str) -> Option<LaunchTemplateFacts> {
        let by_name = || self.launch_templates.values().find(|template| template.name == id_or_name);
        let template = self.launch_templates.get(id_or_name).or_else(by_name)?;
        let version = template.version(version).ok()?;
        Some(LaunchTemplateFacts {
            id: template.id.clone(),
            name: template.name.clone(),
            version: version.number,
            instance_type: version.data.text("InstanceType").map(str::to_owned),
            image: version.data.text("ImageId").map(str::to_owned),
            tags: template.tags.clone(),
        })
    }

    /// The tags of any resource, to be changed.
    pub fn tags_mut(&mut self, id: &str) -> Option<&mut Tags> {
        match id.split('-').next()? {
            "i" => self.instances.all.get_mut(id).map(|instance| &mut instance.tags),
            "eni" => self.instances.all.values_mut().find(|i| i.interface == id).map(|i| &mut i.interface_tags),
            "sir" => {
                let mut all = self.instances.all.values_mut();
                all.find(|i| i.spot_request.as_deref() == Some(id)).map(|i| &mut i.spot_request_tags)
            }
            "vol" => self.instances.all.values_mut().find(|i| i.volume.id == id).map(|i| &mut i.volume.tags),
            "sg" => self.security_groups.get_mut(id).map(|group| &mut group.tags),
            "sgr" => {
                let mut rules = self.security_groups.values_mut().flat_map(|group| &mut group.rules);
                rules.find(|rule| rule.id == id).map(|rule| &mut rule.tags)
            }
            "lt" => self.launch_templates.get_mut(id).map(|template| &mut template.tags),
            "vpc" => self.network.vpcs.get_mut(id).map(|vpc| &mut vpc.tags),
            "subnet" => self.network.subnets.get_mut(id).map(|subnet| &mut subnet.tags),
            "key" => self.key_pairs.get_mut(id).map(|key| &mut key.tags),
            "igw" => self.network.internet_gateways.get_mut(id).map(|gateway| &mut gateway.tags),
            "acl" => self.network.acls.get_mut(id).map(|acl| &mut acl.tags),
            "rtb" => self.network.route_tables.get_mut(id).map(|table| &mut table.tags),
            _ => None,
        }
    }

    /// The ARN of every resource, and its tags.
    pub fn tagged_arns(&self, region: &str) -> Vec<(String, Tags)> {
        let arn = |id: &str| format!("arn:aws:ec2:{region}:{ACCOUNT}:{}/{id}", tags::resource_type(id));
        self.tagged().into_iter().map(|(id, tags)| (arn(id), tags.clone())).collect()
    }

    /// Every resource and its tags.
    pub fn tagged(&self) -> Vec<(&str, &Tags)> {
        let mut all: Vec<(&str, &Tags)> = Vec::new();
        for instance in self.instances.all.values() {
            all.push((&instance.id, &instance.tags));
            all.push((&instance.volume.id, &instance.volume.tags));
            all.push((&instance.interface, &instance.interface_tags));
            all.extend(instance.spot_request.as_deref().map(|id| (id, &instance.spot_request_tags)));
        }
        for group in self.security_groups.values() {
            all.push((&group.id, &group.tags));
            all.extend(group.rules.iter().map(|rule| (&*rule.id, &rule.tags)));
        }
        all.extend(self.launch_templates.values().map(|template| (&*template.id, &template.tags)));
        all.extend(self.network.vpcs.values().map(|vpc| (&*vpc.id, &vpc.tags)));
        all.extend(self.network.subnets.values().map(|subnet| (&*subnet.id, &subnet.tags)));
        all.extend(self.network.internet_gateways.values().map(|gateway| (&*gateway.id, &gateway.tags)));
        all.extend(self.network.acls.values().map(|acl| (&*acl.id, &acl.tags)));
        all.extend(self.key_pairs.values().map(|key| (&*key.id, &key.tags)));
        all.extend(self.network.route_tables.values().map(|table| (&*table.id, &table.tags)));
        all
    }
}

/// The answer of an operation that has nothing to say.
pub fn returned() -> Value {
    Value::map().with("return", Value::from(true))
}
