//! `cloudscale init`: a folder to start from, made of the stack and the scripts that cloudscale ships.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Outcome, Session};
use crate::document::schema;
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::stack::language;

/// Of the name of a stack (`stack/language.rs`).
const NAME_CHARACTERS_MAX: usize = 32;

/// Write an example stack, its user data and its benchmarks into a folder
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; it is made where it does not exist
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub fn run(args: &Args, session: &Session) -> Outcome {
    for path in scaffold(&args.folder)? {
        session.printer.result(&format!("wrote {}", path.display()));
    }
    let stack = args.folder.join("stack.yaml");
    session.printer.note(&format!(
        "next: cloudscale run {} --scenario {}",
        stack.display(),
        args.folder.join("benchmarks/quick.yaml").display()
    ));
    Ok(Exit::Ok)
}

/// The files by their path in the folder.
fn files(name: &str) -> [(&'static str, String); 5] {
    // The shipped stack lies in a folder of its own beside the scripts; here it lies above them.
    let stack = include_str!("../../stacks/two-clusters.yaml")
        .replace("../", "")
        .replace("stacks/two-clusters.yaml", "stack.yaml")
        .replace("name: two-clusters\n", &format!("name: {name}\n"));
    let schema = schema::schema("cloudscale stack", &language::STACK);
    [
        ("stack.yaml", format!("# yaml-language-server: $schema=stack.schema.json\n{stack}")),
        ("stack.schema.json", format!("{schema:#}\n")),
        ("userdata/workload.sh", include_str!("../../userdata/workload.sh").to_owned()),
        ("benchmarks/quick.yaml", include_str!("../../benchmarks/quick.yaml").to_owned()),
        ("benchmarks/log8415.yaml", include_str!("../../benchmarks/log8415.yaml").to_owned()),
    ]
}

/// A stack is named after its folder: two of one name would be one stack.
fn stack_name(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let words = name.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.skip_while(|word| word.starts_with(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join("-");
    let name = name[..name.len().min(NAME_CHARACTERS_MAX)].trim_end_matches('-');
    if name.is_empty() { "my-stack".to_owned() } else { name.to_owned() }
}

fn scaffold(folder: &Path) -> Result<Vec<PathBuf>, Problems> {
    let files = files(&stack_name(folder));
    let taken = files.iter().map(|(path, _)| folder.join(path)).filter(|path| path.symlink_metadata().is_ok());
    let problems: Vec<Problem> = taken
        .map(|path| {
            Problem::usage("The file exists", format!("{} is not overwritten", path.display()))
                .hint("name another folder: `cloudscale init FOLDER`")
        })
        .collect();
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let path = folder.join(path);
        let unwritten =
            |error: std::io::Error| Problem::new("Cannot write the file", format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(unwritten)?;
        }
        let mut file = std::fs::File::create_new(&path).map_err(unwritten)?;
        file.write_all(text.as_bytes()).map_err(unwritten)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{self, Overrides};

    #[test]
    fn a_stack_is_named_after_its_folder() {
        let named = |folder: &str| stack_name(Path::new(folder));
        assert_eq!(named("/tmp/My lab_2"), "my-lab-2");
        assert_eq!(named("/tmp/8415"), "my-stack");
        assert_eq!(named("/tmp/a-name-that-goes-on-for-longer-than-a-stack-may"), "a-name-that-goes-on-for-longer-t");
    }

    #[test]
    fn what_is_written_is_a_valid_stack_without_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        scaffold(&folder.path().join("new")).unwrap();
        let (stack, warnings) = stack::load(&folder.path().join("new/stack.yaml"), &Overrides::default()).unwrap();
        assert_eq!(warnings, Problems::default());
        assert_eq!(stack.clusters.len(), 2);
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_written_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stack.yaml"), "mine").unwrap();
        assert_eq!(scaffold(folder.path()).unwrap_err().0[0].summary, "The file exists");
        assert_eq!(std::fs::read_to_string(folder.path().join("stack.yaml")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
