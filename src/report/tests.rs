//! The page is safe with hostile names, complete and self-contained.

mod browser;

use super::*;
use crate::resource::status::ClusterKind;
use crate::result::record::*;

const HOSTILE: &str = "</style><script>alert('x')</script>\"&<b>";

pub fn run(name: &str) -> RunResult {
    let started: jiff::Timestamp = "2026-11-21T21:45:12Z".parse().expect("a timestamp");
    let after = |seconds: i64| started + jiff::SignedDuration::from_secs(seconds);
    let target = TargetResult {
        name: name.into(),
        url: format!("http://127.31.0.2:8080/{name}"),
        requests: 2500,
        errors: 3,
        errors_by_kind: [("status".to_owned(), 3)].into(),
        status: [(200, 2497), (502, 3)].into(),
        rate: 412.5,
        connections: 2,
        latency_ms: Some(Latency {
            min: 0.4,
            mean: 1.2,
            p50: 1.0,
            p90: 2.0,
            p95: 3.0,
            p99: 8.0,
            p999: 15.0,
            max: 20.0,
        }),
        instances: [(format!("{name}-1"), 1250), (format!("{name}-2"), 1247)].into(),
        phases: vec![
            Phase {
                thread: name.into(),
                label: "500 requests".into(),
                started,
                ended: after(2),
                requests: 500,
                errors: 0,
                latency_ms: None,
            },
            Phase {
                thread: name.into(),
                label: "pause 5 s".into(),
                started: after(2),
                ended: after(7),
                requests: 0,
                errors: 0,
                latency_ms: None,
            },
        ],
        timeline: (0..8)
            .map(|at| Second { at, requests: 300, errors: 0, p50_ms: Some(1.0), p99_ms: Some(8.0) })
            .collect(),
        distribution: vec![(0.0, 0.4), (0.5, 1.0), (0.9, 2.0), (0.99, 8.0), (1.0, 20.0)],
        ..TargetResult::default()
    };
    let image = MetricImage {
        file: "metrics/light-requests.png".into(),
        title: name.into(),
        cluster: Some(name.into()),
        caption: format!("Sum of RequestCount, {name}"),
    };
    RunResult {
        schema: SCHEMA,
        run: "20261121-214512".into(),
        stack: name.into(),
        provider: "aws".into(),
        region: "us-east-1".into(),
        scenario: name.into(),
        started,
        ended: after(8),
        verdict: Verdict::Missed,
        aborted: None,
        objective_ms: Some(5.0),
        adjustments: Vec::new(),
        targets: vec![target.clone(), TargetResult { name: "heavy".into(), ..target }],
        thresholds: vec![ThresholdResult {
            threshold: "errors < 0.1%".into(),
            target: name.into(),
            measured: Some(0.12),
            unit: "%".into(),
            held: false,
            lost_minutes: vec![2, 3],
        }],
        metrics: Metrics { complete: true, note: name.into(), images: vec![image], ..Metrics::default() },
        cloud: Some(Cloud {
            capacity: vec![
                CapacityPoint { at: 0.0, cluster: name.into(), desired: 2, running: 2, healthy: 2 },
                CapacityPoint { at: 4.0, cluster: name.into(), desired: 4, running: 3, healthy: 2 },
            ],
            instances: Vec::new(),
            events: vec![CloudEvent {
                at: 3.0,
                cluster: name.into(),
                what: format!("Launching a new EC2 instance: {name}"),
                cause: name.into(),
                status: "Successful".into(),
            }],
            disruptions: vec![Disruption {
                at: 2.0,
                what: "kill".into(),
                cluster: name.into(),
                instances: vec![name.into()],
                detected_after: Some(1.5),
                replaced_after: None,
                failed: 4,
            }],
            alarms: vec![AlarmChange {
                at: 2.5,
                cluster: name.into(),
                policy: name.into(),
                alarm: name.into(),
                label: name.into(),
                from: "OK".into(),
                to: "ALARM".into(),
                values: vec![71.0, 80.0],
                comparison: Some(">".into()),
                threshold: Some(50.0),
                reason: name.into(),
            }],
            signals: vec![Signal {
                cluster: name.into(),
                policy: name.into(),
                metric: name.into(),
                period_seconds: 60.0,
                points: vec![(-10.0, 71.0), (50.0, 80.0)],
                thresholds: vec![Threshold { label: name.into(), comparison: ">".into(), value: 75.0 }],
            }],
            refreshes: vec![Refresh {
                from: 5.0,
                until: None,
                cluster: name.into(),
                id: name.into(),
                status: "InProgress".into(),
                percent: Some(50),
                reason: Some(name.into()),
            }],
            weights: std::collections::BTreeMap::new(),
            missing: vec![name.into()],
        }),
        scaling: None,
        cost: Some(Cost {
            hourly_min: 1.04,
            hourly_max: 1.04,
            run_min: 0.0023,
            run_max: 0.0023,
            source: name.into(),
            parts: vec![CostPart { what: name.into(), how: name.into(), dollars: 0.0023 }],
        }),
        client: Client::default(),
        setup: Setup {
            url: format!("http://{name}"),
            clusters: vec![ClusterSetup {
                name: name.into(),
                instance_type: name.into(),
                kind: ClusterKind::Fixed,
                modelled: false,
                targets: vec![TargetSetup { instance: name.into(), zone: name.into(), health: name.into() }],
            }],
            routes: vec![RouteProof {
                path: name.into(),
                expected: name.into(),
                status: 404,
                answered_by: name.into(),
                ok: true,
            }],
        },
        environment: Environment {
            cloudscale: "0.1.0".into(),
            os: name.into(),
            cpus: 2,
            commands: vec![format!("cloudscale up {name}")],
        },
    }
}

