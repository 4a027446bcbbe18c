//! One alarm: a state machine over breaching, harmless and missing datapoints.
//!
//! Every minute (every ten seconds for periods below a minute) the last periods are looked at through a sliding window.
//! The window is longer than the `N` evaluation periods, so that late data can be made up for by older data:
//! with at least `N` real points the last `N` of them decide; with fewer, all of them and as few fills as possible.

pub use crate::region::signal::AlarmStateValue as State;

/// How far beyond the evaluation periods the window reaches: the user guide's example looks at 5 points for N = 3.
pub const EXTRA_PERIODS: usize = 2;

/// How a missing datapoint counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Missing {
    #[default]
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl Missing {
    pub fn as_str(self) -> &'static str {
        match self {
            Missing::Missing => "missing",
            Missing::Ignore => "ignore",
            Missing::Breaching => "breaching",
            Missing::NotBreaching => "notBreaching",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let all = [Missing::Missing, Missing::Ignore, Missing::Breaching, Missing::NotBreaching];
        all.into_iter().find(|missing| missing.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Comparison {
    GreaterThanOrEqualToThreshold,
    GreaterThanThreshold,
    LessThanThreshold,
    LessThanOrEqualToThreshold,
    LessThanLowerOrGreaterThanUpperThreshold,
    LessThanLowerThreshold,
    GreaterThanUpperThreshold,
}

impl Comparison {
    const ALL: [Self; 7] = [
        Self::GreaterThanOrEqualToThreshold,
        Self::GreaterThanThreshold,
        Self::LessThanThreshold,
        Self::LessThanOrEqualToThreshold,
        Self::LessThanLowerOrGreaterThanUpperThreshold,
        Self::LessThanLowerThreshold,
        Self::GreaterThanUpperThreshold,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
            Self::GreaterThanThreshold => "GreaterThanThreshold",
            Self::LessThanThreshold => "LessThanThreshold",
            Self::LessThanOrEqualToThreshold => "LessThanOrEqualToThreshold",
            Self::LessThanLowerOrGreaterThanUpperThreshold => "LessThanLowerOrGreaterThanUpperThreshold",
            Self::LessThanLowerThreshold => "LessThanLowerThreshold",
            Self::GreaterThanUpperThreshold => "GreaterThanUpperThreshold",
        }
    }

    /// As the reason of a state says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Self::GreaterThanThreshold => "greater than",
            Self::LessThanThreshold => "less than",
            Self::LessThanOrEqualToThreshold => "less than or equal to",
            Self::LessThanLowerOrGreaterThanUpperThreshold => "less than the lower or greater than the upper",
            Self::LessThanLowerThreshold => "less than the lower",
            Self::GreaterThanUpperThreshold => "greater than the upper",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|comparison| comparison.as_str() == text)
    }

    /// Whether it compares with a band rather than with a threshold.
    pub fn is_of_band(self) -> bool {
        use Comparison::{GreaterThanUpperThreshold, LessThanLowerOrGreaterThanUpperThreshold, LessThanLowerThreshold};
        matches!(self, LessThanLowerOrGreaterThanUpperThreshold | LessThanLowerThreshold | GreaterThanUpperThreshold)
    }

    /// Whether a value leaves the band on a side that is watched.
    pub fn leaves(self, value: f64, (lower, upper): (f64, f64)) -> bool {
        let below = self != Self::GreaterThanUpperThreshold && value < lower;
        let above = self != Self::LessThanLowerThreshold && value > upper;
        self.is_of_band() && (below || above)
    }

    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::GreaterThanThreshold => value > threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
            _ => self.leaves(value, (threshold, threshold)),
        }
    }
}

/// How many points decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    /// `EvaluationPeriods`: N.
    pub periods: usize,
    /// `DatapointsToAlarm`: M of N.
    pub to_alarm: usize,
    pub missing: Missing,
}

impl Rule {
    /// How many periods must be looked at.
    pub fn range(&self) -> usize {
        self.periods + EXTRA_PERIODS
    }

    /// DynamoDB's alarms ignore missing data whatever they were told, as AWS documents it.
    #[must_use]
    pub fn of_namespace(self, namespace: &str) -> Self {
        if namespace == "AWS/DynamoDB" { Self { missing: Missing::Ignore, ..self } } else { self }
    }

