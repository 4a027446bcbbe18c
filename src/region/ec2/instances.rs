//! Instances and their life: pending → running → (stopping → stopped → pending) → shutting-down → terminated.
//!
//! The model says what shall happen to the process tree (`Boot`, `EndProcess`) and learns from the shell what did
//! (`ProcessStarted`, `ProcessEnded`). A tree that ends by itself leaves its instance `running`, but its status check
//! fails: so it is on EC2 when a machine hangs. User data that ended is nothing of the kind: the tree's init goes on.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::model::Ec2;
use super::root_volume::RootVolume;
use super::tags::Tags;
use crate::region::context::Context;
use crate::region::facts::InstanceFacts;
use crate::region::signal::{Boot, InstanceState, Signal};
use crate::region::wire::{ApiError, Params};

/// How long a terminated instance stays visible. AWS: "usually about an hour"; here ten minutes, so that a day of
/// rehearsals does not drown in them.
pub const TERMINATED_VISIBLE: SignedDuration = SignedDuration::from_mins(10);

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Instance {
    pub id: String,
    pub reservation: String,
    pub launch_index: usize,
    pub state: InstanceState,
    /// Code and message of the last change of state that somebody or something caused.
    pub reason: Option<(String, String)>,
    pub image: String,
    pub instance_type: String,
    /// The request that a spot instance fulfils: `sir-…`.
    pub spot_request: Option<String>,
    pub spot_request_tags: Tags,
    pub key_name: Option<String>,
    /// Decoded; one for all instances that have the same.
    pub user_data: Arc<[u8]>,
    /// Where it is really reached: a loopback address.
    pub address: Ipv4Addr,
    /// What the API shows as its private address: one of its subnet's range. In the default subnets it is the same.
    pub private_address: Ipv4Addr,
    /// Whether its address is shown as a public one too.
    pub public: bool,
    pub mac: String,
    pub interface: String,
    pub interface_description: String,
    pub interface_tags: Tags,
    pub volume: RootVolume,
    pub subnet: String,
    pub vpc: String,
    pub zone: String,
    pub groups: Vec<String>,
    /// Name or ARN, as given.
    pub profile: Option<String>,
    /// Detailed monitoring: datapoints each minute.
    pub monitoring: bool,
    pub metadata_options: MetadataOptions,
    pub termination_protection: bool,
    /// `DisableApiStop`
    pub stop_protection: bool,
    /// `stop` or `terminate`: kept and shown. Nothing inside an instance can shut its machine down.
    pub shutdown_behavior: String,
    pub source_dest_check: bool,
    pub ebs_optimized: bool,
    /// `standard` or `unlimited`, of burstable types.
    pub cpu_credits: Option<String>,
    pub launched: Timestamp,
    /// When it was terminated.
    pub ended: Option<Timestamp>,
    /// Since when its process tree is gone without having been asked to go.
    pub impaired_since: Option<Timestamp>,
    /// Of a spot instance that is about to be taken away.
    #[serde(default)]
    pub interruption: Option<Interruption>,
    /// The tree is being ended to be started again.
    pub rebooting: bool,
    /// Whether a boot of it has ever come as far as its user data.
    #[serde(default)]
    pub booted: bool,
    pub tags: Tags,
}

/// How long before its end a spot instance is given notice (EC2 user guide, "Spot Instance interruption notices").
const NOTICE: SignedDuration = SignedDuration::from_mins(2);

/// A spot instance is about to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Interruption {
    /// When the rebalance recommendation came.
    pub recommended: Timestamp,
    pub ends: Timestamp,
}

impl Interruption {
    /// After so long, but not without notice.
    pub fn new(now: Timestamp, after: SignedDuration) -> Self {
        Self { recommended: now, ends: now + after.max(NOTICE) }
    }

    /// When the notice comes.
    pub fn noticed(&self) -> Timestamp {
        self.ends - NOTICE
    }
}

