//! What PutMetricAlarm says: what an alarm watches, when it breaches, and what it then does.

use super::alarm::{Comparison, Missing, Rule};
use super::anomaly::Of;
use super::math::{self, Expression};
use super::query::{Query, Source};
use super::statistics::Statistic;
use super::store::MetricId;
use super::wire::{bounded, dimensions_value, metric, statistic, validation};
use crate::region::wire::{ApiError, Params, Value};

const ACTIONS_MAX: usize = 5;
/// The longest window: a day, or a week with periods of at least an hour.
const WINDOW_SECONDS: i64 = 86_400;
const LONG_WINDOW_SECONDS: i64 = 7 * WINDOW_SECONDS;
/// Below this many samples a percentile says nothing, for `EvaluateLowSampleCountPercentile: ignore`: 10 ÷ (1 − p).
const LOW_SAMPLES: f64 = 10.0;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Config {
    pub name: String,
    pub description: Option<String>,
    pub actions_enabled: bool,
    pub ok_actions: Vec<String>,
    pub alarm_actions: Vec<String>,
    pub insufficient_data_actions: Vec<String>,
    pub watched: Watched,
    /// Seconds.
    pub period: i64,
    pub rule: Rule,
    pub comparison: Comparison,
    /// Of no meaning for an alarm that watches a band.
    pub threshold: f64,
    /// `ThresholdMetricId`: the query whose band is watched.
    #[serde(default)]
    pub band: Option<String>,
    /// Only what was said is shown again.
    datapoints_to_alarm: Option<i64>,
    treat_missing_data: Option<String>,
    evaluate_low_sample_count_percentile: Option<String>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Watched {
    /// `text` is the statistic as it was written.
    Metric { id: MetricId, statistic: Statistic, text: String, unit: Option<String> },
    /// The query that returns data decides; `request` is `Metrics` as it came.
    Math { queries: Vec<Query>, request: Value },
}

impl Config {
    pub fn parse(params: &Params) -> Result<Self, ApiError> {
        let name = bounded(params, "AlarmName", 255)?;
        let comparison = params.required("ComparisonOperator")?;
        let comparison = Comparison::parse(comparison).ok_or_else(|| {
            validation(format!("Value '{comparison}' at 'comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set."))
        })?;
        let band = params.text("ThresholdMetricId").map(str::to_owned);
        let threshold = params.float("Threshold")?;
        let threshold = match (&band, comparison.is_of_band(), threshold) {
            (None, false, Some(threshold)) => threshold,
            (None, false, None) => return Err(ApiError::missing("Threshold")),
            (Some(_), true, None) => 0.0,
            _ => {
                return Err(validation(format!(
                    "An alarm has either a Threshold, or a ThresholdMetricId and a comparison with a band; {} does not fit.",
                    comparison.as_str()
                )));
            }
        };
        let (watched, period) = watched(params, band.as_deref())?;
        let config = Self {
            name,
            description: params.text("AlarmDescription").map(str::to_owned),
            actions_enabled: params.bool("ActionsEnabled")?.unwrap_or(true),
            ok_actions: actions(params, "OKActions")?,
            alarm_actions: actions(params, "AlarmActions")?,
            insufficient_data_actions: actions(params, "InsufficientDataActions")?,
            watched,
            period,
            rule: rule(params)?.of_namespace(params.text("Namespace").unwrap_or_default()),
            comparison,
            threshold,
            band,
            datapoints_to_alarm: params.int("DatapointsToAlarm")?,
            treat_missing_data: params.text("TreatMissingData").map(str::to_owned),
            evaluate_low_sample_count_percentile: low_samples(params)?,
        };
        let scales = |action: &String| action.starts_with("arn:aws:autoscaling:");
        if config.band.is_some() && config.all_actions().any(scales) {
            return Err(validation("An alarm with a ThresholdMetricId cannot have Auto Scaling actions."));
        }
        let window = i64::try_from(config.rule.periods).unwrap_or(i64::MAX).saturating_mul(period);
        let window_max = if period >= 3600 { LONG_WINDOW_SECONDS } else { WINDOW_SECONDS };
        if window > window_max {
            return Err(validation(format!(
                "Metrics cannot be checked across more than {window_max} seconds (EvaluationPeriods * Period must be <= {window_max})."
            )));
        }
        Ok(config)
    }

    /// The actions of a state.
    pub fn actions(&self, state: super::alarm::State) -> &[String] {
        use super::alarm::State;
        match state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }

    pub fn all_actions(&self) -> impl Iterator<Item = &String> {
        [&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions].into_iter().flatten()
    }

    pub fn has_actions(&self) -> bool {
        self.all_actions().next().is_some()
    }

    /// Takes these actions away; whether any was there.
    pub fn forget_actions(&mut self, actions: &[String]) -> bool {
        let before = self.all_actions().count();
        for list in [&mut self.ok_actions, &mut self.alarm_actions, &mut self.insufficient_data_actions] {
            list.retain(|action| !actions.contains(action));
        }
        self.all_actions().count() < before
    }

    /// The metric, statistic and period whose usual course it needs at each evaluation.
    pub fn banded(&self) -> Option<Of> {
        let Watched::Math { queries, .. } = &self.watched else { return None };
        let source = |id: &str| queries.iter().find(|query| query.id == id).map(|query| &query.source);
        let Source::Math { expression, .. } = source(self.band.as_deref()?)? else { return None };
        match source(expression.names().first()?)? {
            Source::Metric { id, period, statistic, .. } => Some((id.clone(), statistic.to_string(), *period)),
            Source::Math { .. } => None,
        }
    }

    /// Where the window begins that ends at `end`, in epoch seconds.
    pub fn window_start(&self, end: i64) -> i64 {
        let range = i64::try_from(self.rule.range()).unwrap_or(i64::MAX);
        end.saturating_sub(self.period.saturating_mul(range))
    }

    /// How many samples a percentile needs before the alarm may change, where the alarm asks for that.
    pub fn samples_min(&self) -> Option<f64> {
        let is_asked = self.evaluate_low_sample_count_percentile.as_deref() == Some("ignore");
        match &self.watched {
            Watched::Metric { statistic: Statistic::Percentile(percent), .. } if is_asked => {
                let part = percent / 100.0;
                Some(LOW_SAMPLES / if part >= 0.5 { 1.0 - part } else { part })
            }
            _ => None,
        }
    }

    /// The fields of `MetricAlarm` that come from the configuration.
    pub fn value(&self) -> Value {
        let texts = |items: &[String]| Value::list(items.iter().map(|item| Value::from(&**item)));
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        let mut value = Value::map()
            .with("AlarmName", Value::from(&*self.name))
            .with("AlarmDescription", text(&self.description))
            .with("ActionsEnabled", Value::from(self.actions_enabled))
            .with("OKActions", texts(&self.ok_actions))
            .with("AlarmActions", texts(&self.alarm_actions))
            .with("InsufficientDataActions", texts(&self.insufficient_data_actions));
        value = match &self.watched {
            Watched::Metric { id, statistic, text: written, unit } => {
                let is_extended = matches!(statistic, Statistic::Percentile(_) | Statistic::Part(..));
                let name = if is_extended { "ExtendedStatistic" } else { "Statistic" };
                value
                    .with("MetricName", Value::from(&*id.name))
                    .with("Namespace", Value::from(&*id.namespace))
                    .with(name, Value::from(&**written))
                    .with("Dimensions", dimensions_value(id))
                    .with("Period", Value::Int(self.period))
                    .with("Unit", text(unit))
            }
            Watched::Math { request, .. } => value.with("Metrics", request.clone()),
        };
        value
            .with("EvaluationPeriods", Value::Int(i64::try_from(self.rule.periods).unwrap_or(i64::MAX)))
            .with("DatapointsToAlarm", self.datapoints_to_alarm.map(Value::Int))
            .with("Threshold", self.band.is_none().then_some(Value::Float(self.threshold)))
            .with("ThresholdMetricId", text(&self.band))
            .with("ComparisonOperator", Value::from(self.comparison.as_str()))
            .with("TreatMissingData", text(&self.treat_missing_data))
            .with("EvaluateLowSampleCountPercentile", text(&self.evaluate_low_sample_count_percentile))
    }
}

fn rule(params: &Params) -> Result<Rule, ApiError> {
    let periods = params.int("EvaluationPeriods")?.ok_or_else(|| ApiError::missing("EvaluationPeriods"))?;
    let to_alarm = params.int("DatapointsToAlarm")?.unwrap_or(periods);
    if periods < 1 || to_alarm < 1 || to_alarm > periods {
        return Err(validation(
            "EvaluationPeriods and DatapointsToAlarm must be at least 1, and DatapointsToAlarm at most EvaluationPeriods.",
        ));
    }
    let missing = match params.text("TreatMissingData") {
        None => Missing::default(),
        Some(text) => {
            Missing::parse(text).ok_or_else(|| validation(format!("Value '{text}' at 'treatMissingData' is invalid: it is one of missing, ignore, breaching and notBreaching.")))?
        }
    };
    // A window is at most a week of seconds.
    let bounded = |number: i64| usize::try_from(number.min(LONG_WINDOW_SECONDS)).unwrap_or(1);
    Ok(Rule { periods: bounded(periods), to_alarm: bounded(to_alarm), missing })
}

/// What is watched, and its period; `band` is the query that it is compared with, if any.
fn watched(params: &Params, band: Option<&str>) -> Result<(Watched, i64), ApiError> {
    let list = params.maps("Metrics");
    if !list.is_empty() {
        let queries = Query::parse_all(&list)?;
        let returned = queries.iter().filter(|query| query.returned && Some(query.id.as_str()) != band);
        if returned.count() != 1 {
            return Err(validation("Exactly one element of the metrics list should return data."));
        }
        if let Some(band) = band {
            let query = queries.iter().find(|query| query.id == band).map(|query| &query.source);
            if !matches!(query, Some(Source::Math { expression: Expression::Call(name, _), .. }) if name == math::BAND)
            {
                return Err(validation(format!(
                    "ThresholdMetricId {band} must be the id of an expression with the function {}.",
                    math::BAND
                )));
            }
        }
        let period_of = |query: &Query| match &query.source {
            Source::Metric { period, .. } => Some(*period),
            Source::Math { .. } => None,
        };
        let period = queries.iter().find_map(period_of).ok_or_else(|| validation("The metrics list has no metric."))?;
        let request = params.get("Metrics").cloned().unwrap_or(Value::List(Vec::new()));
        return Ok((Watched::Math { queries, request }, period));
    }
    if band.is_some() {
        return Err(validation("ThresholdMetricId is for alarms with a metrics list."));
    }
    let period = params.int("Period")?.ok_or_else(|| ApiError::missing("Period"))?;
    if !([10, 20, 30].contains(&period) || (period > 0 && period % 60 == 0)) {
        return Err(validation(format!("Invalid period {period}: it must be 10, 20, 30 or a multiple of 60.")));
    }
    let text = match (params.text("Statistic"), params.text("ExtendedStatistic")) {
        (Some(text), None) | (None, Some(text)) => text,
        _ => return Err(validation("Exactly one of Statistic and ExtendedStatistic must be specified.")),
    };
    let unit = params.text("Unit").map(str::to_owned);
    Ok((Watched::Metric { id: metric(params)?, statistic: statistic(text)?, text: text.to_owned(), unit }, period))
}

/// The actions that a request names for one state.
///
/// # Errors
/// `ValidationError` for too many, and for what is no ARN.
pub fn actions(params: &Params, name: &str) -> Result<Vec<String>, ApiError> {
    let actions: Vec<String> = params.texts(name).into_iter().map(str::to_owned).collect();
    if actions.len() > ACTIONS_MAX {
        return Err(validation(format!("The collection {name} must not have a size greater than {ACTIONS_MAX}.")));
    }
    match actions.iter().find(|action| !action.starts_with("arn:")) {
        Some(action) => Err(validation(format!("Invalid arn syntax: {action}"))),
        None => Ok(actions),
    }
}

fn low_samples(params: &Params) -> Result<Option<String>, ApiError> {
    match params.text("EvaluateLowSampleCountPercentile") {
        None => Ok(None),
        Some(text @ ("evaluate" | "ignore")) => Ok(Some(text.to_owned())),
        Some(other) => Err(validation(format!(
            "Option {other} is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are evaluate and ignore."
        ))),
    }
}
