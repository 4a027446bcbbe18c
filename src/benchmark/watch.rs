//! What the cloud did while the load ran: capacity as it changed, the instances that were there, and why groups scaled.
//!
//! The stack is looked at again and again until the load is over. A look that fails is left out: it costs a point of a
//! chart, not the run.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::happened;
use crate::clock;
use crate::cloud::activities::Activity;
use crate::cloud::state::{InstanceState, TargetState};
use crate::engine::Engine;
use crate::resource::event::{Event, Sink};
use crate::resource::status::{ClusterStatus, InstanceStatus, Status};
use crate::result::record::{CapacityPoint, Cloud, InstanceSpan};

/// How often what groups do is asked for while a load runs.
const ACTIVITIES_EVERY: Duration = Duration::from_secs(5);

/// Looks until `over`, and once more then.
pub async fn watch(
    engine: &Engine,
    first: &Status,
    every: Duration,
    sink: &dyn Sink,
    over: &CancellationToken,
) -> Looks {
    let mut looks = Looks::default();
    let began = clock::now();
    looks.add(began, first);
    looks.tell(0, sink);
    let (mut told, mut asked) = (HashSet::new(), clock::instant());
    loop {
        let is_over = over.run_until_cancelled(clock::sleep(every)).await.is_none();
        if let Ok(status) = engine.status().await {
            let known = looks.points.len();
            looks.add(clock::now(), &status);
            looks.tell(known, sink);
        }
        if clock::instant() - asked >= ACTIVITIES_EVERY {
            asked = clock::instant();
            for activity in happened::activities(engine, began).await.unwrap_or_default() {
                if told.insert(activity.id.clone()) {
                    let Activity { cluster, description: what, cause, .. } = activity;
                    sink.event(Event::Scaled { cluster, what, cause });
                }
            }
        }
        if is_over {
            return looks;
        }
    }
}

/// Looks put together; pure.
#[derive(Debug, Default)]
pub struct Looks {
    points: Vec<(Timestamp, CapacityPoint)>,
    /// By instance: one from each start to its stop, as instances of a warm pool have several.
    spans: BTreeMap<String, Vec<Span>>,
    last: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Span {
    cluster: String,
    instance_type: String,
    first: Timestamp,
    last: Timestamp,
    healthy: Duration,
    was_healthy: bool,
    /// When it first was not healthy any more.
    lost: Option<Timestamp>,
}

impl Looks {
    pub fn add(&mut self, at: Timestamp, status: &Status) {
        let since =
            self.last.map_or(Duration::ZERO, |last| Duration::try_from(at.duration_since(last)).unwrap_or_default());
        for cluster in &status.clusters {
            self.add_point(at, cluster);
            // Whoever is stopped, in a warm pool for example, takes no part in the run.
            for instance in cluster.instances.iter().filter(|instance| !is_stopped(instance)) {
                self.add_instance(at, since, cluster, instance);
            }
        }
        // Whoever is not there any more.
        for span in self.spans.values_mut().flatten().filter(|span| span.last < at && span.was_healthy) {
            span.was_healthy = false;
            span.lost.get_or_insert(at);
        }
        self.last = Some(at);
    }

    /// Tells the changes that came after so many were known.
    fn tell(&self, known: usize, sink: &dyn Sink) {
        for (_, point) in &self.points[known..] {
            let CapacityPoint { cluster, desired, running, healthy, .. } = point.clone();
            sink.event(Event::Capacity { cluster, desired, running, healthy });
        }
    }

    /// Only changes are kept.
    fn add_point(&mut self, at: Timestamp, cluster: &ClusterStatus) {
        let count = |is: fn(&&InstanceStatus) -> bool| {
            u32::try_from(cluster.instances.iter().filter(is).count()).unwrap_or(u32::MAX)
        };
        let point = CapacityPoint {
            at: 0.0,
            cluster: cluster.name.clone(),
            desired: cluster.desired,
            running: count(|instance| instance.state == InstanceState::Running),
            healthy: count(|instance| instance.health == TargetState::Healthy),
        };
        let before = self.points.iter().rev().find(|(_, before)| before.cluster == cluster.name);
        if before.is_none_or(|(_, before)| *before != point) {
            self.points.push((at, point));
        }
    }

    fn add_instance(&mut self, at: Timestamp, since: Duration, cluster: &ClusterStatus, instance: &InstanceStatus) {
        let healthy = instance.health == TargetState::Healthy;
        let spans = self.spans.entry(instance.id.clone()).or_default();
        if spans.last().is_none_or(|span| Some(span.last) < self.last) {
            spans.push(Span {
                cluster: cluster.name.clone(),
                instance_type: cluster.instance_type.clone(),
                first: at,
                last: at,
                healthy: Duration::ZERO,
                was_healthy: healthy,
                lost: None,
            });
        }
        let Some(span) = spans.last_mut() else { return };
        span.last = at;
        if healthy && span.was_healthy {
            span.healthy += since;
        } else if healthy != span.was_healthy {
            // Somewhere between two looks.
            span.healthy += since / 2;
            if !healthy {
                span.lost.get_or_insert(at);
            }
        }
        span.was_healthy = healthy;
    }

    /// Every instance of a cluster that was seen to run.
    pub fn instances(&self, cluster: &str) -> Vec<String> {
        self.latest(cluster).map(|(id, _)| id.clone()).collect()
    }

    /// Those of them that were gone, or stopped, at the last look.
    pub fn ended(&self, cluster: &str) -> Vec<String> {
        self.latest(cluster).filter(|(_, span)| Some(span.last) < self.last).map(|(id, _)| id.clone()).collect()
    }

