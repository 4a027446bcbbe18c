//! A benchmark of a URL, without a stack: the same load, the same record, no cloud to ask.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::control::Control;
use super::http2::Connections;
use super::interval::Failure;
use super::judge;
use super::load_engine::LoadEngine;
use super::plan::{Plan, Target};
use super::scenario::Scenario;
use crate::clock;
use crate::problem::Problem;
use crate::resource::event::Sink;
use crate::result::record::{Metrics, RunResult};

/// What stands in `result.json` where a stack has its provider.
pub const PROVIDER: &str = "url";

pub struct UrlBench<'a> {
    pub url: &'a str,
    pub scenario: &'a Scenario,
    pub load_engine: LoadEngine,
    pub workers: usize,
    pub commands: Vec<String>,
    pub sink: &'a dyn Sink,
    /// What a person changes meanwhile.
    pub control: Arc<Control>,
    pub cancel: &'a CancellationToken,
}

/// `127.0.0.1-8080`: what a URL's runs are filed under.
pub fn name(url: &str) -> Result<String, Problem> {
    let (server, _) = super::request::Server::of(url)?;
    let host: String =
        server.host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let host = host.trim_matches(['-', '.']).chars().take(80).collect::<String>();
    Ok(if server.authority() == server.host { host } else { format!("{host}-{}", server.port) })
}

/// Asks once, and loads a URL that answers.
///
/// # Errors
/// A URL that cannot be loaded, and one that does not answer at all.
pub async fn run(bench: UrlBench<'_>) -> Result<RunResult, Problem> {
    let name = name(bench.url)?;
    let target = Target { name: name.clone(), url: bench.url.to_owned() };
    ask(&Plan::new(bench.scenario, std::slice::from_ref(&target), 1)?, bench.url).await?;
    let (scenario, targets) = (bench.scenario, [target]);
    let load = bench.load_engine.load(scenario, &targets, bench.workers, bench.sink, bench.cancel, bench.control);
    let measured = load.await?;
    let mut result = judge::record(&name, bench.scenario, measured, bench.commands);
    result.provider = PROVIDER.to_owned();
    result.metrics = Metrics { note: "A URL alone has no CloudWatch.".to_owned(), ..Metrics::default() };
    Ok(result)
}

/// One request of the mix; whatever answers may be loaded.
async fn ask(plan: &Plan, url: &str) -> Result<(), Problem> {
    let target = &plan.targets[0];
    let mut client = Client::of(target, 0, &Connections::default());
    let request = &target.requests[0];
    let reply = client.send(request, target.row(0), clock::instant()).await;
    let Some(failure) = reply.failure.filter(|_| reply.status.is_none()) else { return Ok(()) };
    let why = match failure {
        Failure::Connect => format!("no connection could be opened: {}", client.trouble().unwrap_or("nobody listens")),
        Failure::Tls => format!("no TLS: {}", client.trouble().unwrap_or("the handshake failed")),
        Failure::Timeout => format!("no answer within {} s", target.timeout_min.as_secs_f64()),
        Failure::Reset => "the connection broke before an answer".to_owned(),
        Failure::Protocol if target.http2 => client.trouble().unwrap_or("what it answers is not HTTP/2").to_owned(),
        Failure::Protocol => "what it answers is not HTTP/1.1".to_owned(),
        Failure::Size => "its answer is larger than 64 MiB, more than is read of one".to_owned(),
        failure => failure.name().to_owned(),
    };
    let hint = match failure {
        Failure::Tls => "name the file of its authority in SSL_CERT_FILE where you trust it".to_owned(),
        _ => format!("try `curl -v {url}`"),
    };
    Err(Problem::new("The URL does not answer", format!("{url}: {why}")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_filed_under_its_host_and_port() {
        assert_eq!(name("http://127.0.0.1:8080/x").ok().as_deref(), Some("127.0.0.1-8080"));
        assert_eq!(name("http://[::1]/").ok().as_deref(), Some("1"));
        assert_eq!(name("http://example.org/a/../b").ok().as_deref(), Some("example.org"));
        assert!(name("ftp://example.org").is_err());
    }
}