    /// The new state, or `None` to keep the current one. `points` stand from the oldest to the newest: whether each
    /// breaches, `None` where it is missing.
    pub fn state(&self, points: impl DoubleEndedIterator<Item = Option<bool>> + Clone) -> Option<State> {
        let newest_first = || points.clone().rev();
        // No more than as many as decide.
        let (mut real, mut breaching) = (0, 0);
        for breaches in newest_first().flatten().take(self.periods) {
            real += 1;
            breaching += usize::from(breaches);
        }
        let decided = |breaching: usize| Some(if breaching >= self.to_alarm { State::Alarm } else { State::Ok });
        if real >= self.periods {
            return decided(breaching);
        }
        match self.missing {
            Missing::Breaching => decided(breaching + self.periods - real),
            Missing::NotBreaching => decided(breaching),
            Missing::Missing if real == 0 => Some(State::InsufficientData),
            Missing::Ignore if real == 0 => None,
            // Some points are not known, and none may be assumed.
            _ if breaching >= self.to_alarm => Some(State::Alarm),
            _ if breaching < real => Some(State::Ok),
            // Too few points, all of them breaching. A recent one may be a false alarm: the next may be harmless. But once
            // the oldest of them is as old as M, nothing harmless has come since for long enough.
            _ => {
                let last = newest_first().take(self.periods).enumerate();
                let age = last.filter(|(_, point)| point.is_some()).last().map_or(0, |(index, _)| index + 1);
                (self.missing == Missing::Missing && age >= self.to_alarm).then_some(State::Alarm)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0` harmless, `X` breaching, `-` missing.
    fn points(text: &str) -> Vec<Option<bool>> {
        text.chars().map(|letter| (letter != '-').then_some(letter == 'X')).collect()
    }

    fn states(text: &str, periods: usize, to_alarm: usize) -> [Option<State>; 4] {
        [Missing::Missing, Missing::Ignore, Missing::Breaching, Missing::NotBreaching]
            .map(|missing| Rule { periods, to_alarm, missing }.state(points(text).into_iter()))
    }

    const OK: Option<State> = Some(State::Ok);
    const ALARM: Option<State> = Some(State::Alarm);
    const INSUFFICIENT: Option<State> = Some(State::InsufficientData);
    const KEEP: Option<State> = None;

    #[test]
    fn the_user_guides_table_for_three_of_three_holds() {
        for (text, expected) in [
            ("0-X-X", [OK, OK, OK, OK]),
            ("0----", [OK, OK, OK, OK]),
            ("-----", [INSUFFICIENT, KEEP, ALARM, OK]),
            ("0XX-X", [ALARM, ALARM, ALARM, ALARM]),
            ("--X--", [ALARM, KEEP, ALARM, OK]),
        ] {
            assert_eq!(states(text, 3, 3), expected, "{text}");
        }
    }

    #[test]
    fn the_user_guides_table_for_two_of_three_holds() {
        for (text, expected) in [
            ("0-X-X", [ALARM, ALARM, ALARM, ALARM]),
            ("00X0X", [ALARM, ALARM, ALARM, ALARM]),
            ("0-X--", [OK, OK, ALARM, OK]),
            ("----0", [OK, OK, ALARM, OK]),
            ("---X-", [ALARM, KEEP, ALARM, OK]),
        ] {
            assert_eq!(states(text, 3, 2), expected, "{text}");
        }
    }

    #[test]
    fn a_lone_recent_breach_is_no_alarm_yet() {
        for text in ["----X", "---X-"] {
            assert_eq!(states(text, 3, 3)[0], KEEP, "{text}");
        }
    }

    /// "Alarms that evaluate metrics in the AWS/DynamoDB namespace always ignore missing data" (user guide, "Configuring how
    /// CloudWatch alarms treat missing data").
    #[test]
    fn an_alarm_on_dynamodb_ignores_missing_data_whatever_it_says() {
        let rule = Rule { periods: 3, to_alarm: 3, missing: Missing::Breaching };
        let state = |namespace: &str, text: &str| rule.of_namespace(namespace).state(points(text).into_iter());
        assert_eq!((state("AWS/EC2", "-----"), state("AWS/DynamoDB", "-----")), (ALARM, KEEP));
        assert_eq!((state("AWS/EC2", "--X--"), state("AWS/DynamoDB", "--X--")), (ALARM, KEEP));
        assert_eq!(state("AWS/DynamoDB", "0XX-X"), ALARM);
    }

    #[test]
    fn without_gaps_the_last_points_decide() {
        assert_eq!(states("XXX00", 3, 2), [OK; 4]);
        assert_eq!(states("000XX", 3, 2), [ALARM; 4]);
        assert_eq!(states("00X", 1, 1), [ALARM; 4]);
    }

    #[test]
    fn comparisons_include_the_threshold_where_they_say_so() {
        let at_threshold = Comparison::ALL.map(|comparison| comparison.breaches(5.0, 5.0));
        assert_eq!(at_threshold[..4], [true, false, false, true]);
    }

    #[test]
    fn a_band_is_left_on_the_sides_that_are_watched() {
        let leaves = |value: f64| Comparison::ALL.map(|comparison| comparison.leaves(value, (2.0, 8.0)));
        let none = [false; 4];
        for (value, watched) in
            [(1.9, [true, true, false]), (2.0, [false; 3]), (8.0, [false; 3]), (8.1, [true, false, true])]
        {
            let seen = leaves(value);
            assert_eq!((&seen[..4], &seen[4..]), (&none[..], &watched[..]), "{value}");
        }
    }
}
