//! Changes behind our back: what people, scalers and AWS itself do to a stack between two runs.

use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, RequestLaunchTemplateData, Tag};
use aws_sdk_elasticloadbalancingv2::types::RulePriorityPair;
use cloudscale::aws::clients::Clients;
use cloudscale::cloud::tags;
use cloudscale::stack::names;
use proptest::prelude::*;

use super::fuzz_stack::NAME;
use super::inventory::{Thing, inventory};

/// One change; the number chooses among what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    Terminate(u8),
    Stop(u8),
    Deregister(u8),
    DeleteRule(u8),
    MoveRule(u8),
    DeleteListener,
    DeleteLoadBalancer,
    DeletePolicy(u8),
    DeleteAlarm(u8),
    DeleteGroup(u8),
    Scale(u8),
    OpenPort(u8),
    ClosePorts(u8),
    NewTemplateVersion(u8),
    LoseSpec(u8),
    LoseTag(u8),
}

pub fn tampers() -> impl Strategy<Value = Tamper> {
    let which = 0..8_u8;
    prop_oneof![
        which.clone().prop_map(Tamper::Terminate),
        which.clone().prop_map(Tamper::Stop),
        which.clone().prop_map(Tamper::Deregister),
        which.clone().prop_map(Tamper::DeleteRule),
        which.clone().prop_map(Tamper::MoveRule),
        Just(Tamper::DeleteListener),
        Just(Tamper::DeleteLoadBalancer),
        which.clone().prop_map(Tamper::DeletePolicy),
        which.clone().prop_map(Tamper::DeleteAlarm),
        which.clone().prop_map(Tamper::DeleteGroup),
        which.clone().prop_map(Tamper::Scale),
        which.clone().prop_map(Tamper::OpenPort),
        which.clone().prop_map(Tamper::ClosePorts),
        which.clone().prop_map(Tamper::NewTemplateVersion),
        which.clone().prop_map(Tamper::LoseSpec),
        which.prop_map(Tamper::LoseTag),
    ]
}

/// One of the things of a kind that belong to the stack.
fn choose(things: &[Thing], kind: &str, which: u8) -> Option<String> {
    let prefix = format!("{}--", names::load_balancer(NAME));
    let is_ours = |thing: &&Thing| {
        let tagged = thing.tags.get(tags::STACK).is_some_and(|stack| stack == NAME);
        thing.kind == kind && (tagged || thing.tags.is_empty() && thing.id.contains(&prefix))
    };
    let ours: Vec<_> = things.iter().filter(is_ours).collect();
    let index = usize::from(which).checked_rem(ours.len())?;
    Some(ours[index].id.clone())
}

impl Tamper {
    /// Does it, where there is something to do it to and the region takes it.
    pub async fn strike(self, clients: &Clients) {
        let things = inventory(clients).await;
        let struck = match self {
            Self::Terminate(_) | Self::Stop(_) | Self::Deregister(_) => self.instance(clients, &things).await,
            Self::DeleteRule(_) | Self::MoveRule(_) | Self::DeleteListener | Self::DeleteLoadBalancer => {
                self.balancer(clients, &things).await
            }
            Self::DeletePolicy(_) | Self::DeleteAlarm(_) | Self::DeleteGroup(_) | Self::Scale(_) => {
                self.scaling(clients, &things).await
            }
            _ => self.machinery(clients, &things).await,
        };
        // Nothing of the kind, or refused: then nothing was tampered with.
        let _ = struck;
    }

    async fn instance(self, clients: &Clients, things: &[Thing]) -> Option<()> {
        let (Self::Terminate(which) | Self::Stop(which) | Self::Deregister(which)) = self else { return None };
        let instance = choose(things, "instance", which)?;
        match self {
            Self::Terminate(_) => clients.ec2.terminate_instances().instance_ids(instance).send().await.ok().map(drop),
            Self::Stop(_) => clients.ec2.stop_instances().instance_ids(instance).send().await.ok().map(drop),
            _ => {
                let group = choose(things, "target group", which)?;
                let target = aws_sdk_elasticloadbalancingv2::types::TargetDescription::builder().id(instance).build();
                clients.elb.deregister_targets().target_group_arn(group).targets(target).send().await.ok().map(drop)
            }
        }
    }

