//! What is observed: everything of a stack that AWS lists, at one moment.
//!
//! No resource type is named here: each declares in its own file how it is listed ([`listing::Listing`]).

pub mod activities;
pub mod address;
pub mod alarms;
pub mod console;
pub mod discover;
pub mod expiry;
pub mod health;
pub mod image;
pub mod lease;
pub mod metric_data;
pub mod refreshes;
pub mod signals;
pub mod snapshot;
pub mod state;
pub mod tags;
