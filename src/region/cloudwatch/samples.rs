//! Samples of one metric in one stretch of time.
//!
//! Most datapoints are one value, and most of the others are a few: how many they are, and what they come to, is then found
//! out when somebody asks. Only of more is that kept.

/// So many distinct values are kept exactly: what one PutMetricData datum may carry.
const DISTINCT_MAX: usize = 150;
/// Beyond that, neighbours are merged while they are closer than this: a percentile is then off by at most 1 %.
const MERGE_RATIO: f64 = 0.01;
/// Room for so many values is made at once.
const FEW: usize = 8;

/// What is known about the samples of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Samples(Held);

/// Values with how often each occurred, rising by value.
#[derive(Clone, Debug, Default, PartialEq)]
enum Held {
    #[default]
    Nothing,
    One([(f64, f64); 1]),
    /// All of them, each once.
    Few(Vec<(f64, f64)>),
    More(Box<More>),
}

#[derive(Clone, Debug, PartialEq)]
struct More {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    /// Some of them merged; none where a statistic set came in, which tells no values.
    values: Vec<(f64, f64)>,
}

impl Samples {
    /// Of distinct values and how often each occurred; what occurred never is left out.
    pub fn of_values(values: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut values = values.into_iter().filter(|(value, count)| value.is_finite() && *count > 0.0);
        match (values.next(), values.next()) {
            (None, _) => Self::default(),
            (Some(one), None) => Self(Held::One([one])),
            (first, second) => {
                let mut values: Vec<(f64, f64)> = first.into_iter().chain(second).chain(values).collect();
                values.sort_by(|a, b| a.0.total_cmp(&b.0));
                Self(Held::of(joined(values, 0.0)))
            }
        }
    }

    /// Of a statistic set. Its values are known only where there is one, or where all are equal.
    #[expect(clippy::float_cmp, reason = "CloudWatch's own condition")]
    pub fn of_set(count: f64, sum: f64, min: f64, max: f64) -> Self {
        if count == 0.0 {
            return Self::default();
        }
        let is_plain = min == max || count == 1.0;
        let value = if count == 1.0 { sum } else { min };
        if is_plain && min == max && value == min && value * count == sum {
            return Self(Held::One([(value, count)]));
        }
        let values = if is_plain { vec![(value, count)] } else { Vec::new() };
        Self(Held::More(Box::new(More { count, sum, min, max, values })))
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.0, Held::Nothing)
    }

    /// Adds the samples of another stretch.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, Held::Nothing) => {}
            (Held::Nothing, _) => self.clone_from(other),
            (Held::One([mine]), Held::One([theirs])) if mine.0.total_cmp(&theirs.0).is_eq() => mine.1 += theirs.1,
            (Held::One([mine]), Held::One([theirs])) => {
                // Where there are two there are mostly more: one for each instance of a group.
                let mut both = Vec::with_capacity(FEW);
                both.extend(if mine.0 < theirs.0 { [*mine, *theirs] } else { [*theirs, *mine] });
                self.0 = Held::Few(both);
            }
            (Held::Few(mine), Held::One([theirs])) if mine.len() < DISTINCT_MAX => {
                match mine.binary_search_by(|it| it.0.total_cmp(&theirs.0)) {
                    Ok(place) => mine[place].1 += theirs.1,
                    Err(place) => mine.insert(place, *theirs),
                }
            }
            _ => self.0 = self.joined_with(other),
        }
    }

    fn joined_with(&self, other: &Self) -> Held {
        let mut all = match (self.values(), other.values()) {
            (Some(mine), Some(theirs)) => [mine, theirs].concat(),
            _ => Vec::new(),
        };
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let values = joined(all, 0.0);
        if self.is_exact() && other.is_exact() {
            return Held::of(values);
        }
        Held::More(Box::new(More {
            count: self.count() + other.count(),
            sum: self.sum() + other.sum(),
            min: self.min().min(other.min()),
            max: self.max().max(other.max()),
            values: joined_until_few(values),
        }))
    }

    /// Whether all that is known of them are their values.
    fn is_exact(&self) -> bool {
        !matches!(self.0, Held::More(_))
    }

    /// The values and how often each occurred, rising; `None` where they are unknown.
    pub fn values(&self) -> Option<&[(f64, f64)]> {
        match &self.0 {
            Held::Nothing => None,
            Held::One(one) => Some(one),
            Held::Few(few) => Some(few),
            Held::More(more) => Some(more.values.as_slice()).filter(|values| !values.is_empty()),
        }
    }

    pub fn count(&self) -> f64 {
        match &self.0 {
            Held::Nothing => 0.0,
            Held::One([(_, count)]) => *count,
            Held::Few(few) => few.iter().map(|(_, count)| count).sum(),
            Held::More(more) => more.count,
        }
    }

    pub fn sum(&self) -> f64 {
        match &self.0 {
            Held::Nothing => 0.0,
            Held::One([(value, count)]) => value * count,
            Held::Few(few) => few.iter().map(|(value, count)| value * count).sum(),
            Held::More(more) => more.sum,
        }
    }

    pub fn min(&self) -> f64 {
        match &self.0 {
            Held::More(more) => more.min,
            _ => self.values().and_then(<[_]>::first).map_or(0.0, |(value, _)| *value),
        }
    }

    pub fn max(&self) -> f64 {
        match &self.0 {
            Held::More(more) => more.max,
            _ => self.values().and_then(<[_]>::last).map_or(0.0, |(value, _)| *value),
        }
    }
}

