//! Auto Scaling groups in the embedded region: they heal by themselves and keep the capacity that they were given.

use super::rehearsal::{GROUPS, Rehearsal};

/// The targets of a group once `count` of them are healthy and none of these is `without`; what leaves may still drain.
async fn until_healthy(groups: &Rehearsal, cluster: &str, count: usize, without: &str) -> Vec<String> {
    let what = format!("{cluster} has {count} healthy targets without {without}");
    groups
        .until_targets(cluster, &what, |targets| {
            let healthy = targets.iter().filter(|(id, state)| state == "healthy" && id != without);
            let healthy: Vec<_> = healthy.map(|(id, _)| id.clone()).collect();
            (healthy.len() == count).then_some(healthy)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_replaces_what_died_by_itself() {
    // A group whose instances are still warming up replaces nothing, as on AWS.
    let edits = [("health_grace: 60s", "health_grace: 1s"), ("warmup: 60s", "warmup: 1s")];
    let groups = Rehearsal::edited(GROUPS, &edits).up();
    let light = until_healthy(&groups, "light", 2, "").await;
    let heavy = until_healthy(&groups, "heavy", 3, "").await;
    groups.aws(&["ec2", "terminate-instances", "--instance-ids", &light[0]]).ok();
    groups.kill_application(&heavy[0]);
    assert!(until_healthy(&groups, "light", 2, &light[0]).await.contains(&light[1]));
    let healed = until_healthy(&groups, "heavy", 3, &heavy[0]).await;
    assert!(healed.contains(&heavy[1]) && healed.contains(&heavy[2]));
    groups.cloudscale(&["diff", "--exit-code"]).ok();

    let events = groups.cloudscale(&["events", "--json", "--last", "50"]).ok().json();
    let events = events.as_array().expect("a list");
    let of = |kind: &str, instance: &str| {
        let named = |event: &&serde_json::Value| {
            event["kind"] == kind && event["instances"].as_array().is_some_and(|ids| ids.contains(&instance.into()))
        };
        events.iter().find(named).unwrap_or_else(|| panic!("{kind} {instance}: {events:?}"))
    };
    let created = of("scale_out", &light[1]);
    assert_eq!((&created["cluster"], &created["capacity"]), (&"light".into(), &serde_json::json!([0, 2])));
    assert!(created["text"].as_str().expect("words").starts_with("created → 0 to 2; in service after "), "{created}");
    let described = format!("Launching a new EC2 instance: {}", light[1]);
    let activities = created["activities"].as_array().expect("AWS's own record");
    assert!(activities.iter().any(|activity| activity["description"] == described), "{activities:?}");
    assert!(
        of("ended", &light[0])["text"].as_str().expect("words").contains("ended outside the group; replaced after")
    );
    let replaced = of("ended", &heavy[0]);
    assert!(
        replaced["text"].as_str().expect("words").contains("failed its health check; replaced after"),
        "{replaced}"
    );
    assert!(replaced["activities"][0]["cause"].as_str().expect("words").contains("health check"), "{replaced}");
    // Which event is the newest is not ours to say: an alarm may have changed meanwhile.
    let last = groups.cloudscale(&["events", "--last", "1"]).ok().stdout;
    assert!(last.lines().count() == 1, "{last}");
    let words = groups.cloudscale(&["events", "--last", "50", "-v"]).ok().stdout;
    assert!(words.contains("EC2 instance: i-") && words.contains("(Successful): At 2"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_the_capacity_that_it_was_given_by_hand() {
    let groups = Rehearsal::of(GROUPS).up();
    groups.cloudscale(&["scale", "heavy", "2"]).ok();
    until_healthy(&groups, "heavy", 2, "").await;
    groups.cloudscale(&["scale", "heavy", "4"]).ok();
    until_healthy(&groups, "heavy", 4, "").await;
    for out_of_range in ["1", "6"] {
        let refused = groups.cloudscale(&["scale", "heavy", out_of_range]);
        assert_eq!(refused.code, Some(2));
        assert!(refused.stderr.contains("allows 2 to 5 instances"), "{}", refused.stderr);
    }
    let diff = groups.cloudscale(&["diff", "--exit-code"]).ok().stdout;
    assert!(diff.contains("now 4, range 2–5, desired capacity not touched"), "{diff}");
    groups.cloudscale(&["up"]).ok();
    assert_eq!(groups.status()["clusters"][1]["desired"], 4);
}
