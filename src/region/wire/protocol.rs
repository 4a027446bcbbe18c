//! From an HTTP request to a [`Request`], and from an answer to an HTTP response, in the protocol that the client speaks.
//!
//! The protocol shows in the headers; the service in the scope of the signature
//! (`Credential=KEY/DATE/REGION/SERVICE/aws4_request`), where there is one, else in the target, the path or the API version.
//! Signatures are not checked: the region accepts any credentials, and only loopback callers reach it.

use hyper::http::request::Parts;

use super::{Answer, ApiError, Params, Request, Service, cbor, json, query, xml};

/// How a client writes its requests and reads the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Query,
    Ec2Query,
    Cbor,
    /// AWS JSON 1.0.
    Json10,
    /// AWS JSON 1.1.
    Json11,
}

/// A response without its HTTP framing.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

/// The service's name in a signature's scope, its API version, and its XML namespace.
const SERVICES: [(Service, &str, &str, &str); 7] = [
    (Service::Ec2, "ec2", "2016-11-15", "http://ec2.amazonaws.com/doc/2016-11-15/"),
    (Service::Elbv2, "elasticloadbalancing", "2015-12-01", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"),
    (Service::Autoscaling, "autoscaling", "2011-01-01", "http://autoscaling.amazonaws.com/doc/2011-01-01/"),
    (Service::Cloudwatch, "monitoring", "2010-08-01", "http://monitoring.amazonaws.com/doc/2010-08-01/"),
    (Service::Sts, "sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"),
    (Service::Ssm, "ssm", "2014-11-06", "http://ssm.amazonaws.com/doc/2014-11-06/"),
    (Service::Tagging, "tagging", "2017-01-26", "http://tagging.amazonaws.com/doc/2017-01-26/"),
];

/// The API version of classic load balancers, which sign as the newer ones do.
const CLASSIC: &str = "2012-06-01";

/// CloudWatch's name in RPC paths and JSON targets.
const CLOUDWATCH_RPC: &str = "GraniteServiceVersion20100801";

/// The protocol of a request.
pub fn protocol(head: &Parts) -> Protocol {
    let content_type = header(head, "content-type");
    if header(head, "smithy-protocol") == "rpc-v2-cbor" {
        Protocol::Cbor
    } else if content_type.starts_with("application/x-amz-json-1.0") {
        Protocol::Json10
    } else if content_type.starts_with("application/x-amz-json-1.1") {
        Protocol::Json11
    } else if scope(head) == Some(Service::Ec2) {
        Protocol::Ec2Query
    } else {
        Protocol::Query
    }
}

/// Reads a request; its body is complete and uncompressed.
pub fn read(protocol: Protocol, head: &Parts, body: &[u8]) -> Result<Request, ApiError> {
    match protocol {
        Protocol::Cbor => {
            let operation = head.uri.path().strip_prefix(&format!("/service/{CLOUDWATCH_RPC}/operation/"));
            let operation = operation.ok_or_else(|| unknown_service(head.uri.path()))?;
            Ok(Request { service: Service::Cloudwatch, operation: operation.to_owned(), params: cbor::parse(body)? })
        }
        Protocol::Json10 | Protocol::Json11 => {
            let target = header(head, "x-amz-target");
            let (name, operation) = target.split_once('.').ok_or_else(|| unknown_service(target))?;
            let service = match name {
                "AmazonSSM" => Service::Ssm,
                "ResourceGroupsTaggingAPI_20170126" => Service::Tagging,
                CLOUDWATCH_RPC => Service::Cloudwatch,
                other => return Err(unknown_service(other)),
            };
            Ok(Request { service, operation: operation.to_owned(), params: json::parse(body)? })
        }
        Protocol::Query | Protocol::Ec2Query => {
            let params = query::parse(body)?;
            let operation = params.text("Action").ok_or_else(|| {
                ApiError::new(
                    "MissingAction",
                    "The request must contain the parameter Action: this is an AWS endpoint.",
                )
            })?;
            let signed = scope(head);
            let version = params.text("Version").unwrap_or_default();
            if signed == Some(Service::Elbv2) && version == CLASSIC {
                return Err(unknown_service("classic load balancers; application load balancers are `elbv2`"));
            }
            let service = signed
                .or_else(|| by_version(&params))
                .ok_or_else(|| unknown_service(params.text("Version").unwrap_or("no version")))?;
            Ok(Request { service, operation: operation.to_owned(), params })
        }
    }
}

/// Writes the answer to `request`, which is missing where it could not be read.
pub fn write(protocol: Protocol, request: Option<&Request>, answer: &Answer, request_id: &str) -> Response {
    let (service, operation) = request.map_or((Service::Ec2, ""), |request| (request.service, &*request.operation));
    // A client that does not sign shows that it speaks EC2's dialect only by its API version.
    let protocol = if protocol == Protocol::Query && service == Service::Ec2 { Protocol::Ec2Query } else { protocol };
    let namespace = SERVICES.iter().find(|row| row.0 == service).map_or("", |row| row.3);
    let body = match (protocol, answer) {
        (Protocol::Query, Ok(value)) => xml::query_answer(operation, namespace, value, request_id),
        (Protocol::Query, Err(error)) => xml::query_error(namespace, error, request_id),
        (Protocol::Ec2Query, Ok(value)) => xml::ec2_answer(operation, namespace, value, request_id),
        (Protocol::Ec2Query, Err(error)) => xml::ec2_error(error, request_id),
        (Protocol::Cbor, Ok(value)) => cbor::answer(value),
        (Protocol::Cbor, Err(error)) => cbor::error(error),
        (Protocol::Json10 | Protocol::Json11, Ok(value)) => json::answer(value),
        (Protocol::Json10 | Protocol::Json11, Err(error)) => json::error(error),
    };
    let content_type = match protocol {
        Protocol::Query | Protocol::Ec2Query => "text/xml;charset=UTF-8",
        Protocol::Cbor => "application/cbor",
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
    };
    Response { status: answer.as_ref().map_or_else(|error| error.status, |_| 200), content_type, body }
}

fn header<'a>(head: &'a Parts, name: &str) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Region and service in the scope of the request's signature.
fn signature(head: &Parts) -> Option<(&str, &str)> {
    let (_, credential) = header(head, "authorization").split_once("Credential=")?;
    let mut parts = credential.split([',', ' ']).next()?.rsplit('/').skip(1);
    let service = parts.next()?;
    Some((parts.next()?, service))
}