    async fn balancer(self, clients: &Clients, things: &[Thing]) -> Option<()> {
        let elb = &clients.elb;
        match self {
            Self::DeleteRule(which) => {
                elb.delete_rule().rule_arn(choose(things, "rule", which)?).send().await.ok().map(drop)
            }
            Self::MoveRule(which) => {
                let rule = RulePriorityPair::builder().rule_arn(choose(things, "rule", which)?);
                let pair = rule.priority(15 + i32::from(which)).build();
                elb.set_rule_priorities().rule_priorities(pair).send().await.ok().map(drop)
            }
            Self::DeleteListener => {
                elb.delete_listener().listener_arn(choose(things, "listener", 0)?).send().await.ok().map(drop)
            }
            _ => {
                let balancer = choose(things, "load balancer", 0)?;
                elb.delete_load_balancer().load_balancer_arn(balancer).send().await.ok().map(drop)
            }
        }
    }

    async fn scaling(self, clients: &Clients, things: &[Thing]) -> Option<()> {
        let scaling = &clients.autoscaling;
        match self {
            Self::DeletePolicy(which) => {
                scaling.delete_policy().policy_name(choose(things, "policy", which)?).send().await.ok().map(drop)
            }
            Self::DeleteAlarm(which) => {
                let arn = choose(things, "alarm", which)?;
                let name = arn.split(":alarm:").nth(1)?;
                clients.cloudwatch.delete_alarms().alarm_names(name).send().await.ok().map(drop)
            }
            Self::DeleteGroup(which) => {
                let group = choose(things, "group", which)?;
                let call = scaling.delete_auto_scaling_group().auto_scaling_group_name(group).force_delete(true);
                call.send().await.ok().map(drop)
            }
            Self::Scale(which) => {
                let group = choose(things, "group", which)?;
                let call = scaling.set_desired_capacity().auto_scaling_group_name(group);
                call.desired_capacity(i32::from(which) % 3).send().await.ok().map(drop)
            }
            _ => None,
        }
    }

    async fn machinery(self, clients: &Clients, things: &[Thing]) -> Option<()> {
        let ec2 = &clients.ec2;
        match self {
            Self::OpenPort(which) => {
                let range = IpRange::builder().cidr_ip("10.0.0.0/8").build();
                let ssh = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(range).build();
                let group = choose(things, "security group", which)?;
                let call = ec2.authorize_security_group_ingress().group_id(group).ip_permissions(ssh);
                call.send().await.ok().map(drop)
            }
            Self::ClosePorts(which) => {
                let group = choose(things, "security group", which)?;
                let found = ec2.describe_security_groups().group_ids(&group).send().await.ok()?;
                let open = found.security_groups().first()?.ip_permissions().to_vec();
                let call = ec2.revoke_security_group_ingress().group_id(group).set_ip_permissions(Some(open));
                call.send().await.ok().map(drop)
            }
            Self::NewTemplateVersion(which) => {
                let template = choose(things, "launch template", which)?;
                let data = RequestLaunchTemplateData::builder().image_id("ami-0a1b2c3d4e5f60001").build();
                let call = ec2.create_launch_template_version().launch_template_id(template).launch_template_data(data);
                call.send().await.ok().map(drop)
            }
            Self::LoseSpec(which) | Self::LoseTag(which) => {
                let key = if self == Self::LoseTag(which) { "course" } else { tags::SPEC };
                let filter = Filter::builder().name(format!("tag:{}", tags::STACK)).values(NAME).build();
                let found = ec2.describe_tags().filters(filter).send().await.ok()?;
                let ids: Vec<_> = found.tags().iter().filter_map(|tag| tag.resource_id()).collect();
                let id = ids[usize::from(which).checked_rem(ids.len())?];
                let tag = Tag::builder().key(key).build();
                ec2.delete_tags().resources(id).tags(tag).send().await.ok().map(drop)
            }
            _ => None,
        }
    }
}
