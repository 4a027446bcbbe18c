//! AWS as a provider. The embedded region is the same one with another endpoint and other [`Timing`].

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::launch_template::DescribeLaunchTemplates;
use super::network::{self, StackNetwork};
use super::{TYPES, consequence, existing, expiry, price, readiness, running, scaling_group, status_view, stopping};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::clock::{self, speed};
use crate::cloud::activities::{Activity, activities};
use crate::cloud::alarms::{Changed, changed};
use crate::cloud::discover::{complete, discover};
use crate::cloud::lease::{Holder, Lease, store};
use crate::cloud::refreshes::{Refresh, refreshes};
use crate::cloud::signals::{Signal, signals};
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Depth, ErasedListing};
use crate::cloud::tags::{self, Tags};
use crate::problem::{Problem, Problems};
use crate::resource::change::Change;
use crate::resource::context::Operation;
use crate::resource::erased::ErasedResource;
use crate::resource::outlook::Outlook;
use crate::resource::provider::{Adoptee, Answer, Existing, Expiry, Leases, Provider, Timing, Wait};
use crate::resource::running::Running;
use crate::resource::status::Status;
use crate::stack::model::{self, Stack};
use crate::stack::names;

/// The embedded region changes in milliseconds; a process that installs nothing serves in a second or two.
const LOCAL: Timing = Timing {
    poll_max: Duration::from_millis(500),
    boot_grace: Duration::from_secs(5),
    listing_lag: Duration::ZERO,
    lease_check: Duration::from_secs(1),
    look: Duration::from_secs(1),
    look_loaded: Duration::from_secs(1),
    metrics: Duration::from_secs(1),
    // The minute that is measured at its end, and a little.
    metrics_timeout: Duration::from_secs(75),
    metrics_poll: (Duration::from_millis(200), Duration::from_secs(2)),
};
/// The shortest pause between two looks at a stack that is loaded: each is a handful of calls.
const LOOK_MIN: Duration = Duration::from_millis(250);
/// The shortest pause between two polls that is worth their calls.
const POLL_MIN: Duration = Duration::from_millis(25);
/// AWS changes in seconds; an EC2 instance boots for about a minute and then often installs its application. How long
/// its listings lag depends on whether it is AWS that answers.
const AWS: Timing = Timing {
    poll_max: Duration::from_secs(5),
    boot_grace: Duration::from_secs(300),
    listing_lag: Duration::ZERO,
    lease_check: Duration::from_secs(10),
    look: Duration::from_secs(10),
    look_loaded: Duration::from_secs(10),
    metrics: Duration::from_secs(60),
    metrics_timeout: Duration::from_secs(300),
    metrics_poll: (Duration::from_secs(5), Duration::from_secs(20)),
};

/// Whether it has processes that can be disturbed: known before there is a connection.
pub fn can_disturb(provider: model::Provider) -> bool {
    provider == model::Provider::Local
}

/// AWS, or an endpoint that stands in for it.
#[derive(Clone, Debug)]
pub struct Aws {
    clients: Clients,
}

impl From<Clients> for Arc<dyn Provider> {
    fn from(clients: Clients) -> Self {
        Arc::new(Aws { clients })
    }
}

