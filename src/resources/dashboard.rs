//! The stack's CloudWatch dashboard: sizes, requests, latency and health of every cluster, and the alarms that scale
//! them.
//!
//! Widgets name load balancer and target groups by what AWS has called them. Where desired and observed are compared,
//! the address stands in place of such a name: so there is a plan before anything exists. A dashboard is known by its
//! name; it has no tags.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::alarm;
use super::load_balancer::{self, DescribeLoadBalancers};
use super::scaling_policy::{self, DescribePolicies, policies};
use super::target_group;
use super::target_group::DescribeTargetGroups;
use crate::aws::arn::{alarm_arn, full_name};
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query};
use crate::problem::Problem;
use crate::resource::change::{Action, FieldChange};
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::outlook::{Consequence, PartView};
use crate::resource::{Output, Resource, Scope};
use crate::stack::model::Stack;
use crate::stack::names;

pub const ADDRESS: Address = Address::fixed("dashboard");
/// The grid has 24 columns (CloudWatch API Reference, "Dashboard Body Structure and Syntax").
const WIDTH: usize = 24;
const HEIGHT: usize = 6;
/// What AWS publishes of load balancers comes once a minute.
const PERIOD_S: u32 = 60;
/// Alarms of one widget (same page).
const ALARMS_PER_WIDGET: usize = 100;

#[derive(Debug)]
pub struct Dashboard;

#[derive(Clone, Debug)]
pub struct Desired {
    name: String,
    region: String,
    /// In the order of the stack.
    clusters: Vec<String>,
    alarms: Vec<Shown>,
}

/// The alarms of one policy.
#[derive(Clone, Debug)]
struct Shown {
    cluster: String,
    policy: String,
    /// Its name where it is ours; AWS makes, and names, those of target tracking.
    own: Option<String>,
}

impl Shown {
    fn policy_address(&self) -> Address {
        scaling_policy::address(&self.cluster, &self.policy)
    }

    fn reference(&self) -> Value {
        Value::Ref(match self.own {
            Some(_) => alarm::address(&self.cluster, &self.policy),
            None => self.policy_address(),
        })
    }
}

#[derive(Clone, Debug)]
pub struct Observed {
    name: String,
    /// `None` where it was not asked for.
    body: Option<String>,
}

impl Resource for Dashboard {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "dashboard";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<ListDashboards>::NEW];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let stack = scope.stack;
        if !stack.dashboard || scope.cloud.lacks::<ListDashboards>() {
            return Vec::new();
        }
        let alarms = policies(scope).map(|(cluster, policy)| Shown {
            cluster: cluster.to_owned(),
            policy: policy.name().to_owned(),
            own: policy.trigger().map(|_| names::in_group(&names::group(&stack.name, cluster), policy.name())),
        });
        let desired = Desired {
            name: names::dashboard(&stack.name),
            region: stack.region.clone(),
            clusters: stack.serving().map(|cluster| cluster.name.clone()).collect(),
            alarms: alarms.collect(),
        };
        vec![(ADDRESS, desired)]
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        cloud.all::<ListDashboards>().iter().map(|found| (ADDRESS, found.clone())).collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let groups = desired.clusters.iter().map(|cluster| Value::Ref(target_group::address(cluster)));
        let alarms = desired.alarms.iter().map(Shown::reference);
        let names = |address: &Address| format!("${{{address}}}");
        let fields = Fields::default().reference("load_balancer", load_balancer::ADDRESS);
        let fields = fields.values("target_groups", set(groups)).values("alarms", set(alarms));
        let widgets = widgets(desired, &names, Vec::new());
        widgets.iter().fold(fields, |fields, widget| fields.text(path(widget), canonical(widget)))
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let Some(body) = &observed.body else { return Fields::default() };
        let Ok(Json::Object(mut body)) = serde_json::from_str::<Json>(body) else {
            return Fields::default().text("body", "no JSON object");
        };
        let widgets = body.remove("widgets").unwrap_or_default();
        let (alarms, others): (Vec<_>, Vec<_>) =
            widgets.as_array().into_iter().flatten().partition(|widget| widget["type"] == "alarm");
        let shown: BTreeSet<&str> = alarms.iter().flat_map(|widget| alarms_of(widget)).collect();
        let mut fields = Fields::default();
        let mut texts: Vec<_> = others.into_iter().map(|widget| (path(widget), canonical(widget))).collect();
        for (field, arns) in [("load_balancer", load_balancers(cloud)), ("target_groups", target_groups(cloud))] {
            fields = fields.values(field, set(stand_for_addresses(&mut texts, arns, cloud)));
        }
        fields = fields.values("alarms", set(known_alarms(&shown, cloud)));
        for (key, value) in &body {
            fields = fields.text(key.clone(), canonical(value));
        }
        let mut seen = BTreeMap::<String, usize>::new();
        for (path, text) in texts {
            let count = seen.entry(path.clone()).or_default();
            *count += 1;
            // Somebody may have copied a widget.
            fields = fields.text(if *count == 1 { path } else { format!("{path} ({count})") }, text);
        }
        fields
    }

    fn depends_on(desired: &Desired) -> Vec<Address> {
        desired.alarms.iter().map(Shown::policy_address).collect()
    }

    fn consequence(part: PartView<'_>) -> Consequence {
        match part.overall() {
            Action::Create => {
                Consequence::sentence(Action::Create, "sizes, requests, latency, health and alarms of the clusters")
            }
            Action::Delete => Consequence::sentence(Action::Delete, "the CloudWatch dashboard is deleted"),
            _ => part.consequence(),
        }
    }

    fn output(observed: &Observed) -> Output {
        Output::id(&observed.name)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        put(context, desired).await
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        _observed: &Observed,
        _: &[FieldChange],
    ) -> Result<Output, Problem> {
        put(context, desired).await
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let call = context.clients().cloudwatch.delete_dashboards().dashboard_names(&observed.name).send().await;
        settled(call, &["ResourceNotFound"])
            .map_err(|error| error.problem("cloudwatch:DeleteDashboards", context.address))
    }
}

