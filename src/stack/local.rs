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
            about: "How much faster than wall-clock time its time goes; requests and their latency do not.",
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
        Key {
            name: "core_share",
            kind: Kind::Pattern { regex: CoreShare::PATTERN, characters_max: 6, form: CoreShare::FORM },
            presence: Optional,
            about: "What a virtual CPU has of one of this machine's cores, for whatever instances run. [default: all of it]",
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

/// What a virtual CPU has of one of this machine's cores, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreShare(u16);

impl CoreShare {
    const PATTERN: &'static str = r"^[0-9]{1,3}(\.[0-9])?%$";
    const FORM: &'static str = "a share of a core from 0.1% to 100%, for example 5%";

    /// Reads `5%` or `2.5%`.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (whole, tenth) =
            text.strip_suffix('%').map_or(("", ""), |number| number.split_once('.').unwrap_or((number, "0")));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        let thousandths = (digits(whole) && digits(tenth) && whole.len() <= 3 && tenth.len() == 1)
            .then(|| format!("{whole}{tenth}").parse().ok())
            .flatten();
        let share = thousandths.filter(|share| (1..=1000).contains(share)).map(Self);
        share.ok_or_else(|| format!("it must be {}", Self::FORM))
    }

    /// Of one core: 0 to 1.
    pub fn cores(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl std::fmt::Display for CoreShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, tenth) => write!(f, "{whole}.{tenth}%"),
        }
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
    /// What a virtual CPU has of a core; `None`: nothing holds instances to theirs.
    #[serde(default)]
    pub core_share: Option<CoreShare>,
}

impl std::default::Default for Local {
    fn default() -> Self {
        Self { speed: 1, delays: Profile::Quick, boot: None, core_share: None }
    }
}

impl std::fmt::Display for Local {
    /// `speed 60, delays aws, boot 40s`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "speed {}, delays {}", self.speed, self.delays.name())?;
        self.boot.map_or(Ok(()), |boot| write!(f, ", boot {}s", boot.as_secs()))?;
        self.core_share.map_or(Ok(()), |share| write!(f, ", core share {share}"))
    }
}

/// What the stack says of it.
pub(super) fn local(fields: &Fields, provider: Provider, problems: &mut Problems) -> Option<Local> {
    let written = fields.object_written(key!(STACK, "local"), &LOCAL)?;
    if provider == Provider::Aws {
        let problem = Problem::warning("`local` does nothing on AWS", "its time goes as fast as everybody's");
        problems.push(problem.at(fields.place(key!(STACK, "local"))));
    }
    let core_share = match written.text_written(key!(LOCAL, "core_share")).as_deref().map(CoreShare::parse) {
        Some(Err(mistake)) => {
            problems.push(written.problem(key!(LOCAL, "core_share"), "Invalid share of a core", mistake));
            None
        }
        share => share.and_then(Result::ok),
    };
    Some(Local {
        speed: written.integer(key!(LOCAL, "speed")),
        delays: Profile::parse(&written.text(key!(LOCAL, "delays"))).unwrap_or_default(),
        boot: written.duration_written(key!(LOCAL, "boot")),
        core_share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_it_is_shown() {
        for (text, cores) in [("5%", 0.05), ("2.5%", 0.025), ("100%", 1.0), ("0.1%", 0.001)] {
            let share = CoreShare::parse(text).unwrap();
            assert_eq!((share.to_string().as_str(), share.cores()), (text, cores));
        }
        for text in ["", "%", "5", "0%", "0.0%", "100.1%", "101%", "1000%", "5.25%", "-5%", "+5%", ".5%", "5.%"] {
            assert!(CoreShare::parse(text).unwrap_err().contains("for example 5%"), "{text:?}");
        }
    }
}
