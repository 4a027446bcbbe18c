//! Instance types: how many virtual CPUs and how much memory each has, as AWS's instance type pages list them.
//!
//! The region does not confine an instance: a local `t2.large` runs on all cores of this machine. Its two virtual CPUs
//! only set the scale of `CPUUtilization`: 100 % is two cores' time.

use super::instances::requested;
use super::listing::{self, Filters};
use super::model::Ec2;
use super::tags::Tags;
use super::zones;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// One type.
#[derive(Clone, Copy, Debug)]
pub struct InstanceType {
    pub name: &'static str,
    pub vcpus: u16,
    pub memory_mib: u32,
}

const fn row(name: &'static str, vcpus: u16, memory_mib: u32) -> InstanceType {
    InstanceType { name, vcpus, memory_mib }
}

/// The types that the region offers, in every zone.
pub const TYPES: [InstanceType; 78] = [
    row("t2.nano", 1, 512),
    row("t2.micro", 1, 1024),
    row("t2.small", 1, 2048),
    row("t2.medium", 2, 4096),
    row("t2.large", 2, 8192),
    row("t2.xlarge", 4, 16384),
    row("t2.2xlarge", 8, 32768),
    row("t3.nano", 2, 512),
    row("t3.micro", 2, 1024),
    row("t3.small", 2, 2048),
    row("t3.medium", 2, 4096),
    row("t3.large", 2, 8192),
    row("t3.xlarge", 4, 16384),
    row("t3.2xlarge", 8, 32768),
    row("t3a.nano", 2, 512),
    row("t3a.micro", 2, 1024),
    row("t3a.small", 2, 2048),
    row("t3a.medium", 2, 4096),
    row("t3a.large", 2, 8192),
    row("t3a.xlarge", 4, 16384),
    row("t3a.2xlarge", 8, 32768),
    row("t4g.nano", 2, 512),
    row("t4g.micro", 2, 1024),
    row("t4g.small", 2, 2048),
    row("t4g.medium", 2, 4096),
    row("t4g.large", 2, 8192),
    row("t4g.xlarge", 4, 16384),
    row("t4g.2xlarge", 8, 32768),
    row("m4.large", 2, 8192),
    row("m4.xlarge", 4, 16384),
    row("m4.2xlarge", 8, 32768),
    row("m4.4xlarge", 16, 65536),
    row("m4.10xlarge", 40, 163_840),
    row("m4.16xlarge", 64, 262_144),
    row("m5.large", 2, 8192),
    row("m5.xlarge", 4, 16384),
    row("m5.2xlarge", 8, 32768),
    row("m5.4xlarge", 16, 65536),
    row("m5.8xlarge", 32, 131_072),
    row("m5.12xlarge", 48, 196_608),
    row("m6i.large", 2, 8192),
    row("m6i.xlarge", 4, 16384),
    row("m6i.2xlarge", 8, 32768),
    row("m6i.4xlarge", 16, 65536),
    row("m6i.8xlarge", 32, 131_072),
    row("m6g.medium", 1, 4096),
    row("m6g.large", 2, 8192),
    row("m6g.xlarge", 4, 16384),
    row("m6g.2xlarge", 8, 32768),
    row("m7i.large", 2, 8192),
    row("m7i.xlarge", 4, 16384),
    row("m7i.2xlarge", 8, 32768),
    row("m7g.medium", 1, 4096),
    row("m7g.large", 2, 8192),
    row("m7g.xlarge", 4, 16384),
    row("c4.large", 2, 3840),
    row("c4.xlarge", 4, 7680),
    row("c5.large", 2, 4096),
    row("c5.xlarge", 4, 8192),
    row("c5.2xlarge", 8, 16384),
    row("c5.4xlarge", 16, 32768),
    row("c5.9xlarge", 36, 73728),
    row("c6i.large", 2, 4096),
    row("c6i.xlarge", 4, 8192),
    row("c6i.2xlarge", 8, 16384),
    row("c6i.4xlarge", 16, 32768),
    row("c6g.medium", 1, 2048),
    row("c6g.large", 2, 4096),
    row("c6g.xlarge", 4, 8192),
    row("c7g.large", 2, 4096),
    row("c7g.xlarge", 4, 8192),
    row("c7i.large", 2, 4096),
    row("c7i.xlarge", 4, 8192),
    row("r5.large", 2, 16384),
    row("r5.xlarge", 4, 32768),
    row("r6i.large", 2, 16384),
    row("r6i.xlarge", 4, 32768),
    row("r6g.large", 2, 16384),
];

