//! The services beside the one that runs: what each asks about the others is answered here.
//!
//! They are borrowed where they are, so that one may change while the others answer. A service that asks its own facts
//! while it runs finds none: it looks at itself instead.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use super::autoscaling::model::Autoscaling;
use super::cloudwatch::model::Cloudwatch;
use super::ec2::model::Ec2;
use super::elbv2::model::Elbv2;
use super::facts::{Facts, InstanceFacts, LaunchTemplateFacts, LoadBalancerNode, SubnetFacts, TargetGroupFacts};
use super::signal::TargetState;
use super::wire::{ApiError, Params};

#[derive(Clone, Copy, Debug, Default)]
pub struct Neighbours<'a> {
    pub ec2: Option<&'a Ec2>,
    pub elbv2: Option<&'a Elbv2>,
    pub autoscaling: Option<&'a Autoscaling>,
    pub cloudwatch: Option<&'a Cloudwatch>,
    /// [`Facts::revision`]
    pub revision: u64,
}

impl Facts for Neighbours<'_> {
    fn revision(&self) -> u64 {
        self.revision
    }
    fn instance(&self, id: &str) -> Option<InstanceFacts> {
        self.ec2?.instance_facts(id)
    }
    fn instances(&self) -> Vec<InstanceFacts> {
        self.ec2.map_or_else(Vec::new, Ec2::instances_facts)
    }
    fn is_monitored_in_detail(&self, id: &str) -> bool {
        let instance = self.ec2.and_then(|ec2| ec2.instances.all.get(id));
        instance.is_some_and(|instance| instance.monitoring)
    }
    fn subnet(&self, id: &str) -> Option<SubnetFacts> {
        self.ec2?.subnet_facts(id)
    }
    fn default_subnet(&self, zone: &str) -> Option<SubnetFacts> {
        let ec2 = self.ec2?;
        ec2.subnet_facts(&ec2.network.default_subnet(Some(zone))?.id)
    }
    fn tagged(&self, region: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let mut all = self.ec2.map_or_else(Vec::new, |ec2| ec2.tagged_arns(region));
        all.extend(self.elbv2.into_iter().flat_map(Elbv2::tagged));
        all.extend(self.autoscaling.into_iter().flat_map(Autoscaling::tagged));
        all.extend(self.cloudwatch.into_iter().flat_map(Cloudwatch::tagged));
        all
    }
    fn vpc_exists(&self, id: &str) -> bool {
        self.ec2.is_some_and(|ec2| ec2.vpc_exists(id))
    }
    fn security_group_exists(&self, id: &str) -> bool {
        self.ec2.is_some_and(|ec2| ec2.security_group_exists(id))
    }
    fn launch_template(&self, id_or_name: &str, version: &str) -> Option<LaunchTemplateFacts> {
        self.ec2?.launch_template_facts(id_or_name, version)
    }
    fn target_group(&self, arn: &str) -> Option<TargetGroupFacts> {
        self.elbv2?.target_group_facts(arn)
    }
    fn target_health(&self, target_group: &str, instance: &str) -> Option<TargetState> {
        self.elbv2?.target_health(target_group, instance)
    }
    fn target_drains(&self, target_group: &str, instance: &str) -> bool {
        self.elbv2.is_some_and(|elbv2| elbv2.target_drains(target_group, instance))
    }
    fn load_balancer_nodes(&self) -> Vec<LoadBalancerNode> {
        self.elbv2.map_or_else(Vec::new, Elbv2::nodes)
    }
    fn security_groups_of_load_balancers(&self) -> Vec<String> {
        self.elbv2.map_or_else(Vec::new, Elbv2::security_groups)
    }
    fn kind_of_instance(&self, id: &str) -> Option<(&str, &str)> {
        self.ec2?.instance_kind(id)
    }
    fn group_that_counts(&self, instance: &str, now: Timestamp) -> Option<&str> {
        self.autoscaling?.group_that_counts(instance, now)
    }
    fn check_alarm(&self, params: &Params) -> Result<(), ApiError> {
        self.cloudwatch.map_or(Ok(()), |cloudwatch| cloudwatch.check_alarm(params))
    }
    fn metric_history(
        &self,
        queries: &[Params],
        range: &Range<i64>,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, f64>, ApiError> {
        self.cloudwatch.map_or(Ok(BTreeMap::new()), |it| it.metric_history(queries, range, now))
    }
    fn is_in_alarm(&self, name: &str) -> bool {
        self.cloudwatch.is_some_and(|cloudwatch| cloudwatch.is_in_alarm(name))
    }
    fn alarms_of_policy(&self, policy_arn: &str) -> Vec<String> {
        self.cloudwatch.map_or_else(Vec::new, |cloudwatch| cloudwatch.alarms_of_policy(policy_arn))
    }
}
