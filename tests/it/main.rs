//! One integration binary: stories through the real binary, real AWS clients and real endpoints.

mod engine_moto;
mod local_region;
mod moto;
mod tidy;
