//! One line of the time line: what happened, when, to whom, and why in one sentence.

use jiff::Timestamp;
use serde::Serialize;

use crate::cloud::activities::Activity;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    ScaleOut,
    ScaleIn,
    /// An instance came that no change of the capacity asked for.
    Launched,
    /// An instance came in place of another.
    Replaced,
    /// An instance went that no change of the capacity asked to.
    Ended,
    /// What a group tried and could not do.
    Failed,
    Unhealthy,
    Healthy,
    /// Somebody broke something on purpose, and the instance goes on.
    Disturbed,
    Alarm,
    /// An alarm is over.
    Recovered,
    /// A phase of the load begins, or the load is over.
    Phase,
    /// An alarm has enough data, or has no longer: reported with `-v`.
    Settled,
    Refresh,
}

impl Kind {
    /// The mark that stands for it in every view.
    pub fn symbol(self) -> char {
        match self {
            Kind::ScaleOut => '▲',
            Kind::ScaleIn => '▼',
            Kind::Launched => '+',
            Kind::Replaced => '↻',
            Kind::Ended | Kind::Disturbed => '✕',
            Kind::Failed | Kind::Unhealthy => '!',
            Kind::Healthy => '✓',
            Kind::Alarm => '◆',
            Kind::Recovered | Kind::Settled => '◇',
            Kind::Refresh => '⚑',
            Kind::Phase => '●',
        }
    }

    /// Something that a user would rather not have.
    pub fn is_bad(self) -> bool {
        matches!(self, Kind::Ended | Kind::Failed | Kind::Unhealthy | Kind::Disturbed)
    }

    /// Told only to who asks for more.
    pub fn is_minor(self) -> bool {
        self == Kind::Settled
    }
}

/// One event. `events --json` is this, as it stands; fields that say nothing are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The same each time that an event is reported: one that goes on is reported again when it is over.
    pub id: String,
    /// The region's time.
    pub at: Timestamp,
    /// When what it began was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Empty of what is no cluster's: the load.
    pub cluster: String,
    pub kind: Kind,
    /// The cause and what came of it: `alarm high: 71, 76, 80 > 50 → 4 to 6; in service after 65 s`.
    pub text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// Desired capacity before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<(u32, u32)>,
    /// AWS's own record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<Activity>,
    /// AWS's own words where they are no activity's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prose: Option<String>,
}

impl Event {
    pub fn new(id: impl Into<String>, at: Timestamp, cluster: &str, kind: Kind, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            at,
            ended: None,
            cluster: cluster.to_owned(),
            kind,
            text: text.into(),
            instances: Vec::new(),
            alarm: None,
            refresh: None,
            capacity: None,
            activities: Vec::new(),
            prose: None,
        }
    }

    /// AWS's words about it, one paragraph each.
    pub fn words(&self) -> Vec<String> {
        let activity =
            |activity: &Activity| format!("{} ({}): {}", activity.description, activity.status, activity.cause);
        self.activities.iter().map(activity).chain(self.prose.clone()).collect()
    }
}

/// `65 s`, `3 min 12 s`: between two of the region's times, which have whole seconds.
pub fn seconds(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0);
    match seconds {
        0..100 => format!("{seconds} s"),
        100..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `i-0a19…`: a line has room for no more, and the whole id is a field.
pub fn short(instance: &str) -> String {
    const CHARACTERS: usize = 6;
    match instance.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}…", &instance[..at]),
        None => instance.to_owned(),
    }
}
