//! `cloudscale bench --url URL`: a load in one line, without a stack and without a scenario file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Outcome, Session, cloud};
use super::{LoadArgs, hand_over, quoted};
use crate::benchmark::arrivals::{Curve, Spacing};
use crate::benchmark::language;
use crate::benchmark::language::phases::per_second;
use crate::benchmark::scenario::{Closed, Expect, Flow, Load, Phase, RequestChoice, Scenario};
use crate::benchmark::url::{self, UrlBench};
use crate::problem::{Problem, Problems};
use crate::report;
use crate::result::store;

/// Where neither requests nor a duration say when to end.
const DURATION: Duration = Duration::from_secs(10);
const CONNECTIONS: u32 = 50;
const RATE_MAX: f64 = 1_000_000.0;

#[derive(Clone, Debug, clap::Args)]
pub struct UrlArgs {
    /// Load this URL instead of a stack
    #[arg(long, value_name = "URL", conflicts_with = "stack", help_heading = "A URL instead of a stack")]
    pub url: Option<String>,
    /// Open load: demand so many requests, whatever the answers do; for example 500/s
    #[arg(long, requires = "url", value_parser = rate, conflicts_with = "requests", help_heading = "A URL instead of a stack")]
    rate: Option<f64>,
    /// Connections: each sends after its answer; with --rate at most so many [default: 50; with --rate 10000]
    #[arg(short, long, requires = "url", value_parser = clap::value_parser!(u32).range(1..=20_000), help_heading = "A URL instead of a stack")]
    connections: Option<u32>,
    /// How long requests are demanded [default: 10s]
    #[arg(short, long, requires = "url", value_parser = cloud::duration, help_heading = "A URL instead of a stack")]
    duration: Option<Duration>,
    /// Stop after so many requests
    #[arg(short = 'n', long, requires = "url", value_parser = clap::value_parser!(u64).range(1..), help_heading = "A URL instead of a stack")]
    requests: Option<u64>,
    /// The method
    #[arg(short = 'm', long, requires = "url", default_value = "GET", value_parser = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], help_heading = "A URL instead of a stack")]
    method: String,
    /// A header, as `Name: value`; may be repeated
    #[arg(short = 'H', long = "header", requires = "url", value_name = "NAME: VALUE", value_parser = header, help_heading = "A URL instead of a stack")]
    headers: Vec<(String, String)>,
    /// The body
    #[arg(long, requires = "url", value_name = "TEXT", help_heading = "A URL instead of a stack")]
    body: Option<String>,
    /// Time limit of a request
    #[arg(long, requires = "url", value_parser = cloud::duration, default_value = "10s", help_heading = "A URL instead of a stack")]
    timeout: Duration,
    /// The status of a correct answer
    #[arg(long, requires = "url", value_parser = clap::value_parser!(u16).range(200..=599), default_value_t = 200, help_heading = "A URL instead of a stack")]
    status: u16,
    /// A condition, as `p99 < 200ms`; may be repeated [default: errors < 1%]
    #[arg(long = "threshold", requires = "url", value_name = "CONDITION", help_heading = "A URL instead of a stack")]
    thresholds: Vec<String>,
    /// Do all of it so often, for intervals over runs
    #[arg(long, requires = "url", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "A URL instead of a stack")]
    repeat: u32,
    /// Follow so many redirects to the same server
    #[arg(long, requires = "url", value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20), help_heading = "A URL instead of a stack")]
    redirects: u32,
    /// A new connection for every request
    #[arg(long, requires = "url", help_heading = "A URL instead of a stack")]
    no_keep_alive: bool,
    /// HTTP/2, which the server of an https:// URL must offer; up to 100 requests at once on a connection
    #[arg(long, requires = "url", conflicts_with_all = ["no_keep_alive", "scenario"], help_heading = "A URL instead of a stack")]
    http2: bool,
    /// Random instead of even arrivals
    #[arg(long, requires = "rate", help_heading = "A URL instead of a stack")]
    poisson: bool,
}

