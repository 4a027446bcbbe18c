//! Random stacks, random changes behind our back, a failing cloud, and a process that ends at any call: whatever
//! happened, the next clean `up` makes exactly the wanted stack, the next clean `down` leaves nothing, and nobody else
//! is touched.
//!
//! Everything runs in this process: the engine, the SDK, and the region's whole control plane, by a simulated clock. A
//! case is a value; those that failed once are tests with a name. `PROPTEST_CASES=5000 cargo test --test it fuzz::`
//! tries more, `PROPTEST_RNG_SEED=7` others; `RUST_LOG=it=debug` tells every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::primitives::Blob;
use cloudscale::clock;
use cloudscale::clock::simulated::Simulation;
use cloudscale::cloud::tags;
use cloudscale::engine::Engine;
use cloudscale::problem::Problems;
use cloudscale::region::driver::Region;
use cloudscale::resource::event::{Event, Sink};
use cloudscale::resource::provider::Wait;
use cloudscale::stack::model::Stack;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::fuzz_stack::{CapacitySpec, ClusterSpec, NAME, StackSpec, stacks};
use super::inventory::{Thing, counts, inventory};
use super::memory_line::{Fate, Faults, Line};
use super::quick_region::{PUBLIC_KEY, quick_region};
use super::tamper::{Tamper, tampers};
use super::tap::Side;

/// Cases that every run of the tests tries; the same ones each time, so that a failure is somebody's change.
const CASES: u32 = 32;
const SEED: u64 = 3;
/// A stack whose name starts as ours does: all of its names do, too.
const NEIGHBOUR: &str = "fuzzed-2";

/// Longer than a lock's lease: to the next run, one that met its end in this process still lives.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What happens to a stack before somebody asks for `last`.
#[derive(Clone, Debug)]
struct Case {
    rounds: Vec<Round>,
    last: StackSpec,
    /// Of the `down` before the last.
    end: Fate,
}

#[derive(Clone, Debug)]
struct Round {
    tampers: Vec<Tamper>,
    /// `up` to this, or `down`.
    goal: Option<StackSpec>,
    fate: Fate,
    /// Seconds until the next: whether what was begun comes to its end.
    rest_s: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    (prop::collection::vec(rounds(), 1..=3), stacks(), fates()).prop_map(|(rounds, last, end)| Case {
        rounds,
        last,
        end,
    })
}

fn rounds() -> impl Strategy<Value = Round> {
    let goals = prop_oneof![5 => stacks().prop_map(Some), 1 => Just(None)];
    let rests = prop_oneof![1 => Just(0), 1 => Just(30)];
    (prop::collection::vec(tampers(), 0..3), goals, fates(), rests).prop_map(|(tampers, goal, fate, rest_s)| Round {
        tampers,
        goal,
        fate,
        rest_s,
    })
}

fn fates() -> impl Strategy<Value = Fate> {
    let sides = prop_oneof![Just(Side::Before), Just(Side::After)];
    let knives = prop::option::of((0..24_u8, sides));
    let faults = prop::option::of((2..20_u8, any::<u64>(), any::<bool>()).prop_map(|(percent, seed, late)| Faults {
        percent,
        seed,
        late,
    }));
    (knives, faults).prop_map(|(knife, faults)| Fate { knife, faults })
}

/// Nobody watches.
struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event) {}
}

struct World {
    region: Arc<Region>,
    folder: TempDir,
}

impl World {
    fn engine(&self, stack: Stack, line: &Line) -> Engine {
        let limit = Duration::from_secs(15 * 60);
        Engine::new(stack, line.clients(), Arc::new(Silent), CancellationToken::new(), limit)
    }

    fn stack(&self, spec: &StackSpec) -> Stack {
        spec.load(NAME, self.folder.path())
    }

    async fn inventory(&self) -> Vec<Thing> {
        inventory(&Line::to(&self.region, Fate::default()).clients()).await
    }

    /// `up`, to the end or to the knife.
    async fn up(&self, stack: Stack, fate: Fate) -> Option<Result<(), Problems>> {
        let line = Line::to(&self.region, fate);
        let engine = self.engine(stack, &line);
        let run = async {
            let mut plan = engine.plan().await?;
            if !plan.is_empty() {
                let lock = engine.lock("up", PATIENCE).await?;
                if !plan.is_current(&lock) {
                    plan = engine.plan().await?;
                }
                lock.during(engine.apply(plan, &lock)).await?;
            }
            engine.wait(Wait::Targets).await.map(drop)
        };
        tokio::select! {
            result = run => Some(result),
            () = line.cut() => None,
        }
    }

