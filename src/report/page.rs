//! The report's page: sections from the verdict to the downloads.

use std::sync::LazyLock;

use base64::Engine;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::{chart, cloud, scaling_until, timeline, words};
use crate::cloud::state::TargetState;
use crate::result::confidence::over_runs;
use crate::result::csv;
use crate::result::figures;
use crate::result::record::{
    ClusterSetup, Images, Latency, LatencyKind, MetricImage, Phase, RunResult, TargetResult, Verdict,
};

/// Phases shown one by one.
const PHASES_MAX: usize = 50;
/// Instances shown one by one; more are summed up.
const SHARES_MAX: usize = 60;

/// Shows what is pointed at; the page reads without it.
const SCRIPT: &str = include_str!("hover.js");

/// Our own styles, the images inside and the one script that has this hash, and nothing else: whatever a name from outside tries,
/// a browser loads and runs nothing of it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
});

/// The whole report of a run.
pub fn render(run: &RunResult, images: &Images) -> String {
    let title = format!("{} · {} · {}", run.stack, run.scenario, words::verdict(run.verdict));
    document(
        &title,
        html! {
            (header(run))
            // What happened on one axis of time comes first: demand, answers, latency, capacity.
            @for (index, target) in run.targets.iter().enumerate() { div.card.over-time { (timeline::draw(run, target, index)) } }
            div.cards { @for (index, target) in run.targets.iter().enumerate() { (figures(run, target, index)) } }
            (thresholds(run))
            (scaling_until::section(run))
            @for (index, target) in run.targets.iter().enumerate() { (cluster(target, index)) }
            (cloud::section(run))
            (latency(run))
            (setup(run))
            (cloudwatch(run, images))
            (cost(run))
            (environment(run))
            (downloads(run))
        },
    )
    .into_string()
}

