//! An instance's root volume, as a launch asks for it.

use super::tags::{self, Tags};
use crate::region::wire::{ApiError, Params};

/// The images' own size and type.
pub const IMAGE_GIB: i64 = 8;
pub const IMAGE_KIND: &str = "gp3";

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
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