    async fn down(&self, fate: Fate) -> Option<Result<(), Problems>> {
        let line = Line::to(&self.region, fate);
        // Whatever the stack was: `down` goes by tags alone.
        let spec = of(&[small()]);
        let engine = self.engine(self.stack(&spec), &line);
        tokio::select! {
            result = engine.down(PATIENCE) => Some(result),
            () = line.cut() => None,
        }
    }

    /// What `diff` says.
    async fn differences(&self, stack: Stack) -> Vec<String> {
        let engine = self.engine(stack, &Line::to(&self.region, Fate::default()));
        let plan = engine.plan().await.expect("a clean line");
        let changes = plan.report.changes.into_iter().filter(|change| !change.action.symbol().is_empty());
        changes.map(|change| format!("{change:?}")).collect()
    }
}

fn small() -> ClusterSpec {
    ClusterSpec {
        name: 0,
        capacity: CapacitySpec::Fixed(1),
        port: 8080,
        routes: 1,
        user_data: 0,
        check: 0,
        sticky: false,
    }
}

/// What is there besides: a stack with almost our name, and things made by hand.
async fn neighbours(world: &World) -> Stack {
    let clusters = vec![
        small(),
        ClusterSpec { name: 1, capacity: CapacitySpec::Group { min: 1, more: 1, parts: u16::MAX }, ..small() },
    ];
    let spec = StackSpec { zones: Some(2), ..of(&clusters) };
    let stack = spec.load(NEIGHBOUR, world.folder.path());
    world.up(stack.clone(), Fate::default()).await.expect("no knife").expect("a clean line");
    let clients = Line::to(&world.region, Fate::default()).clients();
    let subnets = clients.ec2.describe_subnets().send().await.expect("subnets");
    let vpc = subnets.subnets()[0].vpc_id().expect("a VPC");
    let ec2 = &clients.ec2;
    let key = ec2.import_key_pair().key_name("staff").public_key_material(Blob::new(PUBLIC_KEY));
    key.send().await.expect("a key pair");
    let instance = ec2.run_instances().image_id("ami-0a1b2c3d4e5f60001").instance_type("t2.micro".into());
    instance.min_count(1).max_count(1).send().await.expect("an instance");
    let group = ec2.create_security_group().group_name("cs-fuzzed--by-hand").description("ours?").vpc_id(vpc);
    group.send().await.expect("a security group");
    let group = clients.elb.create_target_group().name("cs-fuzzed-by-hand").port(80).vpc_id(vpc);
    group.protocol("HTTP".into()).send().await.expect("a target group");
    stack
}

/// Lives through a case.
async fn live(case: &Case) {
    let world =
        World { region: quick_region(case.last.clusters.len() as u64), folder: tempfile::tempdir().expect("a folder") };
    let neighbour = neighbours(&world).await;
    let before = world.inventory().await;
    for round in &case.rounds {
        tracing::debug!(?round, "round");
        for tamper in &round.tampers {
            tamper.strike(&Line::to(&world.region, Fate::default()).clients()).await;
        }
        match &round.goal {
            Some(spec) => {
                let outcome = world.up(world.stack(spec), round.fate).await;
                if let Some(Ok(())) = outcome {
                    assert_eq!(world.differences(world.stack(spec)).await, Vec::<String>::new(), "up said it was done");
                }
                told_well(outcome, round.fate);
            }
            None => {
                let outcome = world.down(round.fate).await;
                if let Some(Ok(())) = outcome {
                    assert_eq!(world.inventory().await, before, "down said that nothing was left");
                }
                told_well(outcome, round.fate);
            }
        }
        clock::sleep(Duration::from_secs(round.rest_s)).await;
    }

    tracing::debug!(?case.last, "the last");
    let stack = world.stack(&case.last);
    world.up(stack.clone(), Fate::default()).await.expect("no knife").expect("a clean line converges");
    assert_eq!(world.differences(stack).await, Vec::<String>::new());
    assert_eq!(ours(&world.inventory().await, &before), wanted(&case.last));
    assert_eq!(world.differences(neighbour.clone()).await, Vec::<String>::new(), "the neighbour was touched");

    told_well(world.down(case.end).await, case.end);
    world.down(Fate::default()).await.expect("no knife").expect("a clean line converges");
    assert_eq!(world.inventory().await, before);
    assert_eq!(world.differences(neighbour).await, Vec::<String>::new(), "the neighbour was touched");
}

/// A run fails only where faults strike, says why, and breaks down nowhere.
fn told_well(outcome: Option<Result<(), Problems>>, fate: Fate) {
    let Some(Err(problems)) = outcome else { return };
    assert!(fate.faults.is_some(), "{problems}");
    assert!(!problems.0.is_empty(), "a failure without a problem");
    for problem in &problems.0 {
        assert_ne!(problem.summary, "An action crashed", "{problem}");
        assert!(problem.hint.is_some() || problem.detail.contains(" for "), "{problem}");
    }
}

