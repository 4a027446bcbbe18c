//! The way to AWS: the SDK's clients, what they are asked, and what their errors mean to a user.
//!
//! `clients.rs` builds the clients: the SDK retries (`retry.rs` says what else is worth it), and `pace.rs` keeps AWS's
//! published `rates.rs` with a `bucket.rs` of tokens. `calls.rs` counts, `error.rs` explains.

pub mod arn;
pub mod calls;
pub mod clients;
pub mod error;
pub mod quirks;
pub mod rate_limiter;
pub mod rates;
pub mod retry_classifier;
pub mod server_time;
pub mod time;
pub mod token_bucket;
