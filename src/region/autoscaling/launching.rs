//! How a group grows: into the emptiest zone, registered with its target groups before it is in service, backing off
//! after a failed launch (aws-semantics §1, §8).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::activity::{self, Activity, Status, stamp};
use super::configuration::Configuration;
use super::group::{Failures, Group, PendingLaunch, Replacement};
use super::hook::Transition;
use super::member::{Lifecycle, Member, Template};
use super::mix::Purchase;
use super::notice;
use super::process::Process;
use crate::region::context::Context;
use crate::region::facts::SubnetFacts;
use crate::region::signal::{Launch, Signal};

/// Instances that a group starts at the same time: the rest waits until these run.
const LAUNCHING_MAX: usize = 50;
/// The wait after a failed launch, in seconds, doubled with each failure in a row. AWS backs off too, without figures.
const BACKOFF_SECONDS_FIRST: i64 = 5;
const BACKOFF_SECONDS_MAX: i64 = 300;
/// How long launches fail before AWS suspends them.
const GIVES_UP_SECONDS: i64 = 86_400;

/// The tag that says which group an instance is in.
pub(super) const GROUP_NAME_TAG: &str = "aws:autoscaling:groupName";

impl Group {
    pub(super) fn launch(&mut self, cx: &mut Context, missing: i64) {
        let count = self.launches_allowed(cx.now, missing);
        let mut missing = missing;
        let reasons = if count > 0 { std::mem::take(&mut self.reasons) } else { Vec::new() };
        let from = self.active();
        let to = from + i64::try_from(count).unwrap_or(0);
        for _ in 0..count {
            // The last instance may be more than is missing, but never one more than is needed.
            if missing <= 0 {
                return;
            }
            // What is launched ahead of a termination has no replacement yet.
            let ahead = self.surge_cause().filter(|_| reasons.is_empty());
            let ahead = ahead.map(|cause| Replacement { cause, grows: false });
            let replacement = self.replacements.pop_front().or(ahead);
            let grows = replacement.is_none_or(|replacement| replacement.grows) && self.growth_missing > 0;
            let cause = match replacement {
                Some(Replacement { cause, .. }) => {
                    format!("At {} an instance was launched {}.", stamp(cx.now), cause.words())
                }
                None => activity::cause(reasons.iter().cloned().chain([format!(
                    "At {} an instance was started in response to a difference between desired and actual capacity, increasing the capacity from {from} to {to}.",
                    stamp(cx.now)
                )])),
            };
            let weight = match self.ready_in_pool(cx) {
                Some(instance) => {
                    self.draw_from_pool(cx, &instance, cause, grows);
                    1
                }
                None => match self.launch_one(cx, cause, grows, false) {
                    Some(weight) => weight,
                    None => return,
                },
            };
            missing -= weight;
            if grows {
                self.growth_missing = (self.growth_missing - weight).max(0);
            }
        }
    }

    /// How many of so many missing instances may be launched now.
    pub(super) fn launches_allowed(&self, now: Timestamp, missing: i64) -> usize {
        let waits = self.failures.retry_at.is_some_and(|retry| retry > now);
        if self.deleting || waits || self.is_suspended(Process::Launch) {
            return 0;
        }
        let starts = |member: &&Member| member.lifecycle.is_pending() || member.lifecycle == Lifecycle::WarmedPending;
        let starting = self.launches.len() + self.members.iter().filter(starts).count();
        usize::try_from(missing).unwrap_or(0).min(LAUNCHING_MAX.saturating_sub(starting))
    }

    /// Launches one instance, into service or into the warm pool; how much of the desired capacity it is, or `None` when that
    /// failed at once.
    pub(super) fn launch_one(&mut self, cx: &mut Context, cause: String, grows: bool, into_pool: bool) -> Option<i64> {
        let subnet = self.emptiest_subnet(cx, into_pool);
        let activity = Activity {
            id: cx.ids.uuid(),
            description: launching(into_pool).to_owned(),
            cause,
            start: cx.now,
            end: None,
            status: Status::PreInService,
            message: None,
            details: activity::details(&subnet.id, &subnet.zone),
            of_pool: into_pool,
        };
        let id = activity.id.clone();
        self.history.add(activity);
        let configuration = self.configuration_to_launch().cloned();
        let template = match &configuration {
            Some(_) => None,
            None => match self.resolved_template(cx) {
                Ok(template) => Some(template),
                Err(message) => {
                    self.launch_failed(cx.now, &id, &message, &subnet.zone, None);
                    return None;
                }
            },
        };
        let purchase = self.next_purchase();
        let weight = self.mix_to_launch().map_or(1, |mix| mix.weight(purchase.instance_type.as_ref()));
        let tags = self.instance_tags();
        cx.send(Signal::LaunchInstance {
            group: self.name.clone(),
            activity: id.clone(),
            launch: Launch {
                launch_template_id: template.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
                version: template.as_ref().map(|it| it.version.clone()).unwrap_or_default(),
                configuration: configuration.as_ref().map(Configuration::launch_data),
                subnet: subnet.id.clone(),
                instance_type: purchase.instance_type.clone(),
                spot: purchase.spot,
                tags,
            },
        });
        let configuration = configuration.map(|configuration| configuration.name);
        self.launches.push(PendingLaunch {
            activity: id,
            subnet,
            template,
            configuration,
            purchase,
            weight,
            grows,
            into_pool,
        });
        Some(weight)
    }

