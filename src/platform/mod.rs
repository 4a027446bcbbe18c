//! What only some operating systems can do, behind one face.
//!
//! The embedded region runs on Linux. Everything that needs more than the standard library offers on every system is asked
//! here, so that the rest of the program names no operating system.

pub mod permissions;
pub mod signals;
