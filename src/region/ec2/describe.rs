//! How instances are shown: DescribeInstances, DescribeInstanceStatus, DescribeInstanceAttribute.

use super::instances::{Instance, MetadataOptions, private_dns_name, requested};
use super::listing::{self, Filters};
use super::model::{Ec2, Operation};
use super::network_interfaces::instance_interface;
use super::security_groups::groups_value;
use super::{tags, volumes};
use crate::catalog::instance_types::{InstanceType, find};
use crate::region::context::{ACCOUNT, Context};
use crate::region::signal::InstanceState;
use crate::region::wire::xml::time_text;
use crate::region::wire::{Answer, ApiError, Params, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "DescribeInstances",
        "+filters +pages InstanceId[] IncludeManagedResources=false",
        |ec2, cx, params| describe_instances(ec2, cx, params),
    )
    .differs("Terminated instances are shown for ten minutes."),
    Operation::new(
        "DescribeInstanceStatus",
        "+filters +pages InstanceId[] IncludeAllInstances IncludeManagedResources=false",
        |ec2, cx, params| describe_instance_status(ec2, cx, params),
    )
    .differs("The system status is always ok; the instance status fails when the process tree is gone."),
    Operation::new("DescribeInstanceAttribute", "InstanceId Attribute", |ec2, _, params| {
        describe_instance_attribute(ec2, params)
    }),
];

/// The state's code and name.
pub fn state_value(state: InstanceState) -> Value {
    let code: i64 = match state {
        InstanceState::Pending => 0,
        InstanceState::Running => 16,
        InstanceState::ShuttingDown => 32,
        InstanceState::Terminated => 48,
        InstanceState::Stopping => 64,
        InstanceState::Stopped => 80,
    };
    Value::map().with("code", Value::from(code)).with("name", Value::from(state_name(state)))
}

fn state_name(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending => "pending",
        InstanceState::Running => "running",
        InstanceState::ShuttingDown => "shutting-down",
        InstanceState::Terminated => "terminated",
        InstanceState::Stopping => "stopping",
        InstanceState::Stopped => "stopped",
    }
}

pub fn describe_instances(ec2: &Ec2, cx: &Context, params: &Params) -> Answer {
    let found = matching(ec2, cx, params)?;
    let (page, token) = listing::page(params, found, |instance| instance.id.clone())?;
    let mut reservations: Vec<(&str, Vec<Value>)> = Vec::new();
    for instance in page {
        let value = instance_value(ec2, cx, instance);
        match reservations.iter_mut().find(|(id, _)| *id == instance.reservation) {
            Some((_, instances)) => instances.push(value),
            None => reservations.push((&instance.reservation, vec![value])),
        }
    }
    let row = |(id, instances): (&str, Vec<Value>)| {
        Value::map()
            .with("reservationId", Value::from(id))
            .with("ownerId", Value::from(ACCOUNT))
            .with("groupSet", Value::list([]))
            .with("instancesSet", Value::List(instances))
    };
    Ok(listing::answer("reservationSet", reservations.into_iter().map(row).collect(), token))
}

/// The instances that a request names and its filters let through.
fn matching<'a>(ec2: &'a Ec2, cx: &Context, params: &Params) -> Result<Vec<&'a Instance>, ApiError> {
    let filters = Filters::of(params)?;
    let ids = requested(ec2, params, false)?;
    let mut found = Vec::new();
    for instance in ec2.instances.all.values() {
        let named = ids.is_empty() || ids.contains(&instance.id.as_str());
        if named && filters.keep(&instance.tags, |name| field(ec2, cx, instance, name))? {
            found.push(instance);
        }
    }
    Ok(found)
}