    /// The template that is launched now, with a version number.
    ///
    /// # Errors
    /// Why there is none.
    fn resolved_template(&self, cx: &Context) -> Result<Template, String> {
        let wanted = self.template_to_launch().clone();
        match cx.facts.launch_template(&wanted.id, &wanted.version) {
            Some(found) => Ok(Template { version: found.version.to_string(), ..wanted }),
            None => {
                Err(format!("The launch template {} ({}) has no version {}", wanted.name, wanted.id, wanted.version))
            }
        }
    }

    /// The tags of the group's instances: those that propagate, and the group's name.
    pub(super) fn instance_tags(&self) -> BTreeMap<String, String> {
        let propagated = self.tags.iter().filter(|(_, tag)| tag.propagate);
        let mut tags: BTreeMap<String, String> =
            propagated.map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
        tags.insert(GROUP_NAME_TAG.to_owned(), self.name.clone());
        tags
    }

    /// The template's type on demand, or what the group's mix says.
    fn next_purchase(&self) -> Purchase {
        let Some(mix) = self.mix_to_launch() else { return Purchase { instance_type: None, spot: false } };
        let members = self.members.iter().filter(|member| member.is_active()).map(Member::purchase);
        let there: Vec<Purchase> = members.chain(self.launching().map(|launch| launch.purchase.clone())).collect();
        mix.next(&there, self.wanted(), &self.failures.types)
    }

    /// The zone with the fewest active instances, and a random subnet in it. A zone where the last launch failed comes last.
    /// One of a zone with the fewest instances; what is launched into the warm pool counts with its own, too, since it is to
    /// keep the zones even when it goes into service.
    fn emptiest_subnet(&self, cx: &mut Context, into_pool: bool) -> SubnetFacts {
        let mut zones = self.zones();
        if into_pool {
            let launching = self.launches.iter().filter(|launch| launch.into_pool).map(|launch| &launch.subnet.zone);
            for zone in self.pooled().map(|member| &member.zone).chain(launching) {
                *zones.entry(zone.clone()).or_insert(0) += 1;
            }
        }
        let load = |zone: &str| (self.failures.zone.as_deref() == Some(zone), zones.get(zone).copied().unwrap_or(0));
        let least = self.settings.subnets.iter().map(|subnet| load(&subnet.zone)).min();
        let best: Vec<&SubnetFacts> =
            self.settings.subnets.iter().filter(|subnet| Some(load(&subnet.zone)) == least).collect();
        best[cx.ids.below(best.len())].clone()
    }

    /// Active instances per zone.
    pub(super) fn zones(&self) -> BTreeMap<String, usize> {
        let mut zones = BTreeMap::new();
        let members = self.members.iter().filter(|member| member.is_active()).map(|member| &member.zone);
        for zone in members.chain(self.launching().map(|launch| &launch.subnet.zone)) {
            *zones.entry(zone.clone()).or_insert(0) += 1;
        }
        zones
    }

    /// EC2 has launched an instance for `activity`.
    pub fn launched(&mut self, cx: &mut Context, activity: &str, instance: &str) {
        let Some(index) = self.launches.iter().position(|launch| launch.activity == activity) else {
            return cx.send(Signal::TerminateInstance { instance: instance.to_owned() });
        };
        let launch = self.launches.swap_remove(index);
        let facts = cx.facts.instance(instance);
        if let Some(entry) = self.history.get_mut(activity) {
            entry.description = format!("{}: {instance}", launching(launch.into_pool));
        }
        self.members.push(Member {
            id: instance.to_owned(),
            subnet: launch.subnet.id,
            zone: launch.subnet.zone,
            instance_type: facts.as_ref().map(|facts| facts.instance_type.clone()).unwrap_or_default(),
            spot: launch.purchase.spot,
            weight: launch.weight,
            image: facts.as_ref().map(|facts| facts.image.clone()).unwrap_or_default(),
            template: launch.template,
            configuration: launch.configuration,
            lifecycle: if launch.into_pool { Lifecycle::WarmedPending } else { Lifecycle::Pending },
            activity: Some(activity.to_owned()),
            launched: cx.now,
            in_service: None,
            unhealthy_cause: None,
            expired: false,
            at_risk: false,
            protected: self.settings.protect_new,
            grows: launch.grows,
            registered: Vec::new(),
            draining: Vec::new(),
            actions: Vec::new(),
            prepared: None,
            returns: false,
        });
        match facts.map(|facts| facts.state) {
            Some(state) if !self.deleting => self.instance_state(cx, instance, state),
            _ => {
                let cause = format!(
                    "At {} an instance was taken out of service in response to a difference between desired and actual capacity.",
                    stamp(cx.now)
                );
                self.end(cx, instance, cause, false);
            }
        }
        self.turn(cx);
    }

