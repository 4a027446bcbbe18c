//! Samples of one metric in one stretch of time, and the statistics that CloudWatch makes of them.

/// So many distinct values are kept exactly: what one PutMetricData datum may carry.
const DISTINCT_MAX: usize = 150;
/// Beyond that, neighbours are merged while they are closer than this: a percentile is then off by at most 1 %.
const MERGE_RATIO: f64 = 0.01;

/// What is known about the samples of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    /// (value, how often), rising by value. `None` once a statistic set came in, which tells no values.
    values: Option<Vec<(f64, f64)>>,
}

impl Samples {
    /// Of distinct values and how often each occurred; what occurred never is left out.
    pub fn of_values(values: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut samples = Self::default();
        let mut values: Vec<(f64, f64)> =
            values.into_iter().filter(|(value, count)| value.is_finite() && *count > 0.0).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (value, count) in &values {
            samples.widen(*count, value * count, *value, *value);
        }
        samples.values = Some(compacted(values));
        samples
    }

    /// Of a statistic set. Its values are known only where there is one, or where all are equal.
    pub fn of_set(count: f64, sum: f64, min: f64, max: f64) -> Self {
        #[expect(clippy::float_cmp, reason = "CloudWatch's own condition")]
        let is_plain = min == max || count == 1.0;
        let values = is_plain.then(|| vec![(if count == 1.0 { sum } else { min }, count)]);
        Self { count, sum, min, max, values }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// Adds the samples of another stretch.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        self.widen(other.count, other.sum, other.min, other.max);
        self.values = match (self.values.take(), &other.values) {
            (Some(mut mine), Some(theirs)) => {
                mine.extend(theirs);
                mine.sort_by(|a, b| a.0.total_cmp(&b.0));
                Some(compacted(mine))
            }
            _ => None,
        };
    }

    fn widen(&mut self, count: f64, sum: f64, min: f64, max: f64) {
        (self.min, self.max) = if self.is_empty() { (min, max) } else { (self.min.min(min), self.max.max(max)) };
        self.count += count;
        self.sum += sum;
    }

    /// `None` without samples, or for a percentile of samples whose values are unknown.
    pub fn get(&self, statistic: Statistic) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        match statistic {
            Statistic::SampleCount => Some(self.count),
            Statistic::Sum => Some(self.sum),
            Statistic::Average => Some(self.sum / self.count),
            Statistic::Minimum => Some(self.min),
            Statistic::Maximum => Some(self.max),
            Statistic::Percentile(percent) => self.percentile(percent),
            Statistic::TrimmedMean(percent) => self.trimmed_mean(percent),
        }
    }

    /// The smallest value that at least `percent` of the samples do not exceed.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let rank = self.count * percent / 100.0;
        let mut seen = 0.0;
        let values = self.values.as_ref()?;
        values
            .iter()
            .find(|(_, count)| {
                seen += count;
                seen >= rank - 1e-9
            })
            .or(values.last())
            .map(|(value, _)| *value)
    }

    /// The mean of the lowest `percent` of the samples.
    fn trimmed_mean(&self, percent: f64) -> Option<f64> {
        let wanted = self.count * percent / 100.0;
        let (mut left, mut sum) = (wanted, 0.0);
        for (value, count) in self.values.as_ref()? {
            let taken = count.min(left);
            sum += value * taken;
            left -= taken;
        }
        Some(sum / wanted)
    }
}

/// Joins equal values, and close ones where there are too many.
fn compacted(values: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let joined = joined(values, 0.0);
    if joined.len() > DISTINCT_MAX { joined_until_few(joined) } else { joined }
}

fn joined_until_few(mut values: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut ratio = MERGE_RATIO;
    while values.len() > DISTINCT_MAX {
        values = joined(values, ratio);
        ratio *= 2.0;
    }
    values
}

/// Each group of neighbours no further apart than `ratio` of their value becomes one, at its weighted mean.
fn joined(values: Vec<(f64, f64)>, ratio: f64) -> Vec<(f64, f64)> {
    let mut result: Vec<(f64, f64)> = Vec::new();
    // Where the group at the end of the result began: groups do not creep.
    let mut first = f64::NEG_INFINITY;
    for (value, count) in values {
        match result.last_mut() {
            Some(last) if value - first <= ratio * first.abs() => {
                let weight = last.1 + count;
                last.0 = (last.0 * last.1 + value * count) / weight;
                last.1 = weight;
            }
            _ => {
                first = value;
                result.push((value, count));
            }
        }
    }
    result
}

/// What can be asked of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    SampleCount,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// `p99`, `p99.9`
    Percentile(f64),
    /// `tm90`: the mean without the highest 10 %.
    TrimmedMean(f64),
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
            _ => percent("p").map(Self::Percentile).or_else(|| percent("tm").map(Self::TrimmedMean)),
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
        assert!(samples.values.as_ref().unwrap().len() <= DISTINCT_MAX);
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
