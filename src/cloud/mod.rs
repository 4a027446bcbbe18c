//! What is live: everything of a stack that AWS lists, at one moment.

pub mod activities;
pub mod discover;
pub mod image;
pub mod own_network;
pub mod snapshot;
pub mod tags;