/// How many of each kind there are of our stack. A group's own instances come and go.
fn ours(things: &[Thing], before: &[Thing]) -> BTreeMap<&'static str, usize> {
    let of_group = |thing: &&Thing| thing.tags.contains_key("aws:autoscaling:groupName");
    let ours: Vec<_> = things.iter().filter(|thing| !before.contains(thing)).cloned().collect();
    for thing in ours.iter().filter(|thing| !["policy", "scheduled action", "alarm"].contains(&thing.kind)) {
        assert_eq!(thing.tags.get(tags::STACK).map(String::as_str), Some(NAME), "{thing:?}");
    }
    // Target tracking has alarms of AWS's own.
    let counted = ours.iter().filter(|thing| !of_group(thing) && !thing.id.contains("TargetTracking-"));
    counts(&counted.cloned().collect::<Vec<_>>())
}

/// How many of each kind a stack is made of.
fn wanted(spec: &StackSpec) -> BTreeMap<&'static str, usize> {
    let mut wanted =
        BTreeMap::from([("listener", 1), ("load balancer", 1), ("rule", spec.rules()), ("security group", 2)]);
    if let Some(zones) = spec.zones {
        let network = [("internet gateway", 1), ("route table", 1), ("subnet", zones.into()), ("VPC", 1)];
        wanted.extend(network);
    }
    for cluster in &spec.clusters {
        let (policies, schedules, alarms) = cluster.capacity.parts();
        let (instances, groups) = match cluster.capacity {
            CapacitySpec::Fixed(instances) => (usize::from(instances), 0),
            CapacitySpec::Group { .. } => (0, 1),
        };
        let kinds = [
            ("alarm", alarms),
            ("group", groups),
            ("instance", instances),
            ("launch template", 1),
            ("policy", policies),
            ("scheduled action", schedules),
            ("target group", 1),
        ];
        for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            *wanted.entry(kind).or_default() += count;
        }
    }
    wanted
}

/// One case on one thread, by a clock of its own.
fn run(case: &Case) {
    // Only the first case of a process can.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::builder()
                .with_default_directive(tracing::level_filters::LevelFilter::OFF.into())
                .from_env_lossy(),
        )
        .with_test_writer()
        .try_init();
    let _simulation = Simulation::start("2026-01-01T00:00:00Z".parse::<Timestamp>().expect("a time"));
    fastrand::seed(SEED);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(live(case));
}

