//! The operations on instance types; the types themselves are data of the catalog.
//!
//! The region does not confine an instance: a local `t2.large` runs on all cores of this machine. Its two virtual CPUs
//! only set the scale of `CPUUtilization`: 100 % is two cores' time.

use super::instances::requested;
use super::listing::{self, Filters};
use super::model::{Ec2, Operation};
use super::tags::Tags;
use crate::catalog::instance_types::{InstanceType, TYPES, find};
use crate::region::context::Context;
use crate::region::ec2::network::zones;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "DescribeInstanceTypes",
        "+filters +pages InstanceType[] IncludeUnsupportedInRegion=false",
        |_, _, params| describe_instance_types(params),
    )
    .differs("Every type is offered in every zone."),
    Operation::new("DescribeInstanceTypeOfferings", "+filters +pages LocationType", |_, cx, params| {
        describe_instance_type_offerings(cx, params)
    }),
    Operation::new("DescribeInstanceCreditSpecifications", "+filters +pages InstanceId[]", |ec2, _, params| {
        describe_instance_credit_specifications(ec2, params)
    })
    .differs(
        "Instances are throttled for want of credits where something holds them to their processors: a modelled one, or \
         `local start --core-share`. Credits start again with every start.",
    ),
];

/// How a launch spends CPU credits; nothing for types that have none.
pub fn credits(row: &InstanceType, data: &Params) -> Option<String> {
    let asked = data.map("CreditSpecification").unwrap_or_default();
    let credits = asked.text("CpuCredits").unwrap_or(row.default_credits());
    row.burstable().then(|| credits.to_owned())
}

fn value(row: &InstanceType) -> Value {
    let threads = row.threads_per_core;
    Value::map()
        .with("instanceType", Value::from(row.name))
        .with("currentGeneration", Value::from(row.current_generation()))
        .with("freeTierEligible", Value::from(matches!(row.name, "t2.micro" | "t3.micro")))
        .with("supportedUsageClasses", Value::list(["on-demand".into(), "spot".into()]))
        .with("supportedRootDeviceTypes", Value::list(["ebs".into()]))
        .with("supportedVirtualizationTypes", Value::list(["hvm".into()]))
        .with("bareMetal", Value::from(row.hypervisor().is_none()))
        .with("hypervisor", row.hypervisor().map(Value::from))
        .with("processorInfo", Value::map().with("supportedArchitectures", Value::list([row.architecture().into()])))
        .with(
            "vCpuInfo",
            Value::map()
                .with("defaultVCpus", Value::from(row.vcpus))
                .with("defaultCores", Value::from(row.vcpus / threads))
                .with("defaultThreadsPerCore", Value::from(threads)),
        )
        .with("memoryInfo", Value::map().with("sizeInMiB", Value::from(row.memory_mib)))
        .with("instanceStorageSupported", Value::from(false))
        .with("burstablePerformanceSupported", Value::from(row.burstable()))
}

fn invalid_types(names: &[&str]) -> ApiError {
    let message = format!("The following supplied instance types do not exist: [{}]", names.join(", "));
    ApiError::new("InvalidInstanceType", message)
}

pub fn describe_instance_types(params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let names = params.texts("InstanceType");
    let unknown: Vec<&str> = names.iter().copied().filter(|name| find(name).is_none()).collect();
    if !unknown.is_empty() {
        return Err(invalid_types(&unknown));
    }
    let mut found = Vec::new();
    for row in TYPES.iter() {
        let keep = filters.keep(&Tags::new(), |name| match name {
            "instance-type" => Some(vec![row.name.to_owned()]),
            "current-generation" => Some(vec![row.current_generation().to_string()]),
            "burstable-performance-supported" => Some(vec![row.burstable().to_string()]),
            "processor-info.supported-architecture" => Some(vec![row.architecture().to_owned()]),
            "vcpu-info.default-vcpus" => Some(vec![row.vcpus.to_string()]),
            "memory-info.size-in-mib" => Some(vec![row.memory_mib.to_string()]),
            "bare-metal" => Some(vec![row.hypervisor().is_none().to_string()]),
            "hypervisor" => Some(row.hypervisor().map(str::to_owned).into_iter().collect()),
            _ => None,
        })?;
        if keep && (names.is_empty() || names.contains(&row.name)) {
            found.push(row);
        }
    }
    found.sort_by_key(|row| row.name);
    let (page, token) = listing::page(params, found, |row| row.name.to_owned())?;
    Ok(listing::answer("instanceTypeSet", page.into_iter().map(value).collect(), token))
}

/// Every type is offered everywhere.
pub fn describe_instance_type_offerings(cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let kind = params.text("LocationType").unwrap_or("region");
    let locations: Vec<String> = match kind {
        "region" => vec![cx.region.to_owned()],
        "availability-zone" => zones::names(cx.region).collect(),
        other => return Err(ApiError::invalid("locationType", other)),
    };
    let mut found = Vec::new();
    for row in TYPES.iter() {
        for location in &locations {
            let keep = filters.keep(&Tags::new(), |name| match name {
                "instance-type" => Some(vec![row.name.to_owned()]),
                "location" => Some(vec![location.clone()]),
                _ => None,
            })?;
            if keep {
                found.push((row.name, location));
            }
        }
    }
    found.sort();
    let (page, token) = listing::page(params, found, |(name, location)| format!("{name}/{location}"))?;
    let value = |(name, location): (&str, &String)| {
        Value::map()
            .with("instanceType", Value::from(name))
            .with("locationType", Value::from(kind))
            .with("location", Value::from(&**location))
    };
    Ok(listing::answer("instanceTypeOfferingSet", page.into_iter().map(value).collect(), token))
}

/// DescribeInstanceCreditSpecifications, for burstable instances.
pub fn describe_instance_credit_specifications(ec2: &Ec2, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let ids = requested(ec2, params, false)?;
    let mut found = Vec::new();
    for instance in ec2.instances.all.values().filter(|instance| instance.occupies()) {
        let Some(credits) = &instance.cpu_credits else { continue };
        let keep = filters.keep(&Tags::new(), |name| (name == "instance-id").then(|| vec![instance.id.clone()]))?;
        if keep && (ids.is_empty() || ids.contains(&instance.id.as_str())) {
            found.push((&instance.id, credits));
        }
    }
    let (page, token) = listing::page(params, found, |(id, _)| (*id).clone())?;
    let row = |(id, credits): (&String, &String)| {
        Value::map().with("instanceId", Value::from(&**id)).with("cpuCredits", Value::from(&**credits))
    };
    Ok(listing::answer("instanceCreditSpecificationSet", page.into_iter().map(row).collect(), token))
}
