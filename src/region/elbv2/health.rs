//! A target's health: a state machine driven by registration, use, the instance's state and health checks.
//!
//! A new target is `initial` and needs one success, for which it is asked more often than the interval says: a
//! rehearsal need not wait for the second check when the application came up right after the first. From then on
//! `HealthyThresholdCount` successes or `UnhealthyThresholdCount` failures in a row move it. It is `unused` while no
//! listener or rule uses its group or its instance does not run, and `draining` once it is deregistered.

use std::time::Duration;

use jiff::Timestamp;

use crate::region::signal::{InstanceState, ProbeOutcome, TargetState};

/// Health check settings of a target group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HealthCheck {
    pub path: String,
    /// `None` is `traffic-port`: the target's own.
    pub port: Option<u16>,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    pub matcher: Matcher,
}

/// The HTTP codes that mean success.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Matcher {
    text: String,
    ranges: Vec<(u16, u16)>,
}

impl Matcher {
    /// `200`, `200,202`, `200-299`; codes from 200 to 499.
    pub fn parse(text: &str) -> Option<Self> {
        let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (200..=499).contains(code));
        let ranges = text
            .split(',')
            .map(|part| match part.split_once('-') {
                Some((first, last)) => Some((code(first)?, code(last)?)).filter(|(first, last)| first <= last),
                None => code(part).map(|code| (code, code)),
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { text: text.to_owned(), ranges })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    fn accepts(&self, code: u16) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&code))
    }
}

/// Why a target is not routed to at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Unused {
    /// No listener or rule uses the target group.
    NotInUse,
    /// The instance is in this state, not running.
    InvalidState(InstanceState),
}

/// Why health checks failed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Failure {
    Code(u16),
    Timeout,
    Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Stage {
    Unused(Unused),
    Registering {
        since: Timestamp,
    },
    Initial {
        since: Timestamp,
    },
    Healthy,
    Unhealthy(Failure),
    /// `idle`: nothing is in flight any more, and the state is only shown until then.
    Draining {
        until: Timestamp,
        idle: bool,
    },
}

/// The health of one target.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    stage: Stage,
    /// Health checks in a row that speak against the stage.
    streak: u32,
    next_probe: Option<Timestamp>,
    /// When it last became healthy, for slow start.
    healthy_since: Option<Timestamp>,
}

impl Default for Health {
    /// A target that was just registered and that nothing uses yet.
    fn default() -> Self {
        Self { stage: Stage::Unused(Unused::NotInUse), streak: 0, next_probe: None, healthy_since: None }
    }
}

impl Health {
    /// Tells whether requests could reach the target at all. A target that becomes usable starts again, and its first
    /// health check is due at once.
    pub fn usable(&mut self, now: Timestamp, usable: Result<(), Unused>) {
        match (self.stage, usable) {
            (Stage::Draining { .. }, _) => {}
            (_, Err(why)) => *self = Self { stage: Stage::Unused(why), ..Self::default() },
            (Stage::Unused(_), Ok(())) => {
                *self = Self { stage: Stage::Registering { since: now }, next_probe: Some(now), ..Self::default() };
            }
            (_, Ok(())) => {}
        }
    }

    /// Whether a health check is due; sets the time of the next one. `spread` in 0–1 moves it by up to a tenth of the
    /// interval, so that the targets of a group are not all asked at the same moment. A new target is asked again after
    /// `first`, where the interval is not shorter still; its failures count only by the interval: it turns unhealthy no
    /// earlier than on AWS.
    pub fn take_probe(&mut self, now: Timestamp, check: &HealthCheck, first: Duration, spread: f64) -> bool {
        if self.next_probe.is_none_or(|due| due > now) {
            return false;
        }
        if let Stage::Registering { since } = self.stage {
            self.stage = Stage::Initial { since };
        }
        let eager = matches!(self.stage, Stage::Initial { .. });
        let interval = if eager { check.interval.min(first) } else { check.interval };
        self.next_probe = Some(now + interval.mul_f64(1.0 - 0.1 * spread));
        true
    }

    /// Takes the outcome of a health check.
    pub fn probed(&mut self, now: Timestamp, check: &HealthCheck, outcome: &ProbeOutcome) {
        let failure = match outcome {
            ProbeOutcome::Status(code) if check.matcher.accepts(*code) => None,
            ProbeOutcome::Status(code) => Some(Failure::Code(*code)),
            ProbeOutcome::Timeout => Some(Failure::Timeout),
            ProbeOutcome::Failed(_) => Some(Failure::Connection),
        };
        match (self.stage, failure) {
            (Stage::Registering { .. } | Stage::Initial { .. }, None) => {
                self.become_healthy(now);
                self.next_probe = Some(now + check.interval);
            }
            (Stage::Registering { since } | Stage::Initial { since }, Some(failure)) => {
                if now >= since + check.interval * (check.unhealthy_threshold - 1) {
                    self.stage = Stage::Unhealthy(failure);
                }
            }
            (Stage::Healthy, Some(failure)) => {
                self.streak += 1;
                if self.streak >= check.unhealthy_threshold {
                    self.stage = Stage::Unhealthy(failure);
                    self.streak = 0;
                }
            }
            (Stage::Healthy, None) => self.streak = 0,
            (Stage::Unhealthy(_), None) => {
                self.streak += 1;
                if self.streak >= check.healthy_threshold {
                    self.become_healthy(now);
                }
            }
            (Stage::Unhealthy(_), Some(failure)) => {
                self.stage = Stage::Unhealthy(failure);
                self.streak = 0;
            }
            // A late answer of a target that is out of use or leaves.
            (Stage::Unused(_) | Stage::Draining { .. }, _) => {}
        }
    }

