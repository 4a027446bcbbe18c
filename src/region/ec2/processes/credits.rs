//! CPU credits: a burstable instance earns `credits an hour` all the time and spends `virtual CPUs × use` a minute.
//!
//! In standard mode, whose credits are gone has its baseline: what it earns. In unlimited mode it goes on with surplus credits,
//! which what it earns later pays back; beyond a day's worth they are charged (EC2 user guide, "Standard mode for burstable
//! performance instances", "Unlimited mode …"). AWS lowers the processor gradually towards the baseline; here the last
//! credits are spread over their last minute.

use std::time::Duration;

const HOURS_MAX: f64 = 24.0;

/// What an instance's type and mode give it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub vcpus: u16,
    pub per_hour: f64,
    /// What it begins with.
    pub at_launch: f64,
    pub unlimited: bool,
}

/// The credits of one instance since its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credits {
    terms: Terms,
    /// Launch credits that are left. They go first, and do not count towards the most that can be earned.
    launch: f64,
    /// Below nothing where more was used than was allowed: a measurement, or what holds the instance, is no finer.
    earned: f64,
    surplus: f64,
    charged: f64,
    /// Spent since the last report.
    spent: f64,
}

/// What CloudWatch shows of five minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Credits that were spent.
    pub usage: f64,
    pub balance: f64,
    pub surplus_balance: f64,
    pub surplus_charged: f64,
}

impl Credits {
    pub fn new(terms: Terms) -> Self {
        Self { terms, launch: terms.at_launch, earned: 0.0, surplus: 0.0, charged: 0.0, spent: 0.0 }
    }

    /// Lets time pass, in which its virtual CPUs were used for `share` of it, in the mean.
    pub fn pass(&mut self, elapsed: Duration, share: f64) {
        let minutes = elapsed.as_secs_f64() / 60.0;
        let most = self.terms.per_hour * HOURS_MAX;
        let spent = f64::from(self.terms.vcpus) * share.clamp(0.0, 1.0) * minutes;
        self.spent += spent;
        let of_launch = spent.min(self.launch);
        self.launch -= of_launch;
        let left = self.earned + self.terms.per_hour / 60.0 * minutes - (spent - of_launch);
        if left >= 0.0 {
            let paid_back = self.surplus.min(left);
            self.surplus -= paid_back;
            self.earned = (left - paid_back).min(most);
            return;
        }
        if self.terms.unlimited {
            self.earned = 0.0;
            self.surplus -= left;
            let beyond = (self.surplus - most).max(0.0);
            self.surplus -= beyond;
            self.charged += beyond;
        } else {
            self.earned = left.max(-f64::from(self.terms.vcpus));
        }
    }

    fn balance(&self) -> f64 {
        self.launch + self.earned
    }

    /// The share of its virtual CPUs that it has for the next minute.
    pub fn allowed(&self) -> f64 {
        if self.terms.unlimited {
            return 1.0;
        }
        ((self.terms.per_hour / 60.0 + self.balance()) / f64::from(self.terms.vcpus)).clamp(0.0, 1.0)
    }

    /// What the metrics say of the time since the last report.
    pub fn report(&mut self) -> Report {
        let usage = std::mem::take(&mut self.spent);
        let surplus_charged = std::mem::take(&mut self.charged);
        Report { usage, balance: self.balance().max(0.0), surplus_balance: self.surplus, surplus_charged }
    }
}

impl Report {
    /// Metric names of AWS/EC2 and their values, all in credits.
    pub fn metrics(&self) -> [(&'static str, f64); 4] {
        [
            ("CPUCreditUsage", self.usage),
            ("CPUCreditBalance", self.balance),
            ("CPUSurplusCreditBalance", self.surplus_balance),
            ("CPUSurplusCreditsCharged", self.surplus_charged),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_hours(24);
    /// t2.micro: one virtual CPU, 6 credits an hour, 144 at most, 30 at launch.
    const MICRO: Terms = Terms { vcpus: 1, per_hour: 6.0, at_launch: 30.0, unlimited: false };

    #[test]
    fn an_idle_t2_micro_has_174_credits_after_a_day_and_144_once_the_first_are_spent() {
        // The example of the EC2 user guide, "Launch credits".
        let mut credits = Credits::new(MICRO);
        credits.pass(DAY, 0.0);
        assert_eq!(credits.report().balance, 174.0);
        credits.pass(DAY, 0.0);
        assert_eq!(credits.report().balance, 174.0, "no more than a day's worth");
        credits.pass(MINUTE * 40, 1.0);
        credits.pass(DAY, 0.0);
        assert_eq!(credits.report().balance, 144.0);
    }

    #[test]
    fn a_busy_one_in_standard_mode_comes_down_to_its_baseline() {
        let mut credits = Credits::new(MICRO);
        let mut minutes = 0;
        while credits.allowed() >= 1.0 {
            credits.pass(MINUTE, 1.0);
            minutes += 1;
        }
        // 30 credits, of which 0.9 a minute are not earned again.
        assert_eq!(minutes, 33);
        for _ in 0..10 {
            let share = credits.allowed();
            credits.pass(MINUTE, share);
        }
        assert!((credits.allowed() - 0.1).abs() < 1e-9, "{credits:?}");
        let report = credits.report();
        assert!(report.balance < 1e-9 && report.surplus_balance == 0.0, "{report:?}");
        // Half idle for an hour: what was not used is there again.
        credits.pass(MINUTE * 60, 0.05);
        assert!((credits.report().balance - 3.0).abs() < 1e-9 && credits.allowed() == 1.0);
    }

    #[test]
    fn what_was_used_beyond_the_allowance_is_made_up_for() {
        let mut credits = Credits::new(Terms { at_launch: 0.0, ..MICRO });
        // Six minutes' worth at once, as a slice that is longer than the allowance takes it.
        credits.pass(MINUTE, 0.6);
        assert_eq!((credits.allowed(), credits.report().balance), (0.0, 0.0));
        credits.pass(MINUTE * 5, 0.0);
        assert!((credits.allowed() - 0.1).abs() < 1e-9, "{credits:?}");
        credits.pass(MINUTE, 1.0);
        credits.pass(MINUTE, 1.0);
        credits.pass(MINUTE * 10, 0.0);
        assert!((credits.allowed() - 0.1).abs() < 1e-9, "a minute of all its virtual CPUs is the most: {credits:?}");
    }

    #[test]
    fn in_unlimited_mode_surplus_is_paid_back_and_beyond_a_day_charged() {
        let mut credits = Credits::new(Terms { at_launch: 0.0, unlimited: true, ..MICRO });
        credits.pass(MINUTE * 60, 1.0);
        assert_eq!(credits.allowed(), 1.0);
        let report = credits.report();
        assert_eq!((report.usage, report.balance, report.surplus_balance), (60.0, 0.0, 54.0));
        // Nine hours of 6 credits.
        credits.pass(MINUTE * 540, 0.0);
        assert_eq!(credits.report(), Report { usage: 0.0, balance: 0.0, surplus_balance: 0.0, surplus_charged: 0.0 });
        // A whole day of work: 1,440 spent and 144 earned, and a day's worth may be owed.
        credits.pass(DAY, 1.0);
        let report = credits.report();
        assert_eq!((report.surplus_balance, report.surplus_charged), (144.0, 1152.0));
    }
}
