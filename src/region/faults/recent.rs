//! What has only just been made: AWS's listings and its other services hear of it a little later.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::region::wire::{ApiError, Params, Request, Service, Value};

/// No fault lasts longer, so older things need not be remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);

/// One kind of thing that calls make.
struct Kind {
    /// The operation that makes it.
    made_by: &'static str,
    /// The operation that lists it.
    listed_by: &'static str,
    /// The field that identifies it, in both answers.
    field: &'static str,
    /// What the services say to a call that names one that they do not know.
    unknown: &'static [(Service, &'static str)],
}

const fn kind(
    made_by: &'static str,
    listed_by: &'static str,
    field: &'static str,
    unknown: &'static [(Service, &'static str)],
) -> Kind {
    Kind { made_by, listed_by, field, unknown }
}

/// The codes are those of the API references of EC2, Elastic Load Balancing and EC2 Auto Scaling.
const KINDS: &[Kind] = &[
    kind(
        "CreateSecurityGroup",
        "DescribeSecurityGroups",
        "groupId",
        &[(Service::Ec2, "InvalidGroup.NotFound"), (Service::Elbv2, "InvalidSecurityGroup")],
    ),
    kind(
        "RunInstances",
        "DescribeInstances",
        "instanceId",
        &[(Service::Ec2, "InvalidInstanceID.NotFound"), (Service::Elbv2, "InvalidTarget")],
    ),
    kind(
        "CreateLaunchTemplate",
        "DescribeLaunchTemplates",
        "launchTemplateId",
        &[(Service::Ec2, "InvalidLaunchTemplateId.NotFound"), (Service::Autoscaling, "ValidationError")],
    ),
    kind(
        "CreateTargetGroup",
        "DescribeTargetGroups",
        "TargetGroupArn",
        &[(Service::Elbv2, "TargetGroupNotFound"), (Service::Autoscaling, "ValidationError")],
    ),
    kind("CreateLoadBalancer", "DescribeLoadBalancers", "LoadBalancerArn", &[(Service::Elbv2, "LoadBalancerNotFound")]),
    kind("CreateListener", "DescribeListeners", "ListenerArn", &[(Service::Elbv2, "ListenerNotFound")]),
    kind("CreateRule", "DescribeRules", "RuleArn", &[(Service::Elbv2, "RuleNotFound")]),
    kind("CreateVpc", "DescribeVpcs", "vpcId", &[(Service::Ec2, "InvalidVpcID.NotFound")]),
    kind(
        "CreateSubnet",
        "DescribeSubnets",
        "subnetId",
        &[(Service::Ec2, "InvalidSubnetID.NotFound"), (Service::Elbv2, "SubnetNotFound")],
    ),
    kind(
        "CreateInternetGateway",
        "DescribeInternetGateways",
        "internetGatewayId",
        &[(Service::Ec2, "InvalidInternetGatewayID.NotFound")],
    ),
    kind("CreateRouteTable", "DescribeRouteTables", "routeTableId", &[(Service::Ec2, "InvalidRouteTableID.NotFound")]),
];
/// A launch is known by its client token, too.
const LAUNCH: &str = "RunInstances";
/// A group is known by the name that its creator gives, and at once; listings may lag.
const GROUP: (&str, &str, &str) = ("CreateAutoScalingGroup", "DescribeAutoScalingGroups", "AutoScalingGroupName");
/// A registration is listed by target group and target.
const REGISTRATION: (&str, &str) = ("RegisterTargets", "DescribeTargetHealth");

/// When things were made, by id.
#[derive(Clone, Debug, Default)]
pub struct Recent(BTreeMap<String, Timestamp>);

impl Recent {
    /// Remembers what a call has made.
    pub fn made(&mut self, now: Timestamp, request: &Request, answer: &Value) {
        self.0.retain(|_, made| now.duration_since(*made) < REMEMBERED);
        let mut ids = Vec::new();
        let kind = KINDS.iter().find(|kind| kind.made_by == request.operation);
        if let Some(kind) = kind {
            each_field(answer, &mut |name, value| {
                if let (true, Value::Text(id)) = (name == kind.field, value) {
                    ids.push(id.clone());
                }
            });
        }
        if request.operation == LAUNCH {
            ids.extend(request.params.text("ClientToken").map(str::to_owned));
        } else if request.operation == GROUP.0 {
            ids.extend(request.params.text(GROUP.2).map(str::to_owned));
        } else if request.operation == REGISTRATION.0 {
            let group = request.params.text("TargetGroupArn").unwrap_or_default();
            let targets = request.params.maps("Targets");
            ids.extend(targets.iter().filter_map(|target| Some(registration(group, target.text("Id")?))));
        }
        for id in ids {
            // An idempotent call that is repeated makes nothing new.
            self.0.entry(id).or_insert(now);
        }
    }

