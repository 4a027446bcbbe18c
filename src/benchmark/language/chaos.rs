//! `chaos`: what is broken while the load runs.

use std::time::Duration;

use super::{NAME, SCENARIO, duration, key};
use crate::benchmark::scenario::ChaosStep;
use crate::chaos::model::{Experiment, Kind as Disruption};
use crate::document::Fields;
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Kind, Object};
use crate::problem::Problems;

const DAY_MS: u64 = 86_400_000;
const COUNT: Kind = Kind::Integer { min: 1, max: 1000 };

pub static STEP: Object = Object {
    name: "chaos step",
    about: "What is broken, and when: exactly one of `kill`, `zone`, `interrupt`, `hang`, `slow` and `unhealthy`.",
    keys: &[
        key("at", duration(0, 7 * DAY_MS), Required, "After the start of the load."),
        key("kill", COUNT, Optional, "EC2 terminates so many instances, chosen by chance among those that serve."),
        key("zone", Kind::Flag, Optional, "`true`: EC2 terminates all instances of one zone."),
        key(
            "interrupt",
            COUNT,
            Optional,
            "EC2 takes so many spot instances away after `for`, with its notice two minutes before. Only in the embedded region.",
        ),
        key("hang", COUNT, Optional, "So many instances answer nothing, for `for`. Only in the embedded region."),
        key("slow", COUNT, Optional, "So many run for a tenth of the time, for `for`. Only in the embedded region."),
        key("unhealthy", COUNT, Optional, "The applications of so many are gone. Only in the embedded region."),
        key("cluster", NAME, Optional, "Only instances of this cluster."),
        key(
            "for",
            duration(1, DAY_MS),
            Default("2m"),
            "How long instances hang or are slow, or after what time they are interrupted.",
        ),
    ],
};

pub fn read(fields: &Fields<'_>, problems: &mut Problems) -> Vec<ChaosStep> {
    fields.objects(key!(SCENARIO, "chaos"), &STEP).iter().filter_map(|step| one(step, problems)).collect()
}

fn one(fields: &Fields<'_>, problems: &mut Problems) -> Option<ChaosStep> {
    let count = |kind: Disruption| match kind {
        Disruption::Zone => fields.flag(key!(STEP, "zone")).then_some(1),
        _ => fields.integer_written(kind.name()),
    };
    let written: Vec<(Disruption, usize)> =
        Disruption::ALL.into_iter().filter_map(|kind| Some((kind, count(kind)?))).collect();
    let [(kind, count)] = written[..] else {
        let detail = format!("a step has exactly one of {}", Disruption::ALL.map(Disruption::name).join(", "));
        let problem = fields.problem(key!(STEP, "at"), "What to break is not clear", detail);
        problems.push(problem.hint("for example `{at: 10m, kill: 1}`"));
        return None;
    };
    let lasts: Duration = fields.duration(key!(STEP, "for"));
    Some(ChaosStep {
        at: fields.duration(key!(STEP, "at")),
        experiment: Experiment { kind, count, cluster: fields.text_written(key!(STEP, "cluster")), lasts },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::language::parse_text;
    use crate::region::ec2::processes::Disturbance;

    fn steps(chaos: &str) -> Result<Vec<ChaosStep>, Problems> {
        Ok(parse_text(&format!("phases: [{{rate: 1/s, duration: 1m}}]\nchaos: [{chaos}]\n"))?.chaos)
    }

    #[test]
    fn a_step_says_when_what_and_whom() {
        let steps =
            steps("{at: 10m, kill: 2, cluster: web}, {at: 1h, zone: true}, {at: 0s, slow: 1, for: 30s}").unwrap();
        let told = |step: &ChaosStep| {
            (step.at.as_secs(), step.experiment.kind, step.experiment.count, step.experiment.lasts.as_secs())
        };
        let expected = [
            (600, Disruption::Kill, 2, 120),
            (3600, Disruption::Zone, 1, 120),
            (0, Disruption::Process(Disturbance::Slow), 1, 30),
        ];
        assert_eq!(steps.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(steps[0].experiment.cluster.as_deref(), Some("web"));
    }

    #[test]
    fn a_step_that_breaks_nothing_or_two_things_is_a_mistake() {
        for mistake in ["{at: 1m}", "{at: 1m, kill: 1, hang: 1}", "{at: 1m, zone: false}"] {
            let problems = steps(mistake).unwrap_err();
            assert_eq!(problems.0[0].summary, "What to break is not clear", "{mistake}");
        }
    }
}
