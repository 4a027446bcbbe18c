//! The map in `src/lib.rs` holds: imports run down the layers, and no two files of a folder import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cloudscale::resources::TYPES;

use crate::sources::{collect, without_tests};

/// Layers that the embedded region may not know: it stands in for AWS, and shares nothing with those who talk to AWS.
const NOT_FOR_THE_REGION: [&str; 5] = ["aws", "cloud", "resource", "resources", "engine"];

/// The circle that stays, as `src/lib.rs` argues: the files of the contract define each other.
const CIRCLES: [&str; 3] = ["resource::context", "resource::erased", "resource::provider"];

/// One file, as a module.
struct Module {
    /// `engine::lock::process`
    path: Vec<String>,
    /// Whether it is its folder's face.
    is_face: bool,
    /// Absolute paths below the crate that its code names, without what is for tests only.
    names: Vec<Vec<String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The layers in the order of the map.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("lib.rs")).expect("the map is there");
    let map = text.split("```text").nth(1).and_then(|rest| rest.split("```").next()).expect("lib.rs shows the map");
    let names = map.lines().filter_map(|line| line.trim_start_matches("//!").split_whitespace().next());
    names.map(str::to_owned).collect()
}

fn modules() -> Vec<Module> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    let modules = files.iter().filter_map(|file| {
        let relative = file.strip_prefix(root()).expect("found there").with_extension("");
        let mut path: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let last = path.last().expect("a file has a name").clone();
        if ["lib", "main"].contains(&last.as_str()) || last.ends_with("tests") || path.contains(&"simulated".to_owned())
        {
            return None;
        }
        let is_face = last == "mod" || last == "model" || file.with_extension("").is_dir();
        if last == "mod" {
            path.pop();
        }
        let text = fs::read_to_string(file).expect("sources are UTF-8");
        let code = without_tests(&text);
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let names = named(&code.join("\n"), &path);
        Some(Module { path, is_face, names })
    });
    modules.collect()
}

/// Every path that starts with `crate` or `super`, groups in braces taken apart.
fn named(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == ':') {
                continue;
            }
            let end = code[at..].find(';').map_or(code.len(), |length| at + length);
            for path in expand(&code[at..end]) {
                found.extend(absolute(&path, module));
            }
        }
    }
    found
}

/// `a::{b, c::d}` → `a::b`, `a::c::d`; what follows the path is left out.
fn expand(text: &str) -> Vec<String> {
    let head: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
    let rest = &text[head.len()..];
    if !head.ends_with("::") || !rest.starts_with('{') {
        return vec![head.trim_end_matches(':').to_owned()];
    }
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for character in rest.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let is_outer = depth == 1 && (character == '{' || character == ',');
        if depth == 0 || is_outer {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(character);
        }
        if depth == 0 {
            break;
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{head}{part}"))).collect()
}

fn absolute(path: &str, module: &[String]) -> Option<Vec<String>> {
    let mut parts: Vec<&str> = path.split("::").collect();
    if parts.first() == Some(&"crate") {
        return Some(parts[1..].iter().map(|part| (*part).to_owned()).collect());
    }
    let mut base = module.to_vec();
    while parts.first() == Some(&"super") {
        base.pop()?;
        parts.remove(0);
    }
    base.extend(parts.iter().map(|part| (*part).to_owned()));
    Some(base)
}

#[test]
fn the_map_names_every_layer_once() {
    let layers = layers();
    let text = fs::read_to_string(root().join("lib.rs")).expect("lib.rs");
    let declared = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let declared: BTreeSet<_> = declared.map(str::to_owned).collect();
    assert_eq!(layers.iter().cloned().collect::<BTreeSet<_>>(), declared);
    assert_eq!(layers.len(), declared.len());
}

#[test]
fn imports_run_down_the_layers() {
    let layers = layers();
    let rank = |name: &str| layers.iter().position(|layer| layer == name);
    let mut broken = BTreeSet::new();
    for module in modules() {
        let own = &module.path[0];
        for other in module.names.iter().filter_map(|path| path.first()) {
            let (Some(from), Some(to)) = (rank(own), rank(other)) else { continue };
            if to > from || own == "region" && NOT_FOR_THE_REGION.contains(&other.as_str()) {
                broken.insert(format!("{} imports {other}", module.path.join("::")));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "against the map in src/lib.rs:\n  {}",
        broken.into_iter().collect::<Vec<_>>().join("\n  ")
    );
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let modules = modules();
    let by_path: BTreeMap<&[String], &Module> = modules.iter().map(|module| (module.path.as_slice(), module)).collect();
    let target = |path: &[String]| (1..=path.len()).rev().find_map(|length| by_path.get(&path[..length]).copied());
    let arrows: BTreeMap<&[String], BTreeSet<&[String]>> = modules
        .iter()
        .filter(|module| !module.is_face)
        .map(|module| {
            let others = module.names.iter().filter_map(|path| target(path)).filter(|other| !other.is_face);
            let others = others.map(|other| other.path.as_slice()).filter(|other| *other != module.path.as_slice());
            (module.path.as_slice(), others.filter(|other| other[0] == module.path[0]).collect())
        })
        .collect();
    let reaches = |from: &[String], to: &[String]| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_vec()]);
        while let Some(next) = open.pop() {
            for other in arrows.get(next.as_slice()).into_iter().flatten() {
                if *other == to {
                    return true;
                }
                if seen.insert(other.to_vec()) {
                    open.push(other.to_vec());
                }
            }
        }
        false
    };
    let circles = arrows.iter().flat_map(|(from, others)| others.iter().map(move |to| (*from, *to)));
    let circles: Vec<_> = circles.filter(|(from, to)| reaches(to, from)).collect();
    let in_one = |known: &str| circles.iter().any(|(from, _)| from.join("::").starts_with(known));
    let stale: Vec<_> = CIRCLES.iter().filter(|known| !in_one(known)).collect();
    assert!(stale.is_empty(), "excepted, and in no circle any more: {stale:?}");
    let is_known = |path: &[String]| CIRCLES.iter().any(|known| path.join("::").starts_with(known));
    let circles = circles.into_iter().filter(|(from, to)| !is_known(from) || !is_known(to));
    let circles: Vec<_> = circles.map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::"))).collect();
    assert!(circles.is_empty(), "in circles:\n  {}", circles.join("\n  "));
}

/// What is known of one resource type stands in its file: the engine, the cloud and what errors mean are the same for all.
#[test]
fn the_engine_the_cloud_and_errors_name_no_resource_type() {
    let kinds = TYPES.iter().map(|of| of.kind());
    let codes = TYPES.iter().flat_map(|of| of.listings()).flat_map(|listing| listing.not_found().iter().copied());
    let words: BTreeSet<&str> = kinds.chain(codes).collect();
    assert!(words.contains("target_group") && words.contains("TargetGroupNotFound"));
    let mut files = Vec::new();
    collect(&root().join("engine"), &mut files);
    collect(&root().join("cloud"), &mut files);
    files.push(root().join("aws/error.rs"));
    // The lock of a stack is a launch template, which no stack declares.
    files.retain(|file| !file.starts_with(root().join("cloud/lease")) && !file.to_string_lossy().ends_with("tests.rs"));
    let mut named = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are UTF-8");
        let code = without_tests(&text);
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let imports = line.contains("crate::resources");
            let found = words.iter().find(|word| line.contains(&format!("\"{word}\"")));
            if imports || found.is_some() {
                named.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(named.is_empty(), "of one resource type:\n  {}", named.join("\n  "));
}
