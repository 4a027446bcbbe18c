//! Tokens of pages: opaque to the caller, and good for the operation that gave them.
//!
//! What an operation says of where its next page begins goes out sealed with a check sum, and comes back opened. So an
//! operation never meets a token that it has not given, and garbage is no first page or last one but an error.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};

use super::{Answer, ApiError, Params, Request, Service, Value};

/// Where requests have a token, and answers.
const GIVEN: [&str; 3] = ["NextToken", "Marker", "PaginationToken"];
const ANSWERED: [&str; 4] = ["nextToken", "NextToken", "NextMarker", "PaginationToken"];
const PAGINATION: &str = "PaginationToken";
const SUM_BYTES: usize = 8;

/// Runs an operation on the request's parameters with their token opened, and seals the answer's.
///
/// # Errors
/// The operation's; for a token that it has not given, in the service's own code.
pub fn paged(request: &Request, run: impl FnOnce(&Params) -> Answer) -> Answer {
    let is_token = |name: &str| GIVEN.contains(&name);
    let mut params = None;
    // The tagging API's own word for "from the start" and "no more" is an empty token.
    let is_none = |name: &str, value: &Value| name == PAGINATION && *value == Value::from("");
    let given = request.params.0.iter().find(|(name, value)| is_token(name) && !is_none(name, value));
    if let Some((name, value)) = given {
        let text = if let Value::Text(text) = value { text.as_str() } else { "" };
        let opened = open(request, text).ok_or_else(|| refusal(request, name, text))?;
        let all = request.params.0.iter().map(|(name, value)| {
            (name.clone(), if is_token(name) { Value::Text(opened.clone()) } else { value.clone() })
        });
        params = Some(Params(all.collect()));
    }
    let mut answer = run(params.as_ref().unwrap_or(&request.params))?;
    if let Value::Map(fields) = &mut answer {
        for (_, value) in fields.iter_mut().filter(|(name, _)| ANSWERED.contains(&name.as_str())) {
            if let Value::Text(position) = value
                && !position.is_empty()
            {
                *position = seal(request, position);
            }
        }
    }
    Ok(answer)
}

fn seal(request: &Request, position: &str) -> String {
    BASE64.encode([&sum(request, position), position.as_bytes()].concat())
}

fn open(request: &Request, token: &str) -> Option<String> {
    let bytes = BASE64.decode(token).ok()?;
    let (known, position) = bytes.split_at_checked(SUM_BYTES)?;
    let position = std::str::from_utf8(position).ok()?;
    (known == sum(request, position)).then(|| position.to_owned())
}

fn sum(request: &Request, position: &str) -> [u8; SUM_BYTES] {
    let digest = Sha256::digest(format!("{:?} {} {position}", request.service, request.operation));
    std::array::from_fn(|index| digest[index])
}

/// As the services answer; for EC2, Auto Scaling and Systems Manager in their words. CloudWatch documents the code for all its
/// listings but ListMetrics, ELB none but its general one.
fn refusal(request: &Request, name: &str, token: &str) -> ApiError {
    match request.service {
        Service::Ec2 => {
            let message = format!("Value ( {token} ) for parameter {name} is invalid. The token is invalid.");
            ApiError::new("InvalidParameterValue", message)
        }
        Service::Cloudwatch if request.operation == "ListMetrics" => ApiError::invalid(name, token),
        Service::Cloudwatch => ApiError::new("InvalidNextToken", "The next token specified is invalid."),
        Service::Autoscaling => ApiError::new("InvalidNextToken", format!("The token '{token}' was invalid")),
        Service::Ssm => ApiError::new("InvalidNextToken", "The specified token isn't valid."),
        Service::Tagging => ApiError::new("PaginationTokenExpiredException", "The specified token isn't valid."),
        Service::Elbv2 | Service::Sts => {
            ApiError::new("ValidationError", format!("The value '{token}' of {name} is not one that an answer gave"))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::region::reference::services;
    use crate::region::wire::operation::shape;
    use crate::region::world::World;

    fn request(service: Service, operation: &str, params: &[(&str, &str)]) -> Request {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
        Request { service, operation: operation.to_owned(), params: Params(params.collect()) }
    }

    fn service(name: &str) -> Service {
        match name {
            "ec2" => Service::Ec2,
            "elbv2" => Service::Elbv2,
            "autoscaling" => Service::Autoscaling,
            "cloudwatch" => Service::Cloudwatch,
            "ssm" => Service::Ssm,
            "resourcegroupstaggingapi" => Service::Tagging,
            "sts" => Service::Sts,
            other => panic!("{other} is not known here"),
        }
    }

    #[test]
    fn garbage_is_an_error_of_every_operation_that_has_pages() {
        let mut tried = 0;
        for (name, _, rows) in services() {
            for row in rows {
                let pages = shape(row.takes).into_iter().filter(|(field, _)| GIVEN.contains(field));
                for (field, _) in pages {
                    let service = service(name);
                    let expected = match (service, row.name) {
                        // boto/boto3 issue 2673.
                        (Service::Ec2, _) | (_, "ListMetrics") => "InvalidParameterValue",
                        (Service::Elbv2, _) => "ValidationError",
                        (Service::Tagging, _) => "PaginationTokenExpiredException",
                        _ => "InvalidNextToken",
                    };
                    for garbage in ["garbage", "0", "\u{1f600}", "aGVsbG8gaGVsbG8gaGVsbG8"] {
                        let request = request(service, row.name, &[(field, garbage)]);
                        let answer = World::new("us-east-1", 1).call(Timestamp::UNIX_EPOCH, &request).0;
                        let code = answer.map_err(|error| error.code);
                        assert_eq!(code, Err(expected.to_owned()), "{name} {} {garbage}", row.name);
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 100, "{tried} tries");
    }

    #[test]
    fn a_token_comes_back_as_it_was_and_is_good_for_its_operation_only() {
        let listing = request(Service::Ec2, "DescribeSubnets", &[("MaxResults", "2")]);
        let mut world = World::new("us-east-1", 1);
        let mut page = |operation: &str, token: Option<&str>| {
            let mut params = vec![("MaxResults", "4")];
            params.extend(token.map(|token| ("NextToken", token)));
            let answer = world.call(Timestamp::UNIX_EPOCH, &request(listing.service, operation, &params)).0?;
            let Value::Map(fields) = answer else { panic!("an answer is a map") };
            Ok::<_, ApiError>(Params(fields))
        };
        let first = page("DescribeSubnets", None).unwrap();
        let token = first.text("nextToken").unwrap().to_owned();
        let second = page("DescribeSubnets", Some(&token)).unwrap();
        assert_eq!((first.list("subnetSet").len(), second.list("subnetSet").len()), (4, 2));
        assert_eq!(page("DescribeVpcs", Some(&token)).unwrap_err().code, "InvalidParameterValue");
    }
}
