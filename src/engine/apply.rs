//! Runs a plan: steps in order, as many at once as may be, every wait visible, Ctrl-C at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use super::diff::Node;
use super::scheduler::Schedule;
use crate::clock;
use crate::cloud::address::Address;
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::resource::change::Action;
use crate::resource::context::{ActionContext, Operation, interrupted};
use crate::resource::event::{Event, seconds};

/// Steps at once. AWS's token buckets for mutating calls hold at least this many (EC2 API throttling: 50–200).
const RUNNING_MAX: usize = 16;

/// One part of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Create or update.
    Apply,
    /// Delete what was replaced, and what an update left without use.
    Delete,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    node: usize,
    phase: Phase,
}

/// Makes the cloud what the nodes say.
///
/// # Errors
/// Everything that failed; what does not depend on a failure was done all the same.
pub async fn apply(run: &Operation, nodes: Vec<Node>) -> Result<(), Problems> {
    for node in &nodes {
        if let (Some(observed), Action::Unchanged | Action::Update) = (&node.observed, node.change.action) {
            run.publish(&node.change.address, observed.output.clone());
        }
    }
    let steps = steps(&nodes);
    let before = edges(&nodes, &steps);
    let total = steps.iter().map(|step| step.node).collect::<BTreeSet<_>>().len();
    run.sink.event(Event::ApplyStarted { total });
    Application {
        run,
        nodes: nodes.into(),
        steps,
        started: BTreeMap::new(),
        skipped: BTreeSet::new(),
        problems: Problems::default(),
    }
    .go(before)
    .await
}

/// The phases that each change has.
fn steps(nodes: &[Node]) -> Vec<Step> {
    let gone = Gone::of(nodes);
    let handed_over: BTreeSet<&str> = handed_over(nodes).map(|(cluster, _)| cluster).collect();
    let is_handed_over = |node: &Node| node.change.address.cluster().is_some_and(|it| handed_over.contains(it));
    let mut steps = Vec::new();
    for (node, content) in nodes.iter().enumerate() {
        let phases: &[Phase] = match content.change.action {
            Action::Create => &[Phase::Apply],
            Action::Update if !content.resource.prunes() => &[Phase::Apply],
            // What serves takes its leave before it goes.
            Action::Replace if deleted_with_another(&gone, content) && !content.resource.prunes() => &[Phase::Apply],
            Action::Update | Action::Replace => &[Phase::Apply, Phase::Delete],
            Action::Delete if content.resource.prunes() && is_handed_over(content) => &[Phase::Delete],
            Action::Delete if deleted_with_another(&gone, content) => &[],
            Action::Delete => &[Phase::Delete],
            Action::Unchanged => &[],
        };
        steps.extend(phases.iter().map(|phase| Step { node, phase: *phase }));
    }
    steps
}

/// What is deleted: addresses with whether it was replaced by another at the same address, which stays.
struct Gone<'a>(BTreeSet<(&'a Address, bool)>, BTreeMap<&'a Address, &'static str>);

impl<'a> Gone<'a> {
    fn of(nodes: &'a [Node]) -> Self {
        let kept = nodes.iter().filter(|node| node.desired.is_some() && node.observed.is_some());
        let kept: BTreeSet<_> = kept.map(|node| &node.change.address).collect();
        let gone = nodes.iter().filter(|node| matches!(node.change.action, Action::Delete | Action::Replace));
        let gone: Vec<_> = gone.collect();
        let address = |node: &&'a Node| &node.change.address;
        let replaced = |node: &&'a Node| node.desired.is_none() && kept.contains(address(node));
        let kinds = gone.iter().map(|node| (address(node), node.resource.kind())).collect();
        Self(gone.iter().map(|node| (address(node), replaced(node))).collect(), kinds)
    }
}

/// Whether AWS deletes this by deleting something that it belongs to.
fn deleted_with_another(gone: &Gone<'_>, node: &Node) -> bool {
    deleted_with(gone, node).next().is_some()
}

/// By the deletion of what AWS deletes this.
fn deleted_with<'a>(gone: &'a Gone<'a>, node: &'a Node) -> impl Iterator<Item = &'a Address> {
    let fields = node.observed.iter().flat_map(|observed| observed.fields.iter());
    let held = fields.flat_map(|(_, value)| value.references().into_iter().map(|it| (it, value.is_replaced())));
    let deletes =
        |address: &Address| gone.1.get(address).is_some_and(|kind| node.resource.deleted_with().contains(kind));
    held.filter(move |held| gone.0.contains(held) && deletes(held.0)).map(|(address, _)| address)
}

