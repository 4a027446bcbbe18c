//! An operation as it is declared: name, the parameters that it knows, how it differs from AWS's, and what runs it.
//!
//! The declaration stands once, beside the operation. Calls are checked against it before they run: what it does not
//! name is refused by name, so that nothing is dropped silently and no name that a caller made up gets into an answer.
//! `docs/region.md` is printed from the same declarations.
//!
//! Parameters are written as `ImageId Placement{AvailabilityZone Tenancy=default} Filter[]{Name Value[]} +pages`:
//! `[]` is a list, `{…}` a structure, `=a|b` means that only these values are taken (in any case of letters), `+name`
//! stands for one of [`SHARED`], and `+tags=vpc` for EC2's `TagSpecification` of that type of resource.

use super::{Answer, ApiError, Params, Request, Service, Value, page_token};
use crate::region::context::Context;

/// One operation of the service whose state is `S`.
pub struct Operation<S: 'static> {
    pub name: &'static str,
    /// The parameters, as the module says.
    pub takes: &'static str,
    /// What else is not as on AWS; empty where nothing is.
    pub differs: &'static str,
    pub run: fn(&mut S, &mut Context, &Params) -> Answer,
}

impl<S> Operation<S> {
    pub const fn new(
        name: &'static str,
        takes: &'static str,
        run: fn(&mut S, &mut Context, &Params) -> Answer,
    ) -> Self {
        Self { name, takes, differs: "", run }
    }

    /// The same operation, with what a user must know of how it differs from AWS's.
    #[must_use]
    pub const fn differs(self, differs: &'static str) -> Self {
        Self { differs, ..self }
    }
}

/// Parameters that many operations share.
const SHARED: [(&str, &str); 2] = [("filters", "Filter[]{Name Value[]}"), ("pages", "MaxResults NextToken")];

/// Fields of every Query request, which say what the request is.
const ENVELOPE: [&str; 2] = ["Action", "Version"];

/// The operation of `tables` that a request names, its parameters checked.
///
/// # Errors
/// For an operation that the region does not have, and for a parameter that it does not know.
pub fn find<'a, S>(tables: &[&'a [Operation<S>]], request: &Request) -> Result<&'a Operation<S>, ApiError> {
    let mut all = tables.iter().flat_map(|table| table.iter());
    let operation = all
        .find(|operation| operation.name == request.operation)
        .ok_or_else(|| ApiError::unknown_operation(&request.operation))?;
    check(request.service, operation.name, operation.takes, &request.params)?;
    Ok(operation)
}

/// Runs the operation of `tables` that a request names.
///
/// # Errors
/// As [`find`], for a token that no page gave, and the operation's own.
pub fn run<S>(tables: &[&[Operation<S>]], state: &mut S, cx: &mut Context, request: &Request) -> Answer {
    run_by(tables, request, |operation, params| (operation.run)(state, cx, params))
}

/// As [`run`], by a caller that decides how.
///
/// # Errors
/// As [`run`].
pub fn run_by<S>(
    tables: &[&[Operation<S>]],
    request: &Request,
    by: impl FnOnce(&Operation<S>, &Params) -> Answer,
) -> Answer {
    let operation = find(tables, request)?;
    page_token::paged(request, |params| by(operation, params))
}

