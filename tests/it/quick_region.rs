//! The embedded region without its processes: its whole control plane, with instances that run, serve and end at once.
//!
//! What takes a real region seconds and a process each is here a signal that is answered as soon as it is given. The library's
//! tests have a bench on simulated time (`src/region/simulated`); this region is one that the program reaches as it reaches
//! AWS: over HTTP, through the SDK, driven by the clock, with faults of the network between them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cloudscale::region::callers::Callers;
use cloudscale::region::driver::{Outward, Region};
use cloudscale::region::elbv2::routing::Standing;
use cloudscale::region::faults::model::Model;
use cloudscale::region::faults::rules::Faults;
use cloudscale::region::server::{Endpoint, serve};
use cloudscale::region::signal::{ProbeOutcome, Signal};
use cloudscale::region::world::World;
use tokio_util::sync::CancellationToken;

use super::moto::REGION;

/// A key that stacks with `ssh` may name, once it is imported.
pub const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here";

/// An empty region, turned by tasks of the runtime that this is called on.
pub fn quick_region(seed: u64) -> Arc<Region> {
    let (region, outward) = Region::new(World::new(REGION, seed));
    let region = Arc::new(region);
    tokio::spawn(answer(Arc::clone(&region), outward));
    tokio::spawn(drain(Arc::clone(&region)));
    let time = Arc::clone(&region);
    tokio::spawn(async move { time.run().await });
    region
}

/// Processes and health checks: everything works at once.
async fn answer(region: Arc<Region>, mut outward: Outward) {
    loop {
        let signal = tokio::select! {
            Some(signal) = outward.processes.recv() => signal,
            Some(probe) = outward.probes.recv() => Signal::Probe(probe),
            else => return,
        };
        region.signal(match signal {
            Signal::Boot(boot) => Signal::ProcessStarted { instance: boot.instance },
            Signal::EndProcess { instance } => Signal::ProcessEnded { instance },
            Signal::Probe(probe) => Signal::ProbeResult {
                target_group: probe.target_group,
                instance: probe.instance,
                port: probe.port,
                outcome: ProbeOutcome::Status(200),
            },
            other => unreachable!("no shell acts on {other:?}"),
        });
    }
}

/// No request is ever in flight.
async fn drain(region: Arc<Region>) {
    let mut changes = region.subscribe();
    while changes.changed().await.is_ok() {
        let groups = region.read(|world| world.services.elbv2.routing().target_groups);
        for group in groups {
            for target in group.targets.into_iter().filter(|target| target.standing == Standing::Draining) {
                let (target_group, instance) = (group.arn.clone(), target.id.instance);
                region.signal(Signal::TargetIdle { target_group, instance, port: target.id.port });
            }
        }
    }
}

/// A quick region behind its real endpoint, on a thread of its own until the tests end.
pub fn served() -> String {
    let [endpoint, _] = served_with(None);
    endpoint
}

/// The same with faults at its first endpoint; who calls the second meets none.
pub fn served_with(faults: Option<Faults>) -> [String; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let endpoints =
        listeners.each_ref().map(|listener| format!("http://{}", listener.local_addr().expect("an address")));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let region = quick_region(1);
            let faults = faults.map(|faults| Mutex::new(Model::new(faults)));
            let [faulty, honest] = listeners;
            tokio::join!(endpoint(faulty, Arc::clone(&region), faults), endpoint(honest, region, None));
        });
    });
    endpoints
}

async fn endpoint(listener: TcpListener, region: Arc<Region>, faults: Option<Mutex<Model>>) {
    listener.set_nonblocking(true).expect("a socket");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    let (callers, health) = (Arc::new(Callers::All), serde_json::Value::Null);
    let endpoint = Endpoint { region, callers, home: PathBuf::new(), health, processes: None, faults };
    serve(listener, Arc::new(endpoint), CancellationToken::new()).await;
}
