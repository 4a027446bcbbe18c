//! Why a group did something: AWS's prose, taken apart.
//!
//! `At 2024-12-05T21:27:22Z a monitor alarm NAME in state ALARM triggered policy P changing the desired capacity from 2 to 3.
//! At 2024-12-05T21:27:28Z an instance was started in response to a difference between desired and actual capacity, increasing
//! the capacity from 2 to 3.` The sentences are AWS's ("Verify a scaling activity for an Auto Scaling group",
//! autoscaling/ec2/userguide/ec2-auto-scaling-verify-scaling-activity.html). What is worded otherwise is shown as it stands.

use jiff::Timestamp;

/// A cause.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cause {
    /// What changed the desired capacity, the first change first.
    pub decisions: Vec<Decision>,
    /// Why an instance came or went, where that was no change of the capacity: `an ELB system health check failure`.
    pub response: Option<String>,
    /// The way to the desired capacity that this took: from, to.
    pub step: Option<(u32, u32)>,
}

/// A change of the desired capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub at: Option<Timestamp>,
    pub by: By,
    pub from: u32,
    pub to: u32,
    /// The sentence as it stands: who shares it has the same decision.
    pub sentence: String,
}

/// Who changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Alarm {
        name: String,
        policy: String,
    },
    /// By hand.
    Request,
    Creation,
    Policy(String),
    Schedule,
    /// In AWS's words.
    Other(String),
}

const CHANGING: &str = " changing the desired capacity from ";
const RESPONSE: &str = " in response to ";
const DIFFERENCE: &str = "a difference between desired and actual capacity";

/// Takes a cause apart.
pub fn parse(text: &str) -> Cause {
    let mut cause = Cause::default();
    for sentence in sentences(text) {
        if let Some(decision) = decision(sentence) {
            cause.decisions.push(decision);
        } else if let Some((_, response)) = sentence.split_once(RESPONSE) {
            match response.strip_prefix(DIFFERENCE) {
                Some(step) => cause.step = cause.step.or(self::step(step)),
                None => drop(cause.response.get_or_insert_with(|| response.trim_end_matches('.').to_owned())),
            }
        }
    }
    cause
}

/// Each begins with `At ` and a time. Names of alarms may hold periods, so these do not end one.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = text
        .match_indices("At ")
        .map(|(at, _)| at)
        .filter(|at| time(&text[*at..]).is_some() && (*at == 0 || text[..*at].ends_with(' ')))
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| text[start..end].trim())
}

fn time(sentence: &str) -> Option<Timestamp> {
    sentence.strip_prefix("At ")?.split(' ').next()?.parse().ok()
}

fn decision(sentence: &str) -> Option<Decision> {
    let (who, capacity) = sentence.rsplit_once(CHANGING)?;
    let (from, to) = capacity.trim_end_matches('.').split_once(" to ")?;
    let who = who.strip_prefix("At ")?.split_once(' ')?.1;
    Some(Decision {
        at: time(sentence),
        by: by(who),
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        sentence: sentence.to_owned(),
    })
}

/// `, shrinking the capacity from 4 to 3.`
fn step(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once(" the capacity from ")?.1.trim_end_matches('.').split_once(" to ")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn by(who: &str) -> By {
    if let Some((name, policy)) = who
        .strip_prefix("a monitor alarm ")
        .and_then(|rest| rest.split_once(" in state "))
        .and_then(|(name, rest)| Some((name, rest.split_once(" triggered policy ")?.1)))
    {
        return By::Alarm { name: name.to_owned(), policy: policy.to_owned() };
    }
    if let Some(policy) = who.strip_prefix("a user request executed policy ") {
        return By::Policy(policy.to_owned());
    }
    match who {
        _ if who.starts_with("a user request created") => By::Creation,
        _ if who.starts_with("a user request") => By::Request,
        _ if who.starts_with("a scheduled action") => By::Schedule,
        _ => By::Other(who.to_owned()),
    }
}

/// AWS's words about an instance's health, in fewer.
pub fn response_words(response: &str) -> String {
    let known = [
        ("an ELB system health check failure", "failed its health check"),
        ("an EC2 health check indicating it has been terminated or stopped", "ended outside the group"),
        ("an EC2 instance status checks failure", "failed EC2's status checks"),
        ("a user health-check", "was reported unhealthy"),
        ("an instance refresh", "instance refresh"),
        ("a launch lifecycle hook that was abandoned", "was abandoned by its lifecycle hook"),
        ("an unhealthy instance needing to be replaced", "replaces an unhealthy one"),
    ];
    let found = known.iter().find(|(words, _)| response.starts_with(words));
    found.map_or_else(|| format!("because of {response}"), |(_, short)| (*short).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Causes from AWS's user guide and SNS messages.
    const ALARM: &str = "At 2024-12-05T21:27:22Z a monitor alarm TargetTracking-my.asg-AlarmHigh-1f2a in state ALARM triggered policy \
        cpu50 changing the desired capacity from 2 to 3.  At 2024-12-05T21:27:28Z an instance was started in response to a difference \
        between desired and actual capacity, increasing the capacity from 2 to 3.";
    const HAND: &str = "At 2022-05-12T20:40:21Z a user request explicitly set group desired capacity changing the desired capacity \
        from 1 to 0.  At 2022-05-12T20:40:30Z an instance was taken out of service in response to a difference between desired and \
        actual capacity, shrinking the capacity from 1 to 0.  At 2022-05-12T20:40:30Z instance i-0 was selected for termination.";
    const HEALTH: &str = "At 2022-05-14T20:11:53Z an instance was taken out of service in response to an ELB system health check failure.";

    #[test]
    fn a_cause_is_who_changed_what() {
        let alarm = parse(ALARM);
        let name = "TargetTracking-my.asg-AlarmHigh-1f2a";
        assert_eq!(alarm.decisions.len(), 1);
        assert_eq!(alarm.decisions[0].by, By::Alarm { name: name.into(), policy: "cpu50".into() });
        assert_eq!((alarm.decisions[0].from, alarm.decisions[0].to), (2, 3));
        assert_eq!(alarm.decisions[0].at, "2024-12-05T21:27:22Z".parse().ok());

        let hand = parse(HAND);
        assert_eq!((&hand.decisions[0].by, hand.decisions[0].from, hand.decisions[0].to), (&By::Request, 1, 0));
        assert_eq!((hand.response, hand.step, alarm.step), (None, Some((1, 0)), Some((2, 3))));
        let health = parse(HEALTH);
        assert!(health.decisions.is_empty());
        let words = response_words(&health.response.unwrap());
        assert_eq!(words, "failed its health check");
    }

    #[test]
    fn what_is_worded_otherwise_stays_as_it_is() {
        assert_eq!(parse("Something else. At the end."), Cause::default());
        assert_eq!(parse(""), Cause::default());
        let odd = parse("At 2022-05-12T20:40:21Z a comet changing the desired capacity from 1 to 2.");
        assert_eq!(odd.decisions[0].by, By::Other("a comet".into()));
        assert_eq!(parse("At 2022-05-12T20:40:21Z x changing the desired capacity from 1 to many."), Cause::default());
        assert_eq!(response_words("a flood"), "because of a flood");
    }
}
