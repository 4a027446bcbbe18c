//! STS: who the caller is. The region has one account and accepts any credentials.

use super::context::{ACCOUNT, Context};
use super::wire::{Answer, ApiError, Request, Value};

/// Runs one operation.
pub fn call(_cx: &mut Context, request: &Request) -> Answer {
    match request.operation.as_str() {
        "GetCallerIdentity" => Ok(Value::map()
            .with("UserId", Value::from("AKIAIOSFODNN7EXAMPLE"))
            .with("Account", Value::from(ACCOUNT))
            .with("Arn", Value::from(format!("arn:aws:iam::{ACCOUNT}:root")))),
        other => Err(ApiError::unknown_operation(other)),
    }
}