/// What a parameter is: its fields where it is a structure, its items where it is a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value; one of these where there are any.
    Scalar(Vec<&'static str>),
    List(Box<Shape>),
    Structure(Vec<(&'static str, Shape)>),
}

/// Reads a declaration.
///
/// # Panics
/// On one that is not well formed: a mistake in the operation's code, which a test of every declaration finds.
pub fn shape(takes: &'static str) -> Vec<(&'static str, Shape)> {
    let mut rest = takes;
    let fields = fields(&mut rest);
    assert!(rest.is_empty(), "this closes nothing: {rest:?} in {takes:?}");
    fields
}

/// The fields up to the end, or to the brace that closes the structure.
fn fields(rest: &mut &'static str) -> Vec<(&'static str, Shape)> {
    let mut fields = Vec::new();
    loop {
        *rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('}') {
            return fields;
        }
        let end = rest.find(|c: char| " []{}=".contains(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        *rest = after;
        if name == "+tags" {
            fields.push(("TagSpecification", tags(tail(rest))));
            continue;
        }
        if let Some(shared) = name.strip_prefix('+') {
            let found = SHARED.iter().find(|(known, _)| *known == shared);
            let (_, takes) = found.unwrap_or_else(|| panic!("there is no shared {name}"));
            fields.extend(shape(takes));
            continue;
        }
        assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()), "a parameter's name is missing before {after:?}");
        let field_shape = tail(rest);
        fields.push((name, field_shape));
    }
}

/// EC2's tags at creation, for these types of resources.
fn tags(resource_type: Shape) -> Shape {
    let tag = vec![("Key", Shape::Scalar(Vec::new())), ("Value", Shape::Scalar(Vec::new()))];
    let tags = Shape::List(Box::new(Shape::Structure(tag)));
    Shape::List(Box::new(Shape::Structure(vec![("ResourceType", resource_type), ("Tag", tags)])))
}

fn tail(rest: &mut &'static str) -> Shape {
    if let Some(after) = rest.strip_prefix("[]") {
        *rest = after;
        return Shape::List(Box::new(tail(rest)));
    }
    if let Some(after) = rest.strip_prefix('{') {
        *rest = after;
        let inner = fields(rest);
        *rest = rest.strip_prefix('}').expect("a structure is closed");
        return Shape::Structure(inner);
    }
    let Some(after) = rest.strip_prefix('=') else { return Shape::Scalar(Vec::new()) };
    let end = after.find([' ', '}']).unwrap_or(after.len());
    let (values, after) = after.split_at(end);
    *rest = after;
    Shape::Scalar(values.split('|').collect())
}

/// Whether every parameter is one that the declaration has, in its shape and with a value that it takes.
///
/// # Errors
/// In the service's own code and words, naming the parameter as the caller wrote it.
pub fn check(service: Service, operation: &str, takes: &'static str, params: &Params) -> Result<(), ApiError> {
    let given = params.0.iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str()));
    let mut known = shape(takes);
    if service == Service::Ec2 {
        known.push(("DryRun", Shape::Scalar(Vec::new())));
    }
    check_fields(&known, given, "").map_err(|problem| problem.error(service, operation))
}

