//! A network of the stack's own: made, used, mended and removed, in the embedded region and on moto.

use std::process::Command;

use serde_json::{Value, json};

use super::moto::{Answer, Moto, hermetic, venv};
use super::rehearsal::Rehearsal;

const OWN_NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/own-network.yaml");
/// moto routes no requests.
const UP: &[&str] = &["--provider", "aws", "up", "--yes", "--wait", "targets", "--timeout", "2m", "-v"];

/// What the stack's network is, as boto3 sees it; nothing where there is none.
const LOOK: &str = r#"
import boto3, json
ec2 = boto3.client("ec2")
ours = {"Filters": [{"Name": "tag:cloudscale:stack", "Values": ["own-network"]}]}
gateways = ec2.describe_internet_gateways(**ours)["InternetGateways"]
tables = ec2.describe_route_tables(**ours)["RouteTables"]
subnets = sorted(ec2.describe_subnets(**ours)["Subnets"], key=lambda subnet: subnet["CidrBlock"])
print(json.dumps({
    "vpcs": [vpc["CidrBlock"] for vpc in ec2.describe_vpcs(**ours)["Vpcs"]],
    "subnets": [[s["CidrBlock"], s["AvailabilityZone"][-1], s["MapPublicIpOnLaunch"]] for s in subnets],
    "attached": [len(gateway["Attachments"]) for gateway in gateways],
    "ways out": [r["DestinationCidrBlock"] for t in tables for r in t["Routes"] if r["GatewayId"].startswith("igw-")],
    "associations": [len(table["Associations"]) for table in tables],
}))
"#;

fn look(command: &mut Command) -> Value {
    Answer::of(command.args(["-c", LOOK])).ok().json()
}

fn python(endpoint: &str, rehearsal: &Rehearsal) -> Command {
    let mut command = Command::new(venv().join("bin/python"));
    hermetic(&mut command, endpoint, rehearsal.folder());
    command
}

/// The whole network; zones `a` and `b` are the first of every region used here.
fn whole() -> Value {
    json!({
        "vpcs": ["10.20.0.0/16"],
        "subnets": [["10.20.0.0/19", "a", true], ["10.20.32.0/19", "b", true]],
        "attached": [1],
        "ways out": ["0.0.0.0/0"],
        "associations": [2],
    })
}

fn nothing() -> Value {
    json!({"vpcs": [], "subnets": [], "attached": [], "ways out": [], "associations": []})
}

