//! `cloudscale validate`: checks any of our files without credentials and without a call.

use std::path::Path;

use serde::Serialize;

use super::{Outcome, Session, StackArg, stack_file};
use crate::benchmark::language::{self, SCENARIO};
use crate::benchmark::scenario::Scenario;
use crate::document::grammar::Object;
use crate::document::{recovery, yaml};
use crate::exit::Exit;
use crate::problem::{Problem, Problems, Severity};
use crate::region::faults::language::{self as faults, FAULTS};
use crate::resource::status::ClusterKind;
use crate::stack::language::STACK;
use crate::stack::model::{Capacity, Stack};

/// Check a stack, scenario or fault file; needs no credentials
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// `validate --json` is this, as it stands.
#[derive(Debug, Serialize)]
struct Report {
    valid: bool,
    file: String,
    /// `stack`, `scenario` or `faults`
    kind: &'static str,
    /// `null` where the file is not valid, or no stack.
    stack: Option<Summary>,
    problems: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    provider: &'static str,
    region: String,
    clusters: Vec<ClusterSummary>,
}

#[derive(Debug, Serialize)]
struct ClusterSummary {
    name: String,
    /// `fixed` or `group`
    kind: ClusterKind,
    instance_type: String,
    min: u32,
    max: u32,
    routes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    summary: &'static str,
    detail: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    hint: Option<String>,
}

pub fn run(args: &Args, session: &Session) -> Outcome {
    let path = stack_file::resolve(args.stack.stack.as_deref(), Path::new("."))?;
    let kind = FileKind::of(&path);
    let checked = match kind {
        FileKind::Stack => stack(&path, session),
        FileKind::Scenario => language::load(&path).map(|scenario| Valid::bare(scenario_line(&path, &scenario))),
        FileKind::Faults => faults::load(&path).map(|faults| {
            Valid::bare(format!("{}: ok: {}", path.display(), count(faults.rules.len(), "fault", "faults")))
        }),
    };
    if args.json {
        let (valid, problems) = match &checked {
            Ok(valid) => (Some(valid), &valid.warnings),
            Err(problems) => (None, problems),
        };
        session.printer.json(&Report {
            valid: valid.is_some(),
            file: path.display().to_string(),
            kind: kind.name(),
            stack: valid.and_then(|valid| valid.stack.as_ref().map(summary)),
            problems: problems.0.iter().map(finding).collect(),
        });
        return Ok(problems.exit());
    }
    let valid = checked?;
    session.printer.problems(&valid.warnings);
    for line in &valid.lines {
        session.printer.result(line);
    }
    Ok(Exit::Ok)
}

/// Which of our languages a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Stack,
    Scenario,
    Faults,
}

impl FileKind {
    /// The one whose keys it has most of; a stack where nothing can be reported.
    fn of(path: &Path) -> Self {
        let Ok(source) = yaml::source(path) else { return Self::Stack };
        let root = yaml::parse(&source).ok().or_else(|| recovery::read_parts(&source).map(|(root, _)| root));
        let Some(yaml::Value::Map(entries)) = root.map(|root| root.value) else { return Self::Stack };
        let shared = |object: &Object| entries.iter().filter(|entry| object.key(&entry.key).is_some()).count();
        let kinds = [(Self::Faults, &FAULTS), (Self::Scenario, &SCENARIO), (Self::Stack, &STACK)];
        kinds.into_iter().max_by_key(|(_, object)| shared(object)).map_or(Self::Stack, |(kind, _)| kind)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Scenario => "scenario",
            Self::Faults => "faults",
        }
    }
}

/// A file without errors.
struct Valid {
    stack: Option<Stack>,
    warnings: Problems,
    lines: Vec<String>,
}

impl Valid {
    fn bare(line: String) -> Self {
        Self { stack: None, warnings: Problems::default(), lines: vec![line] }
    }
}

