use jiff::Timestamp;

use crate::region::context::Context;
use crate::region::facts::{LoadBalancerFacts, TargetGroupFacts};
use crate::region::signal::{Signal, TargetState};
use crate::region::wire::{Answer, ApiError, Request};

#[derive(Debug, Default)]
pub struct Elbv2 {}

impl Elbv2 {
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

    pub fn target_group_facts(&self, _arn: &str) -> Option<TargetGroupFacts> {
        None
    }
    pub fn target_health(&self, _target_group: &str, _instance: &str) -> Option<TargetState> {
        None
    }
    pub fn load_balancer_facts(&self) -> Vec<LoadBalancerFacts> {
        Vec::new()
    }
    pub fn security_groups(&self) -> Vec<String> {
        Vec::new()
    }
}
