//! Volumes: every instance has its root volume, as a record only; its files are a folder of the region.

use super::images;
use super::instances::Instance;
use super::listing::{self, Filters, known_ids};
use super::model::{Ec2, Operation};
use super::tags::{self, Tags};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[Operation::new(
    "DescribeVolumes",
    "+filters +pages VolumeId[] IncludeManagedResources=false",
    |ec2, _, params| describe_volumes(ec2, params),
)
.differs("Every instance has its root volume, and no other exists.")];

/// The images' own size and type.
pub const IMAGE_GIB: i64 = 8;
pub const IMAGE_KIND: &str = "gp3";

#[derive(Clone, Debug)]
pub struct RootVolume {
    pub id: String,
    pub gib: i64,
    /// `gp3`
    pub kind: String,
    pub iops: Option<i64>,
    /// MiB/s
    pub throughput: Option<i64>,
    pub encrypted: bool,
    pub keep: bool,
    pub tags: Tags,
}

impl RootVolume {
    /// The root volume that a launch asks for; its id is given when it starts.
    pub fn requested(data: &Params, root: &str) -> Result<Self, ApiError> {
        let mut mappings = data.maps("BlockDeviceMapping");
        // The alias that people write for any image's root device where the image calls it /dev/xvda, and the reverse.
        let is_root = |name: &str| name == root || name.starts_with("/dev/sda") || name == "/dev/xvda";
        let other = mappings.iter().filter_map(|mapping| mapping.text("DeviceName")).find(|name| !is_root(name));
        if mappings.len() > 1 || other.is_some() {
            let message = format!(
                "An instance of the embedded region has its root volume ({root}) only, not {}: there are no data volumes.",
                other.unwrap_or("two")
            );
            return Err(ApiError::new("InvalidBlockDeviceMapping", message));
        }
        let mapping = mappings.pop();
        let ebs = mapping.and_then(|mapping| mapping.map("Ebs")).unwrap_or_default();
        let gib = ebs.int("VolumeSize")?.unwrap_or(IMAGE_GIB);
        if !(IMAGE_GIB..=16384).contains(&gib) {
            let message = format!("Volume of size {gib}GB is smaller than snapshot, expect size >= {IMAGE_GIB}GB");
            return Err(ApiError::new("InvalidBlockDeviceMapping", message));
        }
        let kind = ebs.text("VolumeType").unwrap_or(IMAGE_KIND).to_owned();
        // A gp3 volume's own performance; gp2's grows with its size.
        let (iops, throughput) = match kind.as_str() {
            "gp3" => (Some(3000), Some(125)),
            "gp2" => (Some((3 * gib).clamp(100, 16000)), None),
            "io1" | "io2" | "st1" | "sc1" | "standard" => (None, None),
            other => return Err(ApiError::invalid("volumeType", other)),
        };
        Ok(Self {
            id: String::new(),
            gib,
            iops: ebs.int("Iops")?.or(iops),
            throughput: ebs.int("Throughput")?.or(throughput),
            kind,
            encrypted: ebs.bool("Encrypted")?.unwrap_or(false),
            keep: ebs.bool("DeleteOnTermination")? == Some(false),
            tags: tags::specified(data, "volume")?,
        })
    }
}

/// Where an instance's root volume is attached.
pub fn root_device(instance: &Instance) -> &'static str {
    images::find(&instance.image).map_or("/dev/xvda", |image| image.root_device)
}

pub fn describe_volumes(ec2: &Ec2, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let attached = || ec2.instances.all.values().filter(|instance| instance.occupies());
    let known = |id: &str| attached().any(|instance| instance.volume.id == id);
    let ids = known_ids(params, "VolumeId", "InvalidVolume.NotFound", "volume", known)?;
    let mut found = Vec::new();
    for instance in attached() {
        let volume = &instance.volume;
        let keep = filters.keep(&volume.tags, |name| {
            let value = match name {
                "volume-id" => volume.id.clone(),
                "attachment.instance-id" => instance.id.clone(),
                "attachment.device" => root_device(instance).to_owned(),
                "attachment.status" => "attached".to_owned(),
                "attachment.delete-on-termination" => (!volume.keep).to_string(),
                "availability-zone" => instance.zone.clone(),
                "status" => "in-use".to_owned(),
                "volume-type" => volume.kind.clone(),
                "size" => volume.gib.to_string(),
                "encrypted" => volume.encrypted.to_string(),
                _ => return None,
            };
            Some(vec![value])
        })?;
        if keep && (ids.is_empty() || ids.contains(&volume.id.as_str())) {
            found.push(instance);
        }
    }
    found.sort_by(|one, two| one.volume.id.cmp(&two.volume.id));
    let (page, token) = listing::page(params, found, |instance| instance.volume.id.clone())?;
    Ok(listing::answer("volumeSet", page.into_iter().map(value).collect(), token))
}

fn value(instance: &Instance) -> Value {
    let volume = &instance.volume;
    let attachment = Value::map()
        .with("volumeId", Value::from(&*volume.id))
        .with("instanceId", Value::from(&*instance.id))
        .with("device", Value::from(root_device(instance)))
        .with("status", Value::from("attached"))
        .with("attachTime", Value::from(instance.launched))
        .with("deleteOnTermination", Value::from(!volume.keep));
    Value::map()
        .with("volumeId", Value::from(&*volume.id))
        .with("size", Value::from(volume.gib))
        .with("snapshotId", Value::from(instance.image.replace("ami-", "snap-")))
        .with("availabilityZone", Value::from(&*instance.zone))
        .with("status", Value::from("in-use"))
        .with("createTime", Value::from(instance.launched))
        .with("attachmentSet", Value::list([attachment]))
        .with("volumeType", Value::from(&*volume.kind))
        .with("iops", volume.iops.map(Value::from))
        .with("throughput", volume.throughput.map(Value::from))
        .with("encrypted", Value::from(volume.encrypted))
        .with("multiAttachEnabled", Value::from(false))
        .with("tagSet", tags::value(&volume.tags))
}

/// The instance's block device as DescribeInstances shows it.
pub fn block_device(instance: &Instance) -> Value {
    let ebs = Value::map()
        .with("volumeId", Value::from(&*instance.volume.id))
        .with("status", Value::from("attached"))
        .with("attachTime", Value::from(instance.launched))
        .with("deleteOnTermination", Value::from(!instance.volume.keep));
    Value::map().with("deviceName", Value::from(root_device(instance))).with("ebs", ebs)
}
