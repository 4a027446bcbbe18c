//! A scenario made ready for its targets: every request's bytes, and a number for every endpoint and every phase.

use std::sync::Arc;
use std::time::Duration;

use super::arrivals::Random;
use super::data::Table;
use super::grid::Grid;
use super::http2;
use super::request::{Manner, Request, Server, joined};
use super::scenario::{Flow, Scenario};
use crate::clock::speed;
use crate::problem::Problem;

/// Something to load: a cluster's route, or any URL.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    pub url: String,
}

#[derive(Debug)]
pub struct Plan {
    pub targets: Vec<TargetPlan>,
    pub flows: Vec<Flow>,
    pub repeat: usize,
    pub warm_up: Duration,
    pub connections_max: u32,
    pub workers: usize,
    /// How its timeline is divided.
    pub grid: Grid,
}

#[derive(Debug)]
pub struct TargetPlan {
    pub target: Target,
    pub server: Server,
    /// The scenario's mix, and behind it what is replayed.
    pub requests: Vec<Request>,
    /// Of its endpoints: the requests of the mix, and `replay` for all that is replayed.
    pub names: Vec<String>,
    weights: Vec<u32>,
    pub data: Option<Arc<Table>>,
    /// The number of its first endpoint.
    pub first_endpoint: u16,
    pub timeout_min: Duration,
    /// Its requests are sent in HTTP/2.
    pub http2: bool,
}

impl TargetPlan {
    /// The number of the next request of the mix, from 0.
    pub fn pick(&self, random: &mut Random) -> u32 {
        if self.weights.len() == 1 {
            return 0;
        }
        let total: u32 = self.weights.iter().sum();
        let mut ticket = (random.unit() * f64::from(total)) as u32;
        for (number, weight) in (0..).zip(&self.weights) {
            if ticket < *weight {
                return number;
            }
            ticket -= weight;
        }
        0
    }

    /// The number of a replayed request.
    pub fn replayed(&self, number: u32) -> u32 {
        self.weights.len() as u32 + number
    }

    /// The endpoint that a request counts for.
    pub fn endpoint(&self, request: u32) -> u16 {
        self.first_endpoint + u16::try_from(request).unwrap_or(u16::MAX).min(self.weights.len() as u16)
    }

    /// The row of the scenario's data for a request; they come in turn, over and over.
    pub fn row(&self, turn: usize) -> Option<&[String]> {
        self.data.as_ref().map(|data| data.rows[turn % data.rows.len()].as_slice())
    }
}

/// What stands for all requests of a log that is replayed.
pub const REPLAY: &str = "replay";

impl Plan {
    pub fn new(scenario: &Scenario, targets: &[Target], workers: usize) -> Result<Self, Problem> {
        if !scenario.replayed.is_empty() && targets.len() > 1 {
            let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
            let detail = format!("the log's paths say where its requests go, but here are {}", names.join(", "));
            let hint = format!("name one, which the report shows all of it under: `targets: {{{}: /}}`", names[0]);
            return Err(Problem::usage("A log is replayed to one target", detail).hint(hint));
        }
        let mut names: Vec<String> = scenario.requests.iter().map(|choice| choice.name.clone()).collect();
        names.extend((!scenario.replayed.is_empty()).then(|| REPLAY.to_owned()));
        let endpoints = targets.len() * names.len();
        if endpoints > usize::from(u16::MAX) {
            let detail = format!("{} targets with {} requests each", targets.len(), scenario.requests.len());
            return Err(Problem::usage("Too many endpoints", detail).hint("load fewer targets at once"));
        }
        let phases: usize = scenario.flows.iter().map(|flow| flow.phases.len()).sum();
        if phases * scenario.repeat as usize > usize::from(u16::MAX) {
            let detail = format!("{phases} phases, {} times", scenario.repeat);
            return Err(Problem::usage("Too many phases", detail).hint("repeat less often, or use fewer phases"));
        }
        let mut plans = Vec::new();
        for target in targets {
            let (server, path) = Server::of(&target.url)?;
            let data = scenario.data.clone();
            let manner =
                Manner { keep_alive: scenario.keep_alive, redirects: scenario.redirects, data: data.as_deref() };
            let mix = scenario.requests.iter().map(|choice| (joined(&path, &choice.path), choice, manner));
            // A log's paths stand as they are, whatever they hold.
            let as_it_is = Manner { data: None, ..manner };
            let replayed = scenario.replayed.iter().map(|choice| (choice.path.clone(), choice, as_it_is));
            let requests =
                mix.chain(replayed).map(|(path, choice, manner)| Request::new(&server, &path, choice, manner));
            let requests: Vec<Request> = requests.collect();
            if scenario.http2 {
                check_http2(target, &server, scenario.keep_alive, &requests)?;
            }
            let first_endpoint = plans.len() * names.len();
            plans.push(TargetPlan {
                target: target.clone(),
                timeout_min: requests.iter().map(|request| request.timeout).min().unwrap_or_default(),
                requests,
                http2: scenario.http2,
                names: names.clone(),
                weights: scenario.requests.iter().map(|choice| choice.weight).collect(),
                data,
                server,
                first_endpoint: u16::try_from(first_endpoint).expect("bounded above"),
            });
        }
        Ok(Self {
            targets: plans,
            flows: scenario.flows.clone(),
            repeat: scenario.repeat.max(1) as usize,
            warm_up: scenario.warm_up,
            connections_max: scenario.connections_max,
            workers: workers.max(1),
            grid: Grid::of(speed::speed()),
        })
    }

