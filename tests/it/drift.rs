//! What somebody else changed behind our back, with boto3 and awscli: `diff` tells it, `up` mends what is ours.

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
    assert_eq!((reason, live, wanted), (&json!("1 missing"), &json!("1"), &json!("2")));
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
