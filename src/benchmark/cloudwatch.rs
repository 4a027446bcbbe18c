//! Waits until CloudWatch shows the whole run, then fetches widget images of its window.
//!
//! Metrics arrive minutes after the load on AWS. Instead of a fixed sleep the run's own figures say when they are
//! complete: every answer that the client counted is in RequestCount, and every instance has a CPU datapoint for the last
//! minute. An endpoint without CloudWatch costs a sentence in the report, not the run.

use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::metrics::{self, CHARTS, CPU, Chart, Coverage, MetricsTarget, PERIOD, REQUESTS, Scope, Series, Window};
use super::samples::{self, Sample};
use crate::aws::error::CallError;
use crate::clock;
use crate::cloud::metric_data::{self, QUERIES_MAX};
use crate::resource::event::{Event, Sink};
use crate::result::figures;
use crate::result::record::{Images, MetricImage, Metrics};

/// Under CloudWatch's 20 calls a second.
const IMAGES_AT_ONCE: usize = 4;
/// Clusters with images of their own; all are in the combined ones.
const CLUSTERS_MAX: usize = 20;
const NOTE_CHARACTERS_MAX: usize = 240;
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What to wait for, and how long.
#[derive(Clone, Debug)]
pub struct Collect {
    pub targets: Vec<MetricsTarget>,
    pub started: Timestamp,
    pub ended: Timestamp,
    /// When requests were being sent; marked in the charts.
    pub bands: Vec<(Timestamp, Timestamp)>,
    /// Give up waiting after this, and take what there is.
    pub cap: Duration,
    /// The first and the longest pause between two looks.
    pub pauses: (Duration, Duration),
}