/// How the metadata service behaves.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MetadataOptions {
    /// Whether a token is required (IMDSv2 only).
    pub tokens_required: bool,
    pub hop_limit: i64,
    pub enabled: bool,
    /// Whether the instance's tags are served.
    pub tags: bool,
}

impl MetadataOptions {
    /// What an instance has that is launched with these parameters.
    pub fn of(params: &Params) -> Result<Self, ApiError> {
        // Amazon Linux 2023 and current Ubuntu images come with tokens required.
        Self { tokens_required: true, hop_limit: 2, enabled: true, tags: false }.with(params)
    }

    /// With what the parameters name changed.
    pub fn with(&self, params: &Params) -> Result<Self, ApiError> {
        let choice = |name: &str, yes: &str, no: &str, present: bool| match params.text(name) {
            None => Ok(present),
            Some(text) if text == yes => Ok(true),
            Some(text) if text == no => Ok(false),
            Some(other) => Err(ApiError::invalid(name, other)),
        };
        let hop_limit = params.int("HttpPutResponseHopLimit")?.unwrap_or(self.hop_limit);
        if !(1..=64).contains(&hop_limit) {
            return Err(ApiError::invalid("HttpPutResponseHopLimit", &hop_limit.to_string()));
        }
        Ok(Self {
            tokens_required: choice("HttpTokens", "required", "optional", self.tokens_required)?,
            hop_limit,
            enabled: choice("HttpEndpoint", "enabled", "disabled", self.enabled)?,
            tags: choice("InstanceMetadataTags", "enabled", "disabled", self.tags)?,
        })
    }
}

/// All instances by id, terminated ones for a while.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Instances {
    pub all: BTreeMap<String, Instance>,
    /// The reservation and the parameters of each client token, as long as one of its instances is visible.
    pub client_tokens: BTreeMap<String, (String, Params)>,
}

impl Instance {
    /// Whether it still takes room: an address, its groups, a place in the quota.
    pub fn occupies(&self) -> bool {
        self.state != InstanceState::Terminated
    }

    /// Whether it can be interrupted: it is a spot instance, and runs.
    pub fn is_interruptible(&self) -> bool {
        self.spot_request.is_some() && self.state == InstanceState::Running && self.interruption.is_none()
    }

    pub fn boot(&self) -> Boot {
        let first = !self.booted;
        Boot { instance: self.id.clone(), address: self.address, user_data: self.user_data.clone(), first }
    }

    pub fn facts(&self) -> InstanceFacts {
        InstanceFacts {
            id: self.id.clone(),
            state: self.state,
            reason: self.reason.as_ref().map(|(_, message)| message.clone()),
            instance_type: self.instance_type.clone(),
            spot: self.spot_request.is_some(),
            image: self.image.clone(),
            address: self.address,
            subnet: self.subnet.clone(),
            vpc: self.vpc.clone(),
            zone: self.zone.clone(),
            launched: self.launched,
            impaired_since: self.impaired_since,
            tags: self.tags.clone(),
        }
    }
}

impl Instances {
    pub fn get(&self, id: &str) -> Result<&Instance, ApiError> {
        self.all.get(id).ok_or_else(|| not_found(&[id]))
    }

    /// When a terminated instance next vanishes, or a spot instance is taken away.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadline = |instance: &Instance| match (instance.ended, instance.state) {
            (Some(ended), _) => Some(ended + TERMINATED_VISIBLE),
            (None, InstanceState::Running | InstanceState::Pending) => Some(instance.interruption?.ends),
            _ => None,
        };
        self.all.values().filter_map(deadline).min()
    }

    /// The same bytes as other instances have, where they do: hundreds are launched from one template, and what was
    /// terminated is kept for an hour.
    pub fn shared_user_data(&self, user_data: Vec<u8>) -> Arc<[u8]> {
        let known = self.all.values().find(|instance| *instance.user_data == *user_data);
        known.map_or_else(|| user_data.into(), |instance| Arc::clone(&instance.user_data))
    }

    /// Forgets the instances that were terminated long enough ago.
    pub fn forget_terminated(&mut self, now: Timestamp) {
        self.all.retain(|_, instance| instance.ended.is_none_or(|ended| ended + TERMINATED_VISIBLE > now));
        let all = &self.all;
        self.client_tokens.retain(|_, (reservation, _)| all.values().any(|i| i.reservation == *reservation));
    }

    fn change(&mut self, cx: &mut Context, id: &str, state: InstanceState) {
        if let Some(instance) = self.all.get_mut(id) {
            instance.state = state;
            if state == InstanceState::Terminated {
                instance.ended = Some(cx.now);
                cx.addresses.release(instance.address);
            }
            cx.send(Signal::InstanceState { instance: id.to_owned(), state });
        }
    }
}

