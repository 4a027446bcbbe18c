//! Load: a scenario against the stack's routes, measured at the client, joined with CloudWatch.

pub mod result;
