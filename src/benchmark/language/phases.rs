//! `phases`: what load each phase demands, in the words of k6 and Gatling.

use std::path::Path;
use std::time::Duration;

use super::replay::Replayed;
use super::{CONNECTIONS_MAX, NAME, PHASES_MAX, SCENARIO, duration, key};
use crate::benchmark::arrivals::{Curve, PIECES_MAX, Spacing};
use crate::benchmark::scenario::{Closed, Flow, Load, Phase, Ramping};
use crate::document::Fields;
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Kind, Object};
use crate::document::name::{self, Name, Named};
use crate::problem::{Problem, Problems};

const DAY_MS: u64 = 86_400_000;
/// Faster than any one machine sends.
const RATE_MAX: f64 = 1_000_000.0;
/// A larger curve is not read.
const CURVE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const LEVEL: Kind = Kind::Pattern {
    regex: "^[0-9]+([.][0-9]+)?(/(s|m|h))?$",
    characters_max: 24,
    form: "a rate such as `200/s`, or a number of virtual users",
};

const RATE: Kind = Kind::Pattern {
    regex: "^[0-9]+([.][0-9]+)?/(s|m|h)$",
    characters_max: 24,
    form: "a rate such as `200/s`, `90/m` or `1000/h`",
};

pub static PHASE: Object = Object {
    name: "phase",
    about: "A part of the load: a rate, virtual users, or a pause.",
    keys: &[
        key("name", NAME, Optional, "Shown in the report."),
        key("rate", RATE, Optional, "Open: so many requests, whatever the answers do. Needs `duration`."),
        key(
            "stages",
            Kind::List(&Kind::Object(&STAGE)),
            Optional,
            "A rate (open) or a number of virtual users (closed) that moves to one target after the other.",
        ),
        key("start_rate", RATE, Optional, "Where `stages` of rates begin; without it, at 0."),
        key(
            "start_users",
            Kind::Integer { min: 0, max: CONNECTIONS_MAX },
            Optional,
            "Where `stages` of virtual users begin; without it, at 0.",
        ),
        key("spike", Kind::Object(&SPIKE), Optional, "Open: a rate with a sudden peak. Needs `duration`."),
        key("sine", Kind::Object(&SINE), Optional, "Open: a rate that swings. Needs `duration`."),
        key(
            "curve",
            Kind::Text,
            Optional,
            "Open: a CSV file of `seconds,rate` beside the scenario, joined by straight lines.",
        ),
        key(
            "replay",
            Kind::Text,
            Optional,
            "Open: an access log of an application load balancer beside the scenario (also `.gz`), sent again as it came.",
        ),
        key(
            "virtual_users",
            Kind::Integer { min: 1, max: CONNECTIONS_MAX },
            Optional,
            "Closed: so many users, each waiting for its answer. Needs `duration` or `iterations`.",
        ),
        key(
            "iterations",
            Kind::Integer { min: 1, max: 1_000_000_000 },
            Optional,
            "Requests of all virtual users together.",
        ),
        key(
            "think_time",
            duration(1, DAY_MS),
            Optional,
            "How long a virtual user waits between an answer and its next request.",
        ),
        key("duration", duration(1, 7 * DAY_MS), Optional, "How long requests are demanded."),
        key("pause", duration(1, DAY_MS), Optional, "Send nothing for so long."),
    ],
};

static STAGE: Object = Object {
    name: "stage",
    about: "A straight line from the rate, or the number of virtual users, before it.",
    keys: &[
        key("target", LEVEL, Required, "The rate (`200/s`) or the number of virtual users (`200`) at its end."),
        key("duration", duration(0, 7 * DAY_MS), Required, "How long it takes; `0s` is a jump."),
    ],
};

static SPIKE: Object = Object {
    name: "spike",
    about: "A sudden peak.",
    keys: &[
        key("base", RATE, Required, "The rate before and after."),
        key("peak", RATE, Required, "The rate of the peak."),
        key("at", duration(0, 7 * DAY_MS), Required, "When it begins."),
        key("for", duration(1, 7 * DAY_MS), Required, "How long it lasts."),
    ],
};

