//! STS: who the caller is. The region has one account and accepts any credentials.

use super::context::{ACCOUNT, Context};
use super::wire::operation;
use super::wire::{Answer, Request, Value};

type Operation = operation::Operation<()>;

/// Every operation, as it is declared.
pub const OPERATIONS: &[Operation] =
    &[Operation::new("GetCallerIdentity", "", |(), _, _| Ok(caller())).differs("Every caller is the account's root.")];

/// Runs one operation.
pub fn call(cx: &mut Context, request: &Request) -> Answer {
    (operation::find(&[OPERATIONS], request)?.run)(&mut (), cx, &request.params)
}

fn caller() -> Value {
    Value::map()
        .with("UserId", Value::from("AKIAIOSFODNN7EXAMPLE"))
        .with("Account", Value::from(ACCOUNT))
        .with("Arn", Value::from(format!("arn:aws:iam::{ACCOUNT}:root")))
}
