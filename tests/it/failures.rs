//! Bad input and failure, as a user meets them: what is said, with which exit code, and that nothing is lost.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::local_region::LocalRegion;
use crate::moto::{Answer, cloudscale};

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/two-clusters.yaml");

/// A stack of one instance with that user data.
fn small_stack(folder: &Path, user_data: &str) -> String {
    std::fs::write(folder.join("boot.sh"), user_data).unwrap();
    let check = "{path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}";
    let text = format!(
        "name: fails\nclusters:\n  web:\n    instance_type: t2.large\n    instances: 1\n    user_data: boot.sh\n    \
         port: 8080\n    routes: [\"/web\"]\n    health_check: {check}\n"
    );
    let file = folder.join("fails.yaml");
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// `diff` of the laboratory on an endpoint that answers every call with `status` and `body`.
fn diff_against(status: u16, body: &'static str) -> Answer {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    std::thread::spawn(move || socket.incoming().map_while(Result::ok).for_each(|stream| refuse(stream, status, body)));
    let folder = tempfile::tempdir().unwrap();
    Answer::of(cloudscale(&endpoint, folder.path()).args(["--provider", "aws", "diff", LAB]))
}

fn refuse(mut stream: TcpStream, status: u16, body: &str) {
    let mut request = vec![0; 64 * 1024];
    let mut length = 0;
    // Every call's body names the version of its API.
    while !String::from_utf8_lossy(&request[..length]).contains("Version=") {
        match stream.read(&mut request[length..]) {
            Ok(count) if count > 0 => length += count,
            _ => return,
        }
    }
    let head = format!("HTTP/1.1 {status} No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // The client may be gone: it needs one refusal only.
    let _ = stream.write_all((head + body).as_bytes());
}

fn assert_says(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.code, Some(code), "{}", answer.stderr);
    // Words may stand on two lines.
    let said = answer.stderr.replace("\n  | ", " ").replace("\n        ", " ");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn a_profile_that_is_not_there_is_named_even_beside_keys_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = cloudscale("http://127.0.0.1:9", folder.path());
    let answer = Answer::of(command.args(["--provider", "aws", "--profile", "nope", "diff", LAB]));
    assert_says(&answer, 1, &["No AWS credentials", "no profile `nope`"]);
}

#[test]
fn half_a_key_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = cloudscale("http://127.0.0.1:9", folder.path());
    command.env_remove("AWS_SECRET_ACCESS_KEY").args(["--provider", "aws", "diff", LAB]);
    assert_says(&Answer::of(&mut command), 1, &["No AWS credentials", "no AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn a_page_that_is_not_awss_is_told_apart() {
    let answer = diff_against(404, "<html>please log in</html>");
    assert_says(&answer, 1, &["The endpoint did not return an AWS response", "HTTP 404", "AWS_ENDPOINT_URL"]);
}

#[test]
fn user_data_that_fails_is_in_the_error_of_up_and_nothing_is_rolled_back() {
    let region = LocalRegion::none();
    let folder = tempfile::tempdir().unwrap();
    let stack = small_stack(folder.path(), "#!/bin/bash\necho installing\necho no such package >&2\nexit 1\n");
    let run = |arguments: &[&str]| Answer::of(region.command(arguments).current_dir(folder.path()));
    let up = run(&["up", &stack, "--timeout", "3s"]);
    assert_says(&up, 1, &["Targets are not healthy", "0 of 1 healthy", "GET /health on port 8080", "no such package"]);
    assert!(up.stderr.contains("user data exited with 1"), "{}", up.stderr);
    let status = run(&["status", &stack, "--json"]).ok().json();
    assert_eq!(status["clusters"][0]["instances"][0]["state"], "running");
    run(&["down", &stack]).ok();
}

#[test]
fn a_cluster_that_is_not_there_gets_did_you_mean() {
    let region = LocalRegion::none();
    let folder = tempfile::tempdir().unwrap();
    let stack = small_stack(folder.path(), "#!/bin/bash\n");
    let answer = Answer::of(region.command(&["scale", "wep", "2", &stack]).current_dir(folder.path()));
    assert_says(&answer, 2, &["No such cluster", "`wep`", "did you mean `web`?"]);
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = cloudscale("http://127.0.0.1:9", folder.path());
    let output = command.arg("schema").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
}

#[test]
fn files_as_other_editors_write_them_are_read_or_refused_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let lab = std::fs::read_to_string(LAB).unwrap().replace("../", concat!(env!("CARGO_MANIFEST_DIR"), "/"));
    let validate = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        Answer::of(cloudscale("http://127.0.0.1:9", folder.path()).args(["validate", name]))
    };
    validate("windows.yaml", &lab.replace('\n', "\r\n")).ok();
    validate("mark.yaml", &format!("\u{feff}{lab}")).ok();
    let tabs = validate("tabs.yaml", &lab.replace("    instances: 4", "\tinstances: 4"));
    assert_says(&tabs, 2, &["Not valid YAML", "YAML does not allow tabs"]);
    let merge = validate("merge.yaml", &lab.replace("  heavy:\n", "  heavy:\n    <<: {}\n"));
    assert_says(&merge, 2, &["Unknown key", "keys are not merged here"]);
    let crlf = validate("typo.yaml", &lab.replace("instances: 4", "instnces: 4").replace('\n', "\r\n"));
    assert_says(&crlf, 2, &["did you mean `instances`?"]);
    assert!(!crlf.stderr.contains("4?"), "{}", crlf.stderr);
    assert_says(&validate("comments.yaml", "# nothing\n"), 2, &["The file is empty"]);
}

