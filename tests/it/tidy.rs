//! The rules of the house, as tests: what a model may name, who prints, how files are called and how long they are.

use std::fs;
use std::path::Path;

use crate::sources::{collect, without_tests};

/// Longer files want splitting by noun.
const LINES_MAX: usize = 600;

struct SourceFile {
    path: String,
    /// Without what is for tests only.
    code: String,
    lines: usize,
}

fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 50, "the walk finds the sources");
    files
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("sources are UTF-8");
            let code = without_tests(&text);
            let path = path.strip_prefix(&root).expect("found under src").to_string_lossy().replace('\\', "/");
            SourceFile { path, lines: text.lines().count(), code }
        })
        .collect()
}

/// Lines of code, without comments, that name one of `words`.
fn naming<'a>(file: &'a SourceFile, words: &[&str]) -> Vec<&'a str> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    file.code.lines().filter(is_code).filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

fn complain(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn models_name_no_runtime_no_socket_no_clock_and_no_randomness() {
    let words = ["tokio::", "std::net::Tcp", "hyper::", "std::process", "std::fs", "clock::", "fastrand::"];
    let broken: Vec<String> = sources()
        .iter()
        .filter(|file| file.path.ends_with("model.rs"))
        .flat_map(|file| naming(file, &words).into_iter().map(|line| format!("{}: {}", file.path, line.trim())))
        .collect();
    complain("a model decides; shells act", &broken);
}

#[test]
fn services_of_the_region_do_not_import_each_other() {
    let services = ["ec2", "elbv2", "autoscaling", "cloudwatch", "ssm", "sts"];
    let mut broken = Vec::new();
    for file in sources() {
        let Some(service) = services.iter().find(|name| file.path.starts_with(&format!("region/{name}/"))) else {
            continue;
        };
        for other in services.iter().filter(|other| *other != service) {
            let words = [format!("region::{other}::"), format!("super::{other}::"), format!("super::super::{other}")];
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            broken.extend(naming(&file, &words).into_iter().map(|line| format!("{}: {}", file.path, line.trim())));
        }
    }
    complain("services talk through signals and facts", &broken);
}

#[test]
fn only_ui_prints() {
    let words = ["println!", "print!(", "io::stdout()", "io::stderr()"];
    let broken: Vec<String> = sources()
        .iter()
        .filter(|file| !file.path.starts_with("ui/") && !file.path.contains("/tests/"))
        .flat_map(|file| naming(file, &words).into_iter().map(|line| format!("{}: {}", file.path, line.trim())))
        .collect();
    complain("printing is the job of src/ui", &broken);
}

#[test]
fn only_platform_names_an_operating_system() {
    let words = ["rustix::", "std::os::", "signal::unix", "\"/proc", "target_os", "cfg(unix)"];
    let broken: Vec<String> = sources()
        .iter()
        .filter(|file| !file.path.starts_with("platform/") && !file.path.contains("/tests/"))
        .flat_map(|file| naming(file, &words).into_iter().map(|line| format!("{}: {}", file.path, line.trim())))
        .collect();
    complain("what only some systems have stands behind src/platform", &broken);
}

#[test]
fn only_yaml_names_the_yaml_library() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|file| file.path != "document/yaml.rs" && !naming(file, &["serde_saphyr"]).is_empty())
        .map(|file| file.path.clone())
        .collect();
    complain("the YAML library is named in one file", &broken);
}

#[test]
fn files_are_short_and_named_after_what_they_hold() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc"];
    let mut broken = Vec::new();
    for file in sources() {
        if file.lines > LINES_MAX {
            broken.push(format!("{} has {} lines; at most {LINES_MAX}", file.path, file.lines));
        }
        if file.path.split(['/', '.']).any(|part| vague.contains(&part)) {
            broken.push(format!("{}: the name says nothing", file.path));
        }
    }
    complain("a newcomer finds the room by its name", &broken);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let broken: Vec<String> =
        sources().iter().filter(|file| !file.code.starts_with("//!")).map(|file| file.path.clone()).collect();
    complain("module docs open with the idea", &broken);
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX", "TODO"];
    let mut broken = Vec::new();
    for file in sources() {
        broken.extend(
            file.code
                .lines()
                .filter(|line| words.iter().any(|word| line.contains(word)))
                .map(|line| format!("{}: {}", file.path, line.trim())),
        );
    }
    complain("no stub and no placeholder", &broken);
}