fn check_fields<'a>(
    known: &[(&'static str, Shape)],
    given: impl Iterator<Item = &'a (String, Value)>,
    prefix: &str,
) -> Result<(), Problem> {
    for (name, value) in given {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match known.iter().find(|(known, _)| known == name) {
            Some((_, shape)) => check_value(shape, value, &path)?,
            None => return Err(Problem::Unknown { path }),
        }
    }
    Ok(())
}

fn check_value(shape: &Shape, value: &Value, path: &str) -> Result<(), Problem> {
    let wrong = |wanted| Err(Problem::Wrong { path: path.to_owned(), wanted });
    match (shape, value) {
        (Shape::Scalar(_), Value::List(_) | Value::Map(_) | Value::Entries(_)) => wrong("a single value"),
        (Shape::Scalar(only), value) => {
            let text = scalar_text(value);
            if only.is_empty() || only.iter().any(|known| known.eq_ignore_ascii_case(&text)) {
                return Ok(());
            }
            Err(Problem::Refused { path: path.to_owned(), value: text, only: only.clone() })
        }
        (Shape::List(item), Value::List(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check_value(item, value, &format!("{path}.{}", index + 1))),
        (Shape::List(_), _) => wrong("a list"),
        (Shape::Structure(known), Value::Map(given)) => check_fields(known, given.iter(), path),
        (Shape::Structure(_), _) => wrong("a structure"),
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Time(time) => time.to_string(),
        _ => String::new(),
    }
}

enum Problem {
    Unknown { path: String },
    Refused { path: String, value: String, only: Vec<&'static str> },
    Wrong { path: String, wanted: &'static str },
}

impl Problem {
    /// EC2 has a code for a parameter that it does not know (EC2 API Reference, "Error codes"); the others answer with
    /// that of any request that is not valid.
    fn error(self, service: Service, operation: &str) -> ApiError {
        let (unknown, invalid) = match service {
            Service::Ec2 => ("UnknownParameter", "InvalidParameterValue"),
            Service::Ssm => ("ValidationException", "ValidationException"),
            Service::Tagging => ("InvalidParameterException", "InvalidParameterException"),
            _ => ("ValidationError", "ValidationError"),
        };
        match self {
            Problem::Unknown { path } => ApiError::new(
                unknown,
                format!(
                    "The parameter {path} is not recognized: the embedded region's {operation} does not have it (docs/region.md)."
                ),
            ),
            Problem::Refused { path, value, only } => ApiError::new(
                invalid,
                format!(
                    "Value ({value}) for parameter {path} is invalid: the embedded region's {operation} takes {} only.",
                    only.join(" or ")
                ),
            ),
            Problem::Wrong { path, wanted } => {
                ApiError::new(invalid, format!("The parameter {path} of {operation} must be {wanted}."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::query;

    const TAKES: &str = "ImageId Placement{AvailabilityZone Tenancy=default} Names[] +filters";

    fn checked(service: Service, form: &str) -> Result<(), (String, String)> {
        let params = query::parse(form.as_bytes()).unwrap();
        check(service, "RunInstances", TAKES, &params).map_err(|error| (error.code, error.message))
    }

    fn refused(form: &str) -> (String, String) {
        checked(Service::Ec2, form).unwrap_err()
    }

    #[test]
    fn a_declaration_says_lists_structures_and_the_only_values() {
        let known = shape("A B[] C[]{D E=a|b}");
        let inner = vec![("D", Shape::Scalar(vec![])), ("E", Shape::Scalar(vec!["a", "b"]))];
        assert_eq!(known[0], ("A", Shape::Scalar(vec![])));
        assert_eq!(known[1], ("B", Shape::List(Box::new(Shape::Scalar(vec![])))));
        assert_eq!(known[2], ("C", Shape::List(Box::new(Shape::Structure(inner)))));
    }

    #[test]
    fn what_is_declared_passes_in_any_case_of_letters() {
        let form = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&Placement.Tenancy=Default&Names.1=a\
                    &Filter.1.Name=x&Filter.1.Value.1=y&DryRun=false";
        assert_eq!(checked(Service::Ec2, form), Ok(()));
    }

    #[test]
    fn what_is_not_declared_is_refused_by_the_name_that_the_caller_wrote() {
        let (code, message) = refused("ImageId=ami-1&PrivateIpAddress=10.0.0.1");
        assert_eq!(code, "UnknownParameter");
        assert!(message.starts_with("The parameter PrivateIpAddress is not recognized"), "{message}");
        assert!(refused("Filter.1.Name=x&Filter.1.Colour=y").1.contains("Filter.1.Colour"));
        assert!(refused("Placement.<x y%3D\"=1").1.contains("Placement.<x y=\""));
        let (code, _) = checked(Service::Autoscaling, "DryRun=true").unwrap_err();
        assert_eq!(code, "ValidationError");
    }

    #[test]
    fn another_value_than_the_only_ones_is_refused_and_named() {
        let (code, message) = refused("Placement.Tenancy=dedicated");
        assert_eq!(code, "InvalidParameterValue");
        assert!(message.contains("dedicated") && message.contains("takes default only"), "{message}");
    }

    #[test]
    fn a_value_of_another_shape_is_refused() {
        for form in ["ImageId.1=a", "Names=a", "Filter=a", "Filter.1=a", "Filter.1.Value=a", "Placement=a"] {
            assert_eq!(refused(form).0, "InvalidParameterValue", "{form}");
        }
    }
}