    /// EC2 could not launch an instance for `activity`.
    pub fn launch_refused(&mut self, cx: &mut Context, activity: &str, message: &str) {
        if let Some(index) = self.launches.iter().position(|launch| launch.activity == activity) {
            let launch = self.launches.swap_remove(index);
            self.growth_missing += if launch.grows { launch.weight } else { 0 };
            self.launch_failed(cx.now, activity, message, &launch.subnet.zone, launch.purchase.instance_type);
            self.turn(cx);
        }
    }

    fn launch_failed(
        &mut self,
        now: Timestamp,
        activity: &str,
        message: &str,
        zone: &str,
        instance_type: Option<String>,
    ) {
        self.failures.types.extend(instance_type);
        let message = format!("{message}.  Launching EC2 instance failed.");
        if let Some(entry) = self.history.get_mut(activity) {
            entry.description = format!("{}.  Status Reason: {message}", launching(entry.of_pool));
        }
        self.history.finish(activity, now, Status::Failed, Some(message));
        self.notify_end(now, activity, (notice::LAUNCH, notice::LAUNCH_ERROR));
        self.back_off(now, zone);
    }

    pub(super) fn back_off(&mut self, now: Timestamp, zone: &str) {
        // Launches of one batch that fail together are one failure.
        if self.failures.retry_at.is_none_or(|retry| retry <= now) {
            let doubled = BACKOFF_SECONDS_FIRST.saturating_mul(1 << self.failures.count.min(10));
            self.failures.retry_at = Some(now + SignedDuration::from_secs(doubled.min(BACKOFF_SECONDS_MAX)));
            self.failures.count += 1;
        }
        self.failures.zone = Some(zone.to_owned());
        // A group that has launched nothing for a day is given up (user guide, "Administrative suspension").
        let since = *self.failures.since.get_or_insert(now);
        if since + SignedDuration::from_secs(GIVES_UP_SECONDS) <= now {
            let reason = format!("Administratively suspended at {}", stamp(now));
            self.suspended.entry(Process::Launch).or_insert(reason);
        }
    }

    /// An instance runs: it waits for the hooks of its launch, where there are some, and comes into service.
    pub(super) fn started(&mut self, cx: &mut Context, instance: &str) {
        // What comes back from standby has been through its hooks.
        let served = self.member(instance).is_some_and(|member| member.in_service.is_some());
        if served || !self.wait_for_hooks(cx, instance, Transition::Launching) {
            self.enter_service(cx, instance);
        }
    }

    /// Registers a running instance with the target groups and puts it into service.
    pub(super) fn enter_service(&mut self, cx: &mut Context, instance: &str) {
        let target_groups = if self.is_suspended(Process::AddToLoadBalancer) {
            Vec::new()
        } else {
            self.settings.target_groups.clone()
        };
        for target_group in &target_groups {
            let instances = vec![instance.to_owned()];
            cx.send(Signal::RegisterTargets { target_group: target_group.clone(), instances });
        }
        let Some(member) = self.member_mut(instance) else { return };
        // What comes back from standby is not.
        let is_new = member.in_service.is_none();
        member.registered = target_groups;
        member.lifecycle = Lifecycle::InService;
        member.in_service = Some(cx.now);
        if let Some(activity) = member.activity.take() {
            self.history.finish(&activity, cx.now, Status::Successful, None);
            if is_new {
                self.notify_end(cx.now, &activity, (notice::LAUNCH, notice::LAUNCH_ERROR));
            }
        }
        self.failures = Failures::default();
        if self.settings.lifetime_seconds.is_some() {
            self.examine_ages(cx);
        }
        self.look_soon(cx.now);
    }
}

/// AWS's description of such an activity.
fn launching(into_pool: bool) -> &'static str {
    if into_pool { "Launching a new EC2 instance into warm pool" } else { "Launching a new EC2 instance" }
}
