//! Target tracking: `needed = ceil(capacity × metric / target)`, and the two alarms that ask for it (aws-semantics §2).

use super::super::wire::{ApiError, Params, Value};

/// AlarmLow's threshold as a share of the target, observed on EC2 Auto Scaling (ECS and others use 0.9).
pub const ALARM_LOW_RATIO: f64 = 0.70;
/// The period of a metric, unless it says another one.
const PERIOD_SECONDS: i64 = 60;
/// Three of three minutes above the target scale out.
const HIGH_PERIODS: i64 = 3;
/// Fifteen of fifteen minutes below scale in.
const LOW_PERIODS: i64 = 15;
/// Scale-in removes at most this share of the group per action, and at least one: AWS says "conservatively" and no number.
const SCALE_IN_SHARE: i64 = 10;

/// The metric that a policy keeps at its target.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Metric {
    Single {
        namespace: String,
        name: String,
        dimensions: Vec<(String, String)>,
        statistic: String,
        unit: Option<String>,
    },
    /// Metric math: the queries as `PutMetricAlarm` takes them.
    Math(Vec<Value>),
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tracking {
    /// `TargetTrackingConfiguration` as the user gave it.
    pub configuration: Params,
    pub metric: Metric,
    pub target: f64,
    pub scale_in: bool,
    /// Seconds.
    pub period: i64,
    /// EC2's own group metrics leave warming instances out; every other metric counts them.
    pub excludes_warming: bool,
    pub high_alarm: String,
    /// `None` where scale-in is disabled.
    pub low_alarm: Option<String>,
}

/// The capacity that brings `metric` to `target` when `capacity` instances share it.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "capacities are small; saturates")]
pub fn needed(capacity: i64, metric: f64, target: f64) -> i64 {
    // A hair less than the exact product: 3 × 50 / 50 must not become 4 by a rounding error.
    (capacity as f64 * metric / target - 1e-9).ceil().max(0.0) as i64
}

/// Scale-in in small portions.
pub fn cautious(current: i64, wanted: i64) -> i64 {
    wanted.max(current - (current / SCALE_IN_SHARE).max(1))
}

impl Tracking {
    /// Reads `TargetTrackingConfiguration`. `id` makes the alarms' names.
    ///
    /// # Errors
    /// `ValidationError` as AWS words it, for no metric or two, an unknown one, or a target that is no number above 0.
    pub fn parse(group: &str, configuration: Params, id: &str) -> Result<Self, ApiError> {
        let target = configuration
            .float("TargetValue")?
            .filter(|target| target.is_finite() && *target > 0.0)
            .ok_or_else(|| invalid("TargetValue must be a number greater than 0"))?;
        let predefined = configuration.map("PredefinedMetricSpecification");
        let customized = configuration.map("CustomizedMetricSpecification");
        let (metric, excludes_warming, period) = match (&predefined, &customized) {
            (Some(specification), None) => {
                let (metric, excludes_warming) = predefined_metric(group, specification)?;
                (metric, excludes_warming, PERIOD_SECONDS)
            }
            (None, Some(specification)) => {
                let period = specification.int("Period")?.unwrap_or(PERIOD_SECONDS);
                if ![10, 30, 60].contains(&period) {
                    return Err(invalid("Period must be 10, 30 or 60"));
                }
                (customized_metric(specification)?, false, period)
            }
            _ => {
                return Err(invalid(
                    "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is required",
                ));
            }
        };
        let scale_in = !configuration.bool("DisableScaleIn")?.unwrap_or(false);
        Ok(Self {
            metric,
            target,
            scale_in,
            period,
            excludes_warming,
            high_alarm: format!("TargetTracking-{group}-AlarmHigh-{id}"),
            low_alarm: scale_in.then(|| format!("TargetTracking-{group}-AlarmLow-{id}")),
            configuration,
        })
    }

    pub fn alarm_names(&self) -> Vec<String> {
        std::iter::once(self.high_alarm.clone()).chain(self.low_alarm.clone()).collect()
    }

    /// The parameters of `PutMetricAlarm` for its alarms.
    pub fn alarms(&self, policy_arn: &str) -> Vec<Params> {
        let high = self.alarm(policy_arn, &self.high_alarm, "GreaterThanThreshold", self.target, HIGH_PERIODS);
        let low = self
            .low_alarm
            .as_ref()
            .map(|name| self.alarm(policy_arn, name, "LessThanThreshold", self.target * ALARM_LOW_RATIO, LOW_PERIODS));
        std::iter::once(high).chain(low).collect()
    }

