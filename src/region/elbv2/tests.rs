//! The control plane through its operations, with EC2 as its neighbour.

mod addresses;
mod certificates;
mod transforms;

use crate::region::delays::Delays;
use crate::region::signal::{ProbeOutcome, Signal};
use crate::region::simulated::Simulated;
use crate::region::wire::{Params, Request, Service, Value};
use crate::stack::local::{Local, Profile};

fn fields(pairs: &[(&str, Value)]) -> Value {
    Value::Map(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn texts(texts: &[&str]) -> Value {
    Value::list(texts.iter().map(|text| Value::from(*text)))
}

/// The default network, and a bench whose targets answer their health checks by hand.
struct Cloud {
    bench: Simulated,
    vpc: String,
    subnets: Vec<String>,
}

impl Cloud {
    fn new() -> Self {
        let mut bench = Simulated::with_shells_by_hand();
        let subnets = bench.subnets();
        let vpc = bench.ec2("DescribeVpcs", "").maps("vpcSet")[0].text("vpcId").unwrap().to_owned();
        Self { bench, vpc, subnets }
    }

    fn ask(&mut self, service: Service, operation: &str, pairs: &[(&str, Value)]) -> Result<Params, String> {
        let Value::Map(params) = fields(pairs) else { unreachable!() };
        let request = Request { service, operation: operation.to_owned(), params: Params(params) };
        match self.bench.call(&request) {
            Ok(Value::Map(fields)) => Ok(Params(fields)),
            Ok(other) => panic!("{operation} answered {other:?}"),
            Err(error) => Err(error.code),
        }
    }

    fn elb(&mut self, operation: &str, pairs: &[(&str, Value)]) -> Result<Params, String> {
        self.ask(Service::Elbv2, operation, pairs)
    }

    /// The named field of the one thing that was created or described.
    fn one(&mut self, operation: &str, list: &str, field: &str, pairs: &[(&str, Value)]) -> String {
        let answer = self.elb(operation, pairs).unwrap_or_else(|code| panic!("{operation}: {code}"));
        answer.maps(list)[0].text(field).unwrap_or_else(|| panic!("{operation} without {field}")).to_owned()
    }

    fn load_balancer(&mut self, name: &str) -> String {
        let subnets = Value::list(self.subnets[..2].iter().map(|subnet| Value::from(subnet.as_str())));
        let params = [("Name", Value::from(name)), ("Subnets", subnets)];
        self.one("CreateLoadBalancer", "LoadBalancers", "LoadBalancerArn", &params)
    }

    fn target_group(&mut self, name: &str) -> String {
        let params = [
            ("Name", Value::from(name)),
            ("Protocol", Value::from("HTTP")),
            ("Port", Value::from("8080")),
            ("VpcId", Value::from(self.vpc.as_str())),
            ("HealthCheckIntervalSeconds", Value::from("10")),
            ("HealthyThresholdCount", Value::from("3")),
        ];
        self.one("CreateTargetGroup", "TargetGroups", "TargetGroupArn", &params)
    }

    fn listener(&mut self, load_balancer: &str, port: &str, action: Value) -> Result<String, String> {
        let params = [
            ("LoadBalancerArn", Value::from(load_balancer)),
            ("Protocol", Value::from("HTTP")),
            ("Port", Value::from(port)),
            ("DefaultActions", Value::list([action])),
        ];
        self.elb("CreateListener", &params)
            .map(|answer| answer.maps("Listeners")[0].text("ListenerArn").unwrap().to_owned())
    }

    fn rule(&mut self, listener: &str, priority: &str, path: &str, action: Value) -> Result<String, String> {
        let condition = fields(&[("Field", Value::from("path-pattern")), ("Values", texts(&[path]))]);
        let params = [
            ("ListenerArn", Value::from(listener)),
            ("Priority", Value::from(priority)),
            ("Conditions", Value::list([condition])),
            ("Actions", Value::list([action])),
        ];
        self.elb("CreateRule", &params).map(|answer| answer.maps("Rules")[0].text("RuleArn").unwrap().to_owned())
    }

    fn priorities(&mut self, listener: &str) -> Vec<(String, String)> {
        let answer = self.elb("DescribeRules", &[("ListenerArn", Value::from(listener))]).unwrap();
        let text = |rule: &Params, field: &str| rule.text(field).unwrap().to_owned();
        answer.maps("Rules").iter().map(|rule| (text(rule, "Priority"), text(rule, "RuleArn"))).collect()
    }

    /// An instance that runs.
    fn instance(&mut self) -> String {
        let params = [
            ("ImageId", Value::from("ami-0a1b2c3d4e5f60001")),
            ("InstanceType", Value::from("t2.large")),
            ("MinCount", Value::from("1")),
            ("MaxCount", Value::from("1")),
            ("SubnetId", Value::from(self.subnets[0].as_str())),
        ];
        let answer = self.ask(Service::Ec2, "RunInstances", &params).unwrap();
        let instance = answer.maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
        self.tell(Signal::ProcessStarted { instance: instance.clone() });
        instance
    }

    fn tell(&mut self, signal: Signal) {
        self.bench.signal(signal);
    }

    fn wait(&mut self, seconds: i64) {
        self.bench.run(seconds);
    }

    fn register(&mut self, group: &str, instance: &str) -> Result<Params, String> {
        let targets = Value::list([fields(&[("Id", Value::from(instance))])]);
        self.elb("RegisterTargets", &[("TargetGroupArn", Value::from(group)), ("Targets", targets)])
    }

    /// State and reason of the group's first target.
    fn health(&mut self, group: &str) -> (String, String) {
        let answer = self.elb("DescribeTargetHealth", &[("TargetGroupArn", Value::from(group))]).unwrap();
        let Some(first) = answer.maps("TargetHealthDescriptions").first().cloned() else { return Default::default() };
        let health = first.map("TargetHealth").unwrap();
        let text = |field: &str| health.text(field).unwrap_or_default().to_owned();
        (text("State"), text("Reason"))
    }

    fn probed(&mut self, group: &str, instance: &str, outcome: ProbeOutcome) {
        let (target_group, instance) = (group.to_owned(), instance.to_owned());
        self.tell(Signal::ProbeResult { target_group, instance, port: 8080, outcome });
    }

    fn probes(&mut self) -> usize {
        let outward = std::mem::take(&mut self.bench.outward);
        outward.iter().filter(|signal| matches!(signal, Signal::Probe(_))).count()
    }
}

fn forward(group: &str) -> Value {
    fields(&[("Type", Value::from("forward")), ("TargetGroupArn", Value::from(group))])
}

fn not_found() -> Value {
    let config = fields(&[("StatusCode", Value::from("404")), ("MessageBody", Value::from("no such cluster\n"))]);
    fields(&[("Type", Value::from("fixed-response")), ("FixedResponseConfig", config)])
}

#[test]
fn a_load_balancer_becomes_active_and_its_name_is_taken() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    assert!(arn.starts_with("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/lab/"), "{arn}");
    let state = |cloud: &mut Cloud| {
        let answer = cloud.elb("DescribeLoadBalancers", &[("Names", texts(&["lab"]))]).unwrap();
        answer.maps("LoadBalancers")[0].map("State").unwrap().text("Code").unwrap().to_owned()
    };
    assert_eq!(state(&mut cloud), "provisioning");
    cloud.wait(1);
    assert_eq!(state(&mut cloud), "active");
    assert_eq!(cloud.load_balancer("lab"), arn, "the same settings are the same load balancer");
    let subnets = texts(&[&cloud.subnets[0].clone(), &cloud.subnets[2].clone()]);
    let other = cloud.elb("CreateLoadBalancer", &[("Name", Value::from("lab")), ("Subnets", subnets)]);
    assert_eq!(other.unwrap_err(), "DuplicateLoadBalancerName");
    let one = texts(&[&cloud.subnets[0].clone()]);
    let one_zone = cloud.elb("CreateLoadBalancer", &[("Name", Value::from("one")), ("Subnets", one)]);
    assert_eq!(one_zone.unwrap_err(), "ValidationError");
    assert_eq!(cloud.elb("DescribeLoadBalancers", &[("Names", texts(&["none"]))]).unwrap_err(), "LoadBalancerNotFound");
}

#[test]
fn the_dns_name_carries_the_port_where_low_ports_are_refused() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    let name = |cloud: &mut Cloud| cloud.one("DescribeLoadBalancers", "LoadBalancers", "DNSName", &[]);
    assert!(!name(&mut cloud).contains(':'));
    cloud.listener(&arn, "80", not_found()).unwrap();
    assert!(name(&mut cloud).ends_with(":8080"));
    assert_eq!(cloud.listener(&arn, "8080", not_found()).unwrap_err(), "DuplicateListener");
    cloud.tell(Signal::LowPorts { allowed: true });
    assert!(!name(&mut cloud).contains(':'));
    cloud.listener(&arn, "8080", not_found()).unwrap();
}

