//! RunInstances, and what Auto Scaling launches: parameters over a template's data, checked, become instances.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::instances::{Instance, MetadataOptions, in_subnet};
use super::launch_data::{launch_parameters, user_data};
use super::launch_templates::{overlaid, resolve};
use super::model::{Ec2, Operation};
use super::root_volume::RootVolume;
use super::rules::groups_for_launch;
use super::tags::{self, Tags};
use super::{describe, images, instance_types};
use crate::catalog;
use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::network::subnets::Subnet;
use crate::region::signal::{InstanceState, Launch, Signal};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operation that launches, as it is declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "RunInstances",
        concat!("MinCount MaxCount ClientToken SubnetId PrivateIpAddress LaunchTemplate{LaunchTemplateId LaunchTemplateName Version} ", launch_parameters!()),
        run_instances,
    )
    .differs("An instance is a tree of processes of this machine, whatever its image; at most 250 at once. Spot instances are interrupted by `cloudscale chaos interrupt` only and MaxPrice has no effect: there is no market. Volumes are shown, not made. In a created subnet the private address is shown only: the instance is reached at its public address or through a load balancer, and its metadata say where it can bind."),
];

/// Instances that may run at once: each is a tree of processes of this machine.
pub const INSTANCES_MAX: usize = 250;

/// The market of spot instances. The embedded region has no prices: nobody is outbid.
const SPOT: &str = "spot";

/// A launch whose parameters have been checked.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Plan {
    image: String,
    instance_type: String,
    spot: bool,
    key_name: Option<String>,
    user_data: Arc<[u8]>,
    subnet: String,
    /// The private address that the caller asked for.
    private_address: Option<Ipv4Addr>,
    groups: Vec<String>,
    profile: Option<String>,
    monitoring: bool,
    metadata_options: MetadataOptions,
    volume: RootVolume,
    public: bool,
    cpu_credits: Option<String>,
    termination_protection: bool,
    stop_protection: bool,
    shutdown_behavior: String,
    ebs_optimized: bool,
    interface_description: String,
    tags: Tags,
    interface_tags: Tags,
    spot_request_tags: Tags,
}

