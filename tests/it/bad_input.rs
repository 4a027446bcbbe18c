//! What people type, and what servers do: a clear problem, and what was measured so far is written.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::moto::Answer;
use super::raw_server;

/// So many requests are answered before a server shows its character.
const GOOD: u32 = 20;
/// Everything here is over within this.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum Character {
    Closes,
    Hangs,
    /// A body of 1 GB, with its length before it.
    Huge,
    /// The same in chunks.
    HugeInChunks,
    NoHttp,
}

const GIGABYTE: usize = 1 << 30;
const PIECE: usize = 1 << 20;

/// Serves until the end of the tests; `good` requests are answered well first.
fn server(character: Character, good: u32) -> String {
    let asked = AtomicU32::new(0);
    let is_good = move || asked.fetch_add(1, Ordering::Relaxed) < good;
    format!("{}/", raw_server::start(move |stream| serve(stream, character, &is_good)))
}

fn serve(mut stream: TcpStream, character: Character, is_good: impl Fn() -> bool) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        raw_server::head(&mut reader)?;
        if is_good() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok()?;
            continue;
        }
        match character {
            Character::Closes => return None,
            // Until the client goes.
            Character::Hangs => return reader.read_line(&mut String::new()).ok().map(|_| ()),
            Character::Huge => {
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {GIGABYTE}\r\n\r\n").as_bytes()).ok()?;
                for _ in 0..GIGABYTE / PIECE {
                    stream.write_all(&vec![b'x'; PIECE]).ok()?;
                }
            }
            Character::HugeInChunks => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
                let piece = [format!("{PIECE:x}\r\n").as_bytes(), &vec![b'x'; PIECE], b"\r\n"].concat();
                for _ in 0..GIGABYTE / PIECE {
                    stream.write_all(&piece).ok()?;
                }
            }
            Character::NoHttp => return stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").ok(),
        }
    }
}

/// Answers TLS with a certificate that nobody has signed.
fn stranger() -> String {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        config.expect("versions").with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private);
    let config = Arc::new(config.expect("a certificate and its key"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(config.clone()).expect("a connection");
            // The client hangs up in the middle of it.
            let _ = rustls::Stream::new(&mut connection, &mut stream).read(&mut [0; 1]);
        }
    });
    format!("https://{address}/")
}

struct Bench {
    answer: Answer,
    folder: tempfile::TempDir,
}

/// In a folder of its own, for two seconds at most.
fn bench(url: &str, more: &[&str]) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudscale"));
    let arguments = ["bench", "--json", "--workers", "1", "-c", "4", "--url", url];
    command.env_clear().env("HOME", folder.path()).current_dir(folder.path()).stdin(Stdio::null());
    let started = cloudscale::clock::instant();
    let answer =
        Answer::of(command.args(arguments).args(if more.is_empty() { &["-d", "2s", "--timeout", "1s"] } else { more }));
    assert!(started.elapsed() < PATIENCE, "it took {:?}", started.elapsed());
    Bench { answer, folder }
}

impl Bench {
    /// A problem before anything is sent: a clear sentence, and no empty run is left.
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.answer.code, Some(code), "{}", self.answer.stderr);
        // A terminal's width breaks lines.
        let text: String =
            self.answer.stderr.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
        let runs = self.runs();
        assert!(runs.is_empty(), "{runs:?}");
    }

    /// A run that failed on the way: its record has what went well before, and what failed by its name.
    fn measured(&self, kind: &str) {
        assert_eq!(self.answer.code, Some(4), "{}", self.answer.stderr);
        let record = self.answer.json();
        let target = &record["targets"][0];
        assert_eq!(record["verdict"], "missed");
        let kinds: Vec<_> = target["errors_by_kind"].as_object().expect("kinds").keys().collect();
        assert_eq!(kinds, [kind], "{target}");
        // One of those that went well was the first look.
        assert_eq!(target["status"]["200"].as_u64(), Some(u64::from(GOOD) - 1), "{target}");
        assert!(target["latency_ms"]["p50"].as_f64() > Some(0.0), "{target}");
        let runs = self.runs();
        let [run] = &runs[..] else { panic!("{runs:?}") };
        let kept: Value = serde_json::from_slice(&std::fs::read(run.join("result.json")).expect("kept")).expect("JSON");
        assert_eq!(kept, record);
        assert!(std::fs::read_to_string(run.join("report.html")).expect("a page").contains(kind));
    }

    fn runs(&self) -> Vec<std::path::PathBuf> {
        let found = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let stacks = found(&self.folder.path().join(".cloudscale"));
        stacks.flat_map(|stack| found(&stack.join("runs")).collect::<Vec<_>>()).collect()
    }
}

