use jiff::Timestamp;

use crate::region::context::Context;
use crate::region::facts::StatisticQuery;
use crate::region::signal::Signal;
use crate::region::wire::{Answer, ApiError, Request};

#[derive(Debug, Default)]
pub struct Cloudwatch {}

impl Cloudwatch {
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

    pub fn statistic(&self, _query: &StatisticQuery) -> Option<f64> {
        None
    }
}
