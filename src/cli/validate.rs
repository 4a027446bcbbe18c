//! `cloudscale validate`: checks a stack file without credentials and without a call.

use serde::Serialize;

use super::{Outcome, Session, StackArg, stack_file};
use crate::exit::Exit;
use crate::problem::{Problem, Problems, Severity};
use crate::stack::model::{Capacity, Stack};

/// Check a stack file; needs no credentials
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
    /// `null` where the file is not valid.
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
    /// `fleet` or `group`
    kind: &'static str,
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
    let path = stack_file::resolve(args.stack.stack.as_deref(), std::path::Path::new("."))?;
    let loaded = stack_file::overrides(&session.globals).and_then(|overrides| crate::stack::load(&path, &overrides));
    if args.json {
        let (stack, problems) = match &loaded {
            Ok((stack, warnings)) => (Some(summary(stack)), warnings),
            Err(problems) => (None, problems),
        };
        let findings = problems.0.iter().map(finding).collect();
        session.printer.json(&Report {
            valid: stack.is_some(),
            file: path.display().to_string(),
            stack,
            problems: findings,
        });
        return Ok(problems.exit());
    }
    let (stack, warnings) = loaded?;
    session.printer.problems(&warnings);
    for line in lines(&stack, &warnings) {
        session.printer.result(&line);
    }
    Ok(Exit::Ok)
}

fn lines(stack: &Stack, warnings: &Problems) -> Vec<String> {
    let count = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
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
            Capacity::Fleet { instances, .. } => format!("{instances}"),
            Capacity::Group(group) => format!("{}-{}", group.min, group.max),
        };
        format!("  {:width$}  {capacity} x {}  {}", cluster.name, cluster.instance_type, cluster.routes.join(" "))
    };
    std::iter::once(head).chain(stack.clusters.iter().map(cluster)).collect()
}

fn summary(stack: &Stack) -> Summary {
    let cluster = |cluster: &crate::stack::model::Cluster| {
        let (kind, min, max) = match &cluster.capacity {
            Capacity::Fleet { instances, .. } => ("fleet", *instances, *instances),
            Capacity::Group(group) => ("group", group.min, group.max),
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
