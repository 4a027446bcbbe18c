//! The statistics that CloudWatch makes of samples.

use std::fmt;

pub use super::samples::Samples;

impl Samples {
    /// `None` without samples, or for a percentile of samples whose values are unknown.
    pub fn get(&self, statistic: Statistic) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        match statistic {
            Statistic::SampleCount => Some(self.count()),
            Statistic::Sum => Some(self.sum()),
            Statistic::Average => Some(self.sum() / self.count()),
            Statistic::Minimum => Some(self.min()),
            Statistic::Maximum => Some(self.max()),
            Statistic::Percentile(percent) => self.percentile(percent),
            Statistic::Part(part, low, high) => self.part(part, low, high),
        }
    }

    /// The smallest value that at least `percent` of the samples do not exceed.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let rank = self.count() * percent / 100.0;
        let mut seen = 0.0;
        let values = self.values()?;
        values
            .iter()
            .find(|(_, count)| {
                seen += count;
                seen >= rank - 1e-9
            })
            .or(values.last())
            .map(|(value, _)| *value)
    }

    /// A statistic of the samples above `low` and up to `high`.
    fn part(&self, part: Part, low: Bound, high: Bound) -> Option<f64> {
        let values = self.values()?;
        let rank =
            |bound: Bound| if let Bound::Percent(percent) = bound { self.count() * percent / 100.0 } else { 0.0 };
        let (from, to) = (rank(low), if high == Bound::Open { self.count() } else { rank(high) });
        let (mut seen, mut count, mut sum, mut clamped) = (0.0, 0.0, 0.0, 0.0);
        for (value, how_often) in values {
            let by_value = matches!(low, Bound::Value(_)) || matches!(high, Bound::Value(_));
            let within = if by_value {
                let above = if let Bound::Value(low) = low { *value > low } else { true };
                let below = if let Bound::Value(high) = high { *value <= high } else { true };
                if above && below { *how_often } else { 0.0 }
            } else {
                // A value on the boundary counts with the share of its samples that lies within.
                (to.min(seen + how_often) - from.max(seen)).max(0.0)
            };
            seen += how_often;
            count += within;
            sum += value * within;
            clamped += self.clamped(*value, low, high) * (how_often - within);
        }
        let has_some = count > 0.0;
        match part {
            Part::Mean => has_some.then(|| sum / count),
            Part::Sum => Some(sum),
            Part::Count => Some(count),
            Part::Rank => Some(100.0 * count / self.count()),
            Part::WinsorizedMean => Some((sum + clamped) / self.count()),
        }
    }

    /// What a sample outside the bounds counts as: the bound that it is beyond.
    fn clamped(&self, value: f64, low: Bound, high: Bound) -> f64 {
        let at = |bound: Bound| match bound {
            Bound::Open => None,
            Bound::Percent(percent) => self.percentile(percent),
            Bound::Value(value) => Some(value),
        };
        let value = at(low).map_or(value, |low| value.max(low));
        at(high).map_or(value, |high| value.min(high))
    }
}

/// What can be asked of samples.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Statistic {
    SampleCount,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// `p99`, `p99.9`
    Percentile(f64),
    /// `tm90`, `TM(10%:90%)`, `TC(0.005:0.030)`, `PR(:300)`, `IQM`: of the samples above the first bound and up to the
    /// second (user guide, "CloudWatch statistics definitions").
    Part(Part, Bound, Bound),
}

/// What is made of a part of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Part {
    /// `TM`
    Mean,
    /// `TS`
    Sum,
    /// `TC`
    Count,
    /// `PR`: which percentage of all samples the part is.
    Rank,
    /// `WM`: of all samples, those outside counting as the bound that they are beyond.
    WinsorizedMean,
}

/// Where a part of the samples begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Bound {
    Open,
    Percent(f64),
    Value(f64),
}

const PARTS: [(&str, Part); 5] =
    [("TM", Part::Mean), ("TS", Part::Sum), ("TC", Part::Count), ("PR", Part::Rank), ("WM", Part::WinsorizedMean)];

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            text.parse::<f64>().ok().filter(|_| is_plain)
        };
        match text.strip_suffix('%') {
            _ if text.is_empty() => Some(Self::Open),
            Some(percent) => number(percent).filter(|percent| *percent <= 100.0).map(Self::Percent),
            None => number(text).map(Self::Value),
        }
    }
}

