//! What a user sets on a group: the parameters that `CreateAutoScalingGroup` and `UpdateAutoScalingGroup` share.

use super::configuration::Configuration;
use super::member::Template;
use super::mix::Mix;
use super::parameters::{capacity, invalid, seconds};
use super::termination::TerminationPolicy;
use crate::region::context::Context;
use crate::region::facts::{Facts, SubnetFacts};
use crate::region::wire::{ApiError, Params};

/// AWS's default cooldown, in seconds.
const DEFAULT_COOLDOWN_SECONDS: i64 = 300;
/// The longest default instance warm-up, in seconds.
const WARMUP_SECONDS_MAX: i64 = 3_600;
/// A bound on every other duration, a year in seconds: far beyond use, and no overflow.
const DURATION_SECONDS_MAX: i64 = 31_536_000;
/// The shortest maximum instance lifetime: a day, in seconds.
const LIFETIME_SECONDS_MIN: i64 = 86_400;
/// AWS's quota of target groups per group.
const TARGET_GROUPS_MAX: usize = 50;

const ONE_TEMPLATE: &str = "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.";

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    pub min: i64,
    pub max: i64,
    /// With the version as the user gave it: a number, `$Latest` or `$Default`.
    pub template: Template,
    /// What is launched instead of a template; the template's names are empty then.
    pub configuration: Option<Configuration>,
    /// Several types, on demand and spot, from that template.
    pub mix: Option<Mix>,
    pub subnets: Vec<SubnetFacts>,
    pub target_groups: Vec<String>,
    /// As given: `EC2`, `ELB`, or a list with commas.
    pub health_check_type: String,
    pub grace_seconds: i64,
    /// `DefaultInstanceWarmup`.
    pub warmup_seconds: Option<i64>,
    pub cooldown_seconds: i64,
    pub protect_new: bool,
    pub termination: Vec<TerminationPolicy>,
    pub capacity_rebalance: bool,
    /// `InstanceMaintenancePolicy`.
    pub maintenance: Option<Maintenance>,
    /// `MaxInstanceLifetime` in seconds.
    pub lifetime_seconds: Option<i64>,
}

/// How many instances a group keeps while it replaces some: percentages of the desired capacity (aws-semantics §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Maintenance {
    /// Ready at least.
    pub min_healthy: i64,
    /// There at most; above 100, replacements are launched before what they replace goes.
    pub max_healthy: i64,
}

impl Maintenance {
    /// `None` where both bounds are -1, which takes the policy away.
    fn parse(params: &Params) -> Result<Option<Self>, ApiError> {
        let number = |name: &str| params.int(name)?.ok_or_else(|| ApiError::missing(name));
        match (number("MinHealthyPercentage")?, number("MaxHealthyPercentage")?) {
            (-1, -1) => Ok(None),
            (min, max) if !(0..=100).contains(&min) || !(100..=200).contains(&max) => Err(invalid(
                "MinHealthyPercentage must be from 0 to 100 and MaxHealthyPercentage from 100 to 200, or both -1.",
            )),
            (min, max) if max - min > 100 => Err(invalid(
                "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.",
            )),
            (min_healthy, max_healthy) => Ok(Some(Self { min_healthy, max_healthy })),
        }
    }

    /// Replacements that may be launched above the desired capacity: at least one where any may.
    pub fn surge(&self, desired: i64) -> i64 {
        if self.max_healthy <= 100 { 0 } else { (desired * (self.max_healthy - 100) / 100).max(1) }
    }

    /// How many instances shall stay ready.
    pub fn least(&self, desired: i64) -> i64 {
        (desired * self.min_healthy + 99) / 100
    }
}

impl Settings {
    /// The settings of a new group.
    pub fn create(cx: &Context, params: &Params, named: Option<Configuration>) -> Result<Self, ApiError> {
        for name in ["MinSize", "MaxSize"] {
            params.required(name)?;
        }
        if made_of(params) != 1 {
            return Err(invalid(ONE_TEMPLATE));
        }
        let empty = Self {
            min: 0,
            max: 0,
            template: Template::none(),
            configuration: None,
            mix: None,
            subnets: Vec::new(),
            target_groups: Vec::new(),
            health_check_type: "EC2".to_owned(),
            grace_seconds: 0,
            warmup_seconds: None,
            cooldown_seconds: DEFAULT_COOLDOWN_SECONDS,
            protect_new: false,
            termination: vec![TerminationPolicy::Default],
            capacity_rebalance: false,
            maintenance: None,
            lifetime_seconds: None,
        };
        let mut settings = empty.change(cx, params, named)?;
        if settings.subnets.is_empty() {
            return Err(invalid("At least one Availability Zone or VPC Subnet is required."));
        }
        settings.target_groups =
            target_groups(cx.facts, &params.texts("TargetGroupARNs"), &params.maps("TrafficSources"))?;
        Ok(settings)
    }

