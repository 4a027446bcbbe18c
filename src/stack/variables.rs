//! The variables of a stack: their values in the file, and what is given instead, with secrets apart from the rest.
//!
//! What counts, from the strongest: `--var`, `--var-file`, the environment, the stack file. A secret has no value in
//! the stack file, and none on the command line, where every process of the machine can read it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::language::{SECRET_VARIABLE, STACK};
use super::model::Variable;
use crate::document::name::key;
use crate::document::yaml::{self, Entry, Node, Value};
use crate::document::{Fields, scalar_text, suggest};
use crate::problem::{Place, Problem, Problems, Source};
use crate::secret::Secret;

/// What a variable's name follows in the environment.
pub const ENVIRONMENT: &str = "CLOUDSCALE_VAR_";
/// User data, where variables go, has a quarter of this.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Values that are given instead of those of the stack file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `--var NAME=VALUE`; the names must be among the stack's variables.
    pub vars: BTreeMap<String, String>,
    /// Of `--var-file`: as `vars`.
    pub files: BTreeMap<String, Secret>,
    /// Of the environment, which may hold variables of other stacks.
    pub environment: BTreeMap<String, Secret>,
    /// Nothing is rendered from the stack, so its secrets may be missing.
    pub without_secrets: bool,
}

/// The values of the variables of a stack file.
pub fn variables(fields: &Fields, given: &Given, problems: &mut Problems) -> BTreeMap<String, Variable> {
    let entries = fields.map(key!(STACK, "variables"));
    let names = || entries.iter().map(|entry| entry.key.as_str());
    let unknown = |(name, option): (&String, String)| {
        let detail = format!("{option}: the stack has no variable `{name}`");
        Problem::usage("Unknown variable", detail).hint(suggest::hint(name, names().collect::<Vec<_>>()))
    };
    let options = given.vars.keys().map(|name| (name, format!("`--var {name}=…`")));
    let options = options.chain(given.files.keys().map(|name| (name, "`--var-file`".to_owned())));
    problems.0.extend(options.filter(|(name, _)| !names().any(|known| known == *name)).map(unknown));
    let variable = |entry: &Entry| {
        let value = match &entry.value.value {
            Value::Map(_) => Variable::Secret(secret(fields, entry, given, problems)),
            _ => Variable::Plain(plain(entry, given)),
        };
        (entry.key.clone(), value)
    };
    entries.iter().map(variable).collect()
}

fn plain(entry: &Entry, given: &Given) -> String {
    let private = || given.files.get(&entry.key).or_else(|| given.environment.get(&entry.key));
    let written = || scalar_text(&entry.value).unwrap_or_default().to_owned();
    given.vars.get(&entry.key).cloned().or_else(|| Some(private()?.expose().to_owned())).unwrap_or_else(written)
}

fn secret(fields: &Fields, entry: &Entry, given: &Given, problems: &mut Problems) -> Secret {
    let name = &entry.key;
    let declared = fields.of_inner(&entry.value, &SECRET_VARIABLE);
    if declared.is_written(key!(SECRET_VARIABLE, "secret")) && !declared.flag(key!(SECRET_VARIABLE, "secret")) {
        let detail = format!("`{name}` is neither a secret nor has it a value");
        problems.push(
            declared.problem(key!(SECRET_VARIABLE, "secret"), "A variable without a value", detail).hint(format!(
                "write `{name}: VALUE`, or `{name}: {{secret: true}}` for a value that nobody shall see"
            )),
        );
        return Secret::new("");
    }
    let private = || given.files.get(name).or_else(|| given.environment.get(name)).cloned();
    match given.vars.get(name) {
        Some(text) => from_option(name, text).unwrap_or_else(|problem| {
            problems.push(problem);
            Secret::new("")
        }),
        None => private().unwrap_or_else(|| {
            if !given.without_secrets {
                let detail = format!("nothing gives a value to the secret variable `{name}`");
                let problem = Problem::usage("A secret has no value", detail).at(declared.own_place());
                problems.push(problem.hint(ways(name)));
            }
            Secret::new("")
        }),
    }
}

fn ways(name: &str) -> String {
    format!("give `--var {name}=@FILE` or `--var-file FILE`, or set {ENVIRONMENT}{name}")
}

/// `@FILE` of `--var NAME=@FILE`. What is wrong is reported without the value.
fn from_option(name: &str, text: &str) -> Result<Secret, Problem> {
    let Some(file) = text.strip_prefix('@') else {
        let detail =
            format!("`--var {name}=…` shows the secret to everybody who lists processes, and to the shell's history");
        return Err(Problem::usage("A secret on the command line", detail).hint(ways(name)));
    };
    let failed = |why: String| {
        Problem::usage("Cannot read the secret", format!("`{name}` from {file}: {why}"))
            .hint("the file holds the value alone; a line end behind it is left out")
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(failed(format!("it holds more than {} KiB", SECRET_BYTES_MAX / 1024)));
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| failed("it is no UTF-8 text".to_owned()))?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(value.strip_suffix('\r').unwrap_or(value)))
}

