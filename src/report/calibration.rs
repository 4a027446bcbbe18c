//! The page of a calibration: what one instance carries, how capacity grows, how long an instance takes to come.

use maud::{Markup, html};

use super::page::document;
use super::scaling_until::ticks;
use crate::chart::drawing::{Axis, Canvas, LEFT, curves, figure, line, plain_ms, px, svg, x_labels};
use crate::result::calibration::{Calibration, Estimate};
use crate::result::figures;

pub fn render(run: &Calibration) -> String {
    document(
        &format!("{} · calibration of {}", run.stack, run.cluster),
        html! {
            (header(run))
            (one_instance(run))
            (growth(run))
            (boots(run))
            h2 { "Environment" }
            div.card {
                p { "cloudscale " (run.environment.cloudscale) " on " (run.environment.os) " with " (run.environment.cpus) " processors." }
                pre { (run.environment.commands.join("\n")) }
            }
            footer { "All of it as data: " a href="calibration.json" { "calibration.json" } }
        },
    )
    .into_string()
}

fn header(run: &Calibration) -> Markup {
    let place = if run.provider == "local" { "the embedded region" } else { "AWS" };
    html! {
        header {
            p.kicker { (figures::time(run.started)) " · " (place) ", " (run.region) }
            h1 { "Calibration of " (run.cluster) " in " (run.stack) }
            p.lead {
                "One " (run.instance_type) " gives " strong { (per_second(run.capacity)) } " with " (run.users) " users at once. "
                @match run.knee {
                    Some(knee) => { "Up to " strong { (figures::rate(knee)) "/s" } " its latency stays straight: p95 within " (run.knee_factor) " times that of the lowest rate, and no error. " }
                    None => { "Not even the lowest rate was answered without an error. " }
                }
                @match run.first_errors {
                    Some(rate) => { "The first errors came at " (figures::rate(rate)) "/s. " }
                    None => { "No rate led to an error. " }
                }
                @if let Some(launch) = run.launch {
                    "From launch to the first healthy answer: " strong { (seconds(launch)) } "."
                }
            }
            @for warning in &run.warnings { p.caveat { (warning) "." } }
            @if run.provider == "local" {
                p.caveat { "Measured in the embedded region: all instances share this machine’s processors, whatever their type is called." }
            }
        }
    }
}

fn per_second(estimate: Estimate) -> String {
    with_interval(estimate, |value| format!("{}/s", figures::rate(value)))
}

fn seconds(estimate: Estimate) -> String {
    with_interval(estimate, figures::duration)
}

fn with_interval(estimate: Estimate, shown: impl Fn(f64) -> String) -> String {
    let value = shown(estimate.value);
    match estimate.interval {
        Some(interval) => format!("{value} (95 %: {} to {})", shown(interval.low), shown(interval.high)),
        None => value,
    }
}

fn one_instance(run: &Calibration) -> Markup {
    html! {
        h2 { "One instance" }
        div.card {
            (figure("Latency against rate", "response time; p50 (lower line) and p95; the mark is the capacity", |canvas| draw_rates(canvas, run)))
            div.scroll { table {
                thead { tr { th.n { "Demanded" } th.n { "Correct" } th.n { "Errors" } th.n { "p50" } th.n { "p95" } th.n { "p99" } } }
                tbody { @for step in &run.rates { tr {
                    td.n { (figures::rate(step.demanded)) "/s" } td.n { (figures::rate(step.rate)) "/s" } td.n { (figures::percent(step.error_percent)) }
                    @for value in [step.p50_ms, step.p95_ms, step.p99_ms] { td.n { (value.map_or_else(|| "–".to_owned(), figures::ms)) } }
                } } }
            } }
            @if let Some(service) = &run.service {
                p style="margin:14px 0 0" {
                    "Alone, a request takes " strong { (figures::ms(service.mean_ms)) } " on average (deviation " (figures::ms(service.deviation_ms))
                    ", nearest distribution: " (service.distribution) "). By Little’s law " strong { (format!("{:.1}", service.at_once)) } " are served at once."
                }
            }
        }
    }
}

