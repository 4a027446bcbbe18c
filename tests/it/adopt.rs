//! A group and a target group that somebody else made become part of a stack, and are kept.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::moto::{Answer, Moto, hermetic, venv};
use super::rehearsal::Rehearsal;

const STACK: &str = "
name: heir
variables: {delay_ms: 0}
clusters:
  web:
    instance_type: t2.large
    user_data: WORKLOAD
    routes: [/]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
    autoscaling: {min: 1, max: 3, desired: 1, warmup: 0s}
  still:
    instance_type: t2.large
    instances: 1
    user_data: WORKLOAD
    routes: [/still]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
";

/// By hand: a group behind a target group, another target group, and one that is behind a load balancer.
const HANDMADE: &str = r##"
import base64, boto3
ec2, elb, scaling = map(boto3.client, ["ec2", "elbv2", "autoscaling"])
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
image = ec2.describe_images()["Images"][0]["ImageId"]
def target_group(name, port):
    answer = elb.create_target_group(Name=name, Protocol="HTTP", Port=port, VpcId=vpc, TargetType="instance")
    return answer["TargetGroups"][0]["TargetGroupArn"]
arn, _, taken = target_group("handmade", 8080), target_group("elsewhere", 9999), target_group("taken", 8080)
target_group("spare", 8080), target_group("another", 8080)
balancer = elb.create_load_balancer(Name="theirs", Subnets=subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"]
elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=8099,
    DefaultActions=[{"Type": "forward", "TargetGroupArn": taken}])
data = base64.b64encode(b"#!/bin/bash\nexec cloudscale workload --port 8080\n").decode()
template = ec2.create_launch_template(LaunchTemplateName="handmade",
    LaunchTemplateData={"InstanceType": "t2.large", "ImageId": image, "UserData": data})["LaunchTemplate"]
scaling.create_auto_scaling_group(AutoScalingGroupName="handmade", MinSize=1, MaxSize=2, DesiredCapacity=1,
    LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"},
    VPCZoneIdentifier=",".join(subnets), TargetGroupARNs=[arn])
"##;
const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");

fn prepare() -> Rehearsal {
    let mut heir = Rehearsal::of("");
    heir.stack = heir.file("stack.yaml", &STACK.replace("WORKLOAD", WORKLOAD));
    heir
}

fn make_by_hand(endpoint: &str, region: &str, folder: &Path) {
    let mut python = Command::new(venv().join("bin/python"));
    let python = hermetic(&mut python, endpoint, folder).env("AWS_DEFAULT_REGION", region);
    Answer::of(python.args(["-c", HANDMADE])).ok();
}

/// In a region of its own.
fn rehearsal() -> Rehearsal {
    let heir = prepare();
    Answer::of(&mut heir.region.command(&["local", "start"])).ok();
    make_by_hand(&heir.region.endpoint(), "us-east-1", heir.folder());
    heir
}

fn action(report: &Value, address: &str) -> Value {
    let changes = report["changes"].as_array().expect("changes");
    let change = changes.iter().find(|change| change["address"] == address);
    change.unwrap_or_else(|| panic!("no {address}"))["action"].clone()
}

#[test]
fn a_group_and_its_target_group_are_adopted_kept_and_deleted_with_the_stack() {
    let heir = rehearsal();
    let before = heir.audit();
    let members = ["autoscaling", "describe-auto-scaling-instances", "--query", "AutoScalingInstances[].InstanceId"];
    let made_by_hand = heir.aws(&members).ok().json();
    let adopt = &["adopt", "web", "--group", "handmade", "--target-group", "handmade", "--verbose"];
    let adopted = heir.cloudscale(adopt).ok();
    assert_eq!(adopted.calls().1, 4, "two tagged, locked and unlocked: {}", adopted.stderr);
    assert!(adopted.stderr.contains("adopted, differs from the stack"), "{}", adopted.stderr);
    assert_eq!(heir.audit(), before, "nothing but tags");
    let again = heir.cloudscale(adopt).ok();
    assert_eq!(again.stdout.trim(), "It is the stack's already");

    let plan = heir.cloudscale(&["diff", "--json"]).ok().json();
    for address in ["cluster.web.scaling_group", "cluster.web.target_group"] {
        assert_eq!(action(&plan, address), "update", "{address}");
    }
    assert_eq!(plan["summary"]["replace"], 0);
    assert_eq!(plan["summary"]["delete"], 0);

    heir.cloudscale(&["up"]).ok();
    heir.cloudscale(&["diff", "--exit-code"]).ok();
    let status = heir.status();
    let web = &status["clusters"][0];
    assert_eq!((&web["group"], &web["max"]), (&json!("handmade"), &json!(3)));
    assert!(web["target_group"]["arn"].as_str().expect("an ARN").contains(":targetgroup/handmade/"));
    assert_eq!(heir.instances("web").iter().filter(|(_, health)| health == "healthy").count(), 1);
    assert_ne!(heir.aws(&members).ok().json(), made_by_hand, "they run what the stack says now");

    heir.cloudscale(&["down"]).ok();
    let left = json!({"launch templates": 1, "load balancers": 1, "target groups": 4});
    assert_eq!(heir.audit(), left, "what was not adopted stays");
}