static SINE: Object = Object {
    name: "sine",
    about: "A rate that swings around its mean.",
    keys: &[
        key("mean", RATE, Required, "The mean."),
        key("amplitude", RATE, Required, "How far it swings to either side; the rate never falls below 0."),
        key("period", duration(1000, 7 * DAY_MS), Default("60s"), "From peak to peak."),
    ],
};

/// The keys that say what a phase is, each with those that go with it.
const KINDS: [(&str, &[&str]); 8] = [
    ("rate", &["duration"]),
    ("stages", &["start_rate", "start_users", "think_time"]),
    ("spike", &["duration"]),
    ("sine", &["duration"]),
    ("curve", &[]),
    ("replay", &[]),
    ("virtual_users", &["duration", "iterations", "think_time"]),
    ("pause", &[]),
];

pub fn read(
    fields: &Fields<'_>,
    folder: &Path,
    spacing: Spacing,
    replayed: &mut Replayed,
    problems: &mut Problems,
) -> Vec<Flow> {
    let entries = fields.objects(key!(SCENARIO, "phases"), &PHASE);
    if entries.is_empty() || entries.len() > PHASES_MAX {
        let detail = format!("a scenario has 1 to {PHASES_MAX} phases, but here are {}", entries.len());
        problems.push(fields.problem(key!(SCENARIO, "phases"), "Wrong number of phases", detail));
    }
    let mut phases = Vec::new();
    for entry in &entries {
        match load(entry, folder, spacing, replayed) {
            Ok(load) => phases.push(Phase { name: entry.text_written(key!(PHASE, "name")), load }),
            Err(problem) => problems.push(problem),
        }
    }
    let sends = phases.iter().any(|phase| phase.load.requests().is_none_or(|requests| requests > 0));
    if !phases.is_empty() && !sends && !problems.has_errors() {
        let problem =
            fields.problem(key!(SCENARIO, "phases"), "The scenario sends nothing", "no phase demands a request");
        problems.push(problem.hint("for example `{rate: 100/s, duration: 1m}`"));
    }
    vec![Flow { name: String::new(), phases }]
}

fn load(fields: &Fields<'_>, folder: &Path, spacing: Spacing, replayed: &mut Replayed) -> Result<Load, Problem> {
    let written: Vec<_> = KINDS.iter().filter(|(kind, _)| fields.is_written(kind)).collect();
    let [(kind, companions)] = written.as_slice() else {
        let names: Vec<_> = written.iter().map(|(kind, _)| format!("`{kind}`")).collect();
        let found = if names.is_empty() { "none of them".to_owned() } else { names.join(" and ") };
        let kinds = KINDS.map(|(kind, _)| format!("`{kind}`")).join(", ");
        let detail = format!("a phase has exactly one of {kinds}; this one has {found}");
        return Err(Problem::usage("What a phase sends is not clear", detail).at(fields.own_place()));
    };
    for other in ["duration", "start_rate", "start_users", "iterations", "think_time"] {
        if fields.is_written(other) && !companions.contains(&other) {
            return Err(fields.problem(
                other,
                "Keys that do not go together",
                format!("`{other}` means nothing beside `{kind}`"),
            ));
        }
    }
    let curve = match *kind {
        "pause" => return Ok(Load::Pause(fields.duration(key!(PHASE, "pause")))),
        "virtual_users" => return users(fields),
        "replay" => return replayed.read(fields, key!(PHASE, "replay"), folder).map(Load::Replay),
        "stages" if of_users(fields)? => return ramping(fields),
        "rate" => Curve::constant(rate(fields, key!(PHASE, "rate"))?, lasting(fields, kind)?),
        "stages" => stages(fields)?,
        "spike" => {
            let spike = fields.object(key!(PHASE, "spike"), &SPIKE);
            let (base, peak) = (rate(&spike, key!(SPIKE, "base"))?, rate(&spike, key!(SPIKE, "peak"))?);
            Curve::spike(
                base,
                peak,
                spike.duration(key!(SPIKE, "at")),
                spike.duration(key!(SPIKE, "for")),
                lasting(fields, kind)?,
            )
        }
        "sine" => {
            let sine = fields.object(key!(PHASE, "sine"), &SINE);
            let (mean, amplitude) = (rate(&sine, key!(SINE, "mean"))?, rate(&sine, key!(SINE, "amplitude"))?);
            Curve::sine(mean, amplitude, sine.duration(key!(SINE, "period")), lasting(fields, kind)?)
        }
        _ => from_csv(fields, folder)?,
    };
    Ok(Load::Open { curve, spacing })
}

