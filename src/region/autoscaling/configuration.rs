//! Launch configurations: what a group launches where it has no launch template. They never change; a group is given another.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::parameters::invalid;
use crate::region::context::Context;
use crate::region::wire::{ApiError, Params, Value};

/// AWS's quota.
pub const CONFIGURATIONS_MAX: usize = 200;
const NAME_LENGTH_MAX: usize = 255;
/// What of a request EC2 takes under the same name.
const SAME: [&str; 6] = ["ImageId", "InstanceType", "KeyName", "UserData", "EbsOptimized", "MetadataOptions"];

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Configuration {
    pub name: String,
    pub arn: String,
    pub created: Timestamp,
    /// As it was given.
    params: Params,
}

/// By name.
pub type Configurations = BTreeMap<String, Configuration>;

impl Configuration {
    /// A new one.
    ///
    /// # Errors
    /// `ValidationError` for what AWS refuses.
    pub fn parse(cx: &mut Context, params: &Params) -> Result<Self, ApiError> {
        let name = params.required("LaunchConfigurationName")?;
        let is_good = |letter: char| ('!'..='~').contains(&letter) && letter != ':';
        if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(is_good) {
            return Err(invalid(format!(
                "LaunchConfigurationName must have 1 to {NAME_LENGTH_MAX} printable ASCII characters, no space and no colon"
            )));
        }
        for field in ["ImageId", "InstanceType"] {
            if params.text(field).is_none_or(str::is_empty) {
                return Err(invalid(format!(
                    "Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters ({field} is missing)."
                )));
            }
        }
        let id = cx.ids.uuid();
        let arn = cx.arn("autoscaling", &format!("launchConfiguration:{id}:launchConfigurationName/{name}"));
        Ok(Self { name: name.to_owned(), arn, created: cx.now, params: params.clone() })
    }

    /// What EC2 is asked for: parameters of `RunInstances`.
    pub fn launch_data(&self) -> Params {
        let params = &self.params;
        let mut data = Params::default();
        let mut set = |name: &str, value: Value| data.0.push((name.to_owned(), value));
        for name in SAME {
            if let Some(value) = params.get(name).filter(|value| **value != Value::from("")) {
                set(name, value.clone());
            }
        }
        // Unlike everywhere else, detailed monitoring is the default here (API reference, InstanceMonitoring).
        let monitoring = params.map("InstanceMonitoring").unwrap_or_default();
        let detailed = monitoring.bool("Enabled").ok().flatten().unwrap_or(true);
        set("Monitoring", Value::map().with("Enabled", Value::from(detailed)));
        if let Some(profile) = params.text("IamInstanceProfile").filter(|name| !name.is_empty()) {
            let field = if profile.starts_with("arn:") { "Arn" } else { "Name" };
            set("IamInstanceProfile", Value::map().with(field, Value::from(profile)));
        }
        if params.get("SpotPrice").is_some() {
            set("InstanceMarketOptions", Value::map().with("MarketType", Value::from("spot")));
        }
        let mappings = params.list("BlockDeviceMappings");
        if !mappings.is_empty() {
            set("BlockDeviceMapping", Value::List(mappings.to_vec()));
        }
        let (ids, names): (Vec<&str>, Vec<&str>) =
            params.texts("SecurityGroups").into_iter().partition(|group| group.starts_with("sg-"));
        let list = |texts: Vec<&str>| Value::list(texts.into_iter().map(Value::from));
        match params.bool("AssociatePublicIpAddress").ok().flatten() {
            Some(public) => {
                let interface = Value::map()
                    .with("DeviceIndex", Value::from("0"))
                    .with("AssociatePublicIpAddress", Value::from(public))
                    .with("SecurityGroupId", (!ids.is_empty()).then(|| list(ids)));
                set("NetworkInterface", Value::list([interface]));
            }
            None => {
                if !ids.is_empty() {
                    set("SecurityGroupId", list(ids));
                }
                if !names.is_empty() {
                    set("SecurityGroup", list(names));
                }
            }
        }
        data
    }

    /// As AWS shows it.
    pub fn value(&self) -> Value {
        let params = &self.params;
        let text = |name: &str| Value::from(params.text(name).unwrap_or_default());
        let monitoring = params.map("InstanceMonitoring").unwrap_or_default();
        let detailed = monitoring.bool("Enabled").ok().flatten().unwrap_or(true);
        let optimized = params.bool("EbsOptimized").ok().flatten().unwrap_or(false);
        let public = params.bool("AssociatePublicIpAddress").ok().flatten();
        Value::map()
            .with("LaunchConfigurationName", Value::from(self.name.as_str()))
            .with("LaunchConfigurationARN", Value::from(self.arn.as_str()))
            .with("ImageId", text("ImageId"))
            .with("InstanceType", text("InstanceType"))
            .with("KeyName", text("KeyName"))
            .with("UserData", text("UserData"))
            .with("KernelId", Value::from(""))
            .with("RamdiskId", Value::from(""))
            .with("SecurityGroups", Value::List(params.list("SecurityGroups").to_vec()))
            .with("BlockDeviceMappings", Value::List(params.list("BlockDeviceMappings").to_vec()))
            .with("InstanceMonitoring", Value::map().with("Enabled", Value::from(detailed)))
            .with("IamInstanceProfile", params.text("IamInstanceProfile").map(Value::from))
            .with("SpotPrice", params.text("SpotPrice").map(Value::from))
            .with("EbsOptimized", Value::from(optimized))
            .with("AssociatePublicIpAddress", public.map(Value::from))
            .with("MetadataOptions", params.get("MetadataOptions").cloned())
            .with("CreatedTime", Value::from(self.created))
    }
}
