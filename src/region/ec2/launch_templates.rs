//! Launch templates: named, versioned sets of RunInstances parameters.
//!
//! A version keeps its data as it was sent, because most of it is only shown again; `launch.rs` reads what counts.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::images;
use super::launch_data::{launch_parameters, user_data};
use super::listing::{self, Filters};
use super::model::{Ec2, Operation};
use super::tags::{self, Tags};
use crate::region::context::{ACCOUNT, Context};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "CreateLaunchTemplate",
        concat!(
            "LaunchTemplateName VersionDescription ClientToken +tags=launch-template LaunchTemplateData{",
            launch_parameters!(),
            "}"
        ),
        create_launch_template,
    ),
    Operation::new(
        "CreateLaunchTemplateVersion",
        concat!(
            "LaunchTemplateId LaunchTemplateName SourceVersion VersionDescription ClientToken LaunchTemplateData{",
            launch_parameters!(),
            "}"
        ),
        |ec2, cx, params| create_launch_template_version(ec2, cx, params),
    ),
    Operation::new(
        "ModifyLaunchTemplate",
        "LaunchTemplateId LaunchTemplateName SetDefaultVersion ClientToken",
        |ec2, _, params| modify_launch_template(ec2, params),
    ),
    Operation::new("DeleteLaunchTemplate", "LaunchTemplateId LaunchTemplateName", |ec2, _, params| {
        delete_launch_template(ec2, params)
    }),
    Operation::new(
        "DeleteLaunchTemplateVersions",
        "LaunchTemplateId LaunchTemplateName LaunchTemplateVersion[]",
        |ec2, _, params| delete_launch_template_versions(ec2, params),
    ),
    Operation::new(
        "DescribeLaunchTemplates",
        "+filters +pages LaunchTemplateId[] LaunchTemplateName[] IncludeManagedResources=false",
        |ec2, _, params| describe_launch_templates(ec2, params),
    ),
    Operation::new(
        "DescribeLaunchTemplateVersions",
        "+filters +pages LaunchTemplateId LaunchTemplateName LaunchTemplateVersion[] MinVersion \
         MaxVersion ResolveAlias IncludeManagedResources=false",
        |ec2, _, params| describe_launch_template_versions(ec2, params),
    ),
];

