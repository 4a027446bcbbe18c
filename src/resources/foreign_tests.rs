//! What has a name of ours and is not ours is never taken over or changed, not even by the call that finds the name
//! taken: it may have come after the plan.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_autoscaling::types::LaunchTemplateSpecification as GroupTemplate;
use aws_sdk_ec2::types::{InstanceType, RequestLaunchTemplateData, ResourceType, Tag, TagSpecification};
use aws_sdk_elasticloadbalancingv2::types::ProtocolEnum;
use tokio_util::sync::CancellationToken;

use super::network::{LiveNetwork, LiveSubnet, StackNetwork};
use super::{TYPES, launch_template, security_group, target_group};
use crate::aws::clients::Clients;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::tags;
use crate::problem::{Problem, Source};
use crate::region::driver::Region;
use crate::region::fuzz::calls::open;
use crate::region::world::World;
use crate::resource::context::{ActionContext, Operation};
use crate::resource::event::{Event, Sink};
use crate::resource::fields::Value;
use crate::resource::{Output, Scope};
use crate::stack::model::Stack;
use crate::stack::{Overrides, names, parse};

const IMAGE: &str = "ami-0a1b2c3d4e5f60001";
/// A guard that waits for something takes that long.
const LIMIT: Duration = Duration::from_secs(20);

struct Deaf;

impl Sink for Deaf {
    fn event(&self, _: Event) {}
}

struct Cloud {
    clients: Clients,
    vpc: String,
    subnets: Vec<(String, String)>,
    /// A security group that has nothing to do with it.
    another: String,
    stop: CancellationToken,
}

impl Cloud {
    async fn new() -> Self {
        let (region, _outward) = Region::new(World::new("us-east-1", 1));
        let (door, stop) = open(Arc::new(region)).await.unwrap();
        let clients = Clients::local(&format!("http://{door}"), "us-east-1");
        let found = clients.ec2.describe_subnets().send().await.unwrap();
        let text = |text: Option<&str>| text.unwrap().to_owned();
        let vpc = text(found.subnets()[0].vpc_id());
        let subnet = |subnet: &aws_sdk_ec2::types::Subnet| (text(subnet.subnet_id()), text(subnet.availability_zone()));
        let subnets = found.subnets().iter().map(subnet).collect();
        let mut cloud = Self { clients, vpc, subnets, another: String::new(), stop };
        cloud.another = cloud.security_group("another", None).await;
        cloud
    }

    async fn security_group(&self, name: &str, stack: Option<&str>) -> String {
        let call = self.clients.ec2.create_security_group().group_name(name).description("theirs").vpc_id(&self.vpc);
        let tag = |stack: &str| Tag::builder().key(tags::STACK).value(stack).build();
        let tags = stack.map(|stack| {
            vec![TagSpecification::builder().resource_type(ResourceType::SecurityGroup).tags(tag(stack)).build()]
        });
        call.set_tag_specifications(tags).send().await.unwrap().group_id.unwrap()
    }

    /// Somebody else's, with every name that the stack gives.
    async fn foreign(&self) {
        for name in [names::load_balancer_security_group("shop"), names::instances_security_group("shop")] {
            self.security_group(&name, None).await;
        }
        let data = RequestLaunchTemplateData::builder().image_id(IMAGE).instance_type(InstanceType::T2Large).build();
        for cluster in ["web", "crew"] {
            let call = self.clients.ec2.create_launch_template().launch_template_data(data.clone());
            call.launch_template_name(names::launch_template("shop", cluster)).send().await.unwrap();
            let call = self.clients.elb.create_target_group().name(names::target_group("shop", cluster));
            call.protocol(ProtocolEnum::Http).port(81).vpc_id(&self.vpc).send().await.unwrap();
        }
        let subnets: Vec<String> = self.subnets.iter().take(2).map(|(id, _)| id.clone()).collect();
        let call = self.clients.elb.create_load_balancer().name(names::load_balancer("shop"));
        call.set_subnets(Some(subnets.clone())).send().await.unwrap();
        let template = GroupTemplate::builder().launch_template_name(names::launch_template("shop", "crew")).build();
        let call = self.clients.autoscaling.create_auto_scaling_group().min_size(0).max_size(0);
        let call = call.auto_scaling_group_name(names::group("shop", "crew")).launch_template(template);
        call.vpc_zone_identifier(subnets.join(",")).send().await.unwrap();
    }

