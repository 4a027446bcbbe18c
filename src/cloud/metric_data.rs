//! What CloudWatch has measured, as GetMetricData answers it.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Metric, MetricAlarm, MetricDataQuery, MetricDataResult};
use jiff::Timestamp;

use crate::aws::error::CallError as _;
use crate::problem::Problem;

/// Queries of one call, as CloudWatch bounds them.
pub const QUERIES_MAX: usize = 500;
const PAGES_MAX: usize = 20;

/// The answers to queries between two times, page by page: one query may have several. `what` they are about is named where a
/// call fails.
///
/// # Errors
/// The first call that fails.
pub async fn data(
    client: &Client,
    what: &str,
    queries: &[MetricDataQuery],
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<MetricDataResult>, Problem> {
    let mut results = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let call = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.to_vec()))
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(to.as_second()))
            .set_next_token(token.take());
        let page = call.send().await.map_err(|error| error.problem("cloudwatch:GetMetricData", what))?;
        token = page.next_token;
        results.extend(page.metric_data_results.unwrap_or_default());
        if token.is_none() {
            break;
        }
    }
    Ok(results)
}

/// Epoch second of the period's start, and value.
pub fn points(result: &MetricDataResult) -> impl Iterator<Item = (i64, f64)> + '_ {
    result.timestamps().iter().zip(result.values()).map(|(at, value)| (at.secs(), *value))
}

/// The metric that an alarm watches, the statistic, and the period in seconds; `None` where it watches metric math.
pub fn of_alarm(alarm: &MetricAlarm) -> Option<(Metric, &str, i32)> {
    let statistic = alarm.statistic().map(|one| one.as_str()).or(alarm.extended_statistic())?;
    let metric = Metric::builder()
        .namespace(alarm.namespace().unwrap_or_default())
        .metric_name(alarm.metric_name()?)
        .set_dimensions(Some(alarm.dimensions().to_vec()))
        .build();
    Some((metric, statistic, alarm.period()?))
}

/// What the metric math that an alarm watches came to. Its queries have ids of their own, so that each alarm needs a call.
///
/// # Errors
/// A call that fails.
pub async fn of_math(
    client: &Client,
    what: &str,
    alarm: &MetricAlarm,
    window: (Timestamp, Timestamp),
) -> Result<Vec<MetricDataResult>, Problem> {
    let returned = alarm.metrics().iter().find(|query| query.return_data() != Some(false));
    let returned = returned.and_then(|query| query.id()).unwrap_or_default();
    let mut results = data(client, what, alarm.metrics(), window).await?;
    results.retain(|result| result.id() == Some(returned));
    Ok(results)
}
