//! Who carries a load: our own workers, or Locust's. What comes of it is the same record.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::locust::Workers;
use super::plan::Target;
use super::scenario::Scenario;
use super::watched::Measured;
use super::{load, locust};
use crate::problem::Problem;
use crate::resource::event::Sink;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadEngine {
    #[default]
    Builtin,
    /// Where the master listens for workers of other machines, if they are.
    Locust { listen: Option<SocketAddr> },
}

impl LoadEngine {
    /// See [`load::controlled`].
    ///
    /// # Errors
    /// Where the load cannot begin.
    pub async fn load(
        self,
        scenario: &Scenario,
        targets: &[Target],
        workers: usize,
        sink: &dyn Sink,
        cancel: &CancellationToken,
        control: Arc<Control>,
    ) -> Result<Measured, Problem> {
        match self {
            LoadEngine::Builtin => load::controlled(scenario, targets, workers, sink, cancel, control).await,
            LoadEngine::Locust { listen } => {
                let workers = Workers { count: workers, listen };
                locust::load(scenario, targets, workers, sink, cancel, control).await
            }
        }
    }
}