#[test]
fn a_listener_that_cannot_be_served_fails_its_load_balancer_with_the_reason() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    let listener = cloud.listener(&arn, "80", not_found()).unwrap();
    cloud.tell(Signal::ListenerServed { listener, problem: Some("port taken".to_owned()) });
    let answer = cloud.elb("DescribeLoadBalancers", &[]).unwrap();
    let state = answer.maps("LoadBalancers")[0].map("State").unwrap();
    assert_eq!((state.text("Code"), state.text("Reason")), (Some("failed"), Some("port taken")));
}

#[test]
fn a_target_group_in_use_stays_and_serves_one_load_balancer_only() {
    let mut cloud = Cloud::new();
    let (first, second, group) = (cloud.load_balancer("a"), cloud.load_balancer("b"), cloud.target_group("light"));
    let listener = cloud.listener(&first, "80", not_found()).unwrap();
    let rule = cloud.rule(&listener, "1", "/cluster1", forward(&group)).unwrap();
    let delete = [("TargetGroupArn", Value::from(group.as_str()))];
    assert_eq!(cloud.elb("DeleteTargetGroup", &delete).unwrap_err(), "ResourceInUse");
    assert_eq!(cloud.listener(&second, "80", forward(&group)).unwrap_err(), "TargetGroupAssociationLimit");
    cloud.elb("DeleteRule", &[("RuleArn", Value::from(rule))]).unwrap();
    cloud.elb("DeleteTargetGroup", &delete).unwrap();
    assert_eq!(cloud.rule(&listener, "1", "/x", forward(&group)).unwrap_err(), "TargetGroupNotFound");
}