/// Creates or changes: the call is idempotent by name.
async fn put(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
    let mut names = BTreeMap::new();
    for address in desired.clusters.iter().map(|cluster| target_group::address(cluster)).chain([load_balancer::ADDRESS])
    {
        let name = full_name(&context.output(&address)?.id);
        names.insert(address, name);
    }
    let mut arns = Vec::new();
    for shown in &desired.alarms {
        let policy = context.output(&shown.policy_address())?;
        match &shown.own {
            Some(name) => arns.extend(alarm_arn(&policy.id, name)),
            None => arns.extend(policy.members),
        }
    }
    let widgets = widgets(desired, &|address| names.get(address).cloned().unwrap_or_default(), arns);
    let body = json!({ "widgets": widgets }).to_string();
    let request = context.clients().cloudwatch.put_dashboard().dashboard_name(&desired.name).dashboard_body(body);
    context.fresh("cloudwatch:PutDashboard", || request.clone().send()).await?;
    Ok(Output::id(&desired.name))
}

fn set(values: impl IntoIterator<Item = Value>) -> Option<Value> {
    let values: Vec<_> = values.into_iter().collect();
    (!values.is_empty()).then(|| Value::set(values))
}

/// A row of four for each cluster, then the alarms. `name` gives what AWS calls the resource at an address.
fn widgets(desired: &Desired, name: &dyn Fn(&Address) -> String, alarms: Vec<String>) -> Vec<Json> {
    let mut widgets = Vec::new();
    for (row, cluster) in desired.clusters.iter().enumerate() {
        let metric = |metric: &str, options: Json| {
            let dimensions =
                ["TargetGroup", &name(&target_group::address(cluster)), "LoadBalancer", &name(&load_balancer::ADDRESS)];
            let names = ["AWS/ApplicationELB", metric].into_iter().chain(dimensions);
            Json::Array(names.map(Json::from).chain([options]).collect())
        };
        // Statistics as the Elastic Load Balancing User Guide gives them for each metric.
        let columns = [
            (
                "size",
                "targets",
                vec![
                    metric("HealthyHostCount", json!({"id": "healthy", "stat": "Average", "visible": false})),
                    metric("UnHealthyHostCount", json!({"id": "unhealthy", "stat": "Average", "visible": false})),
                    json!([{"expression": "healthy + unhealthy", "id": "size", "label": "registered"}]),
                ],
            ),
            (
                "requests",
                "a minute",
                vec![
                    metric("RequestCount", json!({"stat": "Sum", "label": "requests"})),
                    metric("HTTPCode_Target_5XX_Count", json!({"stat": "Sum", "label": "5xx", "color": "#d62728"})),
                ],
            ),
            (
                "latency",
                "seconds",
                vec![
                    metric("TargetResponseTime", json!({"stat": "Average", "label": "average"})),
                    metric("TargetResponseTime", json!({"stat": "p50", "label": "p50"})),
                    metric("TargetResponseTime", json!({"stat": "p99", "label": "p99"})),
                ],
            ),
            (
                "health",
                "targets",
                vec![
                    metric(
                        "HealthyHostCount",
                        json!({"stat": "Minimum", "label": "fewest healthy", "color": "#2ca02c"}),
                    ),
                    metric(
                        "UnHealthyHostCount",
                        json!({"stat": "Maximum", "label": "most unhealthy", "color": "#d62728"}),
                    ),
                ],
            ),
        ];
        let width = WIDTH / columns.len();
        widgets.extend(columns.into_iter().enumerate().map(|(column, (what, unit, metrics))| {
            json!({
                "type": "metric", "x": column * width, "y": row * HEIGHT, "width": width, "height": HEIGHT,
                "properties": {
                    "title": format!("{cluster}: {what}"), "region": desired.region, "view": "timeSeries",
                    "stacked": false, "period": PERIOD_S, "metrics": metrics,
                    "yAxis": {"left": {"min": 0, "label": unit, "showUnits": false}},
                },
            })
        }));
    }
    let below = desired.clusters.len() * HEIGHT;
    widgets.extend(alarms.chunks(ALARMS_PER_WIDGET).enumerate().map(|(row, arns)| {
        json!({
            "type": "alarm", "x": 0, "y": below + row * HEIGHT, "width": WIDTH, "height": HEIGHT,
            "properties": {"title": "alarms", "alarms": arns},
        })
    }));
    widgets
}

