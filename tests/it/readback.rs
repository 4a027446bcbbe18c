//! Every field that `docs/readback.md` says is read back is changed behind cloudscale's back; `diff` shows it, and `up` sets it
//! back.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::moto::{Answer, hermetic, venv};
use super::quick_region::PUBLIC_KEY;
use super::rehearsal::Rehearsal;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/readback.md");
const CERTIFICATE: &str = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";

const STACK: &str = r#"
name: readback
variables: {delay_ms: 0}
tags: {course: scaling}
network: {cidr: 10.20.0.0/16, zones: 2}
ssh: {key: laptop, cidr: 203.0.113.7/32}
dashboard: true
load_balancer: {port: 18480, https: {port: 18443, certificate: "CERTIFICATE"}}
routes: {both: {paths: [/both], weights: {fixed: 1, group: 1}, stickiness: 1h}}
clusters:
  fixed: {instance_type: t2.large, instances: 4, user_data: WORKLOAD, routes: [/fixed], stickiness: 1h, slow_start: 60s,
    deregistration_delay: 5s}
  group:
    instance_type: t2.large
    user_data: WORKLOAD
    routes: [/group]
    autoscaling:
      min: 1
      max: 4
      suspend: [AZRebalance]
      warm_pool: {prepared: 2, state: stopped}
      policies:
        - target_tracking: {name: cpu, metric: cpu, target: 50, warmup: 60s}
        - target_tracking: {name: requests, metric: requests_per_target, target: 100}
        - step: {name: up, metric: cpu, above: 70, min_change: 1, warmup: 60s, steps: [{from: 0, percent: 10}]}
        - simple: {name: more, metric: requests_per_target, above: 90, percent: 10, min_change: 1}
        - simple: {name: queue, metric: {custom: {namespace: App, name: Queue, dimensions: {queue: a}}}, above: 9, add: 1}
      schedule: [{name: morning, cron: "0 8 * * *", min: 2, max: 4, desired: 3}]
  mixed:
    user_data: WORKLOAD
    routes: [/mixed]
    algorithm: least_outstanding_requests
    autoscaling: {min: 0, max: 2, desired: 0, mix: {types: [t3.large, t3a.large], on_demand_base: 1}}
"#;

/// What no call of AWS changes, or what it refuses to change; and what another story changes.
const NOT_HERE: &[(&str, &str, &str)] = &[
    ("vpc", "cidr", "AWS cannot change it"),
    ("internet_gateway", "vpc", "AWS refuses to detach it while there are public addresses"),
    ("internet_gateway", "attached", "AWS refuses to detach it while there are public addresses"),
    ("route_table", "vpc", "AWS cannot change it"),
    ("subnet", "vpc", "AWS cannot change it"),
    ("subnet", "cidr", "AWS cannot change it"),
    ("subnet", "zone", "AWS cannot change it"),
    ("security_group", "vpc", "AWS cannot change it"),
    ("target_group", "protocol", "AWS cannot change it"),
    ("target_group", "port", "AWS cannot change it"),
    ("target_group", "vpc", "AWS cannot change it"),
    ("target_group", "health_check.protocol", "the embedded region takes HTTP only"),
    ("load_balancer", "scheme", "AWS cannot change it"),
    ("load_balancer", "vpc", "AWS cannot change it"),
    ("listener", "load_balancer", "AWS cannot change it"),
    ("rule", "listener", "AWS cannot change it"),
    ("instances", "vpc", "AWS cannot change it"),
    ("instances", "launch_template", "tests/it/secrets.rs: it is compared where user data holds secrets"),
    ("target_attachment", "target_group", "it is that of the targets"),
    ("scaling_policy", "group", "AWS cannot change it"),
    ("alarm", "group", "it is by the name of the alarm"),
    ("alarm", "target_group", "other dimensions are shown as `dimensions`"),
    ("scheduled_action", "group", "AWS cannot change it"),
    ("scaling_group", "outdated_instances", "tests/it/changes.rs: a refresh that was rolled back"),
    ("launch_template", "instance_profile", "not in this stack; one that a new version has is shown"),
];

