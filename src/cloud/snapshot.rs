//! What the cloud holds of one stack, at one moment: the answers of discovery, filtered to what is ours.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, ScalingPolicy, ScheduledUpdateGroupAction};
use aws_sdk_cloudwatch::types::MetricAlarm;
use aws_sdk_ec2::types::{Instance, InstanceStateName, LaunchTemplate, LaunchTemplateVersion, SecurityGroup};
use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, Rule, TargetGroup, TargetHealthDescription};
use jiff::Timestamp;

use super::own_network::OwnNetwork;
use crate::cloud::tags;
use crate::cloud::tags::Tags;
use crate::engine::lock::model::Lease;
use crate::resource::fields::Value;
use crate::resources::target_group::Attributes;

/// Everything that carries the stack's tag.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub stack: String,
    /// When the cloud was asked.
    pub taken: Timestamp,
    /// How long after its launch an instance may not serve and still be whole.
    pub boot_grace: Duration,
    /// A network of the stack's own, whether its file still names one or not.
    pub own_network: OwnNetwork,
    pub security_groups: Vec<SecurityGroup>,
    pub launch_templates: Vec<LaunchTemplate>,
    /// The lock that a run holds, or left behind.
    pub lock: Option<Lease>,
    /// The latest version, by template id; fetched only where the tags do not already tell it.
    pub template_versions: BTreeMap<String, LaunchTemplateVersion>,
    /// All that AWS still lists, terminated ones included.
    pub instances: Vec<Instance>,
    pub load_balancers: Vec<LoadBalancer>,
    pub target_groups: Vec<TargetGroup>,
    /// By ARN; fetched only where the tags do not already tell them.
    pub target_group_attributes: BTreeMap<String, Attributes>,
    pub listeners: Vec<Listener>,
    /// Every rule of our listeners but the default, ours or not.
    pub rules: Vec<Rule>,
    /// Tags of Elastic Load Balancing, by ARN.
    pub elb_tags: BTreeMap<String, Tags>,
    /// By target group ARN.
    pub target_health: BTreeMap<String, Vec<TargetHealthDescription>>,
    pub groups: Vec<AutoScalingGroup>,
    /// Ours, too, but being deleted: nothing can be done with them.
    pub dying_groups: Vec<AutoScalingGroup>,
    pub policies: Vec<ScalingPolicy>,
    pub schedules: Vec<ScheduledUpdateGroupAction>,
    pub alarms: Vec<MetricAlarm>,
    /// Whether CloudWatch was not asked, or the endpoint has none.
    pub alarms_untold: bool,
    /// Names that look like ours and carry no tag of this stack: never touched.
    pub strangers: BTreeSet<String>,
    /// Ids and ARNs of ours that have a successor: a replacement was interrupted.
    pub replaced: BTreeSet<String>,
}

/// A target's state in its target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: String,
    /// `Target.ResponseCodeMismatch`
    pub reason: Option<String>,
    /// "Health checks failed with these codes: [502]"
    pub description: Option<String>,
}

impl Health {
    /// "unhealthy: Health checks failed with these codes: [502]"
    pub fn sentence(&self) -> String {
        match self.description.as_ref().or(self.reason.as_ref()) {
            Some(why) => format!("{}: {why}", self.state),
            None => self.state.clone(),
        }
    }
}

impl Snapshot {
    /// The tags of a resource of Elastic Load Balancing.
    pub fn tags_of(&self, arn: &str) -> Option<&Tags> {
        self.elb_tags.get(arn).filter(|tags| tags.get(tags::STACK) == Some(&self.stack))
    }

    /// The address that a resource of Elastic Load Balancing carries.
    pub fn address_of(&self, arn: &str) -> Option<&str> {
        self.tags_of(arn)?.get(tags::ADDRESS).map(String::as_str)
    }

