//! What an expression can refer to, and over which times.

use std::ops::Range;

use super::{Series, Value};

/// Finds metrics by a text and computes a statistic and period of each.
pub type Search<'a> = dyn Fn(&str, &str, i64) -> Result<Vec<Series>, String> + 'a;

/// The band of a metric of the request, by its id: so many deviations wide, at these times; the lower series first.
pub type Bands<'a> = dyn Fn(&str, f64, &[i64]) -> Result<Vec<Series>, String> + 'a;

/// What an expression can refer to.
pub struct Scope<'a> {
    /// Results by id.
    pub results: Vec<(String, Value)>,
    /// The ids that are metrics, in the order of the request: what `METRICS()` means.
    pub metrics: Vec<String>,
    /// Epoch seconds.
    range: Range<i64>,
    /// Whether periods begin at the range's start, instead of at whole multiples.
    from_start: bool,
    pub(super) search: &'a Search<'a>,
    pub(super) bands: Option<&'a Bands<'a>>,
}

impl<'a> Scope<'a> {
    pub fn new(range: Range<i64>, from_start: bool, search: &'a Search<'a>) -> Self {
        Self { results: Vec::new(), metrics: Vec::new(), range, from_start, search, bands: None }
    }

    /// With the bands of anomaly detection.
    #[must_use]
    pub fn with_bands(self, bands: &'a Bands<'a>) -> Self {
        Self { bands: Some(bands), ..self }
    }

    pub fn get(&self, id: &str) -> Option<&Value> {
        self.results.iter().find(|(name, _)| name == id).map(|(_, value)| value)
    }

    /// The times at which a series of this period may have values.
    pub(super) fn times(&self, period: i64) -> impl Iterator<Item = i64> + use<> {
        let period = period.max(1);
        let Range { start, end } = self.range;
        let first = if self.from_start { start } else { start.div_euclid(period) * period };
        (0..).map(move |index| first + index * period).take_while(move |time| *time < end)
    }
}
