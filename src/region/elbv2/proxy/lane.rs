//! Serving threads by their number.

/// A serving thread, by which everything that it alone writes is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneIndex(pub usize);
