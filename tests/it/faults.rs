//! Regions that go wrong on purpose: what AWS does on a bad day, `up` and `down` survive, or say what to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloudscale::aws::clients::{Clients, Limits};
use cloudscale::engine::Engine;
use cloudscale::engine::plan::Summary;
use cloudscale::problem::{Problem, Problems};
use cloudscale::region::faults::language;
use cloudscale::resource::event::{Event, Sink};
use cloudscale::resource::provider::Wait;
use cloudscale::stack::{self, Overrides, model::Stack};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::inventory::{counts, inventory};
use super::moto::{Answer, REGION};
use super::quick_region;
use super::rehearsal::{GROUPS, LAB, Rehearsal};

const OWN_NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/own-network.yaml");
/// How long a story may wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// For stories whose answers come late or never.
const HASTY: Limits =
    Limits { connect: PATIENCE, attempt: Duration::from_millis(500), operation: Duration::from_secs(20), attempts: 4 };

struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event) {}
}

/// A region with faults, and a way to look at it that has none.
struct Place {
    faulty: Clients,
    honest: Clients,
    stack: Stack,
}

impl Place {
    fn with(stack: &str, faults: &str) -> Self {
        Self::within(stack, faults, Limits::default())
    }

    fn within(stack: &str, faults: &str, limits: Limits) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), faults).expect("the file takes text");
        let faults = language::load(file.path()).expect("the story's faults are valid");
        let [faulty, honest] = quick_region::served_with(Some(faults));
        let (stack, _) = stack::load(Path::new(stack), &Overrides::default()).expect("the shipped stack is valid");
        let faulty = Clients::local_within(&faulty, REGION, limits);
        Self { faulty, honest: Clients::local(&honest, REGION), stack }
    }

    fn engine(&self) -> Engine {
        Engine::new(self.stack.clone(), self.faulty.clone(), Arc::new(Silent), CancellationToken::new(), PATIENCE)
    }

    /// Applies the stack; answers what there was to do.
    async fn apply(&self) -> Result<Summary, Problems> {
        let engine = self.engine();
        let lock = engine.lock("up", PATIENCE).await?;
        let work = async {
            let plan = engine.plan().await?;
            let summary = plan.report.summary;
            engine.apply(plan, &lock).await.map(|()| summary)
        };
        lock.during(work).await
    }

    /// How much there is of everything.
    async fn counts(&self) -> BTreeMap<&'static str, usize> {
        counts(&inventory(&self.honest).await)
    }
}

/// Up to exactly what a good day makes, nothing more to do, and down to nothing.
async fn survives(place: &Place) {
    let empty = place.counts().await;
    place.apply().await.expect("the stack goes up");
    let status = place.engine().wait(Wait::Targets).await.expect("the stack serves");
    assert!(status.clusters.iter().all(|cluster| cluster.healthy() == cluster.desired as usize), "{status:?}");
    let good_day = Place::with(LAB, "faults: []");
    let good_day = Place { stack: place.stack.clone(), ..good_day };
    good_day.apply().await.expect("nothing goes wrong");
    assert_eq!(place.counts().await, good_day.counts().await);
    let summary = place.engine().plan().await.expect("a plan").report.summary;
    assert!(summary.is_empty(), "{summary:?}");
    place.engine().down(PATIENCE).await.expect("the stack comes down");
    assert_eq!(place.counts().await, empty);
}

/// Both shipped stacks.
async fn both_survive(faults: &str) {
    let (lab, groups) = (Place::with(LAB, faults), Place::with(GROUPS, faults));
    tokio::join!(survives(&lab), survives(&groups));
}

/// The problem that `up` ends in.
async fn refused(place: &Place) -> Problem {
    let problems = place.apply().await.expect_err("the stack cannot go up");
    problems.0.into_iter().next().expect("a problem")
}

#[tokio::test]
async fn one_call_in_five_is_throttled() {
    both_survive("faults: [{fault: throttle, probability: 0.2}]").await;
}

#[tokio::test]
async fn calls_break_down_or_lose_their_connection_before_anything_was_done() {
    both_survive(concat!(
        "faults:\n",
        "  - {fault: http_500, probability: 0.1}\n",
        "  - {fault: http_503, probability: 0.1}\n",
        "  - {fault: http_429, probability: 0.1}\n",
        "  - {fault: reset_before, probability: 0.1}\n",
    ))
    .await;
}

