//! Which failures are worth another attempt, beyond what the SDK knows by itself.

use std::error::Error;
use std::io;

use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::operation::run_instances::RunInstancesError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

/// EC2 answers a lack of capacity like a breakdown of its own (HTTP 500), but another zone is the better attempt.
const NO_CAPACITY: &[&str] = &["InsufficientInstanceCapacity", "InsufficientHostCapacity"];
const TOO_MANY_REQUESTS: u16 = 429;

#[derive(Debug)]
pub struct RetryClassifier;

impl ClassifyRetry for RetryClassifier {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        let launch = error.as_operation_error().and_then(|error| error.downcast_ref::<RunInstancesError>());
        let has_no_capacity = launch.and_then(|error| error.code()).is_some_and(|code| NO_CAPACITY.contains(&code));
        // Nobody listens there, and nobody will in a second.
        if has_no_capacity || error.as_connector_error().is_some_and(|error| is_refused(error)) {
            return RetryAction::RetryForbidden;
        }
        // The SDK knows codes; a gateway in between answers with none.
        match context.response() {
            Some(response) if response.status().as_u16() == TOO_MANY_REQUESTS => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "RetryClassifier"
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let is_cause = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    is_cause || error.source().is_some_and(is_refused)
}