/// Clusters that something leads to which others take over, with the node that does: a route that turns to another
/// cluster, or that goes when another rule has its paths.
fn handed_over(nodes: &[Node]) -> impl Iterator<Item = (&str, usize)> {
    nodes.iter().enumerate().flat_map(|(index, node)| {
        let (turns, ends) = match node.change.action {
            Action::Update | Action::Replace => (true, false),
            Action::Delete => (false, !node.yields_to.is_empty()),
            Action::Create | Action::Unchanged => (false, false),
        };
        let clusters = node.holds().filter_map(Address::cluster);
        let counts = move |cluster: &&str| ends || turns && node.change.address.cluster() != Some(cluster);
        clusters.filter(counts).map(move |cluster| (cluster, index))
    })
}

/// For each step, the steps before it.
fn edges(nodes: &[Node], steps: &[Step]) -> Vec<Vec<usize>> {
    let mut at = BTreeMap::<&Address, Vec<usize>>::new();
    for (index, step) in steps.iter().enumerate() {
        at.entry(&nodes[step.node].change.address).or_default().push(index);
    }
    let mut forward = BTreeMap::<&str, Vec<usize>>::new();
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.phase == Phase::Apply) {
        if let Some(cluster) = nodes[step.node].change.address.cluster() {
            forward.entry(cluster).or_default().push(index);
        }
    }
    let first: BTreeMap<usize, usize> = steps.iter().enumerate().rev().map(|(index, it)| (it.node, index)).collect();
    let mut leading = BTreeMap::<&str, Vec<usize>>::new();
    let steps_at = |address: &Address| at.get(address).into_iter().flatten().copied();
    // A rule of a listener that is replaced leads where it did as long as the old listener is there.
    let gone = Gone::of(nodes);
    let ends = |node: &Node| -> Vec<usize> {
        let has_no_end_of_its_own = node.change.action == Action::Replace && !node.resource.prunes();
        let with = deleted_with(&gone, node).filter(|_| has_no_end_of_its_own);
        with.flat_map(steps_at).filter(|end| steps[*end].phase == Phase::Delete).collect()
    };
    for (cluster, node) in handed_over(nodes) {
        let leading = leading.entry(cluster).or_default();
        leading.extend(first.get(&node));
        leading.extend(ends(&nodes[node]));
    }
    let mut before = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        let node = &nodes[step.node];
        if step.phase == Phase::Apply {
            for needed in node.needs().flat_map(steps_at).filter(|other| steps[*other].phase == Phase::Apply) {
                before[index].push(needed);
            }
        } else {
            // What a route leads to goes when that has turned.
            if node.change.action == Action::Delete && node.yields_to.is_empty() {
                let leading = node.change.address.cluster().and_then(|cluster| leading.get(cluster));
                before[index].extend(leading.into_iter().flatten());
            }
            let own = steps_at(&node.change.address);
            before[index]
                .extend(own.filter(|other| steps[*other].node == step.node && steps[*other].phase == Phase::Apply));
            // Where fixed instances become a group or the other way round, what serves goes last.
            if node.change.action == Action::Delete && node.resource.prunes() {
                let successors = node.change.address.cluster().and_then(|cluster| forward.get(cluster));
                before[index].extend(successors.into_iter().flatten());
            }
        }
        // It lets go by its update, or by its end, when others have taken over.
        let lets_go = if node.change.action == Action::Update { Phase::Apply } else { Phase::Delete };
        if step.phase == lets_go {
            let heirs = node.yields_to.iter().flat_map(steps_at);
            let heirs = heirs.filter(|heir| steps[*heir].phase == Phase::Apply && steps[*heir].node != step.node);
            before[index].extend(heirs);
        }
        // What this one refers to is retired only when this one has let go of it.
        for held in node.holds().chain(node.needs()).flat_map(steps_at) {
            if steps[held].phase == Phase::Delete && held != index && steps[held].node != step.node {
                before[held].push(index);
                before[held].extend(ends(node).into_iter().filter(|end| *end != held));
            }
        }
    }
    before
}

struct Application<'a> {
    run: &'a Operation,
    nodes: Arc<[Node]>,
    steps: Vec<Step>,
    started: BTreeMap<usize, Instant>,
    /// Changes that were not tried: a change of two phases is skipped once, whatever it stands on fails.
    skipped: BTreeSet<usize>,
    problems: Problems,
}

