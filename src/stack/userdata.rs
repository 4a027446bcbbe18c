//! User data as a template: `${cluster.name}`, `${cluster.port}`, `${stack.name}` and `${var.NAME}` are filled in.
//!
//! Names with a dot are no names for bash, so they are ours; all else, such as `${HOME:-/root}`, stays as it is. `$${` writes `${`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::model::{UserData, Variable};
use crate::document::{suggest, yaml};
use crate::problem::{Place, Problem, Problems, Source};
use crate::secret::Text;

/// What EC2 takes, before base64.
const BYTES_MAX: usize = 16 * 1024;

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*\.[A-Za-z0-9_.-]*)\}").expect("a regular expression")
});

/// What a script may ask for.
pub struct Values<'a> {
    pub stack: &'a str,
    pub cluster: &'a str,
    pub port: u16,
    pub variables: &'a BTreeMap<String, Variable>,
}

/// Reads a script and fills it in. Problems point into the script; `None` where it has an error.
pub fn read(file: &Path, values: &Values, problems: &mut Problems) -> Option<UserData> {
    let source = match yaml::source(file) {
        Ok(source) => source,
        Err(unreadable) => {
            problems.0.extend(unreadable.0);
            return None;
        }
    };
    let (text, found) = fill(&source, values);
    let failed = found.has_errors();
    problems.0.extend(found.0);
    (!failed).then(|| UserData { file: file.to_owned(), text })
}

fn fill(source: &Arc<Source>, values: &Values) -> (Text, Problems) {
    let mut problems = Problems::default();
    let known = values.known();
    let place = |bytes| Place { source: Arc::clone(source), bytes };
    let mut text = Text::default();
    let mut copied = 0;
    for captures in PLACEHOLDER.captures_iter(&source.text) {
        let whole = captures.get_match();
        text.push(&source.text[copied..whole.start()]);
        copied = whole.end();
        match captures.get(1).map(|name| name.as_str()) {
            None => text.push("${"),
            Some(name) => match known.get(name) {
                Some(Variable::Plain(value)) => text.push(value),
                Some(Variable::Secret(secret)) => text.push_secret(secret),
                None => {
                    let detail = format!("`${{{name}}}` stands for nothing");
                    let hint = suggest::hint(name, known.keys().map(String::as_str));
                    let declare = name
                        .strip_prefix("var.")
                        .map(|variable| format!("; declare it in the stack: `variables: {{{variable}: …}}`"));
                    let declare = declare.unwrap_or_default();
                    let hint = format!("{hint}{declare}; to keep it for the script, write `$${{{name}}}`");
                    problems.push(Problem::usage("Unknown placeholder", detail).at(place(whole.range())).hint(hint));
                }
            },
        }
    }
    text.push(&source.text[copied..]);
    let first_line = source.text.lines().next().unwrap_or_default();
    let bytes = text.expose().len();
    if bytes > BYTES_MAX {
        let detail = format!("{} has {bytes} bytes, but EC2 takes {BYTES_MAX}", source.name);
        problems.push(Problem::usage("User data is too long", detail).hint("let the script fetch what is large"));
    }
    if source.text.contains("\r\n") {
        let detail = "the lines end as on Windows; bash takes the `\\r` for a part of the last word";
        problems.push(
            Problem::usage("Windows line ends", detail)
                .at(place(0..first_line.len()))
                .hint("save the file with Unix line ends"),
        );
    } else if !first_line.starts_with('#') {
        let detail = "EC2 runs user data only when it starts with `#!` and an interpreter (or is a cloud-init file)";
        problems.push(
            Problem::warning("User data does not say what runs it", detail)
                .at(place(0..first_line.len()))
                .hint("start it with `#!/bin/bash`"),
        );
    }
    (text, problems)
}

impl Values<'_> {
    fn known(&self) -> BTreeMap<String, Variable> {
        let own = [
            ("cluster.name", self.cluster.to_owned()),
            ("cluster.port", self.port.to_string()),
            ("stack.name", self.stack.to_owned()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), Variable::Plain(value)));
        own.chain(self.variables.iter().map(|(name, value)| (format!("var.{name}"), value.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn filled(text: &str) -> (String, String) {
        let source = Arc::new(Source { name: "u.sh".into(), text: text.into() });
        let variables = BTreeMap::from([
            ("delay_ms".to_owned(), Variable::Plain("200".to_owned())),
            ("token".to_owned(), Variable::Secret(Secret::new("s3cr3t"))),
        ]);
        let values = Values { stack: "two", cluster: "light", port: 8080, variables: &variables };
        let (text, problems) = fill(&source, &values);
        (text.to_string(), problems.to_string())
    }

    #[test]
    fn our_names_are_filled_in_and_those_of_bash_stay() {
        let (text, problems) = filled(
            "#!/bin/bash\n${stack.name} ${cluster.name}:${cluster.port} ${var.delay_ms} ${HOME:-/a.b} ${x} $1 ${a[0]}\n",
        );
        assert_eq!(problems, "");
        assert_eq!(text, "#!/bin/bash\ntwo light:8080 200 ${HOME:-/a.b} ${x} $1 ${a[0]}\n");
    }

    #[test]
    fn a_secret_is_filled_in_and_not_shown() {
        assert_eq!(filled("#!/bin/bash\nTOKEN=${var.token}\n").0, "#!/bin/bash\nTOKEN=(secret)\n");
    }

    #[test]
    fn two_dollars_keep_a_placeholder() {
        assert_eq!(filled("#!/bin/bash\n$${cluster.name} $${x}\n").0, "#!/bin/bash\n${cluster.name} ${x}\n");
    }

    #[test]
    fn an_unknown_name_with_a_dot_is_a_problem() {
        insta::assert_snapshot!(filled("#!/bin/bash\n${cluster.nmae} ${var.delay}\n").1, @r"
        u.sh:2:1: Unknown placeholder: `${cluster.nmae}` stands for nothing
        u.sh:2:17: Unknown placeholder: `${var.delay}` stands for nothing
        ");
    }

    #[test]
    fn what_ec2_would_not_run_is_reported() {
        insta::assert_snapshot!(filled("echo hello\n").1, @"u.sh:1:1: User data does not say what runs it: EC2 runs user data only when it starts with `#!` and an interpreter (or is a cloud-init file)");
        insta::assert_snapshot!(filled("#!/bin/bash\r\necho\r\n").1, @r"u.sh:1:1: Windows line ends: the lines end as on Windows; bash takes the `\r` for a part of the last word");
        insta::assert_snapshot!(filled(&format!("#!/bin/bash\n{}\n", "x".repeat(BYTES_MAX))).1, @"User data is too long: u.sh has 16397 bytes, but EC2 takes 16384");
    }
}
