//! One integration binary: stories through the real binary, real AWS clients and real endpoints.

mod aws_clients;
mod engine_moto;
mod failures;
mod faults;
mod group;
mod healing;
mod inventory;
mod killed;
mod lab;
mod load;
mod local_region;
mod lock;
mod moto;
mod network;
mod policies;
mod quick_region;
mod rehearsal;
mod rollout;
mod smoke;
mod tap;
mod tidy;
mod visitor;
