//! SSM: the public parameters under which AWS publishes its images' ids.

use jiff::Timestamp;

use super::context::Context;
use super::images;
use super::wire::operation;
use super::wire::{Answer, ApiError, Params, Request, Value};

/// GetParametersByPath gives no more at once.
const PAGE_MAX: i64 = 10;
/// AWS's bound on the names of one GetParameters call.
const NAMES_MAX: usize = 10;

type Operation = operation::Operation<()>;

/// Every operation, as it is declared. The service has no state: the parameters are AWS's public ones.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("GetParameter", "Name WithDecryption", |(), cx, params| get_parameter(cx, params))
        .differs("The public parameters of AWS's images; none can be put."),
    Operation::new("GetParameters", "Names[] WithDecryption", |(), cx, params| get_parameters(cx, params)),
    Operation::new("GetParametersByPath", "Path Recursive WithDecryption MaxResults NextToken", |(), cx, params| {
        get_parameters_by_path(cx, params)
    }),
];

/// Runs one operation.
pub fn call(cx: &mut Context, request: &Request) -> Answer {
    operation::run(&[OPERATIONS], &mut (), cx, request)
}

fn get_parameter(cx: &Context, params: &Params) -> Answer {
    let name = params.required("Name")?;
    let not_found = || ApiError::new("ParameterNotFound", format!("Parameter {name} not found."));
    Ok(Value::map().with("Parameter", parameter(cx, name).ok_or_else(not_found)?))
}

fn get_parameters(cx: &Context, params: &Params) -> Answer {
    let names = params.texts("Names");
    if names.is_empty() || names.len() > NAMES_MAX {
        let message = format!("Member must have length between 1 and {NAMES_MAX}: names");
        return Err(ApiError::new("ValidationException", message));
    }
    let (found, missing): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| images::by_parameter(name).is_some());
    Ok(Value::map()
        .with("Parameters", Value::list(found.into_iter().filter_map(|name| parameter(cx, name))))
        .with("InvalidParameters", Value::list(missing.into_iter().map(Value::from))))
}

/// The parameters right below a path, or with `Recursive` at any depth.
fn get_parameters_by_path(cx: &Context, params: &Params) -> Answer {
    let invalid = |message: String| ApiError::new("ValidationException", message);
    let path = params.required("Path")?;
    if !path.starts_with('/') {
        return Err(invalid(format!("The parameter doesn't meet the parameter name requirements: {path}")));
    }
    let size = params.int("MaxResults")?.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(invalid(format!("Value '{size}' at 'maxResults' must be between 1 and {PAGE_MAX}")));
    }
    let (prefix, deep) = (format!("{}/", path.trim_end_matches('/')), params.bool("Recursive")?.unwrap_or(false));
    let below = |name: &&str| name.strip_prefix(&prefix).is_some_and(|rest| deep || !rest.contains('/'));
    let mut names: Vec<&str> =
        images::IMAGES.iter().flat_map(|image| image.parameters).copied().filter(below).collect();
    names.sort_unstable();
    // The token is the last name shown.
    let after = params.text("NextToken").unwrap_or_default();
    let mut rest = names.into_iter().skip_while(|name| *name <= after);
    let page: Vec<&str> = rest.by_ref().take(usize::try_from(size).unwrap_or(1)).collect();
    let token = if rest.next().is_some() { page.last().map(|name| Value::from(*name)) } else { None };
    Ok(Value::map()
        .with("Parameters", Value::list(page.iter().filter_map(|name| parameter(cx, name))))
        .with("NextToken", token))
}

fn parameter(cx: &Context, name: &str) -> Option<Value> {
    let image = images::by_parameter(name)?;
    Some(
        Value::map()
            .with("Name", Value::from(name))
            .with("Type", Value::from("String"))
            .with("Value", Value::from(image.id))
            .with("Version", Value::from(1i64))
            .with("LastModifiedDate", Value::from(Timestamp::UNIX_EPOCH))
            .with("ARN", Value::from(format!("arn:aws:ssm:{}::parameter{name}", cx.region)))
            .with("DataType", Value::from("text")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::Service;
    use crate::region::world::World;

    fn get(operation: &str, params: Vec<(String, Value)>) -> Answer {
        let request = Request { service: Service::Ssm, operation: operation.to_owned(), params: Params(params) };
        World::new("us-east-1", 1).call(Timestamp::UNIX_EPOCH, &request).0
    }

    #[test]
    fn public_images_have_stable_ids() {
        let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
        let Ok(Value::Map(fields)) = get("GetParameter", vec![("Name".into(), name.into())]) else { panic!() };
        assert_eq!(Params(fields).map("Parameter").unwrap().text("Value"), Some("ami-0a1b2c3d4e5f60001"));
    }

    #[test]
    fn a_path_has_the_parameters_below_it_page_by_page() {
        let ask = |more: Vec<(String, Value)>| {
            let path = "/aws/service/canonical/ubuntu/server".into();
            let params = [vec![("Path".to_owned(), path), ("MaxResults".to_owned(), Value::Int(4))], more].concat();
            let Ok(Value::Map(fields)) = get("GetParametersByPath", params) else { panic!() };
            let fields = Params(fields);
            let names: Vec<String> =
                fields.maps("Parameters").iter().map(|it| it.text("Name").unwrap().to_owned()).collect();
            (names, fields.text("NextToken").map(str::to_owned))
        };
        assert_eq!(ask(vec![]).0, Vec::<String>::new(), "none is right below it");
        let recursive = ("Recursive".to_owned(), Value::Bool(true));
        let (first, token) = ask(vec![recursive.clone()]);
        let (second, end) = ask(vec![recursive, ("NextToken".to_owned(), Value::from(token.unwrap()))]);
        assert_eq!((first.len(), second.len(), end), (4, 2, None));
        assert!(first[3] < second[0]);
        let bad = get("GetParametersByPath", vec![("Path".into(), "aws".into())]);
        assert_eq!(bad.unwrap_err().code, "ValidationException");
    }

    #[test]
    fn unknown_names_are_reported_not_invented() {
        assert_eq!(get("GetParameter", vec![("Name".into(), "/x".into())]).unwrap_err().code, "ParameterNotFound");
        let names = vec![("Names".into(), Value::list(["/x".into()]))];
        let Ok(Value::Map(fields)) = get("GetParameters", names) else { panic!() };
        assert_eq!(Params(fields).texts("InvalidParameters"), ["/x"]);
    }
}