impl Statistic {
    /// As CloudWatch writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let percent = |prefix: &str| {
            let number = text.strip_prefix(prefix)?;
            let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            number.parse::<f64>().ok().filter(|percent| is_plain && *percent > 0.0 && *percent <= 100.0)
        };
        match text {
            "SampleCount" => Some(Self::SampleCount),
            "Sum" => Some(Self::Sum),
            "Average" => Some(Self::Average),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            "IQM" => Some(Self::Part(Part::Mean, Bound::Percent(25.0), Bound::Percent(75.0))),
            _ => percent("p").map(Self::Percentile).or_else(|| Self::parse_part(text)),
        }
    }

    /// `tm90` and its like, which cut the highest; or `TM(low:high)`.
    fn parse_part(text: &str) -> Option<Self> {
        let (_, part) =
            *PARTS.iter().find(|(name, _)| text.get(..2).is_some_and(|it| it.eq_ignore_ascii_case(name)))?;
        let rest = text.get(2..)?;
        let bounds = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        if let Some(bounds) = bounds.filter(|_| text.starts_with(|letter: char| letter.is_ascii_uppercase())) {
            let (low, high) = bounds.split_once(':')?;
            let (low, high) = (Bound::parse(low)?, Bound::parse(high)?);
            let is_valid = match (low, high) {
                (Bound::Open, Bound::Open)
                | (Bound::Percent(_), Bound::Value(_))
                | (Bound::Value(_), Bound::Percent(_)) => false,
                (Bound::Percent(low), Bound::Percent(high)) => low < high,
                (Bound::Value(low), Bound::Value(high)) => low < high,
                _ => true,
            };
            let has_percent = matches!(low, Bound::Percent(_)) || matches!(high, Bound::Percent(_));
            // A rank is the percentage that values make, so its bounds are values.
            return (is_valid && !(part == Part::Rank && has_percent)).then_some(Self::Part(part, low, high));
        }
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent = rest.parse::<f64>().ok().filter(|percent| is_plain && *percent > 0.0 && *percent <= 100.0)?;
        (part != Part::Rank && text.starts_with(|letter: char| letter.is_ascii_lowercase())).then_some(Self::Part(
            part,
            Bound::Open,
            Bound::Percent(percent),
        ))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Bound::Open => Ok(()),
            Bound::Percent(percent) => write!(to, "{percent}%"),
            Bound::Value(value) => write!(to, "{value}"),
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Statistic::Percentile(percent) => write!(to, "p{percent}"),
            Statistic::Part(part, low, high) => {
                let name = PARTS.iter().find(|(_, known)| known == part).map_or("", |(name, _)| *name);
                match (low, high) {
                    (Bound::Open, Bound::Percent(percent)) => write!(to, "{}{percent}", name.to_ascii_lowercase()),
                    _ => write!(to, "{name}({low}:{high})"),
                }
            }
            plain => write!(to, "{plain:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(samples: &Samples, statistic: &str) -> Option<f64> {
        samples.get(Statistic::parse(statistic).unwrap())
    }

    #[test]
    fn values_and_counts_give_every_statistic() {
        let samples = Samples::of_values([(10.0, 3.0), (1.0, 1.0), (20.0, 6.0)]);
        let expected = [
            ("SampleCount", 10.0),
            ("Sum", 151.0),
            ("Average", 15.1),
            ("Minimum", 1.0),
            ("Maximum", 20.0),
            ("p10", 1.0),
            ("p40", 10.0),
            ("p50", 20.0),
            ("p100", 20.0),
            ("tm40", 7.75),
        ];
        for (statistic, value) in expected {
            assert_eq!(get(&samples, statistic), Some(value), "{statistic}");
        }
    }

    /// The definitions of the user guide ("CloudWatch statistics definitions"), over the values 1 to 100.
    #[test]
    fn trimmed_and_winsorized_statistics_are_as_the_user_guide_defines_them() {
        let samples = Samples::of_values((1..=100).map(|value| (f64::from(value), 1.0)));
        for (statistic, value) in [
            ("tm90", 45.5),
            ("TM(10%:90%)", 50.5),
            ("TM(80:500)", 90.5),
            ("TM(:50%)", 25.5),
            ("IQM", 50.5),
            ("tc90", 90.0),
            ("TC(80:500)", 20.0),
            ("TC(10%:90%)", 80.0),
            ("ts90", 4095.0),
            ("TS(80%:)", 1810.0),
            ("PR(:30)", 30.0),
            ("PR(10:20)", 10.0),
            ("PR(90:)", 10.0),
            ("wm98", 50.47),
            ("WM(10%:90%)", 50.4),
            ("WM(:50)", 37.75),
        ] {
            assert_eq!(get(&samples, statistic), Some(value), "{statistic}");
            assert_eq!(
                Statistic::parse(&Statistic::parse(statistic).unwrap().to_string()),
                Statistic::parse(statistic)
            );
        }
        assert_eq!(get(&samples, "TM(200:300)"), None);
        assert_eq!(get(&samples, "TC(200:300)"), Some(0.0));
        assert_eq!(get(&Samples::of_set(5.0, 30.0, 1.0, 10.0), "PR(:5)"), None);
        for text in [
            "TM",
            "TM()",
            "TM(:)",
            "TM(10%:90)",
            "TM(90%:10%)",
            "PR(:30%)",
            "pr30",
            "TM90",
            "IQM(1:2)",
            "XM(1:2)",
            "tm(1",
        ] {
            assert_eq!(Statistic::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_statistic_set_has_percentiles_only_where_its_values_are_known() {
        assert_eq!(get(&Samples::of_set(5.0, 30.0, 1.0, 10.0), "p50"), None);
        assert_eq!(get(&Samples::of_set(5.0, 50.0, 10.0, 10.0), "p50"), Some(10.0));
        let mut mixed = Samples::of_values([(1.0, 1.0)]);
        mixed.merge(&Samples::of_set(2.0, 6.0, 2.0, 4.0));
        assert_eq!((get(&mixed, "p50"), get(&mixed, "Average")), (None, Some(7.0 / 3.0)));
    }

    #[test]
    fn many_values_are_merged_within_one_percent() {
        let values: Vec<(f64, f64)> = (1..=10_000).map(|value| (f64::from(value) / 100.0 + 50.0, 1.0)).collect();
        let samples = Samples::of_values(values);
        assert!(samples.values().unwrap().len() <= 150);
        let median = get(&samples, "p50").unwrap();
        assert!((median / 100.0 - 1.0).abs() < 0.01, "{median}");
        assert_eq!(get(&samples, "Maximum"), Some(150.0));
    }

    #[test]
    fn nothing_has_no_statistics_and_nonsense_is_none() {
        assert_eq!(get(&Samples::of_values([(f64::NAN, 1.0), (1.0, 0.0)]), "Average"), None);
        for text in ["p", "p101", "p0", "average", "tm", "p9e1", "p+5", ""] {
            assert_eq!(Statistic::parse(text), None, "{text}");
        }
    }
}