    /// The number of a flow's phase in a repetition (from 0).
    pub fn phase_number(&self, repetition: usize, flow: usize, phase: usize) -> u16 {
        let before: usize = self.flows[..flow].iter().map(|flow| flow.phases.len()).sum();
        u16::try_from(repetition * self.phases() + before + phase).expect("bounded when the plan is made")
    }

    /// Of all flows, in one repetition.
    pub fn phases(&self) -> usize {
        self.flows.iter().map(|flow| flow.phases.len()).sum()
    }
}

/// Whether requests can go to a target in HTTP/2.
fn check_http2(target: &Target, server: &Server, keep_alive: bool, requests: &[Request]) -> Result<(), Problem> {
    let refused = |why: String| Problem::usage("Not to be loaded in HTTP/2", format!("{}: {why}", target.url));
    if !server.tls {
        let why = "only servers of TLS offer HTTP/2 (ALPN)".to_owned();
        return Err(refused(why).hint("load an https:// URL, or use HTTP/1.1"));
    }
    if !keep_alive {
        let why = "its connections carry many requests, and here each is to have its own".to_owned();
        return Err(refused(why).hint("leave `keep_alive` out, or use HTTP/1.1"));
    }
    // One with columns is written anew for each row; its names and values are checked by the language.
    match requests.iter().find(|request| request.template.is_none() && http2::request(&request.bytes).is_none()) {
        None => Ok(()),
        Some(request) => {
            let line = String::from_utf8_lossy(&request.bytes);
            let line = line.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
            Err(refused(format!("`{line}` cannot be said in HTTP/2")).hint("percent-encode what is in its path"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::scenario::RequestChoice;
    use crate::benchmark::tests::scenario;

    #[test]
    fn a_mix_is_picked_by_weight_and_each_target_has_endpoints_of_its_own() {
        let mut scenario = scenario(Vec::new());
        let choice = |name: &str, weight| RequestChoice { name: name.into(), weight, ..RequestChoice::default() };
        scenario.requests = vec![choice("list", 8), choice("put", 2)];
        let targets = ["a", "b"].map(|name| Target { name: name.into(), url: format!("http://{name}/") });
        let plan = Plan::new(&scenario, &targets, 2).expect("a plan");
        assert_eq!(plan.targets.iter().map(|target| target.first_endpoint).collect::<Vec<_>>(), [0, 2]);
        let mut random = Random(1);
        let puts = (0..10_000).filter(|_| plan.targets[0].pick(&mut random) == 1).count();
        assert!((1850..2150).contains(&puts), "{puts} of 10,000 at 2 in 10");
    }
}