/// The frame that every page of ours has: styles inside, nothing from elsewhere.
pub fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(*POLICY);
                meta name="generator" content=(concat!("cloudscale ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) (PreEscaped(crate::chart::STYLE)) }
            }
            body {
                main { (body) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn header(run: &RunResult) -> Markup {
    let class = match run.verdict {
        Verdict::Passed => "pill good",
        Verdict::Missed => "pill bad",
        Verdict::Limited | Verdict::Interrupted => "pill warn",
    };
    let place = match run.provider.as_str() {
        "local" => format!("the embedded region, {}", run.region),
        "url" => "a URL".to_owned(),
        _ => format!("AWS, {}", run.region),
    };
    html! {
        header {
            p.kicker { (figures::time(run.started)) " · " (figures::duration(run.elapsed_seconds())) " · " (place) }
            div.title { h1 { (run.stack) " under " (run.scenario) } span class=(class) { (words::verdict(run.verdict)) } }
            p.lead { (words::summary(run)) }
            @if let Some(sentence) = words::between_clusters(run) { p.muted style="margin-top:10px" { (sentence) } }
            @for caveat in words::caveats(run) { p.caveat { (caveat) } }
        }
    }
}

fn figures(run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let errors = if target.errors == 0 {
        html! { span.pill.good { "no errors" } }
    } else {
        html! { span.pill.bad { (target.error_percent().map_or_else(|| "–".to_owned(), figures::percent)) " errors" } }
    };
    let kind = run.setup.clusters.iter().find(|cluster| cluster.name == target.name);
    html! {
        section.card {
            div.name {
                (swatch(index)) h3 { (target.name) }
                @if let Some(cluster) = kind { span.muted.small { (size(run, cluster)) " × " (cluster.instance_type) } }
                (errors)
            }
            dl.figures {
                div { dt { "requests" } dd { (figures::count(target.requests)) } }
                div { dt { "rate" } dd { (figures::rate(target.rate)) "/s" } }
                div { dt { "evenness" } dd { (target.evenness().map_or_else(|| "–".to_owned(), figures::percent)) } }
                @for (name, value) in [
                    ("p50", target.latency_ms.map(|latency| latency.p50)),
                    ("p95", target.latency_ms.map(|latency| latency.p95)),
                    ("p99", target.latency_ms.map(|latency| latency.p99)),
                ] {
                    div { dt { (name) } dd { (value.map_or_else(|| "–".to_owned(), figures::ms)) } }
                }
            }
        }
    }
}

/// How many instances a cluster had: `4`, or `2 to 4` where it scaled.
fn size(run: &RunResult, cluster: &ClusterSetup) -> String {
    match run.cloud.as_ref().and_then(|cloud| cloud.running(&cluster.name)) {
        Some((least, most)) if least != most => format!("{least} to {most}"),
        Some((least, _)) => least.to_string(),
        None => cluster.targets.len().to_string(),
    }
}

fn swatch(index: usize) -> Markup {
    html! { span class=(format!("swatch s{}", index % 6)) {} }
}

fn thresholds(run: &RunResult) -> Markup {
    if run.thresholds.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Thresholds" }
        div.card { div.scroll { table {
            thead { tr { th { "Threshold" } th { "Cluster" } th.n { "Measured" } th.n { "Verdict" } } }
            tbody { @for result in &run.thresholds {
                tr {
                    td { (result.threshold) } td.wrap { (result.target) }
                    td.n { (measured(result.measured, &result.unit)) (figures::minutes(&result.lost_minutes)) }
                    td.n { @if result.held { span.good-text { "held" } } @else { span.bad-text { "missed" } } }
                }
            } }
        } } }
    }
}

fn measured(value: Option<f64>, unit: &str) -> String {
    match (value, unit) {
        (None, _) => "nothing to measure".to_owned(),
        (Some(value), "ms") => figures::ms(value),
        (Some(value), "%") => figures::percent(value),
        (Some(value), "") => value.to_string(),
        (Some(value), unit) => format!("{}{unit}", figures::rate(value)),
    }
}

fn setup(run: &RunResult) -> Markup {
    let setup = &run.setup;
    if setup.clusters.is_empty() && setup.routes.is_empty() {
        return html! {};
    }
    let total: usize = setup.clusters.iter().map(|cluster| cluster.targets.len()).sum();
    let healthy: usize = setup.clusters.iter().map(healthy).sum();
    html! {
        h2 { "Setup" }
        p { "When the load began, " (healthy) " of " (total) " targets were healthy behind " code { (setup.url) } "." }
        @if !setup.clusters.is_empty() {
            div.card { div.scroll { table {
                thead { tr { th { "Cluster" } th { "Instance" } th { "Zone" } th.n { "Health" } } }
                tbody { @for cluster in &setup.clusters { (targets(cluster)) } }
            } } }
        }
        @if !setup.routes.is_empty() {
            div.card {
                h3 style="margin-bottom:8px" { "Where each route went" }
                div.scroll { table {
                    thead { tr { th { "Path" } th { "Expected" } th { "Status" } th { "Answered by" } th.n { "" } } }
                    tbody { @for route in &setup.routes {
                        tr {
                            td.wrap { code { (route.path) } } td.wrap { (route.expected) } td { (route.status) }
                            td.mono.one { (route.answered_by) }
                            td.n { @if route.ok { span.good-text { "as declared" } } @else { span.bad-text { "not as declared" } } }
                        }
                    } }
                } }
            }
        }
    }
}

fn healthy(cluster: &ClusterSetup) -> usize {
    cluster.targets.iter().filter(|target| target.health == TargetState::Healthy).count()
}

fn targets(cluster: &ClusterSetup) -> Markup {
    html! {
        @for (index, target) in cluster.targets.iter().enumerate() {
            tr {
                td.wrap { @if index == 0 {
                    (cluster.name) " " span.muted.small {
                        (cluster.kind.to_string()) " of " (cluster.instance_type)
                        @if cluster.modelled { ", processors modelled" }
                    }
                } }
                td.mono.one { (target.instance) } td.one { (target.zone) }
                td.n { span class=(if target.health == TargetState::Healthy { "good-text" } else { "bad-text" }) { (target.health.as_str()) } }
            }
        }
    }
}

fn latency(run: &RunResult) -> Markup {
    html! {
        h2 { "Latency" }
        div.card {
            div.scroll { table {
                thead { tr {
                    th { "Cluster" } th.n { "min" } th.n { "mean" } th.n { "p50" } th.n { "p90" } th.n { "p95" } th.n { "p99" }
                    th.n { "p99.9" } th.n { "max" }
                } }
                tbody { @for (index, target) in run.targets.iter().enumerate() {
                    @let swatch = swatch(index);
                    @match &target.latency_ms {
                        Some(latency) => { (latency_row(html! { (swatch) " " (target.name) }, latency)) }
                        None => { tr { td.wrap { (swatch) " " (target.name) } td colspan="8" { "no correct answer" } } }
                    }
                    @if let Some(service) = &target.service_ms {
                        (latency_row(html! { span.muted { "service time" } }, service))
                    }
                    @if let Some(all) = &target.latency_all_ms {
                        (latency_row(html! { span.muted { "wrong answers too" } }, all))
                    }
                } }
            } }
            p.muted.small style="margin:10px 0 0" {
                "Measured at the client over correct answers. " (latency_meaning(run))
            }
            (chart::percentiles(&run.targets))
            div.legend { @for (index, target) in run.targets.iter().enumerate() { span { (swatch(index)) (target.name) } } }
        }
    }
}

/// The repetitions, and what they say together.
fn repetitions(target: &TargetResult) -> Markup {
    if target.repetitions.is_empty() {
        return html! {};
    }
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figures::ms);
    let medians: Vec<f64> = target.repetitions.iter().filter_map(|one| Some(one.latency_ms?.p50)).collect();
    html! {
        h3 { "Repetitions" }
        div.scroll { table {
            thead { tr { th { "Run" } th.n { "Requests" } th.n { "Errors" } th.n { "Rate" } th.n { "p50" } th.n { "p99" } } }
            tbody { @for (number, one) in (1..).zip(&target.repetitions) { tr {
                td { (number) } td.n { (figures::count(one.requests)) } td.n { (figures::count(one.errors)) }
                td.n { (figures::rate(one.rate)) "/s" } td.n { (shown(one.latency_ms.map(|l| l.p50))) }
                td.n { (shown(one.latency_ms.map(|l| l.p99))) }
            } } }
        } }
        @if let Some(interval) = over_runs(&medians) {
            p.muted.small { "Mean of the runs’ medians, with 95 % confidence: " (figures::interval(interval)) "." }
        }
    }
}

fn latency_row(name: Markup, latency: &Latency) -> Markup {
    let values =
        [latency.min, latency.mean, latency.p50, latency.p90, latency.p95, latency.p99, latency.p999, latency.max];
    html! { tr { td.wrap { (name) } @for value in values { td.n { (figures::ms(value)) } } } }
}

fn latency_meaning(run: &RunResult) -> &'static str {
    if run.targets.iter().any(|target| target.latency_kind == LatencyKind::Response) {
        "Latency is response time: from the moment the schedule demanded a request to the last byte of its answer. Service \
         time counts from the moment it left."
    } else {
        "Latency is service time: from the moment a request left to the last byte of its answer. In a closed load nobody is \
         there to wait longer: while an answer is late, nothing more is sent."
    }
}