#[test]
fn listeners_and_priorities_are_unique_and_go_with_their_load_balancer() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    let listener = cloud.listener(&arn, "80", not_found()).unwrap();
    assert_eq!(
        cloud.listener(&arn, "80", not_found()).unwrap(),
        listener,
        "the same settings again, the same listener"
    );
    let group = cloud.target_group("light");
    assert_eq!(cloud.listener(&arn, "80", forward(&group)).unwrap_err(), "DuplicateListener");
    cloud.rule(&listener, "7", "/a", not_found()).unwrap();
    assert_eq!(cloud.rule(&listener, "7", "/b", not_found()).unwrap_err(), "PriorityInUse");
    assert_eq!(cloud.rule(&listener, "50001", "/b", not_found()).unwrap_err(), "ValidationError");
    cloud.elb("DeleteLoadBalancer", &[("LoadBalancerArn", Value::from(arn))]).unwrap();
    let gone = cloud.elb("DescribeListeners", &[("ListenerArns", texts(&[&listener]))]);
    assert_eq!(gone.unwrap_err(), "ListenerNotFound");
}

#[test]
fn an_order_is_answered_only_where_it_was_given() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    let orders = |cloud: &mut Cloud| -> Vec<Option<i64>> {
        let answer = cloud.elb("DescribeListeners", &[("LoadBalancerArn", Value::from(arn.as_str()))]).unwrap();
        let actions = answer.maps("Listeners").into_iter().map(|it| it.maps("DefaultActions").remove(0));
        actions.map(|action| action.int("Order").unwrap()).collect()
    };
    cloud.listener(&arn, "80", not_found()).unwrap();
    assert_eq!(orders(&mut cloud), [None]);
    cloud.listener(&arn, "81", not_found().with("Order", Value::from("2"))).unwrap();
    let mut both = orders(&mut cloud);
    both.sort_unstable();
    assert_eq!(both, [None, Some(2)]);
}

