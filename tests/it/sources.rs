//! The sources as the tests of the house read them: a file's code without what is compiled for tests only.

use std::fs;
use std::path::{Path, PathBuf};

const TESTS_ONLY: &str = "#[cfg(test)]";

/// Every Rust file below a folder.
pub fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text without its items under `#[cfg(test)]`; what follows them stays. As rustfmt writes it, an item ends in the
/// line of its semicolon, or at the closing brace that is indented as its beginning is.
pub fn without_tests(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if code != TESTS_ONLY {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let ends = |line: &str| {
            let is_outer = line.strip_prefix(indent).is_some_and(|rest| !rest.starts_with(' '));
            let is_attribute = line.trim_start().starts_with("#[");
            is_outer && !is_attribute && (line.ends_with(';') || line.ends_with('}'))
        };
        lines.by_ref().find(|line| ends(line));
    }
    kept
}

#[test]
fn only_the_items_for_tests_are_left_out() {
    let text = "use a::b;\n\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[path = \"x;\"]\nmod x_tests;\nuse c::d;\n\n\
                #[cfg(test)]\nimpl A {\n    fn a(\n        &self,\n    ) {\n        let a = B {};\n    }\n}\n\n\
                impl A {\n    #[cfg(test)]\n    fn b() {\n        c();\n    }\n\n    fn d() {\n        e();\n    }\n}\n";
    let kept = "use a::b;\n\nuse c::d;\n\n\nimpl A {\n\n    fn d() {\n        e();\n    }\n}\n";
    assert_eq!(without_tests(text), kept);
}
