//! A stack in a region of its own: the real binary in a folder of its own, awscli and boto3 as witnesses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::local_region::{LocalRegion, eventually, kill};
use super::moto::{Answer, hermetic, venv};

pub const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/two-clusters.yaml");
pub const GROUPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/scaling-group.yaml");

/// Lists what the stacks of these stories are made of, as boto3 sees it: name → how many, without zeros.
const AUDIT: &str = r#"
import boto3, json
ec2, elb, scaling, watch = map(boto3.client, ["ec2", "elbv2", "autoscaling", "cloudwatch"])
instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
counts = {
    "instances": sum(i["State"]["Name"] != "terminated" for i in instances),
    "security groups": sum(g["GroupName"] != "default" for g in ec2.describe_security_groups()["SecurityGroups"]),
    "launch templates": len(ec2.describe_launch_templates()["LaunchTemplates"]),
    "load balancers": len(elb.describe_load_balancers()["LoadBalancers"]),
    "target groups": len(elb.describe_target_groups()["TargetGroups"]),
    "groups": len(scaling.describe_auto_scaling_groups()["AutoScalingGroups"]),
    "policies": len(scaling.describe_policies()["ScalingPolicies"]),
    "alarms": len(watch.describe_alarms()["MetricAlarms"]),
}
print(json.dumps({name: count for name, count in counts.items() if count}))
"#;

/// A target's id and state.
pub type Target = (String, String);

pub struct Rehearsal {
    // First, so that it stops before its files go.
    pub region: LocalRegion,
    folder: TempDir,
    pub stack: PathBuf,
}

impl Rehearsal {
    /// Not up yet; the region does not run either.
    pub fn of(stack: &str) -> Self {
        Self { region: LocalRegion::none(), folder: tempfile::tempdir().expect("a folder"), stack: stack.into() }
    }

    /// A shipped stack with parts of its text exchanged.
    pub fn edited(stack: &str, edits: &[(&str, &str)]) -> Self {
        let mut rehearsal = Self::of(stack);
        let mut text = std::fs::read_to_string(stack).expect("the shipped stack");
        // What it refers to stays where it is.
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        for (from, to) in edits.iter().chain(&[("../", root)]) {
            assert!(text.contains(from), "{stack} has no {from:?}");
            text = text.replace(from, to);
        }
        rehearsal.stack = rehearsal.file("stack.yaml", &text);
        rehearsal
    }

    pub fn up(self) -> Self {
        self.cloudscale(&["up"]).ok();
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the user's.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, text).expect("the folder takes files");
        path
    }

    /// A command about the stack.
    pub fn cloudscale(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.region.command(arguments).arg(&self.stack).current_dir(self.folder()))
    }

    /// The same as on AWS, where that is `endpoint`.
    pub fn cloudscale_at(&self, endpoint: &str, arguments: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloudscale"));
        hermetic(&mut command, endpoint, self.folder());
        Answer::of(command.args(["--provider", "aws"]).args(arguments).arg(&self.stack))
    }

    pub fn aws(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(venv().join("bin/aws"));
        Answer::of(hermetic(&mut command, &self.region.endpoint(), self.folder()).args(arguments))
    }

    /// What there is, by boto3's count.
    pub fn audit(&self) -> Value {
        let mut command = Command::new(venv().join("bin/python"));
        Answer::of(hermetic(&mut command, &self.region.endpoint(), self.folder()).args(["-c", AUDIT])).ok().json()
    }

    pub fn status(&self) -> Value {
        self.cloudscale(&["status", "--json"]).ok().json()
    }

    pub fn url(&self) -> String {
        self.status()["url"].as_str().expect("the stack is up").to_owned()
    }

    /// Id and health of a cluster's instances.
    pub fn instances(&self, cluster: &str) -> Vec<Target> {
        instances(&self.status(), cluster)
    }

    /// Waits until a cluster's target group, as the SDK sees it, is what `wanted` finds something in.
    pub async fn until_targets<T>(&self, cluster: &str, what: &str, wanted: impl Fn(&[Target]) -> Option<T>) -> T {
        let clients = self.region.clients();
        let status = self.status();
        let clusters = status["clusters"].as_array().expect("clusters");
        let found = clusters.iter().find(|found| found["name"] == cluster).expect("the cluster");
        let group = found["target_group"]["arn"].as_str().expect("a target group");
        eventually(what, || async {
            let answer = clients.elb.describe_target_health().target_group_arn(group).send().await;
            let answer = answer.expect("the region answers");
            let targets = answer.target_health_descriptions().iter().map(|found| {
                let id = found.target().and_then(|target| target.id()).expect("an id");
                let state = found.target_health().and_then(|health| health.state()).expect("a state");
                (id.to_owned(), state.as_str().to_owned())
            });
            wanted(&targets.collect::<Vec<_>>())
        })
        .await
    }

    /// The change of an address that is not unchanged.
    pub fn change(&self, address: &str) -> Option<Value> {
        let report = self.cloudscale(&["diff", "--json"]).ok().json();
        let changes = report["changes"].as_array().expect("changes").clone();
        changes.into_iter().find(|change| change["address"] == address && change["action"] != "unchanged")
    }

    /// Kills the application of an instance, as its own fault might; the instance goes on.
    pub fn kill_application(&self, instance: &str) {
        let marker = format!("CLOUDSCALE_INSTANCE={instance}");
        let is_application = |pid: &i32| {
            let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let has =
                |bytes: Vec<u8>, wanted: &str| bytes.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes());
            has(read("environ"), &marker) && has(read("cmdline"), "workload")
        };
        let found: Vec<i32> = self.region.processes().into_iter().filter(is_application).collect();
        assert_eq!(found.len(), 1, "one process serves: {found:?}");
        kill(found[0]);
    }

    /// The listening sockets of the region and of its instances.
    pub fn listening(&self) -> BTreeSet<u64> {
        let daemon = self.region.status()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let processes = self.region.processes().into_iter().chain(daemon);
        let mine: BTreeSet<u64> = processes.flat_map(sockets).collect();
        listening().intersection(&mine).copied().collect()
    }
}

pub fn instances(status: &Value, cluster: &str) -> Vec<Target> {
    let clusters = status["clusters"].as_array().expect("clusters");
    let found = clusters.iter().find(|found| found["name"] == cluster).expect("the cluster");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let instances = found["instances"].as_array().expect("instances");
    instances.iter().map(|instance| (text(&instance["id"]), text(&instance["health"]))).collect()
}

/// The inodes of a process's sockets.
fn sockets(pid: i32) -> Vec<u64> {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

/// The inodes of all listening sockets of the machine.
pub fn listening() -> BTreeSet<u64> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    let fields = rows.map(|row| row.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields[3] == LISTEN).filter_map(|fields| fields[9].parse().ok()).collect()
}
