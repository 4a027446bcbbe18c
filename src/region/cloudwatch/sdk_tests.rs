//! The whole way through a real client: the Rust SDK speaks Smithy RPC v2 CBOR to the region's own server.

use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, StandardUnit, Statistic,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::aws::clients::Clients;
use crate::clock;
use crate::region::callers::Callers;
use crate::region::driver::Region;
use crate::region::server::{Endpoint, serve};
use crate::region::world::World;

/// Runs a story against a fresh region, with a client of its CloudWatch.
async fn with_region<F: Future<Output = ()>>(story: impl FnOnce(aws_sdk_cloudwatch::Client) -> F) {
    let (region, _signals) = Region::new(World::new("us-east-1", 1));
    let endpoint = Arc::new(Endpoint {
        region: Arc::new(region),
        processes: None,
        callers: Arc::new(Callers::All),
        home: PathBuf::new(),
        health: serde_json::Value::Null,
        faults: None,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, endpoint, stop.clone()));
    story(Clients::local(&url, "us-east-1").cloudwatch).await;
    stop.cancel();
    server.await.unwrap();
}

fn dimension() -> Dimension {
    Dimension::builder().name("Worker").value("w-1").build()
}

#[tokio::test]
async fn what_is_put_comes_back_as_data_and_as_a_picture() {
    with_region(|client| async move {
        let now = clock::now();
        let minutes_ago = |minutes: i64| DateTime::from_secs(now.as_second() - minutes * 60);
        let datum = |minute: i64| {
            MetricDatum::builder()
                .metric_name("Queue")
                .dimensions(dimension())
                .timestamp(minutes_ago(minute))
                .set_values(Some(vec![2.0, 4.5]))
                .set_counts(Some(vec![3.0, 1.0]))
                .unit(StandardUnit::Count)
                .build()
        };
        // So many data make a body that the SDK compresses.
        let data = (0..200).map(|index| datum(1 + index % 5)).collect();
        client.put_metric_data().namespace("App").set_metric_data(Some(data)).send().await.unwrap();

        let metric = Metric::builder().namespace("App").metric_name("Queue").dimensions(dimension()).build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        let answer = client
            .get_metric_data()
            .metric_data_queries(MetricDataQuery::builder().id("m1").metric_stat(stat).build())
            .metric_data_queries(MetricDataQuery::builder().id("e1").expression("m1 / 40").build())
            .start_time(minutes_ago(10))
            .end_time(minutes_ago(0))
            .send()
            .await
            .unwrap();
        let [sums, parts] = answer.metric_data_results() else { panic!("{answer:?}") };
        assert_eq!(sums.values(), [420.0; 5]);
        assert_eq!(parts.values(), [10.5; 5]);
        let newest = now.as_second().div_euclid(60) * 60 - 60;
        assert_eq!(sums.timestamps()[0], DateTime::from_secs(newest));

        let widget = r#"{"metrics": [["App", "Queue", "Worker", "w-1"]], "period": 60, "start": "-PT15M", "width": 320, "height": 200}"#;
        let picture = client.get_metric_widget_image().metric_widget(widget).send().await.unwrap();
        let bytes = picture.metric_widget_image().unwrap().as_ref();
        let header = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        assert_eq!((header.info().width, header.info().height), (320, 200));
    })
    .await;
}

#[tokio::test]
async fn errors_arrive_as_the_sdks_own_types() {
    with_region(|client| async move {
        let unknown = client.set_alarm_state().alarm_name("nobody").state_value("OK".into()).state_reason("a test");
        let error = unknown.send().await.unwrap_err().into_service_error();
        assert!(error.is_resource_not_found(), "{error:?}");
        let empty = client
            .get_metric_statistics()
            .namespace("App")
            .metric_name("Queue")
            .start_time(DateTime::from_secs(120))
            .end_time(DateTime::from_secs(60))
            .period(60)
            .statistics(Statistic::Sum);
        let error = empty.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_value_exception(), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn an_alarm_is_shown_as_it_was_put() {
    with_region(|client| async move {
        let put = client
            .put_metric_alarm()
            .alarm_name("high")
            .namespace("App")
            .metric_name("Queue")
            .dimensions(dimension())
            .extended_statistic("p99")
            .period(60)
            .evaluation_periods(3)
            .datapoints_to_alarm(2)
            .threshold(0.5)
            .comparison_operator(ComparisonOperator::GreaterThanThreshold);
        put.send().await.unwrap();
        let answer = client.describe_alarms().alarm_name_prefix("hi").send().await.unwrap();
        let [alarm] = answer.metric_alarms() else { panic!("{answer:?}") };
        assert_eq!(alarm.extended_statistic(), Some("p99"));
        assert_eq!((alarm.threshold(), alarm.datapoints_to_alarm()), (Some(0.5), Some(2)));
        assert_eq!(alarm.dimensions(), [dimension()]);
        assert_eq!(alarm.state_value().map(|state| state.as_str()), Some("INSUFFICIENT_DATA"));
    })
    .await;
}

#[tokio::test]
async fn a_dashboard_goes_there_and_back() {
    with_region(|client| async move {
        let body = r#"{"widgets": [{"type": "text", "properties": {"markdown": "a \"quoted\" word"}}]}"#;
        let put = client.put_dashboard().dashboard_name("shop").dashboard_body(body).send().await.unwrap();
        assert!(put.dashboard_validation_messages().is_empty());
        let there = client.get_dashboard().dashboard_name("shop").send().await.unwrap();
        assert_eq!(there.dashboard_body(), Some(body));
        let list = client.list_dashboards().dashboard_name_prefix("sh").send().await.unwrap();
        let [entry] = list.dashboard_entries() else { panic!("{list:?}") };
        assert_eq!(entry.size(), i64::try_from(body.len()).ok());
        let wrong = client.put_dashboard().dashboard_name("shop").dashboard_body(r#"{"widgets": {}}"#);
        let error = wrong.send().await.unwrap_err().into_service_error();
        assert!(error.is_dashboard_invalid_input_error(), "{error:?}");
        client.delete_dashboards().dashboard_names("shop").send().await.unwrap();
        let error = client.get_dashboard().dashboard_name("shop").send().await.unwrap_err().into_service_error();
        assert!(error.is_dashboard_not_found_error(), "{error:?}");
    })
    .await;
}