fn draw_rates(canvas: Canvas, run: &Calibration) -> Markup {
    let values = || run.rates.iter().flat_map(|step| [step.p50_ms, step.p95_ms]).flatten();
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.002, f64::max));
    let axis = Axis::log(14.0, 180.0, if low.is_finite() { low } else { 0.1 }, high);
    let bottom = axis.top + axis.height;
    let most = run.rates.iter().map(|step| step.demanded).fold(run.capacity.value, f64::max) * 1.05;
    let x = |rate: f64| LEFT + canvas.plot() * rate / most.max(1e-9);
    let across = Axis::linear(0.0, 1.0, most);
    let series = |of: fn(&crate::result::calibration::RateStep) -> Option<f64>| {
        run.rates.iter().filter_map(|step| Some((x(step.demanded), axis.y(of(step)?)))).collect::<Vec<_>>()
    };
    let along: Vec<f64> = across.ticks().into_iter().filter(|tick| *tick <= most).collect();
    svg(
        canvas,
        bottom + 26.0,
        "Latency against rate",
        html! {
            (axis.draw(canvas, plain_ms))
            (x_labels(canvas, bottom + 18.0, along.into_iter().map(|tick| (x(tick), figures::rate_tick(tick)))))
            (line("mark", x(run.capacity.value), axis.top, x(run.capacity.value), bottom))
            (curves(&[("curve s0".to_owned(), "p50", series(|step| step.p50_ms)), ("curve s1".to_owned(), "p95", series(|step| step.p95_ms))]))
            (line("axis", LEFT, bottom, canvas.end(), bottom))
        },
    )
}

fn growth(run: &Calibration) -> Markup {
    if run.scaling.len() < 2 {
        return html! {};
    }
    html! {
        h2 { "More instances" }
        div.card {
            (figure("Throughput against instances", "measured (dots, with their 95 % intervals), fitted (line), ideal (dashed)", |canvas| draw_growth(canvas, run)))
            div.scroll { table {
                thead { tr { th.n { "Instances" } th.n { "Throughput" } th.n { "Of the ideal" } } }
                tbody { @for point in &run.scaling { tr {
                    td.n { (point.instances) } td.n { (per_second(point.rate)) }
                    td.n { (figures::percent(100.0 * point.rate.value / (run.capacity.value * f64::from(point.instances)).max(1e-9))) }
                } } }
            } }
            @if let Some(law) = run.speed_up {
                p.muted style="margin:14px 0 0" {
                    "Fitted: rate(n) = " (figures::rate(law.single)) " · n / (1 + " (format!("{:.4}", law.contention)) " · (n − 1) + "
                    (format!("{:.5}", law.coherency)) " · n · (n − 1)), the universal scalability law."
                }
            }
        }
    }
}

fn draw_growth(canvas: Canvas, run: &Calibration) -> Markup {
    let most = run.scaling.iter().map(|point| point.instances).max().unwrap_or(1);
    let ideal = |n: f64| run.capacity.value * n;
    let axis = Axis::linear(
        14.0,
        180.0,
        ideal(most.into()).max(run.scaling.iter().map(|point| point.rate.value).fold(0.0, f64::max)) * 1.05,
    );
    let bottom = axis.top + axis.height;
    let x = |n: f64| LEFT + canvas.plot() * n / (f64::from(most) + 0.5);
    let curve = |of: &dyn Fn(f64) -> f64| {
        let points = (0..=40).map(|step| 1.0 + f64::from(most - 1) * f64::from(step) / 40.0);
        points.map(|n| format!("{},{}", px(x(n)), px(axis.y(of(n))))).collect::<Vec<_>>().join(" ")
    };
    svg(
        canvas,
        bottom + 26.0,
        "Throughput against instances",
        html! {
            (axis.draw(canvas, figures::rate_tick))
            (x_labels(canvas, bottom + 18.0, ticks(most).map(|n| (x(n.into()), n.to_string()))))
            polyline class="demand" points=(curve(&ideal)) { title { "ideal" } }
            @if let Some(law) = run.speed_up { polyline class="curve s0" points=(curve(&|n| law.rate(n))) { title { "fitted" } } }
            @for point in &run.scaling {
                @let at = x(point.instances.into());
                @if let Some(interval) = point.rate.interval {
                    line class="range s0" x1=(px(at)) x2=(px(at)) y1=(px(axis.y(interval.low))) y2=(px(axis.y(interval.high))) {}
                }
                circle class="dot s0" cx=(px(at)) cy=(px(axis.y(point.rate.value))) r="4" { title { (point.instances) ": " (per_second(point.rate)) } }
            }
            (line("axis", LEFT, bottom, canvas.end(), bottom))
        },
    )
}

fn boots(run: &Calibration) -> Markup {
    if run.launches.is_empty() {
        return html! {};
    }
    html! {
        h2 { "From launch to first answer" }
        div.card {
            @if let Some(launch) = run.launch { p { (run.launches.len()) " launches: " strong { (seconds(launch)) } "." } }
            (figure("Launches", "seconds from the call until healthy (light) and until the first answer", |canvas| draw_boots(canvas, run)))
            div.scroll { table {
                thead { tr { th { "Instance" } th.n { "Healthy after" } th.n { "First answer after" } } }
                tbody { @for launch in &run.launches { tr {
                    td.mono.one { (launch.instance) } td.n { (format!("{:.1} s", launch.healthy_after)) }
                    td.n { (launch.answered_after.map_or_else(|| "not seen".to_owned(), |after| format!("{after:.1} s"))) }
                } } }
            } }
        }
    }
}

