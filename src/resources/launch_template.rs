//! The launch template of a cluster: what every instance starts from.
//!
//! A version never changes, so the spec tag and the version tag report whether the latest version is the desired one;
//! its content is fetched only when they do not, and then compared field by field. A version's description holds its
//! spec and the image as the stack names it: a newer image behind an alias is no reason to replace instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ec2::types as ec2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::try_join_all;

use super::connection::clients_of;
use super::security_group;
use super::security_group::SecurityGroup;
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::image::{self, Images, LiveImage};
use crate::cloud::lease::{self, Lease};
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Rows, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::{Action, FieldChange};
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::outlook::{PartView, field};
use crate::resource::provider::Provider;
use crate::resource::{Coming, Output, Prepared, Resource, Scope};
use crate::secret::Text;
use crate::stack::model::Image;
use crate::stack::names;

/// Containers on the instance are one hop further from the metadata service.
pub const METADATA_HOPS: i32 = 2;
const VOLUME: &str = "gp3, encrypted";
/// DescribeLaunchTemplates gives fewer than the rest of EC2.
const TEMPLATES_PAGE: usize = 200;
/// Values of one filter (EC2 API).
const NAMES_PER_CALL: usize = 200;
/// What the name of a cluster ends in (`stack/language.rs`).
const LAST_CHARACTERS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// Into how many a listing is split that was cut: few enough calls, and rarely twice.
const PARTS: usize = 6;
/// Between spec and image in a version's description.
const IMAGE_MARK: &str = " image ";
/// Behind the spec in a version's description: its user data holds secrets.
const SECRET_MARK: &str = " secret";

#[derive(Debug)]
pub struct LaunchTemplate;

