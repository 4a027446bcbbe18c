//! The embedded region through clients that nobody here wrote: awscli and boto3, unchanged.

use std::process::Command;

use super::local_region::LocalRegion;
use super::moto::{Answer, hermetic, venv};

/// A program of the virtual environment against this region.
fn client(region: &LocalRegion, program: &str) -> Command {
    let mut command = Command::new(venv().join("bin").join(program));
    hermetic(&mut command, &region.endpoint(), &region.home());
    command
}

fn aws(region: &LocalRegion, arguments: &[&str]) -> Answer {
    let bounded = ["--output", "json", "--cli-read-timeout", "20"];
    Answer::of(client(region, "aws").args(arguments).args(bounded))
}

/// One of the stories of `boto3_stories.py`, in a region of its own.
fn boto3(story: &str) {
    let region = LocalRegion::started();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/boto3_stories.py");
    Answer::of(client(&region, "python").args([script, story])).ok();
}

#[test]
fn awscli_runs_an_instance_and_reads_its_user_data_back() {
    let region = LocalRegion::started();
    let run = ["ec2", "run-instances", "--image-id", "ami-0a1b2c3d4e5f60001", "--instance-type", "t2.large"];
    let run = aws(&region, &[&run[..], &["--user-data", "#!/bin/bash\necho hello\n"]].concat()).ok().json();
    let instance = run["Instances"][0]["InstanceId"].as_str().unwrap();
    aws(&region, &["ec2", "wait", "instance-running", "--instance-ids", instance]).ok();
    let ask = ["ec2", "describe-instance-attribute", "--attribute", "userData", "--instance-id", instance];
    let data = aws(&region, &ask).ok().json();
    assert_eq!(data["UserData"]["Value"], "IyEvYmluL2Jhc2gKZWNobyBoZWxsbwo=");
    let unknown = aws(&region, &["ec2", "describe-instances", "--instance-ids", "i-00000000000000000"]);
    assert!(unknown.stderr.contains("(InvalidInstanceID.NotFound)"), "{}", unknown.stderr);
}

#[test]
fn awscli_creates_a_load_balancer_and_finds_it_by_its_name() {
    let region = LocalRegion::started();
    let subnets = aws(&region, &["ec2", "describe-subnets", "--query", "Subnets[:2].SubnetId"]).ok().json();
    let subnets: Vec<&str> = subnets.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let create = ["elbv2", "create-load-balancer", "--name", "lab", "--subnets"];
    let created = aws(&region, &[&create[..], &subnets].concat()).ok().json();
    let found = aws(&region, &["elbv2", "describe-load-balancers", "--names", "lab"]).ok().json();
    assert_eq!(found["LoadBalancers"][0]["LoadBalancerArn"], created["LoadBalancers"][0]["LoadBalancerArn"]);
    assert_eq!(found["LoadBalancers"][0]["AvailabilityZones"].as_array().unwrap().len(), 2);
}

#[test]
fn boto3s_waiters_and_paginators_follow_instances() {
    boto3("instances");
}

#[test]
fn boto3_builds_a_network_of_its_own_and_takes_it_down() {
    boto3("network");
}

#[test]
fn boto3_sees_a_group_heal() {
    boto3("group");
}

#[test]
fn boto3_gets_statistics_and_a_picture_of_what_it_put() {
    boto3("metrics");
}

#[test]
fn a_client_that_speaks_query_gets_the_same() {
    boto3("older_metrics");
}

#[test]
fn boto3_does_what_scripts_begin_with() {
    boto3("beginnings");
}

#[test]
fn the_first_caller_names_the_region() {
    boto3("foreign");
}
