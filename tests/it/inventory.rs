//! Everything that there is in a region, whoever made it: the witness of what is left, doubled or touched.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::RouteTable;
use cloudscale::aws::clients::Clients;
use cloudscale::cloud::tags;
use cloudscale::cloud::tags::Tags;

/// One resource of a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    pub kind: &'static str,
    /// What tells it from all others.
    pub id: String,
    /// None where AWS gives none, or where they follow from what it belongs to.
    pub tags: Tags,
}

/// How many DescribeTags takes.
const ARNS_PER_CALL: usize = 20;

/// Lists a region, in order.
pub async fn inventory(clients: &Clients) -> Vec<Thing> {
    let machines = [networks(clients).await, machines(clients).await].concat();
    let mut things = [machines, balancers(clients).await, scaling(clients).await].concat();
    things.sort();
    things
}

/// How many there are of each kind.
pub fn counts(things: &[Thing]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for thing in things {
        *counts.entry(thing.kind).or_default() += 1;
    }
    counts
}

fn thing(kind: &'static str, id: Option<&str>, tags: Tags) -> Thing {
    Thing { kind, id: id.expect("AWS names everything").to_owned(), tags }
}

async fn machines(clients: &Clients) -> Vec<Thing> {
    let ec2 = &clients.ec2;
    let reservations = ec2.describe_instances().into_paginator().items().send().try_collect().await.expect("instances");
    let instances = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    let state = |instance: &aws_sdk_ec2::types::Instance| {
        instance.state().and_then(|state| state.name()).expect("a state").as_str().to_owned()
    };
    let instances = instances.filter(|instance| state(instance) != "terminated");
    let mut found: Vec<_> = instances.map(|i| thing("instance", i.instance_id(), tags::from_ec2(i.tags()))).collect();
    let groups = ec2.describe_security_groups().into_paginator().items().send().try_collect().await.expect("groups");
    // A VPC's default one comes and goes with it.
    let made = groups.iter().filter(|group| group.group_name() != Some("default"));
    found.extend(made.map(|g| thing("security group", g.group_id(), tags::from_ec2(g.tags()))));
    let pages = ec2.describe_launch_templates().max_results(200).into_paginator().items();
    let templates = pages.send().try_collect().await.expect("launch templates");
    let template = |t: &aws_sdk_ec2::types::LaunchTemplate| {
        thing("launch template", t.launch_template_id(), tags::from_ec2(t.tags()))
    };
    found.extend(templates.iter().map(template));
    found
}

async fn networks(clients: &Clients) -> Vec<Thing> {
    let ec2 = &clients.ec2;
    let vpcs = ec2.describe_vpcs().into_paginator().items().send().try_collect().await.expect("VPCs");
    let mut found: Vec<_> = vpcs.iter().map(|it| thing("VPC", it.vpc_id(), tags::from_ec2(it.tags()))).collect();
    let subnets = ec2.describe_subnets().into_paginator().items().send().try_collect().await.expect("subnets");
    found.extend(subnets.iter().map(|it| thing("subnet", it.subnet_id(), tags::from_ec2(it.tags()))));
    let gateways = ec2.describe_internet_gateways().into_paginator().items().send().try_collect().await;
    let gateways = gateways.expect("internet gateways");
    found.extend(
        gateways.iter().map(|it| thing("internet gateway", it.internet_gateway_id(), tags::from_ec2(it.tags()))),
    );
    let tables = ec2.describe_route_tables().into_paginator().items().send().try_collect().await.expect("route tables");
    // A VPC's main one comes and goes with it.
    let is_main = |table: &RouteTable| table.associations().iter().any(|association| association.main() == Some(true));
    let made = tables.iter().filter(|table| !is_main(table));
    found.extend(made.map(|it| thing("route table", it.route_table_id(), tags::from_ec2(it.tags()))));
    found
}

async fn balancers(clients: &Clients) -> Vec<Thing> {
    let elb = &clients.elb;
    let mut found = Vec::new();
    let balancers = elb.describe_load_balancers().into_paginator().items().send().try_collect().await.expect("ALBs");
    for balancer in &balancers {
        let arn = balancer.load_balancer_arn().expect("an ARN");
        found.push(thing("load balancer", Some(arn), Tags::new()));
        let listeners = elb.describe_listeners().load_balancer_arn(arn).into_paginator().items().send();
        for listener in listeners.try_collect().await.expect("listeners") {
            let arn = listener.listener_arn().expect("an ARN");
            found.push(thing("listener", Some(arn), Tags::new()));
            let rules = elb.describe_rules().listener_arn(arn).into_paginator().items().send().try_collect().await;
            let rules = rules.expect("rules").into_iter().filter(|rule| rule.is_default() != Some(true));
            found.extend(rules.map(|rule| thing("rule", rule.rule_arn(), Tags::new())));
        }
    }
    let groups = elb.describe_target_groups().into_paginator().items().send().try_collect().await.expect("groups");
    found.extend(groups.iter().map(|group| thing("target group", group.target_group_arn(), Tags::new())));
    let arns: Vec<_> = found.iter().map(|thing| thing.id.clone()).collect();
    let mut tagged = BTreeMap::new();
    for arns in arns.chunks(ARNS_PER_CALL) {
        let answer = elb.describe_tags().set_resource_arns(Some(arns.to_vec())).send().await.expect("tags");
        let rows = answer.tag_descriptions.unwrap_or_default();
        tagged.extend(rows.into_iter().map(|row| (row.resource_arn.clone(), tags::from_elb(row.tags()))));
    }
    for thing in &mut found {
        thing.tags = tagged.remove(&Some(thing.id.clone())).unwrap_or_default();
    }
    found
}

async fn scaling(clients: &Clients) -> Vec<Thing> {
    let scaling = &clients.autoscaling;
    let groups = scaling.describe_auto_scaling_groups().into_paginator().items().send().try_collect().await;
    let groups = groups.expect("groups");
    let mut found: Vec<_> =
        groups.iter().map(|g| thing("group", g.auto_scaling_group_name(), tags::from_group(g.tags()))).collect();
    let policies = scaling.describe_policies().into_paginator().items().send().try_collect().await.expect("policies");
    found.extend(policies.iter().map(|policy| thing("policy", policy.policy_arn(), Tags::new())));
    let actions = scaling.describe_scheduled_actions().into_paginator().items().send().try_collect().await;
    let actions = actions.expect("scheduled actions");
    found.extend(actions.iter().map(|a| thing("scheduled action", a.scheduled_action_arn(), Tags::new())));
    let pages = clients.cloudwatch.describe_alarms().into_paginator().send().try_collect().await.expect("alarms");
    let alarms = pages.into_iter().flat_map(|page| page.metric_alarms.unwrap_or_default());
    found.extend(alarms.map(|alarm| thing("alarm", alarm.alarm_arn(), Tags::new())));
    found
}
