//! The live loop around the world: locks it, turns its crank when a deadline comes, passes signals to the shells.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, watch};

use super::signal::{Probe, Signal};
use super::wire::{Answer, Request};
use super::world::World;
use crate::clock;

/// The running region. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Region {
    world: Mutex<World>,
    /// Wakes `run` when a deadline may have moved.
    changed: Notify,
    /// Counts changes of the world: the data plane's shells look again when it moves.
    generation: watch::Sender<u64>,
    processes: mpsc::UnboundedSender<Signal>,
    probes: mpsc::UnboundedSender<Probe>,
}

/// What leaves the world, by the shell that acts on it.
#[derive(Debug)]
pub struct Outward {
    /// `Boot` and `EndProcess`, for EC2's processes.
    pub processes: mpsc::UnboundedReceiver<Signal>,
    /// Health checks, for Elastic Load Balancing's prober.
    pub probes: mpsc::UnboundedReceiver<Probe>,
}

impl Region {
    /// A region around `world`; signals for the shells come out of [`Outward`].
    pub fn new(world: World) -> (Self, Outward) {
        let (processes, for_processes) = mpsc::unbounded_channel();
        let (probes, for_prober) = mpsc::unbounded_channel();
        let region = Self {
            world: Mutex::new(world),
            changed: Notify::new(),
            generation: watch::Sender::new(0),
            processes,
            probes,
        };
        (region, Outward { processes: for_processes, probes: for_prober })
    }

    /// Runs one operation.
    pub fn call(&self, request: &Request) -> Answer {
        let now = clock::now();
        let (answer, signals) = self.read(|world| world.call(now, request));
        self.after(signals);
        answer
    }

    /// Takes what a shell says.
    pub fn signal(&self, signal: Signal) {
        let now = clock::now();
        let signals = self.read(|world| world.signal(now, signal));
        self.after(signals);
    }

    /// Looks at the world under its lock. For the shells' snapshots; keep it short.
    pub fn read<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        look(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes when the world may have changed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Lets time pass in the world, for ever.
    pub async fn run(&self) {
        loop {
            let changed = self.changed.notified();
            match self.read(|world| world.next_deadline()) {
                Some(deadline) => tokio::select! {
                    () = changed => {}
                    () = clock::sleep_until(deadline) => {
                        let now = clock::now();
                        let signals = self.read(|world| world.advance(now));
                        self.after(signals);
                    }
                },
                None => changed.await,
            }
        }
    }

    fn after(&self, signals: Vec<Signal>) {
        for signal in signals {
            // A receiver is gone only while the region stops.
            let _ = match signal {
                Signal::Probe(probe) => self.probes.send(probe).is_ok(),
                other => self.processes.send(other).is_ok(),
            };
        }
        self.generation.send_modify(|generation| *generation += 1);
        self.changed.notify_one();
    }
}
