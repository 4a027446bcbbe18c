//! `cloudscale instance-init`: the first process of an instance, its PID 1.
//!
//! It is the *subreaper* of everything that the user data starts, so a daemon that forks itself away stays below it. Its
//! standard input is a pipe whose other end only the region holds: when that end closes (the region asks for the end, or
//! died, even by `kill -9`), it ends every process below it and then itself. It outlives the user data: a machine does
//! not stop because its boot script is done.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::console::{Console, noted};
use super::tree;
use crate::platform::processes::{self, End, Ended};

/// How long the processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long after a SIGKILL we look again for what it missed.
const AGAIN: Duration = Duration::from_millis(50);
/// How often: a process that ten seconds of SIGKILL do not end hangs in the kernel.
const KILLS_MAX: u32 = 200;

/// The file of an instance's folder that holds its user data.
pub const USER_DATA_FILE: &str = "user-data";

/// Set when no process is left below us.
#[derive(Default)]
struct Childless {
    yes: Mutex<bool>,
    changed: Condvar,
}

impl Childless {
    fn set(&self) {
        *self.yes.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it is so within `bound`.
    fn wait(&self, bound: Duration) -> bool {
        let yes = self.yes.lock().unwrap_or_else(PoisonError::into_inner);
        *self.changed.wait_timeout_while(yes, bound, |yes| !*yes).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Boots the instance of `folder`; returns when every process below is gone and standard input is closed.
pub fn run(folder: &Path) -> io::Result<()> {
    processes::lead_tree()?;
    let mut console = Console::open(folder)?;
    let (reader, writer) = io::pipe()?;
    let copier = std::thread::spawn(move || copy(reader, &mut console));
    let mut script = boot(folder, writer)?;

    let childless = Arc::new(Childless::default());
    let ender = {
        let childless = Arc::clone(&childless);
        std::thread::spawn(move || {
            wait_for_the_end();
            end_everything(&childless);
        })
    };
    // Until no child is left; as the subreaper we are then alone, and nothing can start any more.
    while let Some(ended) = processes::wait_for_any() {
        if let Some(mut script) = script.take_if(|script| script.pid == ended.pid) {
            script.output.write_all(noted(&outcome(ended)).as_bytes())?;
        }
    }
    childless.set();
    let _ = copier.join();
    let _ = ender.join();
    Ok(())
}

/// The running user data.
struct Script {
    pid: i32,
    /// Where its output goes. What we say about it takes the same way, so it comes after all that it printed.
    output: io::PipeWriter,
}

/// Starts the user data, or says in `output` why not.
fn boot(folder: &Path, mut output: io::PipeWriter) -> io::Result<Option<Script>> {
    let user_data = std::fs::read(folder.join(USER_DATA_FILE))?;
    let problem = match interpreter(&user_data) {
        Some(command) => match start(command, folder, &output) {
            Ok(pid) => return Ok(Some(Script { pid, output })),
            Err(error) => format!("user data could not start: {error}"),
        },
        None if user_data.is_empty() => return Ok(None),
        None => "user data is not a script (it does not begin with #!): ignored".to_owned(),
    };
    output.write_all(noted(&problem).as_bytes())?;
    Ok(None)
}

/// How cloud-init reads a script: its `#!` line names the interpreter and at most one argument; bash where it names none.
fn interpreter(user_data: &[u8]) -> Option<Vec<OsString>> {
    let line = user_data.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?.trim_ascii();
    if line.is_empty() {
        return Some(vec!["/bin/bash".into()]);
    }
    let (program, argument) = match line.iter().position(u8::is_ascii_whitespace) {
        Some(end) => (&line[..end], line[end..].trim_ascii()),
        None => (line, &b""[..]),
    };
    let words = [program, argument].into_iter().filter(|word| !word.is_empty());
    Some(words.map(processes::word).collect())
}

/// Starts the script; both its outputs go to `console`.
fn start(command: Vec<OsString>, folder: &Path, console: &io::PipeWriter) -> io::Result<i32> {
    let mut words = command.into_iter();
    let program = words.next().unwrap_or_default();
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", program.display()));
    let child = Command::new(&program)
        .args(words)
        .arg(folder.join(USER_DATA_FILE))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console.try_clone()?)
        .spawn()
        .map_err(named)?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

fn outcome(ended: Ended) -> String {
    match (ended.code, ended.signal) {
        (Some(code), _) => format!("user data exited with {code}"),
        (None, Some(signal)) => format!("user data was ended by signal {signal}"),
        (None, None) => "user data ended".to_owned(),
    }
}

/// Copies the script's output to the console until no process has it open. When the disk is full the output is lost,
/// but the script goes on.
fn copy(mut reader: io::PipeReader, console: &mut Console) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let _ = console.write(&buffer[..count]);
    }
}

/// Returns when the region closes our standard input.
fn wait_for_the_end() {
    let mut input = io::stdin().lock();
    let mut buffer = [0; 64];
    while let Ok(1..) = input.read(&mut buffer) {}
}

fn end_everything(childless: &Childless) {
    let own = processes::own_id();
    let end = |how| tree::end_all(tree::descendants(&tree::snapshot(), own), how);
    end(End::Asked);
    if childless.wait(GRACE) {
        return;
    }
    for _ in 0..KILLS_MAX {
        end(End::Forced);
        if childless.wait(AGAIN) {
            return;
        }
    }
    // Nothing more can be done from here, and the main thread would wait for ever.
    std::process::exit(1);
}

/// Says on the console why the instance does not boot.
pub fn report(folder: &Path, error: &io::Error) {
    if let Ok(mut console) = Console::open(folder) {
        let _ = console.write(noted(&format!("the instance's first process failed: {error}")).as_bytes());
    }
}

/// Writes the user data into the instance's folder.
pub fn write_user_data(folder: &Path, user_data: &[u8]) -> io::Result<()> {
    // Only its owner reads it: user data often holds secrets.
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    processes::private_program(&mut options);
    options.open(folder.join(USER_DATA_FILE))?.write_all(user_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(user_data: &str) -> Option<Vec<String>> {
        interpreter(user_data.as_bytes()).map(|words| words.into_iter().map(|w| w.into_string().unwrap()).collect())
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        let list = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words("#!/bin/bash\necho"), list(&["/bin/bash"]));
        assert_eq!(words("#!/bin/bash -xe\r\necho"), list(&["/bin/bash", "-xe"]));
        assert_eq!(words("#! /usr/bin/env python3\n"), list(&["/usr/bin/env", "python3"]));
        assert_eq!(words("#!\necho"), list(&["/bin/bash"]));
        assert_eq!(words("echo no script"), None);
        assert_eq!(words(""), None);
    }
}
