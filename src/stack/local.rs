//! How the embedded region is to run when the stack starts it: how fast its time goes, how long things take there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::language::STACK;
use super::model::Provider;
use crate::clock::speed::SPEED_MAX;
use crate::document::Fields;
use crate::document::grammar::Presence::{Default, Optional};
use crate::document::grammar::{Key, Kind, Object, seconds};
use crate::document::name::key;
use crate::problem::{Problem, Problems};

/// The key `local`.
pub static LOCAL: Object = Object {
    name: "local",
    about: "How the embedded region runs when this stack starts it.",
    keys: &[
        Key {
            name: "speed",
            kind: Kind::Integer { min: 1, max: SPEED_MAX as i64 },
            presence: Default("1"),
            about: "How much faster than the clock on the wall its time goes; requests and their latency do not.",
        },
        Key {
            name: "delays",
            kind: Kind::Choice(&Profile::NAMES),
            presence: Default("quick"),
            about: "How long boots, load balancers and metrics take: as fast as this machine is, or as on AWS.",
        },
        Key {
            name: "boot",
            kind: seconds(0, 3600),
            presence: Optional,
            about: "From an instance's launch until its user data begins. [default: that of `delays`]",
        },
    ],
};

/// A set of delays by its name.
#[derive(Clone, Copy, Debug, std::default::Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// As fast as this machine is: for trying a stack out.
    #[default]
    Quick,
    /// As long as on AWS: for rehearsing what it will do there.
    Aws,
}

impl Profile {
    pub const NAMES: [&'static str; 2] = ["quick", "aws"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Aws => "aws",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Quick, Self::Aws].into_iter().find(|profile| profile.name() == name)
    }
}

/// How an embedded region runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// Seconds of its time in a second of the wall's.
    pub speed: u32,
    pub delays: Profile,
    /// From an instance's launch until its user data begins, in its time; `None`: that of `delays`.
    #[serde(default)]
    pub boot: Option<Duration>,
}

impl std::default::Default for Local {
    fn default() -> Self {
        Self { speed: 1, delays: Profile::Quick, boot: None }
    }
}

impl std::fmt::Display for Local {
    /// `speed 60, delays aws, boot 40s`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "speed {}, delays {}", self.speed, self.delays.name())?;
        self.boot.map_or(Ok(()), |boot| write!(f, ", boot {}s", boot.as_secs()))
    }
}

/// What the stack says of it.
pub(super) fn local(fields: &Fields, provider: Provider, problems: &mut Problems) -> Option<Local> {
    let written = fields.object_written(key!(STACK, "local"), &LOCAL)?;
    if provider == Provider::Aws {
        let problem = Problem::warning("`local` does nothing on AWS", "its time goes as fast as everybody's");
        problems.push(problem.at(fields.place(key!(STACK, "local"))));
    }
    Some(Local {
        speed: written.integer(key!(LOCAL, "speed")),
        delays: Profile::parse(&written.text(key!(LOCAL, "delays"))).unwrap_or_default(),
        boot: written.duration_written(key!(LOCAL, "boot")),
    })
}