    fn alarm(&self, policy_arn: &str, name: &str, comparison: &str, threshold: f64, periods: i64) -> Params {
        let description = format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}.");
        let mut fields = vec![
            ("AlarmName".to_owned(), Value::from(name)),
            ("AlarmDescription".to_owned(), description.into()),
            ("ActionsEnabled".to_owned(), true.into()),
            ("AlarmActions".to_owned(), Value::list([policy_arn.into()])),
            ("ComparisonOperator".to_owned(), comparison.into()),
            ("Threshold".to_owned(), threshold.into()),
            ("EvaluationPeriods".to_owned(), periods.into()),
        ];
        match &self.metric {
            Metric::Math(queries) => fields.push(("Metrics".to_owned(), Value::List(queries.clone()))),
            Metric::Single { namespace, name, dimensions, statistic, unit } => {
                let dimensions = dimensions.iter().map(|(name, value)| {
                    Value::map().with("Name", Value::from(name.as_str())).with("Value", Value::from(value.as_str()))
                });
                fields.extend([
                    ("Namespace".to_owned(), Value::from(namespace.as_str())),
                    ("MetricName".to_owned(), name.as_str().into()),
                    ("Dimensions".to_owned(), Value::list(dimensions)),
                    ("Statistic".to_owned(), statistic.as_str().into()),
                    ("Period".to_owned(), self.period.into()),
                ]);
                fields.extend(unit.as_ref().map(|unit| ("Unit".to_owned(), unit.as_str().into())));
            }
        }
        Params(fields)
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn predefined_metric(group: &str, specification: &Params) -> Result<(Metric, bool), ApiError> {
    let kind = specification.required("PredefinedMetricType")?;
    let ec2 = |name: &str| Metric::Single {
        namespace: "AWS/EC2".to_owned(),
        name: name.to_owned(),
        dimensions: vec![("AutoScalingGroupName".to_owned(), group.to_owned())],
        statistic: "Average".to_owned(),
        unit: None,
    };
    match kind {
        "ASGAverageCPUUtilization" => Ok((ec2("CPUUtilization"), true)),
        "ASGAverageNetworkIn" => Ok((ec2("NetworkIn"), true)),
        "ASGAverageNetworkOut" => Ok((ec2("NetworkOut"), true)),
        "ALBRequestCountPerTarget" => {
            let label = specification
                .text("ResourceLabel")
                .ok_or_else(|| invalid("ResourceLabel is required for ALBRequestCountPerTarget"))?;
            let (balancer, target_group) = split_label(label)
                .ok_or_else(|| invalid("ResourceLabel must be app/<name>/<id>/targetgroup/<name>/<id>"))?;
            let dimensions = vec![("TargetGroup".to_owned(), target_group), ("LoadBalancer".to_owned(), balancer)];
            let metric = Metric::Single {
                namespace: "AWS/ApplicationELB".to_owned(),
                name: "RequestCountPerTarget".to_owned(),
                dimensions,
                statistic: "Sum".to_owned(),
                unit: None,
            };
            Ok((metric, false))
        }
        other => Err(invalid(&format!("PredefinedMetricType {other} is not supported"))),
    }
}

/// `app/web/0123/targetgroup/light/4567` → the two dimension values.
pub fn split_label(label: &str) -> Option<(String, String)> {
    let at = label.find("/targetgroup/")?;
    let (balancer, rest) = label.split_at(at);
    let target_group = &rest[1..];
    let is_whole =
        balancer.starts_with("app/") && balancer.split('/').count() == 3 && target_group.split('/').count() == 3;
    is_whole.then(|| (balancer.to_owned(), target_group.to_owned()))
}

fn customized_metric(specification: &Params) -> Result<Metric, ApiError> {
    let queries = specification.list("Metrics");
    if !queries.is_empty() {
        return Ok(Metric::Math(queries.iter().cloned().map(with_period).collect()));
    }
    let dimension = |entry: Params| Ok((entry.required("Name")?.to_owned(), entry.required("Value")?.to_owned()));
    Ok(Metric::Single {
        namespace: specification.required("Namespace")?.to_owned(),
        name: specification.required("MetricName")?.to_owned(),
        dimensions: specification.maps("Dimensions").into_iter().map(dimension).collect::<Result<_, ApiError>>()?,
        statistic: specification.required("Statistic")?.to_owned(),
        unit: specification.text("Unit").map(str::to_owned),
    })
}

/// A query of metric math: its period may be left out, and is then a minute, while an alarm wants it written.
fn with_period(query: Value) -> Value {
    let with_default = |(name, value): (String, Value)| match value {
        Value::Map(stat) if name == "MetricStat" && !stat.iter().any(|(field, _)| field == "Period") => {
            (name, Value::Map(stat).with("Period", Value::Int(PERIOD_SECONDS)))
        }
        value => (name, value),
    };
    match query {
        Value::Map(fields) => Value::Map(fields.into_iter().map(with_default).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_rounds_up_and_in_removes_the_rounded_down_number() {
        assert_eq!(needed(2, 75.0, 50.0), 3);
        assert_eq!(needed(3, 75.0, 50.0), 5, "4.5");
        assert_eq!(needed(3, 50.0, 50.0), 3);
        assert_eq!(needed(3, 25.0, 50.0), 2, "1.5: remove just one");
        assert_eq!(needed(10, 0.0, 50.0), 0);
        assert_eq!(cautious(4, 1), 3);
        assert_eq!(cautious(30, 1), 27);
        assert_eq!(cautious(30, 29), 29);
    }

    fn configuration(fields: Vec<(&str, Value)>) -> Params {
        Params(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    #[test]
    fn the_alarms_are_named_and_set_as_aws_does() {
        let cpu = Value::map().with("PredefinedMetricType", Value::from("ASGAverageCPUUtilization"));
        let parsed = Tracking::parse(
            "web",
            configuration(vec![("TargetValue", "50".into()), ("PredefinedMetricSpecification", cpu)]),
            "u",
        )
        .unwrap();
        let [high, low] = &parsed.alarms("arn:p")[..] else { panic!("two alarms") };
        assert_eq!(high.text("AlarmName"), Some("TargetTracking-web-AlarmHigh-u"));
        assert_eq!(high.float("Threshold").unwrap(), Some(50.0));
        assert_eq!(high.int("EvaluationPeriods").unwrap(), Some(3));
        assert_eq!(low.text("AlarmName"), Some("TargetTracking-web-AlarmLow-u"));
        assert_eq!(low.float("Threshold").unwrap(), Some(35.0));
        assert_eq!(low.int("EvaluationPeriods").unwrap(), Some(15));
        assert_eq!(
            low.text("AlarmDescription"),
            Some("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy arn:p.")
        );
    }

    /// What people saw in the console: target 30 has its low alarm at 21, and so on; a metric of one's own as well.
    #[test]
    fn the_low_alarm_stands_at_seven_tenths_of_the_target() {
        for (target, low) in [("30", 21.0), ("40", 28.0), ("50", 35.0), ("75", 52.5), ("90", 63.0), ("20", 14.0)] {
            let own = Value::map()
                .with("Namespace", Value::from("App"))
                .with("MetricName", Value::from("Jobs"))
                .with("Statistic", Value::from("Average"));
            let fields = vec![("TargetValue", target.into()), ("CustomizedMetricSpecification", own)];
            let parsed = Tracking::parse("web", configuration(fields), "u").unwrap();
            let threshold = parsed.alarms("arn:p")[1].float("Threshold").unwrap().unwrap();
            assert!((threshold - low).abs() < 1e-9, "{target}: {threshold}");
        }
    }

    #[test]
    fn a_resource_label_names_the_load_balancer_and_the_target_group() {
        let split = split_label("app/web/0123/targetgroup/light/4567").unwrap();
        assert_eq!(split, ("app/web/0123".to_owned(), "targetgroup/light/4567".to_owned()));
        assert_eq!(split_label("targetgroup/light/4567"), None);
        assert_eq!(split_label("app/web/targetgroup/light/4567"), None);
    }

    #[test]
    fn a_target_must_be_positive_and_the_metric_known_and_single() {
        let cpu = || Value::map().with("PredefinedMetricType", Value::from("ASGAverageCPUUtilization"));
        let refused = |fields| Tracking::parse("web", configuration(fields), "u").unwrap_err().code;
        assert_eq!(
            refused(vec![("TargetValue", "0".into()), ("PredefinedMetricSpecification", cpu())]),
            "ValidationError"
        );
        assert_eq!(refused(vec![("TargetValue", "5".into())]), "ValidationError");
        let unknown = Value::map().with("PredefinedMetricType", Value::from("ALBLatency"));
        assert_eq!(
            refused(vec![("TargetValue", "5".into()), ("PredefinedMetricSpecification", unknown)]),
            "ValidationError"
        );
    }
}
