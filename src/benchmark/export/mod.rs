//! A scenario as a script for another load generator, and what of it that tool cannot express.
//!
//! The scripts are fixed programs (`k6.js`, `locust.py`) around one JSON text that holds the scenario: nothing of a scenario is
//! ever code. oha takes options, so its script is a command for each phase.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::arrivals::Spacing;
use super::scenario::{Load, Phase, RequestChoice, Scenario};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    K6,
    Locust,
    Oha,
}

/// A script, and what it leaves out.
#[derive(Debug)]
pub struct Script {
    pub text: String,
    pub notes: Vec<String>,
}

/// `url` is the target's, with its path.
pub fn export(scenario: &Scenario, url: &str, tool: Tool) -> Script {
    let mut notes = left_out(scenario, tool);
    let spec = spec(scenario, url, &mut notes);
    let text = match tool {
        // A JSON text is a JavaScript expression.
        Tool::K6 => include_str!("k6.js").replace("__SPEC__", &serde_json::to_string_pretty(&spec).unwrap_or_default()),
        Tool::Locust => locust_script(&spec),
        Tool::Oha => oha(scenario, url, &mut notes),
    };
    Script { text, notes }
}

/// The script of `export locust`, with more to know.
pub fn locust(scenario: &Scenario, url: &str, more: &[(&str, Value)]) -> String {
    let mut spec = spec(scenario, url, &mut Vec::new());
    for (name, value) in more {
        spec[*name] = value.clone();
    }
    locust_script(&spec)
}

fn locust_script(spec: &Value) -> String {
    // A JSON string is a Python string.
    let literal = serde_json::to_string(&spec.to_string()).unwrap_or_default();
    include_str!("locust.py").replace("__SPEC__", &literal)
}

fn left_out(scenario: &Scenario, tool: Tool) -> Vec<String> {
    let name = match tool {
        Tool::K6 => "k6",
        Tool::Locust => "Locust",
        Tool::Oha => "oha",
    };
    let phases = || scenario.flows.iter().flat_map(|flow| &flow.phases);
    let mut notes = Vec::new();
    let mut note = |is_there: bool, what: &str| {
        if is_there {
            notes.push(format!("{name}: {what}"));
        }
    };
    note(scenario.http2 && tool == Tool::Locust, "it speaks HTTP/1.1, not HTTP/2");
    note(!scenario.warm_up.is_zero(), "there is no warm-up that is sent and not counted");
    note(scenario.repeat > 1 && tool != Tool::Locust, "it is done once; run the script as often as `repeat` says");
    note(!scenario.chaos.is_empty(), "chaos is left out");
    let random = phases().any(|phase| matches!(phase.load, Load::Open { spacing: Spacing::Poisson { .. }, .. }));
    note(random && tool != Tool::Locust, "arrivals are even, not random");
    note(phases().any(|phase| matches!(phase.load, Load::Replay(_))), "a log is not replayed");
    let open = phases().any(|phase| matches!(phase.load, Load::Open { .. }));
    note(
        open && tool == Tool::Locust,
        "its users wait for their answers: a rate is reached only while answers take less than a second, and response times \
         count from the send",
    );
    let not_known =
        scenario.thresholds.iter().filter(|threshold| k6_threshold(&threshold.to_string()).is_none()).count();
    note(
        tool == Tool::K6 && not_known > 0,
        "thresholds on other things than errors and latencies of the whole run are left out",
    );
    note(tool != Tool::K6 && !scenario.thresholds.is_empty(), "thresholds are left out");
    notes
}

fn spec(scenario: &Scenario, url: &str, notes: &mut Vec<String>) -> Value {
    let request = |choice: &RequestChoice| {
        let body = std::str::from_utf8(&choice.body);
        json!({
            "name": choice.name, "weight": choice.weight, "method": choice.method, "path": choice.path,
            "headers": choice.headers, "body": body.unwrap_or_default(), "timeout": choice.timeout.as_secs_f64(),
            "status": choice.expect.status, "contains": choice.expect.contains,
        })
    };
    if scenario.requests.iter().any(|choice| std::str::from_utf8(&choice.body).is_err()) {
        notes.push("a body that is no text is left out".to_owned());
    }
    let flows: Vec<Value> = scenario
        .flows
        .iter()
        .map(|flow| json!({"name": flow.name, "phases": flow.phases.iter().map(phase).collect::<Vec<_>>()}))
        .collect();
    let known = scenario.thresholds.iter().filter_map(|threshold| k6_threshold(&threshold.to_string()));
    let mut thresholds = serde_json::Map::new();
    for (metric, condition) in known {
        let own = thresholds.entry(metric).or_insert_with(|| json!([]));
        if let Value::Array(conditions) = own {
            conditions.push(condition.into());
        }
    }
    json!({
        "base": url.trim_end_matches('/'),
        "connections": scenario.connections_max,
        "keep_alive": scenario.keep_alive,
        "redirects": scenario.redirects,
        "repeat": scenario.repeat,
        "requests": scenario.requests.iter().map(request).collect::<Vec<_>>(),
        "data": scenario.data.as_ref().map(|data| json!({"columns": data.columns, "rows": data.rows})),
        "flows": flows,
        "thresholds": thresholds,
    })
}

