//! Who takes over from whom, where addresses alone do not tell.

use super::fields::Fields;
use crate::cloud::address::Address;

/// A resource as succession is decided: by its address and its fields.
pub type Place<'a> = (&'a Address, &'a Fields);

/// Pairs of an observed and a desired resource of one type, by their indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// What is at another address now, and becomes the desired one in place.
    pub moves: Vec<(usize, usize)>,
    /// What lets go of something, by its update or its end, when the desired one has taken it over. No circle.
    pub yields: Vec<(usize, usize)>,
}
