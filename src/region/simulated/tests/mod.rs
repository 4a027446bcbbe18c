//! Stories on simulated time, by what they are about.

mod alarms;
mod loops;
mod membership;
mod mixtures;
mod policies;
mod speed;
