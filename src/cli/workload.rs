//! `cloudscale workload`: the sample applications.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use super::{Outcome, Session};
use crate::document::grammar;
use crate::exit::Exit;
use crate::platform::signals::EndRequests;
use crate::problem::{Problem, Problems};
use crate::workload::object_store;
use crate::workload::serving::Place;
use crate::workload::users_and_acts::{self, Peer, Service};
use crate::workload::{Distribution, Model, Options, Server};

/// Serve the sample application: every path answers with the id of the instance
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    application: Option<Application>,
    #[command(flatten)]
    sample: SampleArgs,
}

#[derive(Debug, Subcommand)]
enum Application {
    /// An object store: GET and DELETE /, GET, PUT and DELETE /objs/ID, GET /objs/ID/compress; one request after the other
    ObjectStore(ObjectStoreArgs),
    /// The users of a photo-sharing application: GET and PUT /api/v1/users, DELETE /api/v1/users/NAME
    Users(ServiceArgs),
    /// Their acts: GET and POST /api/v1/acts, DELETE /api/v1/acts?username=NAME
    Acts(ServiceArgs),
}

#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// Address to listen on [default: the instance's own, from the metadata service]
    #[arg(long)]
    bind: Option<IpAddr>,
    /// Port to listen on
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// What to answer [default: the instance's id, from the metadata service]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
}

impl From<PlaceArgs> for Place {
    fn from(PlaceArgs { bind, port, instance_id }: PlaceArgs) -> Self {
        Self { bind, port, instance_id }
    }
}

#[derive(Debug, clap::Args)]
struct ObjectStoreArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Folder of the objects, which instances may share
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// Requests per second that can be served; more wait, and too many are refused with 503
    #[arg(long, value_parser = rate, value_name = "REQUESTS")]
    rate: Option<f64>,
    /// What a request takes besides, e.g. 20ms
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    delay: Duration,
    /// How much more or less it takes, at random
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    jitter: Duration,
}

#[derive(Debug, clap::Args)]
struct ServiceArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Folder of the database, which instances may share
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// Where the other of the two is: http://HOST[:PORT], or `auto`, behind the load balancer that a request came through
    #[arg(long, value_parser = Peer::parse, default_value = "auto", value_name = "URL")]
    other: Peer,
}

#[derive(Debug, clap::Args)]
struct SampleArgs {
    #[command(flatten)]
    place: PlaceArgs,
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
    /// Model a processor: what a request keeps a virtual CPU busy for; no CPU time is used, and it is the instance's CPUUtilization
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
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let tell = |instance_id: &str, address: std::io::Result<SocketAddr>| {
        if let Ok(address) = address {
            session.printer.note(&format!("{instance_id} answers on http://{address}"));
        }
    };
    match args.application {
        None => {
            let server = sample(args.sample).await?;
            tell(server.instance_id(), server.address());
            server.serve(stop, |note| session.printer.note(note)).await;
        }
        Some(Application::ObjectStore(ObjectStoreArgs { place, folder, rate, delay, jitter })) => {
            let options = object_store::Options { folder, rate, delay, jitter };
            let server = object_store::Server::start(&place.into(), options).await?;
            tell(&server.instance_id, server.listener.local_addr());
            server.serve(stop).await;
        }
        Some(Application::Users(args)) => {
            let server = args.start(Service::Users).await?;
            tell(&server.instance_id, server.listener.local_addr());
            server.serve(stop).await;
        }
        Some(Application::Acts(args)) => {
            let server = args.start(Service::Acts).await?;
            tell(&server.instance_id, server.listener.local_addr());
            server.serve(stop).await;
        }
    }
    Ok(Exit::Ok)
}

async fn sample(args: SampleArgs) -> Result<Server, Problems> {
    let SampleArgs { place, delay, jitter, rate, burn, service_time, service_distribution, vcpus } = args;
    let model = service_time.map(|service_time| Model { service_time, distribution: service_distribution, vcpus });
    Server::start(&place.into(), Options { delay, jitter, rate, burn, model }).await
}

impl ServiceArgs {
    async fn start(self, service: Service) -> Result<users_and_acts::Server, Problems> {
        users_and_acts::Server::start(service, &self.place.into(), self.folder, self.other).await
    }
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