#[test]
fn a_url_that_cannot_be_loaded_is_a_problem_with_its_cause() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    bench(&format!("http://{free}/"), &[]).refused(1, &["The URL does not answer", "Connection refused", "curl -v"]);
    bench("http://nobody.invalid/", &[]).refused(1, &["The URL does not answer", "lookup"]);
    bench("ftp://127.0.0.1/", &[]).refused(2, &["Not a URL that can be loaded"]);
    bench(&server(Character::Closes, 0), &[])
        .refused(1, &["The URL does not answer", "the connection broke before an answer"]);
    bench(&server(Character::Hangs, 0), &[]).refused(1, &["The URL does not answer", "no answer within 1 s"]);
    bench(&server(Character::Huge, 0), &[]).refused(1, &["The URL does not answer", "larger than 64 MiB"]);
    bench(&server(Character::NoHttp, 0), &[]).refused(1, &["The URL does not answer", "not HTTP/1.1"]);
    bench(&stranger(), &[]).refused(1, &["The URL does not answer", "no TLS", "UnknownIssuer", "SSL_CERT_FILE"]);
}

#[test]
fn a_server_that_turns_bad_costs_no_measurement() {
    bench(&server(Character::Closes, GOOD), &[]).measured("reset");
    bench(&server(Character::Hangs, GOOD), &[]).measured("timeout");
    bench(&server(Character::Huge, GOOD), &[]).measured("size");
    bench(&server(Character::HugeInChunks, GOOD), &["-n", "22", "--timeout", "20s"]).measured("size");
    bench(&server(Character::NoHttp, GOOD), &[]).measured("protocol");
}

#[test]
fn a_rate_that_cannot_be_is_refused_on_the_command_line_and_in_a_scenario() {
    for (rate, words) in
        [("2000000/s", "up to 1000000/s can"), ("100", "write for example 500/s"), ("-5/s", "--rate"), ("0/s", "0/s")]
    {
        bench("http://127.0.0.1:1/", &[&format!("--rate={rate}")]).refused(2, &[words]);
    }
}

/// What `validate` says of a scenario in a folder with these files.
fn validate(scenario: &str, files: &[(&str, &[u8])]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    std::fs::write(folder.path().join("load.yaml"), scenario).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudscale"));
    command.env_clear().env("HOME", folder.path()).current_dir(folder.path()).stdin(Stdio::null());
    let answer = Answer::of(command.args(["validate", "load.yaml"]));
    assert_eq!(answer.code, Some(2), "{scenario}: {}", answer.stderr);
    answer.stderr.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
}

#[test]
fn files_that_a_scenario_names_are_read_before_anything_is_sent() {
    let refused = |scenario: &str, files: &[(&str, &[u8])], words: &str| {
        let text = validate(scenario, files);
        assert!(text.contains(words), "no {words:?} in {text}");
    };
    refused("name: a\nphases: [{rate: 5000000/s, duration: 5s}]\n", &[], "An impossible rate: 5000000/s");
    refused("name: a\nphases: [{rate: 0/s, duration: 5s}]\n", &[], "The scenario sends nothing");

    let with_data = "name: a\ndata: users.csv\nrequests: [{name: one, path: '/${csv.user}'}]\nphases: [{rate: 5/s, duration: 5s}]\n";
    refused(with_data, &[], "users.csv");
    refused(with_data, &[("users.csv", b"")], "users.csv");
    refused(with_data, &[("users.csv", b"user\n")], "users.csv");
    refused(with_data, &[("users.csv", b"\xff\xfe\x00\x01")], "users.csv");
    refused(with_data, &[("users.csv", b"name\nana\n")], "user");

    let curve = "name: a\nphases: [{curve: day.csv}]\n";
    refused(curve, &[("day.csv", b"")], "day.csv");
    refused(curve, &[("day.csv", b"second,rate\n0,ten\n")], "day.csv");

    let replay = "name: a\nphases: [{replay: access.log}]\n";
    let common = b"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a.gif HTTP/1.0\" 200 2326\n";
    refused(replay, &[("access.log", common)], "line 1 is none of a load balancer's access log");
    refused(replay, &[("access.log", b"")], "it has no request");
    refused(replay, &[], "access.log");
}