/// The values of a variable file: a map of names to texts.
///
/// # Errors
/// What is wrong with it, by line and without a word of what it holds: it may be secret.
pub fn read_file(path: &Path) -> Result<BTreeMap<String, Secret>, Problems> {
    let named = |place: Option<&Place>, what: &str| {
        let line = place.map(|place| format!(", line {}", place.line_column().0)).unwrap_or_default();
        Problem::usage("Invalid variable file", format!("{}{line}: {what}", path.display()))
            .hint("a variable file is a map such as `token: VALUE`; its text is not shown, since it may hold secrets")
    };
    let silent = |problems: Problems| {
        Problems(problems.0.iter().map(|problem| named(problem.place.as_ref(), problem.summary)).collect())
    };
    let source = yaml::source(path).map_err(|problems| match problems.0.as_slice() {
        // Nothing of it was read.
        [only] if only.place.is_none() => problems.clone(),
        _ => silent(problems),
    })?;
    let root = yaml::parse(&source).map_err(silent)?;
    let place = |node: &Node| Place { source: Arc::<Source>::clone(&source), bytes: node.bytes.clone() };
    let Value::Map(entries) = &root.value else {
        return Err(named(Some(&place(&root)), "it is no map").into());
    };
    let mut values = BTreeMap::new();
    let mut problems = Problems::default();
    for entry in entries {
        match scalar_text(&entry.value).filter(|_| !entry.value.is_null()) {
            Some(text) => drop(values.insert(entry.key.clone(), Secret::new(text))),
            None => problems.push(named(Some(&place(&entry.value)), "a value is a text")),
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(values) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::stack::language::STACK;

    const TEXT: &str = "name: s\nvariables:\n  delay: 1\n  token: {secret: true}\nclusters: {web: {}}\n";

    fn read(text: &str, given: &Given) -> (BTreeMap<String, Variable>, Problems) {
        let source = Arc::new(Source { name: "s.yaml".into(), text: text.into() });
        let document = Document::parse(source, &STACK).expect("YAML");
        let mut problems = document.problems.clone();
        let values = variables(&document.fields(), given, &mut problems);
        (values, problems)
    }

    fn one<T>(name: &str, value: T) -> BTreeMap<String, T> {
        BTreeMap::from([(name.to_owned(), value)])
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn an_option_counts_before_a_file_and_that_before_the_environment() {
        let secret = file("from-option\r\n");
        let token = |given: Given| match &read(TEXT, &given).0["token"] {
            Variable::Secret(secret) => secret.expose().to_owned(),
            Variable::Plain(text) => panic!("{text} is no secret"),
        };
        let mut given = Given { environment: one("token", Secret::new("from-environment")), ..Given::default() };
        assert_eq!(token(given.clone()), "from-environment");
        given.files = one("token", Secret::new("from-file"));
        assert_eq!(token(given.clone()), "from-file");
        given.vars = one("token", format!("@{}", secret.path().display()));
        assert_eq!(token(given.clone()), "from-option");
        let plain = |given: &Given| read(TEXT, given).0["delay"].clone();
        assert_eq!(plain(&given), Variable::Plain("1".into()));
        given.environment = BTreeMap::from([("delay".into(), Secret::new("2")), ("other".into(), Secret::new("3"))]);
        assert_eq!(plain(&given), Variable::Plain("2".into()));
        assert!(!read(TEXT, &given).1.has_errors(), "the environment may hold other stacks' variables");
    }

    #[test]
    fn a_secret_that_is_missing_or_open_is_refused_without_its_value() {
        let problems = |given: &Given| read(TEXT, given).1.to_string();
        insta::assert_snapshot!(problems(&Given::default()), @"s.yaml:4:3: A secret has no value: nothing gives a value to the secret variable `token`");
        assert_eq!(problems(&Given { without_secrets: true, ..Given::default() }), "");
        let open = Given { vars: one("token", "s3cr3t".to_owned()), ..Given::default() };
        insta::assert_snapshot!(problems(&open), @"A secret on the command line: `--var token=…` shows the secret to everybody who lists processes, and to the shell's history");
        let gone = Given { vars: one("token", "@/nowhere/token".to_owned()), ..Given::default() };
        assert!(problems(&gone).starts_with("Cannot read the secret: `token` from /nowhere/token: No such file"));
        let unknown = Given { files: one("tokne", Secret::new("s3cr3t")), without_secrets: true, ..Given::default() };
        insta::assert_snapshot!(problems(&unknown), @"Unknown variable: `--var-file`: the stack has no variable `tokne`");
    }

    #[test]
    fn a_variable_is_a_secret_or_has_a_value() {
        let text = TEXT.replace("secret: true", "secret: false");
        insta::assert_snapshot!(read(&text, &Given::default()).1, @"s.yaml:4:19: A variable without a value: `token` is neither a secret nor has it a value");
    }

    #[test]
    fn a_variable_file_is_read_and_its_mistakes_are_told_without_its_text() {
        let read = |text: &str| read_file(file(text).path());
        let values = read("token: s3cr3t\nkey: |\n  two\n  lines\n").unwrap();
        assert_eq!(values["token"].expose(), "s3cr3t");
        assert_eq!(values["key"].expose(), "two\nlines\n");
        for text in
            ["token: [s3cr3t]\n", "s3cr3t\n", "token: 's3cr3t\n", "s3cr3t: 1\ns3cr3t: 2\n", "token: s3cr3t: x\n"]
        {
            let problems = read(text).unwrap_err();
            assert!(problems.0.iter().all(|problem| problem.place.is_none()), "no line of it is drawn");
            assert!(!format!("{problems:?}").contains("s3cr3t"), "{problems:?}");
        }
    }
}