fn field(ec2: &Ec2, cx: &Context, instance: &Instance, name: &str) -> Option<Vec<String>> {
    let value = match name {
        "instance-id" => instance.id.clone(),
        "instance-state-name" => state_name(instance.state).to_owned(),
        "instance-state-code" => match state_value(instance.state) {
            Value::Map(fields) => Params(fields).int("code").ok()??.to_string(),
            _ => return None,
        },
        "instance-type" => instance.instance_type.clone(),
        "instance-lifecycle" => return Some(instance.spot_request.iter().map(|_| "spot".to_owned()).collect()),
        "image-id" => instance.image.clone(),
        "vpc-id" | "network-interface.vpc-id" => instance.vpc.clone(),
        "subnet-id" | "network-interface.subnet-id" => instance.subnet.clone(),
        "availability-zone" => instance.zone.clone(),
        "reservation-id" => instance.reservation.clone(),
        "owner-id" => ACCOUNT.to_owned(),
        "key-name" => return Some(instance.key_name.clone().into_iter().collect()),
        "ip-address" => return Some(instance.public.then(|| instance.address.to_string()).into_iter().collect()),
        "private-ip-address" | "network-interface.addresses.private-ip-address" => instance.private_address.to_string(),
        "private-dns-name" => private_dns_name(instance, cx.region),
        "launch-time" => time_text(instance.launched),
        "monitoring-state" => if instance.monitoring { "enabled" } else { "disabled" }.to_owned(),
        "architecture" => architecture(instance).to_owned(),
        "root-device-type" => "ebs".to_owned(),
        "virtualization-type" => "hvm".to_owned(),
        "tenancy" => "default".to_owned(),
        "instance.group-id" | "group-id" | "network-interface.group-id" => return Some(instance.groups.clone()),
        "instance.group-name" | "group-name" => {
            let groups = instance.groups.iter().filter_map(|id| ec2.security_groups.get(id));
            return Some(groups.map(|group| group.name.clone()).collect());
        }
        _ => return None,
    };
    Some(vec![value])
}

pub fn architecture(instance: &Instance) -> &'static str {
    find(&instance.instance_type).map_or("x86_64", InstanceType::architecture)
}

/// The instance as DescribeInstances and RunInstances show it. Its public address, where it has one, is the
/// loopback address at which every program of this machine reaches it.
pub fn instance_value(ec2: &Ec2, cx: &Context, instance: &Instance) -> Value {
    let on_off = |on: bool| Value::from(if on { "enabled" } else { "disabled" });
    let live = instance.occupies();
    let (address, private) = (instance.address.to_string(), instance.private_address.to_string());
    let groups = groups_value(ec2, &instance.groups);
    let public = live && instance.public;
    let metadata = metadata_value(&instance.metadata_options);
    let reason = instance.reason.as_ref().map(|(code, message)| {
        Value::map().with("code", Value::from(&**code)).with("message", Value::from(&**message))
    });
    let transition = instance
        .reason
        .as_ref()
        .map_or_else(String::new, |(_, message)| message.rsplit(": ").next().unwrap_or_default().to_owned());
    let base = Value::map()
        .with("instanceId", Value::from(&*instance.id))
        .with("imageId", Value::from(&*instance.image))
        .with("instanceState", state_value(instance.state))
        .with("privateDnsName", Value::from(if live { private_dns_name(instance, cx.region) } else { String::new() }))
        .with("dnsName", Value::from(if public { address.clone() } else { String::new() }))
        .with("reason", Value::from(transition))
        .with("stateReason", reason)
        .with("keyName", instance.key_name.as_deref().map(Value::from))
        .with("amiLaunchIndex", Value::from(i64::try_from(instance.launch_index).unwrap_or(0)))
        .with("productCodes", Value::list([]))
        .with("instanceType", Value::from(&*instance.instance_type))
        .with("launchTime", Value::from(instance.launched))
        .with(
            "placement",
            Value::map()
                .with("availabilityZone", Value::from(&*instance.zone))
                .with("groupName", Value::from(""))
                .with("tenancy", Value::from("default")),
        )
        .with("monitoring", Value::map().with("state", on_off(instance.monitoring)));
    let network = base
        .with("subnetId", live.then(|| Value::from(&*instance.subnet)))
        .with("vpcId", live.then(|| Value::from(&*instance.vpc)))
        .with("privateIpAddress", live.then(|| Value::from(&*private)))
        .with("ipAddress", public.then(|| Value::from(&*address)))
        .with("sourceDestCheck", Value::from(instance.source_dest_check))
        .with("groupSet", if live { groups } else { Value::list([]) })
        .with("networkInterfaceSet", Value::list(live.then(|| instance_interface(ec2, cx, instance))));
    network
        .with("architecture", Value::from(architecture(instance)))
        .with("rootDeviceType", Value::from("ebs"))
        .with("rootDeviceName", Value::from(volumes::root_device(instance)))
        .with("blockDeviceMapping", Value::list(live.then(|| volumes::block_device(instance))))
        .with("virtualizationType", Value::from("hvm"))
        .with("hypervisor", Value::from("xen"))
        .with("iamInstanceProfile", instance.profile.as_deref().map(profile_value))
        .with("ebsOptimized", Value::from(instance.ebs_optimized))
        .with("enaSupport", Value::from(true))
        .with("instanceLifecycle", instance.spot_request.as_ref().map(|_| Value::from("spot")))
        .with("spotInstanceRequestId", instance.spot_request.as_deref().map(Value::from))
        .with("metadataOptions", metadata)
        .with("platformDetails", Value::from("Linux/UNIX"))
        .with("tagSet", tags::value(&instance.tags))
}

