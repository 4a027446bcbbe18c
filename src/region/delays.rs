//! How long things take in the region that take their time on AWS: a load balancer to become active, an instance to boot,
//! a metric to be published. Region time, all of it.

use std::time::Duration;

use jiff::Timestamp;

use crate::stack::local::{Local, Profile};

/// The next health check of a new target, and the look at a minute's metrics, lie at least so long (wall time) after what
/// they look at: at speed 60 a region-second is 17 ms, and a process does not start in that.
const FIRST_PROBE_WALL: Duration = Duration::from_millis(150);
const PUBLICATION_WALL: Duration = Duration::from_millis(300);

/// AWS promises none: an image of Amazon Linux that has booted before answers within about this.
const RESTART: Duration = Duration::from_secs(20);

/// The delays in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Delays {
    /// From the launch of an instance until it is `running`.
    pub running: Duration,
    /// From the launch of an instance until its user data begins.
    pub boot: Duration,
    /// The same where a stopped instance is started, or one is rebooted: what only a first boot does is done. It is what a
    /// stopped warm pool saves ("Decrease latency for applications with long boot times using warm pools" in the EC2 Auto
    /// Scaling user guide).
    pub restart: Duration,
    /// From the creation of a load balancer until it is `active`.
    pub load_balancer: Duration,
    /// Between the health checks of a new target until one succeeds, where its interval is not shorter.
    pub first_probe: Duration,
    /// From the end of a period until an alarm looks at its metrics.
    pub publication: Duration,
    /// Whether metrics of AWS's own services can be read no earlier than alarms see them.
    pub reads_late: bool,
    /// How long a deregistered target is still shown as draining although nothing is in flight on it any more.
    pub shows_draining: Duration,
    /// Whether instances without detailed monitoring tell their metrics each five minutes only.
    pub basic_monitoring: bool,
}

impl Default for Delays {
    fn default() -> Self {
        Self::of(Local::default())
    }
}

impl Delays {
    pub fn of(local: Local) -> Self {
        let seconds = Duration::from_secs;
        let delays = match local.delays {
            Profile::Quick => Self {
                running: Duration::ZERO,
                boot: Duration::ZERO,
                restart: RESTART,
                load_balancer: Duration::from_millis(500),
                first_probe: Duration::from_millis(500),
                publication: seconds(2),
                reads_late: false,
                shows_draining: Duration::ZERO,
                basic_monitoring: false,
            },
            // AWS promises none of these. An instance is running after seconds and has booted Amazon Linux in well under a
            // minute; a load balancer takes "a few minutes" (ELB user guide, "Create an Application Load Balancer"); EC2 and
            // Elastic Load Balancing send a minute's data when it is over, and alarms see them up to a minute later.
            Profile::Aws => Self {
                running: seconds(10),
                boot: seconds(40),
                restart: RESTART,
                load_balancer: seconds(150),
                // The interval of the target group alone counts.
                first_probe: Duration::MAX,
                publication: seconds(60),
                reads_late: true,
                // To the end of the deregistration delay ("Deregistration delay" in the ELB user guide).
                shows_draining: Duration::MAX,
                basic_monitoring: true,
            },
        };
        let boot = local.boot.unwrap_or(delays.boot);
        Self {
            boot,
            restart: delays.restart.min(boot),
            running: delays.running.min(boot),
            first_probe: delays.first_probe.max(FIRST_PROBE_WALL * local.speed),
            publication: delays.publication.max(PUBLICATION_WALL * local.speed),
            ..delays
        }
    }

    /// Until when (epoch seconds) the metrics of AWS's own services can be read at `now`.
    pub fn published(&self, now: Timestamp) -> i64 {
        if self.reads_late { (now - self.publication).as_second().div_euclid(60) * 60 } else { i64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_time_of_ones_own_takes_the_place_of_the_profiles() {
        let delays = Delays::of(Local { delays: Profile::Aws, boot: Some(Duration::from_secs(5)), ..Local::default() });
        assert_eq!((delays.running, delays.boot), (Duration::from_secs(5), Duration::from_secs(5)));
        assert_eq!((delays.restart, delays.load_balancer), (Duration::from_secs(5), Duration::from_secs(150)));
        let long = Delays::of(Local { boot: Some(Duration::from_secs(180)), ..Local::default() });
        assert_eq!(
            (long.boot, long.restart),
            (Duration::from_secs(180), Duration::from_secs(20)),
            "it has booted before"
        );
    }

    #[test]
    fn a_fast_region_gives_processes_the_time_that_they_need() {
        let delays = Delays::of(Local { speed: 60, ..Local::default() });
        assert_eq!((delays.first_probe, delays.publication), (Duration::from_secs(9), Duration::from_secs(18)));
        assert_eq!(Delays::default().publication, Duration::from_secs(2));
    }
}
