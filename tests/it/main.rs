//! One integration binary: stories through the real binary, real AWS clients and real endpoints.

mod aws_clients;
mod engine_moto;
mod failures;
mod faults;
mod fuzz;
mod fuzz_stack;
mod group;
mod healing;
mod inventory;
mod killed;
mod lab;
mod load;
mod local_region;
mod lock;
mod memory_line;
mod moto;
mod network;
mod policies;
mod quick_region;
mod rehearsal;
mod rollout;
mod smoke;
mod tamper;
mod tap;
mod tidy;
mod visitor;
