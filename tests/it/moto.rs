//! moto server: an AWS endpoint that nobody here wrote, one process for each story.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The virtual environment with moto and awscli; `scripts/test` makes it and names it.
pub fn venv() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv");
    std::env::var_os("CLOUDSCALE_TEST_VENV").map_or_else(default, PathBuf::from)
}

/// A running moto server; it ends with this value.
pub struct Moto {
    process: Child,
    pub endpoint: String,
    folder: tempfile::TempDir,
}

impl Moto {
    /// Starts one on a free port and waits until it says where it serves.
    pub fn start() -> Self {
        let program = venv().join("bin/moto_server");
        let mut process = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
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
        Self { process, endpoint, folder: tempfile::tempdir().expect("a folder for the story") }
    }

    /// cloudscale against this server, in a folder and an environment of its own.
    pub fn cloudscale(&self, arguments: &[&str]) -> Answer {
        Answer::of(cloudscale(&self.endpoint, self.folder.path()).args(arguments))
    }

    /// awscli against this server.
    pub fn aws(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(venv().join("bin/aws"));
        Answer::of(hermetic(&mut command, &self.endpoint, self.folder.path()).args(arguments))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
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
        .env("AWS_DEFAULT_REGION", "us-east-1")
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
        let line = self.stderr.lines().find(|line| line.contains("calls read")).expect("-v tells the calls");
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        (numbers.next().expect("reads"), numbers.next().expect("writes"))
    }
}
