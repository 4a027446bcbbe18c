//! DescribeImages: the public images of the region.

use super::listing::{self, Filters};
use super::model::Operation;
use super::tags::Tags;
use crate::region::images::{self, IMAGES, Image};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[Operation::new(
    "DescribeImages",
    "+filters +pages ImageId[] Owner[] IncludeDeprecated IncludeDisabled",
    |_, _, params| describe_images(params),
)
.differs("A few public images; none is deprecated or disabled.")];

/// When every image was made, as far as anybody here knows.
const CREATED: &str = "2026-11-10T00:00:00.000Z";

/// The image of that id, or AWS's error.
pub fn find(id: &str) -> Result<&'static Image, ApiError> {
    let hex = id.strip_prefix("ami-").unwrap_or("");
    if !matches!(hex.len(), 8 | 17) || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(ApiError::new("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\" (expecting \"ami-...\")")));
    }
    let not_found = || ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
    IMAGES.iter().find(|image| image.id == id).ok_or_else(not_found)
}

/// The image that a launch names: by its id, or by the public parameter that holds it (`resolve:ssm:NAME`, with a version or
/// a label behind another colon, of which there is one here).
pub fn resolve(name: &str) -> Result<&'static Image, ApiError> {
    let Some(parameter) = name.strip_prefix("resolve:ssm:") else { return find(name) };
    let (parameter, _) = parameter.split_once(':').unwrap_or((parameter, ""));
    images::by_parameter(parameter).ok_or_else(|| {
        let message =
            format!("The parameter '{parameter}' of ImageId cannot be resolved: it is not one of the region's.");
        ApiError::new("InvalidParameterValue", message)
    })
}

pub fn describe_images(params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let (ids, owners) = (params.texts("ImageId"), params.texts("Owner"));
    for id in &ids {
        find(id)?;
    }
    let mut found = Vec::new();
    for image in &IMAGES {
        let keep = filters.keep(&Tags::new(), |name| {
            let value = match name {
                "image-id" => image.id,
                "name" => image.name,
                "description" => image.description,
                "architecture" => image.architecture,
                "state" => "available",
                "owner-id" => image.owner,
                "owner-alias" => "amazon",
                "root-device-type" | "block-device-mapping.volume-type" => "ebs",
                "virtualization-type" => "hvm",
                "image-type" => "machine",
                "hypervisor" => "xen",
                "is-public" => "true",
                _ => return None,
            };
            Some(vec![value.to_owned()])
        })?;
        let owned = owners.is_empty() || owners.iter().any(|owner| *owner == image.owner || *owner == "amazon");
        if keep && owned && (ids.is_empty() || ids.contains(&image.id)) {
            found.push(image);
        }
    }
    let (page, token) = listing::page(params, found, |image| image.id.to_owned())?;
    let rows = page.into_iter().map(value).collect();
    Ok(listing::answer("imagesSet", rows, token))
}

fn value(image: &Image) -> Value {
    let root = Value::map().with("deviceName", Value::from(image.root_device)).with(
        "ebs",
        Value::map()
            .with("deleteOnTermination", Value::from(true))
            .with("snapshotId", Value::from(image.id.replace("ami-", "snap-")))
            .with("volumeSize", Value::from(8i64))
            .with("volumeType", Value::from("gp3"))
            .with("encrypted", Value::from(false)),
    );
    Value::map()
        .with("imageId", Value::from(image.id))
        .with("imageLocation", Value::from(format!("{}/{}", image.owner, image.name)))
        .with("imageState", Value::from("available"))
        .with("imageOwnerId", Value::from(image.owner))
        .with("imageOwnerAlias", Value::from("amazon"))
        .with("creationDate", Value::from(CREATED))
        .with("isPublic", Value::from(true))
        .with("architecture", Value::from(image.architecture))
        .with("imageType", Value::from("machine"))
        .with("name", Value::from(image.name))
        .with("description", Value::from(image.description))
        .with("rootDeviceType", Value::from("ebs"))
        .with("rootDeviceName", Value::from(image.root_device))
        .with("blockDeviceMapping", Value::list([root]))
        .with("virtualizationType", Value::from("hvm"))
        .with("hypervisor", Value::from("xen"))
        .with("enaSupport", Value::from(true))
        .with("platformDetails", Value::from("Linux/UNIX"))
        .with("usageOperation", Value::from("RunInstances"))
}