fn cluster(target: &TargetResult, index: usize) -> Markup {
    html! {
        h2 { (target.name) }
        div.card {
            p {
                "Loaded at " code { (target.url) }
                // Not every engine counts its connections.
                @if target.connections > 0 {
                    " over " (figures::count(target.connections)) " "
                    (if target.connections == 1 { "connection" } else { "connections" })
                }
                "."
            }
            div.scroll { table {
                thead { tr { th { "Requests" } th { "Errors" } th { "Sent again" } th { "Rate" } th { "Answers by status" } th { "Errors by kind" } } }
                tbody { tr {
                    td { (figures::count(target.requests)) } td { (figures::count(target.errors)) } td { (figures::count(target.retries)) }
                    td { (figures::rate(target.rate)) "/s" @if let Some(sending) = target.rate_while_sending {
                        @if sending > target.rate * 1.05 { br; span.muted.small { (figures::rate(sending)) "/s while sending" } }
                    } }
                    td { (pairs(target.status.iter())) } td { (pairs(target.errors_by_kind.iter())) }
                } }
            } }
            (demanded(target))
            (parts(target))
            (repetitions(target))
            @if !target.distribution.is_empty() { (chart::histogram(target, index)) }
            (shares(target, index))
        }
    }
}

/// How much of what the schedule demanded was sent.
fn demanded(target: &TargetResult) -> Markup {
    let Some(demanded) = target.demanded.filter(|demanded| *demanded > 0) else { return html! {} };
    // Records of before have loads of one kind.
    let sent = target.demanded_sent.unwrap_or(target.requests + target.warm_up_requests);
    let share = 100.0 * sent as f64 / demanded as f64;
    html! {
        p { "The schedule demanded " (figures::count(demanded)) " requests; " (figures::count(sent)) " (" (figures::percent(share)) ") were sent"
            @if target.warm_up_requests > 0 { ", " (figures::count(target.warm_up_requests)) " of them in the warm-up, which counts nowhere else" }
            "." }
    }
}