#[test]
fn on_moto_a_group_alone_moves_to_the_stacks_own_target_group() {
    let (heir, moto) = (prepare(), Moto::start());
    make_by_hand(moto.endpoint, moto.region, moto.folder());
    let stack = heir.stack.to_str().expect("UTF-8");
    let run = |arguments: &[&str]| moto.cloudscale(&[&["--provider", "aws"], arguments, &[stack]].concat());
    run(&["adopt", "web", "--group", "handmade", "--yes"]).ok();
    let plan = run(&["diff", "--json"]).ok().json();
    assert_eq!(action(&plan, "cluster.web.scaling_group"), "update");
    assert_eq!(action(&plan, "cluster.web.target_group"), "create");
    run(&["up", "--yes", "--wait", "targets"]).ok();
    run(&["diff", "--exit-code"]).ok();
    let status = run(&["status", "--json"]).ok().json();
    assert_eq!(status["clusters"][0]["group"], "handmade");
    run(&["down", "--yes"]).ok();
    let groups = moto.aws(&["autoscaling", "describe-auto-scaling-groups"]).ok().json();
    assert_eq!(groups["AutoScalingGroups"], json!([]));
    let left = moto.aws(&["elbv2", "describe-target-groups", "--names", "handmade"]).ok().json();
    assert_eq!(left["TargetGroups"].as_array().map(Vec::len), Some(1), "it was not adopted");
}

#[test]
fn what_could_not_be_kept_is_refused_and_nothing_is_tagged() {
    let heir = rehearsal();
    let refused = |arguments: &[&str], code: i32, why: &str| {
        let answer = heir.cloudscale(&[&["adopt"], arguments].concat());
        assert_eq!(answer.code, Some(code), "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(why), "{arguments:?}: {}", answer.stderr);
    };
    refused(&["wbe", "--group", "handmade"], 2, "No such cluster");
    refused(&["still", "--group", "handmade"], 2, "still has fixed instances");
    refused(&["web"], 2, "--group <NAME>|--target-group <NAME>");
    refused(&["web", "--group", "nobody"], 1, "no Auto Scaling group is called nobody");
    refused(&["web", "--target-group", "nobody"], 1, "no target group is called nobody");
    refused(&["web", "--target-group", "elsewhere"], 1, "port: observed 9999, desired 8080");
    refused(&["web", "--target-group", "taken"], 1, "taken is behind the load balancer theirs");
    let group = ["autoscaling", "create-or-update-tags", "--tags"];
    let tag =
        "ResourceId=handmade,ResourceType=auto-scaling-group,Key=cloudscale:stack,Value=other,PropagateAtLaunch=false";
    refused(&["web", "--target-group", "handmade"], 1, "adopt both: add `--group handmade`");
    let apart = std::fs::read_to_string(&heir.stack).expect("the stack") + "network: {cidr: 10.20.0.0/16}\n";
    let apart = heir.file("apart.yaml", &apart.replace("name: heir", "name: apart"));
    let apart = apart.to_str().expect("UTF-8");
    let refusal = Answer::of(&mut heir.region.command(&["adopt", "web", apart, "--group", "handmade"]));
    assert!(refusal.code == Some(1) && refusal.stderr.contains("It is in another network"), "{}", refusal.stderr);
    heir.aws(&[&group[..], &[tag]].concat()).ok();
    refused(&["web", "--group", "handmade"], 1, "carries cloudscale:stack=other");
    heir.cloudscale(&["adopt", "still", "--target-group", "spare"]).ok();
    refused(&["still", "--target-group", "another"], 1, "cluster.still.target_group is spare");
}