    fn become_healthy(&mut self, now: Timestamp) {
        self.stage = Stage::Healthy;
        self.streak = 0;
        self.healthy_since = Some(now);
    }

    /// Deregisters: no new requests; gone after `delay`. A target that nothing uses is gone at once: `false`.
    #[must_use]
    pub fn drain(&mut self, now: Timestamp, delay: Duration) -> bool {
        match self.stage {
            Stage::Unused(_) => false,
            Stage::Draining { .. } => true,
            _ => {
                *self = Self { stage: Stage::Draining { until: now + delay, idle: false }, ..Self::default() };
                true
            }
        }
    }

    /// Whether the deregistration delay is over.
    pub fn drained(&self, now: Timestamp) -> bool {
        matches!(self.stage, Stage::Draining { until, .. } if until <= now)
    }

    pub fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. })
    }

    /// Whether requests may still be in flight on a target that leaves.
    pub fn is_busy_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining { idle: false, .. })
    }

    /// Nothing is in flight any more on a target that leaves: its deregistration is complete, though it is shown as
    /// draining for `shown` longer, at most until the deregistration delay is over. `false` where that was known.
    pub fn became_idle(&mut self, now: Timestamp, shown: Duration) -> bool {
        let Stage::Draining { until, idle: idle @ false } = &mut self.stage else { return false };
        *idle = true;
        let most = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        *until = now + shown.min(most);
        true
    }

    pub fn is_healthy(&self) -> bool {
        self.stage == Stage::Healthy
    }

    /// Whether requests may reach the target when its group fails open.
    pub fn is_usable(&self) -> bool {
        !matches!(self.stage, Stage::Unused(_) | Stage::Draining { .. })
    }

    pub fn healthy_since(&self) -> Option<Timestamp> {
        self.healthy_since.filter(|_| self.is_healthy())
    }

    /// When this target next needs attention.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Draining { until, .. } => Some(until),
            _ => self.next_probe,
        }
    }

    /// The state with AWS's reason and description.
    pub fn state(&self) -> TargetState {
        let (state, reason, description) = match self.stage {
            Stage::Healthy => ("healthy", None, None),
            Stage::Registering { .. } => {
                ("initial", Some("Elb.RegistrationInProgress"), Some("Target registration is in progress".into()))
            }
            Stage::Initial { .. } => {
                ("initial", Some("Elb.InitialHealthChecking"), Some("Initial health checks in progress".into()))
            }
            Stage::Unhealthy(Failure::Code(code)) => (
                "unhealthy",
                Some("Target.ResponseCodeMismatch"),
                Some(format!("Health checks failed with these codes: [{code}]").into()),
            ),
            Stage::Unhealthy(Failure::Timeout) => {
                ("unhealthy", Some("Target.Timeout"), Some("Request timed out".into()))
            }
            Stage::Unhealthy(Failure::Connection) => {
                ("unhealthy", Some("Target.FailedHealthChecks"), Some("Health checks failed".into()))
            }
            Stage::Unused(Unused::NotInUse) => (
                "unused",
                Some("Target.NotInUse"),
                Some("Target group is not configured to receive traffic from the load balancer".into()),
            ),
            Stage::Unused(Unused::InvalidState(state)) => (
                "unused",
                Some("Target.InvalidState"),
                Some(format!("Target is in the {} state", state_name(state)).into()),
            ),
            Stage::Draining { .. } => (
                "draining",
                Some("Target.DeregistrationInProgress"),
                Some("Target deregistration is in progress".into()),
            ),
        };
        TargetState { state: state.into(), reason: reason.map(Into::into), description }
    }
}