/// `RunInstances`.
pub fn run_instances(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let (min, max) = counts(params)?;
    let token = params.text("ClientToken").filter(|token| !token.is_empty());
    if let Some(token) = token
        && let Some((reservation, before)) = ec2.instances.client_tokens.get(token)
    {
        return if before == params {
            Ok(reservation_of(ec2, cx, &reservation.clone()))
        } else {
            let message = "The specified client token is already used with different request parameters.";
            Err(ApiError::new("IdempotentParameterMismatch", message))
        };
    }
    let data = match params.map("LaunchTemplate") {
        Some(specification) => {
            let (template, version) = resolve(&ec2.launch_templates, &specification)?;
            let mut data = overlaid(&version.data, params);
            // Tags of the template and of the call both count; a key in both is the call's.
            let both = [&version.data, params].map(|source| source.list("TagSpecification")).concat();
            data.0.retain(|(name, _)| name != "TagSpecification");
            data.0.push(("TagSpecification".to_owned(), Value::List(both)));
            data.0.push(("TemplateId".to_owned(), Value::from(&*template.id)));
            data.0.push(("TemplateVersion".to_owned(), Value::from(version.number)));
            data
        }
        None => params.clone(),
    };
    let plan = plan(ec2, &data)?;
    if plan.private_address.is_some() && max > 1 {
        let message = "A private IP address is of one instance: MaxCount must be 1.";
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    let count = max.min(room(ec2, cx, &plan, min)?);
    let reservation = cx.ids.resource("r");
    for index in 0..count {
        start(ec2, cx, plan.clone(), &reservation, index)?;
    }
    if let Some(token) = token {
        ec2.instances.client_tokens.insert(token.to_owned(), (reservation.clone(), params.clone()));
    }
    Ok(reservation_of(ec2, cx, &reservation))
}

/// Launches one instance for an Auto Scaling group.
pub fn launch_for_group(ec2: &mut Ec2, cx: &mut Context, launch: &Launch) -> Result<String, ApiError> {
    let mut own = Params(vec![("SubnetId".to_owned(), Value::from(&*launch.subnet))]);
    if launch.spot {
        let market = Value::map().with("MarketType", Value::from(SPOT));
        own.0.push(("InstanceMarketOptions".to_owned(), market));
    }
    own.0.extend(launch.instance_type.as_deref().map(|name| ("InstanceType".to_owned(), Value::from(name))));
    let mut plan = match &launch.configuration {
        Some(configuration) => plan(ec2, &overlaid(configuration, &own))?,
        None => {
            let specification = Params(vec![
                ("LaunchTemplateId".to_owned(), Value::from(&*launch.launch_template_id)),
                ("Version".to_owned(), Value::from(&*launch.version)),
            ]);
            let (template, version) = resolve(&ec2.launch_templates, &specification)?;
            let mut plan = plan(ec2, &overlaid(&version.data, &own))?;
            plan.tags.insert("aws:ec2launchtemplate:id".to_owned(), template.id.clone());
            plan.tags.insert("aws:ec2launchtemplate:version".to_owned(), version.number.to_string());
            plan
        }
    };
    plan.tags.extend(launch.tags.clone());
    room(ec2, cx, &plan, 1)?;
    let reservation = cx.ids.resource("r");
    start(ec2, cx, plan, &reservation, 0)
}

fn counts(params: &Params) -> Result<(usize, usize), ApiError> {
    let count = |name: &str| -> Result<usize, ApiError> {
        let value = params.int(name)?.ok_or_else(|| ApiError::missing(name))?;
        usize::try_from(value)
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| ApiError::invalid(name, &value.to_string()))
    };
    let (min, max) = (count("MinCount")?, count("MaxCount")?);
    if min > max {
        return Err(ApiError::invalid("minCount", &min.to_string()));
    }
    Ok((min, max))
}

