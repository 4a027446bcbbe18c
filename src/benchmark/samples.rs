//! CloudWatch's raw data of a run, as a CSV file beside its images.

use jiff::Timestamp;

use super::metrics::{PERIOD, Series};
use crate::result::csv::field;

/// Relative to the run's folder.
pub const FILE: &str = "metrics/cloudwatch.csv";

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The start of its period, in seconds since 1970.
    pub at: i64,
    pub series: Series,
    /// Empty for what is the load balancer's.
    pub cluster: String,
    /// The instance, or what the charts call the series.
    pub label: String,
    pub value: f64,
}

pub fn csv(samples: &[Sample]) -> String {
    let mut text = "time,namespace,metric,statistic,period_seconds,cluster,label,value\n".to_owned();
    let mut rows: Vec<&Sample> = samples.iter().collect();
    rows.sort_by_key(|sample| {
        (sample.series.metric, sample.series.statistic, &sample.cluster, &sample.label, sample.at)
    });
    for sample in rows {
        let at = Timestamp::from_second(sample.at).map(|at| at.to_string()).unwrap_or_default();
        text += &format!(
            "{at},{},{},{},{PERIOD},{},{},{}\n",
            sample.series.namespace(),
            sample.series.metric,
            sample.series.statistic,
            field(&sample.cluster),
            field(&sample.label),
            sample.value
        );
    }
    text
}

/// The sum of a counter over the run; `None` where nothing was counted, as CloudWatch has no zeros of it.
pub fn total(samples: &[Sample], series: Series) -> Option<u64> {
    let own = samples.iter().filter(|sample| sample.series == series).map(|sample| sample.value);
    own.reduce(|sum, value| sum + value).map(|sum| sum.max(0.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::metrics::{CPU, OWN_5XX};

    #[test]
    fn rows_are_sorted_by_series_and_time_and_counters_are_summed() {
        let sample = |at, series, cluster: &str, label: &str, value| Sample {
            at,
            series,
            cluster: cluster.into(),
            label: label.into(),
            value,
        };
        let samples = [
            sample(60, OWN_5XX, "", "5xx", 2.0),
            sample(0, OWN_5XX, "", "5xx", 3.0),
            sample(0, CPU, "a,b", "i-1", 12.5),
        ];
        let text = csv(&samples);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "1970-01-01T00:00:00Z,AWS/EC2,CPUUtilization,Average,60,\"a,b\",i-1,12.5");
        assert_eq!(lines[2], "1970-01-01T00:00:00Z,AWS/ApplicationELB,HTTPCode_ELB_5XX_Count,Sum,60,,5xx,3");
        assert_eq!((lines.len(), total(&samples, OWN_5XX), total(&samples[..0], OWN_5XX)), (4, Some(5), None));
    }
}
