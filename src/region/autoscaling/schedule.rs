//! Scheduled actions: five-field cron in a time zone, with daylight saving (aws-semantics §5).
//!
//! A fixed time that falls into the hour which the clocks skip runs right after it; one that happens twice runs once.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::region::wire::ApiError;

/// What a scheduled action sets; what it leaves out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub desired: Option<i64>,
}

/// A cron expression in its time zone.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Recurrence {
    pub expression: String,
    /// As the user named it; `None` is UTC.
    pub zone_name: Option<String>,
    cron: Cron,
    zone: TimeZone,
}

/// As the user wrote it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Written {
    expression: String,
    zone_name: Option<String>,
}

impl TryFrom<Written> for Recurrence {
    type Error = String;

    fn try_from(Written { expression, zone_name }: Written) -> Result<Self, String> {
        Self::parse(&expression, zone_name.as_deref()).map_err(|error| error.message)
    }
}

impl From<Recurrence> for Written {
    fn from(Recurrence { expression, zone_name, .. }: Recurrence) -> Self {
        Self { expression, zone_name }
    }
}

impl Recurrence {
    /// # Errors
    /// `ValidationError` for an expression that is not five-field cron, or a zone that IANA does not know.
    pub fn parse(expression: &str, zone_name: Option<&str>) -> Result<Self, ApiError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| {
            ApiError::new("ValidationError", format!("Given recurrence string:{expression} is invalid: {error}"))
        })?;
        let zone = TimeZone::get(zone_name.unwrap_or("UTC")).map_err(|_| {
            ApiError::new("ValidationError", format!("The time zone {} is not valid", zone_name.unwrap_or("UTC")))
        })?;
        Ok(Self { expression: expression.to_owned(), zone_name: zone_name.map(str::to_owned), cron, zone })
    }

    /// The first occurrence after `after`; `None` where the expression never matches again.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
    }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ScheduledAction {
    pub name: String,
    pub arn: String,
    pub bounds: Bounds,
    pub recurrence: Option<Recurrence>,
    pub start: Option<Timestamp>,
    /// After this the action is gone.
    pub end: Option<Timestamp>,
    /// When it runs next.
    pub next: Option<Timestamp>,
}

impl ScheduledAction {
    /// When it runs, or is gone.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.next.or(self.end)
    }

    /// Whether it is of no use any more: it never runs again, and its end time, until which it is shown, has come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.next.is_none() && self.end.is_none_or(|end| end <= now)
    }

    /// Works out the next run after `now`: at the start time first, then by the recurrence, never after the end.
    pub fn plan(&mut self, now: Timestamp) {
        let start = self.start.filter(|start| *start > now);
        let recurring = || self.recurrence.as_ref().and_then(|recurrence| recurrence.next(now));
        self.next = start.or_else(recurring).filter(|next| self.end.is_none_or(|end| *next <= end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, zone: Option<&str>, after: &str) -> String {
        let recurrence = Recurrence::parse(expression, zone).unwrap();
        recurrence.next(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn cron_is_read_in_utc_unless_a_zone_is_named() {
        assert_eq!(next("0 8 * * MON-FRI", None, "2026-01-09T12:00:00Z"), "2026-01-12T08:00:00Z");
        assert_eq!(next("0 8 * * MON-FRI", Some("America/Toronto"), "2026-01-09T13:30:00Z"), "2026-01-12T13:00:00Z");
    }

    #[test]
    fn a_morning_stays_in_the_morning_when_the_clocks_change() {
        let toronto = Some("America/Toronto");
        assert_eq!(next("0 8 * * *", toronto, "2026-03-07T14:00:00Z"), "2026-03-08T12:00:00Z", "summer time begins");
        assert_eq!(next("0 8 * * *", toronto, "2026-10-31T13:00:00Z"), "2026-11-01T13:00:00Z", "and ends");
    }

    #[test]
    fn a_time_in_the_skipped_hour_runs_after_it_and_one_that_comes_twice_runs_once() {
        let toronto = Some("America/Toronto");
        assert_eq!(next("30 2 * * *", toronto, "2026-03-08T05:00:00Z"), "2026-03-08T07:00:00Z", "03:00 local");
        assert_eq!(next("30 1 * * *", toronto, "2026-11-01T04:00:00Z"), "2026-11-01T05:30:00Z", "the first 01:30");
        assert_eq!(next("30 1 * * *", toronto, "2026-11-01T05:30:00Z"), "2026-11-02T06:30:00Z", "not the second");
    }

    #[test]
    fn seconds_years_and_unknown_zones_are_refused() {
        assert!(Recurrence::parse("0 0 8 * * *", None).is_err());
        assert!(Recurrence::parse("0 8 * * * 2027", None).is_err());
        assert_eq!(Recurrence::parse("0 8 * * *", Some("Mars/Base")).unwrap_err().code, "ValidationError");
    }

    #[test]
    fn an_action_runs_at_its_start_then_by_its_recurrence_and_never_after_its_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut action = ScheduledAction {
            name: "morning".to_owned(),
            arn: String::new(),
            bounds: Bounds { min: Some(4), ..Bounds::default() },
            recurrence: Some(Recurrence::parse("0 8 * * *", None).unwrap()),
            start: Some(at("2026-01-01T05:00:00Z")),
            end: Some(at("2026-01-02T12:00:00Z")),
            next: None,
        };
        action.plan(at("2026-01-01T00:00:00Z"));
        assert_eq!(action.next, Some(at("2026-01-01T05:00:00Z")));
        action.plan(at("2026-01-01T05:00:00Z"));
        assert_eq!(action.next, Some(at("2026-01-01T08:00:00Z")));
        action.plan(at("2026-01-02T08:00:00Z"));
        assert_eq!(action.next, None);
    }
}