#[tokio::test]
async fn answers_to_calls_that_were_carried_out_are_lost() {
    both_survive("faults: [{fault: reset_after, calls: [1, 3]}]").await;
}

/// AWS says that the name is taken, and never lists who has it: `up` ends when its time is up.
#[tokio::test]
async fn a_group_that_exists_and_is_never_listed_ends_in_a_problem() {
    let place = Place::with(
        GROUPS,
        "faults: [{fault: reset_after, on: [CreateAutoScalingGroup], calls: [1]}, {fault: stale_list, for: 10m}]",
    );
    let limit = Duration::from_secs(3);
    let engine =
        Engine::new(place.stack.clone(), place.faulty.clone(), Arc::new(Silent), CancellationToken::new(), limit);
    let work = async {
        let plan = engine.plan().await?;
        let lock = engine.lock("up", limit).await?;
        let outcome = engine.apply(plan, &lock).await;
        drop(lock);
        outcome
    };
    let ended = tokio::time::timeout(PATIENCE, work).await.expect("it ends by itself");
    let problems = ended.expect_err("the groups are not known to be there");
    let summaries: Vec<_> = problems.0.iter().map(|problem| problem.summary).collect();
    assert!(summaries.contains(&"Auto Scaling group name already in use"), "{summaries:?}");
}

#[tokio::test]
async fn a_network_of_its_own_is_made_once_although_answers_are_lost() {
    let place = Place::with(OWN_NETWORK, "faults: [{fault: reset_after, calls: [1, 3]}]");
    place.apply().await.expect("the stack goes up");
    let ec2 = &place.honest.ec2;
    let vpcs = ec2.describe_vpcs().send().await.expect("VPCs").vpcs().len();
    let gateways = ec2.describe_internet_gateways().send().await.expect("gateways").internet_gateways().len();
    assert_eq!((vpcs, gateways), (2, 2), "the default network's and ours");
    let again = place.apply().await.expect("the stack is up");
    assert!(again.is_empty(), "{again:?}");
}

#[tokio::test]
async fn answers_come_after_the_caller_has_given_up() {
    let faults = "faults: [{fault: slow, for: 800ms, on: [\"Create*\", RunInstances, \"Delete*\"], calls: [1]}]";
    survives(&Place::within(LAB, faults, HASTY)).await;
}

#[tokio::test]
async fn some_calls_are_never_answered() {
    survives(&Place::within(LAB, "faults: [{fault: no_answer, calls: [2]}]", HASTY)).await;
}

#[tokio::test]
async fn what_is_new_is_unknown_to_other_calls_for_half_a_second() {
    both_survive("faults: [{fault: unknown_id, for: 500ms}]").await;
}

#[tokio::test]
async fn a_target_group_is_replaced_although_the_new_one_is_not_known_at_once() {
    let mut place = Place::with(LAB, "faults: [{fault: unknown_id, for: 500ms}]");
    place.apply().await.expect("the stack goes up");
    let before = place.counts().await;
    place.stack.clusters[0].port += 1;
    let change = place.apply().await.expect("the target group is replaced");
    assert!(change.replace > 0, "{change:?}");
    assert_eq!(place.counts().await, before);
}

#[tokio::test]
async fn what_is_new_is_listed_a_second_late() {
    both_survive("faults: [{fault: stale_list, for: 1s}]").await;
}

#[tokio::test]
async fn a_second_up_makes_nothing_twice_while_the_listings_lack_the_first() {
    for stack in [LAB, GROUPS] {
        let place = Place::with(stack, "faults: [{fault: stale_list, for: 2s}]");
        place.apply().await.expect("the stack goes up");
        let once = place.counts().await;
        let again = place.apply().await.expect("the stack is found as it is");
        assert!(again.create > 0, "the listings lag: {again:?}");
        assert_eq!(place.counts().await, once);
    }
}

#[tokio::test]
async fn down_waits_for_listings_that_lag_and_leaves_nothing() {
    let mut place = Place::with(LAB, "faults: [{fault: stale_list, for: 2s}]");
    let empty = place.counts().await;
    place.apply().await.expect("the stack goes up");
    place.faulty.listing_lag = Duration::from_secs(2);
    place.engine().down(PATIENCE).await.expect("the stack comes down");
    assert_eq!(place.counts().await, empty);
}

