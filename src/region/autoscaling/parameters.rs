//! What the operations ask of their parameters: numbers within bounds, refused in AWS's words.

use crate::region::wire::{ApiError, Params};

pub fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// `Err` where `name` is there and out of range.
pub fn seconds(params: &Params, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
    match params.int(name)? {
        Some(value) if !range.contains(&value) => {
            Err(invalid(format!("{name} must be between {} and {}", range.start(), range.end())))
        }
        value => Ok(value),
    }
}

/// A capacity: not negative.
pub fn capacity(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    match params.int(name)? {
        Some(value) if value < 0 || value > i64::from(i32::MAX) => {
            Err(invalid(format!("{name} must be a number from 0 to {}, not {value}", i32::MAX)))
        }
        value => Ok(value),
    }
}
