//! What AWS publishes, as data: instance types, prices, images. No stack, no call.

pub mod cpu_credits;
pub mod images;
pub mod instance_type_names;
pub mod instance_types;
pub mod prices;
