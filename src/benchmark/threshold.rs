//! Thresholds: what a run must reach. `errors < 1%`, `p99 < 500ms`, `rate > 100/s`, `evenness > 90%`.

use std::fmt;
use std::str::FromStr;

use crate::result::record::{TargetResult, ThresholdResult};

/// One condition; every target of the run must meet it.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    pub metric: Metric,
    pub comparison: Comparison,
    /// Percent, milliseconds or requests per second, as the metric has it.
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Errors,
    Rate,
    Evenness,
    Min,
    Mean,
    P50,
    P90,
    P95,
    P99,
    P999,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Metric {
    const ALL: [(&'static str, Metric); 11] = [
        ("errors", Metric::Errors),
        ("rate", Metric::Rate),
        ("evenness", Metric::Evenness),
        ("min", Metric::Min),
        ("mean", Metric::Mean),
        ("p50", Metric::P50),
        ("p90", Metric::P90),
        ("p95", Metric::P95),
        ("p99", Metric::P99),
        ("p999", Metric::P999),
        ("max", Metric::Max),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, metric)| *metric == self).map_or("", |(name, _)| name)
    }

    pub fn unit(self) -> &'static str {
        match self {
            Metric::Errors | Metric::Evenness => "%",
            Metric::Rate => "/s",
            _ => "ms",
        }
    }

    /// `None` where the target has nothing to measure: no correct answer, or no instance named itself.
    fn measured(self, target: &TargetResult) -> Option<f64> {
        let latency = &target.latency_ms;
        let correct = target.requests > target.errors;
        let value = match self {
            Metric::Errors => {
                return (target.requests > 0).then(|| 100.0 * target.errors as f64 / target.requests as f64);
            }
            Metric::Rate => return Some(target.rate),
            Metric::Evenness => return target.evenness(),
            Metric::Min => latency.min,
            Metric::Mean => latency.mean,
            Metric::P50 => latency.p50,
            Metric::P90 => latency.p90,
            Metric::P95 => latency.p95,
            Metric::P99 => latency.p99,
            Metric::P999 => latency.p999,
            Metric::Max => latency.max,
        };
        correct.then_some(value)
    }
}

impl Comparison {
    const ALL: [(&'static str, Comparison); 4] =
        [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Below), (">", Comparison::Above)];

    fn symbol(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("", |(symbol, _)| symbol)
    }

    fn holds(self, measured: f64, value: f64) -> bool {
        match self {
            Comparison::Below => measured < value,
            Comparison::AtMost => measured <= value,
            Comparison::Above => measured > value,
            Comparison::AtLeast => measured >= value,
        }
    }
}

impl Threshold {
    /// What was measured cannot be met where nothing was measured.
    pub fn check(&self, target: &TargetResult) -> ThresholdResult {
        let measured = self.metric.measured(target);
        ThresholdResult {
            threshold: self.to_string(),
            target: target.name.clone(),
            measured: measured.map(|measured| (measured * 1000.0).round() / 1000.0),
            unit: self.metric.unit().to_owned(),
            held: measured.is_some_and(|measured| self.comparison.holds(measured, self.value)),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}{}", self.metric.name(), self.comparison.symbol(), self.value, self.metric.unit())
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>']).ok_or_else(|| format!("{text:?} compares nothing"))?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let metric =
            Metric::ALL.iter().find(|(known, _)| *known == name).map(|(_, metric)| *metric).ok_or_else(|| {
                let known: Vec<_> = Metric::ALL.iter().map(|(known, _)| *known).collect();
                format!("{name:?} is not measured; there are {}", known.join(", "))
            })?;
        let (symbol, comparison) =
            *Comparison::ALL.iter().find(|(symbol, _)| rest.starts_with(symbol)).expect("the text goes on with < or >");
        let value = rest[symbol.len()..].trim();
        let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
        let number: f64 = value[..digits].parse().map_err(|_| format!("{value:?} is not a number with a unit"))?;
        let factor = match (metric.unit(), value[digits..].trim()) {
            ("%", "%") | ("/s", "/s") | ("ms", "ms") => 1.0,
            ("ms", "s") => 1000.0,
            ("ms", "us" | "µs") => 0.001,
            (unit, written) => return Err(format!("{name} is measured in {unit}, not in {written:?}")),
        };
        Ok(Self { metric, comparison, value: number * factor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::Latency;

    fn target() -> TargetResult {
        TargetResult {
            name: "light".into(),
            requests: 200,
            errors: 1,
            rate: 150.0,
            latency_ms: Latency { p99: 499.9, max: 700.0, ..Latency::default() },
            instances: [("i-1".into(), 45), ("i-2".into(), 55)].into(),
            ..TargetResult::default()
        }
    }

    fn held(text: &str) -> bool {
        text.parse::<Threshold>().expect("a threshold").check(&target()).held
    }

    #[test]
    fn thresholds_compare_what_was_measured() {
        assert!(held("errors < 1%") && held("errors <= 0.5 %") && !held("errors < 0.5%"));
        assert!(held("p99 < 500ms") && held("p99<0.5s") && !held("max < 0.7 s") && held("max <= 700000us"));
        assert!(held("rate > 100/s") && !held("rate >= 151 /s"));
        assert!(held("evenness >= 90%") && !held("evenness > 90%"));
    }

    #[test]
    fn nothing_measured_holds_no_threshold() {
        let nothing = TargetResult { name: "light".into(), ..TargetResult::default() };
        for text in ["errors < 1%", "p99 < 500ms", "evenness > 10%"] {
            let result = text.parse::<Threshold>().expect("a threshold").check(&nothing);
            assert_eq!((result.held, result.measured), (false, None), "{text}");
        }
    }

    #[test]
    fn a_threshold_that_makes_no_sense_says_why() {
        let error = |text: &str| text.parse::<Threshold>().expect_err("not a threshold");
        assert_eq!(error("p99 < 500"), "p99 is measured in ms, not in \"\"");
        assert_eq!(error("rate > 5%"), "rate is measured in /s, not in \"%\"");
        assert!(error("latency < 1s").starts_with("\"latency\" is not measured; there are errors, rate"));
        assert_eq!(error("p99"), "\"p99\" compares nothing");
        assert_eq!(error("p99 < fast"), "\"fast\" is not a number with a unit");
    }

    #[test]
    fn a_threshold_is_shown_in_the_unit_of_its_metric() {
        assert_eq!("p99<0.5s".parse::<Threshold>().expect("a threshold").to_string(), "p99 < 500ms");
    }
}