impl Application<'_> {
    async fn go(mut self, before: Vec<Vec<usize>>) -> Result<(), Problems> {
        let mut schedule = Schedule::new(&before, RUNNING_MAX);
        let mut running = JoinSet::new();
        loop {
            if !self.run.cancel.is_cancelled() {
                for step in schedule.start() {
                    self.announce(step);
                    running.spawn(perform(self.run.clone(), Arc::clone(&self.nodes), self.steps[step], step));
                }
            }
            let Some(ended) = running.join_next().await else {
                break;
            };
            match ended {
                Ok((step, Ok(()))) => {
                    schedule.done(step);
                    self.finish(step);
                }
                Ok((step, Err(problem))) => {
                    let skipped = schedule.failed(step);
                    self.fail(step, problem, &skipped);
                }
                Err(error) => self.problems.push(Problem::new("An action crashed", error.to_string())),
            }
        }
        if self.run.cancel.is_cancelled() {
            return Err(interrupted().into());
        }
        if schedule.is_stuck() && self.problems.0.is_empty() {
            self.problems.push(Problem::new(
                "Dependency cycle",
                "some actions wait for each other; please report the stack file",
            ));
        }
        if self.problems.0.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    fn node(&self, step: usize) -> &Node {
        &self.nodes[self.steps[step].node]
    }

    fn announce(&mut self, step: usize) {
        let index = self.steps[step].node;
        if self.started.contains_key(&index) {
            return;
        }
        self.started.insert(index, clock::instant());
        let change = &self.node(step).change;
        self.run.sink.event(Event::ActionStarted { address: change.address.clone(), action: change.action });
    }

    /// A change is finished with its last phase.
    fn finish(&self, step: usize) {
        let index = self.steps[step].node;
        let is_last = self.steps.get(step + 1).is_none_or(|next| next.node != index);
        if is_last {
            let change = &self.nodes[index].change;
            let since = self.started.get(&index).map(|started| clock::instant().duration_since(*started));
            let seconds = seconds(since.unwrap_or_default());
            self.run.sink.event(Event::ActionFinished {
                address: change.address.clone(),
                action: change.action,
                seconds,
            });
        }
    }

    fn fail(&mut self, step: usize, problem: Problem, skipped: &[usize]) {
        if problem.exit == Exit::Interrupted {
            // Nothing failed; it is reported once, at the end.
            return;
        }
        let change = &self.node(step).change;
        let summary = problem.summary.to_owned();
        self.run.sink.event(Event::ActionFailed { address: change.address.clone(), action: change.action, summary });
        let because = change.address.clone();
        for step in skipped {
            let index = self.steps[*step].node;
            let address = self.nodes[index].change.address.clone();
            if address != because && self.skipped.insert(index) {
                self.run.sink.event(Event::ActionSkipped { address, because: because.clone() });
            }
        }
        self.problems.push(problem);
    }
}

async fn perform(run: Operation, nodes: Arc<[Node]>, step: Step, index: usize) -> (usize, Result<(), Problem>) {
    let node = &nodes[step.node];
    let spec = node.desired.as_ref().map(|desired| desired.spec.as_str()).unwrap_or_default();
    let tags_to_drop = node.change.tags_to_drop();
    let context = ActionContext { run: &run, address: &node.change.address, spec, tags_to_drop: &tags_to_drop };
    let outcome = match step.phase {
        Phase::Apply => create_or_update(&context, node).await,
        Phase::Delete => delete(&context, node).await,
    };
    (index, outcome)
}

async fn create_or_update(context: &ActionContext<'_>, node: &Node) -> Result<(), Problem> {
    let Some(desired) = &node.desired else {
        return Ok(());
    };
    let output = match (&node.observed, node.change.action) {
        (Some(observed), Action::Update) => {
            node.resource.update(context, desired, observed, &node.change.fields).await?
        }
        (Some(observed), Action::Replace) => node.resource.replace(context, desired, observed).await?,
        _ => node.resource.create(context, desired).await?,
    };
    context.run.publish(context.address, output);
    Ok(())
}

