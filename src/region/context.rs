//! What a service's model is given with every call: the time, its neighbours, ids, and a place for its signals.

use jiff::Timestamp;

use super::addresses::Addresses;
use super::delays::Delays;
use super::facts::Facts;
use super::ids::Ids;
use super::signal::Signal;

/// The region's one account.
pub const ACCOUNT: &str = "000000000000";

/// Handed to a model; everything that it may see of the outside.
pub struct Context<'a> {
    pub now: Timestamp,
    /// `us-east-1`
    pub region: &'a str,
    /// How long things take.
    pub delays: Delays,
    pub facts: &'a dyn Facts,
    pub ids: &'a mut Ids,
    /// Instances and load balancers take their addresses here, so that no two are the same.
    pub addresses: &'a mut Addresses,
    /// Signals to send, in order.
    pub signals: &'a mut Vec<Signal>,
}

impl Context<'_> {
    pub fn send(&mut self, signal: Signal) {
        self.signals.push(signal);
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:REST`
    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{ACCOUNT}:{rest}", self.region)
    }
}
