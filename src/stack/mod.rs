//! The stack language: from a YAML text to a valid [`model::Stack`], or to all its problems at once.

pub mod model;
