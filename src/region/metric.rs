//! What a metric is: its namespace, its name and its exact set of dimensions.
//!
//! Who measures the same thing each minute keeps its [`MetricId`] and shares it with what it tells; whoever stores it then
//! knows it again without comparing its text.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;

/// The start of a moment's minute: a datapoint of standard resolution is stamped with it.
pub fn minute_of(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second().div_euclid(60) * 60).unwrap_or(time)
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct MetricId {
    pub namespace: String,
    pub name: String,
    /// Sorted.
    dimensions: Vec<(String, String)>,
}

impl MetricId {
    pub fn new(namespace: &str, name: &str, mut dimensions: Vec<(String, String)>) -> Self {
        dimensions.sort();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    /// One that is measured again and again.
    pub fn shared(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Arc<Self> {
        Arc::new(MetricRef { namespace, name, dimensions }.owned())
    }

    pub fn dimensions(&self) -> &[(String, String)] {
        &self.dimensions
    }
}

/// A metric by its parts, to look it up without making one.
#[derive(Clone, Copy, Debug)]
pub struct MetricRef<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    /// Sorted.
    pub dimensions: &'a [(&'a str, &'a str)],
}

/// What metrics are ordered by, owned or not.
pub trait Key {
    fn names(&self) -> (&str, &str);
    fn dimension(&self, index: usize) -> Option<(&str, &str)>;
    /// The metric itself, to keep it.
    fn owned(&self) -> MetricId;

    fn is(&self, other: &MetricId) -> bool {
        // What tells metrics of one kind apart comes first.
        let own = |index: usize| other.dimensions.get(index).map(|(name, value)| (name.as_str(), value.as_str()));
        (0..=other.dimensions.len()).all(|index| self.dimension(index) == own(index)) && self.names() == other.names()
    }
}

impl Key for MetricId {
    fn names(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn dimension(&self, index: usize) -> Option<(&str, &str)> {
        self.dimensions.get(index).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn owned(&self) -> MetricId {
        self.clone()
    }

    fn is(&self, other: &MetricId) -> bool {
        std::ptr::eq(self, other) || self == other
    }
}

impl Key for MetricRef<'_> {
    fn names(&self) -> (&str, &str) {
        (self.namespace, self.name)
    }

    fn dimension(&self, index: usize) -> Option<(&str, &str)> {
        self.dimensions.get(index).copied()
    }

    fn owned(&self) -> MetricId {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        MetricId::new(self.namespace, self.name, self.dimensions.iter().map(own).collect())
    }
}

/// As `MetricId` derives it: names first, then dimension by dimension, the shorter list before the longer.
impl Ord for dyn Key + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        let dimensions = || {
            let differ = (0..).map(|index| (self.dimension(index), other.dimension(index)));
            let first = differ.take_while(|(a, b)| a.is_some() || b.is_some()).find(|(a, b)| a != b);
            first.map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
        };
        self.names().cmp(&other.names()).then_with(dimensions)
    }
}

impl PartialOrd for dyn Key + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Key + '_ {}

impl<'a> Borrow<dyn Key + 'a> for Arc<MetricId> {
    fn borrow(&self) -> &(dyn Key + 'a) {
        &**self
    }
}
