//! `docs/region.md`, printed from the declarations of the operations and compared with what AWS has.
//!
//! `aws-parameters.txt` beside this file names every parameter of AWS's own operations (`scripts/aws-parameters` writes
//! it). What a declaration lacks of that is what the embedded region refuses.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use super::wire::operation::{Operation, Shape, shape};
use super::{autoscaling, cloudwatch, ec2, elbv2, ssm, sts, tagging};

const PAGE: &str = "docs/region.md";

const HEAD: &str = "\
# What the embedded region takes

Made from the code: every operation of the region declares the parameters that it knows, and a call with any other is
refused with an error that names it. A test fails when this page is out of date
(`CLOUDSCALE_WRITE_DOCS=1 cargo test --lib region::reference` writes it again).

- `Name[]` is a list, `Name{…}` a structure, `Name=a or b` is taken with these values only.
- *Refused* are AWS's parameters that the region does not have.
- *Differs* is what else a user must know. Where a row says nothing, the operation answers as AWS documents it.
- Every EC2 operation takes `DryRun`.
";

/// One row of the page.
pub(super) struct Row {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) takes: &'static str,
    differs: &'static str,
}

/// The services as botocore calls them, with a title, and their operations.
pub(super) fn services() -> Vec<(&'static str, &'static str, Vec<Row>)> {
    fn rows<S>(service: &'static str, tables: &[&'static [Operation<S>]]) -> Vec<Row> {
        let row = |it: &Operation<S>| Row { service, name: it.name, takes: it.takes, differs: it.differs };
        tables.iter().flat_map(|table| table.iter()).map(row).collect()
    }
    vec![
        ("ec2", "EC2", rows("ec2", &ec2::model::OPERATIONS)),
        ("elbv2", "Elastic Load Balancing", rows("elbv2", &[elbv2::OPERATIONS])),
        ("autoscaling", "EC2 Auto Scaling", rows("autoscaling", &[autoscaling::OPERATIONS])),
        ("cloudwatch", "CloudWatch", rows("cloudwatch", &[cloudwatch::model::OPERATIONS])),
        ("ssm", "Systems Manager", rows("ssm", &[ssm::OPERATIONS])),
        (
            "resourcegroupstaggingapi",
            "Resource Groups Tagging API",
            rows("resourcegroupstaggingapi", &[tagging::OPERATIONS]),
        ),
        ("sts", "Security Token Service", rows("sts", &[sts::OPERATIONS])),
    ]
}

/// The list of AWS's parameters, read when the tests run, so that it is no part of the program.
fn aws() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/region/aws-parameters.txt");
        std::fs::read_to_string(path).expect("aws-parameters.txt stands beside this file")
    })
}

/// The parameters of AWS's operation; `None` where the list does not have it.
fn of_aws(service: &str, name: &str) -> Option<Vec<(&'static str, Shape)>> {
    let prefix = format!("{service} {name} ");
    aws().lines().find_map(|line| line.strip_prefix(&prefix)).map(shape)
}

/// The paths of what `aws` has and `known` does not.
fn lacking(known: &[(&'static str, Shape)], aws: &[(&'static str, Shape)], prefix: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, there) in aws {
        let path = format!("{prefix}{name}");
        match known.iter().find(|(known, _)| known == name) {
            None => paths.push(path),
            Some((_, here)) => paths.extend(lacking(fields(here), fields(there), &format!("{path}."))),
        }
    }
    paths
}

/// The fields of a structure, or of a list's items.
fn fields(shape: &Shape) -> &[(&'static str, Shape)] {
    match shape {
        Shape::Scalar(_) => &[],
        Shape::List(item) => fields(item),
        Shape::Structure(fields) => fields,
    }
}

fn written(known: &[(&'static str, Shape)]) -> String {
    let words: Vec<String> = known.iter().map(|(name, shape)| format!("{name}{}", written_tail(shape))).collect();
    words.join(" ")
}

fn written_tail(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(only) if only.is_empty() => String::new(),
        Shape::Scalar(only) => format!("={}", only.join(" or ")),
        Shape::List(item) => format!("[]{}", written_tail(item)),
        Shape::Structure(fields) => format!("{{{}}}", written(fields)),
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (_, title, rows) in services() {
        let _ = write!(page, "\n## {title}\n\n| operation | takes | refused | differs |\n| --- | --- | --- | --- |\n");
        for row in rows {
            let (known, aws) = (shape(row.takes), of_aws(row.service, row.name).unwrap_or_default());
            let refused = lacking(&known, &aws, "").into_iter().filter(|path| path != "DryRun");
            let refused = refused.collect::<Vec<_>>().join(" ");
            let (takes, refused) = (code(&written(&known)), code(&refused));
            let _ = writeln!(page, "| {} {} | {takes} | {refused} | {} |", row.service, row.name, row.differs);
        }
    }
    page
}

#[test]
fn the_page_says_what_the_code_declares() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = page();
    if std::env::var_os("CLOUDSCALE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let stale = there.lines().zip(page.lines()).find(|(there, wanted)| there != wanted);
    assert!(there == page, "{PAGE} is out of date; write it again with CLOUDSCALE_WRITE_DOCS=1: {stale:?}");
}

#[test]
fn every_declared_parameter_is_one_of_aws_in_the_same_shape() {
    fn strange(known: &[(&'static str, Shape)], aws: &[(&'static str, Shape)], path: &str, found: &mut Vec<String>) {
        for (name, here) in known {
            let path = format!("{path} {name}");
            match (here, aws.iter().find(|(there, _)| there == name).map(|(_, there)| there)) {
                (_, None) => found.push(format!("{path}: AWS has no such parameter")),
                (Shape::Scalar(_), Some(Shape::Scalar(_))) => {}
                (Shape::List(_), Some(Shape::List(_))) | (Shape::Structure(_), Some(Shape::Structure(_))) => {
                    let there = aws.iter().find(|(there, _)| there == name).map(|(_, there)| fields(there));
                    strange(fields(here), there.unwrap_or_default(), &path, found);
                }
                (_, Some(there)) => found.push(format!("{path}: on AWS it is {there:?}")),
            }
        }
    }
    let mut found = Vec::new();
    for row in services().into_iter().flat_map(|(_, _, rows)| rows) {
        match of_aws(row.service, row.name) {
            Some(aws) => strange(&shape(row.takes), &aws, &format!("{} {}", row.service, row.name), &mut found),
            None => found.push(format!("{} {} is not in aws-parameters.txt: run its script", row.service, row.name)),
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_operation_is_declared_twice() {
    for (service, _, rows) in services() {
        let mut names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{service}");
    }
}
