//! Scaling policies as arithmetic: from a capacity and an adjustment to a capacity (aws-semantics §2–§4).
//!
//! Nothing here knows a group. When a policy may act, and what the warm-up allows, is decided in `scaling.rs`.

use jiff::Timestamp;

use super::forecast::Predictive;
use super::tracking::Tracking;

/// What a policy adds, sets, or multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum AdjustmentType {
    ChangeInCapacity,
    ExactCapacity,
    PercentChangeInCapacity,
}

impl AdjustmentType {
    pub const ALL: [(AdjustmentType, &'static str); 3] = [
        (AdjustmentType::ChangeInCapacity, "ChangeInCapacity"),
        (AdjustmentType::ExactCapacity, "ExactCapacity"),
        (AdjustmentType::PercentChangeInCapacity, "PercentChangeInCapacity"),
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(adjustment, _)| adjustment)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(adjustment, _)| *adjustment == self).map_or("", |(_, name)| name)
    }
}

/// How an amount becomes a capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Adjustment {
    pub by: AdjustmentType,
    /// The least change, for percentages.
    pub min_magnitude: Option<i64>,
}

impl Adjustment {
    /// The capacity that `amount` makes of `capacity`, before the group's bounds.
    ///
    /// Percentages round as AWS does: above 1 down, between 0 and 1 to 1, below −1 towards zero, between −1 and 0 to −1.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "capacities are small; saturates")]
    pub fn apply(self, capacity: i64, amount: i64) -> i64 {
        match self.by {
            AdjustmentType::ExactCapacity => amount,
            AdjustmentType::ChangeInCapacity => capacity.saturating_add(amount),
            AdjustmentType::PercentChangeInCapacity => {
                let exact = capacity as f64 * amount as f64 / 100.0;
                let change = if exact == 0.0 {
                    0
                } else if exact.abs() < 1.0 {
                    exact.signum() as i64
                } else {
                    exact.trunc() as i64
                };
                let least = self.min_magnitude.unwrap_or(0);
                let change = if amount != 0 && change.abs() < least { least * amount.signum() } else { change };
                capacity.saturating_add(change)
            }
        }
    }
}

/// One step: bounds are relative to the alarm's threshold; `None` is unbounded.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub amount: i64,
}

impl Step {
    /// Above the threshold the lower bound is inclusive and the upper exclusive; below it is the other way round.
    fn contains(&self, difference: f64, above: bool) -> bool {
        let lower = self.lower.unwrap_or(f64::NEG_INFINITY);
        let upper = self.upper.unwrap_or(f64::INFINITY);
        if above { lower <= difference && difference < upper } else { lower < difference && difference <= upper }
    }
}

/// The amount of the step that holds `value`. At the threshold itself the steps decide: the one above it, where there
/// is one, otherwise the one below.
pub fn amount_for(steps: &[Step], threshold: f64, value: f64) -> Option<i64> {
    let difference = value - threshold;
    let find = |above| steps.iter().find(|step| step.contains(difference, above)).map(|step| step.amount);
    if difference > 0.0 {
        find(true)
    } else if difference < 0.0 {
        find(false)
    } else {
        find(true).or_else(|| find(false))
    }
}