/// `widget.web.requests`, after the title.
fn path(widget: &Json) -> String {
    let title = widget["properties"]["title"].as_str().unwrap_or("untitled");
    format!("widget.{}", title.replace(": ", "."))
}

/// The same text for the same JSON, whatever the order of its keys.
fn canonical(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            let fields = fields.into_iter().map(|(key, value)| format!("{}:{}", Json::from(&**key), canonical(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Json::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        value => value.to_string(),
    }
}

fn load_balancers(cloud: &Snapshot) -> Vec<&str> {
    cloud.all::<DescribeLoadBalancers>().iter().filter_map(|balancer| balancer.load_balancer_arn()).collect()
}

fn target_groups(cloud: &Snapshot) -> Vec<&str> {
    cloud.all::<DescribeTargetGroups>().iter().filter_map(|group| group.target_group_arn()).collect()
}

/// Puts addresses in place of AWS's names in the texts; answers with what was found there.
fn stand_for_addresses(texts: &mut [(String, String)], arns: Vec<&str>, cloud: &Snapshot) -> Vec<Value> {
    let mut found = Vec::new();
    for arn in arns {
        let (name, Some(address)) = (format!("\"{}\"", full_name(arn)), cloud.address_of(arn)) else { continue };
        let mut is_there = false;
        for (_, text) in texts.iter_mut().filter(|(_, text)| text.contains(&name)) {
            *text = text.replace(&name, &format!("\"${{{address}}}\""));
            is_there = true;
        }
        found.extend(is_there.then(|| Value::observed(cloud, arn)));
    }
    found
}

fn alarms_of(widget: &Json) -> impl Iterator<Item = &str> {
    widget["properties"]["alarms"].as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// Alarms that are shown: our own, those of a policy where all of them are there, and any others as they stand.
fn known_alarms(shown: &BTreeSet<&str>, cloud: &Snapshot) -> Vec<Value> {
    let mut left = shown.clone();
    let mut found = Vec::new();
    for policy in cloud.all::<DescribePolicies>() {
        let arns: Vec<&str> = scaling_policy::aws_alarms(policy).collect();
        let Some(address) = scaling_policy::address_of(cloud, policy) else { continue };
        if !arns.is_empty() && arns.iter().all(|arn| shown.contains(arn)) {
            found.push(Value::Ref(address));
            arns.iter().for_each(|arn| {
                left.remove(arn);
            });
        }
    }
    found.extend(left.into_iter().map(|arn| {
        let ours = arn.rsplit(':').next().and_then(|name| names::cluster_of(&cloud.stack, name));
        ours.map_or_else(|| Value::Text(arn.to_owned()), |(cluster, name)| Value::Ref(alarm::address(cluster, name)))
    }));
    found
}

/// The dashboard of the stack, by its name.
#[derive(Debug)]
pub struct ListDashboards;

impl Collection for ListDashboards {
    type Item = Observed;

    const OURS_ONLY: bool = false;

    fn leftover(item: &Observed) -> Option<String> {
        Some(format!("dashboard {}", item.name))
    }
}

impl Listing for ListDashboards {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Observed>>, Problem> {
        let name = names::dashboard(&query.cloud.stack);
        let pages = query.clients.cloudwatch.list_dashboards().dashboard_name_prefix(&name).into_paginator().send();
        let pages = match pages.try_collect().await {
            Ok(pages) => pages,
            Err(error) if quirks::lacks(&error) => return Ok(None),
            Err(error) => return Err(error.problem("cloudwatch:ListDashboards", &query.cloud.stack)),
        };
        let names = pages.iter().flat_map(|page| page.dashboard_entries()).filter_map(|entry| entry.dashboard_name());
        if !names.into_iter().any(|found| found == name) {
            return Ok(Some(Vec::new()));
        }
        if query.depth != Depth::Plan {
            return Ok(Some(vec![Observed { name, body: None }]));
        }
        match query.clients.cloudwatch.get_dashboard().dashboard_name(&name).send().await {
            Ok(answer) => Ok(Some(vec![Observed { name, body: answer.dashboard_body }])),
            Err(error) if error.is(&["ResourceNotFound"]) => Ok(Some(Vec::new())),
            Err(error) => Err(error.problem("cloudwatch:GetDashboard", &query.cloud.stack)),
        }
    }

    fn missed_by(stack: Option<&Stack>) -> Option<String> {
        stack?
            .dashboard
            .then(|| "this endpoint has no CloudWatch dashboards: `dashboard: true` makes none here".to_owned())
    }
}

#[cfg(test)]
mod tests;