fn users(fields: &Fields<'_>) -> Result<Load, Problem> {
    let (iterations, duration) =
        (fields.integer_written(key!(PHASE, "iterations")), fields.duration_written(key!(PHASE, "duration")));
    let is_written = |name: Name<name::Any>| fields.is_written(name);
    if !is_written(key!(PHASE, "iterations")) && !is_written(key!(PHASE, "duration")) {
        let problem = fields.problem(
            key!(PHASE, "virtual_users"),
            "A phase without an end",
            "virtual users need `duration` or `iterations`",
        );
        return Err(problem.hint("add for example `duration: 1m`"));
    }
    let think_time = fields.duration_written(key!(PHASE, "think_time")).unwrap_or_default();
    Ok(Load::Closed(Closed { users: fields.integer(key!(PHASE, "virtual_users")), iterations, duration, think_time }))
}

/// Whether `stages` count virtual users: then no target is a rate.
fn of_users(fields: &Fields<'_>) -> Result<bool, Problem> {
    let stages = fields.objects(key!(PHASE, "stages"), &STAGE);
    let rates = stages.iter().filter(|stage| stage.text(key!(STAGE, "target")).contains('/')).count();
    if rates > 0 && rates < stages.len() {
        let detail = format!("{rates} of {} targets are rates, the others numbers of virtual users", stages.len());
        return Err(fields.problem(key!(PHASE, "stages"), "Rates and virtual users in one phase", detail));
    }
    let of_users = rates == 0 && !stages.is_empty();
    let (other, kind) = if of_users {
        (["start_rate"].as_slice(), "virtual users")
    } else {
        (["start_users", "think_time"].as_slice(), "rates")
    };
    match other.iter().find(|other| fields.is_written(other)) {
        Some(other) => {
            let detail = format!("`{other}` means nothing beside stages of {kind}");
            Err(fields.problem(other, "Keys that do not go together", detail))
        }
        None => Ok(of_users),
    }
}

fn ramping(fields: &Fields<'_>) -> Result<Load, Problem> {
    let mut stages = Vec::new();
    for stage in fields.objects(key!(PHASE, "stages"), &STAGE) {
        let text = stage.text(key!(STAGE, "target"));
        let users = text.parse::<u32>().ok().filter(|users| i64::from(*users) <= CONNECTIONS_MAX).ok_or_else(|| {
            let detail = format!("{text} is not a whole number of at most {CONNECTIONS_MAX}");
            stage.problem(key!(STAGE, "target"), "An impossible number of virtual users", detail)
        })?;
        stages.push((f64::from(users), stage.duration(key!(STAGE, "duration"))));
    }
    let start: u32 = fields.integer_written(key!(PHASE, "start_users")).unwrap_or(0);
    let users = without_end(fields, Curve::stages(start.into(), &stages))?;
    if users.peak() < 1.0 {
        return Err(fields.problem(
            key!(PHASE, "stages"),
            "The scenario sends nothing",
            "there is never a virtual user",
        ));
    }
    Ok(Load::Ramping(Ramping {
        users,
        think_time: fields.duration_written(key!(PHASE, "think_time")).unwrap_or_default(),
    }))
}

fn without_end(fields: &Fields<'_>, curve: Curve) -> Result<Curve, Problem> {
    if curve.duration().is_zero() {
        return Err(fields.problem(key!(PHASE, "stages"), "A phase without an end", "its stages take no time"));
    }
    Ok(curve)
}

fn stages(fields: &Fields<'_>) -> Result<Curve, Problem> {
    let start =
        if fields.is_written(key!(PHASE, "start_rate")) { rate(fields, key!(PHASE, "start_rate"))? } else { 0.0 };
    let mut stages = Vec::new();
    for stage in fields.objects(key!(PHASE, "stages"), &STAGE) {
        stages.push((rate(&stage, key!(STAGE, "target"))?, stage.duration(key!(STAGE, "duration"))));
    }
    without_end(fields, Curve::stages(start, &stages))
}

