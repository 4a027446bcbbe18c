//! The laboratory from `up` to `down`: what users run today, as they run it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::local_region::{eventually, kill};
use super::rehearsal::{LAB, Rehearsal, instances, listening};
use super::tap::Tap;
use super::visitor::Visitor;

#[tokio::test]
async fn the_lab_goes_up_answers_evenly_and_comes_down_to_nothing() {
    let lab = Rehearsal::of(LAB);
    let up = lab.cloudscale(&["up"]).ok();
    let status = lab.status();
    let health = |cluster| instances(&status, cluster).into_iter().map(|(_, health)| health).collect::<Vec<_>>();
    assert_eq!((health("light"), health("heavy")), (vec!["healthy".to_owned(); 4], vec!["healthy".to_owned(); 5]));
    assert_eq!(status["url"], up.stdout.trim_end());
    let whole = json!({
        "instances": 9, "security groups": 2, "launch templates": 2, "load balancers": 1, "target groups": 2
    });
    assert_eq!(lab.audit(), whole);

    let mut visitor = Visitor::at(&lab.url()).await;
    for (path, cluster, share) in [("/cluster1", "light", 225), ("/cluster2/deep?q=1", "heavy", 180)] {
        let even = instances(&status, cluster).into_iter().map(|(id, _)| (id, share)).collect::<BTreeMap<_, _>>();
        assert_eq!(visitor.shares(path, 900).await, even);
    }
    for path in ["/", "/cluster10", "/cluster1x/y", "/Cluster1"] {
        let seen = visitor.get(path).await;
        assert_eq!((seen.status, &*seen.body, seen.instance), (404, "no such cluster\n", None), "{path}");
    }

    let sockets = lab.listening();
    assert!(sockets.len() >= 20, "endpoint, load balancer, nine applications and metadata services: {sockets:?}");
    assert!(lab.cloudscale(&["down"]).ok().stdout.contains("nothing left"));
    assert_eq!(lab.audit(), json!({}));
    assert!(lab.region.run(&["local", "stop"]).status.success());
    assert_eq!(lab.region.processes(), Vec::<i32>::new());
    assert!(listening().is_disjoint(&sockets));
}

#[test]
fn nothing_to_do_means_no_write_call() {
    let lab = Rehearsal::of(LAB);
    assert!(lab.region.run(&["local", "start"]).status.success());
    let tap = Tap::on(&lab.region.endpoint());
    // As on AWS: there is no difference but the endpoint.
    let at_tap = |arguments: &[&str]| lab.cloudscale_at(&tap.endpoint, arguments);
    at_tap(&["up", "--yes"]).ok();
    let (_, written) = tap.calls();
    let count = |name: &str| written.iter().filter(|call| *call == name).count();
    assert_eq!((count("CreateTargetGroup"), count("CreateRule")), (2, 2), "{written:?}");

    at_tap(&["up", "--yes"]).ok();
    let (read, written) = tap.calls();
    assert!(!read.is_empty());
    assert_eq!(written, Vec::<String>::new());

    let diff = at_tap(&["diff", "--exit-code", "--json"]).ok().json();
    assert_eq!(tap.calls().1, Vec::<String>::new());
    let unchanged = diff["changes"].as_array().expect("changes").len();
    assert_eq!((&diff["stack"], &diff["provider"]), (&json!("two-clusters"), &json!("aws")));
    assert_eq!(diff["summary"], json!({"create": 0, "update": 0, "replace": 0, "delete": 0, "unchanged": unchanged}));
    for change in diff["changes"].as_array().expect("changes") {
        assert_eq!(keys(change), ["address", "type", "action", "reason", "fields"]);
        assert_eq!(change["action"], "unchanged");
    }
    assert_eq!(keys(&diff), ["stack", "provider", "summary", "changes", "hourly_cost", "parts", "prices"]);
    assert_eq!(keys(&diff["hourly_cost"]), ["min", "max"]);
    assert_eq!(diff["hourly_cost"]["min"], diff["hourly_cost"]["max"], "a fleet costs one figure");
    let plain = lab.cloudscale(&["diff", "--exit-code"]).ok().stdout;
    assert!(plain.contains("No changes"), "{plain}");
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_regions_violent_death_takes_the_whole_lab_with_it() {
    let lab = Rehearsal::of(LAB).up();
    let sockets = lab.listening();
    assert!(lab.region.processes().len() >= 9 * 2, "init and application of each instance");
    kill(i32::try_from(lab.region.status()["pid"].as_i64().expect("a region")).expect("a process id"));
    eventually("the end of every process", || async { lab.region.processes().is_empty().then_some(()) }).await;
    eventually("the end of every socket", || async { listening().is_disjoint(&sockets).then_some(()) }).await;
}
