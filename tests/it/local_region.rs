//! A real region in its own home: the binary itself as the daemon, the Rust SDK as the client.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use aws_sdk_ec2::types::InstanceType;
use cloudscale::aws::clients::Clients;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test has failed; nothing is asserted about shorter times.
const PATIENCE: Duration = Duration::from_secs(60);

/// A region that is gone when the test is.
pub struct LocalRegion {
    home: TempDir,
}

impl LocalRegion {
    /// A home without a region.
    pub fn none() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn started() -> Self {
        let region = Self::none();
        let output = region.run(&["local", "start"]);
        assert!(output.status.success(), "{output:?}");
        region
    }

    /// Starts it again, and answers what that says. Regions of other stories may have its addresses meanwhile: there are sixteen
    /// blocks of them.
    pub async fn start_again(&self, arguments: &[&str]) -> String {
        eventually("its addresses", || async {
            let output = self.run(&[&["local", "start"], arguments].concat());
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            (!said.contains("another region has the addresses")).then_some(said)
        })
        .await
    }

    pub fn home(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap()
    }

    /// The binary with an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_cloudscale").as_ref(), arguments)
    }

    fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CLOUDSCALE_HOME", self.home()).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["local", "status", "--json"]).stdout).unwrap()
    }

    pub fn endpoint(&self) -> String {
        self.status()["endpoint"].as_str().unwrap().to_owned()
    }

    pub fn clients(&self) -> Clients {
        Clients::local(&self.endpoint(), "us-east-1")
    }

    /// The processes of this home's instances.
    pub fn processes(&self) -> Vec<i32> {
        let marker = format!("CLOUDSCALE_INSTANCE_HOME={}", self.home().display());
        let carries = |pid: &i32| {
            let environment = std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
            environment.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()))
        };
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
    }
}

impl Drop for LocalRegion {
    fn drop(&mut self) {
        self.run(&["local", "stop"]);
    }
}

/// Looks again and again until `look` finds something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let started = cloudscale::clock::instant();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "still waiting for: {what}");
        cloudscale::clock::sleep(Duration::from_millis(20)).await;
    }
}

/// Launches one instance with that user data.
pub async fn launch(clients: &Clients, user_data: &str) -> String {
    use base64::Engine as _;
    let answer = clients
        .ec2
        .run_instances()
        .image_id("ami-0a1b2c3d4e5f60001")
        .instance_type(InstanceType::T2Large)
        .min_count(1)
        .max_count(1)
        .user_data(base64::engine::general_purpose::STANDARD.encode(user_data))
        .send()
        .await
        .unwrap();
    answer.instances()[0].instance_id().unwrap().to_owned()
}

async fn state(clients: &Clients, instance: &str) -> String {
    let answer = clients.ec2.describe_instances().instance_ids(instance).send().await.unwrap();
    answer.reservations()[0].instances()[0].state().unwrap().name().unwrap().as_str().to_owned()
}

async fn until_state(clients: &Clients, instance: &str, wanted: &str) {
    eventually(wanted, || async { (state(clients, instance).await == wanted).then_some(()) }).await;
}

/// Waits until the console says `wanted`; returns all that it says.
pub async fn until_console(region: &LocalRegion, instance: &str, wanted: &str) -> String {
    eventually(wanted, || async {
        let log = String::from_utf8(region.run(&["local", "logs", instance]).stdout).unwrap();
        log.contains(wanted).then_some(log)
    })
    .await
}

async fn until_no_process(region: &LocalRegion) {
    eventually("the end of every process", || async { region.processes().is_empty().then_some(()) }).await;
}

/// A script that daemonises a child, ignores SIGTERM and stays.
const STUBBORN: &str =
    "#!/bin/bash\ntrap '' TERM\nsetsid bash -c 'trap \"\" TERM; while :; do sleep 1; done' &\necho ready\nsleep 1000\n";

