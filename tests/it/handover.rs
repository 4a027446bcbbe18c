//! What a path leads to changes hands while requests come in: whoever the new targets are, the rule turns when they are healthy,
//! and the old cluster goes after that. Instances here boot for seconds, so that an outage would show.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rehearsal::Rehearsal;
use super::visitor::Traffic;

const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");
/// Requests after which a lost one would have shown.
const ROUNDS: u64 = 100;
const FIXED: &str = "instances: 2";
const GROUP: &str = "autoscaling: {min: 2, max: 4, warmup: 0s, health_grace: 30s}";

/// A cluster as a line of the stack file.
fn cluster(name: &str, routes: &str, size: &str) -> String {
    let health = "health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}";
    format!(
        "  {name}: {{instance_type: t2.large, user_data: {WORKLOAD}, port: 8080, routes: [{routes}], deregistration_delay: 5s, {health}, {size}}}\n"
    )
}

/// A stack of these clusters; `head` holds whatever else it has.
fn text(head: &str, clusters: &[String]) -> String {
    format!("name: handover\nvariables: {{delay_ms: 2}}\nlocal: {{boot: 3s}}\n{head}clusters:\n{}", clusters.concat())
}

struct Story {
    stack: Rehearsal,
    loads: Vec<Traffic>,
}

impl Story {
    /// Up, with a load of 200 requests a second on each path.
    async fn up(text: &str, paths: &[&'static str]) -> Self {
        let mut stack = Rehearsal::of("");
        stack.stack = stack.file("stack.yaml", text);
        let stack = stack.up();
        let url = stack.url();
        let mut loads = Vec::new();
        for path in paths {
            loads.push(Traffic::on(&url, path).await);
        }
        Self { stack, loads }
    }

    /// Makes the stack another; returns the changes that `diff` told of.
    async fn becomes(&self, text: &str) -> Vec<Value> {
        self.stack.file("stack.yaml", text);
        let report = self.stack.cloudscale(&["diff", "--json"]).ok().json();
        self.stack.cloudscale(&["up", "--yes"]).ok();
        for (load, number) in self.loads.iter().zip(1..) {
            assert_eq!(load.lost_after(ROUNDS).await, 0, "load {number}");
        }
        self.stack.cloudscale(&["diff", "--exit-code"]).ok();
        let changes = report["changes"].as_array().expect("changes").iter();
        changes.filter(|change| change["action"] != "unchanged").cloned().collect()
    }

    fn ids(&self, cluster: &str) -> BTreeSet<String> {
        self.stack.instances(cluster).into_iter().map(|(id, _)| id).collect()
    }
}

fn change<'a>(changes: &'a [Value], address: &str) -> &'a Value {
    changes.iter().find(|change| change["address"] == address).unwrap_or_else(|| panic!("{address}: {changes:?}"))
}