#[test]
fn whatever_happened_a_clean_run_converges() {
    let chosen = std::env::var_os("PROPTEST_CASES").is_some();
    let seeded = std::env::var_os("PROPTEST_RNG_SEED").is_some();
    let mut config = ProptestConfig { failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() };
    if !chosen {
        config.cases = CASES;
    }
    if !seeded {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    let result = TestRunner::new(config).run(&cases(), |case| {
        run(&case);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// A calm round: `up` to a stack, after somebody tampered with the one before.
fn calm(tampers: &[Tamper], clusters: &[ClusterSpec]) -> Round {
    Round { tampers: tampers.to_vec(), goal: Some(of(clusters)), fate: Fate::default(), rest_s: 30 }
}

fn of(clusters: &[ClusterSpec]) -> StackSpec {
    StackSpec { clusters: clusters.to_vec(), ..StackSpec::default() }
}

#[test]
fn a_rule_that_makes_room_for_itself_does_not_push_aside_one_that_moves_on() {
    let group = CapacitySpec::Group { min: 1, more: 1, parts: 0 };
    let third = ClusterSpec { name: 3, ..small() };
    let both = [ClusterSpec { name: 1, capacity: group, ..small() }, ClusterSpec { capacity: group, ..third.clone() }];
    run(&Case { rounds: vec![calm(&[], &[third])], last: of(&both), end: Fate::default() });
}

#[test]
fn a_fleet_whose_only_instance_was_terminated_gets_a_new_one() {
    let rounds = vec![calm(&[], &[small()]), calm(&[Tamper::Terminate(0)], &[small()])];
    run(&Case { rounds, last: of(&[small()]), end: Fate::default() });
}

#[test]
fn a_move_to_another_network_that_was_interrupted_can_be_taken_back() {
    let fleet = |name, instances| ClusterSpec { name, capacity: CapacitySpec::Fixed(instances), ..small() };
    let moved = StackSpec { zones: Some(3), ..of(&[fleet(2, 2), fleet(3, 4)]) };
    let cut = Fate { knife: Some((19, Side::Before)), faults: None };
    let rounds = vec![
        calm(&[], &[fleet(0, 1), fleet(1, 1)]),
        Round { tampers: Vec::new(), goal: Some(moved), fate: cut, rest_s: 30 },
    ];
    let last = StackSpec { port: 8081, ..of(&[fleet(1, 1)]) };
    run(&Case { rounds, last, end: Fate::default() });
}

#[test]
fn a_launch_template_follows_its_security_group_although_it_is_what_it_was() {
    let fleet = |user_data| of(&[ClusterSpec { user_data, ..small() }]);
    let cut = |goal, call, side| Round {
        tampers: Vec::new(),
        goal: Some(goal),
        fate: Fate { knife: Some((call, side)), faults: None },
        rest_s: 30,
    };
    let own = StackSpec { zones: Some(2), ..fleet(1) };
    let rounds = vec![cut(own, 10, Side::After), cut(fleet(0), 6, Side::Before)];
    run(&Case { rounds, last: StackSpec { port: 8081, ..fleet(1) }, end: Fate::default() });
}

#[test]
fn a_rule_does_not_wait_for_the_targets_of_a_cluster_that_is_to_have_none() {
    let group = |min, more| CapacitySpec::Group { min, more, parts: 0 };
    let cluster = |capacity, port| ClusterSpec { capacity, port, ..small() };
    let rounds = vec![calm(&[], &[cluster(group(1, 0), 8080)]), calm(&[], &[cluster(group(0, 1), 9090)])];
    run(&Case { rounds, last: of(&[cluster(CapacitySpec::Fixed(0), 8080)]), end: Fate::default() });
}

#[test]
fn a_port_that_changes_again_while_it_changes_leaves_one_group() {
    let on = |port| of(&[ClusterSpec { port, capacity: CapacitySpec::Group { min: 1, more: 1, parts: 0 }, ..small() }]);
    for call in 2..10 {
        let fate = Fate { knife: Some((call, Side::After)), faults: None };
        let cut = Round { tampers: Vec::new(), goal: Some(on(9090)), fate, rest_s: 0 };
        let first = Round { tampers: Vec::new(), goal: Some(on(8080)), fate: Fate::default(), rest_s: 0 };
        run(&Case { rounds: vec![first, cut], last: on(7070), end: Fate::default() });
    }
}

#[test]
fn a_network_that_an_interrupted_run_began_goes_when_the_stack_does_not_name_it() {
    let own = StackSpec { zones: Some(2), ..of(&[small()]) };
    for call in 1..4 {
        let fate = Fate { knife: Some((call, Side::After)), faults: None };
        let cut = Round { tampers: Vec::new(), goal: Some(own.clone()), fate, rest_s: 0 };
        run(&Case { rounds: vec![cut], last: of(&[small()]), end: Fate::default() });
    }
}

#[test]
fn a_network_moves_to_another_range_whenever_it_is_interrupted() {
    let own = |moved| StackSpec { zones: Some(2), moved, ..of(&[small()]) };
    let goal = |moved, knife| {
        let fate = Fate { knife, faults: None };
        Round { tampers: Vec::new(), goal: Some(own(moved)), fate, rest_s: 30 }
    };
    for call in [None, Some(2), Some(6), Some(10), Some(14), Some(18), Some(22), Some(26)] {
        let knife = call.map(|call| (call, Side::After));
        for last in [true, false] {
            run(&Case { rounds: vec![goal(false, None), goal(true, knife)], last: own(last), end: Fate::default() });
        }
    }
}

#[test]
fn a_rule_does_not_go_with_a_load_balancer_that_it_is_not_on() {
    let own = StackSpec { zones: Some(2), port: 8081, ..of(&[small()]) };
    let group = CapacitySpec::Group { min: 2, more: 0, parts: 0 };
    let last = StackSpec { zones: Some(2), ..of(&[ClusterSpec { name: 1, capacity: group, ..small() }]) };
    for call in 12..26 {
        let round = |goal, knife| Round {
            tampers: Vec::new(),
            goal: Some(goal),
            fate: Fate { knife, faults: None },
            rest_s: 0,
        };
        let away = round(of(&[small()]), Some((call, Side::Before)));
        run(&Case { rounds: vec![round(own.clone(), None), away], last: last.clone(), end: Fate::default() });
    }
}

#[test]
fn a_template_that_could_not_be_deleted_keeps_its_security_group() {
    let fleet = |name, instances| ClusterSpec { name, capacity: CapacitySpec::Fixed(instances), ..small() };
    let own = StackSpec { zones: Some(2), moved: true, ..of(&[fleet(0, 0)]) };
    let faults = Some(Faults { percent: 9, seed: 3_253_516_525_217_670_768, late: false });
    let failing = Round { tampers: Vec::new(), goal: Some(own), fate: Fate { knife: None, faults }, rest_s: 0 };
    let last = StackSpec { zones: Some(2), moved: true, ..of(&[fleet(2, 2)]) };
    run(&Case { rounds: vec![calm(&[], &[fleet(2, 0)]), failing], last, end: Fate::default() });
}