/// All of a text on one line, without the margin of problems.
fn flat(text: &str) -> String {
    text.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_needs_the_name_only_goes_on_without_the_script_and_with_a_mistake_elsewhere() {
    let region = LocalRegion::started();
    let folder = tempfile::tempdir().unwrap();
    let file = small_stack(folder.path(), "#!/bin/bash\nexec cloudscale workload --port 8080\n");
    let run = |arguments: &[&str]| Answer::of(region.command(arguments).arg(&file).current_dir(folder.path()));
    run(&["up"]).ok();
    let url = run(&["output"]).ok().stdout;
    std::fs::remove_file(folder.path().join("boot.sh")).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("routes:", "ruotes:")).unwrap();
    for command in [&["output"][..], &["status"], &["status", "--json"], &["output", "--json"]] {
        let answer = run(command).ok();
        let said = flat(&answer.stderr);
        assert!(answer.stdout.contains(url.trim()), "{command:?}: {}", answer.stdout);
        assert!(
            said.contains("boot.sh") && said.contains("ruotes") && said.contains("Continuing with the stack's name"),
            "{said}"
        );
    }
    // What needs the whole file still does.
    assert_eq!(run(&["diff"]).code, Some(2));
    let down = run(&["down", "--yes"]).ok();
    assert!(
        down.stdout.contains("fails: nothing left") && flat(&down.stderr).contains("Continuing with the stack's name")
    );
    // A name that is in doubt is no name.
    std::fs::write(&file, text.replace("name: fails", "name: Fails!")).unwrap();
    assert_eq!(run(&["down", "--yes"]).code, Some(2));
}

#[test]
fn an_up_that_waits_notices_that_its_stack_is_taken_down() {
    let region = LocalRegion::started();
    let folder = tempfile::tempdir().unwrap();
    // It never serves.
    let file = small_stack(folder.path(), "#!/bin/bash\nexec sleep 1000\n");
    let mut up = region.command(&["up", &file]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(up.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("0 of 1 healthy") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0, "it waits");
    }
    let began = cloudscale::clock::instant();
    Answer::of(&mut region.command(&["down", "--yes", &file])).ok();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(1));
    assert!(flat(&rest).contains("The stack is gone: the target group of cluster.web was there"), "{rest}");
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "and not at the end of its ten minutes");
}