/// Whether the steps obey AWS's rules: no gap, no overlap, an open end on each side that they reach.
pub fn check_steps(steps: &[Step]) -> Result<(), &'static str> {
    if steps.is_empty() {
        return Err("At least one StepAdjustment must be specified for a step policy");
    }
    if steps.len() > STEPS_MAX {
        return Err("At most 20 step adjustments are allowed");
    }
    let mut sorted = steps.to_vec();
    let floor = |step: &Step| step.lower.unwrap_or(f64::NEG_INFINITY);
    sorted.sort_by(|a, b| floor(a).total_cmp(&floor(b)));
    for step in &sorted {
        match (step.lower, step.upper) {
            (None, None) => {
                return Err("At least one of MetricIntervalLowerBound and MetricIntervalUpperBound must be specified");
            }
            (Some(lower), Some(upper)) if upper <= lower => {
                return Err("StepAdjustment upper bound must be greater than its lower bound");
            }
            _ => {}
        }
    }
    for pair in sorted.windows(2) {
        match (pair[0].upper, pair[1].lower) {
            #[expect(clippy::float_cmp, reason = "bounds are copied from the request, not computed")]
            (Some(upper), Some(lower)) if upper == lower => {}
            (Some(upper), Some(lower)) if upper < lower => return Err("StepAdjustment intervals can't have gaps"),
            _ => return Err("StepAdjustment intervals can't overlap"),
        }
    }
    if sorted[0].lower.is_some_and(|lower| lower < 0.0) {
        return Err(
            "There must be a StepAdjustment with an unspecified lower bound when one has a negative lower bound",
        );
    }
    if sorted[sorted.len() - 1].upper.is_some_and(|upper| upper > 0.0) {
        return Err(
            "There must be a StepAdjustment with an unspecified upper bound when one has a positive upper bound",
        );
    }
    Ok(())
}

/// AWS's quota of steps in a policy.
const STEPS_MAX: usize = 20;

/// `MetricAggregationType`: what is made of the datapoints that an alarm evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Aggregation {
    Average,
    Minimum,
    Maximum,
}

impl Aggregation {
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Average, Self::Minimum, Self::Maximum].into_iter().find(|aggregation| aggregation.name() == name)
    }

    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Aggregation::Average => "Average",
            Aggregation::Minimum => "Minimum",
            Aggregation::Maximum => "Maximum",
        }
    }

    /// `None` without a value.
    #[expect(clippy::cast_precision_loss, reason = "an alarm has few datapoints")]
    pub fn of(self, values: &[f64]) -> Option<f64> {
        let all = values.iter().copied();
        match self {
            Aggregation::Average => (!values.is_empty()).then(|| all.sum::<f64>() / values.len() as f64),
            Aggregation::Minimum => all.reduce(f64::min),
            Aggregation::Maximum => all.reduce(f64::max),
        }
    }
}

/// How a policy finds the capacity.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    Tracking(Tracking),
    Step { adjustment: Adjustment, steps: Vec<Step>, aggregation: Aggregation },
    Simple { adjustment: Adjustment, amount: i64, cooldown: Option<i64> },
    Predictive(Box<Predictive>),
}

impl Kind {
    /// AWS's policy type.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Tracking(_) => "TargetTrackingScaling",
            Kind::Step { .. } => "StepScaling",
            Kind::Simple { .. } => "SimpleScaling",
            Kind::Predictive(_) => "PredictiveScaling",
        }
    }
}