/// A stack with the scenario that it names.
fn stack(path: &Path, session: &Session) -> Result<Valid, Problems> {
    let overrides = stack_file::without_secrets(&session.globals)?;
    let (stack, warnings) = crate::stack::load(path, &overrides)?;
    if let Some(scenario) = stack.benchmark.as_deref().filter(|scenario| scenario.is_file()) {
        language::load(scenario)?;
    }
    let lines = lines(&stack, &warnings);
    Ok(Valid { stack: Some(stack), warnings, lines })
}

fn scenario_line(path: &Path, scenario: &Scenario) -> String {
    let phases = scenario.flows.iter().flat_map(|flow| &flow.phases).filter(|phase| phase.load.sends()).count();
    let thresholds = match scenario.thresholds.len() {
        0 => String::new(),
        some => format!(", {}", count(some, "threshold", "thresholds")),
    };
    // How many a load by duration sends depends on the answers.
    let requests = scenario.planned().map(|requests| format!(", {requests} requests to each target"));
    format!(
        "{}: ok: scenario, {}{}{thresholds}",
        path.display(),
        count(phases, "phase", "phases"),
        requests.unwrap_or_default()
    )
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn lines(stack: &Stack, warnings: &Problems) -> Vec<String> {
    let routes = stack.clusters.iter().map(|cluster| cluster.routes.len()).sum();
    let head = format!(
        "{}: ok: {}, {}{}",
        stack.file.display(),
        count(stack.clusters.len(), "cluster", "clusters"),
        count(routes, "route", "routes"),
        if warnings.0.is_empty() {
            String::new()
        } else {
            format!(", {}", count(warnings.0.len(), "warning", "warnings"))
        }
    );
    let width = stack.clusters.iter().map(|cluster| cluster.name.len()).max().unwrap_or_default();
    let cluster = |cluster: &crate::stack::model::Cluster| {
        let capacity = match &cluster.capacity {
            Capacity::Fixed { instances, .. } => format!("{instances}"),
            Capacity::Group(group) => format!("{}-{}", group.min, group.max),
        };
        format!("  {:width$}  {capacity} x {}  {}", cluster.name, cluster.instance_type, cluster.routes.join(" "))
    };
    std::iter::once(head).chain(stack.clusters.iter().map(cluster)).collect()
}

fn summary(stack: &Stack) -> Summary {
    let cluster = |cluster: &crate::stack::model::Cluster| {
        let (kind, min, max) = match &cluster.capacity {
            Capacity::Fixed { instances, .. } => (ClusterKind::Fixed, *instances, *instances),
            Capacity::Group(group) => (ClusterKind::Group, group.min, group.max),
        };
        let (name, instance_type) = (cluster.name.clone(), cluster.instance_type.clone());
        ClusterSummary { name, kind, instance_type, min, max, routes: cluster.routes.clone() }
    };
    Summary {
        name: stack.name.clone(),
        provider: stack.provider.name(),
        region: stack.region.clone(),
        clusters: stack.clusters.iter().map(cluster).collect(),
    }
}

fn finding(problem: &Problem) -> Finding {
    let line_column = problem.place.as_ref().map(crate::problem::Place::line_column);
    Finding {
        severity: if problem.severity == Severity::Error { "error" } else { "warning" },
        summary: problem.summary,
        detail: problem.detail.clone(),
        file: problem.place.as_ref().map(|place| place.source.name.clone()),
        line: line_column.map(|(line, _)| line),
        column: line_column.map(|(_, column)| column),
        hint: problem.hint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_keys_say_what_it_is_even_where_it_is_broken() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(FileKind::of(&root.join("stacks/two-clusters.yaml")), FileKind::Stack);
        assert_eq!(FileKind::of(&root.join("benchmarks/quick.yaml")), FileKind::Scenario);
        assert_eq!(FileKind::of(&root.join("docs/faults.yaml")), FileKind::Faults);
        let file = tempfile::NamedTempFile::new().unwrap();
        let kind = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            FileKind::of(file.path())
        };
        assert_eq!(kind("threads: {A: [}\nthresholds: ['p99 < 1s']\n"), FileKind::Scenario);
        assert_eq!(kind("name: x\n"), FileKind::Stack);
        assert_eq!(kind("nothing\n"), FileKind::Stack);
    }
}