fn draw_boots(canvas: Canvas, run: &Calibration) -> Markup {
    let slowest =
        run.launches.iter().map(|launch| launch.answered_after.unwrap_or(launch.healthy_after)).fold(1.0, f64::max);
    let axis = Axis::linear(14.0, 120.0, slowest);
    let bottom = axis.top + axis.height;
    let count = run.launches.len() as f64;
    let slot = canvas.plot() / count;
    let width = (slot * 0.5).min(40.0);
    svg(
        canvas,
        bottom + 10.0,
        "Launches",
        html! {
            (axis.draw(canvas, |tick| format!("{} s", figures::rate_tick(tick))))
            @for (number, launch) in run.launches.iter().enumerate() {
                @let left = LEFT + slot * (number as f64 + 0.5) - width / 2.0;
                @let bar = |class: &str, seconds: f64| html! {
                    rect class=(class) x=(px(left)) y=(px(axis.y(seconds))) width=(px(width)) height=(px(bottom - axis.y(seconds))) {
                        title { (launch.instance) ": " (format!("{seconds:.1} s")) }
                    }
                };
                @if let Some(answered) = launch.answered_after { (bar("s0", answered)) }
                (bar("phase", launch.healthy_after))
            }
            (line("axis", LEFT, bottom, canvas.end(), bottom))
        },
    )
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::result::calibration::*;
    use crate::result::confidence::Interval;
    use crate::result::record::Environment;

    pub fn calibration(name: &str) -> Calibration {
        let started: jiff::Timestamp = "2026-11-21T21:45:12Z".parse().expect("a timestamp");
        let estimate =
            |value: f64| Estimate { value, interval: Some(Interval { low: value * 0.97, high: value * 1.03 }) };
        let step = |demanded: f64, p95: f64| RateStep {
            demanded,
            rate: demanded.min(99.0),
            error_percent: 0.0,
            p50_ms: Some(p95 / 3.0),
            p95_ms: Some(p95),
            p99_ms: Some(p95 * 1.5),
        };
        let point = |instances: u32| ScalePoint { instances, rate: estimate(100.0 * f64::from(instances) * 0.98) };
        let launch = |number: f64| Launch {
            instance: name.into(),
            healthy_after: 60.0 + number,
            answered_after: Some(61.0 + number),
        };
        Calibration {
            schema: SCHEMA,
            calibration: "20261121-214512".into(),
            stack: name.into(),
            cluster: name.into(),
            instance_type: "t2.large".into(),
            provider: "local".into(),
            region: "us-east-1".into(),
            speed: 1,
            started,
            ended: started,
            capacity: estimate(99.4),
            users: 16,
            knee: Some(79.5),
            knee_factor: 3.0,
            first_errors: None,
            rates: vec![step(20.0, 60.0), step(60.0, 70.0), step(80.0, 110.0), step(95.0, 400.0), step(120.0, 1900.0)],
            service: Some(Service {
                mean_ms: 20.4,
                deviation_ms: 20.1,
                p50_ms: 14.2,
                p95_ms: 61.0,
                distribution: "exponential".into(),
                at_once: 2.03,
            }),
            scaling: (1..=4).map(point).collect(),
            speed_up: Some(SpeedUp { single: 99.4, contention: 0.006, coherency: 0.0 }),
            launches: vec![launch(0.0), launch(2.0), launch(5.0)],
            launch: Some(estimate(63.3)),
            warnings: vec![format!("{name} was slow")],
            environment: Environment::default(),
        }
    }

    #[test]
    fn the_page_says_what_one_instance_carries_and_stands_alone() {
        let page = render(&calibration("web<script>"));
        assert!(page.contains("99.4/s (95 %: 96.4/s to 102/s)") && page.contains("79.5/s"), "{page}");
        assert!(page.contains("2.0") && page.contains("nearest distribution: exponential"));
        assert!(
            page.matches("<script").count() == 1 && !page.contains("NaN") && page.contains("Content-Security-Policy")
        );
        let nothing = Calibration {
            rates: Vec::new(),
            scaling: Vec::new(),
            launches: Vec::new(),
            knee: None,
            service: None,
            speed_up: None,
            launch: None,
            ..calibration("web")
        };
        assert!(!render(&nothing).contains("NaN"));
    }
}