/// Waits, then fetches. Cancelling ends the wait and takes what there is.
pub async fn collect(
    client: &Client,
    wanted: &Collect,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> (Metrics, Images) {
    let window = Window::of(wanted.started, wanted.ended);
    let (missing, mut note) = match wait(client, wanted, window, sink, cancel).await {
        Ok(outcome) => outcome,
        Err(why) => {
            let note =
                shortened(&format!("This endpoint showed no CloudWatch metrics, so the report has none ({why})"));
            return (Metrics { note: format!("{note}."), ..Metrics::default() }, Images::new());
        }
    };
    let mut metrics = Metrics { complete: missing.is_empty(), missing, ..Metrics::default() };
    if cancel.is_cancelled() {
        return (Metrics { note, ..metrics }, Images::new());
    }
    let planned = plan(wanted, window);
    sink.event(Event::Waiting { what: "CloudWatch".into(), reason: format!("{} charts", planned.len()) });
    let count = planned.len();
    let fetched: Vec<_> = stream::iter(planned)
        .map(|(image, widget)| async move { (image, fetch(client, widget).await) })
        .buffered(IMAGES_AT_ONCE)
        .collect()
        .await;
    let mut images = Images::new();
    let mut failure = None;
    for (image, outcome) in fetched {
        match outcome {
            Ok(bytes) => {
                images.insert(image.file.clone(), bytes);
                metrics.images.push(image);
            }
            Err(why) => failure = Some(why),
        }
    }
    sink.event(Event::Ready {
        what: "CloudWatch".into(),
        detail: format!("{} of {count} charts", metrics.images.len()),
    });
    if let Some(why) = failure {
        let missing = count - metrics.images.len();
        note += &shortened(&format!(" {missing} of {count} charts could not be fetched ({why})"));
        note.push('.');
    }
    match raw(client, &wanted.targets, window).await {
        Ok(samples) => {
            metrics.load_balancer_errors = samples::total(&samples, metrics::OWN_5XX);
            metrics.load_balancer_bytes = samples::total(&samples, metrics::BYTES);
            metrics.data = Some(samples::FILE.to_owned());
            images.insert(samples::FILE.to_owned(), samples::csv(&samples).into_bytes());
        }
        Err(why) => {
            note += &shortened(&format!(" The raw data could not be fetched ({why})"));
            note.push('.');
        }
    }
    (Metrics { note, ..metrics }, images)
}

/// Every value of every series of the run's window.
async fn raw(client: &Client, targets: &[MetricsTarget], window: Window) -> Result<Vec<Sample>, String> {
    let mut queries = Vec::new();
    let mut named = Vec::new();
    for series in metrics::all_series() {
        // The load balancer is the same for all.
        let own = if series.scope == Scope::LoadBalancer { &targets[..targets.len().min(1)] } else { targets };
        for target in own {
            let id = format!("s{}", named.len());
            let all = series.dimensions(target);
            queries.extend(query(series, target, &id));
            let cluster = if series.scope == Scope::LoadBalancer { "" } else { target.cluster.as_str() };
            named.push((series, cluster, all.into_iter().map(|(label, _)| label).collect::<Vec<_>>()));
        }
    }
    let mut found = Vec::new();
    for chunk in queries.chunks(QUERIES_MAX) {
        for result in data(client, chunk, window).await? {
            let place = result.id().and_then(|id| id.strip_prefix('s')?.split_once('_'));
            let place =
                place.and_then(|(row, number)| Some((row.parse::<usize>().ok()?, number.parse::<usize>().ok()?)));
            let Some((series, cluster, labels)) = place.and_then(|(row, _)| named.get(row)) else { continue };
            let label = place.and_then(|(_, number)| labels.get(number)).cloned().unwrap_or_default();
            for (at, value) in result.timestamps().iter().zip(result.values()) {
                let (cluster, label) = ((*cluster).to_owned(), label.clone());
                found.push(Sample { at: at.secs(), series: *series, cluster, label, value: *value });
            }
        }
    }
    Ok(found)
}

/// Looks until the data are complete or the cap is reached; answers what is missing, and a sentence about it.
async fn wait(
    client: &Client,
    wanted: &Collect,
    window: Window,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<(Vec<String>, String), String> {
    let began = clock::instant();
    let mut pause = wanted.pauses.0;
    loop {
        let coverage = look(client, &wanted.targets, window).await?;
        let waited = clock::instant() - began;
        let seen = coverage.describe();
        if coverage.is_complete() {
            let seconds = figures::duration(waited.as_secs_f64());
            return Ok((Vec::new(), format!("CloudWatch showed the whole run after {seconds}: {seen}.")));
        }
        if waited >= wanted.cap || cancel.is_cancelled() {
            let seconds = figures::duration(waited.as_secs_f64());
            let missing = coverage.missing();
            let note = format!(
                "CloudWatch did not show the whole run within {seconds}. Missing: {}. The charts show what there was.",
                missing.join("; ")
            );
            return Ok((missing, note));
        }
        sink.event(Event::Waiting { what: "CloudWatch".into(), reason: seen });
        let pause_now = pause.min(wanted.cap.saturating_sub(waited)).max(Duration::from_millis(1));
        cancel.run_until_cancelled(clock::sleep(pause_now)).await;
        pause = (pause * 3 / 2).min(wanted.pauses.1);
    }
}

async fn look(client: &Client, targets: &[MetricsTarget], window: Window) -> Result<Coverage, String> {
    let mut queries = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        queries.extend(query(REQUESTS, target, &format!("r{index}")));
        queries.extend(query(CPU, target, &format!("c{index}")));
    }
    let mut coverage = Coverage::of(targets);
    // An instance that booted at the end of the last minute has its first value in the next.
    let seen = Window { end: window.with_margin().end, ..window };
    for chunk in queries.chunks(QUERIES_MAX) {
        for result in data(client, chunk, seen).await? {
            count(&mut coverage, &result, window);
        }
    }
    Ok(coverage)
}

fn query(series: Series, target: &MetricsTarget, id: &str) -> Vec<MetricDataQuery> {
    let dimension = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
    let all = series.dimensions(target).into_iter().enumerate();
    all.map(|(number, (_, dimensions))| {
        let metric = Metric::builder()
            .namespace(series.namespace())
            .metric_name(series.metric)
            .set_dimensions(Some(dimensions.iter().map(dimension).collect()))
            .build();
        let stat = MetricStat::builder().metric(metric).period(PERIOD).stat(series.statistic).build();
        MetricDataQuery::builder().id(format!("{id}_{number}")).metric_stat(stat).return_data(true).build()
    })
    .collect()
}

/// Adds what one series shows: `r1_0` is the second cluster's requests, `c0_3` the CPU of the first's fourth instance.
fn count(coverage: &mut Coverage, result: &MetricDataResult, window: Window) {
    let id = result.id().unwrap_or_default();
    let numbers = id.get(1..).and_then(|rest| rest.split_once('_'));
    let numbers = numbers.and_then(|(cluster, one)| Some((cluster.parse::<usize>().ok()?, one.parse::<usize>().ok()?)));
    let Some((cluster, one)) = numbers else { return };
    let Some(seen) = coverage.clusters.get_mut(cluster) else { return };
    if id.starts_with('r') {
        seen.requests += result.values().iter().sum::<f64>().max(0.0) as u64;
    } else if let Some((_, is_seen)) = seen.instances.get_mut(one) {
        let last = window.last_minute().as_second();
        // A long answer comes in pages; the last minute is on one of them.
        *is_seen |= result.timestamps().iter().any(|at| at.secs() >= last);
    }
}

async fn data(client: &Client, queries: &[MetricDataQuery], window: Window) -> Result<Vec<MetricDataResult>, String> {
    let results = metric_data::data(client, "the run", queries, (window.start, window.end)).await;
    results.map_err(|problem| shortened(&problem.detail))
}

/// The images of a run, with the widget of each.
fn plan(wanted: &Collect, window: Window) -> Vec<(MetricImage, String)> {
    let window = window.with_margin();
    let mut planned = Vec::new();
    let all: Vec<&MetricsTarget> = wanted.targets.iter().collect();
    let mut add = |chart: &Chart, targets: &[&MetricsTarget]| {
        let combined = targets.len() > 1;
        let of_one = !combined && chart.images != metrics::Images::One;
        let cluster = targets.first().filter(|_| of_one).map(|target| target.cluster.clone());
        let whole = if chart.images == metrics::Images::One { "Load balancer" } else { "All clusters" };
        let name = cluster.as_deref().unwrap_or("all");
        let image = MetricImage {
            file: format!("metrics/{name}-{}.png", chart.name),
            title: format!("{}: {}", cluster.as_deref().unwrap_or(whole), chart.title),
            caption: chart.caption(combined),
            cluster,
        };
        planned.push((image, chart.widget(targets, window, &wanted.bands).to_string()));
    };
    if all.len() > 1 {
        CHARTS.iter().filter(|chart| chart.images == metrics::Images::EachAndAll).for_each(|chart| add(chart, &all));
    }
    for target in all.iter().take(CLUSTERS_MAX) {
        CHARTS.iter().filter(|chart| chart.images != metrics::Images::One).for_each(|chart| add(chart, &[target]));
    }
    if let Some(first) = all.first() {
        CHARTS.iter().filter(|chart| chart.images == metrics::Images::One).for_each(|chart| add(chart, &[first]));
    }
    planned
}

async fn fetch(client: &Client, widget: String) -> Result<Vec<u8>, String> {
    let answer = client.get_metric_widget_image().metric_widget(widget).output_format("png").send().await;
    let answer = answer.map_err(|error| why(&error, "cloudwatch:GetMetricWidgetImage"))?;
    let bytes = answer.metric_widget_image.map(aws_sdk_cloudwatch::primitives::Blob::into_inner).unwrap_or_default();
    if bytes.starts_with(PNG_SIGNATURE) { Ok(bytes) } else { Err("the answer is no PNG image".to_owned()) }
}

fn why(error: &impl CallError, call: &str) -> String {
    shortened(&error.problem(call, "the run").detail)
}

fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if line.chars().count() <= NOTE_CHARACTERS_MAX {
        return line;
    }
    line.chars().take(NOTE_CHARACTERS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use aws_sdk_cloudwatch::primitives::DateTime;

    use super::*;
    use crate::aws::clients::Clients;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Event>>);

    impl Sink for Kept {
        fn event(&self, event: Event) {
            self.0.lock().expect("no test panics while holding it").push(event);
        }
    }

    fn wanted() -> Collect {
        let started: Timestamp = "2026-11-21T21:45:12Z".parse().expect("a timestamp");
        let target = |cluster: &str| MetricsTarget {
            cluster: cluster.into(),
            load_balancer: "app/web/50dc6c495c0c9188".into(),
            target_group: format!("targetgroup/{cluster}/73e2d6bc24d8a067"),
            instances: vec!["i-1".into()],
            ended: Vec::new(),
            answers: 10,
        };
        Collect {
            targets: vec![target("light"), target("heavy")],
            started,
            ended: started + jiff::SignedDuration::from_secs(5),
            bands: Vec::new(),
            cap: Duration::from_secs(5),
            pauses: (Duration::from_millis(1), Duration::from_millis(10)),
        }
    }

    #[tokio::test]
    async fn an_endpoint_without_cloudwatch_costs_one_sentence() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper::service::service_fn(|_| async {
                    let page =
                        http_body_util::Full::new(bytes::Bytes::from_static(b"<!doctype html><title>404</title>"));
                    let answer = hyper::Response::builder().status(404).header("content-type", "text/html").body(page);
                    Ok::<_, Infallible>(answer.expect("a valid answer"))
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        });
        let clients = Clients::local(&format!("http://{address}"), "us-east-1");
        let cancel = CancellationToken::new();
        let (metrics, images) = collect(&clients.cloudwatch, &wanted(), &Kept::default(), &cancel).await;
        assert!(!metrics.complete && metrics.images.is_empty() && images.is_empty());
        assert!(metrics.note.starts_with(
            "This endpoint showed no CloudWatch metrics, so the report has none (cloudwatch:GetMetricData"
        ));
    }

    #[test]
    fn every_cluster_has_all_charts_and_all_clusters_share_the_combined_ones() {
        let planned = plan(&wanted(), Window::of(wanted().started, wanted().ended));
        let files: Vec<&str> = planned.iter().map(|(image, _)| image.file.as_str()).collect();
        assert_eq!(files[..3], ["metrics/all-requests.png", "metrics/all-latency.png", "metrics/all-cpu.png"]);
        assert_eq!(files.iter().filter(|file| file.starts_with("metrics/light-")).count(), CHARTS.len() - 1);
        assert_eq!(
            planned.last().map(|(image, _)| (image.file.as_str(), &image.cluster)),
            Some(("metrics/all-own-errors.png", &None))
        );
        assert_eq!(planned[0].0.caption, "Sum of RequestCount, periods of 60 s, UTC");
    }

    #[test]
    fn requests_and_cpu_are_counted_by_the_querys_name() {
        let window = Window::of(wanted().started, wanted().ended);
        let mut coverage = Coverage::of(&wanted().targets);
        let result = |id: &str, value: f64, second: i64| {
            MetricDataResult::builder().id(id).values(value).timestamps(DateTime::from_secs(second)).build()
        };
        let last = window.last_minute().as_second();
        count(&mut coverage, &result("r1_0", 7.0, last), window);
        count(&mut coverage, &result("r1_0", 3.0, last), window);
        count(&mut coverage, &result("c0_0", 50.0, last), window);
        count(&mut coverage, &result("c1_0", 50.0, last - 60), window);
        assert_eq!(coverage.missing(), ["10 of 10 requests to light", "the last minute's CPU of i-1 (heavy)"]);
    }
}