#[tokio::test]
async fn an_instance_is_a_process_tree_with_a_console_and_ends_with_all_its_daemons() {
    let region = LocalRegion::started();
    let clients = region.clients();
    let instance = launch(&clients, STUBBORN).await;
    until_state(&clients, &instance, "running").await;
    until_console(&region, &instance, "ready").await;
    assert!(region.processes().len() >= 4, "init, script, daemon and a sleep");
    clients.ec2.terminate_instances().instance_ids(&instance).send().await.unwrap();
    until_state(&clients, &instance, "terminated").await;
    assert_eq!(region.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn what_instances_leave_on_disk_is_their_owners_and_goes_with_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let region = LocalRegion::started();
    let clients = region.clients();
    let secret = "#!/bin/bash\necho the token is s3cr3t\nsleep 1000\n";
    let (ended, left) = (launch(&clients, secret).await, launch(&clients, secret).await);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = |instance: &str| region.home().join("instances").join(instance);
    for instance in [&ended, &left] {
        until_console(&region, instance, "s3cr3t").await;
        assert_eq!(mode(&folder(instance)), 0o700);
        assert_eq!(mode(&folder(instance).join("user-data")) & 0o077, 0);
        assert_eq!(mode(&folder(instance).join("console.log")) & 0o007, 0);
    }
    assert_eq!(mode(&region.home().join("region.log")) & 0o007, 0);

    clients.ec2.stop_instances().instance_ids(&left).send().await.unwrap();
    until_state(&clients, &left, "stopped").await;
    assert!(folder(&left).is_dir(), "a stopped instance keeps what it has");
    clients.ec2.terminate_instances().instance_ids(&ended).send().await.unwrap();
    until_state(&clients, &ended, "terminated").await;
    assert!(!folder(&ended).exists());
    assert!(region.run(&["local", "stop"]).status.success());
    assert!(!region.home().join("instances").exists());
}

#[tokio::test]
async fn a_console_cannot_play_with_the_terminal_unless_it_is_asked_for_raw() {
    let region = LocalRegion::started();
    let clients = region.clients();
    let script = "#!/bin/bash\nprintf 'a\\033[2Jb\\302\\233c\\342\\200\\256d\\n'\n";
    let instance = launch(&clients, script).await;
    let log = until_console(&region, &instance, "exited with 0").await;
    assert!(log.starts_with("a?[2Jb·c\u{fffd}d\n"), "{log:?}");
    let raw = String::from_utf8(region.run(&["local", "logs", "--raw", &instance]).stdout).unwrap();
    assert!(raw.starts_with("a\u{1b}[2Jb\u{9b}c\u{202e}d\n"), "{raw:?}");
}

#[tokio::test]
async fn instances_find_the_program_whatever_its_file_is_called() {
    let region = LocalRegion::none();
    let folder = tempfile::tempdir().unwrap();
    let downloaded = folder.path().join("cloudscale-x86_64-linux");
    std::fs::copy(env!("CARGO_BIN_EXE_cloudscale"), &downloaded).unwrap();
    let started = region.command_of(&downloaded, &["local", "start"]).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    let instance = launch(&region.clients(), "#!/bin/bash\ncloudscale --version\n").await;
    let log = until_console(&region, &instance, "user data exited with 0").await;
    assert!(log.starts_with(concat!("cloudscale ", env!("CARGO_PKG_VERSION"))), "{log}");
}

#[tokio::test]
async fn user_data_that_fails_is_told_by_the_console() {
    let region = LocalRegion::started();
    let clients = region.clients();
    let instance = launch(&clients, "#!/bin/bash\necho before the fall\nexit 7\n").await;
    until_console(&region, &instance, "user data exited with 7").await;
    let output = clients.ec2.get_console_output().instance_id(&instance).send().await.unwrap();
    let output = base64_text(output.output().unwrap());
    assert!(output.starts_with("before the fall\n"), "{output}");
    assert_eq!(state(&clients, &instance).await, "running", "a machine outlives its boot script");
}

fn base64_text(text: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn a_script_learns_who_it_is_from_the_metadata_service() {
    let region = LocalRegion::started();
    let clients = region.clients();
    // bash alone, since curl is not on every machine.
    let script = "#!/bin/bash\n\
        host=${AWS_EC2_METADATA_SERVICE_ENDPOINT#http://}\n\
        ask() { exec 3<>/dev/tcp/${host/:/\\/}; printf '%b\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n' \"$1\" $host >&3; tr -d '\\r' <&3 | tail -n 1; echo; }\n\
        token=$(ask 'PUT /latest/api/token HTTP/1.1\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 60')\n\
        ask \"GET /latest/meta-data/instance-id HTTP/1.1\\r\\nX-aws-ec2-metadata-token: $token\"\n\
        ask \"GET /latest/meta-data/local-ipv4 HTTP/1.1\\r\\nX-aws-ec2-metadata-token: $token\"\n\
        echo in $PWD as $CLOUDSCALE_INSTANCE\n";
    let instance = launch(&clients, script).await;
    let log = until_console(&region, &instance, "user data exited with 0").await;
    let answer = clients.ec2.describe_instances().instance_ids(&instance).send().await.unwrap();
    let address = answer.reservations()[0].instances()[0].private_ip_address().unwrap().to_owned();
    let folder = region.home().join("instances").join(&instance);
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    let place = format!("in {} as {instance}", folder.display());
    assert_eq!(lines[..3], [&*instance, &*address, &*place], "{log}");
}

#[tokio::test]
async fn killing_an_instances_first_process_ends_the_tree_and_impairs_the_instance() {
    let region = LocalRegion::started();
    let clients = region.clients();
    let instance = launch(&clients, STUBBORN).await;
    until_console(&region, &instance, "ready").await;
    let pids = region.processes();
    let init = pids.iter().copied().min().unwrap();
    kill(init);
    until_no_process(&region).await;
    eventually("the failed status check", || async {
        let answer = clients.ec2.describe_instance_status().instance_ids(&instance).send().await.unwrap();
        let status = answer.instance_statuses().first()?.instance_status()?.status()?.as_str().to_owned();
        (status == "impaired").then_some(())
    })
    .await;
    assert_eq!(state(&clients, &instance).await, "running");
}

pub fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn stopping_the_region_leaves_no_process_and_no_port() {
    // The usual port is another region's as soon as it is free.
    let region = LocalRegion::none();
    assert!(region.run(&["local", "start", "--port", "0"]).status.success());
    let clients = region.clients();
    let instance = launch(&clients, STUBBORN).await;
    until_console(&region, &instance, "ready").await;
    let address = region.endpoint().trim_start_matches("http://").to_owned();
    assert!(region.run(&["local", "stop"]).status.success());
    assert_eq!(region.processes(), Vec::<i32>::new());
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_eq!(region.status()["running"], false);
}

#[tokio::test]
async fn the_regions_violent_death_leaves_no_process_and_the_next_start_works() {
    let region = LocalRegion::started();
    let clients = region.clients();
    let instance = launch(&clients, STUBBORN).await;
    until_console(&region, &instance, "ready").await;
    let pid = region.status()["pid"].as_i64().unwrap();
    kill(i32::try_from(pid).unwrap());
    until_no_process(&region).await;
    assert_eq!(region.status()["running"], false, "the record that was left is not believed");
    let started = region.start_again(&[]).await;
    assert!(started.contains("The embedded region started"), "{started}");
    assert_ne!(region.status()["pid"].as_i64().unwrap(), pid);
}

#[tokio::test]
async fn two_starts_at_once_give_one_region() {
    let region = LocalRegion::none();
    let start = || region.command(&["local", "start"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (first, second) = (start(), start());
    let said = |child: std::process::Child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let mut said = [said(first), said(second)];
    said.sort();
    assert!(said[0].contains("runs already") && said[1].contains("started"), "{said:?}");
}

#[tokio::test]
async fn two_homes_are_two_regions_that_share_no_address() {
    let (one, two) = (LocalRegion::started(), LocalRegion::started());
    assert_ne!(one.endpoint(), two.endpoint());
    let mut addresses = Vec::new();
    for region in [&one, &two] {
        let clients = region.clients();
        let instance = launch(&clients, "").await;
        until_state(&clients, &instance, "running").await;
        let answer = clients.ec2.describe_instances().send().await.unwrap();
        assert_eq!(answer.reservations().len(), 1, "each sees its own instance only");
        addresses.push(answer.reservations()[0].instances()[0].private_ip_address().unwrap().to_owned());
    }
    assert_ne!(addresses[0], addresses[1]);
}

#[test]
fn a_taken_port_is_a_problem_with_a_hint() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = LocalRegion::none().run(&["local", "start", "--port", &port]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot be bound") && said.contains("--port"), "{said}");
}
