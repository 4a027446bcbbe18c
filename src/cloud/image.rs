//! Images: from the stack's words to an AMI, once a run.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Filter;

use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::problem::Problem;
use crate::stack::model::Image;

/// GetParameters takes ten names (SSM API).
const NAMES_PER_CALL: usize = 10;
/// The root volume of Amazon Linux, for endpoints that do not describe the image.
const ROOT_DEVICE: &str = "/dev/xvda";
const ROOT_GIB: i32 = 8;

/// An image of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveImage {
    pub id: String,
    /// `/dev/xvda`: what a volume must be mapped to, to be the root volume.
    pub root_device: String,
    /// As large as the image's own: the least that it fits on.
    pub root_gib: i32,
}

/// Images by the name that the stack gives them.
pub type Images = BTreeMap<String, LiveImage>;

/// Finds all images in two calls.
///
/// # Errors
/// Where a parameter does not exist in the region.
pub async fn resolve(clients: &Clients, images: &[&Image]) -> Result<Images, Problem> {
    let mut ids = BTreeMap::new();
    let mut parameters = BTreeMap::new();
    for image in images {
        let name = image.name().to_owned();
        match image {
            Image::Id(id) => ids.insert(name, id.clone()),
            Image::Alias { parameter, .. } | Image::Parameter(parameter) => parameters.insert(name, parameter.clone()),
        };
    }
    let values = parameter_values(clients, parameters.values().cloned().collect()).await?;
    for (name, parameter) in parameters {
        let id = values.get(&parameter).ok_or_else(|| {
            Problem::new("The image does not exist here", format!("no parameter {parameter} in {}", clients.region))
                .hint("check the image's name and the region; `image: ami-…` names one directly")
        })?;
        ids.insert(name, id.clone());
    }
    let volumes = root_volumes(clients, ids.values().cloned().collect()).await?;
    let image = |id: String| {
        let (root_device, root_gib) = volumes.get(&id).cloned().unwrap_or_else(|| (ROOT_DEVICE.to_owned(), ROOT_GIB));
        LiveImage { id, root_device, root_gib }
    };
    Ok(ids.into_iter().map(|(name, id)| (name, image(id))).collect())
}

async fn parameter_values(clients: &Clients, mut names: Vec<String>) -> Result<BTreeMap<String, String>, Problem> {
    names.sort_unstable();
    names.dedup();
    let mut values = BTreeMap::new();
    for names in names.chunks(NAMES_PER_CALL) {
        let call = clients.ssm.get_parameters().set_names(Some(names.to_vec())).send().await;
        let answer = call.map_err(|error| error.problem("ssm:GetParameters", names.join(", ")))?;
        let found = answer.parameters.unwrap_or_default().into_iter();
        values.extend(found.filter_map(|parameter| Some((parameter.name?, parameter.value?))));
    }
    Ok(values)
}

/// Device and size by image. By a filter and not by id: an unknown id is then simply not in the answer.
async fn root_volumes(clients: &Clients, mut ids: Vec<String>) -> Result<BTreeMap<String, (String, i32)>, Problem> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let filter = Filter::builder().name("image-id").set_values(Some(ids)).build();
    let call = clients.ec2.describe_images().filters(filter).send().await;
    let answer = call.map_err(|error| error.problem("ec2:DescribeImages", "the stack's images"))?;
    let volume = |image: &aws_sdk_ec2::types::Image| {
        let device = image.root_device_name()?;
        let root = image.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(device));
        let gib = root.and_then(|mapping| mapping.ebs()?.volume_size()).unwrap_or(ROOT_GIB);
        Some((image.image_id()?.to_owned(), (device.to_owned(), gib)))
    };
    Ok(answer.images().iter().filter_map(volume).collect())
}