/// Those whose tags are read back.
const TAGGED: &[&str] = &[
    "vpc",
    "internet_gateway",
    "route_table",
    "subnet",
    "security_group",
    "launch_template",
    "load_balancer",
    "target_group",
    "listener",
    "rule",
    "instances",
    "scaling_group",
];

/// Changes everything that there is a call for.
const TAMPER: &str = r#"
import boto3, json
ec2, elb, scaling, watch = map(boto3.client, ["ec2", "elbv2", "autoscaling", "cloudwatch"])
tags = lambda thing: {t["Key"]: t["Value"] for t in thing.get("Tags", [])}
address = lambda thing: tags(thing).get("cloudscale:address")
by = lambda things, key: {address(thing): thing[key] for thing in things if address(thing)}

groups = by(ec2.describe_security_groups()["SecurityGroups"], "GroupId")
templates = by(ec2.describe_launch_templates()["LaunchTemplates"], "LaunchTemplateId")
subnets = by(ec2.describe_subnets()["Subnets"], "SubnetId")
vpc = by(ec2.describe_vpcs()["Vpcs"], "VpcId")["network.vpc"]
tables = by(ec2.describe_route_tables()["RouteTables"], "RouteTableId")
instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"] if i["State"]["Name"] == "running"]
fixed = sorted(i["InstanceId"] for i in instances if address(i) == "cluster.fixed.instances")
crew = [i["InstanceId"] for i in instances if address(i) == "cluster.group.scaling_group"]
theirs = ec2.create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc)["GroupId"]
balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
listeners = [l["ListenerArn"] for l in elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]]
rules = [r["RuleArn"] for l in listeners for r in elb.describe_rules(ListenerArn=l)["Rules"] if not r["IsDefault"]]
target_groups = [g["TargetGroupArn"] for g in elb.describe_target_groups()["TargetGroups"]]
arns = listeners + rules + target_groups
described = [row for at in range(0, len(arns), 20) for row in elb.describe_tags(ResourceArns=arns[at:at + 20])["TagDescriptions"]]
elbs = {address(row): row["ResourceArn"] for row in described}
names = {address(g): g["AutoScalingGroupName"] for g in scaling.describe_auto_scaling_groups()["AutoScalingGroups"]}
group, mixed = names["cluster.group.scaling_group"], names["cluster.mixed.scaling_group"]

# network
ec2.modify_subnet_attribute(SubnetId=next(iter(subnets.values())), MapPublicIpOnLaunch={"Value": False})
association = next(a["RouteTableAssociationId"] for t in ec2.describe_route_tables()["RouteTables"] for a in t["Associations"]
    if a.get("SubnetId") == list(subnets.values())[1])
