//! The way to AWS: the SDK's clients, what they are asked, and what their errors mean to a user.

pub mod calls;
pub mod clients;
pub mod error;
pub mod server_time;