fn lasting(fields: &Fields<'_>, kind: &str) -> Result<Duration, Problem> {
    if let Some(duration) = fields.duration_written(key!(PHASE, "duration")) {
        return Ok(duration);
    }
    // One that is written and wrong is a problem of its own already.
    let wrong = fields.is_written(key!(PHASE, "duration"));
    wrong.then_some(Duration::from_secs(1)).ok_or_else(|| {
        let problem = fields.problem(kind, "A phase without an end", format!("`{kind}` needs `duration`"));
        problem.hint("add for example `duration: 1m`")
    })
}

/// Per second.
fn rate(fields: &Fields<'_>, name: Name<name::Text>) -> Result<f64, Problem> {
    let text = fields.text(name);
    let per_second = per_second(&text).unwrap_or(0.0);
    if per_second > RATE_MAX {
        let detail = format!("{text} is more than the {RATE_MAX:.0}/s that one machine could ever send");
        return Err(fields.problem(name.name(), "An impossible rate", detail));
    }
    Ok(per_second)
}

/// `90/m` → 1.5
pub fn per_second(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)? / seconds)
}

fn from_csv(fields: &Fields<'_>, folder: &Path) -> Result<Curve, Problem> {
    let name = fields.text(key!(PHASE, "curve"));
    let failed = |why: String| {
        Problem::usage("Cannot read a curve", why)
            .at(fields.place(key!(PHASE, "curve")))
            .hint("a curve has a line `seconds,rate` and then lines such as `60,12.5`")
    };
    let text = super::text_beside(folder, &name, CURVE_BYTES_MAX).map_err(failed)?;
    let named = |why| failed(format!("{}: {why}", folder.join(&name).display()));
    points(&text).map(|points| Curve::points(&points)).map_err(named)
}

