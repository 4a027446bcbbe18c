//! STS: who the caller is. The region has one account and accepts any credentials.

use jiff::SignedDuration;

use super::context::{ACCOUNT, Context};
use super::wire::operation;
use super::wire::{Answer, ApiError, Params, Request, Value};

type Operation = operation::Operation<()>;

/// Every operation, as it is declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("GetCallerIdentity", "", |(), _, _| Ok(caller())).differs("Every caller is the account's root."),
    Operation::new("AssumeRole", "RoleArn RoleSessionName DurationSeconds ExternalId", |(), cx, params| {
        assume_role(cx, params)
    })
    .differs("Any role may be assumed: the region checks no credentials, and its callers stay the account's root."),
];

/// How long a role's session may last, in seconds, and how long it does where nobody says (STS API reference, AssumeRole).
const SESSION_SECONDS: std::ops::RangeInclusive<i64> = 900..=43_200;
const SESSION_SECONDS_DEFAULT: i64 = 3_600;

/// Runs one operation.
pub fn call(cx: &mut Context, request: &Request) -> Answer {
    operation::run(&[OPERATIONS], &mut (), cx, request)
}

fn caller() -> Value {
    Value::map()
        .with("UserId", Value::from("AKIAIOSFODNN7EXAMPLE"))
        .with("Account", Value::from(ACCOUNT))
        .with("Arn", Value::from(format!("arn:aws:iam::{ACCOUNT}:root")))
}

fn assume_role(cx: &mut Context, params: &Params) -> Answer {
    let invalid = |message: String| ApiError::new("ValidationError", message);
    let (arn, session) = (params.required("RoleArn")?, params.required("RoleSessionName")?);
    let role = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":role/"));
    let (account, role) = role.ok_or_else(|| invalid(format!("{arn} is invalid")))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(is_name) {
        return Err(invalid(format!("Value '{session}' at 'roleSessionName' must have 2 to 64 of [\\w+=,.@-]")));
    }
    let seconds = params.int("DurationSeconds")?.unwrap_or(SESSION_SECONDS_DEFAULT);
    if !SESSION_SECONDS.contains(&seconds) {
        let (low, high) = (SESSION_SECONDS.start(), SESSION_SECONDS.end());
        return Err(invalid(format!("Value '{seconds}' at 'durationSeconds' must be between {low} and {high}")));
    }
    let credentials = Value::map()
        .with("AccessKeyId", Value::from(format!("ASIA{}", cx.ids.hex(16).to_uppercase())))
        .with("SecretAccessKey", Value::from(cx.ids.hex(40)))
        .with("SessionToken", Value::from(cx.ids.hex(64)))
        .with("Expiration", Value::from(cx.now + SignedDuration::from_secs(seconds)));
    let name = role.rsplit('/').next().unwrap_or(role);
    let user = Value::map()
        .with("AssumedRoleId", Value::from(format!("AROA{}:{session}", cx.ids.hex(16).to_uppercase())))
        .with("Arn", Value::from(format!("arn:aws:sts::{account}:assumed-role/{name}/{session}")));
    Ok(Value::map().with("Credentials", credentials).with("AssumedRoleUser", user))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::region::wire::{Service, query};
    use crate::region::world::World;

    fn assume(form: &str) -> Answer {
        let params = query::parse(form.as_bytes()).unwrap();
        let request = Request { service: Service::Sts, operation: "AssumeRole".to_owned(), params };
        World::new("us-east-1", 1).call(Timestamp::UNIX_EPOCH, &request).0
    }

    #[test]
    fn a_role_is_assumed_for_as_long_as_asked() {
        let role = "RoleArn=arn:aws:iam::000000000000:role/lab/deploy&RoleSessionName=me";
        let Ok(Value::Map(fields)) = assume(&format!("{role}&DurationSeconds=900")) else { panic!("an answer") };
        let answer = Params(fields);
        let credentials = answer.map("Credentials").unwrap();
        assert_eq!(credentials.time("Expiration").unwrap().unwrap().as_second(), 900);
        assert!(credentials.text("AccessKeyId").is_some_and(|id| id.starts_with("ASIA") && id.len() == 20));
        let arn = answer.map("AssumedRoleUser").unwrap().text("Arn").map(str::to_owned);
        assert_eq!(arn.as_deref(), Some("arn:aws:sts::000000000000:assumed-role/deploy/me"));
        for bad in ["RoleArn=role&RoleSessionName=me", &format!("{role}&DurationSeconds=1")] {
            assert_eq!(assume(bad).unwrap_err().code, "ValidationError", "{bad}");
        }
    }
}
