//! `threads`: chains of steps of requests and pauses, as the laboratory's text has them. A thread is a flow of closed phases.

use std::sync::Arc;
use std::time::Duration;

use super::{CONNECTIONS_MAX, PHASES_MAX, SCENARIO, duration, key};
use crate::benchmark::scenario::{Closed, Flow, Load, Phase};
use crate::document::Fields;
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Kind, Object};
use crate::problem::{Problems, Source};

const THREADS_MAX: usize = 64;

pub static THREAD: Object = Object {
    name: "thread",
    about: "Sends its steps in order.",
    keys: &[
        key(
            "connections",
            Kind::Integer { min: 1, max: CONNECTIONS_MAX },
            Default("1"),
            "Requests under way at once; they share each step's requests.",
        ),
        key("steps", Kind::List(&Kind::Tagged(&STEP)), Required, "What to do, in order."),
    ],
};

static STEP: Object = Object {
    name: "step",
    about: "Requests, or a pause.",
    keys: &[
        key("requests", Kind::Integer { min: 1, max: 1_000_000_000 }, Optional, "Send so many, each after an answer."),
        key("pause", duration(1, 86_400_000), Optional, "Send nothing for so long."),
    ],
};

pub fn read(source: &Arc<Source>, fields: &Fields<'_>, problems: &mut Problems) -> Vec<Flow> {
    let entries = fields.map(key!(SCENARIO, "threads"));
    if entries.is_empty() || entries.len() > THREADS_MAX {
        let detail = format!("a scenario has 1 to {THREADS_MAX} threads, but here are {}", entries.len());
        problems.push(fields.problem(key!(SCENARIO, "threads"), "Wrong number of threads", detail));
    }
    let mut flows = Vec::new();
    for entry in entries {
        let thread = Fields::of(source, &entry.value, &THREAD);
        let users = thread.integer(key!(THREAD, "connections"));
        let nodes = thread.list(key!(THREAD, "steps"));
        let phases: Vec<Phase> =
            nodes.iter().filter_map(|node| step(&Fields::of(source, node, &STEP), users)).collect();
        if thread.is_written(key!(THREAD, "steps")) && (nodes.is_empty() || nodes.len() > PHASES_MAX) {
            let detail = format!("a thread has 1 to {PHASES_MAX} steps, but `{}` has {}", entry.key, nodes.len());
            problems.push(thread.problem(key!(THREAD, "steps"), "Wrong number of steps", detail));
        }
        flows.push(Flow { name: entry.key.clone(), phases });
    }
    let sends = flows.iter().flat_map(|flow| &flow.phases).any(|phase| phase.load.sends());
    if !flows.is_empty() && !sends && !problems.has_errors() {
        let problem =
            fields.problem(key!(SCENARIO, "threads"), "The scenario sends nothing", "no thread has a step of requests");
        problems.push(problem.hint("add `requests: 1000` to a thread's steps"));
    }
    flows
}

fn step(fields: &Fields<'_>, users: u32) -> Option<Phase> {
    let closed = |count| Closed { users, iterations: Some(count), duration: None, think_time: Duration::ZERO };
    let requests = fields.integer_written(key!(STEP, "requests")).map(|count| Load::Closed(closed(count)));
    let load = requests.or_else(|| fields.duration_written(key!(STEP, "pause")).map(Load::Pause))?;
    Some(Phase { name: None, load })
}