    fn latest(&self, cluster: &str) -> impl Iterator<Item = (&String, &Span)> {
        let latest = self.spans.iter().filter_map(|(id, spans)| Some((id, spans.last()?)));
        latest.filter(move |(_, span)| span.cluster == cluster)
    }

    /// When all of these instances, which were disrupted at a time, had been seen to serve no more.
    pub fn lost(&self, instances: &[String], disrupted: Timestamp) -> Option<Timestamp> {
        let lost = |instance: &String| {
            self.spans.get(instance)?.iter().find_map(|span| span.lost.filter(|lost| *lost >= disrupted))
        };
        instances.iter().map(lost).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// When a cluster first had as many healthy instances again as before it was disrupted, after that was noticed.
    pub fn whole_again(&self, cluster: &str, disrupted: Timestamp, noticed: Timestamp) -> Option<Timestamp> {
        let own = || self.points.iter().filter(|(_, point)| point.cluster == cluster);
        let before = own().rfind(|(at, _)| *at <= disrupted)?.1.healthy;
        own().find(|(at, point)| *at > noticed && point.healthy >= before).map(|(at, _)| *at)
    }

    /// The record of a run that began at `started` and took so long; times count from its start.
    pub fn record(&self, started: Timestamp, elapsed: f64) -> Cloud {
        let since = |at: Timestamp| (at.duration_since(started).as_secs_f64() * 1000.0).round() / 1000.0;
        let capacity =
            self.points.iter().map(|(at, point)| CapacityPoint { at: since(*at).clamp(0.0, elapsed), ..point.clone() });
        let spans = self.spans.iter().flat_map(|(id, spans)| spans.iter().map(move |span| (id, span)));
        let instances = spans.map(|(id, span)| InstanceSpan {
            instance: id.clone(),
            cluster: span.cluster.clone(),
            instance_type: span.instance_type.clone(),
            from: since(span.first).max(0.0),
            until: since(span.last).min(elapsed).max(0.0),
            healthy_seconds: span.healthy.as_secs_f64().min(elapsed),
        });
        Cloud { capacity: capacity.collect(), instances: instances.collect(), ..Cloud::default() }
    }
}

fn is_stopped(instance: &InstanceStatus) -> bool {
    matches!(instance.state, InstanceState::Stopping | InstanceState::Stopped)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::resource::status::ClusterKind;

    pub fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    pub fn status(desired: u32, instances: &[(&str, &str)]) -> Status {
        let instance = |(id, health): &(&str, &str)| InstanceStatus {
            id: (*id).into(),
            az: "us-east-1a".into(),
            state: "running".into(),
            health: (*health).into(),
            reason: None,
            address: None,
            processor: None,
        };
        let cluster = ClusterStatus {
            name: "web".into(),
            kind: ClusterKind::Group,
            instance_type: "t2.large".into(),
            min: 1,
            max: 4,
            desired,
            group: None,
            target_group: None,
            instances: instances.iter().map(instance).collect(),
        };
        Status {
            stack: "s".into(),
            provider: "local".into(),
            url: None,
            load_balancer: None,
            stopped: false,
            down_after: None,
            clusters: vec![cluster],
        }
    }

    #[test]
    fn capacity_is_kept_where_it_changes_and_instances_that_came_later_are_there() {
        let mut looks = Looks::default();
        looks.add(at(-1), &status(1, &[("i-1", "healthy")]));
        for second in 1..10 {
            looks.add(at(second), &status(1, &[("i-1", "healthy")]));
        }
        looks.add(at(10), &status(2, &[("i-1", "healthy"), ("i-2", "initial")]));
        looks.add(at(20), &status(2, &[("i-1", "healthy"), ("i-2", "healthy")]));
        looks.add(at(40), &status(2, &[("i-2", "healthy")]));
        let cloud = looks.record(at(0), 40.0);
        let points: Vec<_> = cloud.capacity.iter().map(|p| (p.at, p.desired, p.running, p.healthy)).collect();
        assert_eq!(points, [(0.0, 1, 1, 1), (10.0, 2, 2, 1), (20.0, 2, 2, 2), (40.0, 2, 1, 1)]);
        assert_eq!(
            (looks.instances("web"), looks.ended("web")),
            (vec!["i-1".into(), "i-2".into()], vec!["i-1".into()])
        );
        let late = &cloud.instances[1];
        assert_eq!((late.from, late.until, late.healthy_seconds), (10.0, 40.0, 25.0));
    }

    #[test]
    fn an_instance_counts_while_it_runs_and_not_while_it_waits_in_a_warm_pool() {
        let seen = |state: &str, health: &str| {
            let mut status = status(1, &[("i-1", "healthy"), ("i-2", health)]);
            status.clusters[0].instances[1].state = state.into();
            status
        };
        let mut looks = Looks::default();
        let story = [("stopped", "unused"), ("running", "initial"), ("running", "healthy"), ("stopped", "unused")];
        for (second, (state, health)) in (0..).step_by(10).zip(story) {
            looks.add(at(second), &seen(state, health));
        }
        assert_eq!(looks.ended("web"), ["i-2"], "it is there, and runs no more");
        looks.add(at(40), &seen("running", "healthy"));
        assert!(looks.ended("web").is_empty());
        let spans: Vec<_> = looks.record(at(0), 40.0).instances.into_iter().skip(1).collect();
        assert_eq!(spans.iter().map(|span| (span.from, span.until)).collect::<Vec<_>>(), [(10.0, 20.0), (40.0, 40.0)]);
    }
}
