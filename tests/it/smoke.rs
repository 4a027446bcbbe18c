//! `scripts/smoke` against endpoints that nobody here wrote: what they cannot do is told, and is no success.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::local_region::eventually;
use super::moto::{Answer, Moto, REGION, venv};

const SMOKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/smoke");
/// Where LocalStack and those that stand in for it are looked for.
const EDGE_PORT: u16 = 4566;
/// MiniStack, ended by the end of its standard input.
const MINISTACK: &str = r#"
import os, sys, threading
from ministack.app import main

def follow():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=follow, daemon=True).start()
main()
"#;

struct MiniStack {
    process: Child,
    port: u16,
}

impl MiniStack {
    /// On LocalStack's port where that is free.
    fn start(folder: &Path) -> Self {
        let free = TcpListener::bind(("127.0.0.1", EDGE_PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
        let port = free.and_then(|listener| listener.local_addr()).expect("a free port").port();
        let mut command = Command::new(venv().join("bin/python"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
        command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", "127.0.0.1").env("IOT_MTLS_ENABLED", "0");
        command.args(["-c", MINISTACK]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.current_dir(folder).spawn().expect("MiniStack starts; run scripts/test once");
        Self { process, port }
    }

    /// Serves, or has ended because another took the port first.
    async fn is_up(&mut self) -> bool {
        let Self { process, port } = self;
        let process = std::sync::Mutex::new(process);
        eventually("MiniStack", || async {
            let connected = tokio::net::TcpStream::connect(("127.0.0.1", *port)).await.is_ok();
            let ended = process.lock().expect("no holder panics").try_wait().expect("a child").is_some();
            (ended || connected).then_some(!ended)
        })
        .await
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn smoke(endpoint: &str, region: &str) -> Answer {
    let program = env!("CARGO_BIN_EXE_cloudscale");
    Answer::of(Command::new(SMOKE).args([endpoint, "--region", region, "--program", program]))
}

#[tokio::test]
async fn the_shipped_stacks_pass_on_ministack_but_for_what_it_cannot_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ministack = MiniStack::start(folder.path());
    while !ministack.is_up().await {
        ministack = MiniStack::start(folder.path());
    }
    let told = smoke(&format!("http://127.0.0.1:{}", ministack.port), REGION).ok().stdout;
    assert!(told.trim_end().ends_with(" 0 failed"), "{told}");
    let line = |start: [&str; 3]| told.lines().any(|line| line.split_whitespace().take(3).eq(start));
    assert!(line(["two-clusters", "up", "ok"]) && line(["two-clusters", "down", "ok"]), "{told}");
    assert!(line(["scaling-group", "status", "cannot"]), "its groups have instances that EC2 does not know: {told}");
}

#[test]
fn the_shipped_stacks_pass_on_moto() {
    let moto = Moto::start();
    let told = smoke(moto.endpoint, moto.region).ok().stdout;
    assert!(told.trim_end().ends_with(" 0 failed"), "{told}");
    assert!(told.contains("two-clusters     up again     ok"), "{told}");
}

#[test]
fn an_endpoint_that_is_not_there_is_no_success() {
    let answer = smoke("http://127.0.0.1:9", REGION);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{}", answer.stderr);
    assert!(answer.stderr.contains("does not answer"), "{}", answer.stderr);
}