    /// These settings with the fields of `params` changed; `named` is the launch configuration that they name.
    ///
    /// # Errors
    /// `ValidationError` in AWS's words, and for what the embedded region does not do.
    pub fn change(&self, cx: &Context, params: &Params, named: Option<Configuration>) -> Result<Self, ApiError> {
        let mut new = self.clone();
        new.min = capacity(params, "MinSize")?.unwrap_or(self.min);
        new.max = capacity(params, "MaxSize")?.unwrap_or(self.max);
        check_bounds(new.min, new.max)?;
        if made_of(params) > 1 {
            return Err(invalid(ONE_TEMPLATE));
        }
        if let Some(configuration) = named {
            new.template = Template::none();
            new.configuration = Some(configuration);
            new.mix = None;
        }
        match (params.map("LaunchTemplate"), params.map("MixedInstancesPolicy")) {
            (Some(_), Some(_)) => return Err(invalid(ONE_TEMPLATE)),
            (Some(specification), None) => {
                new.configuration = None;
                new.template = template(cx.facts, &specification)?;
                new.mix = None;
                new.check_template(cx.facts)?;
            }
            (None, Some(policy)) => {
                let launch = policy.map("LaunchTemplate").unwrap_or_default();
                match launch.map("LaunchTemplateSpecification") {
                    Some(specification) => new.template = template(cx.facts, &specification)?,
                    None if self.template.id.is_empty() => {
                        return Err(invalid("MixedInstancesPolicy must contain a LaunchTemplateSpecification"));
                    }
                    None => {}
                }
                new.configuration = None;
                new.mix = Some(self.mix.clone().unwrap_or_default().change(&policy)?);
                new.check_template(cx.facts)?;
            }
            (None, None) => {}
        }
        let zones = params.texts("AvailabilityZones");
        match params.text("VPCZoneIdentifier").filter(|list| !list.is_empty() || zones.is_empty()) {
            Some(list) => new.subnets = subnets(cx.facts, list)?,
            None if !zones.is_empty() => new.subnets = default_subnets(cx.facts, &zones)?,
            None => {}
        }
        if zones.iter().any(|zone| new.subnets.iter().all(|subnet| subnet.zone != *zone)) {
            return Err(invalid(
                "The availability zones of the specified subnets and the Auto Scaling group do not match.",
            ));
        }
        if let Some(kind) = params.text("HealthCheckType") {
            if kind.split(',').any(|kind| !["EC2", "ELB"].contains(&kind.trim())) {
                return Err(invalid(format!(
                    "Invalid Health Check Type: {kind}. The embedded region has EC2 and ELB, and no other."
                )));
            }
            kind.clone_into(&mut new.health_check_type);
        }
        if let Some(grace) = seconds(params, "HealthCheckGracePeriod", 0..=DURATION_SECONDS_MAX)? {
            new.grace_seconds = grace;
        }
        if let Some(warmup) = seconds(params, "DefaultInstanceWarmup", -1..=WARMUP_SECONDS_MAX)? {
            new.warmup_seconds = (warmup >= 0).then_some(warmup);
        }
        if let Some(cooldown) = seconds(params, "DefaultCooldown", 0..=DURATION_SECONDS_MAX)? {
            new.cooldown_seconds = cooldown;
        }
        if let Some(protect) = params.bool("NewInstancesProtectedFromScaleIn")? {
            new.protect_new = protect;
        }
        if let Some(rebalance) = params.bool("CapacityRebalance")? {
            new.capacity_rebalance = rebalance;
        }
        if let Some(policy) = params.map("InstanceMaintenancePolicy") {
            new.maintenance = Maintenance::parse(&policy)?;
        }
        if let Some(lifetime) = seconds(params, "MaxInstanceLifetime", 0..=DURATION_SECONDS_MAX)? {
            if (1..LIFETIME_SECONDS_MIN).contains(&lifetime) {
                return Err(invalid(format!(
                    "MaxInstanceLifetime must be 0 or at least {LIFETIME_SECONDS_MIN} seconds, not {lifetime}"
                )));
            }
            new.lifetime_seconds = (lifetime > 0).then_some(lifetime);
        }
        let policies = params.texts("TerminationPolicies");
        if !policies.is_empty() {
            new.termination = termination_policies(&policies)?;
        }
        Ok(new)
    }

