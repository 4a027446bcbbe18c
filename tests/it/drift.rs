//! What somebody else changed behind our back, with boto3 and awscli: `diff` tells it, `up` mends what is ours.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::moto::{Answer, hermetic, venv};
use super::rehearsal::Rehearsal;

const STACK: &str = "
name: drift
tags: {course: one}
clusters:
  fleet:
    instance_type: t2.large
    instances: 2
    user_data: WORKLOAD
    routes: [/fleet]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
  group:
    instance_type: t2.large
    user_data: WORKLOAD
    routes: [/group]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
    autoscaling:
      min: 1
      max: 4
      desired: 1
      warmup: 0s
      policies: [{target_tracking: {name: cpu, metric: cpu, target: 95}}]
      schedule: [{name: morning, cron: \"0 8 * * *\", min: 1}]
";

/// Finds everything by the address that it is tagged with, and changes it.
const MEDDLE: &str = r#"
import boto3
ec2, elb, scaling = map(boto3.client, ["ec2", "elbv2", "autoscaling"])
address = lambda tags: {t["Key"]: t["Value"] for t in tags}.get("cloudscale:address")
groups = {address(g.get("Tags", [])): g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]}
templates = {address(t["Tags"]): t["LaunchTemplateId"] for t in ec2.describe_launch_templates()["LaunchTemplates"]}
balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
arns = [balancer, listener] + [g["TargetGroupArn"] for g in elb.describe_target_groups()["TargetGroups"]]
arns += [r["RuleArn"] for r in elb.describe_rules(ListenerArn=listener)["Rules"] if not r["IsDefault"]]
elbs = {address(row["Tags"]): row["ResourceArn"] for row in elb.describe_tags(ResourceArns=arns)["TagDescriptions"]}
group = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupName"]

ec2.authorize_security_group_ingress(GroupId=groups["instances.security_group"], IpPermissions=[
    {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
ec2.create_launch_template_version(LaunchTemplateId=templates["cluster.fleet.launch_template"],
    LaunchTemplateData={"InstanceType": "t2.nano", "ImageId": "ami-0a1b2c3d4e5f60001"})
elb.modify_rule(RuleArn=elbs["cluster.fleet.rule"],
    Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/elsewhere"]}}])
elb.modify_target_group(TargetGroupArn=elbs["cluster.fleet.target_group"], HealthCheckPath="/other")
elb.modify_listener(ListenerArn=listener,
    DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}])
targets = elb.describe_target_health(TargetGroupArn=elbs["cluster.fleet.target_group"])["TargetHealthDescriptions"]
elb.deregister_targets(TargetGroupArn=elbs["cluster.fleet.target_group"], Targets=[{"Id": targets[0]["Target"]["Id"]}])
for policy in scaling.describe_policies()["ScalingPolicies"]:
    scaling.delete_policy(AutoScalingGroupName=group, PolicyName=policy["PolicyName"])
for action in scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]:
    scaling.delete_scheduled_action(AutoScalingGroupName=group, ScheduledActionName=action["ScheduledActionName"])
scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)

ec2.delete_tags(Resources=[groups["load_balancer.security_group"], templates["cluster.group.launch_template"]],
    Tags=[{"Key": "course"}, {"Key": "cloudscale:spec"}])
elb.remove_tags(ResourceArns=[balancer, elbs["cluster.group.target_group"], elbs["cluster.group.rule"]],
    TagKeys=["course", "cloudscale:spec"])
elb.remove_tags(ResourceArns=[listener], TagKeys=["course"])
scaling.delete_tags(Tags=[{"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": "course"}])
"#;

fn up() -> Rehearsal {
    let mut stack = Rehearsal::of("");
    let workload = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");
    let text = STACK.replace("WORKLOAD", workload).replace("name: drift\n", "name: drift\nvariables: {delay_ms: 0}\n");
    stack.stack = stack.file("stack.yaml", &text);
    stack.up()
}

fn changes(stack: &Rehearsal) -> Vec<Value> {
    let report = stack.cloudscale(&["diff", "--json"]).ok().json();
    report["changes"].as_array().expect("changes").clone()
}

/// The change of an address with its field's (live, wanted).
fn field<'a>(changes: &'a [Value], address: &str, path: &str) -> (&'a Value, &'a Value, &'a Value) {
    let change = changes.iter().find(|change| change["address"] == address).unwrap_or_else(|| panic!("no {address}"));
    let fields = change["fields"].as_array().expect("fields");
    let field =
        fields.iter().find(|field| field["path"] == path).unwrap_or_else(|| panic!("{address}: {path}: {change}"));
    (&change["reason"], &field["observed"], &field["desired"])
}