/// AWS's quotas.
const TEMPLATES_MAX: usize = 5000;
const VERSIONS_MAX: usize = 10_000;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct LaunchTemplate {
    pub id: String,
    pub name: String,
    pub created: Timestamp,
    pub default_version: i64,
    pub versions: BTreeMap<i64, Version>,
    pub tags: Tags,
    client_token: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Version {
    pub number: i64,
    pub description: Option<String>,
    pub created: Timestamp,
    /// The fields of `LaunchTemplateData`.
    pub data: Params,
    client_token: Option<String>,
}

/// Launch templates by id.
pub type LaunchTemplates = BTreeMap<String, LaunchTemplate>;

impl LaunchTemplate {
    fn latest(&self) -> i64 {
        self.versions.keys().next_back().copied().unwrap_or(self.default_version)
    }

    /// A version by number, `$Latest` or `$Default`.
    pub fn version(&self, version: &str) -> Result<&Version, ApiError> {
        let number = match version {
            "$Latest" => self.latest(),
            "" | "$Default" => self.default_version,
            number => number.parse().map_err(|_| {
                let message = format!("Invalid launch template version: {number}");
                ApiError::new("InvalidLaunchTemplateId.VersionNotFound", message)
            })?,
        };
        self.versions.get(&number).ok_or_else(|| {
            let message = format!("Could not find launch template version {number}");
            ApiError::new("InvalidLaunchTemplateId.VersionNotFound", message)
        })
    }

    fn value(&self) -> Value {
        Value::map()
            .with("launchTemplateId", Value::from(&*self.id))
            .with("launchTemplateName", Value::from(&*self.name))
            .with("createTime", Value::from(self.created))
            .with("createdBy", Value::from(creator()))
            .with("defaultVersionNumber", Value::from(self.default_version))
            .with("latestVersionNumber", Value::from(self.latest()))
            .with("tagSet", tags::value(&self.tags))
    }

    fn version_value(&self, version: &Version) -> Value {
        Value::map()
            .with("launchTemplateId", Value::from(&*self.id))
            .with("launchTemplateName", Value::from(&*self.name))
            .with("versionNumber", Value::from(version.number))
            .with("versionDescription", version.description.as_deref().map(Value::from))
            .with("createTime", Value::from(version.created))
            .with("createdBy", Value::from(creator()))
            .with("defaultVersion", Value::from(version.number == self.default_version))
            .with("launchTemplateData", shown(&Value::Map(version.data.0.clone()), false))
    }
}

fn creator() -> String {
    format!("arn:aws:iam::{ACCOUNT}:root")
}

/// Request data in the names of an answer: `ImageId` → `imageId`, a list `TagSpecification` → `tagSpecificationSet`.
fn shown(data: &Value, of_interface: bool) -> Value {
    match data {
        Value::Map(fields) => {
            let field = |(name, value): &(String, Value)| {
                (shown_name(name, value, of_interface), shown(value, name == "NetworkInterface"))
            };
            Value::Map(fields.iter().map(field).collect())
        }
        Value::List(items) => Value::list(items.iter().map(|item| shown(item, of_interface))),
        scalar => scalar.clone(),
    }
}

fn shown_name(name: &str, value: &Value, of_interface: bool) -> String {
    if of_interface && name == "SecurityGroupId" {
        return "groupSet".to_owned();
    }
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    let lower: String = first.into_iter().chain(characters).collect();
    if matches!(value, Value::List(_)) { format!("{lower}Set") } else { lower }
}

/// The template that a request names by id or by name.
fn named(templates: &LaunchTemplates, params: &Params) -> Result<String, ApiError> {
    match (params.text("LaunchTemplateId"), params.text("LaunchTemplateName")) {
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "Specify either the launch template ID or the launch template name, but not both.",
        )),
        (Some(id), None) if templates.contains_key(id) => Ok(id.to_owned()),
        (Some(id), None) => Err(ApiError::new(
            "InvalidLaunchTemplateId.NotFound",
            format!("The specified launch template, with template ID {id}, does not exist."),
        )),
        (None, Some(name)) => by_name(templates, name).map(|template| template.id.clone()).ok_or_else(|| {
            let message = format!("The specified launch template, with template name {name}, does not exist.");
            ApiError::new("InvalidLaunchTemplateName.NotFoundException", message)
        }),
        (None, None) => Err(ApiError::missing("LaunchTemplateId")),
    }
}

fn by_name<'a>(templates: &'a LaunchTemplates, name: &str) -> Option<&'a LaunchTemplate> {
    templates.values().find(|template| template.name == name)
}

/// The template of a `LaunchTemplate` structure, and the version that it names.
pub fn resolve<'a>(
    templates: &'a LaunchTemplates,
    specification: &Params,
) -> Result<(&'a LaunchTemplate, &'a Version), ApiError> {
    let template = &templates[&named(templates, specification)?];
    Ok((template, template.version(specification.text("Version").unwrap_or("$Default"))?))
}

/// `LaunchTemplateData` of a request, checked as far as AWS checks it before a launch.
fn data_of(params: &Params) -> Result<Params, ApiError> {
    let data = params.map("LaunchTemplateData").ok_or_else(|| ApiError::missing("LaunchTemplateData"))?;
    user_data(&data)?;
    Ok(data)
}

pub fn create_launch_template(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let name = params.required("LaunchTemplateName")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-()./_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let message = "Launch template name is invalid: 3 to 128 letters, digits and ( ) . / _ -";
        return Err(ApiError::new("InvalidLaunchTemplateName.MalformedException", message));
    }
    let token = params.text("ClientToken");
    if let Some(existing) = by_name(&ec2.launch_templates, name) {
        return if token.is_some() && existing.client_token.as_deref() == token {
            Ok(Value::map().with("launchTemplate", existing.value()))
        } else {
            let message = "Launch template name already in use.";
            Err(ApiError::new("InvalidLaunchTemplateName.AlreadyExistsException", message))
        };
    }
    if ec2.launch_templates.len() >= TEMPLATES_MAX {
        let message = format!("At most {TEMPLATES_MAX} launch templates.");
        return Err(ApiError::new("LaunchTemplateLimitExceeded", message));
    }
    let (data, tags) = (data_of(params)?, tags::specified(params, "launch-template")?);
    let first = Version {
        number: 1,
        description: params.text("VersionDescription").map(str::to_owned),
        created: cx.now,
        data,
        client_token: None,
    };
    let template = LaunchTemplate {
        id: cx.ids.resource("lt"),
        name: name.to_owned(),
        created: cx.now,
        default_version: 1,
        versions: BTreeMap::from([(1, first)]),
        tags,
        client_token: token.map(str::to_owned),
    };
    let answer = Value::map().with("launchTemplate", template.value());
    ec2.launch_templates.insert(template.id.clone(), template);
    Ok(answer)
}

