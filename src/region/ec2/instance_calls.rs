//! What a user does to instances that exist: start, stop, reboot, terminate, monitor, modify, read the console.

use super::instance_types::credits;
use super::instances::{self, Instance};
use super::launch_data::user_data;
use super::model::{Ec2, Operation, returned};
use super::{describe, images, rules};
use crate::catalog::instance_types;
use crate::region::context::Context;
use crate::region::signal::InstanceState;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("StartInstances", "InstanceId[]", |ec2, cx, params| {
        ec2.change_instances(cx, params, instances::start)
    })
    .differs("The user data runs at every start, since there is no systemd that would keep the application."),
    Operation::new(
        "StopInstances",
        "InstanceId[] Hibernate=false Force=false SkipOsShutdown=false",
        |ec2, cx, params| ec2.stop_instances(cx, params),
    ),
    Operation::new("TerminateInstances", "InstanceId[] Force=false SkipOsShutdown=false", |ec2, cx, params| {
        ec2.terminate_instances(cx, params)
    }),
    Operation::new("RebootInstances", "InstanceId[]", |ec2, cx, params| {
        ec2.change_instances(cx, params, instances::reboot).map(|_| returned())
    }),
    Operation::new("MonitorInstances", "InstanceId[]", |ec2, _, params| ec2.set_monitoring(params, true)),
    Operation::new("UnmonitorInstances", "InstanceId[]", |ec2, _, params| ec2.set_monitoring(params, false)),
    Operation::new(
        "ModifyInstanceAttribute",
        "InstanceId Attribute Value DisableApiTermination{Value} DisableApiStop{Value} SourceDestCheck{Value} \
         InstanceInitiatedShutdownBehavior{Value} EbsOptimized{Value} EnaSupport{Value=true} InstanceType{Value} \
         UserData{Value} GroupId[] BlockDeviceMapping[]{DeviceName Ebs{DeleteOnTermination}}",
        |ec2, _, params| ec2.modify_instance_attribute(params),
    ),
    Operation::new(
        "ModifyInstanceMetadataOptions",
        "InstanceId HttpTokens HttpPutResponseHopLimit HttpEndpoint HttpProtocolIpv6=disabled InstanceMetadataTags",
        |ec2, _, params| ec2.modify_metadata_options(params),
    ),
    Operation::new("GetConsoleOutput", "InstanceId Latest", |ec2, cx, params| ec2.get_console_output(cx, params))
        .differs("The console is the output of the user data and of what it started."),
];

impl Ec2 {
    fn terminate_instances(&mut self, cx: &mut Context, params: &Params) -> Answer {
        for id in instances::requested(self, params, true)? {
            let instance = self.instances.get(id)?;
            if instance.termination_protection && instance.state != InstanceState::Terminated {
                let message = format!(
                    "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
                );
                return Err(ApiError::new("OperationNotPermitted", message));
            }
        }
        let reason = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown");
        self.change_instances(cx, params, |ec2, cx, id| instances::terminate(ec2, cx, id, reason))
    }

    /// Does one thing to every instance of the request; answers each one's state before and after.
    fn change_instances(
        &mut self,
        cx: &mut Context,
        params: &Params,
        change: impl Fn(&mut Self, &mut Context, &str),
    ) -> Answer {
        let ids = instances::requested(self, params, true)?;
        let mut rows = Vec::new();
        for id in ids {
            let previous = self.instances.get(id)?.state;
            change(self, cx, id);
            let current = self.instances.get(id)?.state;
            rows.push(
                Value::map()
                    .with("instanceId", Value::from(id))
                    .with("currentState", describe::state_value(current))
                    .with("previousState", describe::state_value(previous)),
            );
        }
        Ok(Value::map().with("instancesSet", Value::List(rows)))
    }

    fn set_monitoring(&mut self, params: &Params, on: bool) -> Answer {
        let ids = instances::requested(self, params, true)?;
        let state = if on { "enabled" } else { "disabled" };
        let mut rows = Vec::new();
        for id in ids {
            if let Some(instance) = self.instances.all.get_mut(id) {
                instance.monitoring = on;
            }
            let monitoring = Value::map().with("state", Value::from(state));
            rows.push(Value::map().with("instanceId", Value::from(id)).with("monitoring", monitoring));
        }
        Ok(Value::map().with("instancesSet", Value::List(rows)))
    }

    /// Stops instances, none of which may be protected (`DisableApiStop`).
    fn stop_instances(&mut self, cx: &mut Context, params: &Params) -> Answer {
        for id in instances::requested(self, params, true)? {
            if self.instances.get(id)?.stop_protection {
                let message = format!(
                    "The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again."
                );
                return Err(ApiError::new("OperationNotPermitted", message));
            }
        }
        self.change_instances(cx, params, instances::stop)
    }