#[test]
fn what_was_changed_behind_our_back_is_told_as_drift_and_mended() {
    let stack = up();
    let mut meddler = Command::new(venv().join("bin/python"));
    Answer::of(hermetic(&mut meddler, &stack.region.endpoint(), stack.folder()).args(["-c", MEDDLE])).ok();

    let found = changes(&stack);
    let drift = json!("drift: changed outside cloudscale");
    let told = [
        ("instances.security_group", "ingress.tcp.22", json!("0.0.0.0/0"), json!(null)),
        ("cluster.fleet.rule", "paths", json!("/elsewhere"), json!("/fleet")),
        ("cluster.fleet.target_group", "health_check.path", json!("/other"), json!("/health")),
        ("load_balancer.listener", "default.status", json!("503"), json!("404")),
        ("load_balancer.security_group", "tags.course", json!(null), json!("one")),
        ("load_balancer.security_group", "tags.cloudscale:spec", json!(null), json!("")),
        ("cluster.group.launch_template", "tags.course", json!(null), json!("one")),
        ("cluster.group.launch_template", "tags.cloudscale:spec", json!(null), json!("")),
        ("load_balancer", "tags.cloudscale:spec", json!(null), json!("")),
        ("load_balancer.listener", "tags.course", json!(null), json!("one")),
        ("cluster.group.target_group", "tags.course", json!(null), json!("one")),
        ("cluster.group.rule", "tags.cloudscale:spec", json!(null), json!("")),
        ("cluster.group.scaling_group", "tags.course", json!(null), json!("one")),
    ];
    for (address, path, live, wanted) in &told {
        let (reason, is, should) = field(&found, address, path);
        assert_eq!(is, live, "{address}: {path}");
        let any_spec = path.ends_with("spec") && should.as_str().is_some_and(|spec| spec.len() == 12);
        assert!(any_spec || should == wanted, "{address}: {path}: {should}");
        assert_eq!(reason, &drift, "{address}");
    }
    let (_, version, _) = field(&found, "cluster.fleet.launch_template", "version");
    assert_eq!(version, "made outside cloudscale");
    let (reason, targets, _) = field(&found, "cluster.fleet.target_attachment", "targets");
    assert_eq!(
        (reason, targets),
        (&json!("the attached targets are not the cluster's fixed instances"), &json!("1 of 2"))
    );
    let action =
        |address: &str| found.iter().find(|change| change["address"] == address).map(|change| &change["action"]);
    assert_eq!(action("cluster.group.policy.cpu"), Some(&json!("create")));
    assert_eq!(action("cluster.group.schedule.morning"), Some(&json!("create")));

    stack.cloudscale(&["up"]).ok();
    let text = stack.cloudscale(&["diff", "--exit-code"]).ok().stdout;
    assert!(text.contains("now 2, range 1–4, desired capacity not touched"), "{text}");
    let status = stack.status();
    assert_eq!(status["clusters"][1]["desired"], 2, "the scaler's number stays");
    assert_eq!(stack.instances("fleet").len(), 2);
}