impl Held {
    /// Of distinct values, rising.
    fn of(values: Vec<(f64, f64)>) -> Self {
        match values.as_slice() {
            [] => Self::Nothing,
            [one] => Self::One([*one]),
            few if few.len() <= DISTINCT_MAX => Self::Few(values),
            many => {
                let count = many.iter().map(|(_, count)| count).sum();
                let sum = many.iter().map(|(value, count)| value * count).sum();
                let (min, max) = (many[0].0, many[many.len() - 1].0);
                Self::More(Box::new(More { count, sum, min, max, values: joined_until_few(values) }))
            }
        }
    }
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
    // They are kept for weeks.
    result.shrink_to_fit();
    result
}

/// Samples as they are kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    values: KeptValues,
}

#[derive(serde::Serialize, serde::Deserialize)]
enum KeptValues {
    Unknown,
    One([(f64, f64); 1]),
    Many(Vec<(f64, f64)>),
}

impl From<Samples> for Kept {
    fn from(samples: Samples) -> Self {
        let (count, sum, min, max) = (samples.count(), samples.sum(), samples.min(), samples.max());
        let values = match samples.values() {
            None => KeptValues::Unknown,
            Some([one]) => KeptValues::One([*one]),
            Some(many) => KeptValues::Many(many.to_vec()),
        };
        Self { count, sum, min, max, values }
    }
}

impl From<Kept> for Samples {
    fn from(Kept { count, sum, min, max, values }: Kept) -> Self {
        let values = match values {
            KeptValues::Unknown | KeptValues::One(_) => return Self::of_set(count, sum, min, max),
            KeptValues::Many(values) => values,
        };
        let ends = (values.first().map(|it| it.0), values.last().map(|it| it.0));
        if ends == (Some(min), Some(max)) && values.len() <= DISTINCT_MAX {
            return Self(Held::of(values));
        }
        Self(Held::More(Box::new(More { count, sum, min, max, values })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(samples: &Samples) -> [f64; 4] {
        [samples.count(), samples.sum(), samples.min(), samples.max()]
    }

    #[test]
    fn samples_come_to_the_same_in_whatever_portions_they_came() {
        let all: Vec<(f64, f64)> = (0..400).map(|number| (f64::from(number * 37 % 200), 1.0)).collect();
        let whole = Samples::of_values(all.iter().copied());
        for size in [1, 2, 7, 100] {
            let mut merged = Samples::default();
            all.chunks(size).for_each(|part| merged.merge(&Samples::of_values(part.iter().copied())));
            assert_eq!(shown(&merged), [400.0, 39_800.0, 0.0, 199.0], "{size}");
            assert_eq!(shown(&whole), shown(&merged));
        }
        let few = Samples::of_values([(3.0, 2.0), (1.0, 1.0), (3.0, 1.0)]);
        assert_eq!((few.values(), shown(&few)), (Some([(1.0, 1.0), (3.0, 3.0)].as_slice()), [4.0, 10.0, 1.0, 3.0]));
    }

    #[test]
    fn a_point_takes_little_room() {
        assert_eq!(size_of::<Samples>(), 24);
    }

    #[test]
    fn samples_that_were_kept_are_the_same() {
        let many = (0..500).map(|number| (f64::from(number) + 0.5, 2.0));
        let mut unknown = Samples::of_set(5.0, 30.0, 1.0, 10.0);
        unknown.merge(&Samples::of_values([(20.0, 1.0)]));
        let odd = Samples::of_set(1.0, 5.0, 1.0, 10.0);
        let all = [
            Samples::default(),
            Samples::of_values([(7.25, 3.0)]),
            Samples::of_values([(1.0, 1.0), (2.0, 5.0)]),
            Samples::of_values(many),
            unknown,
            odd,
        ];
        for samples in all {
            let mut bytes = Vec::new();
            ciborium::into_writer(&samples, &mut bytes).unwrap();
            let again: Samples = ciborium::from_reader(bytes.as_slice()).unwrap();
            assert_eq!(again, samples);
        }
    }
}
