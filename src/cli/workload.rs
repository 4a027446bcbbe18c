//! `cloudscale workload`: the sample application.

use std::net::IpAddr;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Outcome, Session};
use crate::document::grammar;
use crate::exit::Exit;
use crate::platform::signals::EndRequests;
use crate::problem::Problem;
use crate::workload::{Options, Server};

/// Serve the sample application: every path answers with the id of the instance
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on [default: the instance's own, from the metadata service]
    #[arg(long)]
    bind: Option<IpAddr>,
    /// Port to listen on
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// What to answer [default: the instance's id, from the metadata service]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// What a request takes, e.g. 200ms
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    delay: Duration,
    /// How much more or less it takes, at random
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    jitter: Duration,
    /// Requests per second that can be served; more wait, and too many are refused with 503
    #[arg(long, value_parser = rate, value_name = "REQUESTS")]
    rate: Option<f64>,
    /// Processor time that a request costs
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    burn: Duration,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let Args { bind, port, instance_id, delay, jitter, rate, burn } = args;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let server = Server::start(Options { bind, port, instance_id, delay, jitter, rate, burn }).await?;
    if let Ok(address) = server.address() {
        session.printer.note(&format!("{} answers on http://{address}", server.instance_id()));
    }
    server.serve(stop).await;
    Ok(Exit::Ok)
}

fn stop_on_signal(stop: CancellationToken) -> Result<(), Problem> {
    let unheard = |error: std::io::Error| Problem::new("Cannot listen for signals", error.to_string());
    let mut requests = EndRequests::listen().map_err(unheard)?;
    tokio::spawn(async move {
        requests.next().await;
        stop.cancel();
    });
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    grammar::duration_ms(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "not a duration: for example `200ms`, `1s`".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.001..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "not a number of requests per second: for example `50`".to_owned())
}