#[test]
fn two_rules_swap_their_priorities_in_one_call() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    let listener = cloud.listener(&arn, "80", not_found()).unwrap();
    let first = cloud.rule(&listener, "1", "/a", not_found()).unwrap();
    let second = cloud.rule(&listener, "2", "/b", not_found()).unwrap();
    let third = cloud.rule(&listener, "3", "/c", not_found()).unwrap();
    let pair = |rule: &str, to: &str| fields(&[("RuleArn", Value::from(rule)), ("Priority", Value::from(to))]);
    let swap = Value::list([pair(&first, "2"), pair(&second, "1")]);
    cloud.elb("SetRulePriorities", &[("RulePriorities", swap)]).unwrap();
    let order: Vec<String> = cloud.priorities(&listener).into_iter().map(|(_, arn)| arn).collect();
    assert_eq!(order[..3], [second.clone(), first.clone(), third.clone()]);
    let before = cloud.priorities(&listener);
    let clash = Value::list([pair(&first, "9"), pair(&second, "3")]);
    assert_eq!(cloud.elb("SetRulePriorities", &[("RulePriorities", clash)]).unwrap_err(), "PriorityInUse");
    assert_eq!(cloud.priorities(&listener), before, "all or nothing");
    assert_eq!(before[3].0, "default");
}