/// Checks the parameters of a launch and fills in what they leave open.
fn plan(ec2: &Ec2, data: &Params) -> Result<Plan, ApiError> {
    let image = images::resolve(data.required("ImageId")?)?;
    let architecture = image.architecture;
    let instance_type = data.text("InstanceType").unwrap_or("m1.small");
    let row = catalog::instance_types::find(instance_type).ok_or_else(|| {
        ApiError::new("InvalidParameterValue", format!("Invalid value '{instance_type}' for InstanceType."))
    })?;
    if row.architecture() != architecture {
        let message = format!(
            "The architecture '{}' of the specified instance type does not match the architecture '{architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
            row.architecture()
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    if let Some(name) = data.text("KeyName")
        && !ec2.key_pairs.values().any(|key| key.name == name)
    {
        return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair '{name}' does not exist")));
    }
    let interface = interface(data)?;
    let placement = data.map("Placement").unwrap_or_default();
    let subnet = match interface.text("SubnetId").or(data.text("SubnetId")) {
        Some(id) => ec2.network.subnet(id)?,
        None => ec2.network.default_subnet(placement.text("AvailabilityZone")).ok_or_else(|| {
            ApiError::new("InvalidParameterValue", "Invalid availability zone: no default subnet there")
        })?,
    };
    let ids = [data.texts("SecurityGroupId"), interface.texts("SecurityGroupId")].concat();
    let groups = groups_for_launch(ec2, &ids, &data.texts("SecurityGroup"), &subnet.vpc)?;
    let profile = data.map("IamInstanceProfile").unwrap_or_default();
    let mut tags = tags::specified(data, "instance")?;
    if let Some(template) = data.text("TemplateId") {
        let version = data.int("TemplateVersion")?.unwrap_or(1);
        tags.insert("aws:ec2launchtemplate:id".to_owned(), template.to_owned());
        tags.insert("aws:ec2launchtemplate:version".to_owned(), version.to_string());
    }
    Ok(Plan {
        image: image.id.to_owned(),
        instance_type: instance_type.to_owned(),
        spot: data.map("InstanceMarketOptions").unwrap_or_default().text("MarketType") == Some(SPOT),
        key_name: data.text("KeyName").map(str::to_owned),
        user_data: ec2.instances.shared_user_data(user_data(data)?),
        private_address: private_address(
            ec2,
            subnet,
            interface.text("PrivateIpAddress").or(data.text("PrivateIpAddress")),
        )?,
        subnet: subnet.id.clone(),
        groups,
        profile: profile.text("Arn").or(profile.text("Name")).map(str::to_owned),
        monitoring: data.map("Monitoring").unwrap_or_default().bool("Enabled")?.unwrap_or(false),
        metadata_options: MetadataOptions::of(&data.map("MetadataOptions").unwrap_or_default())?,
        volume: RootVolume::requested(data, image.root_device)?,
        public: interface.bool("AssociatePublicIpAddress")?.unwrap_or(subnet.map_public),
        cpu_credits: instance_types::credits(row, data),
        termination_protection: data.bool("DisableApiTermination")?.unwrap_or(false),
        stop_protection: data.bool("DisableApiStop")?.unwrap_or(false),
        shutdown_behavior: data.text("InstanceInitiatedShutdownBehavior").unwrap_or("stop").to_owned(),
        interface_description: interface.text("Description").unwrap_or_default().to_owned(),
        interface_tags: tags::specified(data, "network-interface")?,
        spot_request_tags: tags::specified(data, "spot-instances-request")?,
        ebs_optimized: data.bool("EbsOptimized")?.unwrap_or(false),
        tags,
    })
}

/// The one network interface that a launch may describe; its subnet and its groups count, so the instance names none.
fn interface(data: &Params) -> Result<Params, ApiError> {
    let mut interfaces = data.maps("NetworkInterface");
    if interfaces.len() > 1 {
        let message = "An instance of the embedded region has one network interface (NetworkInterface.2 is not taken).";
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let Some(interface) = interfaces.pop() else { return Ok(Params::default()) };
    let instance_level = ["SecurityGroupId", "SecurityGroup", "SubnetId", "PrivateIpAddress"];
    let both = instance_level
        .iter()
        .find(|name| data.get(name).is_some() && (**name != "SubnetId" || interface.get(name).is_some()));
    if let Some(name) = both {
        let what = match *name {
            "SubnetId" => "subnet ID",
            "PrivateIpAddress" => "private IP address",
            _ => "security groups",
        };
        let message =
            format!("Network interfaces and an instance-level {what} may not be specified on the same request");
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    Ok(interface)
}

/// The private address that a launch asks for: one of the subnet's range that nobody has. The default subnets' addresses
/// are those at which instances are reached, and the region gives those itself.
fn private_address(ec2: &Ec2, subnet: &Subnet, asked: Option<&str>) -> Result<Option<Ipv4Addr>, ApiError> {
    let Some(text) = asked else { return Ok(None) };
    let address: Ipv4Addr = text.parse().map_err(|_| ApiError::invalid("privateIpAddress", text))?;
    if subnet.is_default {
        let message = "The embedded region gives the addresses of its default subnets itself (PrivateIpAddress): create a subnet.";
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    if !subnet.cidr.hosts().any(|host| host == address) {
        let message = format!("Address {text} does not fall within the subnet's address range");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    if in_subnet(ec2, &subnet.id).any(|instance| instance.private_address == address) {
        return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {text} is in use.")));
    }
    Ok(Some(address))
}

/// How many instances there is room for, at least `min`.
fn room(ec2: &Ec2, cx: &Context, plan: &Plan, min: usize) -> Result<usize, ApiError> {
    let quota = INSTANCES_MAX.saturating_sub(ec2.instances.all.values().filter(|i| i.occupies()).count());
    if quota < min {
        let message = format!(
            "You have requested more instances ({min}) than the embedded region's limit of {INSTANCES_MAX} allows."
        );
        return Err(ApiError::new("InstanceLimitExceeded", message));
    }
    let subnet = ec2.network.subnet(&plan.subnet)?;
    let unused = usize::try_from(subnet.cidr.host_count()).unwrap_or(usize::MAX);
    let unused = unused.saturating_sub(in_subnet(ec2, &subnet.id).count());
    let free = cx.addresses.free(subnet.net).min(unused);
    if free < min {
        let message = format!(
            "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
            plan.subnet
        );
        return Err(ApiError::new("InsufficientFreeAddressesInSubnet", message));
    }
    Ok(quota.min(free))
}

/// Makes one instance, `pending`, and has it booted.
fn start(ec2: &mut Ec2, cx: &mut Context, plan: Plan, reservation: &str, index: usize) -> Result<String, ApiError> {
    let subnet = ec2.network.subnet(&plan.subnet)?;
    let address = cx.addresses.take(subnet.net).ok_or_else(|| {
        ApiError::new("InsufficientFreeAddressesInSubnet", format!("No address is left in {}.", subnet.id))
    })?;
    // In the default subnets the range is loopback itself.
    let private_address = match plan.private_address {
        Some(asked) => asked,
        None if subnet.cidr.has(address) => address,
        None => subnet
            .cidr
            .hosts()
            .find(|host| in_subnet(ec2, &subnet.id).all(|it| it.private_address != *host))
            .ok_or_else(|| {
                ApiError::new("InsufficientFreeAddressesInSubnet", format!("No address is left in {}.", subnet.id))
            })?,
    };
    let id = cx.ids.resource("i");
    let octets = address.octets();
    let instance = Instance {
        id: id.clone(),
        reservation: reservation.to_owned(),
        launch_index: index,
        state: InstanceState::Pending,
        reason: None,
        image: plan.image,
        instance_type: plan.instance_type,
        spot_request_tags: plan.spot_request_tags,
        spot_request: plan.spot.then(|| format!("sir-{}", cx.ids.hex(8))),
        key_name: plan.key_name,
        user_data: plan.user_data,
        address,
        private_address,
        public: plan.public,
        mac: format!("0a:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", octets[0], octets[1], octets[2], octets[3], 0x1f),
        interface: cx.ids.resource("eni"),
        interface_description: plan.interface_description,
        interface_tags: plan.interface_tags,
        volume: RootVolume { id: cx.ids.resource("vol"), ..plan.volume },
        subnet: subnet.id.clone(),
        vpc: subnet.vpc.clone(),
        zone: subnet.zone.clone(),
        groups: plan.groups,
        profile: plan.profile,
        monitoring: plan.monitoring,
        metadata_options: plan.metadata_options,
        termination_protection: plan.termination_protection,
        stop_protection: plan.stop_protection,
        shutdown_behavior: plan.shutdown_behavior,
        source_dest_check: true,
        ebs_optimized: plan.ebs_optimized,
        cpu_credits: plan.cpu_credits,
        launched: cx.now,
        ended: None,
        impaired_since: None,
        interruption: None,
        rebooting: false,
        booted: false,
        tags: plan.tags,
    };
    cx.send(Signal::InstanceState { instance: id.clone(), state: InstanceState::Pending });
    cx.send(Signal::Boot(instance.boot()));
    ec2.instances.all.insert(id.clone(), instance);
    Ok(id)
}

fn reservation_of(ec2: &Ec2, cx: &Context, reservation: &str) -> Value {
    let of_it = ec2.instances.all.values().filter(|instance| instance.reservation == reservation);
    let mut instances: Vec<&Instance> = of_it.collect();
    instances.sort_by_key(|instance| instance.launch_index);
    Value::map()
        .with("reservationId", Value::from(reservation))
        .with("ownerId", Value::from(ACCOUNT))
        .with("groupSet", Value::list([]))
        .with("instancesSet", Value::list(instances.into_iter().map(|i| describe::instance_value(ec2, cx, i))))
}