#[derive(Clone, Debug)]
pub struct Desired {
    pub name: String,
    pub image: Image,
    pub instance_type: String,
    /// Name or ARN.
    pub instance_profile: Option<String>,
    pub user_data: Option<Text>,
    /// The name of a key pair, for SSH.
    pub key: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Observed {
    template: ec2::LaunchTemplate,
    tags: Tags,
    /// The latest version, where the tags do not report that it is the desired one.
    version: Option<ec2::LaunchTemplateVersion>,
}

impl Observed {
    fn latest(&self) -> String {
        latest(&self.template)
    }
}

fn latest(template: &ec2::LaunchTemplate) -> String {
    template.latest_version_number().unwrap_or_default().to_string()
}

/// The number of the latest version of a template of the stack.
pub fn latest_version(cloud: &Snapshot, of: &Address) -> Option<String> {
    let address = |template: &ec2::LaunchTemplate| cloud.address_of(template.launch_template_id()?);
    let mut all = cloud.all::<DescribeLaunchTemplates>().iter();
    all.find(|template| address(template).as_ref() == Some(of)).map(latest)
}

/// `cluster.light.launch_template`
pub fn address(cluster: &str) -> Address {
    Address::in_cluster(cluster, LaunchTemplate::KIND)
}

/// ` (t2.large → t2.xlarge)`
pub fn new_type(part: PartView<'_>) -> String {
    let types = field(part.acting(LaunchTemplate::KIND), "instance_type");
    let types = types.and_then(|field| field.observed.as_deref().zip(field.desired.as_deref()));
    types.map(|(observed, desired)| format!(" ({observed} → {desired})")).unwrap_or_default()
}

impl Resource for LaunchTemplate {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "launch_template";
    const NOTICED: &'static [&'static str] = &["version"];
    const WRITE_ONLY: &'static [(&'static str, &'static str)] =
        &[("size of the root volume", "it is the image's"), ("tags of the volumes", "they are those of their launch")];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeLaunchTemplates>::NEW];
    const VERSIONED: bool = true;

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let clusters = scope.stack.clusters.iter().map(|cluster| {
            let desired = Desired {
                name: names::launch_template(&scope.stack.name, &cluster.name),
                image: cluster.image.clone(),
                instance_type: cluster.instance_type.clone(),
                instance_profile: cluster.instance_profile.clone(),
                user_data: cluster.user_data.as_ref().map(|script| script.text.clone()),
                key: scope.stack.ssh.as_ref().map(|ssh| ssh.key.clone()),
            };
            (address(&cluster.name), desired)
        });
        clusters.collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let versions = cloud.all::<DescribeLaunchTemplateVersions>();
        let ours = cloud.all::<DescribeLaunchTemplates>().iter().filter_map(|template| {
            let id = template.launch_template_id()?;
            // The lock is none of them.
            let tags = cloud.tags_of(id)?.clone();
            let version = versions.iter().find(|(of, _)| of == id).map(|(_, version)| version.clone());
            Some((tags::address(&tags)?, Observed { template: template.clone(), tags, version }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        Fields::default()
            .text("image", desired.image.name())
            .text("instance_type", &desired.instance_type)
            .maybe("instance_profile", desired.instance_profile.as_ref())
            .reference("security_group", security_group::INSTANCES)
            .text("monitoring", true)
            .text("metadata.tokens", ec2::LaunchTemplateHttpTokensState::Required.as_str())
            .text("metadata.hops", METADATA_HOPS)
            .text("metadata.tags", ec2::LaunchTemplateInstanceMetadataTagsState::Enabled.as_str())
            .text("root_volume", VOLUME)
            .values("user_data", desired.user_data.as_ref().map(Value::sensitive))
            .maybe("key", desired.key.as_ref())
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let Some((version, data)) = observed.version.as_ref().and_then(|v| Some((v, v.launch_template_data()?))) else {
            return Fields::default();
        };
        let described = version.version_description().and_then(image_in);
        let metadata = data.metadata_options();
        let profile = data.iam_instance_profile();
        let fields = Fields::default()
            .maybe("image", described.or(data.image_id()))
            .maybe("instance_type", data.instance_type().map(|t| t.as_str()))
            .maybe("instance_profile", profile.and_then(|profile| profile.arn().or(profile.name())))
            .maybe("version", described.is_none().then_some("made outside cloudscale"));
        let fields = match data.security_group_ids() {
            [only] => fields.value("security_group", Value::observed(cloud, only)),
            several => fields.text("security_group", several.join(", ")),
        };
        fields
            .text("monitoring", data.monitoring().and_then(|monitoring| monitoring.enabled()).unwrap_or_default())
            .maybe(
                "metadata.tokens",
                metadata.and_then(|metadata| metadata.http_tokens()).map(|tokens| tokens.as_str()),
            )
            .maybe("metadata.hops", metadata.and_then(|metadata| metadata.http_put_response_hop_limit()))
            .maybe("metadata.tags", metadata.and_then(|m| m.instance_metadata_tags()).map(|tags| tags.as_str()))
            .maybe("root_volume", volume(data))
            .values("user_data", data.user_data().map(|text| user_data(text, version.version_description())))
            .maybe("key", data.key_name())
    }

    async fn details(provider: &dyn Provider, scope: &Scope<'_>) -> Result<Option<Rows>, Problem> {
        let clients = clients_of(provider);
        let calls = stale(scope).into_iter().map(|id| async move {
            let call = clients.ec2.describe_launch_template_versions().launch_template_id(&id).versions("$Latest");
            let answer = call.send().await;
            let answer = answer.map_err(|error| error.problem("ec2:DescribeLaunchTemplateVersions", &id))?;
            Ok::<_, Problem>(answer.launch_template_versions().first().map(|version| (id, version.clone())))
        });
        let found = try_join_all(calls).await?.into_iter().flatten().collect();
        Ok(Some(Rows::of::<DescribeLaunchTemplateVersions>(Some(found))))
    }

    // Those that stay as they are keep their images.
    async fn prepare(provider: &dyn Provider, desired: &[&Desired]) -> Result<Option<Prepared>, Problem> {
        let images: Vec<_> = desired.iter().map(|desired| &desired.image).collect();
        Ok(Some(Arc::new(image::resolve(clients_of(provider), &images).await?)))
    }

    fn reason(desired: &Desired, observed: &Observed) -> Option<String> {
        // The spec does not follow a secret's value.
        let same_spec = observed.tags.get(tags::SPEC) == Some(&Self::spec(desired));
        (holds_secrets(desired) && same_spec)
            .then(|| "a secret has another value, or it was edited outside cloudscale".to_owned())
    }

    fn in_sync(observed: &Observed, spec: &str) -> bool {
        observed.version.is_none()
            && observed.tags.get(tags::SPEC).map(String::as_str) == Some(spec)
            && observed.tags.get(tags::VERSION) == Some(&observed.latest())
    }

    // A template that outlives its security group looks as it did, and launches nothing.
    fn delete_after(_observed: &Observed) -> Vec<Address> {
        vec![security_group::INSTANCES.to_owned()]
    }

    /// Launch templates of our names that are not ours.
    async fn obstacles(
        provider: &dyn Provider,
        cloud: &Snapshot,
        coming: &[Coming<'_, Desired, Observed>],
    ) -> Result<Vec<Problem>, Problem> {
        let new = coming.iter().filter(|coming| coming.action == Action::Create);
        let names: Vec<_> = new.filter_map(|coming| Some(coming.desired?.name.clone())).collect();
        let mut problems = Vec::new();
        for names in names.chunks(NAMES_PER_CALL) {
            let filter = ec2::Filter::builder().name("launch-template-name").set_values(Some(names.to_vec()));
            let call = clients_of(provider).ec2.describe_launch_templates().filters(filter.build());
            let answer = call.send().await;
            let answer = answer.map_err(|error| error.problem("ec2:DescribeLaunchTemplates", &cloud.stack))?;
            let theirs = answer
                .launch_templates()
                .iter()
                .filter(|template| tags::from_ec2(template.tags()).get(tags::STACK) != Some(&cloud.stack));
            problems
                .extend(theirs.filter_map(|it| Some(tags::not_ours("launch template", it.launch_template_name()?))));
        }
        Ok(problems)
    }

    fn output(observed: &Observed) -> Output {
        Output {
            id: observed.template.launch_template_id().unwrap_or_default().to_owned(),
            revision: observed.latest(),
            members: Vec::new(),
        }
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let request = context
            .clients()
            .ec2
            .create_launch_template()
            .launch_template_name(&desired.name)
            .version_description(description(context, desired))
            .launch_template_data(content(context, desired)?)
            .tag_specifications(tags::specification(ec2::ResourceType::LaunchTemplate, &own_tags(context, "1")));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.is(&["InvalidLaunchTemplateName.AlreadyExistsException"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let answer = context.fresh("ec2:CreateLaunchTemplate", create).await?;
        match answer
            .as_ref()
            .and_then(|answer| answer.launch_template())
            .and_then(|template| template.launch_template_id())
        {
            Some(id) => Ok(Output { id: id.to_owned(), revision: "1".to_owned(), members: Vec::new() }),
            None => adopt(context, desired).await,
        }
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let mut output = Self::output(observed);
        if changes.iter().any(|change| !change.path.starts_with("tags.")) {
            output.revision = new_version(context, desired, &output).await?;
        }
        let tags = own_tags(context, &output.revision);
        context.write_ec2_tags(vec![output.id.clone()], &tags).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let id = observed.template.launch_template_id().unwrap_or_default();
        settled(
            context.clients().ec2.delete_launch_template().launch_template_id(id).send().await,
            quirks::TEMPLATE_GONE,
        )
        .map_err(|error| error.problem("ec2:DeleteLaunchTemplate", context.address))
    }
}

/// Ids of the observed templates whose tags do not report that their latest version is the desired one.
fn stale(scope: &Scope<'_>) -> Vec<String> {
    let cloud = scope.cloud;
    let desired: BTreeMap<_, _> = LaunchTemplate::desired(scope).into_iter().collect();
    let security_groups = SecurityGroup::observed(cloud).into_iter();
    // The spec names the security group by its address: it cannot tell which of two a template means.
    let ambiguous = security_groups.filter(|(address, _)| *address == security_group::INSTANCES).count() > 1;
    let observed = LaunchTemplate::observed(cloud).into_iter();
    let stale = observed.filter(|(address, observed)| {
        let in_sync = |desired| !ambiguous && LaunchTemplate::in_sync(observed, &LaunchTemplate::spec(desired));
        desired.get(address).is_some_and(|desired| holds_secrets(desired) || !in_sync(desired))
    });
    stale.map(|(_, observed)| LaunchTemplate::output(&observed).id).collect()
}

fn own_tags(context: &ActionContext<'_>, version: &str) -> Tags {
    let mut tags = context.tags();
    tags.insert(tags::VERSION.to_owned(), version.to_owned());
    tags
}

/// `0123456789ab image amazon-linux-2023`
fn description(context: &ActionContext<'_>, desired: &Desired) -> String {
    let secret = if holds_secrets(desired) { SECRET_MARK } else { "" };
    format!("{}{secret}{IMAGE_MARK}{}", context.spec, desired.image.name())
}

/// Whether its user data holds secrets, whose values its spec does not follow.
pub fn holds_secrets(desired: &Desired) -> bool {
    desired.user_data.as_ref().is_some_and(Text::holds_secrets)
}

/// The user data of a version: which secrets it was made with only its description reports, and that only that there
/// were some.
fn user_data(encoded: &str, description: Option<&str>) -> Value {
    let text = decode(encoded);
    let spec = description.and_then(|description| description.split_once(IMAGE_MARK)).map(|(spec, _)| spec);
    match spec.is_some_and(|spec| spec.ends_with(SECRET_MARK)) {
        true => Value::Sensitive(Text::unknown(text)),
        false => Value::Text(text),
    }
}

/// The image out of a version's description; `None` where the version is not ours.
fn image_in(description: &str) -> Option<&str> {
    description.split_once(IMAGE_MARK).map(|(_, image)| image)
}

/// The next version of the template; a retry of the same change makes no second one.
async fn new_version(context: &ActionContext<'_>, desired: &Desired, template: &Output) -> Result<String, Problem> {
    // The same spec may be another secret: then the change is another one, too.
    let once = if holds_secrets(desired) { fastrand::u64(..).to_string() } else { String::new() };
    let token = crate::resource::fields::short_hash([
        &*once,
        &*context.run.stack,
        context.address.as_str(),
        context.spec,
        &template.id,
        &template.revision,
    ]);
    let request = context
        .clients()
        .ec2
        .create_launch_template_version()
        .launch_template_id(&template.id)
        .version_description(description(context, desired))
        .client_token(token)
        .launch_template_data(content(context, desired)?);
    let answer = context.fresh("ec2:CreateLaunchTemplateVersion", || request.clone().send()).await?;
    let version = answer.launch_template_version().and_then(|version| version.version_number()).unwrap_or_default();
    Ok(version.to_string())
}

fn content(context: &ActionContext<'_>, desired: &Desired) -> Result<ec2::RequestLaunchTemplateData, Problem> {
    let image = image_of(context, &desired.image)?;
    let metadata = ec2::LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(ec2::LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(ec2::LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(METADATA_HOPS)
        .instance_metadata_tags(ec2::LaunchTemplateInstanceMetadataTagsState::Enabled);
    let volume = ec2::LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(ec2::VolumeType::Gp3)
        .volume_size(image.root_gib)
        .encrypted(true)
        .delete_on_termination(true);
    let root =
        ec2::LaunchTemplateBlockDeviceMappingRequest::builder().device_name(image.root_device).ebs(volume.build());
    let mut volume_tags = context.run.tags.clone();
    volume_tags.insert(tags::STACK.to_owned(), context.run.stack.clone());
    let volume_tags = ec2::LaunchTemplateTagSpecificationRequest::builder()
        .resource_type(ec2::ResourceType::Volume)
        .set_tags(Some(tags::to_ec2(&volume_tags)));
    Ok(ec2::RequestLaunchTemplateData::builder()
        .image_id(image.id)
        .instance_type(ec2::InstanceType::from(desired.instance_type.as_str()))
        .set_iam_instance_profile(desired.instance_profile.as_deref().map(profile))
        .set_user_data(desired.user_data.as_ref().map(|text| BASE64.encode(text.expose())))
        .security_group_ids(context.output(&security_group::INSTANCES)?.id)
        .set_key_name(desired.key.clone())
        .monitoring(ec2::LaunchTemplatesMonitoringRequest::builder().enabled(true).build())
        .metadata_options(metadata.build())
        .block_device_mappings(root.build())
        .tag_specifications(volume_tags.build())
        .build())
}

/// The image that the stack names.
fn image_of(context: &ActionContext<'_>, image: &Image) -> Result<LiveImage, Problem> {
    let found = context.run.prepared::<Images>().and_then(|images| images.get(image.name()).cloned());
    found.ok_or_else(|| {
        Problem::new("The image is not known", format!("{} needs {}", context.address, image.name()))
            .hint("run `cloudscale up` again")
    })
}

fn profile(name_or_arn: &str) -> ec2::LaunchTemplateIamInstanceProfileSpecificationRequest {
    let profile = ec2::LaunchTemplateIamInstanceProfileSpecificationRequest::builder();
    match name_or_arn.starts_with("arn:") {
        true => profile.arn(name_or_arn).build(),
        false => profile.name(name_or_arn).build(),
    }
}

fn volume(data: &ec2::ResponseLaunchTemplateData) -> Option<String> {
    let ebs = data.block_device_mappings().first()?.ebs()?;
    let encrypted = if ebs.encrypted().unwrap_or_default() { "encrypted" } else { "not encrypted" };
    Some(format!("{}, {encrypted}", ebs.volume_type().map_or("default", |kind| kind.as_str())))
}

/// User data as the user wrote it.
fn decode(text: &str) -> String {
    match BASE64.decode(text) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => text.to_owned(),
    }
}

/// A template of our name exists: ours from a call whose answer was lost, or somebody else's.
async fn adopt(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
    let look = || async {
        let call = context.clients().ec2.describe_launch_templates().launch_template_names(&desired.name).send().await;
        match call {
            Ok(answer) => Ok(answer.launch_templates.unwrap_or_default().into_iter().next()),
            Err(error) if error.is(&["InvalidLaunchTemplateName.NotFoundException"]) => Ok(None),
            Err(error) => Err(error.problem("ec2:DescribeLaunchTemplates", context.address)),
        }
    };
    let Some(template) = context.appears(look).await? else {
        return Err(tags::not_ours("launch template", &desired.name));
    };
    let tags = tags::from_ec2(template.tags());
    if tags.get(tags::STACK) != Some(&context.run.stack) {
        return Err(tags::not_ours("launch template", &desired.name));
    }
    let observed = Observed { template, tags, version: None };
    if !holds_secrets(desired) && LaunchTemplate::in_sync(&observed, context.spec) {
        return Ok(LaunchTemplate::output(&observed));
    }
    let mut output = LaunchTemplate::output(&observed);
    output.revision = new_version(context, desired, &output).await?;
    context.write_ec2_tags(vec![output.id.clone()], &own_tags(context, &output.revision)).await?;
    Ok(output)
}

/// The stack's launch templates, and its lock, which is one too: one listing for both.
#[derive(Debug)]
pub struct DescribeLaunchTemplates;

impl Collection for DescribeLaunchTemplates {
    type Item = ec2::LaunchTemplate;

    const NOT_FOUND: &'static [&'static str] =
        &["InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound"];

    fn id(item: &ec2::LaunchTemplate) -> Option<&str> {
        item.launch_template_id()
    }

    fn tags(item: &ec2::LaunchTemplate) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn is_ours(tags: &Tags, stack: &str) -> bool {
        let owner = tags.get(tags::STACK);
        owner.is_some_and(|owner| owner == stack || *owner == lease::stack_tag(stack))
    }

    fn leftover(item: &ec2::LaunchTemplate) -> Option<String> {
        let tags = tags::from_ec2(item.tags());
        let is_lock = Lease::read("", jiff::Timestamp::UNIX_EPOCH, &tags).is_some();
        Some(format!("launch template {}", item.launch_template_name()?)).filter(|_| !is_lock)
    }
}

impl Listing for DescribeLaunchTemplates {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];

    // Of a list that may have been cut the parts are asked for, by the last character of the cluster's name, until they
    // fit. By name, which such an endpoint looks up faster than tags.
    async fn list(query: &Query<'_>) -> Result<Option<Vec<ec2::LaunchTemplate>>, Problem> {
        let stack = &query.cloud.stack;
        let ours = [stack.clone(), lease::stack_tag(stack)];
        let mut found = BTreeMap::new();
        let mut parts = vec![LAST_CHARACTERS];
        while let Some(ends) = parts.pop() {
            let filter = match ends {
                LAST_CHARACTERS => {
                    ec2::Filter::builder().name(format!("tag:{}", tags::STACK)).set_values(Some(ours.to_vec()))
                }
                ends => {
                    let names = ends.chars().map(|end| names::launch_template(stack, &format!("*{end}")));
                    let names = names.chain([names::lock(stack)]).collect();
                    ec2::Filter::builder().name("launch-template-name").set_values(Some(names))
                }
            };
            let call = query.clients.ec2.describe_launch_templates().filters(filter.build());
            let call = call.max_results(i32::try_from(TEMPLATES_PAGE).unwrap_or(i32::MAX));
            let page: Vec<_> = call
                .into_paginator()
                .items()
                .send()
                .try_collect()
                .await
                .map_err(|error| error.problem("ec2:DescribeLaunchTemplates", stack))?;
            if quirks::may_be_cut(page.len(), TEMPLATES_PAGE) && ends.len() > 1 {
                let length = ends.len().div_ceil(PARTS);
                parts.extend((0..ends.len()).step_by(length).map(|at| &ends[at..ends.len().min(at + length)]));
            }
            let listed = page.into_iter().filter_map(|item| Some((item.launch_template_id()?.to_owned(), item)));
            found.extend(listed);
        }
        Ok(Some(found.into_values().collect()))
    }
}

/// The latest versions of those templates whose tags do not report that they are as desired, with the template's id.
#[derive(Debug)]
pub struct DescribeLaunchTemplateVersions;

impl Collection for DescribeLaunchTemplateVersions {
    type Item = (String, ec2::LaunchTemplateVersion);

    const OURS_ONLY: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(spec: &str, tagged: &str, latest: i64) -> Observed {
        let tags =
            Tags::from([(tags::SPEC.to_owned(), spec.to_owned()), (tags::VERSION.to_owned(), tagged.to_owned())]);
        let template = ec2::LaunchTemplate::builder().latest_version_number(latest).build();
        Observed { template, tags, version: None }
    }

    #[test]
    fn a_version_made_by_hand_is_noticed_by_its_number() {
        assert!(LaunchTemplate::in_sync(&observed("abc", "1", 1), "abc"));
        assert!(!LaunchTemplate::in_sync(&observed("abc", "1", 2), "abc"));
        assert!(!LaunchTemplate::in_sync(&observed("abc", "1", 1), "xyz"));
    }
}