    /// A live id as a reference where it is ours, as it stands otherwise.
    pub fn reference(&self, id: &str) -> Value {
        let address = self.address_of(id).map(str::to_owned).or_else(|| {
            let security_group = || self.security_groups.iter().find(|group| group.group_id() == Some(id));
            let template = || self.launch_templates.iter().find(|template| template.launch_template_id() == Some(id));
            let tags = security_group().map(|group| group.tags());
            let tags = tags.or_else(|| template().map(|template| template.tags()));
            let tags = tags.or_else(|| self.own_network.tags_of(id)).map(tags::from_ec2);
            let scaling = || self.groups.iter().find(|group| group.auto_scaling_group_name() == Some(id));
            tags.or_else(|| scaling().map(|group| tags::from_group(group.tags())))?.remove(tags::ADDRESS)
        });
        match address {
            None => Value::Text(id.to_owned()),
            Some(address) if self.replaced.contains(id) => Value::Replaced(address),
            Some(address) => Value::Ref(address),
        }
    }

    /// Instances at an address that are not on their way out.
    pub fn instances_at(&self, address: &str) -> impl Iterator<Item = &Instance> {
        self.instances
            .iter()
            .filter(move |instance| is_present(instance) && tag(instance, tags::ADDRESS) == Some(address))
    }

    /// Whether an instance is so young that it may still be on its way to serve.
    pub fn is_booting(&self, instance: &Instance) -> bool {
        let launched = instance.launch_time().and_then(|time| Timestamp::from_second(time.secs()).ok());
        launched.is_some_and(|launched| self.taken < launched + self.boot_grace)
    }

    /// The target group of a cluster (`cluster.light`).
    pub fn target_group_of(&self, cluster: &str) -> Option<&TargetGroup> {
        self.target_groups_of(cluster).next()
    }

    /// All of them: a replacement that was interrupted leaves two.
    pub fn target_groups_of(&self, cluster: &str) -> impl Iterator<Item = &TargetGroup> {
        let address = format!("{cluster}.target_group");
        let groups = self.target_groups.iter();
        groups.filter(move |group| group.target_group_arn().and_then(|arn| self.address_of(arn)) == Some(&address))
    }

    /// How the target group of a cluster sees an instance; `None` where it does not know it.
    pub fn health(&self, cluster: &str, instance: &str) -> Option<Health> {
        let arn = self.target_group_of(cluster)?.target_group_arn()?;
        self.target_health
            .get(arn)?
            .iter()
            .find(|health| health.target().and_then(|target| target.id()) == Some(instance))
            .map(health_of)
    }

    /// One line for everything that costs money or stands in the way of a new stack.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(self.instances.iter().filter(|instance| !is_terminated(instance)).filter_map(|instance| {
            let state = instance.state().and_then(|state| state.name()).map_or("", InstanceStateName::as_str);
            Some(format!("instance {} ({state})", instance.instance_id()?))
        }));
        let groups = self.groups.iter().chain(&self.dying_groups);
        left.extend(groups.filter_map(|group| Some(format!("group {}", group.auto_scaling_group_name()?))));
        left.extend(
            self.load_balancers.iter().filter_map(|lb| Some(format!("load balancer {}", lb.load_balancer_name()?))),
        );
        left.extend(
            self.target_groups.iter().filter_map(|tg| Some(format!("target group {}", tg.target_group_name()?))),
        );
        left.extend(
            self.launch_templates.iter().filter_map(|t| Some(format!("launch template {}", t.launch_template_name()?))),
        );
        left.extend(self.alarms.iter().filter_map(|alarm| Some(format!("alarm {}", alarm.alarm_name()?))));
        left.extend(self.security_groups.iter().filter_map(|g| Some(format!("security group {}", g.group_name()?))));
        left.extend(self.own_network.in_words());
        left
    }
}

/// A target's state out of AWS's description.
pub fn health_of(description: &TargetHealthDescription) -> Health {
    let health = description.target_health();
    Health {
        state: health.and_then(|health| health.state()).map_or("unknown", |state| state.as_str()).to_owned(),
        reason: health.and_then(|health| health.reason()).map(|reason| reason.as_str().to_owned()),
        description: health.and_then(|health| health.description()).map(str::to_owned),
    }
}

/// The value of an instance's tag.
pub fn tag<'a>(instance: &'a Instance, key: &str) -> Option<&'a str> {
    instance.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value())
}

fn state(instance: &Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

/// Pending, running or stopped: not terminated and not about to be.
pub fn is_present(instance: &Instance) -> bool {
    !is_terminated(instance) && state(instance) != Some(&InstanceStateName::ShuttingDown)
}

pub fn is_terminated(instance: &Instance) -> bool {
    state(instance) == Some(&InstanceStateName::Terminated)
}
