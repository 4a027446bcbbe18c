//! The scripts are read by the languages that they are written in, where this machine has them.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::*;
use super::{SCENARIO, scenario};

/// Whether a tool of this machine accepts a file; says so where there is none.
fn accepts(program: &str, arguments: &[&str], file: &str, text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    std::fs::write(&path, text).expect("written");
    match Command::new(program).args(arguments).arg(&path).stdin(Stdio::null()).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("{program} is not here, so nobody read {file}: {error}"),
    }
}

#[test]
fn every_tools_language_accepts_its_script() {
    let laboratory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/log8415.yaml");
    let laboratory = crate::benchmark::language::load(&laboratory).expect("the shipped scenario");
    for scenario in [scenario(SCENARIO), laboratory] {
        let script = |tool| export(&scenario, "http://127.0.0.1:8080/app/", tool).text;
        accepts("node", &["--check"], "script.mjs", &script(Tool::K6));
        accepts("python3", &["-m", "py_compile"], "script.py", &script(Tool::Locust));
        accepts("sh", &["-n"], "script.sh", &script(Tool::Oha));
    }
}
