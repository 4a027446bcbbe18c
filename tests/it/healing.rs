//! What breaks behind our back: traffic goes round it, `diff` and `status` tell, `up` mends.

use super::rehearsal::{LAB, Rehearsal};
use super::visitor::Traffic;

/// Requests after which a lost one would have shown: many rounds over a cluster.
const ROUNDS: u64 = 100;

async fn until_state(lab: &Rehearsal, instance: &str, wanted: &str) {
    lab.until_targets("light", &format!("{instance} is {wanted}"), |targets| {
        targets.iter().find(|(id, state)| id == instance && state == wanted).map(drop)
    })
    .await;
}

fn assert_healed(lab: &Rehearsal, without: &str) {
    lab.cloudscale(&["up"]).ok();
    let light = lab.instances("light");
    assert_eq!((light.len(), lab.instances("heavy").len()), (4, 5));
    assert!(light.iter().all(|(id, health)| health == "healthy" && id != without), "{light:?}");
    lab.cloudscale(&["diff", "--exit-code"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_terminated_behind_our_back_is_gone_round_told_and_replaced() {
    let lab = Rehearsal::of(LAB).up();
    let victim = lab.instances("light")[0].0.clone();
    let traffic = Traffic::on(&lab.url(), "/cluster1").await;
    lab.aws(&["ec2", "terminate-instances", "--instance-ids", &victim]).ok();
    until_state(&lab, &victim, "unused").await;
    let lost = traffic.lost_after(1).await;
    assert_eq!(traffic.lost_after(ROUNDS).await, lost, "no request fails once the target is out");

    let change = lab.change("cluster.light.instances").expect("a change");
    assert_eq!((&change["action"], &change["reason"]), (&"update".into(), &"1 to launch".into()));
    let text = lab.cloudscale(&["diff", "--exit-code"]);
    assert_eq!(text.code, Some(3));
    assert!(text.stdout.contains("cluster.light.instances") && text.stdout.contains("1 to launch"), "{}", text.stdout);
    assert_healed(&lab, &victim);
    assert_eq!(traffic.lost_after(ROUNDS).await, lost, "nor while the stack heals");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_application_died_turns_unhealthy_and_is_replaced() {
    let lab = Rehearsal::of(LAB).up();
    let victim = lab.instances("light")[0].0.clone();
    let traffic = Traffic::on(&lab.url(), "/cluster1").await;
    assert_eq!(traffic.lost_after(ROUNDS).await, 0);
    lab.kill_application(&victim);
    until_state(&lab, &victim, "unhealthy").await;
    let lost = traffic.lost_after(1).await;
    assert!(lost > 0, "two failed checks are needed, and until then a quarter is lost, as on AWS");
    assert_eq!(traffic.lost_after(ROUNDS).await, lost, "no request fails once the target is unhealthy");

    let status = lab.cloudscale(&["status"]).ok().stdout;
    let told = status.lines().any(|line| line.contains(&victim) && line.contains("unhealthy: "));
    assert!(told, "{status}");
    let change = lab.change("cluster.light.instances").expect("a change");
    assert_eq!(change["reason"], "1 not serving");
    assert!(change["fields"].to_string().contains(&format!("{victim}: unhealthy")), "{change}");
    assert_healed(&lab, &victim);
    assert_eq!(traffic.lost_after(ROUNDS).await, lost, "nor while the stack heals");
}
