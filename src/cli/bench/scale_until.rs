//! `bench --scale-until 50/s`: the options, and the load that they mean.

use std::time::Duration;

use super::super::cloud;
use super::url::rate;
use crate::benchmark::scaling::ScaleUntil;
use crate::benchmark::scenario::{Closed, Flow, Load, Phase, Scenario};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "As many instances as a rate needs")]
pub struct UntilArgs {
    /// Add an instance at a time until so many correct answers a second hold; for example 50/s
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "url")]
    scale_until: Option<f64>,
    /// From one added instance to the next, at least
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "100s", requires = "scale_until")]
    every: Duration,
    /// Instances at most; the group's own maximum is the bound
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000), default_value_t = 20, requires = "scale_until")]
    max: u32,
    /// Give up after this
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "30m", requires = "scale_until")]
    within: Duration,
    /// The group [default: the only one]
    #[arg(long, value_name = "NAME", requires = "scale_until")]
    cluster: Option<String>,
    /// Virtual users that keep the instances busy
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=20_000), default_value_t = 64, requires = "scale_until")]
    users: u32,
}

impl UntilArgs {
    pub fn is_asked(&self) -> bool {
        self.scale_until.is_some()
    }

    /// What is asked for, if it is: the scenario then keeps its requests, and its load is that of the users.
    pub fn asked(&self, scenario: &mut Scenario) -> Option<ScaleUntil> {
        let rate = self.scale_until?;
        let users =
            Closed { users: self.users, iterations: None, duration: Some(self.within), think_time: Duration::ZERO };
        let phases = vec![Phase { name: None, load: Load::Closed(users) }];
        scenario.flows = vec![Flow { name: String::new(), phases }];
        (scenario.repeat, scenario.warm_up) = (1, Duration::ZERO);
        scenario.thresholds.clear();
        scenario.name = format!("{} until {rate} a second", scenario.name);
        Some(ScaleUntil { rate, every: self.every, max: self.max, cluster: self.cluster.clone() })
    }
}