/// A private DNS name as the VPC's resolver would know it: `ip-127-31-0-4.ec2.internal`.
pub fn private_dns_name(instance: &Instance, region: &str) -> String {
    let host = format!("ip-{}", instance.private_address.to_string().replace('.', "-"));
    if region == "us-east-1" { format!("{host}.ec2.internal") } else { format!("{host}.{region}.compute.internal") }
}

/// The instances that have an address of a subnet.
pub fn in_subnet<'a>(ec2: &'a Ec2, subnet: &str) -> impl Iterator<Item = &'a Instance> {
    ec2.instances.all.values().filter(move |instance| instance.occupies() && instance.subnet == subnet)
}

pub fn not_found(ids: &[&str]) -> ApiError {
    let message = match ids {
        [id] => format!("The instance ID '{id}' does not exist"),
        ids => format!("The instance IDs '{}' do not exist", ids.join(", ")),
    };
    ApiError::new("InvalidInstanceID.NotFound", message)
}

/// The ids of `InstanceId.N`: at least one where `required`, and all known.
pub fn requested<'a>(ec2: &Ec2, params: &'a Params, required: bool) -> Result<Vec<&'a str>, ApiError> {
    let ids = params.texts("InstanceId");
    if ids.is_empty() && required {
        return Err(ApiError::missing("InstanceId"));
    }
    if let Some(malformed) = ids.iter().find(|id| !id.starts_with("i-")) {
        return Err(ApiError::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{malformed}\"")));
    }
    let unknown: Vec<&str> = ids.iter().copied().filter(|id| !ec2.instances.all.contains_key(*id)).collect();
    if unknown.is_empty() { Ok(ids) } else { Err(not_found(&unknown)) }
}

/// Begins to terminate an instance, for whom `reason` says; nothing where it is on its way already.
pub fn terminate(ec2: &mut Ec2, cx: &mut Context, id: &str, reason: (&str, &str)) {
    let Some(instance) = ec2.instances.all.get_mut(id) else { return };
    let before = instance.state;
    if matches!(before, InstanceState::ShuttingDown | InstanceState::Terminated) {
        return;
    }
    instance.reason = Some((reason.0.to_owned(), reason.1.to_owned()));
    instance.rebooting = false;
    let has_tree = instance.impaired_since.is_none() && before != InstanceState::Stopped;
    ec2.instances.change(cx, id, InstanceState::ShuttingDown);
    if !has_tree {
        ec2.instances.change(cx, id, InstanceState::Terminated);
    } else if before != InstanceState::Stopping {
        cx.send(Signal::EndProcess { instance: id.to_owned() });
    }
}

/// Begins to stop an instance.
pub fn stop(ec2: &mut Ec2, cx: &mut Context, id: &str) {
    let Some(instance) = ec2.instances.all.get_mut(id) else { return };
    if !matches!(instance.state, InstanceState::Pending | InstanceState::Running) {
        return;
    }
    instance.reason = Some((
        "Client.UserInitiatedShutdown".to_owned(),
        "Client.UserInitiatedShutdown: User initiated shutdown".to_owned(),
    ));
    instance.rebooting = false;
    let has_tree = instance.impaired_since.take().is_none();
    ec2.instances.change(cx, id, InstanceState::Stopping);
    if has_tree {
        cx.send(Signal::EndProcess { instance: id.to_owned() });
    } else {
        ec2.instances.change(cx, id, InstanceState::Stopped);
    }
}

