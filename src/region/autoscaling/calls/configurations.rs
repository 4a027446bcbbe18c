//! Launch configurations.

use super::super::configuration::{CONFIGURATIONS_MAX, Configuration};
use super::super::model::Autoscaling;
use super::super::parameters::invalid;
use super::super::wire;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

const NAME: &str = "LaunchConfigurationName";

pub fn create(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let configuration = Configuration::parse(cx, params)?;
    let name = configuration.name.clone();
    if service.configurations.contains_key(&name) {
        let message = format!(
            "Launch Configuration by this name already exists - A launch configuration already exists with the name {name}"
        );
        return Err(ApiError::new("AlreadyExists", message));
    }
    if service.configurations.len() >= CONFIGURATIONS_MAX {
        return Err(ApiError::new("LimitExceeded", format!("{CONFIGURATIONS_MAX} launch configurations are there.")));
    }
    service.configurations.insert(name, configuration);
    Ok(Value::map())
}

pub fn delete(service: &mut Autoscaling, params: &Params) -> Answer {
    let name = params.required(NAME)?;
    named(service, name)?;
    let is_used = |configuration: &Configuration| configuration.name == name;
    let user = service.groups.values().find(|group| group.settings.configuration.as_ref().is_some_and(is_used));
    if let Some(group) = user {
        let message = format!(
            "Cannot delete launch configuration {name} because it is attached to AutoScalingGroup {}",
            group.name
        );
        return Err(ApiError::new("ResourceInUse", message));
    }
    service.configurations.remove(name);
    Ok(Value::map())
}

/// The configuration of that name.
///
/// # Errors
/// `ValidationError` without one.
pub fn named<'a>(service: &'a Autoscaling, name: &str) -> Result<&'a Configuration, ApiError> {
    let found = service.configurations.get(name);
    found.ok_or_else(|| invalid(format!("Launch configuration name not found - Launch configuration {name} not found")))
}

/// The configuration that a request for a group names.
pub fn of_request(service: &Autoscaling, params: &Params) -> Result<Option<Configuration>, ApiError> {
    params.text(NAME).map(|name| named(service, name).cloned()).transpose()
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let names = params.texts("LaunchConfigurationNames");
    let is_asked = |it: &&Configuration| names.is_empty() || names.contains(&it.name.as_str());
    let asked: Vec<&Configuration> = service.configurations.values().filter(is_asked).collect();
    wire::page(params, "LaunchConfigurations", 100, &asked, |it| it.name.clone(), |it| it.value())
}