pub fn rate(text: &str) -> Result<f64, String> {
    let rate = per_second(text).ok_or_else(|| format!("`{text}` is no rate; write for example 500/s or 90/m"))?;
    if rate > 0.0 && rate <= RATE_MAX {
        Ok(rate)
    } else {
        Err(format!("{text} cannot be sent: up to {RATE_MAX}/s can"))
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is no header; write `Name: value`"))?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(format!("`{name}` is no name of a header (RFC 9110, section 5.1)"));
    }
    if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err("a header's value is visible ASCII characters and spaces".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Loads the URL, stores and prints the result.
pub async fn run(url: &str, args: &UrlArgs, load: &LoadArgs, session: &Session) -> Outcome {
    let scenario = match &load.scenario {
        Some(file) => language::load(file)?,
        None => scenario(args)?,
    };
    // Made before the load: a folder that cannot be written must not cost a run.
    let (name, folder) = store::create(Path::new(""), &url::name(url)?, crate::clock::now())?;
    let (control, cancel) = (Arc::default(), cloud::interrupt());
    let sink = cloud::load_sink(session, load.json, &control, &cancel);
    let (load_engine, workers) = load.load_engine(None)?;
    let bench = UrlBench {
        url,
        scenario: &scenario,
        load_engine,
        workers,
        commands: vec![command()],
        sink: &*sink,
        control,
        cancel: &cancel,
    };
    let mut result = match url::run(bench).await {
        Ok(result) => result,
        Err(problem) => {
            store::discard(&folder);
            return Err(problem.into());
        }
    };
    result.run = name;
    let page = report::write(&folder, &result, &crate::result::record::Images::new())?;
    hand_over(&result, &page, load, session)
}

/// As it was typed, without what a header or a body may keep secret.
fn command() -> String {
    let mut hidden = false;
    let arguments = std::env::args().skip(1).map(|argument| {
        let hide = std::mem::replace(&mut hidden, ["-H", "--header", "--body"].contains(&argument.as_str()));
        match argument.split_once('=') {
            _ if hide => "'…'".to_owned(),
            Some((name @ ("--header" | "--body"), _)) => format!("{name}='…'"),
            _ => quoted(&argument),
        }
    });
    format!("cloudscale {}", arguments.collect::<Vec<_>>().join(" "))
}

fn scenario(args: &UrlArgs) -> Result<Scenario, Problems> {
    let mut thresholds = Vec::new();
    let written = if args.thresholds.is_empty() { &["errors < 1%".to_owned()][..] } else { &args.thresholds };
    for text in written {
        thresholds.push(text.parse().map_err(|why: String| Problem::usage("Not a threshold", why))?);
    }
    let duration = args.duration.or_else(|| args.requests.is_none().then_some(DURATION));
    let load = match args.rate {
        Some(rate) => {
            let spacing = if args.poisson { Spacing::Poisson { seed: 1 } } else { Spacing::Even };
            Load::Open { curve: Curve::constant(rate, duration.unwrap_or(DURATION)), spacing }
        }
        None => Load::Closed(Closed {
            users: args.connections.unwrap_or(CONNECTIONS),
            iterations: args.requests,
            duration,
            think_time: Duration::ZERO,
        }),
    };
    let name = match args.rate {
        Some(rate) => format!("{rate} a second"),
        None => format!("{} connections", args.connections.unwrap_or(CONNECTIONS)),
    };
    Ok(Scenario {
        name,
        targets: Vec::new(),
        requests: vec![RequestChoice {
            method: args.method.clone(),
            headers: args.headers.clone(),
            body: args.body.clone().unwrap_or_default().into_bytes(),
            timeout: args.timeout,
            expect: Expect { status: args.status, contains: None },
            ..RequestChoice::default()
        }],
        replayed: Vec::new(),
        data: None,
        redirects: args.redirects,
        keep_alive: !args.no_keep_alive,
        http2: args.http2,
        warm_up: Duration::ZERO,
        connections_max: args.connections.unwrap_or(10_000),
        repeat: args.repeat,
        flows: vec![Flow { name: String::new(), phases: vec![Phase { name: None, load }] }],
        chaos: Vec::new(),
        thresholds,
        weights: std::collections::BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(header("X-Key: a b"), Ok(("X-Key".into(), "a b".into())));
        for bad in ["X-Key", ": a", "X Key: a", "X-Key: a\r\nHost: b"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_has_a_unit_and_a_bound() {
        assert_eq!((rate("500/s"), rate("90/m")), (Ok(500.0), Ok(1.5)));
        for bad in ["500", "0/s", "-1/s", "2000000/s", "inf/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