pub fn metadata_value(options: &MetadataOptions) -> Value {
    let on_off = |on: bool| Value::from(if on { "enabled" } else { "disabled" });
    Value::map()
        .with("state", Value::from("applied"))
        .with("httpTokens", Value::from(if options.tokens_required { "required" } else { "optional" }))
        .with("httpPutResponseHopLimit", Value::from(options.hop_limit))
        .with("httpEndpoint", on_off(options.enabled))
        .with("httpProtocolIpv6", Value::from("disabled"))
        .with("instanceMetadataTags", on_off(options.tags))
}

fn profile_value(profile: &str) -> Value {
    let arn = if profile.starts_with("arn:") {
        profile.to_owned()
    } else {
        format!("arn:aws:iam::{ACCOUNT}:instance-profile/{profile}")
    };
    Value::map().with("arn", Value::from(arn))
}

/// Running instances, or with `IncludeAllInstances` all.
pub fn describe_instance_status(ec2: &Ec2, cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let ids = requested(ec2, params, false)?;
    let all = params.bool("IncludeAllInstances")?.unwrap_or(false);
    let mut found = Vec::new();
    for instance in ec2.instances.all.values() {
        let status = status_of(instance);
        let keep = filters.keep(&instance.tags, |name| match name {
            "instance-status.status" | "instance-status.reachability" => Some(vec![status.to_owned()]),
            "system-status.status" => Some(vec!["ok".to_owned()]),
            other => field(ec2, cx, instance, other),
        })?;
        let named = ids.is_empty() || ids.contains(&instance.id.as_str());
        if keep && named && (all || instance.state == InstanceState::Running) {
            found.push(instance);
        }
    }
    let (page, token) = listing::page(params, found, |instance| instance.id.clone())?;
    let row = |instance: &Instance| {
        let summary = |status: &str, passed: &str, since: Option<jiff::Timestamp>| {
            let detail = Value::map()
                .with("name", Value::from("reachability"))
                .with("status", Value::from(passed))
                .with("impairedSince", since.map(Value::from));
            Value::map().with("status", Value::from(status)).with("details", Value::list([detail]))
        };
        let (own, system) = match status_of(instance) {
            "ok" => (summary("ok", "passed", None), summary("ok", "passed", None)),
            "impaired" => (summary("impaired", "failed", instance.impaired_since), summary("ok", "passed", None)),
            other => (summary(other, "insufficient-data", None), summary(other, "insufficient-data", None)),
        };
        Value::map()
            .with("instanceId", Value::from(&*instance.id))
            .with("availabilityZone", Value::from(&*instance.zone))
            .with("instanceState", state_value(instance.state))
            .with("instanceStatus", own)
            .with("systemStatus", system)
    };
    Ok(listing::answer("instanceStatusSet", page.into_iter().map(row).collect(), token))
}

fn status_of(instance: &Instance) -> &'static str {
    match instance.state {
        InstanceState::Running if instance.impaired_since.is_some() => "impaired",
        InstanceState::Running => "ok",
        InstanceState::Pending => "initializing",
        _ => "not-applicable",
    }
}

pub fn describe_instance_attribute(ec2: &Ec2, params: &Params) -> Answer {
    let instance = ec2.instances.get(params.required("InstanceId")?)?;
    let attribute = params.required("Attribute")?;
    let value = |value: Value| Value::map().with("value", value);
    let shown = match attribute {
        "userData" if instance.user_data.is_empty() => Value::map(),
        "userData" => value(Value::from(BASE64.encode(&instance.user_data))),
        "disableApiTermination" => value(Value::from(instance.termination_protection)),
        "disableApiStop" => value(Value::from(instance.stop_protection)),
        "instanceType" => value(Value::from(&*instance.instance_type)),
        "ebsOptimized" => value(Value::from(instance.ebs_optimized)),
        "enaSupport" => value(Value::from(true)),
        "sourceDestCheck" => value(Value::from(instance.source_dest_check)),
        "instanceInitiatedShutdownBehavior" => value(Value::from(&*instance.shutdown_behavior)),
        "blockDeviceMapping" => Value::list([volumes::block_device(instance)]),
        "rootDeviceName" => value(Value::from(volumes::root_device(instance))),
        "groupSet" => groups_value(ec2, &instance.groups),
        "kernel" | "ramdisk" | "sriovNetSupport" => Value::map(),
        other => return Err(ApiError::invalid("attribute", other)),
    };
    Ok(Value::map().with("instanceId", Value::from(&*instance.id)).with(attribute, shown))
}
