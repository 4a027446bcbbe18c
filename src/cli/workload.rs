//! `cloudscale workload`: the sample application.

use std::net::IpAddr;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Outcome, Session};
use crate::document::grammar;
use crate::exit::Exit;
use crate::platform::signals::EndRequests;
use crate::problem::Problem;
use crate::workload::{Distribution, Model, Options, Server};

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
    /// Model a processor: what a request keeps a virtual CPU busy for; nothing is burnt, and it is the instance's CPUUtilization
    #[arg(long, value_parser = positive, value_name = "TIME", conflicts_with_all = ["rate", "burn"])]
    service_time: Option<Duration>,
    /// How service times are spread around it: fixed, exponential or lognormal
    #[arg(long, value_parser = distribution, default_value = "fixed", value_name = "NAME", requires = "service_time")]
    service_distribution: Distribution,
    /// How many virtual CPUs the modelled processor has [default: those of the instance's type]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024), requires = "service_time")]
    vcpus: Option<u16>,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let Args { bind, port, instance_id, delay, jitter, rate, burn, service_time, service_distribution, vcpus } = args;
    let model = service_time.map(|service_time| Model { service_time, distribution: service_distribution, vcpus });
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let server = Server::start(Options { bind, port, instance_id, delay, jitter, rate, burn, model }).await?;
    if let Ok(address) = server.address() {
        session.printer.note(&format!("{} answers on http://{address}", server.instance_id()));
    }
    server.serve(stop, |note| session.printer.note(note)).await;
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

fn positive(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("longer than nothing: for example `20ms`".to_owned()) } else { Ok(duration) }
}

fn distribution(name: &str) -> Result<Distribution, String> {
    Distribution::parse(name).ok_or_else(|| format!("one of {}", Distribution::NAMES.join(", ")))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.001..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "not a number of requests per second: for example `50`".to_owned())
}