    /// Whether a launch repeats one that was carried out: AWS answers it with the same instances, whatever has happened
    /// since.
    pub fn is_repeated(&self, request: &Request) -> bool {
        request.params.text("ClientToken").is_some_and(|token| self.0.contains_key(token))
    }

    fn is_recent(&self, now: Timestamp, id: &str, age: Duration) -> bool {
        self.0.get(id).is_some_and(|made| now.duration_since(*made).unsigned_abs() < age)
    }

    /// What the service says to a call that names something newer than `age`.
    pub fn unknown(&self, now: Timestamp, request: &Request, age: Duration) -> Option<ApiError> {
        let mut refusal = None;
        each_text(&Value::Map(request.params.0.clone()), &mut |id| {
            if refusal.is_none() && self.is_recent(now, id, age) {
                let kind = KINDS.iter().find(|kind| is_of(kind, id));
                let code = kind.and_then(|kind| kind.unknown.iter().find(|(service, _)| *service == request.service));
                refusal = code.map(|(_, code)| ApiError::new(code, format!("'{id}' does not exist")));
            }
        });
        refusal
    }

    /// A listing without what is newer than `age`.
    #[must_use]
    pub fn without(&self, now: Timestamp, request: &Request, mut answer: Value, age: Duration) -> Value {
        let kind = KINDS.iter().find(|kind| kind.listed_by == request.operation).map(|kind| kind.field);
        let field = kind.or((request.operation == GROUP.1).then_some(GROUP.2));
        if let Some(field) = field {
            retain(&mut answer, &|row| row.text(field).is_none_or(|id| !self.is_recent(now, id, age)));
        } else if request.operation == REGISTRATION.1 {
            let group = request.params.text("TargetGroupArn").unwrap_or_default();
            retain(&mut answer, &|row| {
                let target = row.map("Target").and_then(|target| target.text("Id").map(str::to_owned));
                target.is_none_or(|target| !self.is_recent(now, &registration(group, &target), age))
            });
        }
        answer
    }
}

fn registration(group: &str, target: &str) -> String {
    format!("{group} {target}")
}

/// Whether an id is of a kind: EC2's begin with what the field is called (`sg-`), the others hold it (`:targetgroup/`).
fn is_of(kind: &Kind, id: &str) -> bool {
    match kind.field {
        "groupId" => id.starts_with("sg-"),
        "instanceId" => id.starts_with("i-"),
        "launchTemplateId" => id.starts_with("lt-"),
        "vpcId" => id.starts_with("vpc-"),
        "subnetId" => id.starts_with("subnet-"),
        "internetGatewayId" => id.starts_with("igw-"),
        "routeTableId" => id.starts_with("rtb-"),
        "TargetGroupArn" => id.contains(":targetgroup/"),
        "LoadBalancerArn" => id.contains(":loadbalancer/"),
        "ListenerArn" => id.contains(":listener/"),
        _ => id.contains(":listener-rule/"),
    }
}

fn each_field(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::List(items) => items.iter().for_each(|item| each_field(item, visit)),
        Value::Map(fields) | Value::Entries(fields) => {
            for (name, field) in fields {
                visit(name, field);
                each_field(field, visit);
            }
        }
        _ => {}
    }
}

fn each_text(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Text(text) => visit(text),
        Value::List(items) => items.iter().for_each(|item| each_text(item, visit)),
        Value::Map(fields) | Value::Entries(fields) => fields.iter().for_each(|(_, field)| each_text(field, visit)),
        _ => {}
    }
}

/// Drops the rows of every list that `keep` refuses.
fn retain(value: &mut Value, keep: &impl Fn(&Params) -> bool) {
    match value {
        Value::List(items) => {
            items.retain(|item| if let Value::Map(fields) = item { keep(&Params(fields.clone())) } else { true });
            items.iter_mut().for_each(|item| retain(item, keep));
        }
        Value::Map(fields) => fields.iter_mut().for_each(|(_, field)| retain(field, keep)),
        _ => {}
    }
}