fn page(name: &str) -> String {
    render(&run(name), &[("metrics/light-requests.png".to_owned(), b"\x89PNG".to_vec())].into())
}

#[test]
fn hostile_names_stay_text_wherever_they_are_shown() {
    let page = page(HOSTILE);
    assert!(page.matches("&lt;script&gt;").count() > 15, "the name is shown all over the page");
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert!(!page.contains("<b>"));
    assert_eq!(page.matches("</style>").count(), 1, "only the page's own style sheet ends");
    let comparison = compare::page(&[compare::compare(&run(HOSTILE), &run(HOSTILE))]);
    assert!(comparison.matches("<script").count() == 1 && comparison.contains("&lt;script&gt;"));
}

#[test]
fn the_page_needs_no_network_and_runs_its_own_script_only() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = page("light");
    for forbidden in ["<script ", "<link", "@import", "url(", "<iframe", "src=\"http", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("src=\"data:image/png;base64,iVBORw==\""));
    assert!(
        page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-"),
        "not even by accident"
    );
    // A browser hashes what stands between the tags (Content Security Policy Level 3, "Does element match source list").
    let script = page.split("<script>").nth(1).and_then(|rest| rest.split("</script>").next()).expect("a script");
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(script));
    let policy = page.split("http-equiv").nth(1).and_then(|rest| rest.split('>').next()).expect("a policy");
    assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
}

#[test]
fn every_section_is_there_in_order() {
    let page = page("light");
    let headings: Vec<&str> = page.split("<h2>").skip(1).filter_map(|rest| rest.split("</h2>").next()).collect();
    let expected = [
        "Thresholds",
        "light",
        "heavy",
        "What did scaling do?",
        "Latency",
        "Setup",
        "CloudWatch",
        "Cost",
        "Environment",
        "Files",
    ];
    assert_eq!(headings, expected);
    assert!(!page.contains("NaN"));
    assert_eq!(page.matches("<svg").count(), 2 * (1 + 2 * 2), "each chart is drawn for wide and for narrow screens");
}

#[test]
fn the_summary_says_what_happened() {
    assert_eq!(
        words::summary(&run("light")),
        "The run sent 5,000 requests to light and heavy in 8.0 s; 6 of them failed. light: median 1.00 ms, \
         p99 8.00 ms. heavy: median 1.00 ms, p99 8.00 ms."
    );
}

#[test]
fn a_run_without_a_single_answer_still_has_a_report() {
    let mut run = run("light");
    for target in &mut run.targets {
        *target = TargetResult { name: target.name.clone(), requests: 10, errors: 10, ..TargetResult::default() };
    }
    let page = render(&run, &Images::new());
    assert!(page.contains("no answer named its instance") && page.contains("is missing"));
    assert!(page.contains("light gave no correct answer") && !page.contains("0.00 ms"));
    assert!(!page.contains("NaN") && !page.contains("\"inf"), "no figure is computed from nothing");
}
