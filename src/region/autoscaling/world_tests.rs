//! A group in the real world: EC2's own model answers its signals, the processes are played.

use jiff::{SignedDuration, Timestamp};

use crate::region::signal::{InstanceState, Signal};
use crate::region::wire::{Params, Request, Service, Value, query};
use crate::region::world::World;

struct Story {
    world: World,
    now: Timestamp,
}

impl Story {
    fn call(&mut self, service: Service, operation: &str, form: &str) -> Params {
        let params = query::parse(form.as_bytes()).unwrap();
        let request = Request { service, operation: operation.to_owned(), params };
        let (answer, outward) = self.world.call(self.now, &request);
        self.play(outward);
        let Value::Map(fields) = answer.unwrap() else { panic!("{operation} answers a map") };
        Params(fields)
    }

    /// Processes start and end at once.
    fn play(&mut self, mut outward: Vec<Signal>) {
        while let Some(signal) = outward.pop() {
            let answer = match signal {
                Signal::Boot(boot) => Signal::ProcessStarted { instance: boot.instance },
                Signal::EndProcess { instance } => Signal::ProcessEnded { instance },
                _ => continue,
            };
            outward.extend(self.world.signal(self.now, answer));
        }
    }

    fn run(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.world.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let outward = self.world.advance(self.now);
            self.play(outward);
        }
        self.now = end;
    }

    fn in_service(&mut self) -> Vec<String> {
        let groups = self.call(Service::Autoscaling, "DescribeAutoScalingGroups", "").maps("AutoScalingGroups");
        let instances = groups.iter().flat_map(|group| group.maps("Instances"));
        let serving = instances.filter(|instance| instance.text("LifecycleState") == Some("InService"));
        serving.map(|instance| instance.text("InstanceId").unwrap().to_owned()).collect()
    }
}

#[test]
fn a_group_launches_through_ec2_replaces_what_died_and_ends_everything_with_itself() {
    let mut story = Story { world: World::new("us-east-1", 7), now: Timestamp::UNIX_EPOCH };
    let data = "LaunchTemplateName=web&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001&LaunchTemplateData.InstanceType=t3.micro";
    story.call(Service::Ec2, "CreateLaunchTemplate", data);
    let subnets = story.call(Service::Ec2, "DescribeSubnets", "").maps("subnetSet");
    let subnets: Vec<&str> = subnets.iter().take(2).filter_map(|subnet| subnet.text("subnetId")).collect();
    let form = format!(
        "AutoScalingGroupName=web&MinSize=2&MaxSize=4&LaunchTemplate.LaunchTemplateName=web&VPCZoneIdentifier={}\
         &Tags.member.1.Key=stack&Tags.member.1.Value=s&Tags.member.1.PropagateAtLaunch=true",
        subnets.join("%2C")
    );
    story.call(Service::Autoscaling, "CreateAutoScalingGroup", &form);
    story.run(10);
    let first = story.in_service();
    assert_eq!(first.len(), 2);
    let facts = story.world.services.ec2.instance_facts(&first[0]).unwrap();
    assert_eq!((facts.tags["stack"].as_str(), facts.tags["aws:autoscaling:groupName"].as_str()), ("s", "web"));

    story.call(Service::Ec2, "TerminateInstances", &format!("InstanceId.1={}", first[0]));
    story.run(10);
    let second = story.in_service();
    assert_eq!(second.len(), 2);
    assert!(!second.contains(&first[0]) && second.contains(&first[1]));

    // The whole process tree dies: EC2's status check fails, and the group replaces the instance.
    story.world.signal(story.now, Signal::ProcessEnded { instance: first[1].clone() });
    story.run(10);
    let third = story.in_service();
    assert_eq!(third.len(), 2);
    assert!(!third.contains(&first[1]));

    story.call(Service::Autoscaling, "DeleteAutoScalingGroup", "AutoScalingGroupName=web&ForceDelete=true");
    story.run(10);
    assert!(story.world.services.autoscaling.groups.is_empty());
    let states: Vec<InstanceState> =
        story.world.services.ec2.instances_facts().into_iter().map(|facts| facts.state).collect();
    assert_eq!(states, [InstanceState::Terminated; 4]);
}