#[test]
fn an_instance_and_a_target_group_of_a_group_that_went_are_told_and_come_back() {
    let stack = up();
    let victim = stack.instances("fleet")[0].0.clone();
    stack.aws(&["ec2", "terminate-instances", "--instance-ids", &victim]).ok();
    let group = stack.status()["clusters"][1]["group"].as_str().expect("the group").to_owned();
    let arn = stack.status()["clusters"][1]["target_group"]["arn"].as_str().expect("an ARN").to_owned();
    stack
        .aws(&[
            "autoscaling",
            "detach-load-balancer-target-groups",
            "--auto-scaling-group-name",
            &group,
            "--target-group-arns",
            &arn,
        ])
        .ok();
    let found = changes(&stack);
    let (reason, live, wanted) = field(&found, "cluster.fleet.instances", "instances");
    assert_eq!((reason, live, wanted), (&json!("1 to launch"), &json!("1"), &json!("2")));
    let (reason, live, _) = field(&found, "cluster.group.scaling_group", "target_group");
    assert_eq!((reason, live), (&json!("drift: changed outside cloudscale"), &json!("")));
    stack.cloudscale(&["up"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    let healthy = stack.instances("fleet");
    assert!(
        healthy.len() == 2 && healthy.iter().all(|(id, health)| *id != victim && health == "healthy"),
        "{healthy:?}"
    );
}

/// What hides behind a resource that looks as it should.
const MEDDLE_BEHIND: &str = r#"
import boto3, json
ec2, elb, scaling, watch = map(boto3.client, ["ec2", "elbv2", "autoscaling", "cloudwatch"])
tags = lambda thing: {t["Key"]: t["Value"] for t in thing.get("Tags", [])}
address = lambda thing: tags(thing).get("cloudscale:address")
groups = {address(g): g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]}
running = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"] if i["State"]["Name"] == "running"]
fleet = sorted(i["InstanceId"] for i in running if address(i) == "cluster.fleet.instances")
crew = [i["InstanceId"] for i in running if address(i) == "cluster.group.scaling_group"]
theirs = ec2.create_security_group(GroupName="theirs", Description="theirs")["GroupId"]

ec2.modify_instance_attribute(InstanceId=fleet[0], Groups=[theirs])
ec2.unmonitor_instances(InstanceIds=[fleet[1]])
ec2.modify_instance_attribute(InstanceId=crew[0], Groups=[groups["instances.security_group"], theirs])
ec2.unmonitor_instances(InstanceIds=crew)
ec2.revoke_security_group_egress(GroupId=groups["instances.security_group"], IpPermissions=[
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
ec2.authorize_security_group_egress(GroupId=groups["load_balancer.security_group"], IpPermissions=[
    {"IpProtocol": "tcp", "FromPort": 25, "ToPort": 25, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
for group in elb.describe_target_groups()["TargetGroups"]:
    targets = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    if targets[0]["Target"]["Id"] in fleet:
        elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": fleet[0], "Port": 9999}])
policy = scaling.describe_policies()["ScalingPolicies"][0]
alarms = [a["AlarmName"] for a in policy["Alarms"]]
watch.delete_alarms(AlarmNames=alarms[:1])
watch.disable_alarm_actions(AlarmNames=alarms[1:])
balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
elb.add_tags(ResourceArns=[balancer], Tags=[{"Key": "backup", "Value": "daily"}])
ec2.create_tags(Resources=[fleet[0]], Tags=[{"Key": "backup", "Value": "daily"}])
print(json.dumps({"fleet": fleet, "crew": crew, "theirs": theirs, "alarms": alarms}))
"#;

/// What is there of all that, as boto3 sees it.
const LOOK_BEHIND: &str = r#"
import boto3, json
ec2, elb, scaling, watch = map(boto3.client, ["ec2", "elbv2", "autoscaling", "cloudwatch"])
tags = lambda thing: {t["Key"]: t["Value"] for t in thing.get("Tags", [])}
running = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"] if i["State"]["Name"] == "running"]
groups = [g for g in ec2.describe_security_groups()["SecurityGroups"] if "cloudscale:stack" in tags(g)]
elbs = [elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]]
elbs += [elb.describe_listeners(LoadBalancerArn=elbs[0])["Listeners"][0]["ListenerArn"]]
elbs += [r["RuleArn"] for r in elb.describe_rules(ListenerArn=elbs[1])["Rules"] if not r["IsDefault"]]
target_groups = [g["TargetGroupArn"] for g in elb.describe_target_groups()["TargetGroups"]]
found = elb.describe_tags(ResourceArns=elbs + target_groups)["TagDescriptions"]
found += running + groups + ec2.describe_launch_templates()["LaunchTemplates"]
found += scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
ports = [t["Target"]["Port"] for g in target_groups for t in elb.describe_target_health(TargetGroupArn=g)["TargetHealthDescriptions"]]
alarms = [a for p in scaling.describe_policies()["ScalingPolicies"] for a in p["Alarms"]]
listed = watch.describe_alarms(AlarmNames=[a["AlarmName"] for a in alarms])["MetricAlarms"]
print(json.dumps({
    "groups of instances": sorted({g["GroupName"] for i in running for g in i["SecurityGroups"]}),
    "monitoring": sorted({i["Monitoring"]["State"] for i in running}),
    "out": sorted({str((p["IpProtocol"], [r["CidrIp"] for r in p["IpRanges"]])) for g in groups for p in g["IpPermissionsEgress"]}),
    "ports": sorted(set(ports)),
    "alarms": [len(listed), all(a["ActionsEnabled"] for a in listed)],
    "course": sum("course" in tags(thing) for thing in found if "cloudscale:stack" in tags(thing)),
    "backup": sum("backup" in tags(thing) for thing in found),
}))
"#;

fn python(stack: &Rehearsal, script: &str) -> Value {
    let mut python = Command::new(venv().join("bin/python"));
    Answer::of(hermetic(&mut python, &stack.region.endpoint(), stack.folder()).args(["-c", script])).ok().json()
}

#[test]
fn what_was_changed_behind_a_resource_is_told_and_mended_in_place() {
    let stack = up();
    let before = python(&stack, LOOK_BEHIND);
    assert!(before["course"].as_u64().is_some_and(|count| count >= 13), "{before}");
    let made = python(&stack, MEDDLE_BEHIND);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (first, second, crew) = (text(&made["fleet"][0]), text(&made["fleet"][1]), text(&made["crew"][0]));
    let (deleted, off) = (text(&made["alarms"][0]), text(&made["alarms"][1]));

    let found = changes(&stack);
    let instances = "1 with other security groups, 1 without detailed monitoring";
    let (reason, groups, desired) = field(&found, "cluster.fleet.instances", "security_group");
    assert_eq!((reason, desired), (&json!(instances), &json!("instances.security_group")));
    assert!(text(groups).contains(&text(&made["theirs"])), "{groups}");
    let told = [
        ("cluster.fleet.instances", "monitoring", json!(format!("off: {second}")), json!("true")),
        ("cluster.fleet.target_attachment", "other_ports", json!(format!("{first}:9999")), json!(null)),
        ("instances.security_group", "egress.all", json!(null), json!("0.0.0.0/0")),
        ("load_balancer.security_group", "egress.tcp.25", json!("10.0.0.0/8"), json!(null)),
        ("cluster.group.policy.cpu", "alarms", json!(format!("{deleted} is deleted, {off} is off")), json!(null)),
        ("cluster.group.scaling_group", "instances", json!(instances), json!(null)),
    ];
    for (address, path, observed, desired) in &told {
        let (_, is, should) = field(&found, address, path);
        assert_eq!((is, should), (observed, desired), "{address}: {path}");
    }
    stack.cloudscale(&["up"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    let mut mended = before.clone();
    mended["backup"] = json!(2);
    assert_eq!(python(&stack, LOOK_BEHIND), mended);
    let ids = |cluster: &str| stack.instances(cluster).into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
    assert_eq!((ids("fleet"), ids("group")), (BTreeSet::from([first, second]), BTreeSet::from([crew])), "none is new");

    // A tag that the stack no longer has goes from everything, and somebody else's stays.
    let edited = std::fs::read_to_string(&stack.stack).expect("the stack").replace("tags: {course: one}\n", "");
    stack.file("stack.yaml", &edited);
    let found = changes(&stack);
    let of_tag: Vec<_> = found.iter().filter(|change| change["action"] != "unchanged").collect();
    let gone = json!({"path": "tags.course", "observed": "one", "desired": null});
    assert_eq!(of_tag.len(), 12, "{of_tag:?}");
    assert!(of_tag.iter().all(|change| change["fields"] == json!([gone])), "{of_tag:?}");
    stack.cloudscale(&["up"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    let after = python(&stack, LOOK_BEHIND);
    // Instances of a group keep what they were launched with.
    assert_eq!((&after["course"], &after["backup"]), (&json!(1), &json!(2)));
    assert_eq!(ids("fleet").len(), 2);
}