/// The rule at an address is one that was at another, and stays in place.
fn moved(changes: &[Value], from: &str, to: &str) {
    let change = change(changes, to);
    assert_eq!(change["action"], "update", "{change}");
    let fields = change["fields"].as_array().expect("fields");
    let address = json!({"path": "address", "observed": from, "desired": to});
    assert!(fields.contains(&address), "{change}");
    assert!(!changes.iter().any(|change| change["address"] == from && change["action"] == "delete"), "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_clusters_serve_without_a_lost_request() {
    let clusters = |names: [&str; 2]| [cluster(names[0], "/fleet", FIXED), cluster(names[1], "/group", GROUP)];
    let story = Story::up(&text("", &clusters(["old", "olds"])), &["/fleet", "/group"]).await;
    let old = [story.ids("old"), story.ids("olds")].concat_sets();
    let after = text("", &clusters(["new", "news"]));
    let changes = story.becomes(&after).await;
    moved(&changes, "cluster.old.rule", "cluster.new.rule");
    moved(&changes, "cluster.olds.rule", "cluster.news.rule");
    let new = [story.ids("new"), story.ids("news")].concat_sets();
    assert!(new.len() == 4 && new.is_disjoint(&old), "{old:?} {new:?}");
    let left = json!({
        "instances": 4, "security groups": 2, "launch templates": 2, "load balancers": 1, "target groups": 2, "groups": 1
    });
    assert_eq!(story.stack.audit(), left);
    // Fixed instances become a group of another name, and the other way round.
    let turned = text("", &[cluster("crew", "/fleet", GROUP), cluster("crews", "/group", FIXED)]);
    let changes = story.becomes(&turned).await;
    moved(&changes, "cluster.new.rule", "cluster.crew.rule");
    moved(&changes, "cluster.news.rule", "cluster.crews.rule");
    assert_eq!(story.stack.audit(), left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_moves_to_a_new_cluster_while_the_old_one_stays() {
    let before = text("", &[cluster("shop", "/shop, /cart", FIXED)]);
    let story = Story::up(&before, &["/shop", "/cart"]).await;
    let old = story.ids("shop");
    // To a new one, whose pattern is wider.
    let after = text("", &[cluster("shop", "/shop", FIXED), cluster("cart", "\"/ca*\"", FIXED)]);
    let changes = story.becomes(&after).await;
    assert_eq!(change(&changes, "cluster.cart.rule")["action"], "create");
    assert_eq!(story.ids("shop"), old);
    assert_eq!(story.ids("cart").len(), 2);
    // From one to another, and both stay.
    let both = [cluster("shop", "/other", FIXED), cluster("cart", "\"/ca*\", /shop", FIXED)];
    let changes = story.becomes(&text("", &both)).await;
    assert!(changes.iter().all(|change| change["type"] == "rule" && change["action"] == "update"), "{changes:?}");
    // Carved out of a pattern that stays.
    story.becomes(&text("", &[cluster("first", "/cart", GROUP), both[0].clone(), both[1].clone()])).await;
    assert_eq!(story.ids("first").len(), 2);
    // What was left of the handover in the rule that served before is gone again: `diff` above found nothing.
    let rules = story.stack.aws(&["elbv2", "describe-target-groups", "--query", "length(TargetGroups)"]).ok().json();
    assert_eq!(rules, 3);
}

/// Whoever still comes to the old port is served until its listener is gone, and never refused by a rule or a target that went first.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_renamed_while_its_listener_moves_to_another_port() {
    let port = |port: u16| format!("load_balancer: {{port: {port}}}\n");
    let story = Story::up(&text(&port(8000), &[cluster("old", "/app", FIXED)]), &["/app"]).await;
    story.stack.file("stack.yaml", &text(&port(8001), &[cluster("new", "/app", GROUP)]));
    story.stack.cloudscale(&["up", "--yes"]).ok();
    assert_eq!((story.loads[0].lost(), story.loads[0].answered() > ROUNDS), (0, true));
    assert_eq!(Traffic::on(&story.stack.url(), "/app").await.lost_after(ROUNDS).await, 0);
    story.stack.cloudscale(&["diff", "--exit-code"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn blue_becomes_green_in_one_step() {
    let both = |blue: &str, green: &str| text("", &[cluster("blue", blue, FIXED), cluster("green", green, GROUP)]);
    let story = Story::up(&both("/app", "/next"), &["/app", "/next"]).await;
    // They change places.
    let changes = story.becomes(&both("/next", "/app")).await;
    assert!(changes.iter().all(|change| change["type"] == "rule" && change["action"] == "update"), "{changes:?}");
    // A third takes over what both have, and they go.
    let changes = story.becomes(&text("", &[cluster("red", "/app, /next", FIXED)])).await;
    assert_eq!(change(&changes, "cluster.red.instances")["action"], "create");
    assert_eq!(story.ids("red").len(), 2);
    let whole = json!({
        "instances": 2, "security groups": 2, "launch templates": 1, "load balancers": 1, "target groups": 1
    });
    assert_eq!(story.stack.audit(), whole);
    // One becomes two again, and both are new.
    story.becomes(&both("/app", "/next")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_routes_replace_a_clusters_own_and_weights_shift_while_the_old_one_goes() {
    let route = |weights: &str| format!("routes: {{app: {{paths: [/app], weights: {{{weights}}}}}}}\n");
    let story = Story::up(&text("", &[cluster("one", "/app", FIXED)]), &["/app", "/app"]).await;
    let two = [cluster("one", "", FIXED), cluster("two", "", GROUP)];
    let changes = story.becomes(&text(&route("one: 90, two: 10"), &two)).await;
    moved(&changes, "cluster.one.rule", "route.app.rule");
    story.becomes(&text(&route("one: 1, two: 99"), &two)).await;
    // All of it, and the old one goes in the same step; a third comes.
    let last = [cluster("two", "", GROUP), cluster("three", "", FIXED)];
    story.becomes(&text(&route("two: 1, three: 1"), &last)).await;
    story.becomes(&text(&route("three: 1"), &last[1..])).await;
    // And back to a route of its own.
    let changes = story.becomes(&text("", &[cluster("four", "/app", GROUP)])).await;
    moved(&changes, "route.app.rule", "cluster.four.rule");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_that_never_gets_healthy_leaves_the_old_one_serving() {
    let story = Story::up(&text("", &[cluster("old", "/app", FIXED)]), &["/app"]).await;
    let old = story.ids("old");
    let script = story.stack.file("bad.sh", "#!/bin/bash\necho nothing listens here\nexec sleep 600\n");
    let bad = cluster("new", "/app", FIXED).replace(WORKLOAD, &script.to_string_lossy());
    story.stack.file("stack.yaml", &text("", &[bad]));
    let failed = story.stack.cloudscale(&["up", "--yes", "--timeout", "12s"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    for told in ["The new target group is not healthy", "the rule has not turned"] {
        assert!(failed.stderr.contains(told), "{told}: {}", failed.stderr);
    }
    assert_eq!(story.loads[0].lost_after(ROUNDS).await, 0);
    // What was tried is taken back, and nobody but the old one is left.
    story.becomes(&text("", &[cluster("old", "/app", FIXED)])).await;
    assert_eq!(story.ids("old"), old);
    assert_eq!(story.stack.audit()["target groups"], 1);
}

/// The union of sets.
trait Union {
    fn concat_sets(self) -> BTreeSet<String>;
}

impl<const N: usize> Union for [BTreeSet<String>; N] {
    fn concat_sets(self) -> BTreeSet<String> {
        self.into_iter().flatten().collect()
    }
}
