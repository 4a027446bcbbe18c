//! Stories on simulated time, by what they are about.

mod alarms;
mod hooks;
mod loops;
mod membership;
mod mixtures;
mod policies;
mod refresh;
mod speed;
mod suspend;
mod warm_pool;
