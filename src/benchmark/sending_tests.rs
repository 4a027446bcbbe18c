//! What a scenario may say of its requests, against a real server: redirects, data, a log's requests, users who come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::arrivals::Curve;
use super::data::Table;
use super::load::{Target, load};
use super::scenario::{Closed, Expect, Load, Ramping, Replay, RequestChoice, Scenario};
use super::tests::{measure, scenario, serve};
use crate::resource::event::{Event, Sink};
use crate::result::record::LatencyKind;

struct Deaf;

impl Sink for Deaf {
    fn event(&self, _event: Event) {}
}

fn requests(count: u64) -> Load {
    Load::Closed(Closed { users: 1, iterations: Some(count), duration: None, think_time: Duration::ZERO })
}

#[tokio::test]
async fn a_redirect_is_followed_as_often_as_the_scenario_allows_and_its_request_counts_once() {
    let address = serve().await;
    let follows = |redirects| Scenario { redirects, ..scenario(vec![requests(5)]) };
    let light = measure(&follows(1), address, "/moved").await.targets.remove(0);
    assert_eq!((light.requests, light.errors, light.status, light.connections), (5, 0, [(200, 5)].into(), 1));
    for (redirects, path) in [(0, "/moved"), (3, "/round"), (3, "/away")] {
        let light = measure(&follows(redirects), address, path).await.targets.remove(0);
        assert_eq!((light.requests, light.errors, light.status), (5, 5, [(302, 5)].into()), "{path}");
    }
}

#[tokio::test]
async fn every_row_of_the_data_has_its_turn() {
    let mut scenario = scenario(vec![requests(12)]);
    scenario.data = Some(Arc::new(Table::parse("key,text\na,hello\nb,\"wor,ld\"\nc,\n").expect("a table")));
    let choice = |key: &str, text: &str| RequestChoice {
        name: format!("with-{key}"),
        method: "PUT".into(),
        headers: vec![("X-Key".into(), "${csv.key}".into())],
        body: b"<${csv.text}>".to_vec(),
        expect: Expect { status: 200, contains: Some(format!("PUT Some(\"{key}\") <{text}>")) },
        ..RequestChoice::default()
    };
    // Whatever row it is, one in three expects it; a single worker takes the rows in order.
    let mut right = 0;
    for (key, text) in [("a", "hello"), ("b", "wor,ld"), ("c", "")] {
        scenario.requests = vec![choice(key, text)];
        let light = measure(&scenario, serve().await, "/echo").await.targets.remove(0);
        assert_eq!(light.status, BTreeMap::from([(200, 12)]));
        right += light.requests - light.errors;
        assert_eq!(light.errors_by_kind, [("body".into(), light.errors)].into());
    }
    assert_eq!(right, 12, "each of the three rows was sent 4 of 12 times");
}

#[tokio::test]
async fn a_log_is_sent_at_its_distances_and_its_paths_stand_as_they_are() {
    let logged = |path: &str, status| RequestChoice {
        path: path.into(),
        expect: Expect { status, contains: None },
        ..RequestChoice::default()
    };
    let due = [(0, 0), (100, 1), (150, 0), (400, 0)].map(|(at, request)| (Duration::from_millis(at), request));
    let mut scenario = scenario(vec![Load::Replay(Replay { due: due.into() })]);
    scenario.replayed = vec![logged("/turns?a=1", 200), logged("/missing", 404)];
    let measured = measure(&scenario, serve().await, "/not-asked").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.demanded), (4, 0, Some(4)), "{:?}", light.status);
    assert_eq!((&light.status, light.latency_kind), (&[(200, 3), (404, 1)].into(), LatencyKind::Response));
    assert_eq!(
        light.endpoints.iter().map(|one| (one.name.as_str(), one.requests)).collect::<Vec<_>>(),
        [("replay", 4)]
    );
    assert!(measured.ended.duration_since(measured.started).as_secs_f64() >= 0.4);
    let targets = ["a", "b"].map(|name| Target { name: name.into(), url: "http://127.0.0.1:1/".into() });
    let refused = load(&scenario, &targets, 1, &Deaf, &CancellationToken::new()).await.expect_err("two targets");
    assert_eq!(refused.summary, "A log is replayed to one target");
}

#[tokio::test]
async fn virtual_users_come_and_go_with_the_stages() {
    let milliseconds = Duration::from_millis;
    // Nobody for 200 ms, then 10 users for 300 ms, then 2 for 300 ms.
    let users = Curve::stages(
        0.0,
        &[
            (0.0, milliseconds(200)),
            (10.0, milliseconds(0)),
            (10.0, milliseconds(300)),
            (2.0, milliseconds(0)),
            (2.0, milliseconds(300)),
        ],
    );
    let ramping = Load::Ramping(Ramping { users, think_time: milliseconds(100) });
    let mut scenario = scenario(vec![ramping]);
    // One worker: it opens a connection for every user it carries.
    scenario.flows[0].phases[0].name = Some("ramp".into());
    let measured = measure(&scenario, serve().await, "/turns").await;
    let light = &measured.targets[0];
    // 10 users send at 0, 100 and 200 ms, 2 of them at 300, 400 and 500 ms: 36, and fewer on a machine under load.
    assert!((12..=38).contains(&light.requests) && light.errors == 0, "{}", light.requests);
    assert_eq!((light.connections, light.latency_kind, light.demanded), (10, LatencyKind::Service, None));
    let phase = &light.phases[0];
    assert!(phase.label == "ramp" && phase.ended.duration_since(phase.started).as_secs_f64() >= 0.7);
}

#[tokio::test]
async fn a_threshold_that_is_missed_ends_the_run_where_it_may() {
    let open =
        Load::Open { curve: Curve::constant(100.0, Duration::from_secs(600)), spacing: super::arrivals::Spacing::Even };
    let mut scenario = scenario(vec![open]);
    let threshold = "errors < 5%".parse::<super::threshold::Threshold>().expect("a threshold");
    scenario.thresholds = vec![threshold.aborting(Duration::from_millis(500)).expect("known while it runs")];
    let measured = measure(&scenario, serve().await, "/broken").await;
    assert!(!measured.interrupted && measured.targets[0].requests >= 50);
    assert!(measured.ended.duration_since(measured.started).as_secs_f64() < 60.0, "it ended early");
    let run = super::judge::record("web", &scenario, measured, Vec::new());
    assert_eq!(run.aborted.as_deref(), Some("errors < 5% for light, measured 100 %"));
    assert_eq!(run.verdict, crate::result::record::Verdict::Missed);
}
