//! SSM: the public parameters under which AWS publishes its images' ids.

use jiff::Timestamp;

use super::context::Context;
use super::images;
use super::wire::operation;
use super::wire::{Answer, ApiError, Params, Request, Value};

/// AWS's bound on the names of one GetParameters call.
const NAMES_MAX: usize = 10;

type Operation = operation::Operation<()>;

/// Every operation, as it is declared. The service has no state: the parameters are AWS's public ones.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("GetParameter", "Name WithDecryption", |(), cx, params| get_parameter(cx, params))
        .differs("The public parameters of AWS's images; none can be put."),
    Operation::new("GetParameters", "Names[] WithDecryption", |(), cx, params| get_parameters(cx, params)),
];

/// Runs one operation.
pub fn call(cx: &mut Context, request: &Request) -> Answer {
    (operation::find(&[OPERATIONS], request)?.run)(&mut (), cx, &request.params)
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
    fn unknown_names_are_reported_not_invented() {
        assert_eq!(get("GetParameter", vec![("Name".into(), "/x".into())]).unwrap_err().code, "ParameterNotFound");
        let names = vec![("Names".into(), Value::list(["/x".into()]))];
        let Ok(Value::Map(fields)) = get("GetParameters", names) else { panic!() };
        assert_eq!(Params(fields).texts("InvalidParameters"), ["/x"]);
    }
}
