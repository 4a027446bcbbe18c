//! Dashboards: named bodies, kept as they were sent. Nothing is drawn of them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::dashboard_body;
use super::wire::{invalid, page, page_start};
use crate::region::context::ACCOUNT;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// What ListDashboards answers at once (CloudWatch API Reference).
const PAGE: usize = 1000;
/// Names that DeleteDashboards takes.
const NAMES_MAX: usize = 100;
const NAME_CHARACTERS_MAX: usize = 255;
/// The region's own bound; AWS has no quota of dashboards.
const DASHBOARDS_MAX: usize = 1000;
/// With it, no more than 64 MiB of bodies.
const BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Dashboard {
    body: String,
    modified: Timestamp,
}

/// All of the account: dashboards belong to no region.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Dashboards(BTreeMap<String, Dashboard>);

impl Dashboards {
    /// `PutDashboard`: creates one, or replaces the whole body.
    pub fn put(&mut self, now: Timestamp, params: &Params) -> Answer {
        let name = name(params)?;
        let body = params.required("DashboardBody")?;
        dashboard_body::check(body)?;
        let others = self.0.iter().filter(|(other, _)| **other != name);
        let (count, bytes) =
            others.fold((0, 0), |(count, bytes), (_, dashboard)| (count + 1, bytes + dashboard.body.len()));
        if count >= DASHBOARDS_MAX || bytes + body.len() > BYTES_MAX {
            let text = format!("The embedded region keeps {DASHBOARDS_MAX} dashboards of {BYTES_MAX} bytes in all.");
            return Err(ApiError::new("LimitExceeded", text));
        }
        self.0.insert(name, Dashboard { body: body.to_owned(), modified: now });
        Ok(Value::map().with("DashboardValidationMessages", Value::List(Vec::new())))
    }

    /// `GetDashboard`
    pub fn get(&self, params: &Params) -> Answer {
        let name = name(params)?;
        let dashboard = self.0.get(&name).ok_or_else(|| not_found(&[&name]))?;
        Ok(Value::map()
            .with("DashboardArn", Value::from(arn(&name)))
            .with("DashboardBody", Value::from(&*dashboard.body))
            .with("DashboardName", Value::from(name)))
    }

    /// `ListDashboards`
    pub fn list(&self, params: &Params) -> Answer {
        let prefix = params.text("DashboardNamePrefix").unwrap_or_default();
        let found = self.0.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        let (found, next) = page(found, page_start(params)?, PAGE);
        let entry = |(name, dashboard): (&String, &Dashboard)| {
            Value::map()
                .with("DashboardName", Value::from(&**name))
                .with("DashboardArn", Value::from(arn(name)))
                .with("LastModified", Value::Time(dashboard.modified))
                .with("Size", i64::try_from(dashboard.body.len()).ok().map(Value::Int))
        };
        Ok(Value::map().with("DashboardEntries", Value::list(found.into_iter().map(entry))).with("NextToken", next))
    }

    /// `DeleteDashboards`: all of them, or none where one is not there.
    pub fn delete(&mut self, params: &Params) -> Answer {
        let names = params.texts("DashboardNames");
        if names.is_empty() {
            return Err(ApiError::missing("DashboardNames"));
        }
        if names.len() > NAMES_MAX {
            return Err(invalid(format!(
                "The collection DashboardNames must not have a size greater than {NAMES_MAX}."
            )));
        }
        let unknown: Vec<&str> = names.iter().copied().filter(|name| !self.0.contains_key(*name)).collect();
        if !unknown.is_empty() {
            return Err(not_found(&unknown));
        }
        names.into_iter().for_each(|name| {
            self.0.remove(name);
        });
        Ok(Value::map())
    }
}

/// Dashboards are global: their ARNs name no region (Service Authorization Reference, CloudWatch).
fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}")
}

fn name(params: &Params) -> Result<String, ApiError> {
    let name = params.required("DashboardName")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.chars().all(fits) {
        return Err(invalid(format!(
            "The value for field DashboardName must have 1 to {NAME_CHARACTERS_MAX} characters of A-Z, a-z, 0-9, \"-\" and \"_\"."
        )));
    }
    Ok(name.to_owned())
}

