//! Load generators: instances that run Locust's workers for `bench --engine locust`. To everybody below they are one more
//! cluster of fixed instances, which the load balancer does not know; its script is ours.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::instance_types;
use super::language::{LOAD_GENERATORS, STACK};
use super::model::{Generators, Provider, UserData};
use crate::catalog::instance_types::find;
use crate::document::Fields;
use crate::document::name::key;
use crate::problem::{Problem, Problems};
use crate::secret::Text;

/// The cluster's name, which no other may have.
pub const NAME: &str = "load-generators";
/// The version of Locust that the master has, too: they talk in its own protocol.
pub const LOCUST: &str = "2.47.0";
/// In the embedded region `bench` and the instances are on the same machine; 5557 is Locust's port (its `--master-port`).
const MASTER_LOCAL: &str = "127.0.0.1:5557";
const SCRIPT: &str = include_str!("load-generator.sh");

/// What the stack declares of them.
pub(super) struct Declared {
    pub instance_type: String,
    pub instances: u32,
    pub generators: Generators,
    pub script: UserData,
}

/// `None` where the stack declares none.
pub(super) fn declared(stack: &Fields, provider: Provider, problems: &mut Problems) -> Option<Declared> {
    let own = stack.object_written(key!(STACK, "load_generators"), &LOAD_GENERATORS)?;
    if let Some(other) = stack.map(key!(STACK, "clusters")).iter().find(|entry| entry.key == NAME) {
        let detail = format!("`{NAME}` is the cluster of the stack's `load_generators`");
        let problem = Problem::usage("The name is taken", detail).at(stack.place_of(&other.value));
        problems.push(problem.hint("call the cluster otherwise"));
    }
    let instance_type = own.text(key!(LOAD_GENERATORS, "instance_type"));
    instance_types::check(&instance_type, own.place(key!(LOAD_GENERATORS, "instance_type")), provider, problems);
    let instances: u32 = own.integer(key!(LOAD_GENERATORS, "instances"));
    let master = master(&own, provider, problems);
    // One worker keeps one processor busy (Locust documentation, "Distributed load generation").
    let each = find(&instance_type).map_or(1, |known| u32::from(known.vcpus));
    let generators = Generators { master, workers: instances * each };
    Some(Declared { instance_type, instances, generators, script: script(master, each) })
}

/// Where `bench` listens for them, as they reach it.
fn master(own: &Fields, provider: Provider, problems: &mut Problems) -> SocketAddr {
    let local = MASTER_LOCAL.parse().expect("an address and a port");
    let Some(written) = own.text_written(key!(LOAD_GENERATORS, "master")) else {
        if provider == Provider::Aws {
            let detail = "instances on AWS cannot know where `bench` runs";
            let problem = Problem::usage("The load generators’ master is missing", detail).at(own.own_place());
            problems.push(problem.hint(
                "write `master: ADDRESS:5557`, with an address of the machine that runs `bench` that they reach",
            ));
        }
        return local;
    };
    written.parse().unwrap_or_else(|_| {
        let detail = format!("`{written}` is no IP address with a port");
        let problem = own.problem(key!(LOAD_GENERATORS, "master"), "Invalid address", detail);
        problems.push(problem.hint("for example `10.0.0.5:5557`"));
        local
    })
}

fn script(master: SocketAddr, workers: u32) -> UserData {
    let text = SCRIPT.replace("MASTER_HOST", &master.ip().to_string());
    let text = text.replace("MASTER_PORT", &master.port().to_string());
    let text = text.replace("WORKERS", &workers.to_string()).replace("LOCUST_VERSION", LOCUST);
    UserData { file: PathBuf::from("load_generators"), text: Text::from(text.as_str()) }
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, load};
    use super::*;
    use crate::stack::model::{Capacity, Purpose, Stack};

    fn read(text: &str) -> Result<Stack, Problems> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("stack.yaml");
        std::fs::write(&file, text).expect("written");
        load(&file, &Overrides::default()).map(|(stack, _)| stack)
    }

    #[test]
    fn they_are_a_cluster_of_fixed_instances_that_serves_nothing() {
        let stack = read("name: s\nclusters: {web: {}}\nload_generators: {instance_type: c5.xlarge, instances: 2}\n");
        let stack = stack.expect("valid");
        let (cluster, generators) = stack.load_generators().expect("declared");
        // c5.xlarge has 4 virtual CPUs (EC2 User Guide, "CPU options for Amazon EC2 instances").
        assert_eq!((generators.workers, generators.master.to_string()), (8, MASTER_LOCAL.to_owned()));
        assert!(matches!(cluster.capacity, Capacity::Fixed { instances: 2, .. }) && cluster.routes.is_empty());
        assert!(matches!(cluster.purpose, Purpose::Load(_)) && !stack.balances(cluster));
        assert_eq!(stack.serving().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(), ["web"]);
        let script = cluster.user_data.as_ref().expect("ours").text.to_string();
        for line in ["version='2.47.0'", "master=(--master-host '127.0.0.1' --master-port '5557')", "workers='4'"] {
            assert!(script.lines().any(|own| own == line), "{script}");
        }
    }

    #[test]
    fn what_cannot_be_is_a_problem() {
        let summary = |text: &str| {
            let problems = read(&format!("name: s\n{text}")).expect_err("refused");
            problems.0.into_iter().map(|problem| problem.summary).collect::<Vec<_>>()
        };
        let taken = "clusters: {load-generators: {}}\nload_generators: {}\n";
        assert_eq!(summary(taken), ["The name is taken"]);
        let web = "clusters: {web: {}}\n";
        assert_eq!(summary(&format!("{web}load_generators: {{master: here}}\n")), ["Invalid address"]);
        let aws = format!("provider: aws\n{web}load_generators: {{instances: 1}}\n");
        assert_eq!(summary(&aws), ["The load generators’ master is missing"]);
    }
}
