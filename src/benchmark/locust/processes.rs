//! Locust's processes: a master and its workers, in a folder of their own, gone when they are dropped.
//!
//! Each holds the other end of a pipe of ours as its standard input and ends when that closes, however we end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::lines::{self, Told};
use crate::clock;
use crate::files;
use crate::problem::Problem;

/// How long the master has until it listens.
const LISTEN_WITHIN: Duration = Duration::from_secs(60);
/// Of what Locust logs, the end is kept for a problem's text.
const LOG_BYTES_MAX: usize = 2000;
const EXIT_WITHIN: Duration = Duration::from_secs(3);

/// The end of what all processes wrote to their standard error.
type Log = Arc<Mutex<String>>;

pub struct Processes {
    master: Child,
    workers: Vec<Child>,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    log: Log,
    // Removed last.
    _folder: Folder,
}

/// Holds the script, which may know secrets: headers and bodies.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is one script in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Processes {
    /// Starts a master with this script, and workers that fetch it from there; none where the master listens for workers of
    /// other machines.
    pub async fn start(
        python: &Path,
        script: &str,
        workers: usize,
        listen: Option<SocketAddr>,
    ) -> Result<Self, Problem> {
        let name = format!("cloudscale-locust-{}-{}", std::process::id(), clock::now().as_nanosecond());
        let folder = Folder(std::env::temp_dir().join(name));
        let file = folder.0.join("locustfile.py");
        files::write(&file, script.as_bytes())
            .map_err(|error| Problem::new("Cannot write", format!("{}: {error}", file.display())))?;
        let log = Log::default();
        let arguments = [
            "-f",
            "locustfile.py",
            "--master",
            "--headless",
            "--only-summary",
            "--exit-code-on-error",
            "0",
            "--loglevel",
            "WARNING",
        ];
        let place = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut master = command(python, &folder.0);
        master.args(arguments).args(["--master-bind-host", &place.ip().to_string()]);
        master.args(["--master-bind-port", &place.port().to_string(), "--expect-workers", &workers.to_string()]);
        let mut master = master.spawn().map_err(not_started)?;
        keep_log(master.stderr.take(), &log);
        let input = master.stdin.take();
        let output = BufReader::new(master.stdout.take().expect("it is piped")).lines();
        let mut processes = Self { master, workers: Vec::new(), input, output, log, _folder: folder };
        let port = processes.port().await?;
        for _ in 0..if listen.is_none() { workers } else { 0 } {
            let arguments =
                ["-f", "-", "--worker", "--master-host", "127.0.0.1", "--loglevel", "WARNING", "--master-port"];
            let mut worker = command(python, &processes._folder.0);
            // Its standard input stays with it, open, until the end.
            let worker = worker.args(arguments).arg(port.to_string()).stdout(Stdio::null()).spawn();
            let mut worker = worker.map_err(not_started)?;
            keep_log(worker.stderr.take(), &processes.log);
            processes.workers.push(worker);
        }
        Ok(processes)
    }

    async fn port(&mut self) -> Result<u16, Problem> {
        let listening = async {
            loop {
                match self.next_line().await {
                    Some(Told::Listening(port)) => return Some(port),
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        let port = tokio::select! {
            port = listening => port,
            () = clock::sleep(LISTEN_WITHIN) => None,
        };
        match port {
            Some(port) => Ok(port),
            None => Err(Problem::new("Locust did not begin", self.end().await)),
        }
    }

    /// What the master tells next; `None` when it has ended. A line that cannot be read is noted in the log.
    pub async fn next_line(&mut self) -> Option<Told> {
        while let Ok(Some(line)) = self.output.next_line().await {
            match lines::read(&line) {
                Some(Ok(told)) => return Some(told),
                Some(Err(error)) => note(&self.log, &format!("a line of Locust's cannot be read: {error}\n")),
                None => {}
            }
        }
        None
    }

    /// Tells the master; one that has ended is heard of by its output.
    pub async fn say(&mut self, words: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(format!("{words}\n").as_bytes()).await;
        }
    }

    /// Ends all processes, and answers the last of what they logged.
    pub async fn end(&mut self) -> String {
        self.input = None;
        for child in std::iter::once(&mut self.master).chain(&mut self.workers) {
            child.stdin.take();
            tokio::select! {
                _ = child.wait() => {}
                () = clock::sleep(EXIT_WITHIN) => {
                    // One that has ended meanwhile needs no end.
                    let _ = child.kill().await;
                }
            }
        }
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    }
}

fn command(python: &Path, folder: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "locust"]).current_dir(folder);
    // Neither the user's own settings nor those of the folder are meant for this.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOCUST_") {
            command.env_remove(name);
        }
    }
    // Packages that a user has installed for themselves stay where they are.
    if let Some(home) = std::env::var_os("HOME").filter(|_| std::env::var_os("PYTHONUSERBASE").is_none()) {
        command.env("PYTHONUSERBASE", Path::new(&home).join(".local"));
    }
    command.env("HOME", folder).env("CLOUDSCALE_PARENT", "1").env("PYTHONUNBUFFERED", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn not_started(error: std::io::Error) -> Problem {
    Problem::new("Locust did not begin", error.to_string())
}

fn keep_log(output: Option<impl AsyncRead + Unpin + Send + 'static>, log: &Log) {
    let Some(output) = output else { return };
    let log = log.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            note(&log, &format!("{line}\n"));
        }
    });
}

fn note(log: &Log, text: &str) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.push_str(text);
    let mut from = log.len().saturating_sub(LOG_BYTES_MAX);
    while !log.is_char_boundary(from) {
        from += 1;
    }
    log.drain(..from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_logged_the_end_is_kept_and_no_character_is_cut() {
        let log = Log::default();
        note(&log, "begin ");
        note(&log, &"é".repeat(LOG_BYTES_MAX / 2 - 1));
        note(&log, "x");
        let kept = log.lock().unwrap().clone();
        assert_eq!(kept.len(), LOG_BYTES_MAX);
        // The cut would fall into a letter of two bytes.
        note(&log, "yz");
        let kept = log.lock().unwrap().clone();
        assert_eq!(kept.len(), LOG_BYTES_MAX - 1);
        assert!(kept.starts_with('é') && kept.ends_with("éxyz"), "{kept}");
    }
}