fn state_name(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending => "pending",
        InstanceState::Running => "running",
        InstanceState::Stopping => "stopping",
        InstanceState::Stopped => "stopped",
        InstanceState::ShuttingDown => "shutting-down",
        InstanceState::Terminated => "terminated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;
    const FIRST: Duration = Duration::from_millis(500);

    fn check() -> HealthCheck {
        HealthCheck {
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 2,
            matcher: Matcher::parse("200-299").unwrap(),
        }
    }

    fn usable() -> Health {
        let mut health = Health::default();
        health.usable(START, Ok(()));
        health
    }

    fn after(health: &mut Health, codes: &[u16]) -> String {
        for code in codes {
            health.probed(START, &check(), &ProbeOutcome::Status(*code));
        }
        health.state().state.into_owned()
    }

    #[test]
    fn a_new_target_is_probed_at_once_and_needs_one_success() {
        let mut health = usable();
        assert_eq!(health.state().reason.as_deref(), Some("Elb.RegistrationInProgress"));
        assert!(health.take_probe(START, &check(), FIRST, 0.0));
        assert_eq!(health.state().reason.as_deref(), Some("Elb.InitialHealthChecking"));
        assert_eq!(after(&mut health, &[200]), "healthy");
    }

    #[test]
    fn a_target_that_leaves_already_keeps_the_end_of_its_delay() {
        let seconds = Duration::from_secs;
        let mut health = usable();
        assert_eq!(after(&mut health, &[200]), "healthy");
        assert!(health.drain(START, seconds(10)));
        assert!(health.drain(START + seconds(5), seconds(10)) && health.is_draining(), "asked for again");
        assert!(!health.drained(START + Duration::from_millis(9_999)) && health.drained(START + seconds(10)));
        assert!(!Health::default().drain(START, seconds(10)), "nothing uses it, so it is gone at once");
    }

    #[test]
    fn the_next_probe_comes_after_the_interval_or_up_to_a_tenth_earlier() {
        let mut health = usable();
        after(&mut health, &[200]);
        let second = START + check().interval;
        assert!(health.take_probe(second, &check(), FIRST, 0.5));
        assert_eq!(health.deadline(), Some(second + Duration::from_millis(9500)));
        assert!(!health.take_probe(second + Duration::from_millis(9499), &check(), FIRST, 0.5));
    }

    #[test]
    fn a_new_target_is_asked_often_but_fails_no_earlier_than_its_thresholds_say() {
        let mut health = usable();
        assert!(health.take_probe(START, &check(), FIRST, 0.0));
        assert_eq!(health.deadline(), Some(START + FIRST));
        assert_eq!(after(&mut health, &[500, 500, 500]), "initial");
        health.probed(START + check().interval, &check(), &ProbeOutcome::Status(500));
        assert_eq!(health.state().state, "unhealthy");
    }

    #[test]
    fn thresholds_count_outcomes_in_a_row() {
        let mut health = usable();
        assert_eq!(after(&mut health, &[200, 500, 200, 500]), "healthy");
        assert_eq!(after(&mut health, &[502]), "unhealthy");
        assert_eq!(after(&mut health, &[200, 200, 500, 200, 200]), "unhealthy");
        assert_eq!(after(&mut health, &[200]), "healthy");
    }

    #[test]
    fn the_reason_is_that_of_the_last_failure() {
        let mut health = usable();
        after(&mut health, &[200, 500, 502]);
        let state = health.state();
        assert_eq!(state.reason.as_deref(), Some("Target.ResponseCodeMismatch"));
        assert_eq!(state.description.as_deref(), Some("Health checks failed with these codes: [502]"));
        health.probed(START, &check(), &ProbeOutcome::Timeout);
        assert_eq!(health.state().description.as_deref(), Some("Request timed out"));
        health.probed(START, &check(), &ProbeOutcome::Failed("refused".to_owned()));
        assert_eq!(health.state().reason.as_deref(), Some("Target.FailedHealthChecks"));
    }

    #[test]
    fn an_instance_that_stops_is_unused_and_starts_anew() {
        let mut health = usable();
        assert_eq!(after(&mut health, &[200]), "healthy");
        health.usable(START, Err(Unused::InvalidState(InstanceState::Stopped)));
        assert_eq!(health.state().description.as_deref(), Some("Target is in the stopped state"));
        assert_eq!(health.deadline(), None);
        health.usable(START, Ok(()));
        assert_eq!(health.state().state, "initial");
    }

    #[test]
    fn draining_ends_at_the_delay_and_ignores_late_probes() {
        let mut health = usable();
        assert!(health.drain(START, Duration::from_secs(300)));
        assert_eq!(after(&mut health, &[200]), "draining");
        assert!(!health.drained(START + Duration::from_secs(299)));
        assert!(health.drained(START + Duration::from_secs(300)));
        assert!(!Health::default().drain(START, Duration::from_secs(300)), "an unused target is gone at once");
    }

    #[test]
    fn matchers_are_codes_lists_and_ranges_within_200_and_499() {
        assert!(Matcher::parse("200,301-303").unwrap().accepts(302));
        assert!(!Matcher::parse("200,202").unwrap().accepts(201));
        for bad in ["", "199", "200-500", "299-200", "abc", "200,,201"] {
            assert_eq!(Matcher::parse(bad), None, "{bad}");
        }
    }
}