/// The region that a request is signed for; none where it is not signed, or asks only who the caller is (STS), which does
/// not depend on the region.
pub fn region(head: &Parts) -> Option<&str> {
    signature(head).filter(|(_, service)| *service != "sts").map(|(region, _)| region)
}

/// The service in the scope of the request's signature.
fn scope(head: &Parts) -> Option<Service> {
    let (_, name) = signature(head)?;
    SERVICES.iter().find(|row| row.1 == name).map(|row| row.0)
}

fn by_version(params: &Params) -> Option<Service> {
    let version = params.text("Version")?;
    SERVICES.iter().find(|row| row.2 == version).map(|row| row.0)
}

fn unknown_service(name: &str) -> ApiError {
    ApiError::new("UnknownService", format!("The embedded region does not have the service of this request ({name})."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::Value;

    fn head(path: &str, headers: &[(&str, &str)]) -> Parts {
        let request = hyper::Request::post(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    fn read_both(head: &Parts, body: &[u8]) -> (Protocol, Result<Request, ApiError>) {
        let protocol = protocol(head);
        (protocol, read(protocol, head, body))
    }

    #[test]
    fn the_signatures_scope_names_the_service() {
        let head = head("/", &[("authorization", &signed("ec2"))]);
        let (protocol, request) = read_both(&head, b"Action=DescribeVpcs&Version=2016-11-15");
        assert_eq!((protocol, region(&head)), (Protocol::Ec2Query, Some("us-east-1")));
        assert_eq!(request.map(|r| (r.service, r.operation)), Ok((Service::Ec2, "DescribeVpcs".to_owned())));
    }

    #[test]
    fn without_a_signature_the_version_names_the_service() {
        let request = read_both(&head("/", &[]), b"Action=GetCallerIdentity&Version=2011-06-15").1.unwrap();
        assert_eq!(request.service, Service::Sts);
        let ec2 = read_both(&head("/", &[]), b"Action=DescribeVpcs&Version=2016-11-15").1.unwrap();
        let body = write(Protocol::Query, Some(&ec2), &Ok(Value::map()), "r").body;
        assert!(String::from_utf8(body).unwrap().contains("<requestId>r</requestId>"), "EC2's own dialect");
    }

    #[test]
    fn cloudwatch_speaks_cbor_by_path_and_json_by_target() {
        let cbor = head(
            "/service/GraniteServiceVersion20100801/operation/ListMetrics",
            &[("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")],
        );
        let (protocol, request) = read_both(&cbor, &[0xa0]);
        assert_eq!((protocol, request.unwrap().operation.as_str()), (Protocol::Cbor, "ListMetrics"));
        let json = head(
            "/",
            &[
                ("content-type", "application/x-amz-json-1.0"),
                ("x-amz-target", "GraniteServiceVersion20100801.ListMetrics"),
            ],
        );
        assert_eq!(read_both(&json, b"{}").1.unwrap().service, Service::Cloudwatch);
    }

    #[test]
    fn classic_load_balancers_are_not_taken_for_application_load_balancers() {
        let head = head("/", &[("authorization", &signed("elasticloadbalancing"))]);
        let refused = read_both(&head, b"Action=DescribeLoadBalancers&Version=2012-06-01").1.unwrap_err();
        assert!(refused.code == "UnknownService" && refused.message.contains("classic"), "{refused:?}");
        assert!(read_both(&head, b"Action=DescribeLoadBalancers&Version=2015-12-01").1.is_ok());
    }

    #[test]
    fn what_is_no_aws_request_is_told_so() {
        assert_eq!(read_both(&head("/", &[]), b"").1.unwrap_err().code, "MissingAction");
        assert_eq!(
            read_both(&head("/", &[]), b"Action=ListBuckets&Version=2006").1.unwrap_err().code,
            "UnknownService"
        );
    }
}
