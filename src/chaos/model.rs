//! Kinds of disruptions, and whom one meets. Pure: chance comes as numbers.

use std::fmt;
use std::time::Duration;

use crate::cloud::state::{InstanceState, TargetState};
use crate::document::suggest;
use crate::problem::Problem;
use crate::region::ec2::processes::Disturbance;
use crate::resource::status::{ClusterStatus, InstanceStatus, Status};
use crate::stack::load_generators;

/// What is done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EC2 terminates it.
    Kill,
    /// EC2 terminates all instances of one zone.
    Zone,
    /// EC2 takes a spot instance away, with its notice. Only the embedded region lets us ask for it.
    Interrupt,
    /// Only the embedded region can do this: it has the processes.
    Process(Disturbance),
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::Zone,
        Self::Interrupt,
        Self::Process(Disturbance::Hang),
        Self::Process(Disturbance::Slow),
        Self::Process(Disturbance::Unhealthy),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Zone => "zone",
            Self::Interrupt => "interrupt",
            Self::Process(disturbance) => disturbance.name(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One disruption, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    pub kind: Kind,
    /// `None`: any.
    pub cluster: Option<String>,
    /// How many instances; of no meaning for a zone.
    pub count: usize,
    /// How long an instance hangs or is slow, or after what time it is taken away; in the region's time.
    pub lasts: Duration,
}

/// An instance that is disrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetInstance {
    pub instance: String,
    pub cluster: String,
    pub zone: String,
}

/// Picks instances that serve; `random` gives a number below its argument.
///
/// # Errors
/// A cluster that there is not; nobody to disrupt.
pub fn targets(
    status: &Status,
    experiment: &Experiment,
    mut random: impl FnMut(usize) -> usize,
) -> Result<Vec<TargetInstance>, Problem> {
    let clusters = clusters(status, experiment.cluster.as_deref())?;
    let mut all: Vec<TargetInstance> = clusters.into_iter().flat_map(serving).collect();
    if all.is_empty() {
        let detail = format!("no instance of {} serves", experiment.cluster.as_deref().unwrap_or(&status.stack));
        return Err(Problem::new("No matching instance", detail).hint("`cloudscale status` shows the instances"));
    }
    if experiment.kind == Kind::Zone {
        let zone = all[random(all.len())].zone.clone();
        all.retain(|target| target.zone == zone);
        return Ok(all);
    }
    let mut chosen = Vec::new();
    while chosen.len() < experiment.count && !all.is_empty() {
        chosen.push(all.swap_remove(random(all.len())));
    }
    Ok(chosen)
}

fn clusters<'a>(status: &'a Status, named: Option<&str>) -> Result<Vec<&'a ClusterStatus>, Problem> {
    let Some(name) = named else {
        // Whoever makes the load is not what it is for.
        return Ok(status.clusters.iter().filter(|cluster| cluster.name != load_generators::NAME).collect());
    };
    let Some(found) = status.clusters.iter().find(|cluster| cluster.name == name) else {
        let known = status.clusters.iter().map(|cluster| cluster.name.as_str());
        let detail = format!("{} has no cluster `{name}`", status.stack);
        return Err(Problem::usage("No such cluster", detail).hint(suggest::hint(name, known)));
    };
    Ok(vec![found])
}

fn serving(cluster: &ClusterStatus) -> impl Iterator<Item = TargetInstance> {
    let serves = |instance: &&InstanceStatus| {
        instance.state == InstanceState::Running
            && (instance.health == TargetState::Healthy || cluster.target_group.is_none())
    };
    cluster.instances.iter().filter(serves).map(|instance| TargetInstance {
        instance: instance.id.clone(),
        cluster: cluster.name.clone(),
        zone: instance.az.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::status::ClusterKind;
    use crate::resource::status::TargetGroupStatus;

    fn status() -> Status {
        let instance = |(id, az, health): &(&str, &str, &str)| InstanceStatus {
            id: (*id).into(),
            az: (*az).into(),
            state: "running".into(),
            health: (*health).into(),
            reason: None,
            address: None,
            processor: None,
        };
        let cluster = |name: &str, instances: &[(&str, &str, &str)]| ClusterStatus {
            name: name.into(),
            kind: ClusterKind::Group,
            instance_type: "t2.large".into(),
            min: 1,
            max: 4,
            desired: 2,
            group: None,
            target_group: Some(TargetGroupStatus { arn: "arn".into(), full_name: "targetgroup/web/1".into() }),
            instances: instances.iter().map(instance).collect(),
        };
        Status {
            stack: "shop".into(),
            provider: "local".into(),
            url: None,
            load_balancer: None,
            stopped: false,
            down_after: None,
            clusters: vec![
                cluster("web", &[("i-1", "a", "healthy"), ("i-2", "b", "unhealthy"), ("i-3", "b", "healthy")]),
                cluster("api", &[("i-4", "b", "healthy")]),
            ],
        }
    }

    fn disrupted(kind: Kind, cluster: Option<&str>, count: usize, random: usize) -> Result<Vec<String>, Problem> {
        let experiment = Experiment { kind, cluster: cluster.map(str::to_owned), count, lasts: Duration::ZERO };
        let targets = targets(&status(), &experiment, |below| random % below)?;
        Ok(targets.into_iter().map(|target| target.instance).collect())
    }

    #[test]
    fn only_those_that_serve_are_struck_and_never_more_than_there_are() {
        assert_eq!(disrupted(Kind::Kill, Some("web"), 1, 0).unwrap(), ["i-1"]);
        assert_eq!(disrupted(Kind::Kill, Some("web"), 9, 0).unwrap(), ["i-1", "i-3"]);
        assert_eq!(disrupted(Kind::Kill, None, 1, 2).unwrap(), ["i-4"]);
    }

    #[test]
    fn a_zone_fails_with_all_that_is_in_it() {
        assert_eq!(disrupted(Kind::Zone, None, 1, 2).unwrap(), ["i-3", "i-4"]);
        assert_eq!(disrupted(Kind::Zone, Some("web"), 1, 0).unwrap(), ["i-1"]);
    }

    #[test]
    fn a_cluster_that_there_is_not_is_a_problem_that_names_the_likely_one() {
        let problem = disrupted(Kind::Kill, Some("webb"), 1, 0).unwrap_err();
        assert_eq!(problem.hint.as_deref(), Some("did you mean `web`?"));
    }
}