#[tokio::test]
async fn what_drains_is_deleted_when_it_has_drained() {
    both_survive("faults: [{fault: in_use, on: [DeleteTargetGroup, DeleteSecurityGroup], times: 2}]").await;
}

#[tokio::test]
async fn a_zone_without_capacity_is_left_out() {
    let place = Place::with(LAB, "faults: [{fault: no_capacity, zones: [us-east-1a]}]");
    survives(&place).await;
    let calls = place.faulty.calls.by_operation();
    assert!(calls["RunInstances"] < 12, "a lack of capacity is not tried again in its zone: {calls:?}");
}

#[tokio::test]
async fn no_capacity_anywhere_is_said_with_its_zones_and_what_to_do() {
    let problem = refused(&Place::with(LAB, "faults: [{fault: no_capacity}]")).await;
    assert_eq!(problem.summary, "AWS has no such instance in the zone");
    for part in
        ["us-east-1a, us-east-1b", "ec2:RunInstances for cluster.", "InsufficientInstanceCapacity: We currently"]
    {
        assert!(problem.detail.contains(part), "{part} in {}", problem.detail);
    }
    assert!(problem.hint.is_some_and(|hint| hint.contains("another instance type")));
}

#[tokio::test]
async fn throttling_that_does_not_end_is_said_and_the_next_up_continues() {
    // Two target groups, with all attempts of both.
    let place = Place::within(LAB, "faults: [{fault: throttle, on: [CreateTargetGroup], times: 8}]", HASTY);
    let problem = refused(&place).await;
    assert_eq!(problem.summary, "AWS throttles the account's calls");
    let call = "elasticloadbalancing:CreateTargetGroup for cluster.";
    assert!(problem.detail.starts_with(call) && problem.detail.contains("Throttling: Rate exceeded"), "{problem}");
    assert!(problem.hint.is_some_and(|hint| hint.contains("it continues")));
    place.apply().await.map(drop).expect("the throttling is over");
}

#[test]
fn the_example_of_the_documentation_is_survived_by_real_processes() {
    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.yaml");
    let lab = Rehearsal::edited(LAB, &[("instances: 4", "instances: 2"), ("instances: 5", "instances: 1")]);
    let local = |arguments: &[&str]| Answer::of(&mut lab.region.command(arguments));
    local(&["local", "start", "--faults", EXAMPLE]).ok();
    assert_eq!(local(&["local", "status", "--json"]).json()["faults"], EXAMPLE);
    let again = local(&["local", "start", "--faults", EXAMPLE]);
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("The region runs already") && again.stderr.contains("local stop"),
        "{}",
        again.stderr
    );
    lab.cloudscale(&["up"]).ok();
    assert_eq!(lab.status()["clusters"][0]["instances"].as_array().map(Vec::len), Some(2));
    lab.cloudscale(&["diff", "--exit-code"]).ok();
    assert!(lab.cloudscale(&["down"]).ok().stdout.contains("nothing left"));
    assert_eq!(lab.region.processes(), Vec::<i32>::new());
}

#[test]
fn awscli_meets_the_faults_too() {
    let place = Rehearsal::of(LAB);
    let file = place.file("faults.yaml", "faults: [{fault: throttle, times: 1}, {fault: http_500, calls: [2]}]");
    Answer::of(place.region.command(&["local", "start", "--faults"]).arg(file)).ok();
    // awscli tries again by itself; with -v it tells what it met.
    let answer = place.aws(&["ec2", "describe-vpcs", "--debug"]).ok();
    assert!(answer.json()["Vpcs"].is_array());
    for code in ["RequestLimitExceeded", "InternalError"] {
        assert!(answer.stderr.contains(code), "{code} in {}", answer.stderr);
    }
}

#[test]
fn a_mistake_in_a_file_of_faults_is_shown_with_its_place_and_nothing_starts() {
    let place = Rehearsal::of(LAB);
    let file = place.file("faults.yaml", "faults:\n  - fault: throtle\n");
    let answer = Answer::of(place.region.command(&["local", "start", "--faults"]).arg(file));
    assert_eq!(answer.code, Some(2));
    for part in ["faults.yaml:2:12", "Invalid value", "did you mean `throttle`?"] {
        assert!(answer.stderr.contains(part), "{part} in {}", answer.stderr);
    }
    assert_eq!(place.region.status()["running"], json!(false));
}
