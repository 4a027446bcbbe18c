//! Volumes: every instance has its root volume, as a record only; its files are a folder of the region.

use super::images;
use super::instances::Instance;
use super::listing::{self, Filters, known_ids};
use super::model::{Ec2, Operation};
use super::tags;
use crate::region::wire::{Answer, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[Operation::new(
    "DescribeVolumes",
    "+filters +pages VolumeId[] IncludeManagedResources=false",
    |ec2, _, params| describe_volumes(ec2, params),
)
.differs("Every instance has its root volume, and no other exists.")];

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
