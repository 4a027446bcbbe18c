//! moto server: an AWS endpoint that nobody here wrote. As many stories share a process as there are regions: each has one
//! of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The region that `cloudscale` prefers, for stories without moto.
pub const REGION: &str = "us-east-1";
/// Two regions share nothing in moto. All of these have the instance types of the shipped stacks.
const REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "sa-east-1",
];
/// moto's server, ended by the end of its standard input: however the tests end, it ends with them.
const SERVER: &str = r#"
import os, sys, threading
from moto.server import main

def follow():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=follow, daemon=True).start()
main(["-H", "127.0.0.1", "-p", "0"])
"#;

/// The virtual environment with moto and awscli; `scripts/test` makes it and names it.
pub fn venv() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv");
    std::env::var_os("CLOUDSCALE_TEST_VENV").map_or_else(default, PathBuf::from)
}

/// One server process; its standard input stays open as long as the value lives.
struct Server {
    _process: Child,
    endpoint: String,
}

impl Server {
    /// Starts it on a free port and waits until it says where it serves.
    fn start() -> Self {
        let program = venv().join("bin/python");
        let mut process = Command::new(&program)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run scripts/test once", program.display()));
        let mut lines = BufReader::new(process.stderr.take().expect("stderr is piped")).lines();
        let endpoint = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let at = line.find("http://127.0.0.1:")?;
            line[at..].split_whitespace().next().map(str::to_owned)
        });
        let endpoint = endpoint.expect("moto says where it serves");
        // Its log is read to the end, or it would stop when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { _process: process, endpoint }
    }
}

/// An empty region of moto.
pub struct Moto {
    pub endpoint: &'static str,
    pub region: &'static str,
    folder: tempfile::TempDir,
}

impl Moto {
    /// A region that no other story of this test binary has.
    pub fn start() -> Self {
        static SERVERS: Mutex<Vec<&'static Server>> = Mutex::new(Vec::new());
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        while servers.len() <= taken / REGIONS.len() {
            servers.push(Box::leak(Box::new(Server::start())));
        }
        let endpoint = &servers[taken / REGIONS.len()].endpoint;
        let region = REGIONS[taken % REGIONS.len()];
        Self { endpoint, region, folder: tempfile::tempdir().expect("a folder for the story") }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// cloudscale against this region, in a folder and an environment of its own.
    pub fn cloudscale(&self, arguments: &[&str]) -> Answer {
        Answer::of(cloudscale(self.endpoint, self.folder.path()).args(["--region", self.region]).args(arguments))
    }

    /// awscli against this region.
    pub fn aws(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(venv().join("bin/aws"));
        let command = hermetic(&mut command, self.endpoint, self.folder.path());
        Answer::of(command.env("AWS_DEFAULT_REGION", self.region).args(arguments))
    }
}

/// The program under test, with nothing of the user's environment but the path.
pub fn cloudscale(endpoint: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudscale"));
    hermetic(&mut command, endpoint, folder);
    command
}

/// A command with nothing of the user's environment but the path, and with an endpoint that takes any credentials.
pub fn hermetic<'a>(command: &'a mut Command, endpoint: &str, folder: &Path) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("CLOUDSCALE_HOME", folder.join("home"))
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir(folder)
        .stdin(Stdio::null())
}

/// What a command answered.
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the command runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// The answer of a command that must succeed.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// (read, wrote) of the line that `-v` prints.
    pub fn calls(&self) -> (u64, u64) {
        let line = self.stderr.lines().find(|line| line.contains("read calls")).expect("-v tells the calls");
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        (numbers.next().expect("reads"), numbers.next().expect("writes"))
    }
}
