//! A stack's CloudWatch dashboard: made, seen by others, mended, removed; and an endpoint that has none.

use serde_json::{Value, json};

use super::moto::Moto;
use super::rehearsal::Rehearsal;

const GROUPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/scaling-group.yaml");
const FIXED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/two-clusters.yaml");
const NAME: &str = "cs-scaling-group";
const WITH_DASHBOARD: (&str, &str) = ("variables:", "dashboard: true\nvariables:");

fn body(stack: &Rehearsal) -> Value {
    let found = stack.aws(&["cloudwatch", "get-dashboard", "--dashboard-name", NAME]).ok().json();
    serde_json::from_str(found["DashboardBody"].as_str().expect("a body")).expect("JSON")
}

fn dashboards(stack: &Rehearsal) -> Value {
    stack.aws(&["cloudwatch", "list-dashboards", "--query", "DashboardEntries[].DashboardName"]).ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_shows_the_clusters_is_mended_and_goes_with_the_stack() {
    let stack = Rehearsal::edited(GROUPS, &[WITH_DASHBOARD]).up();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    let body = body(&stack);
    let widgets = body["widgets"].as_array().expect("widgets");
    let (alarms, charts): (Vec<_>, Vec<_>) = widgets.iter().partition(|widget| widget["type"] == "alarm");
    assert_eq!(charts.len(), 8, "four of each cluster");
    for chart in charts {
        // CloudWatch draws every one of them.
        let widget = chart["properties"].to_string();
        stack.aws(&["cloudwatch", "get-metric-widget-image", "--metric-widget", &widget]).ok();
    }
    let query = "sort(MetricAlarms[].AlarmArn)";
    let known = stack.aws(&["cloudwatch", "describe-alarms", "--query", query]).ok().json();
    let mut shown: Vec<_> = alarms[0]["properties"]["alarms"].as_array().expect("alarms").clone();
    shown.sort_by_key(ToString::to_string);
    assert_eq!((alarms.len(), Value::from(shown)), (1, known));

    // Somebody edits it in the console.
    let mut edited = body.clone();
    edited["widgets"][1]["properties"]["period"] = json!(300);
    let edited = edited.to_string();
    stack.aws(&["cloudwatch", "put-dashboard", "--dashboard-name", NAME, "--dashboard-body", &edited]).ok();
    let change = stack.change("dashboard").expect("drift");
    assert_eq!((&change["action"], &change["fields"][0]["path"]), (&json!("update"), &json!("widget.light.requests")));
    stack.cloudscale(&["up"]).ok();
    assert_eq!(self::body(&stack), body);

    stack.cloudscale(&["down"]).ok();
    assert_eq!((dashboards(&stack), stack.audit()), (json!([]), json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_comes_and_goes_with_its_key() {
    let stack = Rehearsal::edited(FIXED, &[WITH_DASHBOARD]).up();
    assert_eq!(dashboards(&stack), json!(["cs-two-clusters"]));
    let file = std::fs::read_to_string(stack.folder().join("stack.yaml")).expect("the stack");
    stack.file("stack.yaml", &file.replace("dashboard: true", "dashboard: false"));
    assert_eq!(stack.change("dashboard").expect("a change")["action"], "delete");
    stack.cloudscale(&["up"]).ok();
    assert_eq!(dashboards(&stack), json!([]));
    stack.cloudscale(&["down"]).ok();
}

#[test]
fn an_endpoint_without_dashboards_goes_up_all_the_same_and_says_so_once() {
    let moto = Moto::start();
    let stack = moto.folder().join("stack.yaml");
    let text = "name: shop\ndashboard: true\nclusters: {web: {instances: 1}}\n";
    std::fs::write(&stack, text).expect("a stack");
    let stack = stack.to_str().expect("a path");
    let up = moto.cloudscale(&["--provider", "aws", "up", "--yes", "--wait", "targets", stack]).ok();
    assert_eq!(up.stderr.matches("has no CloudWatch dashboards").count(), 1, "{}", up.stderr);
    moto.cloudscale(&["--provider", "aws", "diff", "--exit-code", stack]).ok();
    moto.cloudscale(&["--provider", "aws", "down", "--yes", stack]).ok();
}
