//! Stories on simulated time, by what they are about.

mod alarms;
mod anomalies;
mod composite;
mod examples;
mod groups;
mod hooks;
mod launch;
mod loops;
mod maintenance;
mod membership;
mod mixtures;
mod policies;
mod predictive;
mod refresh;
mod speed;
mod spot;
mod suspend;
mod warm_pool;