/// The points of a CSV text, with or without a line of names.
fn points(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<_> = line.split(',').map(str::trim).collect();
        let parsed = match cells.as_slice() {
            [seconds, rate] => seconds.parse::<f64>().ok().zip(rate.parse::<f64>().ok()),
            _ => None,
        };
        let Some((seconds, rate)) = parsed.filter(|(seconds, rate)| seconds.is_finite() && rate.is_finite()) else {
            if points.is_empty() && number == 0 && cells.len() == 2 {
                continue;
            }
            let shown: String = line.chars().take(60).collect();
            return Err(format!("line {} is not `seconds,rate`: {shown:?}", number + 1));
        };
        if points.last().map_or(seconds < 0.0, |last| seconds <= last.0) {
            return Err(format!("line {}: the time does not rise", number + 1));
        }
        if !(0.0..=RATE_MAX).contains(&rate) {
            return Err(format!("line {}: {rate}/s is an impossible rate", number + 1));
        }
        points.push((seconds, rate));
    }
    match points.len() {
        0..2 => Err(format!("it has {} points, and a curve needs two", points.len())),
        count if count > PIECES_MAX => Err(format!("it has {count} points, and at most {PIECES_MAX} are read")),
        _ => Ok(points),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::benchmark::scenario::Scenario;
    use crate::problem::Source;

    fn read(phase: &str) -> Result<Scenario, Problems> {
        let text = format!("phases: [{phase}]");
        super::super::parse(Arc::new(Source { name: "load.yaml".into(), text }), "load", Path::new(""))
    }

    fn curve(phase: &str) -> Curve {
        match read(phase).expect(phase).flows.remove(0).phases.remove(0).load {
            Load::Open { curve, .. } => curve,
            other => panic!("{phase}: {other:?}"),
        }
    }

    #[test]
    fn every_shape_is_read() {
        let seconds = Duration::from_secs;
        assert_eq!(curve("{rate: 90/m, duration: 1m}"), Curve::constant(1.5, seconds(60)));
        assert_eq!(
            curve("{start_rate: 10/s, stages: [{target: 50/s, duration: 1m}, {target: 0/s, duration: 30s}]}"),
            Curve::stages(10.0, &[(50.0, seconds(60)), (0.0, seconds(30))])
        );
        assert_eq!(
            curve("{spike: {base: 5/s, peak: 80/s, at: 30s, for: 10s}, duration: 1m}"),
            Curve::spike(5.0, 80.0, seconds(30), seconds(10), seconds(60))
        );
        assert_eq!(
            curve("{sine: {mean: 20/s, amplitude: 10/s, period: 2m}, duration: 10m}"),
            Curve::sine(20.0, 10.0, seconds(120), seconds(600))
        );
        let scenario = read("{start_users: 5, stages: [{target: 50, duration: 1m}], think_time: 2s}").expect("valid");
        let ramping = Ramping { users: Curve::stages(5.0, &[(50.0, seconds(60))]), think_time: seconds(2) };
        assert_eq!(scenario.flows[0].phases[0].load, Load::Ramping(ramping));
        assert_eq!(scenario.flows[0].phases[0].label(), "up to 50 users for 60 s");
        let scenario = read("{virtual_users: 100, think_time: 1s, duration: 2m}").expect("valid");
        let closed = Closed { users: 100, iterations: None, duration: Some(seconds(120)), think_time: seconds(1) };
        assert_eq!(scenario.flows[0].phases[0].load, Load::Closed(closed));
        assert_eq!((scenario.planned(), scenario.is_closed()), (None, true));
    }

    #[test]
    fn what_makes_no_sense_says_why() {
        let problem = |phase: &str| read(phase).expect_err(phase).0.remove(0).to_string();
        for (phase, expected) in [
            ("{rate: 10/s}", "`rate` needs `duration`"),
            ("{rate: 2000000/s, duration: 1s}", "An impossible rate"),
            ("{rate: 10, duration: 1s}", "a rate such as `200/s`"),
            ("{rate: 10/s, virtual_users: 5, duration: 1s}", "this one has `rate` and `virtual_users`"),
            ("{duration: 1s}", "this one has none of them"),
            ("{rate: 10/s, duration: 1s, think_time: 1s}", "`think_time` means nothing beside `rate`"),
            ("{virtual_users: 5}", "need `duration` or `iterations`"),
            ("{stages: [{target: 5/s, duration: 0s}]}", "its stages take no time"),
            ("{stages: [{target: 5/s, duration: 1s}, {target: 5, duration: 1s}]}", "1 of 2 targets are rates"),
            (
                "{stages: [{target: 5/s, duration: 1s}], start_users: 1}",
                "`start_users` means nothing beside stages of rates",
            ),
            ("{stages: [{target: 5, duration: 1s}], start_rate: 1/s}", "nothing beside stages of virtual users"),
            ("{stages: [{target: 99999, duration: 1s}]}", "99999 is not a whole number of at most 20000"),
            ("{stages: [{target: 0, duration: 1s}]}", "there is never a virtual user"),
            ("{replay: no-such.log}", "Cannot read an access log"),
            ("{curve: no-such.csv}", "Cannot read a curve"),
            ("{rate: 0/s, duration: 1s}", "no phase demands a request"),
        ] {
            assert!(problem(phase).contains(expected), "{phase}: {}", problem(phase));
        }
    }

    #[test]
    fn a_curve_of_another_format_names_the_line() {
        assert_eq!(points("seconds,rate\n0,1\n60,5.5\n"), Ok(vec![(0.0, 1.0), (60.0, 5.5)]));
        let error = |text: &str| points(text).expect_err(text);
        assert_eq!(error(""), "it has 0 points, and a curve needs two");
        assert_eq!(error("seconds,rate\n0,1"), "it has 1 points, and a curve needs two");
        assert!(
            error("http 2026-11-27T00:00:00Z app/web/1 1.2.3.4:5 - 0.1").starts_with("line 1 is not `seconds,rate`")
        );
        assert_eq!(error("0,1\n60,2\n60,3"), "line 3: the time does not rise");
        assert!(error("0,1\n60,-2").contains("impossible rate") && error("0,1\n60,inf").contains("line 2 is not"));
    }
}
