//! EC2: the network, security groups, launch templates and instances, and which operation does what with them.
//!
//! Each noun has its file with its state and its operations; this one is the table of operations, what EC2 makes of
//! other services' signals, and what it answers them.

use jiff::Timestamp;

use super::instances::{self, Instances};
use super::key_pairs::{self, KeyPairs};
use super::launch_templates::{self, LaunchTemplates};
use super::listing::dry_run;
use super::network::Network;
use super::security_groups::{self, SecurityGroups};
use super::tags::{self, Tags};
use super::{
    describe, images, instance_types, internet_gateways, launch, network_acls, network_interfaces, route_tables, rules,
    subnets, volumes, vpcs, zones,
};
use crate::region::context::Context;
use crate::region::facts::{InstanceFacts, LaunchTemplateFacts, MetadataFacts, SubnetFacts};
use crate::region::ids::Ids;
use crate::region::signal::{InstanceState, Signal};
use crate::region::wire::{Answer, ApiError, Params, Request, Value};

/// EC2's whole state.
#[derive(Clone, Debug, Default)]
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

    /// Runs one operation.
    pub fn call(&mut self, cx: &mut Context, request: &Request) -> Answer {
        let params = &request.params;
        match request.operation.as_str() {
            "DescribeAvailabilityZones" => zones::describe_availability_zones(cx, params),
            "DescribeRegions" => zones::describe_regions(cx, params),
            "DescribeAccountAttributes" => zones::describe_account_attributes(&self.network, params),
            "CreateSecurityGroup" => security_groups::create_security_group(self, cx, params),
            "DeleteSecurityGroup" => security_groups::delete_security_group(self, cx, params),
            "DescribeSecurityGroups" => security_groups::describe_security_groups(self, cx, params),
            "AuthorizeSecurityGroupIngress" => rules::authorize(self, cx, params, false),
            "AuthorizeSecurityGroupEgress" => rules::authorize(self, cx, params, true),
            "RevokeSecurityGroupIngress" => rules::revoke(self, cx, params, false),
            "RevokeSecurityGroupEgress" => rules::revoke(self, cx, params, true),
            "DescribeSecurityGroupRules" => rules::describe_security_group_rules(self, cx, params),

            "CreateLaunchTemplate" => launch_templates::create_launch_template(self, cx, params),
            "CreateLaunchTemplateVersion" => launch_templates::create_launch_template_version(self, cx, params),
            "ModifyLaunchTemplate" => launch_templates::modify_launch_template(self, params),
            "DeleteLaunchTemplate" => launch_templates::delete_launch_template(self, params),
            "DeleteLaunchTemplateVersions" => launch_templates::delete_launch_template_versions(self, params),
            "DescribeLaunchTemplates" => launch_templates::describe_launch_templates(self, params),
            "DescribeLaunchTemplateVersions" => launch_templates::describe_launch_template_versions(self, params),

            "RunInstances" => launch::run_instances(self, cx, params),
            "DescribeInstances" => describe::describe_instances(self, cx, params),
            "DescribeInstanceStatus" => describe::describe_instance_status(self, cx, params),
            "DescribeInstanceAttribute" => describe::describe_instance_attribute(self, params),
            "ModifyInstanceAttribute" => self.modify_instance_attribute(params),
            "MonitorInstances" => self.set_monitoring(params, true),
            "UnmonitorInstances" => self.set_monitoring(params, false),
            "StartInstances" => self.change_instances(cx, params, instances::start),
            "StopInstances" => self.change_instances(cx, params, instances::stop),
            "TerminateInstances" => self.terminate_instances(cx, params),
            "RebootInstances" => self.change_instances(cx, params, instances::reboot).map(|_| returned()),
            "GetConsoleOutput" => self.get_console_output(cx, params),

            "CreateTags" => tags::create_tags(self, params),
            "DeleteTags" => tags::delete_tags(self, params),
            "DescribeTags" => tags::describe_tags(self, params),
            "DescribeImages" => images::describe_images(params),
            "DescribeInstanceTypes" => instance_types::describe_instance_types(params),
            "DescribeInstanceTypeOfferings" => instance_types::describe_instance_type_offerings(cx, params),
            "DescribeInstanceCreditSpecifications" => {
                instance_types::describe_instance_credit_specifications(self, params)
            }
            "ImportKeyPair" => key_pairs::import_key_pair(self, cx, params),
            "DeleteKeyPair" => key_pairs::delete_key_pair(self, params),
            "DescribeKeyPairs" => key_pairs::describe_key_pairs(self, params),
            "DescribeVolumes" => volumes::describe_volumes(self, params),
            "DescribeNetworkInterfaces" => network_interfaces::describe_network_interfaces(self, cx, params),
            _ => self.call_network(cx, request),
        }
    }

    /// The operations of VPCs and what is in them.
    fn call_network(&mut self, cx: &mut Context, request: &Request) -> Answer {
        let (network, params) = (&mut self.network, &request.params);
        match request.operation.as_str() {
            "CreateVpc" => vpcs::create_vpc(self, cx, params),
            "DeleteVpc" => vpcs::delete_vpc(self, params),
            "DescribeVpcs" => vpcs::describe_vpcs(network, params),
            "DescribeVpcAttribute" => vpcs::describe_vpc_attribute(network, params),
            "ModifyVpcAttribute" => vpcs::modify_vpc_attribute(network, params),

            "CreateSubnet" => subnets::create_subnet(self, cx, params),
            "DeleteSubnet" => subnets::delete_subnet(self, cx, params),
            "DescribeSubnets" => subnets::describe_subnets(network, cx, params),
            "ModifySubnetAttribute" => subnets::modify_subnet_attribute(network, params),

            "CreateInternetGateway" => internet_gateways::create_internet_gateway(network, cx, params),
            "AttachInternetGateway" => internet_gateways::attach_internet_gateway(network, params),
            "DetachInternetGateway" => internet_gateways::detach_internet_gateway(self, params),
            "DeleteInternetGateway" => internet_gateways::delete_internet_gateway(network, params),
            "DescribeInternetGateways" => internet_gateways::describe_internet_gateways(network, params),

            "CreateRouteTable" => route_tables::create_route_table(network, cx, params),
            "DeleteRouteTable" => route_tables::delete_route_table(network, params),
            "DescribeRouteTables" => route_tables::describe_route_tables(network, params),
            "CreateRoute" => route_tables::put_route(network, params, false),
            "ReplaceRoute" => route_tables::put_route(network, params, true),
            "DeleteRoute" => route_tables::delete_route(network, params),
            "AssociateRouteTable" => route_tables::associate_route_table(network, cx, params),
            "DisassociateRouteTable" => route_tables::disassociate_route_table(network, params),
            "ReplaceRouteTableAssociation" => route_tables::replace_route_table_association(network, cx, params),

            "DescribeNetworkAcls" => network_acls::describe_network_acls(network, params),
            other => Err(ApiError::unknown_operation(other)),
        }
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
            Signal::TagInstance { instance, tags: changes } => {
                let Some(tags) = self.tags_mut(instance) else { return };
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(tags.insert(key.clone(), value.clone())),
                        None => drop(tags.remove(key)),
                    }
                }
            }
            Signal::ProcessStarted { instance } => instances::process_started(self, cx, instance),
            Signal::ProcessEnded { instance } => instances::process_ended(self, cx, instance),
            _ => {}
        }
    }

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, cx: &mut Context) {
        self.instances.forget_terminated(cx.now);
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.instances.next_deadline()
    }

    pub fn instance_facts(&self, id: &str) -> Option<InstanceFacts> {
        self.instances.all.get(id).map(instances::Instance::facts)
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
            host_name: describe::private_dns_name(instance, &region),
            region,
            mac: instance.mac.clone(),
            reservation: instance.reservation.clone(),
            launch_index: instance.launch_index,
            security_groups: groups.map(|group| group.name.clone()).collect(),
            user_data: instance.user_data.clone(),
            enabled: instance.metadata_options.enabled,
            tokens_required: instance.metadata_options.tokens_required,
            serves_tags: instance.metadata_options.tags,
        })
    }
    /// The virtual CPUs of an instance's type.
    pub fn vcpus_of(&self, id: &str) -> Option<u16> {
        crate::catalog::instance_types::find(&self.instances.all.get(id)?.instance_type).map(|row| row.vcpus)
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
            "rtb" => self.network.route_tables.get_mut(id).map(|table| &mut table.tags),
            _ => None,
        }
    }

    /// Every resource and its tags.
    pub fn tagged(&self) -> Vec<(&str, &Tags)> {
        let mut all: Vec<(&str, &Tags)> = Vec::new();
        for instance in self.instances.all.values() {
            all.push((&instance.id, &instance.tags));
            all.push((&instance.volume.id, &instance.volume.tags));
        }
        for group in self.security_groups.values() {
            all.push((&group.id, &group.tags));
            all.extend(group.rules.iter().map(|rule| (&*rule.id, &rule.tags)));
        }
        all.extend(self.launch_templates.values().map(|template| (&*template.id, &template.tags)));
        all.extend(self.network.vpcs.values().map(|vpc| (&*vpc.id, &vpc.tags)));
        all.extend(self.network.subnets.values().map(|subnet| (&*subnet.id, &subnet.tags)));
        all.extend(self.network.internet_gateways.values().map(|gateway| (&*gateway.id, &gateway.tags)));
        all.extend(self.key_pairs.values().map(|key| (&*key.id, &key.tags)));
        all.extend(self.network.route_tables.values().map(|table| (&*table.id, &table.tags)));
        all
    }

    fn terminate_instances(&mut self, cx: &mut Context, params: &Params) -> Answer {
        for id in instances::requested(self, params, true)? {
            let instance = self.instances.get(id)?;
            if instance.termination_protection && instance.state != InstanceState::Terminated {
                let message = format!(
                    "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
                );
                return Err(ApiError::new("OperationNotPermitted", message));
            }
        }
        let reason = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown");
        self.change_instances(cx, params, |ec2, cx, id| instances::terminate(ec2, cx, id, reason))
    }

    /// Does one thing to every instance of the request; answers each one's state before and after.
    fn change_instances(
        &mut self,
        cx: &mut Context,
        params: &Params,
        change: impl Fn(&mut Self, &mut Context, &str),
    ) -> Answer {
        let ids = instances::requested(self, params, true)?;
        dry_run(params)?;
        let mut rows = Vec::new();
        for id in ids {
            let previous = self.instances.get(id)?.state;
            change(self, cx, id);
            let current = self.instances.get(id)?.state;
            rows.push(
                Value::map()
                    .with("instanceId", Value::from(id))
                    .with("currentState", describe::state_value(current))
                    .with("previousState", describe::state_value(previous)),
            );
        }
        Ok(Value::map().with("instancesSet", Value::List(rows)))
    }

    fn set_monitoring(&mut self, params: &Params, on: bool) -> Answer {
        let ids = instances::requested(self, params, true)?;
        dry_run(params)?;
        let state = if on { "enabled" } else { "disabled" };
        let mut rows = Vec::new();
        for id in ids {
            if let Some(instance) = self.instances.all.get_mut(id) {
                instance.monitoring = on;
            }
            let monitoring = Value::map().with("state", Value::from(state));
            rows.push(Value::map().with("instanceId", Value::from(id)).with("monitoring", monitoring));
        }
        Ok(Value::map().with("instancesSet", Value::List(rows)))
    }

    fn modify_instance_attribute(&mut self, params: &Params) -> Answer {
        let id = params.required("InstanceId")?;
        let vpc = self.instances.get(id)?.vpc.clone();
        let protection = match params.map("DisableApiTermination") {
            Some(value) => value.bool("Value")?,
            None if params.text("Attribute") == Some("disableApiTermination") => params.bool("Value")?,
            None => None,
        };
        let ids = params.texts("GroupId");
        let groups = if ids.is_empty() { None } else { Some(rules::groups_for_launch(self, &ids, &[], &vpc)?) };
        if protection.is_none() && groups.is_none() {
            let message = "The embedded region changes disableApiTermination and the security groups only.";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        dry_run(params)?;
        if let Some(instance) = self.instances.all.get_mut(id) {
            instance.termination_protection = protection.unwrap_or(instance.termination_protection);
            instance.groups = groups.unwrap_or_else(|| instance.groups.clone());
        }
        Ok(returned())
    }

    /// Checks the call; the shell of the processes adds the log (`output`).
    fn get_console_output(&self, cx: &Context, params: &Params) -> Answer {
        let instance = self.instances.get(params.required("InstanceId")?)?;
        Ok(Value::map().with("instanceId", Value::from(&*instance.id)).with("timestamp", Value::from(cx.now)))
    }
}

/// The answer of an operation that has nothing to say.
pub fn returned() -> Value {
    Value::map().with("return", Value::from(true))
}