#[test]
fn health_follows_use_checks_and_deregistration() {
    let mut cloud = Cloud::new();
    let (arn, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    let instance = cloud.instance();
    cloud.register(&group, &instance).unwrap();
    assert_eq!(cloud.health(&group), ("unused".to_owned(), "Target.NotInUse".to_owned()));
    cloud.wait(60);
    assert_eq!(cloud.probes(), 0, "nothing is checked that nothing uses");

    cloud.listener(&arn, "80", forward(&group)).unwrap();
    assert_eq!(cloud.probes(), 1, "the first check is made at once");
    assert_eq!(cloud.health(&group), ("initial".to_owned(), "Elb.InitialHealthChecking".to_owned()));
    cloud.probed(&group, &instance, ProbeOutcome::Status(200));
    assert_eq!(cloud.health(&group).0, "healthy");
    cloud.wait(60);
    assert!((5..=7).contains(&cloud.probes()));
    cloud.probed(&group, &instance, ProbeOutcome::Status(502));
    assert_eq!(cloud.health(&group).0, "healthy");
    cloud.probed(&group, &instance, ProbeOutcome::Timeout);
    assert_eq!(cloud.health(&group), ("unhealthy".to_owned(), "Target.Timeout".to_owned()));

    let targets = Value::list([fields(&[("Id", Value::from(instance.as_str()))])]);
    cloud.elb("DeregisterTargets", &[("TargetGroupArn", Value::from(group.as_str())), ("Targets", targets)]).unwrap();
    assert_eq!(cloud.health(&group), ("draining".to_owned(), "Target.DeregistrationInProgress".to_owned()));
    cloud.tell(Signal::TargetIdle { target_group: group.clone(), instance, port: 8080 });
    assert_eq!(cloud.health(&group), Default::default(), "an idle target is gone before the delay");
}

/// "Even though target deregistration is complete, the status of the target is displayed as draining until the
/// deregistration delay timeout expires" (ELB user guide, "Deregistration delay"), and a group goes on at once.
#[test]
fn an_idle_target_is_shown_as_draining_to_the_end_of_its_delay_and_nobody_waits_for_it() {
    let mut cloud = Cloud::new();
    let local = Local { delays: Profile::Aws, ..Local::default() };
    cloud.bench.world = cloud.bench.world.with_delays(Delays::of(local));
    let (arn, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    let instance = cloud.instance();
    cloud.listener(&arn, "80", forward(&group)).unwrap();
    cloud.register(&group, &instance).unwrap();
    cloud.tell(Signal::DeregisterTargets { target_group: group.clone(), instances: vec![instance.clone()] });
    cloud.wait(10);
    let drains = |cloud: &Cloud| cloud.bench.world.services.elbv2.target_drains(&group, &instance);
    let routed = |cloud: &Cloud| cloud.bench.world.services.elbv2.routing().target_groups[0].targets.len();
    assert_eq!((drains(&cloud), routed(&cloud)), (true, 1));
    cloud.tell(Signal::TargetIdle { target_group: group.clone(), instance: instance.clone(), port: 8080 });
    assert_eq!((drains(&cloud), routed(&cloud)), (false, 0));
    let revision = cloud.bench.world.services.elbv2.revision();
    cloud.tell(Signal::TargetIdle { target_group: group.clone(), instance: instance.clone(), port: 8080 });
    assert_eq!(cloud.bench.world.services.elbv2.revision(), revision, "it is known already");
    cloud.wait(289);
    assert_eq!(cloud.health(&group), ("draining".to_owned(), "Target.DeregistrationInProgress".to_owned()));
    cloud.wait(1);
    assert_eq!(cloud.health(&group).0, "");
}

#[test]
fn a_target_that_stays_busy_is_gone_after_the_deregistration_delay() {
    let mut cloud = Cloud::new();
    let (arn, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    let instance = cloud.instance();
    cloud.listener(&arn, "80", forward(&group)).unwrap();
    cloud.register(&group, &instance).unwrap();
    cloud.tell(Signal::DeregisterTargets { target_group: group.clone(), instances: vec![instance] });
    cloud.wait(299);
    assert_eq!(cloud.health(&group).0, "draining");
    cloud.wait(1);
    assert_eq!(cloud.health(&group).0, "");
}

#[test]
fn a_target_that_drains_is_gone_when_nothing_uses_its_group_any_more() {
    let mut cloud = Cloud::new();
    let (arn, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    let instance = cloud.instance();
    cloud.listener(&arn, "80", forward(&group)).unwrap();
    cloud.register(&group, &instance).unwrap();
    cloud.tell(Signal::DeregisterTargets { target_group: group.clone(), instances: vec![instance] });
    assert_eq!(cloud.health(&group).0, "draining");
    cloud.elb("DeleteLoadBalancer", &[("LoadBalancerArn", Value::from(arn))]).unwrap();
    assert_eq!(cloud.health(&group).0, "");
}

#[test]
fn targets_must_be_instances_that_run() {
    let mut cloud = Cloud::new();
    let group = cloud.target_group("light");
    assert_eq!(cloud.register(&group, "i-00000000000000000").unwrap_err(), "InvalidTarget");
    assert_eq!(cloud.register("arn:none", "i-00000000000000000").unwrap_err(), "TargetGroupNotFound");
    let none = cloud.elb(
        "DescribeTargetHealth",
        &[
            ("TargetGroupArn", Value::from(group.as_str())),
            ("Targets", Value::list([fields(&[("Id", Value::from("i-1"))])])),
        ],
    );
    let health = none.unwrap().maps("TargetHealthDescriptions")[0].map("TargetHealth").unwrap();
    assert_eq!(health.text("Reason"), Some("Target.NotRegistered"));
}

#[test]
fn a_target_whose_instance_is_terminated_is_unused_and_then_leaves() {
    let mut cloud = Cloud::new();
    let (arn, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    let instance = cloud.instance();
    cloud.listener(&arn, "80", forward(&group)).unwrap();
    cloud.register(&group, &instance).unwrap();
    cloud.ask(Service::Ec2, "TerminateInstances", &[("InstanceId", texts(&[&instance]))]).unwrap();
    assert_eq!(cloud.health(&group), ("unused".to_owned(), "Target.InvalidState".to_owned()));
    cloud.tell(Signal::ProcessEnded { instance });
    cloud.wait(600);
    assert_eq!(cloud.health(&group).0, "");
}

#[test]
fn hosts_are_counted_for_each_target_group_and_zone_but_never_for_the_load_balancer_alone() {
    let mut cloud = Cloud::new();
    let (arn, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    let instance = cloud.instance();
    cloud.register(&group, &instance).unwrap();
    cloud.listener(&arn, "80", forward(&group)).unwrap();
    cloud.probed(&group, &instance, ProbeOutcome::Status(200));
    let counts = cloud.bench.world.services.elbv2.count_hosts();
    let shown = counts.iter().map(|(metric, count)| {
        let names: Vec<&str> = metric.dimensions().iter().map(|(name, _)| name.as_str()).collect();
        (metric.name.as_str(), names.join(" "), *count)
    });
    let (group, zone) = ("LoadBalancer TargetGroup".to_owned(), "AvailabilityZone LoadBalancer TargetGroup".to_owned());
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            ("HealthyHostCount", group.clone(), 1.0),
            ("UnHealthyHostCount", group, 0.0),
            ("HealthyHostCount", zone.clone(), 1.0),
            ("UnHealthyHostCount", zone, 0.0),
        ]
    );
}

#[test]
fn tags_come_with_the_creation_and_change_later() {
    let mut cloud = Cloud::new();
    let tag = |key: &str, value: &str| fields(&[("Key", Value::from(key)), ("Value", Value::from(value))]);
    let params = [
        ("Name", Value::from("light")),
        ("Protocol", Value::from("HTTP")),
        ("Port", Value::from("80")),
        ("VpcId", Value::from(cloud.vpc.as_str())),
        ("Tags", Value::list([tag("cloudscale:stack", "lab")])),
    ];
    let arn = cloud.one("CreateTargetGroup", "TargetGroups", "TargetGroupArn", &params);
    let arns = ("ResourceArns", texts(&[&arn]));
    cloud.elb("AddTags", &[arns.clone(), ("Tags", Value::list([tag("a", "1")]))]).unwrap();
    cloud.elb("RemoveTags", &[arns.clone(), ("TagKeys", texts(&["cloudscale:stack"]))]).unwrap();
    let described = cloud.elb("DescribeTags", std::slice::from_ref(&arns)).unwrap().maps("TagDescriptions")[0].clone();
    assert_eq!(described.list("Tags"), [tag("a", "1")]);
    for (key, value) in [("a&b", "1"), ("a", "x & y"), ("a", "*"), ("a", "tab\there")] {
        let tags = ("Tags", Value::list([tag(key, value)]));
        assert_eq!(cloud.elb("AddTags", &[arns.clone(), tags]).unwrap_err(), "ValidationError", "{key}: {value}");
    }
    cloud.elb("AddTags", &[arns.clone(), ("Tags", Value::list([tag("Größe 1_2.3:4/5=6+7-8@9", "日本")]))]).unwrap();
    let many = ("ResourceArns", texts(&[arn.as_str(); 21]));
    assert_eq!(cloud.elb("DescribeTags", &[many]).unwrap_err(), "ValidationError");
}

/// Every attribute that the data plane works by, with another value than its default.
#[test]
fn the_routing_follows_attributes_beyond_their_defaults() {
    use super::routing::{Algorithm, ForwardedFor, Stickiness};
    let mut cloud = Cloud::new();
    let (balancer, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    cloud.listener(&balancer, "80", forward(&group)).unwrap();
    let settings = |cloud: &Cloud| (*cloud.bench.world.services.elbv2.routing().listeners[0].settings).clone();
    let seconds = std::time::Duration::from_secs;
    let before = settings(&cloud);
    assert_eq!((before.idle_timeout, before.client_keep_alive), (seconds(60), seconds(3600)));
    assert_eq!((before.forwarded_for, before.forwarded_for_port), (ForwardedFor::Append, false));
    assert!(!before.drop_invalid_headers);
    let set = |cloud: &mut Cloud, operation: &str, of: &str, arn: &str, key: &str, value: &str| {
        let attribute = fields(&[("Key", Value::from(key)), ("Value", Value::from(value))]);
        cloud.elb(operation, &[(of, Value::from(arn)), ("Attributes", Value::list([attribute]))]).unwrap();
    };
    let balancers = "ModifyLoadBalancerAttributes";
    set(&mut cloud, balancers, "LoadBalancerArn", &balancer, "idle_timeout.timeout_seconds", "7");
    assert_eq!((settings(&cloud).idle_timeout, settings(&cloud).client_keep_alive), (seconds(7), seconds(3600)));
    set(&mut cloud, balancers, "LoadBalancerArn", &balancer, "client_keep_alive.seconds", "61");
    assert_eq!((settings(&cloud).idle_timeout, settings(&cloud).client_keep_alive), (seconds(7), seconds(61)));
    for (value, mode) in
        [("preserve", ForwardedFor::Preserve), ("remove", ForwardedFor::Remove), ("append", ForwardedFor::Append)]
    {
        set(&mut cloud, balancers, "LoadBalancerArn", &balancer, "routing.http.xff_header_processing.mode", value);
        assert_eq!(settings(&cloud).forwarded_for, mode);
    }
    set(&mut cloud, balancers, "LoadBalancerArn", &balancer, "routing.http.xff_client_port.enabled", "true");
    assert!(settings(&cloud).forwarded_for_port && !settings(&cloud).drop_invalid_headers);
    set(&mut cloud, balancers, "LoadBalancerArn", &balancer, "routing.http.drop_invalid_header_fields.enabled", "true");
    assert!(settings(&cloud).drop_invalid_headers);

    let routes = |cloud: &Cloud| cloud.bench.world.services.elbv2.routing().target_groups[0].clone();
    let groups = "ModifyTargetGroupAttributes";
    assert_eq!((routes(&cloud).algorithm, routes(&cloud).stickiness), (Algorithm::RoundRobin, None));
    set(&mut cloud, groups, "TargetGroupArn", &group, "stickiness.lb_cookie.duration_seconds", "9");
    assert_eq!(routes(&cloud).stickiness, None, "a duration alone turns nothing on");
    set(&mut cloud, groups, "TargetGroupArn", &group, "stickiness.enabled", "true");
    let lasts = |seconds| Some(Stickiness { stay: seconds, application: None });
    assert_eq!(routes(&cloud).stickiness, lasts(seconds(9)));
    set(&mut cloud, groups, "TargetGroupArn", &group, "slow_start.duration_seconds", "30");
    assert_eq!(routes(&cloud).slow_start, seconds(30));
    // It goes with round robin only.
    set(&mut cloud, groups, "TargetGroupArn", &group, "slow_start.duration_seconds", "0");
    for (value, algorithm) in [
        ("least_outstanding_requests", Algorithm::LeastOutstandingRequests),
        ("weighted_random", Algorithm::WeightedRandom),
        ("round_robin", Algorithm::RoundRobin),
    ] {
        set(&mut cloud, groups, "TargetGroupArn", &group, "load_balancing.algorithm.type", value);
        assert_eq!(routes(&cloud).algorithm, algorithm);
    }
}

/// `target_group_health.unhealthy_state_routing` (User Guide, "Target group health"): below the count, or below the
/// percentage, requests go to all targets; exactly at it they do not.
#[test]
fn a_group_fails_open_below_its_minimum_and_not_at_it() {
    let mut cloud = Cloud::new();
    let (balancer, group) = (cloud.load_balancer("lab"), cloud.target_group("light"));
    cloud.listener(&balancer, "80", forward(&group)).unwrap();
    let instances: Vec<String> = (0..4).map(|_| cloud.instance()).collect();
    for instance in &instances {
        cloud.register(&group, instance).unwrap();
    }
    for instance in &instances[..2] {
        cloud.probed(&group, instance, ProbeOutcome::Status(200));
    }
    let minimum = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
    let mut fails_open = |count: &str, percentage: &str| {
        let attribute = |key: &str, value: &str| {
            fields(&[("Key", Value::from(format!("{minimum}.{key}"))), ("Value", Value::from(value))])
        };
        let list = Value::list([attribute("count", count), attribute("percentage", percentage)]);
        cloud
            .elb("ModifyTargetGroupAttributes", &[("TargetGroupArn", Value::from(&*group)), ("Attributes", list)])
            .unwrap();
        cloud.bench.world.services.elbv2.routing().target_groups[0].fails_open
    };
    // Two of four are healthy.
    assert_eq!([fails_open("1", "off"), fails_open("2", "off"), fails_open("3", "off")], [false, false, true]);
    assert_eq!([fails_open("1", "50"), fails_open("1", "51"), fails_open("3", "50")], [false, true, true]);
}