/// The type of that name.
pub fn find(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|row| row.name == name)
}

impl InstanceType {
    /// `t2` of `t2.large`.
    fn family(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// Graviton families carry a `g` after their generation.
    pub fn architecture(&self) -> &'static str {
        if self.family().ends_with('g') { "arm64" } else { "x86_64" }
    }

    fn burstable(&self) -> bool {
        self.name.starts_with('t')
    }

    /// The credit specification that AWS gives where none is asked for.
    fn default_credits(&self) -> &'static str {
        if self.family() == "t2" { "standard" } else { "unlimited" }
    }

    /// How a launch spends CPU credits; nothing for types that have none.
    pub fn credits(&self, data: &Params) -> Option<String> {
        let asked = data.map("CreditSpecification").unwrap_or_default();
        let credits = asked.text("CpuCredits").unwrap_or(self.default_credits());
        self.burstable().then(|| credits.to_owned())
    }

    fn current_generation(&self) -> bool {
        !matches!(self.family(), "t2" | "m4" | "c4")
    }

    fn value(&self) -> Value {
        let threads: u16 = if self.vcpus == 1 || self.architecture() == "arm64" { 1 } else { 2 };
        let xen = matches!(self.family(), "t2" | "m4" | "c4");
        Value::map()
            .with("instanceType", Value::from(self.name))
            .with("currentGeneration", Value::from(self.current_generation()))
            .with("freeTierEligible", Value::from(matches!(self.name, "t2.micro" | "t3.micro")))
            .with("supportedUsageClasses", Value::list(["on-demand".into(), "spot".into()]))
            .with("supportedRootDeviceTypes", Value::list(["ebs".into()]))
            .with("supportedVirtualizationTypes", Value::list(["hvm".into()]))
            .with("bareMetal", Value::from(false))
            .with("hypervisor", Value::from(if xen { "xen" } else { "nitro" }))
            .with(
                "processorInfo",
                Value::map().with("supportedArchitectures", Value::list([self.architecture().into()])),
            )
            .with(
                "vCpuInfo",
                Value::map()
                    .with("defaultVCpus", Value::from(self.vcpus))
                    .with("defaultCores", Value::from(self.vcpus / threads))
                    .with("defaultThreadsPerCore", Value::from(threads)),
            )
            .with("memoryInfo", Value::map().with("sizeInMiB", Value::from(self.memory_mib)))
            .with("instanceStorageSupported", Value::from(false))
            .with("burstablePerformanceSupported", Value::from(self.burstable()))
    }
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
    for row in &TYPES {
        let keep = filters.keep(&Tags::new(), |name| match name {
            "instance-type" => Some(vec![row.name.to_owned()]),
            "current-generation" => Some(vec![row.current_generation().to_string()]),
            "burstable-performance-supported" => Some(vec![row.burstable().to_string()]),
            "processor-info.supported-architecture" => Some(vec![row.architecture().to_owned()]),
            "vcpu-info.default-vcpus" => Some(vec![row.vcpus.to_string()]),
            "memory-info.size-in-mib" => Some(vec![row.memory_mib.to_string()]),
            "bare-metal" => Some(vec!["false".to_owned()]),
            _ => None,
        })?;
        if keep && (names.is_empty() || names.contains(&row.name)) {
            found.push(row);
        }
    }
    found.sort_by_key(|row| row.name);
    let (page, token) = listing::page(params, found, |row| row.name.to_owned())?;
    Ok(listing::answer("instanceTypeSet", page.into_iter().map(InstanceType::value).collect(), token))
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
    for row in &TYPES {
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

/// DescribeInstanceCreditSpecifications, for burstable instances; no instance of the region is ever throttled.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laboratorys_types_are_as_aws_lists_them() {
        let size = |name| find(name).map(|row| (row.vcpus, row.memory_mib));
        assert_eq!((size("t2.large"), size("m4.large"), size("x9.huge")), (Some((2, 8192)), Some((2, 8192)), None));
        assert_eq!(find("m6g.large").map(InstanceType::architecture), Some("arm64"));
    }
}