/// Starts a stopped instance again. Its user data runs again too: on EC2 it runs at the first boot only and leaves a
/// systemd unit behind, but a process tree has no systemd that would bring the application back.
pub fn start(ec2: &mut Ec2, cx: &mut Context, id: &str) {
    let Some(instance) = ec2.instances.all.get_mut(id) else { return };
    if instance.state == InstanceState::Stopped {
        instance.reason = None;
        instance.launched = cx.now;
        let boot = instance.boot();
        ec2.instances.change(cx, id, InstanceState::Pending);
        cx.send(Signal::Boot(boot));
    }
}

/// Ends the tree and boots it again; the state stays `running`, as on EC2.
pub fn reboot(ec2: &mut Ec2, cx: &mut Context, id: &str) {
    let Some(instance) = ec2.instances.all.get_mut(id) else { return };
    if instance.state != InstanceState::Running || instance.rebooting {
        return;
    }
    if instance.impaired_since.take().is_some() {
        cx.send(Signal::Boot(instance.boot()));
    } else {
        instance.rebooting = true;
        cx.send(Signal::EndProcess { instance: id.to_owned() });
    }
}

/// The tree is there.
pub fn process_started(ec2: &mut Ec2, cx: &mut Context, id: &str) {
    if ec2.instances.all.get(id).is_some_and(|instance| instance.state == InstanceState::Pending) {
        ec2.instances.change(cx, id, InstanceState::Running);
    }
}

/// Its user data has begun: whatever only a first boot does is done.
pub fn booted(ec2: &mut Ec2, id: &str) {
    if let Some(instance) = ec2.instances.all.get_mut(id) {
        instance.booted = true;
    }
}

/// The machine under all instances was away. What ran is stopped, as AWS stops the instances of a host that failed
/// ("Instance retirement" in the EC2 user guide); what was ending has ended.
pub fn host_failed(ec2: &mut Ec2, cx: &mut Context) {
    let ids: Vec<String> = ec2.instances.all.keys().cloned().collect();
    for id in ids {
        let Some(instance) = ec2.instances.all.get_mut(&id) else { continue };
        let after = match instance.state {
            InstanceState::Pending | InstanceState::Running | InstanceState::Stopping => InstanceState::Stopped,
            InstanceState::ShuttingDown => InstanceState::Terminated,
            InstanceState::Stopped | InstanceState::Terminated => continue,
        };
        if after == InstanceState::Stopped {
            let message = "Server.InternalError: The machine that the embedded region runs on was away";
            instance.reason = Some(("Server.InternalError".to_owned(), message.to_owned()));
        }
        (instance.rebooting, instance.impaired_since) = (false, None);
        ec2.instances.change(cx, &id, after);
    }
}

/// The tree is gone, because it was asked to go or by itself.
pub fn process_ended(ec2: &mut Ec2, cx: &mut Context, id: &str) {
    let Some(instance) = ec2.instances.all.get_mut(id) else { return };
    match instance.state {
        InstanceState::ShuttingDown => ec2.instances.change(cx, id, InstanceState::Terminated),
        InstanceState::Stopping => ec2.instances.change(cx, id, InstanceState::Stopped),
        InstanceState::Pending => {
            let message = "Server.InternalError: Internal error on launch";
            instance.reason = Some(("Server.InternalError".to_owned(), message.to_owned()));
            ec2.instances.change(cx, id, InstanceState::Terminated);
        }
        InstanceState::Running if instance.rebooting => {
            instance.rebooting = false;
            cx.send(Signal::Boot(instance.boot()));
        }
        InstanceState::Running => instance.impaired_since = Some(cx.now),
        InstanceState::Stopped | InstanceState::Terminated => {}
    }
}
