//! Why an alarm has its state, in CloudWatch's words: made when somebody reads them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::alarm::{Comparison, Rule, State};

/// What an evaluation saw.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    pub at: Timestamp,
    /// The start of the first period, in epoch seconds.
    pub start: i64,
    pub period: i64,
    pub rule: Rule,
    pub comparison: Comparison,
    pub threshold: f64,
    /// Oldest first.
    pub points: Vec<Option<f64>>,
    /// The band (lower, upper) of each point, where one is watched.
    #[serde(default)]
    pub bounds: Vec<Option<(f64, f64)>>,
}

/// Why an alarm has its state.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// It was just created.
    Unchecked,
    /// `SetAlarmState`
    Told {
        reason: String,
        data: Option<String>,
    },
    Evaluated(#[serde(with = "shared")] Arc<Evaluation>),
}

/// An evaluation is shared with the history; both are kept as if it were not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Evaluation;

    pub fn serialize<S: Serializer>(it: &Arc<Evaluation>, serializer: S) -> Result<S::Ok, S::Error> {
        it.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Evaluation>, D::Error> {
        Evaluation::deserialize(deserializer).map(Arc::new)
    }
}

impl Reason {
    pub fn text(&self, state: State) -> String {
        match self {
            Reason::Unchecked => "Unchecked: Initial alarm creation".to_owned(),
            Reason::Told { reason, .. } => reason.clone(),
            Reason::Evaluated(evaluation) => evaluation.text(state),
        }
    }

    /// JSON.
    pub fn data(&self) -> Option<String> {
        match self {
            Reason::Unchecked => None,
            Reason::Told { data, .. } => data.clone(),
            Reason::Evaluated(evaluation) => Some(evaluation.data()),
        }
    }
}

impl Evaluation {
    /// (start of the period, value) of the points that are there, oldest first.
    fn real(&self) -> Vec<(i64, f64)> {
        let starts = (0..).map(|index| self.start + index * self.period);
        starts.zip(&self.points).filter_map(|(start, value)| Some((start, (*value)?))).collect()
    }

    /// The band of the period that begins at `start`.
    fn band(&self, start: i64) -> Option<(f64, f64)> {
        let place = usize::try_from((start - self.start) / self.period).ok()?;
        self.bounds.get(place).copied().flatten()
    }

    fn breaches(&self, start: i64, value: f64) -> bool {
        match self.comparison.is_of_band() {
            true => self.band(start).is_some_and(|band| self.comparison.leaves(value, band)),
            false => self.comparison.breaches(value, self.threshold),
        }
    }

    fn text(&self, state: State) -> String {
        let Self { rule, comparison, threshold, .. } = self;
        let real = self.real();
        let recent = &real[real.len().saturating_sub(rule.periods)..];
        if recent.is_empty() {
            return match state {
                State::InsufficientData if rule.periods == 1 => {
                    "Insufficient Data: 1 datapoint was unknown.".to_owned()
                }
                State::InsufficientData => format!("Insufficient Data: {} datapoints were unknown.", rule.periods),
                _ => format!(
                    "no datapoints were received for {} periods and {} missing datapoints were treated as [{}].",
                    rule.periods,
                    rule.periods,
                    if state == State::Alarm { "Breaching" } else { "NonBreaching" }
                ),
            };
        }
        let breaching: Vec<_> = recent.iter().filter(|(start, value)| self.breaches(*start, *value)).collect();
        let shown: Vec<&(i64, f64)> = if state == State::Alarm { breaching } else { recent.iter().collect() };
        let list: Vec<String> =
            shown.iter().rev().map(|(start, value)| format!("{value:?} ({})", stamp(*start))).collect();
        let count = match (shown.len(), rule.periods) {
            (1, 1) => "1 datapoint".to_owned(),
            (count, periods) => format!("{count} out of the last {periods} datapoints"),
        };
        let verb = if shown.len() == 1 { "was" } else { "were" };
        let not = if state == State::Alarm { "" } else { "not " };
        let plural = if rule.to_alarm == 1 { "" } else { "s" };
        let turn = if state == State::Alarm { "OK -> ALARM" } else { "ALARM -> OK" };
        if comparison.is_of_band() {
            let edges = |edge: fn((f64, f64)) -> f64| -> String {
                let bands = shown.iter().rev().filter_map(|(start, _)| self.band(*start));
                bands.map(|band| format!("{:?}", edge(band))).collect::<Vec<_>>().join(", ")
            };
            let (lower, upper) = (edges(|band| band.0), edges(|band| band.1));
            return format!(
                "Thresholds Crossed: {count} [{}] {verb} {not}less than the lower thresholds [{lower}] or greater than the upper thresholds [{upper}] (minimum {} datapoint{plural} for {turn} transition).",
                list.join(", "),
                rule.to_alarm,
            );
        }
        format!(
            "Threshold Crossed: {count} [{}] {verb} {not}{} the threshold ({threshold:?}) (minimum {} datapoint{plural} for {turn} transition).",
            list.join(", "),
            comparison.words(),
            rule.to_alarm,
        )
    }

    fn data(&self) -> String {
        let seconds = |start: i64| Timestamp::from_second(start).map(|time| time.to_string()).unwrap_or_default();
        let real = self.real();
        let evaluated = |(start, value): &(i64, f64)| json!({"timestamp": seconds(*start), "value": value});
        json!({
            "version": "1.0",
            "queryDate": self.at.to_string(),
            "startDate": (!self.points.is_empty()).then(|| seconds(self.start)),
            "period": self.period,
            "recentDatapoints": real.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            "threshold": self.threshold,
            "evaluatedDatapoints": real.iter().rev().map(evaluated).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

/// `21/11/26 10:00:00`, as reasons write a time.
fn stamp(second: i64) -> String {
    Timestamp::from_second(second).map(|time| time.strftime("%d/%m/%y %H:%M:%S").to_string()).unwrap_or_default()
}
