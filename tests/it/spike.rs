//! A rehearsal in fast time: a group follows its load out and back in, the same at any speed, and heals what is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloudscale::clock;
use cloudscale::clock::speed::Scale;
use jiff::Timestamp;
use serde_json::Value;

use super::rehearsal::Rehearsal;
use super::visitor::Visitor;

const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/service.sh");

/// One request at a time keeps an instance of one virtual CPU fully busy: an eighth of the load is idle to it.
fn stack(speed: u32) -> String {
    format!(
        "
name: spike
local: {{speed: {speed}, delays: aws}}
variables: {{service_ms: 50}}
clusters:
  web:
    instance_type: t2.small
    user_data: {SERVICE}
    port: 8080
    routes: [\"/*\"]
    health_check: {{path: /health, interval: 10s, timeout: 5s, healthy: 2, unhealthy: 2}}
    autoscaling:
      min: 1
      max: 2
      desired: 1
      warmup: 60s
      health_grace: 60s
      policies: [target_tracking: {{metric: cpu, target: 50}}]
"
    )
}

struct Region {
    scale: Scale,
    stack: Rehearsal,
    url: String,
}

impl Region {
    fn at(speed: u32) -> Self {
        let mut stack = Rehearsal::of("");
        stack.stack = stack.file("stack.yaml", &self::stack(speed));
        let stack = stack.up();
        let record = std::fs::read(stack.region.home().join("region.json")).expect("the record of the region");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        assert_eq!(record["local"]["speed"], speed);
        let time = |key: &str| record[key].as_str().expect("a time").parse().expect("a time");
        Self { scale: Scale { wall: time("started"), region: time("region_started"), speed }, url: stack.url(), stack }
    }

    fn now(&self) -> Timestamp {
        self.scale.at(clock::now())
    }

    async fn until(&self, time: Timestamp) {
        let left = time.duration_since(self.now()).as_secs_f64() / f64::from(self.scale.speed);
        clock::sleep(Duration::from_secs_f64(left.max(0.0))).await;
    }

    /// What the group did, as minutes after `start` and the change of its capacity.
    fn activities(&self, start: Timestamp) -> Vec<(f64, String)> {
        let events = self.stack.cloudscale(&["events", "--json", "--last", "50"]).ok().json();
        let told = |event: &Value| {
            let at: Timestamp = event["at"].as_str()?.parse().ok()?;
            let [from, to] = event["capacity"].as_array()?.as_slice() else { return None };
            Some((at.duration_since(start).as_secs_f64() / 60.0, format!("from {from} to {to}")))
        };
        events.as_array().expect("a list").iter().filter_map(told).filter(|(at, _)| *at >= 0.0).collect()
    }
}

/// Seven minutes of a load that keeps one instance busy, from a full minute on, and then none: the group's reaction.
async fn reaction(region: &Region) -> Vec<(f64, String)> {
    let mut visitors = Vec::new();
    for _ in 0..4 {
        visitors.push(Visitor::at(&region.url).await);
    }
    let start = Timestamp::from_second((region.now().as_second() / 60 + 2) * 60).expect("a time");
    region.until(start).await;
    let end = start + Duration::from_secs(7 * 60);
    let scale = region.scale;
    let failed = Arc::new(AtomicU64::new(0));
    let visits = visitors.into_iter().map(|mut visitor| {
        let failed = Arc::clone(&failed);
        tokio::spawn(async move {
            while scale.at(clock::now()) < end {
                let seen = visitor.get("/").await;
                failed.fetch_add(u64::from(seen.status != 200), Ordering::Relaxed);
            }
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await.expect("the visitor's story");
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0, "requests that failed at speed {}", scale.speed);
    // Fifteen minutes below, and a little.
    region.until(end + Duration::from_secs(18 * 60)).await;
    region.activities(start)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_load_gives_the_same_activities_at_speed_10_and_60() {
    // Both first: bringing one up blocks the other's story.
    let (fast, slow) = (Region::at(60), Region::at(10));
    let (fast, slow) = tokio::join!(reaction(&fast), reaction(&slow));
    let changes =
        |activities: &[(f64, String)]| activities.iter().map(|(_, change)| change.clone()).collect::<Vec<_>>();
    assert_eq!(changes(&fast), ["from 1 to 2", "from 2 to 1"], "{fast:?}");
    assert_eq!(changes(&slow), changes(&fast), "{slow:?}");
    for ((slow, change), (fast, _)) in slow.iter().zip(&fast) {
        // Both began with a minute; an alarm looks once a minute.
        assert!((slow - fast).abs() <= 1.0, "{change} after {slow} minutes at speed 10 and {fast} at 60");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_tells_its_speed_and_refuses_another() {
    let region = Region::at(60);
    let status = region.stack.region.status();
    assert_eq!((&status["speed"], &status["delays"]), (&60.into(), &"aws".into()));
    let text = region.stack.region.run(&["local", "status"]).stdout;
    assert!(String::from_utf8_lossy(&text).contains("60 times as fast"), "{text:?}");
    let refused = region.stack.region.run(&["local", "start", "--speed", "2"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    let says = |words: &str| message.contains(words);
    assert!(!refused.status.success() && says("runs already") && says("speed 60") && says("local stop"), "{message}");
    // The answers' date is the region's time, to the minute and a half that a call takes at most.
    let clients = region.stack.region.clients();
    let made = clients.ec2.describe_instances().send().await.expect("an answer");
    let launched = made.reservations()[0].instances()[0].launch_time().expect("a time").secs();
    assert!(launched <= region.now().as_second() && launched > region.scale.region.as_second() - 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_chaos_breaks_heals_and_is_told() {
    let region = Region::at(30);
    let before = region.stack.instances("web");
    let hung = region.stack.cloudscale(&["chaos", "hang", "--cluster", "web", "--for", "10m"]).ok().stdout;
    assert!(hung.contains(&before[0].0) && hung.contains("hang"), "{hung}");
    // It answers no health check, so it is replaced.
    region
        .stack
        .until_targets("web", "a target that is not the hung one", |targets| {
            targets.iter().any(|(id, state)| state == "healthy" && *id != before[0].0).then_some(())
        })
        .await;
    let nobody = region.stack.cloudscale(&["chaos", "kill", "--cluster", "wbe"]);
    assert!(nobody.code == Some(2) && nobody.stderr.contains("has no cluster `wbe`"), "{}", nobody.stderr);
    let refused = region.stack.cloudscale(&["--provider", "aws", "chaos", "slow"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("only the embedded region has"), "{}", refused.stderr);
    let scenario = region.stack.file(
        "load.yaml",
        "phases: [{rate: 10/s, duration: 6m}]\nchaos: [{at: 1m, unhealthy: 1}]\nthresholds: [errors < 100%]\n",
    );
    let scenario = scenario.display().to_string();
    let result = region.stack.cloudscale(&["bench", "--json", "--scenario", &scenario]).ok().json();
    let disruption = &result["cloud"]["disruptions"][0];
    assert_eq!((&disruption["what"], &disruption["cluster"]), (&"unhealthy".into(), &"web".into()), "{result}");
    let (noticed, healed) = (disruption["detected_after"].as_f64(), disruption["replaced_after"].as_f64());
    assert!(noticed.zip(healed).is_some_and(|(noticed, healed)| noticed > 0.0 && healed > noticed), "{disruption}");
    let target = &result["targets"][0];
    // A minute is two seconds by the wall; the last request ends a little later.
    let minutes = target["minutes"].as_array().map_or(0, Vec::len);
    assert!(target["speed"] == 30 && (6..=7).contains(&minutes), "{target}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_longer_than_the_timeout_leaves_nothing_behind() {
    let mut stack = Rehearsal::of("");
    stack.stack = stack.file("stack.yaml", &self::stack(60));
    // Half a minute for every wait, and a load of 35 seconds by the wall.
    let scenario = stack.file("load.yaml", "phases: [{rate: 5/s, duration: 35m}]\n").display().to_string();
    let run = stack.cloudscale(&["run", "--timeout", "30s", "--scenario", &scenario]).ok();
    assert!(run.stderr.contains("nothing left") || run.stdout.contains("nothing left"), "{}", run.stderr);
    let status = stack.region.status();
    assert_eq!((&status["running"], &status["has_state"]), (&false.into(), &false.into()), "as it was before");
}