pub fn create_launch_template_version(ec2: &mut Ec2, cx: &Context, params: &Params) -> Answer {
    let id = named(&ec2.launch_templates, params)?;
    let template = &ec2.launch_templates[&id];
    let token = params.text("ClientToken");
    let repeated = |version: &&Version| token.is_some() && version.client_token.as_deref() == token;
    if let Some(version) = template.versions.values().find(repeated) {
        return Ok(Value::map().with("launchTemplateVersion", template.version_value(version)));
    }
    if template.versions.len() >= VERSIONS_MAX {
        let message = format!("At most {VERSIONS_MAX} versions.");
        return Err(ApiError::new("LaunchTemplateVersionLimitExceeded", message));
    }
    let mut data = data_of(params)?;
    if let Some(source) = params.text("SourceVersion") {
        data = overlaid(&template.version(source)?.data, &data);
    }
    let version = Version {
        number: template.latest() + 1,
        description: params.text("VersionDescription").map(str::to_owned),
        created: cx.now,
        data,
        client_token: token.map(str::to_owned),
    };
    let answer = Value::map().with("launchTemplateVersion", template.version_value(&version));
    if let Some(template) = ec2.launch_templates.get_mut(&id) {
        template.versions.insert(version.number, version);
    }
    Ok(answer)
}

/// `base` with every field that `over` has taken from `over`.
pub fn overlaid(base: &Params, over: &Params) -> Params {
    let kept = base.0.iter().filter(|(name, _)| over.get(name).is_none());
    Params(kept.chain(&over.0).cloned().collect())
}

pub fn modify_launch_template(ec2: &mut Ec2, params: &Params) -> Answer {
    let id = named(&ec2.launch_templates, params)?;
    let wanted = params.text("SetDefaultVersion").ok_or_else(|| ApiError::missing("SetDefaultVersion"))?;
    let number = ec2.launch_templates[&id].version(wanted)?.number;
    let template = ec2.launch_templates.get_mut(&id).ok_or_else(|| ApiError::missing("LaunchTemplateId"))?;
    template.default_version = number;
    Ok(Value::map().with("launchTemplate", template.value()))
}

/// Groups that use a template do not keep it from being deleted; on AWS neither.
pub fn delete_launch_template(ec2: &mut Ec2, params: &Params) -> Answer {
    let id = named(&ec2.launch_templates, params)?;
    let template = ec2.launch_templates.remove(&id);
    Ok(Value::map().with("launchTemplate", template.map(|template| template.value())))
}

pub fn delete_launch_template_versions(ec2: &mut Ec2, params: &Params) -> Answer {
    let id = named(&ec2.launch_templates, params)?;
    let Some(template) = ec2.launch_templates.get_mut(&id) else { return Err(ApiError::missing("LaunchTemplateId")) };
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for text in params.texts("LaunchTemplateVersion") {
        let row = Value::map()
            .with("launchTemplateId", Value::from(&*template.id))
            .with("launchTemplateName", Value::from(&*template.name))
            .with("versionNumber", text.parse::<i64>().ok().map(Value::from));
        let number = text.parse().unwrap_or(0);
        let error = if number == template.default_version {
            Some(("unexpectedError", "Cannot delete the default version of a launch template."))
        } else if template.versions.remove(&number).is_none() {
            Some(("launchTemplateVersionDoesNotExist", "The version does not exist."))
        } else {
            None
        };
        match error {
            None => deleted.push(row),
            Some((code, message)) => {
                let error = Value::map().with("code", Value::from(code)).with("message", Value::from(message));
                kept.push(row.with("responseError", error));
            }
        }
    }
    Ok(Value::map()
        .with("successfullyDeletedLaunchTemplateVersionSet", Value::List(deleted))
        .with("unsuccessfullyDeletedLaunchTemplateVersionSet", Value::List(kept)))
}

