use jiff::Timestamp;

use crate::region::context::Context;
use crate::region::facts::{InstanceFacts, LaunchTemplateFacts, SubnetFacts};
use crate::region::signal::Signal;
use crate::region::wire::{Answer, ApiError, Request};

#[derive(Debug, Default)]
pub struct Ec2 {}

impl Ec2 {
    /// Runs one operation.
    pub fn call(&mut self, _cx: &mut Context, request: &Request) -> Answer {
        Err(ApiError::unknown_operation(&request.operation))
    }

    /// Takes what another service or a shell says; ignores what does not concern it.
    pub fn signal(&mut self, _cx: &mut Context, _signal: &Signal) {}

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, _cx: &mut Context) {}

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    pub fn instance_facts(&self, _id: &str) -> Option<InstanceFacts> {
        None
    }
    pub fn instances_facts(&self) -> Vec<InstanceFacts> {
        Vec::new()
    }
    pub fn subnet_facts(&self, _id: &str) -> Option<SubnetFacts> {
        None
    }
    pub fn vpc_exists(&self, _id: &str) -> bool {
        false
    }
    pub fn security_group_exists(&self, _id: &str) -> bool {
        false
    }
    pub fn launch_template_facts(&self, _id_or_name: &str, _version: &str) -> Option<LaunchTemplateFacts> {
        None
    }
}