    /// All that a change would show.
    async fn seen(&self) -> String {
        let Clients { ec2, elb, autoscaling, .. } = &self.clients;
        let groups = ec2.describe_security_groups().send().await.unwrap();
        let templates = ec2.describe_launch_templates().send().await.unwrap();
        let target_groups = elb.describe_target_groups().send().await.unwrap();
        let mut balancers = elb.describe_load_balancers().send().await.unwrap();
        // It becomes active by itself.
        balancers.load_balancers.iter_mut().flatten().for_each(|balancer| balancer.state = None);
        let scaling = autoscaling.describe_auto_scaling_groups().send().await.unwrap();
        format!(
            "{:?}{:?}{:?}{:?}{:?}",
            groups.security_groups,
            templates.launch_templates,
            target_groups.target_groups,
            balancers.load_balancers,
            scaling.auto_scaling_groups
        )
    }

    /// What creating each resource of these types comes to, as if nothing were there.
    async fn create(&self, stack: &Stack, kinds: &[&str]) -> Vec<(String, Result<Output, Problem>)> {
        let observed = |(id, zone): &(String, String)| LiveSubnet { id: Value::Text(id.clone()), zone: zone.clone() };
        let network = LiveNetwork {
            vpc: Value::Text(self.vpc.clone()),
            subnets: self.subnets.iter().take(2).map(observed).collect(),
        };
        let cloud = Snapshot::empty("shop").with::<StackNetwork>(vec![network]);
        let scope = Scope { stack, cloud: &cloud };
        let mut run = Operation::new(self.clients.clone(), "shop", Arc::new(Deaf), CancellationToken::new(), LIMIT);
        // What the types refer to, and is none of them here.
        run.publish(&security_group::LOAD_BALANCER, Output::id(&self.another));
        run.publish(&security_group::INSTANCES, Output::id("sg-0123456789abcdef1"));
        run.publish(&target_group::address("crew"), Output::id("arn:aws:elasticloadbalancing:x"));
        let template = Output { revision: "1".to_owned(), ..Output::id("lt-0123456789abcdef0") };
        run.publish(&launch_template::address("crew"), template);
        let mut outcomes = Vec::new();
        for resource in TYPES.iter().filter(|resource| kinds.contains(&resource.kind())) {
            let all = resource.desired(&scope);
            run.prepared.extend(resource.prepare(&*run.provider, all.iter().collect()).await.unwrap());
            for desired in all {
                let context =
                    ActionContext { run: &run, address: &desired.address, spec: &desired.spec, tags_to_drop: &[] };
                let outcome = resource.create(&context, &desired).await;
                outcomes.push((desired.address.to_string(), outcome));
            }
        }
        outcomes
    }
}

fn stack() -> Stack {
    let text = format!(
        "name: shop\nclusters:\n  web: {{image: {IMAGE}, instances: 1, routes: [/web]}}\n  \
         crew: {{image: {IMAGE}, autoscaling: {{min: 0, max: 2}}, routes: [/crew]}}\n"
    );
    let source = Source { name: "stack.yaml".to_owned(), text };
    parse(source.into(), "stack.yaml".as_ref(), &Overrides::default()).expect("a valid stack").0
}

#[tokio::test]
async fn nothing_foreign_is_taken_over_when_a_name_is_found_taken() {
    let cloud = Cloud::new().await;
    cloud.foreign().await;
    let before = cloud.seen().await;
    let kinds = ["security_group", "launch_template", "target_group", "load_balancer", "scaling_group"];
    let outcomes = cloud.create(&stack(), &kinds).await;
    let addresses: Vec<&str> = outcomes.iter().map(|(address, _)| address.as_str()).collect();
    assert_eq!(addresses.len(), 8, "{addresses:?}");
    for (address, outcome) in &outcomes {
        let problem = outcome.as_ref().expect_err(address);
        assert_eq!(problem.summary, "A resource of this name belongs to someone else", "{address}: {problem:?}");
    }
    assert_eq!(cloud.seen().await, before, "and nothing of it was changed");
    cloud.stop.cancel();
}

#[tokio::test]
async fn a_security_group_of_another_stack_is_foreign_and_one_of_an_earlier_run_is_completed() {
    let cloud = Cloud::new().await;
    cloud.security_group(&names::load_balancer_security_group("shop"), Some("shop2")).await;
    let ours = cloud.security_group(&names::instances_security_group("shop"), Some("shop")).await;
    let outcomes = cloud.create(&stack(), &["security_group"]).await;
    let [(_, foreign), (_, own)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(foreign.as_ref().unwrap_err().summary, "A resource of this name belongs to someone else");
    assert_eq!(own.as_ref().unwrap().id, ours);
    let found = cloud.clients.ec2.describe_security_groups().group_ids(&ours).send().await.unwrap();
    let ports: Vec<_> = found.security_groups()[0].ip_permissions().iter().map(|rule| rule.from_port()).collect();
    assert_eq!(ports, [Some(8080)], "its ways in are made");
    cloud.stop.cancel();
}