pub fn describe_launch_templates(ec2: &Ec2, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let templates = &ec2.launch_templates;
    let (ids, names) = (params.texts("LaunchTemplateId"), params.texts("LaunchTemplateName"));
    for (field, values) in [("LaunchTemplateId", &ids), ("LaunchTemplateName", &names)] {
        for value in values {
            named(templates, &Params(vec![(field.to_owned(), Value::from(*value))]))?;
        }
    }
    let mut found = Vec::new();
    for template in templates.values() {
        let keep = filters.keep(&template.tags, |name| match name {
            "launch-template-name" => Some(vec![template.name.clone()]),
            "create-time" => Some(vec![crate::region::wire::xml::time_text(template.created)]),
            _ => None,
        })?;
        let asked = (ids.is_empty() || ids.contains(&template.id.as_str()))
            && (names.is_empty() || names.contains(&template.name.as_str()));
        if keep && asked {
            found.push(template);
        }
    }
    let (page, token) = listing::page(params, found, |template| template.id.clone())?;
    Ok(listing::answer("launchTemplates", page.into_iter().map(LaunchTemplate::value).collect(), token))
}

pub fn describe_launch_template_versions(ec2: &Ec2, params: &Params) -> Answer {
    let wanted = params.texts("LaunchTemplateVersion");
    let named_one = params.text("LaunchTemplateId").or(params.text("LaunchTemplateName")).is_some();
    let templates: Vec<&LaunchTemplate> = if named_one {
        vec![&ec2.launch_templates[&named(&ec2.launch_templates, params)?]]
    } else if !wanted.is_empty() && wanted.iter().all(|version| version.starts_with('$')) {
        ec2.launch_templates.values().collect()
    } else {
        return Err(ApiError::missing("LaunchTemplateId"));
    };
    let (from, to) = (params.int("MinVersion")?.unwrap_or(1), params.int("MaxVersion")?.unwrap_or(i64::MAX));
    let mut found = Vec::new();
    for template in templates {
        if wanted.is_empty() {
            found.extend(template.versions.range(from.min(to)..=to).map(|(_, version)| (template, version)));
        }
        for version in &wanted {
            found.push((template, template.version(version)?));
        }
    }
    let filters = Filters::of(params)?;
    let mut problem = Ok(());
    found.retain(|(template, version)| {
        let kept = filters.keep(&Tags::new(), |name| version_field(template, version, name));
        kept.unwrap_or_else(|error| {
            problem = Err(error);
            false
        })
    });
    problem?;
    let key = |row: &(&LaunchTemplate, &Version)| format!("{}/{:010}", row.0.id, row.1.number);
    found.sort_by_key(key);
    found.dedup_by_key(|row| key(row));
    let (page, token) = listing::page(params, found, key)?;
    let resolves = params.bool("ResolveAlias")?.unwrap_or(false);
    let row = |(template, version): (&LaunchTemplate, &Version)| {
        let mut version = version.clone();
        if resolves && let Some((_, image)) = version.data.0.iter_mut().find(|(name, _)| name == "ImageId") {
            let name = if let Value::Text(name) = &*image { name.clone() } else { String::new() };
            *image = Value::from(images::resolve(&name)?.id);
        }
        Ok(template.version_value(&version))
    };
    let rows = page.into_iter().map(row).collect::<Result<_, ApiError>>()?;
    Ok(listing::answer("launchTemplateVersionSet", rows, token))
}

/// A version's values of a filter.
fn version_field(template: &LaunchTemplate, version: &Version, name: &str) -> Option<Vec<String>> {
    let text = |name: &str| version.data.text(name).map(str::to_owned).into_iter().collect();
    Some(match name {
        "create-time" => vec![crate::region::wire::xml::time_text(version.created)],
        "is-default-version" => vec![(version.number == template.default_version).to_string()],
        "image-id" => text("ImageId"),
        "instance-type" => text("InstanceType"),
        "ebs-optimized" => text("EbsOptimized"),
        "iam-instance-profile" => {
            let profile = version.data.map("IamInstanceProfile").unwrap_or_default();
            profile.text("Arn").or(profile.text("Name")).map(str::to_owned).into_iter().collect()
        }
        _ => return None,
    })
}