other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)
ec2.delete_route(RouteTableId=tables["network.route_table"], DestinationCidrBlock="0.0.0.0/0")
for id in (groups["instances.security_group"], groups["load_balancer.security_group"]):
    for group_now in ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]:
        ec2.revoke_security_group_ingress(GroupId=id, IpPermissions=group_now["IpPermissions"])
        ec2.revoke_security_group_egress(GroupId=id, IpPermissions=group_now["IpPermissionsEgress"])
        way = [{"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
        ec2.authorize_security_group_ingress(GroupId=id, IpPermissions=way)
        ec2.authorize_security_group_egress(GroupId=id, IpPermissions=way)

# launch template
ec2.create_launch_template_version(LaunchTemplateId=templates["cluster.fixed.launch_template"],
    LaunchTemplateData={"InstanceType": "t2.nano", "ImageId": "ami-0fedcba9876543210"})

# load balancer
third = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.224.0/20", AvailabilityZone="us-east-1f")["Subnet"]["SubnetId"]
elb.set_subnets(LoadBalancerArn=balancer, Subnets=list(subnets.values()) + [third])
elb.set_security_groups(LoadBalancerArn=balancer, SecurityGroups=[theirs])
elb.modify_listener(ListenerArn=elbs["load_balancer.listener"], Port=18444, SslPolicy="ELBSecurityPolicy-2016-08",
    Certificates=[{"CertificateArn": "CERTIFICATE"[:-1] + "3"}], DefaultActions=[{"Type": "fixed-response",
    "FixedResponseConfig": {"StatusCode": "503", "MessageBody": "theirs", "ContentType": "text/html"}}])
elb.modify_listener(ListenerArn=elbs["load_balancer.redirect"], Protocol="HTTPS",
    Certificates=[{"CertificateArn": "CERTIFICATE"}], DefaultActions=[{"Type": "redirect",
    "RedirectConfig": {"Protocol": "HTTPS", "Port": "999", "StatusCode": "HTTP_302"}}])
forward = lambda **config: [{"Type": "forward", **config}]
elb.set_rule_priorities(RulePriorities=[{"RuleArn": elbs["cluster.mixed.rule"], "Priority": 999}])
elb.modify_rule(RuleArn=elbs["cluster.fixed.rule"], Actions=forward(TargetGroupArn=elbs["cluster.group.target_group"]),
    Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/elsewhere"]}}])
elb.modify_rule(RuleArn=elbs["route.both.rule"], Actions=forward(ForwardConfig={
    "TargetGroups": [{"TargetGroupArn": elbs["cluster.fixed.target_group"], "Weight": 5},
        {"TargetGroupArn": elbs["cluster.mixed.target_group"], "Weight": 1}],
    "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 7}}))
elb.modify_target_group(TargetGroupArn=elbs["cluster.fixed.target_group"], HealthCheckPath="/other", HealthCheckPort="9",
    HealthCheckIntervalSeconds=123, HealthCheckTimeoutSeconds=60, HealthyThresholdCount=9,
    UnhealthyThresholdCount=9, Matcher={"HttpCode": "200-499"})
attributes = lambda cluster, **values: elb.modify_target_group_attributes(TargetGroupArn=elbs[f"cluster.{cluster}.target_group"],
    Attributes=[{"Key": key.replace("__", "."), "Value": value} for key, value in values.items()])
attributes("fixed", deregistration_delay__timeout_seconds="77", slow_start__duration_seconds="77", stickiness__enabled="false")
attributes("mixed", load_balancing__algorithm__type="round_robin")
# where the stack sets none
attributes("group", stickiness__enabled="true", stickiness__type="app_cookie", stickiness__app_cookie__cookie_name="SESSION")

# instances
ec2.modify_instance_attribute(InstanceId=fixed[0], Groups=[theirs])
ec2.unmonitor_instances(InstanceIds=fixed[1:2])
ec2.create_tags(Resources=fixed[1:2], Tags=[{"Key": "cloudscale:spec", "Value": "0123456789ab"}])
elb.deregister_targets(TargetGroupArn=elbs["cluster.fixed.target_group"], Targets=[{"Id": fixed[0]}])
elb.register_targets(TargetGroupArn=elbs["cluster.fixed.target_group"], Targets=[{"Id": fixed[1], "Port": 9999}])
ec2.terminate_instances(InstanceIds=fixed[2:3])
ec2.stop_instances(InstanceIds=fixed[3:4])
ec2.unmonitor_instances(InstanceIds=crew)
for id in (fixed[1], crew[0]):
    ec2.modify_instance_metadata_options(InstanceId=id, HttpTokens="optional", HttpPutResponseHopLimit=1)

# group
for name in (group, mixed):
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy"])
version = ec2.create_launch_template_version(LaunchTemplateId=templates["cluster.group.launch_template"],
    LaunchTemplateData={"InstanceType": "t2.nano", "ImageId": "ami-0fedcba9876543210"})["LaunchTemplateVersion"]["VersionNumber"]
scaling.put_warm_pool(
    AutoScalingGroupName=group, MinSize=1, MaxGroupPreparedCapacity=3, PoolState="Running", InstanceReusePolicy={"ReuseOnScaleIn": True})
scaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, MaxSize=7, DefaultInstanceWarmup=7, DefaultCooldown=7,
    HealthCheckGracePeriod=7, HealthCheckType="EC2", TerminationPolicies=["OldestInstance"],
    NewInstancesProtectedFromScaleIn=True, VPCZoneIdentifier=next(iter(subnets.values())))
scaling.detach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=[elbs["cluster.group.target_group"]])
template = {"LaunchTemplateId": templates["cluster.mixed.launch_template"], "Version": "1"}
scaling.update_auto_scaling_group(AutoScalingGroupName=mixed, MixedInstancesPolicy={
    "LaunchTemplate": {"LaunchTemplateSpecification": {**template}, "Overrides": [{"InstanceType": "m5.large"}]},
    "InstancesDistribution": {"OnDemandBaseCapacity": 2, "OnDemandPercentageAboveBaseCapacity": 33,
        "OnDemandAllocationStrategy": "lowest-price", "SpotAllocationStrategy": "lowest-price", "SpotInstancePools": 3, "SpotMaxPrice": "0.5"}})
policies = {p["PolicyName"].split("--")[-1]: p for p in scaling.describe_policies(AutoScalingGroupName=group)["ScalingPolicies"]}
watch.delete_alarms(AlarmNames=[policies["cpu"]["Alarms"][0]["AlarmName"]])
put = lambda name, **config: scaling.put_scaling_policy(AutoScalingGroupName=group, PolicyName=policies[name]["PolicyName"], **config)
track = lambda **config: {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageNetworkIn"}, **config}
put("cpu", PolicyType="TargetTrackingScaling", Enabled=False, EstimatedInstanceWarmup=7,
    TargetTrackingConfiguration=track(TargetValue=7.0, DisableScaleIn=True))
watch.delete_alarms(AlarmNames=[a["AlarmName"] for p in scaling.describe_policies(AutoScalingGroupName=group)["ScalingPolicies"]
    if p["PolicyName"].endswith("--cpu") for a in p["Alarms"]])
put("requests", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=track(TargetValue=7.0))
put("up", PolicyType="StepScaling", AdjustmentType="ExactCapacity", MetricAggregationType="Maximum",
    StepAdjustments=[{"MetricIntervalLowerBound": 5.0, "ScalingAdjustment": 1}])
put("more", PolicyType="SimpleScaling", AdjustmentType="ChangeInCapacity", ScalingAdjustment=2, Cooldown=7)
put("queue", PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=[{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}])
for name in ("up", "more", "queue"):
    watch.put_metric_alarm(AlarmName=policies[name]["PolicyName"], ActionsEnabled=False, AlarmActions=["arn:aws:sns:us-east-1:000000000000:pager"],
        Namespace="Mine", MetricName="Other", Statistic="Maximum", Dimensions=[{"Name": "queue", "Value": "b"}],
        ComparisonOperator="LessThanThreshold", Threshold=1.0, Period=300, EvaluationPeriods=9, DatapointsToAlarm=1, TreatMissingData="breaching")
action = scaling.describe_scheduled_actions(AutoScalingGroupName=group)["ScheduledUpdateGroupActions"][0]
scaling.put_scheduled_update_group_action(AutoScalingGroupName=group, ScheduledActionName=action["ScheduledActionName"],
    Recurrence="0 9 * * *", TimeZone="America/Toronto", StartTime="2030-01-01T00:00:00Z", EndTime="2031-01-01T00:00:00Z",
    MinSize=1, MaxSize=3, DesiredCapacity=2)
watch.put_dashboard(DashboardName="cs-readback", DashboardBody=json.dumps({"widgets": []}))

# tags
gateways = by(ec2.describe_internet_gateways()["InternetGateways"], "InternetGatewayId")
ours = [id for found in (groups, templates, subnets, tables, gateways) for id in found.values()] + [vpc, fixed[1]]
ec2.create_tags(Resources=ours, Tags=[{"Key": "course", "Value": "another"}])
elb.add_tags(ResourceArns=list(elbs.values()), Tags=[{"Key": "course", "Value": "another"}])
elb.add_tags(ResourceArns=[balancer], Tags=[{"Key": "course", "Value": "another"}])
scaling.create_or_update_tags(Tags=[{"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": "course",
    "Value": "another", "PropagateAtLaunch": True}])
"#;

/// The columns of the page that must be seen: type → paths.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |line: &str| {
        let columns: Vec<&str> = line.split(" | ").collect();
        let kind = columns[0].trim_end_matches('`').to_owned();
        let paths = columns[1..4].iter().flat_map(|column| column.split('`').skip(1).step_by(2)).map(str::to_owned);
        (kind, paths.collect())
    };
    rows.map(row).collect()
}

/// Whether a path of a change is one that the page names.
fn is_of(path: &str, declared: &str) -> bool {
    let pattern: Vec<&str> = declared.split('.').collect();
    let words: Vec<&str> = path.splitn(pattern.len(), '.').collect();
    let fits =
        |(declared, word): (&&str, &&str)| ["*", "PORT", "CLUSTER", "TITLE"].contains(declared) || declared == word;
    pattern.len() == words.len() && pattern.iter().zip(&words).all(fits) || path == declared
}

#[test]
fn whatever_is_read_back_is_seen_when_somebody_changes_it() {
    let mut stack = Rehearsal::of("");
    assert!(stack.region.run(&["local", "start"]).status.success());
    let key = stack.file("key.pub", PUBLIC_KEY);
    let material = format!("fileb://{}", key.display());
    stack.aws(&["ec2", "import-key-pair", "--key-name", "laptop", "--public-key-material", &material]).ok();
    let workload = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");
    let text = STACK.replace("WORKLOAD", workload).replace("CERTIFICATE", CERTIFICATE);
    stack.stack = stack.file("stack.yaml", &text);
    stack.cloudscale(&["up", "--yes", "--wait", "targets"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    let mut meddler = Command::new(venv().join("bin/python"));
    let script = TAMPER.replace("CERTIFICATE", CERTIFICATE);
    Answer::of(hermetic(&mut meddler, &stack.region.endpoint(), stack.folder()).args(["-c", &script])).ok();

    let report = stack.cloudscale(&["diff", "--json"]).ok().json();
    let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
    for change in report["changes"].as_array().expect("changes").iter().filter(|it| it["action"] != "unchanged") {
        let fields = change["fields"].as_array().expect("fields").iter();
        // What follows another resource is no answer to what was changed here.
        let fields = fields.filter(|field| !field["desired"].as_str().is_some_and(|text| text.ends_with(" (new)")));
        let paths = fields.map(|field: &Value| field["path"].as_str().expect("a path").to_owned());
        seen.entry(change["type"].as_str().expect("a type").to_owned()).or_default().extend(paths);
    }
    let (mut missing, mut idle) = (Vec::new(), Vec::new());
    let declared = declared();
    assert!(declared.len() >= 17, "{declared:?}");
    for (kind, paths) in &declared {
        for path in paths {
            let is_seen = seen.get(kind).is_some_and(|seen| seen.iter().any(|found| is_of(found, path)));
            let excused = NOT_HERE.iter().any(|(of, field, _)| of == kind && field == path);
            if !is_seen && !excused {
                missing.push(format!("{kind}: {path}"));
            } else if is_seen && excused {
                idle.push(format!("{kind}: {path}"));
            }
        }
    }
    assert_eq!((missing, idle), (Vec::<String>::new(), Vec::new()), "{seen:#?}");
    let is_told = |kind: &str, path: &str| {
        path.starts_with("tags.")
            || declared.get(kind).is_some_and(|paths| paths.iter().any(|known| is_of(path, known)))
    };
    let untold = seen.iter().flat_map(|(kind, paths)| paths.iter().map(move |path| (kind, path)));
    let untold: Vec<_> = untold.filter(|(kind, path)| !is_told(kind, path)).collect();
    assert_eq!(untold, [], "the page does not name what is seen");
    let is_blind = |kind: &&str| !seen.get(*kind).is_some_and(|seen| seen.contains("tags.course"));
    let blind: Vec<&str> = TAGGED.iter().copied().filter(is_blind).collect();
    assert_eq!(blind, [""; 0], "whose tags are not read back");
    stack.cloudscale(&["up", "--yes", "--wait", "targets"]).ok();
    let left = stack.cloudscale(&["diff", "--exit-code"]);
    assert_eq!(left.code, Some(0), "`up` leaves this as it was made: {}", left.stdout);
    let unknown = NOT_HERE.iter().filter(|(kind, path, _)| !declared.get(*kind).is_some_and(|it| it.contains(*path)));
    assert_eq!(unknown.count(), 0);
}