    /// A group's template says what to launch: an image, and a type unless the group's overrides do.
    fn check_template(&self, facts: &dyn Facts) -> Result<(), ApiError> {
        let Some(found) = facts.launch_template(&self.template.id, &self.template.version) else { return Ok(()) };
        let has_types = self.mix.as_ref().is_some_and(|mix| !mix.types.is_empty());
        let missing = match (found.image, found.instance_type) {
            (None, _) => "ImageId",
            (_, None) if !has_types => "InstanceType",
            _ => return Ok(()),
        };
        Err(invalid(format!(
            "You must use a valid fully-formed launch template. The request must contain the parameter {missing}"
        )))
    }

    pub fn checks_load_balancer(&self) -> bool {
        self.health_check_type.split(',').any(|kind| kind.trim() == "ELB")
    }
}

pub fn check_bounds(min: i64, max: i64) -> Result<(), ApiError> {
    if min > max {
        return Err(invalid(format!("Max bound, {max}, must be greater than or equal to min bound, {min}")));
    }
    Ok(())
}

/// A launch template that exists, by id or name and version.
pub fn template(facts: &dyn Facts, specification: &Params) -> Result<Template, ApiError> {
    if specification.text("LaunchTemplateId").is_some() && specification.text("LaunchTemplateName").is_some() {
        return Err(invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName"));
    }
    let id_or_name = specification.text("LaunchTemplateId").or_else(|| specification.text("LaunchTemplateName"));
    let id_or_name = id_or_name
        .ok_or_else(|| invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName"))?;
    let version = specification.text("Version").unwrap_or("$Default");
    let found = facts.launch_template(id_or_name, version).ok_or_else(|| {
        invalid(format!(
            "You must use a valid fully-formed launch template. The specified launch template {id_or_name}, with version {version}, does not exist."
        ))
    })?;
    Ok(Template { id: found.id, name: found.name, version: version.to_owned() })
}

/// How many ways a request names to make instances.
fn made_of(params: &Params) -> usize {
    let ways = ["LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName"];
    ways.iter().filter(|name| params.get(name).is_some()).count()
}

/// The default VPC's subnets of those zones.
fn default_subnets(facts: &dyn Facts, zones: &[&str]) -> Result<Vec<SubnetFacts>, ApiError> {
    let find = |zone: &&str| {
        let message = format!("No default subnet for availability zone: '{zone}'.");
        facts.default_subnet(zone).ok_or_else(|| invalid(message))
    };
    zones.iter().map(find).collect()
}

fn subnets(facts: &dyn Facts, list: &str) -> Result<Vec<SubnetFacts>, ApiError> {
    let ids = list.split(',').map(str::trim).filter(|id| !id.is_empty());
    let found: Vec<SubnetFacts> = ids
        .map(|id| facts.subnet(id).ok_or_else(|| invalid(format!("The subnet ID '{id}' does not exist"))))
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(invalid("At least one Availability Zone or VPC Subnet is required."));
    }
    if found.iter().any(|subnet| subnet.vpc != found[0].vpc) {
        return Err(invalid("The subnets of an Auto Scaling group must be in one VPC."));
    }
    Ok(found)
}

/// Target groups that exist, from ARNs and traffic sources, each once.
pub fn target_groups(facts: &dyn Facts, arns: &[&str], sources: &[Params]) -> Result<Vec<String>, ApiError> {
    let mut found: Vec<String> = Vec::new();
    let sources = sources.iter().map(|source| source.required("Identifier")).collect::<Result<Vec<_>, _>>()?;
    for arn in arns.iter().copied().chain(sources) {
        // A group registers instances (user guide, "Attach an Application Load Balancer target group").
        if facts.target_group(arn).is_none_or(|found| found.by_address) {
            return Err(invalid(format!(
                "Provided Target Groups may not be valid. Please ensure they exist and try again. ({arn})"
            )));
        }
        if !found.iter().any(|known| known == arn) {
            found.push(arn.to_owned());
        }
    }
    if found.len() > TARGET_GROUPS_MAX {
        return Err(ApiError::new("LimitExceeded", format!("A group may have {TARGET_GROUPS_MAX} target groups.")));
    }
    Ok(found)
}

fn termination_policies(names: &[&str]) -> Result<Vec<TerminationPolicy>, ApiError> {
    let parse = |name: &&str| {
        TerminationPolicy::parse(name).ok_or_else(|| invalid(format!("Termination policy {name} is not valid.")))
    };
    let policies: Vec<TerminationPolicy> = names.iter().map(parse).collect::<Result<_, _>>()?;
    let is_default = |policy: &TerminationPolicy| *policy == TerminationPolicy::Default;
    if policies.iter().rev().skip(1).any(is_default) {
        return Err(invalid("The Default termination policy must be the last in the list."));
    }
    Ok(policies)
}
