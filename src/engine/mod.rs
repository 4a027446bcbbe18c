//! From a stack to the cloud: discover what is live, compare, order, apply.

pub mod event;
pub mod plan;
pub mod status;
