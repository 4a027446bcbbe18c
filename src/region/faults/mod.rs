//! Faults that the region injects at its endpoint, so that people can rehearse what AWS does on a bad day.
//!
//! `language.rs` reads a file of rules, `rules.rs` is what they say, `model.rs` decides what happens to a call, and
//! `recent.rs` knows what was created only just now. `region/server.rs` carries the decisions out. With the same seed,
//! the k-th call of an operation meets the same fault. `docs/faults.md` is the page for users.

pub mod language;
pub mod model;
pub mod recent;
pub mod rules;