impl Provider for Aws {
    fn name(&self) -> &'static str {
        self.clients.provider.name()
    }

    fn types(&self) -> &'static [&'static dyn ErasedResource] {
        TYPES
    }

    fn connection(&self) -> &(dyn Any + Send + Sync) {
        &self.clients
    }

    fn timing(&self) -> Timing {
        let timing = match self.clients.provider {
            model::Provider::Local => LOCAL,
            model::Provider::Aws => AWS,
        };
        // A process takes its time by the wall; a launch is in the region's.
        let boot_grace = speed::region(timing.boot_grace) + self.clients.boot;
        // More happens between two polls where the region's time runs faster: a second or two of it, as long as that is
        // worth a call.
        let poll_max = speed::wall(2 * timing.poll_max).clamp(POLL_MIN.min(timing.poll_max), timing.poll_max);
        let look_loaded = match self.clients.provider {
            model::Provider::Local => speed::wall(10 * timing.look_loaded).clamp(LOOK_MIN, timing.look_loaded),
            model::Provider::Aws => timing.look_loaded,
        };
        Timing { listing_lag: self.clients.listing_lag, boot_grace, poll_max, look_loaded, ..timing }
    }

    fn costs_money(&self) -> bool {
        self.clients.provider == model::Provider::Aws
    }

    fn can_disturb(&self) -> bool {
        can_disturb(self.clients.provider)
    }

    fn console_command(&self) -> Option<&'static str> {
        Some(match self.clients.provider {
            model::Provider::Local => "cloudscale local logs INSTANCE",
            model::Provider::Aws => "aws ec2 get-console-output --latest --output text --instance-id INSTANCE",
        })
    }

    fn snapshot<'a>(&'a self, stack: &'a str, declared: Option<&'a Stack>, depth: Depth) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            let cloud = Snapshot::of(stack, clock::now(), self.timing().boot_grace);
            discover(&self.clients, &listings(), cloud, declared, depth).await
        })
    }

    fn complete<'a>(&'a self, cloud: &'a mut Snapshot, declared: &'a Stack) -> Answer<'a, ()> {
        Box::pin(async move { complete(&self.clients, &listings(), cloud, Some(declared)).await })
    }

    fn outlook(&self, declared: Option<&Stack>, cloud: &Snapshot, changes: &[Change]) -> Outlook {
        outlook(declared, &running::running(cloud), changes)
    }

    fn status(&self, stack: &Stack, cloud: &Snapshot) -> Status {
        status_view::status(stack, self.name(), cloud)
    }

    fn until_ready<'a>(
        &'a self,
        operation: &'a Operation,
        stack: &'a Stack,
        wait: Wait,
    ) -> Answer<'a, Status, Problems> {
        Box::pin(readiness::until_ready(operation, stack, wait))
    }

    fn is_stopped(&self, cloud: &Snapshot) -> bool {
        stopping::is_stopped(cloud)
    }

    fn stop<'a>(&'a self, operation: &'a Operation) -> Answer<'a, (), Problems> {
        Box::pin(stopping::stop(operation))
    }

    fn start<'a>(&'a self, operation: &'a Operation) -> Answer<'a, (), Problems> {
        Box::pin(stopping::start(operation))
    }

    fn scale<'a>(&'a self, _operation: &'a Operation, group: &'a str, instances: u32) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.clients.autoscaling.set_desired_capacity().auto_scaling_group_name(group);
            let request = request.desired_capacity(i32::try_from(instances).unwrap_or(i32::MAX));
            let call = request.honor_cooldown(false).send().await;
            call.map(drop).map_err(|error| error.problem("autoscaling:SetDesiredCapacity", group))
        })
    }

    fn expiry(&self, cloud: &Snapshot) -> Option<Timestamp> {
        expiry::of(cloud)
    }

    fn expire<'a>(&'a self, operation: &'a Operation, at: Timestamp) -> Answer<'a, Expiry> {
        Box::pin(expiry::set(operation, at))
    }

    fn keep_expiry<'a>(&'a self, operation: &'a Operation, at: Timestamp) -> Answer<'a, ()> {
        Box::pin(expiry::keep(operation, at))
    }

    fn find_existing<'a>(
        &'a self,
        _operation: &'a Operation,
        _stack: &'a Stack,
        cluster: &'a str,
        existing: &'a [Existing],
    ) -> Answer<'a, Vec<Box<dyn Adoptee>>> {
        Box::pin(async move {
            let mut found: Vec<Box<dyn Adoptee>> = Vec::new();
            for existing in existing {
                found.push(Box::new(existing::find(&self.clients, cluster, existing).await?));
            }
            Ok(found)
        })
    }

    fn activities<'a>(&'a self, stack: &'a str, last: u8) -> Answer<'a, Vec<Activity>> {
        Box::pin(async move {
            let cloud = self.snapshot(stack, None, Depth::Status).await?;
            activities(&self.clients, &scaling_group::by_cluster(&cloud), last).await
        })
    }

    fn alarm_changes<'a>(&'a self, stack: &'a str, since: Timestamp) -> Answer<'a, Vec<Changed>> {
        Box::pin(async move {
            let cloud = self.snapshot(stack, None, Depth::Status).await?;
            changed(&self.clients, &scaling_group::by_cluster(&cloud), since).await
        })
    }

    fn signals<'a>(&'a self, stack: &'a str, window: (Timestamp, Timestamp)) -> Answer<'a, Vec<Signal>> {
        Box::pin(async move {
            let cloud = self.snapshot(stack, None, Depth::Status).await?;
            signals(&self.clients, &scaling_group::by_cluster(&cloud), window).await
        })
    }

    fn refreshes<'a>(&'a self, stack: &'a str) -> Answer<'a, Vec<Refresh>> {
        Box::pin(async move {
            let cloud = self.snapshot(stack, None, Depth::Status).await?;
            refreshes(&self.clients, &scaling_group::by_cluster(&cloud)).await
        })
    }

    fn leases(&self) -> &dyn Leases {
        self
    }
}

impl Leases for Aws {
    fn shown(&self, cloud: &Snapshot) -> Option<Lease> {
        store::among(cloud.all::<DescribeLaunchTemplates>())
    }

    fn find<'a>(&'a self, stack: &'a str) -> Answer<'a, (Option<Lease>, Timestamp)> {
        Box::pin(store::find(&self.clients, stack))
    }

    fn unlisted(&self, stack: &str) -> Problem {
        tags::not_ours("launch template", &names::lock(stack))
    }

    fn create<'a>(&'a self, stack: &'a str, tags: &'a Tags, holder: &'a Holder) -> Answer<'a, Option<String>> {
        Box::pin(store::create(&self.clients, stack, tags, holder))
    }

    fn renew<'a>(&'a self, stack: &'a str, id: &'a str, now: Timestamp) -> Answer<'a, ()> {
        Box::pin(store::renew(&self.clients, stack, id, now))
    }

    fn delete<'a>(&'a self, stack: &'a str, id: &'a str) -> Answer<'a, bool> {
        Box::pin(store::delete(&self.clients, stack, id))
    }
}

/// What a plan of AWS's resource types comes to, where `observed` runs now.
pub fn outlook(declared: Option<&Stack>, observed: &Running, changes: &[Change]) -> Outlook {
    Outlook {
        parts: consequence::parts(declared, observed, changes),
        prices: price::prices(declared, observed),
        hourly_cost: declared.and_then(price::hourly),
    }
}

/// A snapshot of an account that has nothing of the stack, for a plan that asks nobody.
pub fn undeployed(stack: &Stack) -> Snapshot {
    let network = network::as_declared(&stack.network, &stack.region);
    Snapshot::empty(&stack.name).with::<StackNetwork>(vec![network])
}

/// Several types may be listed by the same call.
fn listings() -> Vec<&'static dyn ErasedListing> {
    let mut listings: Vec<&'static dyn ErasedListing> = Vec::new();
    for listing in TYPES.iter().flat_map(|resource| resource.listings()) {
        if !listings.iter().any(|known| known.key() == listing.key()) {
            listings.push(*listing);
        }
    }
    listings
}