fn not_found(names: &[&str]) -> ApiError {
    let text = match names {
        [name] => format!("Dashboard {name} does not exist"),
        names => format!("Dashboards {} do not exist", names.join(", ")),
    };
    ApiError { status: 404, ..ApiError::new("ResourceNotFound", text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "{\"widgets\":  [ ]}";

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn params(fields: &[(&str, &str)]) -> Params {
        Params(fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect())
    }

    fn put(dashboards: &mut Dashboards, name: &str, body: &str) -> Answer {
        dashboards.put(now(), &params(&[("DashboardName", name), ("DashboardBody", body)]))
    }

    fn names(names: &[&str]) -> Params {
        Params(vec![("DashboardNames".into(), Value::list(names.iter().map(|name| Value::from(*name))))])
    }

    fn get(dashboards: &Dashboards, name: &str) -> Answer {
        dashboards.get(&params(&[("DashboardName", name)]))
    }

    #[test]
    fn a_body_comes_back_as_it_was_sent_and_is_replaced_whole() {
        let mut dashboards = Dashboards::default();
        put(&mut dashboards, "shop", r#"{"widgets": [], "start": "-PT1H"}"#).unwrap();
        put(&mut dashboards, "shop", BODY).unwrap();
        let Value::Map(fields) = get(&dashboards, "shop").unwrap() else { panic!("a map") };
        let answer = Params(fields);
        assert_eq!(answer.text("DashboardBody"), Some(BODY));
        assert_eq!(answer.text("DashboardArn"), Some(&*format!("arn:aws:cloudwatch::{ACCOUNT}:dashboard/shop")));
    }

    #[test]
    fn names_are_those_of_the_api_reference() {
        let mut dashboards = Dashboards::default();
        put(&mut dashboards, &"n".repeat(255), BODY).unwrap();
        for name in ["", "a b", "a.b", "ä", &"n".repeat(256)] {
            assert_eq!(put(&mut dashboards, name, BODY).unwrap_err().code, "InvalidParameterValue", "{name}");
        }
        assert_eq!(dashboards.get(&params(&[])).unwrap_err().code, "MissingParameter");
    }

    #[test]
    fn a_body_that_is_refused_changes_nothing() {
        let mut dashboards = Dashboards::default();
        put(&mut dashboards, "shop", BODY).unwrap();
        assert_eq!(put(&mut dashboards, "shop", "{}").unwrap_err().code, "InvalidParameterInput");
        assert!(get(&dashboards, "shop").is_ok());
    }

    #[test]
    fn a_listing_is_by_prefix_and_in_pages() {
        let mut dashboards = Dashboards::default();
        put(&mut dashboards, "other", BODY).unwrap();
        put(&mut dashboards, "shop", BODY).unwrap();
        let list = |fields: &[(&str, &str)]| {
            let Value::Map(fields) = dashboards.list(&params(fields)).unwrap() else { panic!("a map") };
            let answer = Params(fields);
            let entries = answer.maps("DashboardEntries");
            let names: Vec<_> = entries.iter().map(|entry| entry.text("DashboardName").unwrap().to_owned()).collect();
            (names, entries.first().and_then(|entry| entry.int("Size").unwrap()))
        };
        assert_eq!(list(&[]).0, ["other", "shop"]);
        let size = i64::try_from(BODY.len()).unwrap();
        assert_eq!(list(&[("DashboardNamePrefix", "sh")]), (vec!["shop".to_owned()], Some(size)));
        assert_eq!(list(&[("NextToken", "1")]).0, ["shop"]);
        let error = dashboards.list(&params(&[("NextToken", "x")])).unwrap_err();
        assert_eq!(error.code, "InvalidNextToken");
    }

    /// "If there is an error during this call, no dashboards are deleted" (CloudWatch API Reference).
    #[test]
    fn all_that_are_named_are_deleted_or_none() {
        let mut dashboards = Dashboards::default();
        put(&mut dashboards, "one", BODY).unwrap();
        put(&mut dashboards, "two", BODY).unwrap();
        let error = dashboards.delete(&names(&["one", "three"])).unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (404, "ResourceNotFound"));
        assert!(get(&dashboards, "one").is_ok());
        dashboards.delete(&names(&["one", "two"])).unwrap();
        assert_eq!(get(&dashboards, "one").unwrap_err().code, "ResourceNotFound");
        assert_eq!(dashboards.delete(&names(&[])).unwrap_err().code, "MissingParameter");
        assert_eq!(dashboards.delete(&names(&["x"; 101])).unwrap_err().code, "InvalidParameterValue");
    }

    #[test]
    fn the_region_keeps_no_more_than_it_has_room_for() {
        let mut dashboards = Dashboards::default();
        for number in 0..DASHBOARDS_MAX {
            put(&mut dashboards, &format!("d{number}"), BODY).unwrap();
        }
        assert_eq!(put(&mut dashboards, "more", BODY).unwrap_err().code, "LimitExceeded");
        put(&mut dashboards, "d7", BODY).unwrap();
    }
}