    /// One attribute a call: by its own parameter, or by `Attribute` and `Value`.
    fn modify_instance_attribute(&mut self, params: &Params) -> Answer {
        let id = params.required("InstanceId")?;
        let (vpc, is_stopped) = {
            let instance = self.instances.get(id)?;
            (instance.vpc.clone(), instance.state == InstanceState::Stopped)
        };
        let ids = params.texts("GroupId");
        let groups = if ids.is_empty() { None } else { Some(rules::groups_for_launch(self, &ids, &[], &vpc)?) };
        let keeps = keeps_volume(params)?;
        let changes: Vec<(&str, Params)> = ATTRIBUTES
            .iter()
            .filter_map(|(name, attribute)| match params.map(name) {
                Some(given) => Some((*attribute, given)),
                None if params.text("Attribute") == Some(attribute) => Some((*attribute, params.clone())),
                None => None,
            })
            .collect();
        if changes.len() + usize::from(groups.is_some()) + usize::from(keeps.is_some()) != 1 {
            let message = "Exactly one attribute must be specified: the embedded region changes the type, the user data, the security groups, protection, shutdown behavior, source/destination check, EBS optimization and what becomes of the root volume.";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        let instance = self.instances.all.get_mut(id).ok_or_else(|| instances::not_found(&[id]))?;
        instance.groups = groups.unwrap_or_else(|| std::mem::take(&mut instance.groups));
        instance.volume.keep = keeps.unwrap_or(instance.volume.keep);
        for (attribute, given) in changes {
            if NEED_A_STOP.contains(&attribute) && !is_stopped {
                let message = format!("The instance '{id}' is not in the 'stopped' state.");
                return Err(ApiError::new("IncorrectInstanceState", message));
            }
            modify(instance, attribute, &given)?;
        }
        Ok(returned())
    }

    /// What the call does not name stays as it is.
    fn modify_metadata_options(&mut self, params: &Params) -> Answer {
        let id = params.required("InstanceId")?;
        let instance = self.instances.all.get_mut(id).ok_or_else(|| instances::not_found(&[id]))?;
        instance.metadata_options = instance.metadata_options.with(params)?;
        let options = describe::metadata_value(&instance.metadata_options);
        Ok(Value::map().with("instanceId", Value::from(id)).with("instanceMetadataOptions", options))
    }

    /// Checks the call; the shell of the processes adds the log (`output`).
    fn get_console_output(&self, cx: &Context, params: &Params) -> Answer {
        let instance = self.instances.get(params.required("InstanceId")?)?;
        Ok(Value::map().with("instanceId", Value::from(&*instance.id)).with("timestamp", Value::from(cx.now)))
    }
}

/// The attributes with a parameter of their own, and how `Attribute` calls them.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("DisableApiTermination", "disableApiTermination"),
    ("DisableApiStop", "disableApiStop"),
    ("SourceDestCheck", "sourceDestCheck"),
    ("InstanceInitiatedShutdownBehavior", "instanceInitiatedShutdownBehavior"),
    ("EbsOptimized", "ebsOptimized"),
    ("EnaSupport", "enaSupport"),
    ("InstanceType", "instanceType"),
    ("UserData", "userData"),
];

/// What only a stopped instance changes (EC2 API, ModifyInstanceAttribute).
const NEED_A_STOP: [&str; 4] = ["instanceType", "userData", "ebsOptimized", "enaSupport"];

/// Changes an attribute of an instance to `Value`.
fn modify(instance: &mut Instance, attribute: &str, given: &Params) -> Result<(), ApiError> {
    let flag = || given.bool("Value")?.ok_or_else(|| ApiError::missing("Value"));
    match attribute {
        "disableApiTermination" => instance.termination_protection = flag()?,
        "disableApiStop" => instance.stop_protection = flag()?,
        "sourceDestCheck" => instance.source_dest_check = flag()?,
        "ebsOptimized" => instance.ebs_optimized = flag()?,
        // Every current type has it.
        "enaSupport" => {
            flag()?;
        }
        "instanceInitiatedShutdownBehavior" => match given.required("Value")? {
            behavior @ ("stop" | "terminate") => behavior.clone_into(&mut instance.shutdown_behavior),
            other => return Err(ApiError::invalid("instanceInitiatedShutdownBehavior", other)),
        },
        "instanceType" => {
            let name = given.required("Value")?;
            let row = instance_types::find(name).ok_or_else(|| ApiError::invalid("instanceType", name))?;
            if row.architecture() != images::find(&instance.image)?.architecture {
                let message = format!("The instance type '{name}' has another architecture than the instance's image.");
                return Err(ApiError::new("InvalidParameterCombination", message));
            }
            name.clone_into(&mut instance.instance_type);
            instance.cpu_credits = credits(row, &Params::default());
        }
        _ => {
            let data = Params(vec![("UserData".to_owned(), Value::from(given.text("Value").unwrap_or_default()))]);
            instance.user_data = user_data(&data)?.into();
        }
    }
    Ok(())
}

/// Whether the root volume is to outlive the instance, where the request says so.
fn keeps_volume(params: &Params) -> Result<Option<bool>, ApiError> {
    let mappings = params.maps("BlockDeviceMapping");
    let Some(mapping) = mappings.first() else { return Ok(None) };
    let deletes = mapping.map("Ebs").unwrap_or_default().bool("DeleteOnTermination")?;
    Ok(deletes.map(|deletes| !deletes))
}
