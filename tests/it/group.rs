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
    let told = |what: &str, instance: &str| {
        let wanted = format!("{what} EC2 instance: {instance}");
        events.iter().find(|event| event["description"] == wanted).unwrap_or_else(|| panic!("{wanted}: {events:?}"))
    };
    assert_eq!(told("Launching a new", &light[1])["cluster"], "light");
    let replaced = told("Terminating", &heavy[0]);
    assert_eq!((&replaced["cluster"], &replaced["status"]), (&"heavy".into(), &"Successful".into()));
    assert!(replaced["cause"].as_str().expect("words").contains("health check"), "{replaced}");
    let last = groups.cloudscale(&["events", "--last", "1"]).ok().stdout;
    assert!(last.contains("EC2 instance: i-") && last.contains("CLUSTER"), "{last}");
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
        assert!(refused.stderr.contains("takes 2 to 5 instances"), "{}", refused.stderr);
    }
    let diff = groups.cloudscale(&["diff", "--exit-code"]).ok().stdout;
    assert!(diff.contains("live 4, range 2–5, desired capacity not touched"), "{diff}");
    groups.cloudscale(&["up"]).ok();
    assert_eq!(groups.status()["clusters"][1]["desired"], 4);
}