async fn delete(context: &ActionContext<'_>, node: &Node) -> Result<(), Problem> {
    let Some(observed) = &node.observed else {
        return Ok(());
    };
    let published = || context.run.published(context.address).unwrap_or_default();
    match node.change.action {
        Action::Update => node.resource.prune(context, observed, &published()).await,
        // A creation may have found the observed one to be what is desired: then it stays.
        Action::Replace if published().id == observed.output.id => Ok(()),
        _ => node.resource.delete(context, observed).await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::diff::gentlest_tests::{BASE, between, edited};
    use super::*;

    /// Whether everything of `first` is over before `then` begins.
    fn precedes(nodes: &[Node], first: (&str, Phase), then: (&str, Phase)) -> bool {
        let steps = steps(nodes);
        let at = |(address, phase): (&str, Phase)| {
            let found = steps
                .iter()
                .position(|step| nodes[step.node].change.address.as_str() == address && step.phase == phase);
            found.unwrap_or_else(|| panic!("{address} has no step {phase:?}"))
        };
        let before = edges(nodes, &steps);
        let (mut seen, mut open) = (BTreeSet::new(), vec![at(then)]);
        while let Some(step) = open.pop() {
            open.extend(before[step].iter().filter(|earlier| seen.insert(**earlier)));
        }
        seen.contains(&at(first))
    }

    /// Takes the events that skip a change.
    #[derive(Default)]
    struct Skipped(std::sync::Mutex<Vec<String>>);

    impl crate::resource::event::Sink for Skipped {
        fn event(&self, event: Event) {
            if let Event::ActionSkipped { address, .. } = event {
                self.0.lock().unwrap().push(address.to_string());
            }
        }
    }

    #[tokio::test]
    async fn a_change_of_two_phases_is_skipped_once_however_much_of_what_it_needs_fails() {
        let nodes = edited("{port: 80,", "{port: 8000,");
        let steps = steps(&nodes);
        let clients = crate::aws::clients::Clients::local("http://127.0.0.1:9", "us-east-1");
        let sink = Arc::new(Skipped::default());
        let run = Operation::new(clients, "web", sink.clone(), Default::default(), std::time::Duration::ZERO);
        let listener = |phase| {
            let is_it = |step: &Step| {
                nodes[step.node].change.address.as_str() == "load_balancer.listener" && step.phase == phase
            };
            steps.iter().position(is_it).expect("the listener is replaced")
        };
        let both = [listener(Phase::Apply), listener(Phase::Delete)];
        let group =
            steps.iter().position(|step| nodes[step.node].change.address.kind() == Some("security_group")).unwrap();
        let mut application = Application {
            run: &run,
            nodes: nodes.into(),
            steps,
            started: BTreeMap::new(),
            skipped: BTreeSet::new(),
            problems: Problems::default(),
        };
        for _ in 0..2 {
            application.fail(group, Problem::new("It failed", ""), &both);
        }
        assert_eq!(*sink.0.lock().unwrap(), ["load_balancer.listener"]);
    }

    #[test]
    fn the_security_group_closes_the_old_port_when_the_old_listener_is_gone() {
        use Phase::{Apply, Delete};
        let nodes = edited("{port: 80,", "{port: 8000,");
        let (group, listener) = ("load_balancer.security_group", "load_balancer.listener");
        assert!(precedes(&nodes, (group, Apply), (listener, Apply)));
        assert!(precedes(&nodes, ("cluster.fleet.rule", Apply), (listener, Delete)));
        assert!(precedes(&nodes, (listener, Delete), (group, Delete)));
    }

    #[test]
    fn no_steps_wait_for_each_other() {
        let edits = [
            ("{port: 80,", "{port: 8000,"),
            ("port: 8080", "port: 9000"),
            ("port: 8081", "port: 9001"),
            ("fleet:", "ships:"),
            ("group:", "crew:"),
        ];
        for chosen in 0..1_u32 << edits.len() {
            let own = edits.iter().enumerate().filter(|(number, _)| chosen >> number & 1 == 1);
            let text = own.fold(BASE.to_owned(), |text, (_, (from, to))| text.replace(from, to));
            let nodes = between(BASE, &text);
            let before = edges(&nodes, &steps(&nodes));
            let mut schedule = Schedule::new(&before, usize::MAX);
            let mut done = 0;
            loop {
                let ready = schedule.start();
                if ready.is_empty() {
                    break;
                }
                done += ready.len();
                ready.into_iter().for_each(|step| schedule.done(step));
            }
            assert_eq!(done, before.len(), "a circle after {text}");
        }
    }

    #[test]
    fn what_the_old_listeners_rules_lead_to_goes_after_it() {
        use Phase::Delete;
        let listener = ("load_balancer.listener", Delete);
        let text = BASE.replace("{port: 80,", "{port: 8000,");
        let nodes = between(BASE, &text.replace("port: 8080", "port: 9000").replace("port: 8081", "port: 9001"));
        for address in ["cluster.fleet.target_attachment", "cluster.fleet.target_group", "cluster.group.target_group"] {
            assert!(precedes(&nodes, listener, (address, Delete)), "{address}");
        }
        let nodes = between(BASE, &text.replace("fleet:", "ships:"));
        for address in ["cluster.fleet.target_attachment", "cluster.fleet.target_group", "cluster.fleet.instances"] {
            assert!(precedes(&nodes, listener, (address, Delete)), "{address}");
        }
    }

    #[test]
    fn a_rule_moves_between_the_new_targets_and_the_leave_of_the_old() {
        use Phase::{Apply, Delete};
        for (cluster, port) in [("fleet", "8080"), ("group", "8081")] {
            let nodes = edited(&format!("port: {port}"), "port: 9000");
            let address = |kind: &str| format!("cluster.{cluster}.{kind}");
            let serves = address(if cluster == "fleet" { "target_attachment" } else { "scaling_group" });
            let (rule, target_group) = (address("rule"), address("target_group"));
            assert!(precedes(&nodes, (&target_group, Apply), (&serves, Apply)));
            assert!(precedes(&nodes, (&serves, Apply), (&rule, Apply)));
            assert!(precedes(&nodes, (&rule, Apply), (&serves, Delete)));
            assert!(precedes(&nodes, (&rule, Apply), (&target_group, Delete)));
            assert!(precedes(&nodes, (&target_group, Delete), ("instances.security_group", Delete)));
        }
    }

    #[test]
    fn a_fleet_that_becomes_a_group_goes_when_the_group_is_there() {
        use Phase::{Apply, Delete};
        let nodes = edited("    instances: 4\n", "    autoscaling: {min: 2, max: 4}\n");
        let group = ("cluster.fleet.scaling_group", Apply);
        assert!(precedes(&nodes, group, ("cluster.fleet.target_attachment", Delete)));
        assert!(precedes(&nodes, group, ("cluster.fleet.instances", Delete)));
    }

    #[test]
    fn a_cluster_goes_when_what_led_to_it_has_turned_to_another() {
        use Phase::{Apply, Delete};
        for (old, new, serves) in [("fleet", "crew", "target_attachment"), ("group", "crew", "scaling_group")] {
            let nodes = edited(&format!("  {old}:\n"), &format!("  {new}:\n"));
            let address = |cluster: &str, kind: &str| format!("cluster.{cluster}.{kind}");
            let (rule, attached) = (address(new, "rule"), address(new, serves));
            assert!(precedes(&nodes, (&attached, Apply), (&rule, Apply)));
            for kind in [serves, "target_group", "launch_template"] {
                assert!(precedes(&nodes, (&rule, Apply), (&address(old, kind), Delete)), "{kind}");
            }
        }
        let nodes = edited("  fleet:\n", "  crew:\n");
        let (attached, instances) = ("cluster.fleet.target_attachment", "cluster.fleet.instances");
        assert!(precedes(&nodes, (attached, Delete), (instances, Delete)), "it takes its leave first");
        let one = BASE.replace("[\"/fleet\"]", "[]").replace("[\"/group\"]", "[\"/fleet\", \"/group\"]");
        let one = one.replace("  group:\n", "  crew:\n").replace("  fleet:\n", "  spare:\n");
        let two_become_one = between(BASE, &one);
        for gone in ["cluster.fleet.target_attachment", "cluster.group.scaling_group"] {
            assert!(precedes(&two_become_one, ("cluster.crew.rule", Apply), (gone, Delete)), "{gone}");
        }
        let alarm = edited("  group:\n", "  crew:\n");
        assert!(
            precedes(&alarm, ("cluster.crew.rule", Apply), ("cluster.group.alarm.up", Delete)),
            "it scales until then"
        );
    }

    #[test]
    fn a_rule_gives_a_path_up_when_the_other_has_it() {
        use Phase::Apply;
        let nodes = edited("routes: [\"/fleet\"]", "routes: [\"/other\"]");
        assert!(nodes.iter().all(|node| node.yields_to.is_empty()), "nobody takes it over");
        let nodes = edited("routes: [\"/group\"]", "routes: [\"/group\", \"/fleet/*\"]");
        assert!(nodes.iter().all(|node| node.yields_to.is_empty()));
        let text = BASE.replace("[\"/fleet\"]", "[\"/fleet\", \"/more\"]");
        let after =
            text.replace("[\"/fleet\", \"/more\"]", "[\"/fleet\"]").replace("[\"/group\"]", "[\"/group\", \"/more\"]");
        let nodes = between(&text, &after);
        assert!(precedes(&nodes, ("cluster.group.rule", Apply), ("cluster.fleet.rule", Apply)));
    }
}
