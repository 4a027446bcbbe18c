//! Commands that only look: they start nothing, need no file where the cloud knows the answer, and show what others wrote
//! without letting it play with the terminal.

use super::moto::Answer;
use super::rehearsal::{GROUPS, LAB, Rehearsal};

#[test]
fn looking_at_a_stack_starts_no_region() {
    let lab = Rehearsal::of(LAB);
    let status = lab.status();
    assert_eq!((&status["stack"], &status["url"]), (&"two-clusters".into(), &serde_json::Value::Null));
    assert!(lab.cloudscale(&["status"]).ok().stdout.contains("not up"));
    assert_eq!(lab.cloudscale(&["events", "--json"]).ok().stdout.trim(), "[]");
    assert_eq!(lab.cloudscale(&["output"]).code, Some(1));
    assert!(lab.cloudscale(&["unlock"]).ok().stdout.contains("not locked"));
    assert!(lab.cloudscale(&["down"]).ok().stdout.contains("nothing left"));
    let ls = Answer::of(&mut lab.region.command(&["ls", "--json"]));
    assert_eq!(ls.ok().stdout.trim(), "[]");
    assert_eq!(lab.region.status()["running"], false, "nobody asked for a region");
}

#[test]
fn a_stack_is_seen_by_its_name_as_by_its_file() {
    for stack in [LAB, GROUPS] {
        let place = Rehearsal::of(stack).up();
        let by_file = place.status();
        let name = by_file["stack"].as_str().expect("a name").to_owned();
        let named = |name: &str| Answer::of(&mut place.region.command(&["status", "--json", "--stack", name]));
        let by_name = named(&name).ok().json();
        assert_eq!(by_name["url"], by_file["url"]);
        let clusters = |status: &serde_json::Value| {
            let mut clusters = status["clusters"].as_array().expect("clusters").clone();
            clusters.sort_by_key(|cluster| cluster["name"].to_string());
            clusters
        };
        assert_eq!(clusters(&by_name), clusters(&by_file));
        let unknown = named("nobody");
        assert_eq!(unknown.code, Some(1));
        assert!(unknown.stderr.contains("No such stack"), "{}", unknown.stderr);
    }
}

#[test]
fn a_warning_is_told_where_the_stack_is_checked_and_not_at_every_look() {
    let warns = Rehearsal::edited(LAB, &[("routes: [\"/cluster1\", \"/cluster1/*\"]", "routes: [\"/cluster1*\"]")]);
    let told = |arguments: &[&str]| warns.cloudscale(arguments).stderr.contains("warning: ");
    assert!(told(&["validate"]) && told(&["diff", "--offline"]));
    assert!(!told(&["status"]) && !told(&["down"]) && !told(&["events"]));
}