/// Ids of the network's parts by address, from the tags.
fn id(rehearsal: &Rehearsal, operation: &str, list: &str, key: &str) -> String {
    let filter = "Name=tag:cloudscale:stack,Values=own-network";
    let found = rehearsal.aws(&["ec2", operation, "--filters", filter]).ok().json();
    found[list][0][key].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_brings_its_own_network_and_takes_it_away() {
    let stack = Rehearsal::of(OWN_NETWORK).up();
    let seen = || look(&mut python(&stack.region.endpoint(), &stack));
    assert_eq!(seen(), whole());
    let instances = stack.aws(&["ec2", "describe-instances"]).ok().json();
    let vpc = id(&stack, "describe-vpcs", "Vpcs", "VpcId");
    for reservation in instances["Reservations"].as_array().expect("reservations") {
        assert_eq!(reservation["Instances"][0]["VpcId"], vpc.as_str());
    }
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    stack.cloudscale(&["down"]).ok();
    assert_eq!((seen(), stack.audit()), (nothing(), json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_in_the_network_by_hand_is_drift_and_is_mended() {
    let stack = Rehearsal::of(OWN_NETWORK).up();
    let seen = || look(&mut python(&stack.region.endpoint(), &stack));
    let table = id(&stack, "describe-route-tables", "RouteTables", "RouteTableId");
    let subnet = id(&stack, "describe-subnets", "Subnets", "SubnetId");
    let route = ["--route-table-id", &table, "--destination-cidr-block", "0.0.0.0/0"];
    stack.aws(&[&["ec2", "delete-route"], &route[..]].concat()).ok();
    stack.aws(&["ec2", "modify-subnet-attribute", "--subnet-id", &subnet, "--no-map-public-ip-on-launch"]).ok();
    let drift = stack.change("network.route_table").expect("the route is missing");
    assert_eq!((&drift["action"], &drift["reason"]), (&json!("update"), &json!("drift: changed outside cloudscale")));
    assert_eq!(drift["fields"][0]["path"], "route.0.0.0.0/0");
    stack.cloudscale(&["up"]).ok();
    assert_eq!(seen(), whole());
    stack.cloudscale(&["diff", "--exit-code"]).ok();
}

/// Somebody else's instance in a subnet of ours, with a security group of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_down_that_is_blocked_names_who_still_uses_the_subnet_and_the_security_group() {
    let stack = Rehearsal::of(OWN_NETWORK).up();
    let subnet = id(&stack, "describe-subnets", "Subnets", "SubnetId");
    let group = id(&stack, "describe-security-groups", "SecurityGroups", "GroupId");
    let place = ["--subnet-id", &subnet, "--security-group-ids", &group];
    let image = ["ec2", "run-instances", "--image-id", "ami-0a1b2c3d4e5f60001", "--instance-type", "t3.micro"];
    let started = stack.aws(&[&image[..], &place].concat()).ok().json();
    let guest = started["Instances"][0]["InstanceId"].as_str().expect("an id").to_owned();
    let interface = started["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"].as_str().expect("an id");
    let blocked = stack.cloudscale(&["down", "--timeout", "3s"]);
    assert_eq!(blocked.code, Some(1), "{}", blocked.stderr);
    for used in [&subnet, &group] {
        let named = format!("{used} is still used by interface {interface} ({guest})");
        assert!(blocked.stderr.contains(&named), "{named}: {}", blocked.stderr);
    }
    stack.aws(&["ec2", "terminate-instances", "--instance-ids", &guest]).ok();
    stack.cloudscale(&["down"]).ok();
    assert_eq!(look(&mut python(&stack.region.endpoint(), &stack)), nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_zone_adds_a_subnet_and_moves_none() {
    let stack = Rehearsal::edited(OWN_NETWORK, &[]).up();
    let text = std::fs::read_to_string(&stack.stack).expect("the stack").replace("zones: 2", "zones: 3");
    stack.file("stack.yaml", &text);
    let report = stack.cloudscale(&["diff", "--json"]).ok().json();
    let summary = &report["summary"];
    assert_eq!((&summary["create"], &summary["replace"], &summary["delete"]), (&json!(1), &json!(0), &json!(0)));
    let load_balancer = stack.change("load_balancer").expect("it takes up the subnet");
    assert_eq!((&load_balancer["action"], &load_balancer["fields"][0]["path"]), (&json!("update"), &json!("subnets")));
    stack.cloudscale(&["up"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    stack.cloudscale(&["down"]).ok();
    assert_eq!(look(&mut python(&stack.region.endpoint(), &stack)), nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_moves_into_a_network_of_its_own_and_back() {
    let network =
        "network:\n  cidr: 10.20.0.0/16 # each subnet takes an eighth: 10.20.0.0/19, 10.20.32.0/19\n  zones: 2\n";
    let stack = Rehearsal::edited(OWN_NETWORK, &[]);
    let text = std::fs::read_to_string(&stack.stack).expect("the stack");
    let default = text.replace(network, "");
    assert_ne!(default, text);
    stack.file("stack.yaml", &default);
    stack.cloudscale(&["up"]).ok();
    let seen = || look(&mut python(&stack.region.endpoint(), &stack));
    for (text, network) in [(&text, whole()), (&default, nothing())] {
        stack.file("stack.yaml", text);
        assert_eq!(stack.change("load_balancer").expect("a load balancer stays in its VPC")["action"], "replace");
        stack.cloudscale(&["up"]).ok();
        assert_eq!(seen(), network);
        stack.cloudscale(&["diff", "--exit-code"]).ok();
    }
}

#[test]
fn on_moto_it_is_the_same_network_and_a_second_up_writes_nothing() {
    let moto = Moto::start();
    let stack = Rehearsal::of(OWN_NETWORK);
    let seen = || look(python(moto.endpoint, &stack).env("AWS_DEFAULT_REGION", moto.region));
    moto.cloudscale(&[UP, &[OWN_NETWORK]].concat()).ok();
    assert_eq!(seen(), whole());
    assert_eq!(moto.cloudscale(&[UP, &[OWN_NETWORK]].concat()).ok().calls().1, 0);
    // By its name alone: the tag tells of the network, too.
    moto.cloudscale(&["--provider", "aws", "down", "--yes", "--timeout", "2m", "--stack", "own-network"]).ok();
    assert_eq!(seen(), nothing());
}