/// What a policy asked for, the last time its alarm called.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recommendation {
    pub at: Timestamp,
    pub capacity: i64,
    pub outward: bool,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Policy {
    pub name: String,
    pub arn: String,
    pub enabled: bool,
    /// `EstimatedInstanceWarmup`, in seconds.
    pub warmup: Option<i64>,
    pub kind: Kind,
    pub recommendation: Option<Recommendation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERCENT: Adjustment = Adjustment { by: AdjustmentType::PercentChangeInCapacity, min_magnitude: None };

    fn step(lower: Option<f64>, upper: Option<f64>, amount: i64) -> Step {
        Step { lower, upper, amount }
    }

    /// The example of AWS's guide: threshold 50, ten instances, out by 0, 10 and 30 percent, in by 0, 10 and 30.
    #[test]
    fn the_worked_example_of_the_guide_comes_out() {
        let out = [step(Some(0.0), Some(10.0), 0), step(Some(10.0), Some(20.0), 10), step(Some(20.0), None, 30)];
        let inward =
            [step(Some(-10.0), Some(0.0), 0), step(Some(-20.0), Some(-10.0), -10), step(None, Some(-20.0), -30)];
        check_steps(&out).unwrap();
        check_steps(&inward).unwrap();
        let mut capacity = 10;
        let mut seen = Vec::new();
        for (steps, metric) in [(&out, 60.0), (&out, 70.0), (&inward, 40.0), (&inward, 30.0)] {
            capacity = PERCENT.apply(capacity, amount_for(steps, 50.0, metric).unwrap());
            seen.push(capacity);
        }
        assert_eq!(seen, [11, 14, 13, 10]);
    }

    #[test]
    fn percentages_round_as_the_guide_says() {
        let change = |capacity, percent| PERCENT.apply(capacity, percent) - capacity;
        assert_eq!(change(127, 10), 12, "12.7");
        assert_eq!(change(6, 10), 1, "0.6");
        assert_eq!(change(6, -10), -1, "-0.6");
        assert_eq!(change(667, -1), -6, "-6.67");
        let at_least_two = Adjustment { min_magnitude: Some(2), ..PERCENT };
        assert_eq!(at_least_two.apply(4, 25), 6);
        assert_eq!(at_least_two.apply(4, -25), 2);
        assert_eq!(at_least_two.apply(4, 0), 4);
    }

    #[test]
    fn the_datapoints_of_an_alarm_are_aggregated() {
        let values = [60.0, 90.0, 75.0];
        let all = [Aggregation::Average, Aggregation::Minimum, Aggregation::Maximum];
        assert_eq!(all.map(|aggregation| aggregation.of(&values)), [Some(75.0), Some(60.0), Some(90.0)]);
        assert_eq!(all.map(|aggregation| aggregation.of(&[])), [None; 3]);
    }

    #[test]
    fn an_aggregation_is_named_as_aws_names_it() {
        let names = ["Average", "Minimum", "Maximum", "Sum"].map(Aggregation::parse);
        let known = [Aggregation::Average, Aggregation::Minimum, Aggregation::Maximum].map(Some);
        assert_eq!(names[..3], known);
        assert_eq!(names[3], None);
    }

    /// 20 step adjustments of a policy (EC2 Auto Scaling user guide, "Quotas").
    #[test]
    fn a_policy_has_twenty_steps_at_most() {
        let steps = |count: i32| {
            let bound = |number: i32| (number < count).then(|| f64::from(number));
            (0..count).map(|number| step(Some(f64::from(number)), bound(number + 1), 1)).collect::<Vec<_>>()
        };
        assert_eq!(check_steps(&steps(20)), Ok(()));
        assert!(check_steps(&steps(21)).is_err());
        assert!(check_steps(&[step(Some(5.0), Some(5.0), 1), step(Some(5.0), None, 2)]).is_err(), "an empty step");
    }

    #[test]
    fn bounds_are_inclusive_on_the_side_of_the_threshold() {
        let out = [step(Some(0.0), Some(10.0), 1), step(Some(10.0), None, 2)];
        assert_eq!(amount_for(&out, 50.0, 50.0), Some(1));
        assert_eq!(amount_for(&out, 50.0, 60.0), Some(2));
        assert_eq!(amount_for(&out, 50.0, 49.9), None);
        let inward = [step(Some(-10.0), Some(0.0), -1), step(None, Some(-10.0), -2)];
        assert_eq!(amount_for(&inward, 50.0, 50.0), Some(-1));
        assert_eq!(amount_for(&inward, 50.0, 40.0), Some(-2));
    }

    #[test]
    fn gaps_overlaps_and_closed_ends_are_refused() {
        let second_from = |from: f64| check_steps(&[step(Some(0.0), Some(10.0), 1), step(Some(from), None, 2)]);
        assert_eq!(second_from(15.0), Err("StepAdjustment intervals can't have gaps"));
        assert_eq!(second_from(5.0), Err("StepAdjustment intervals can't overlap"));
        assert_eq!(second_from(10.0), Ok(()));
        assert!(check_steps(&[step(Some(0.0), Some(10.0), 1)]).is_err());
        assert!(check_steps(&[step(Some(-10.0), Some(0.0), -1)]).is_err());
        assert!(check_steps(&[]).is_err());
        assert!(check_steps(&[step(None, None, 1)]).is_err());
        let open_below = [step(None, Some(-10.0), -2), step(Some(-10.0), Some(0.0), -1)];
        assert!(check_steps(&open_below).is_ok());
        assert!(check_steps(&[step(Some(0.0), None, 1)]).is_ok());
    }
}