/// The requests of a mix, and the phases that have a name or a latency of their own.
fn parts(target: &TargetResult) -> Markup {
    let phases = || target.phases.iter().filter(|phase| phase.latency_ms.is_some());
    let phase = |phase: &Phase| {
        let name =
            if phase.thread.is_empty() { phase.label.clone() } else { format!("{}: {}", phase.thread, phase.label) };
        (name, phase.requests, phase.errors, phase.latency_ms)
    };
    let mut rows: Vec<(String, u64, u64, Option<Latency>)> = Vec::new();
    let requests = target.endpoints.iter();
    rows.extend(requests.map(|one| (one.name.clone(), one.requests, one.errors, one.latency_ms)));
    if phases().count() > 1 {
        rows.extend(phases().take(PHASES_MAX).map(phase));
    }
    if rows.is_empty() {
        return html! {};
    }
    html! {
        div.scroll { table {
            thead { tr { th { "Request or phase" } th.n { "Requests" } th.n { "Errors" } th.n { "p50" } th.n { "p95" } th.n { "p99" } } }
            tbody { @for (name, requests, errors, latency) in rows { tr {
                td.wrap { (name) } td.n { (figures::count(requests)) } td.n { (figures::count(errors)) }
                @for value in [latency.map(|l| l.p50), latency.map(|l| l.p95), latency.map(|l| l.p99)] {
                    td.n { (value.map_or_else(|| "–".to_owned(), figures::ms)) }
                }
            } } }
        } }
    }
}

fn pairs<'a, K: std::fmt::Display + 'a>(pairs: impl Iterator<Item = (&'a K, &'a u64)>) -> Markup {
    let pairs: Vec<_> = pairs.collect();
    html! {
        @if pairs.is_empty() { span.muted { "none" } }
        @for (index, (key, count)) in pairs.iter().enumerate() {
            @if index > 0 { ", " } span style="white-space:nowrap" { (key) ": " (figures::count(**count)) }
        }
    }
}

fn shares(target: &TargetResult, index: usize) -> Markup {
    let total: u64 = target.instances.values().sum();
    let Some(evenness) = target.evenness() else {
        return html! { figure.chart { figcaption { strong { "Share of each instance" } " " span.muted { "no answer named its instance" } } } };
    };
    let count = target.instances.len();
    let most = target.instances.values().copied().max().unwrap_or(1).max(1) as f64;
    html! {
        figure.chart {
            figcaption {
                strong { "Share of each instance" } " "
                span.muted {
                    "evenness " (figures::percent(evenness)) ": no instance is further than " (figures::percent(100.0 - evenness))
                    " from its fair share (the mark), " (if target.healthy_seconds.is_empty() { "an even part" } else { "by the time it was healthy" })
                }
            }
            div.shares { @for (instance, share) in target.instances.iter().take(SHARES_MAX) {
                div.share {
                    span.mono title=(instance) { (instance) }
                    span.bar {
                        span class=(format!("fill s{}", index % 6)) style=(format!("width:{:.2}%", 100.0 * *share as f64 / most)) {}
                        @if let Some(fair) = target.fair_share(instance) {
                            span.even style=(format!("left:{:.2}%", (100.0 * fair / most).min(100.0))) {}
                        }
                    }
                    span.n { (figures::count(*share)) span.muted { " · " (figures::percent(100.0 * *share as f64 / total as f64)) } }
                }
            } }
            @if count > SHARES_MAX { p.muted.small { "and " (count - SHARES_MAX) " more instances, all in result.json" } }
        }
    }
}

