//! One integration binary: stories through the real binary, real AWS clients and real endpoints.

mod local_region;
mod tidy;