fn phase(phase: &Phase) -> Value {
    let name = &phase.name;
    match &phase.load {
        Load::Pause(duration) => json!({"kind": "pause", "name": name, "duration": duration.as_secs_f64()}),
        Load::Closed(closed) => json!({
            "kind": "closed", "name": name, "users": closed.users, "iterations": closed.iterations,
            "duration": closed.duration.map(|duration| duration.as_secs_f64()), "think": closed.think_time.as_secs_f64(),
        }),
        Load::Ramping(ramping) => json!({
            "kind": "ramping", "name": name, "duration": ramping.users.duration().as_secs_f64(),
            "segments": ramping.users.segments(), "think": ramping.think_time.as_secs_f64(),
        }),
        Load::Open { curve, spacing } => json!({
            "kind": "open", "name": name, "duration": curve.duration().as_secs_f64(), "peak": curve.peak(),
            "segments": curve.segments(),
            "poisson": if let Spacing::Poisson { seed } = spacing { Some(seed) } else { None },
        }),
        // What it cannot send it waits for, so that what comes after is in its time.
        Load::Replay(replay) => json!({"kind": "pause", "name": name, "duration": replay.duration().as_secs_f64()}),
    }
}

/// `p99 < 500ms` → `http_req_duration`, `p(99)<500`
fn k6_threshold(text: &str) -> Option<(String, String)> {
    let (metric, rest) = text.split_once(' ')?;
    let (comparison, value) = rest.split_once(' ')?;
    if metric == "errors" {
        let percent: f64 = value.strip_suffix('%')?.parse().ok()?;
        return Some(("http_req_failed".to_owned(), format!("rate{comparison}{}", percent / 100.0)));
    }
    let statistic = match metric {
        "min" => "min".to_owned(),
        "mean" => "avg".to_owned(),
        "max" => "max".to_owned(),
        "p999" => "p(99.9)".to_owned(),
        other => format!("p({})", other.strip_prefix('p')?.parse::<u8>().ok()?),
    };
    Some(("http_req_duration".to_owned(), format!("{statistic}{comparison}{}", value.strip_suffix("ms")?)))
}

fn oha(scenario: &Scenario, url: &str, notes: &mut Vec<String>) -> String {
    let mut script = "#!/bin/sh\n# Written by `cloudscale export oha`: a command for each phase.\nset -eu\n".to_owned();
    if scenario.requests.len() > 1 {
        notes.push("oha sends one kind of request: the first of the mix".to_owned());
    }
    if scenario.data.is_some() {
        notes.push("oha has no data: `${csv.…}` stands as it is".to_owned());
    }
    if scenario.flows.len() > 1 {
        notes.push("oha: threads are sent one after the other".to_owned());
    }
    let Some(choice) = scenario.requests.first() else { return script };
    let mut common = format!(" -m {} -t {}s", choice.method, choice.timeout.as_secs_f64());
    for (name, value) in &choice.headers {
        let _ = write!(common, " -H {}", quoted(&format!("{name}: {value}")));
    }
    if !choice.body.is_empty() {
        let _ = write!(common, " -d {}", quoted(&String::from_utf8_lossy(&choice.body)));
    }
    let _ = write!(common, " -r {}", scenario.redirects);
    if !scenario.keep_alive {
        common += " --disable-keepalive";
    }
    if scenario.http2 {
        common += " --http2";
    }
    let target = quoted(&format!("{}{}", url.trim_end_matches('/'), choice.path));
    for phase in scenario.flows.iter().flat_map(|flow| &flow.phases) {
        let _ = writeln!(script, "# {}", phase.label().replace(char::is_control, " "));
        match &phase.load {
            Load::Pause(duration) => drop(writeln!(script, "sleep {}", duration.as_secs_f64())),
            Load::Closed(closed) => {
                let end = match (closed.iterations, closed.duration) {
                    (Some(count), _) => format!("-n {count}"),
                    (None, duration) => format!("-z {}s", duration.unwrap_or_default().as_secs_f64()),
                };
                if !closed.think_time.is_zero() {
                    notes.push("oha: users do not think".to_owned());
                }
                let _ = writeln!(script, "oha --no-tui -c {} {end}{common} {target}", closed.users);
            }
            Load::Open { curve, .. } => {
                for (seconds, from, to) in curve.segments() {
                    if from != to {
                        notes.push("oha: a rate that moves is sent as its mean".to_owned());
                    }
                    let rate = f64::midpoint(from, to);
                    if rate < 1.0 {
                        let _ = writeln!(script, "sleep {seconds}");
                        continue;
                    }
                    let connections = scenario.connections_max.min((rate * 2.0).ceil() as u32).max(1);
                    let _ = writeln!(
                        script,
                        "oha --no-tui --latency-correction -q {} -c {connections} -z {seconds}s{common} {target}",
                        rate.round()
                    );
                }
            }
            Load::Ramping(_) => notes.push("oha: virtual users who come and go are left out".to_owned()),
            Load::Replay(_) => {}
        }
    }
    notes.dedup();
    script
}

/// An argument as a shell reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