fn cloudwatch(run: &RunResult, images: &Images) -> Markup {
    if run.provider == "url" {
        return html! {};
    }
    html! {
        h2 { "CloudWatch" }
        p {
            @if run.metrics.complete { span.pill.good { "complete" } " " } @else { span.pill.warn { "incomplete" } " " }
            (run.metrics.note)
        }
        @if let Some(errors) = run.metrics.load_balancer_errors.filter(|errors| *errors > 0) {
            p { strong { (figures::count(errors)) } " answers 5xx were the load balancer’s own: no target gave them." }
        }
        @if !run.metrics.images.is_empty() {
            p.muted.small {
                "CloudWatch puts a minute’s figure at the minute’s start: load in a grey band at 12:00:40 is in the point at 12:00. "
                "A minute in which the stack was still coming up counts those seconds, too."
            }
        }
        div.images { @for image in &run.metrics.images { (metric_image(image, images)) } }
    }
}

fn metric_image(image: &MetricImage, images: &Images) -> Markup {
    html! {
        figure.card {
            @if let Some(bytes) = images.get(&image.file) {
                img alt=(image.title) src=(format!("data:image/png;base64,{}", base64::prelude::BASE64_STANDARD.encode(bytes)));
            } @else {
                p.muted { "The file " code { (image.file) } " is missing." }
            }
            figcaption { strong { (image.title) } br; span.muted { (image.caption) } }
        }
    }
}

fn cost(run: &RunResult) -> Markup {
    let Some(cost) = &run.cost else { return html! {} };
    let hourly = figures::dollar_range(cost.hourly_min, cost.hourly_max);
    let local = run.provider == "local";
    html! {
        h2 { "Cost" }
        p {
            @if local { "Nothing was spent: the embedded region is free. On AWS the same stack would cost " } @else { "The stack costs " }
            strong { (hourly) } " an hour while it is up, and " strong { (figures::dollar_range(cost.run_min, cost.run_max)) }
            " for this run."
        }
        @if !cost.parts.is_empty() {
            div.card { div.scroll { table {
                thead { tr { th { "What" } th { "How much of it" } th.n { "US dollars" } } }
                tbody { @for part in &cost.parts { tr {
                    td.wrap { (part.what) } td.wrap { (part.how) } td.n { (format!("{:.4}", part.dollars)) }
                } } }
            } } }
        }
        p.muted.small { "Source: " (cost.source) "." }
    }
}

fn environment(run: &RunResult) -> Markup {
    let environment = &run.environment;
    html! {
        h2 { "Environment" }
        div.card {
            p {
                "cloudscale " (environment.cloudscale) " on " (environment.os) " with " (environment.cpus)
                (if environment.cpus == 1 { " processor" } else { " processors" })
                ". The load generator used " (figures::percent(run.client.cpu)) " of one processor; its busiest worker "
                (figures::percent(run.client.busiest_thread)) " while sending."
            }
            @if !environment.commands.is_empty() {
                p style="margin:0" { "To repeat the run:" }
                pre { (environment.commands.join("\n")) }
            }
        }
    }
}

fn downloads(run: &RunResult) -> Markup {
    html! {
        h2 { "Files" }
        ul {
            li { a href="result.json" { "result.json" } ": everything above as data" }
            li { code { "charts/" } ": each chart as a PNG file, for pasting" }
            @for (file, _) in csv::files(run) { li { a href=(file) { (file) } ": " (csv::about(file)) } }
            @if let Some(file) = &run.metrics.data { li { a href=(file) { (file) } ": CloudWatch’s raw data of the run" } }
            @for image in &run.metrics.images { li { a href=(image.file) { (image.file) } ": " (image.title) } }
        }
        footer { "Run " (run.run) ", written by cloudscale " (run.environment.cloudscale) "." }
    }
}
