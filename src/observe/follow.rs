//! Looking at a stack again and again: the thin shell between the cloud and the model.

use std::time::Instant;

use jiff::SignedDuration;
use tokio::sync::mpsc;

use super::event::Event;
use super::look::{Cadence, Observer};
use super::model::{Model, View};
use crate::clock::{self, speed};
use crate::engine::Engine;
use crate::problem::Problem;

/// A stack that is followed.
pub struct Follower {
    looker: Observer,
    model: Model,
    looked: Option<Instant>,
}

impl Follower {
    /// One that looks back for `span` of the region's time.
    pub fn new(engine: Engine, cadence: Cadence, span: SignedDuration) -> Self {
        Self { looker: Observer::new(engine, cadence, span), model: Model::new(span, speed::speed()), looked: None }
    }

    /// Waits until it is time for another look, the first at once; returns the events that are new or changed.
    ///
    /// # Errors
    /// Where the stack cannot be read; the next look may succeed.
    pub async fn next(&mut self) -> Result<Vec<Event>, Problem> {
        if let Some(looked) = self.looked {
            let left = self.looker.cadence().look.saturating_sub(clock::instant() - looked);
            clock::sleep(left).await;
        }
        self.looked = Some(clock::instant());
        let seen = self.looker.look().await?;
        Ok(self.model.take(seen))
    }

    /// What there is to see; `None` before the first look.
    pub fn view(&self) -> Option<View> {
        self.model.view()
    }

    /// Every event that is known, oldest first.
    pub fn events(&self) -> &[Event] {
        self.model.events()
    }
}

/// What a follower reports: a view with the events that are new in it, or why there is none this time.
pub type Seen = Result<(View, Vec<Event>), Problem>;

/// Looks that wait to be shown; a reader that is slower than this sees the next one later.
const LOOKS_MAX: usize = 4;

/// Follows in a task of its own until nobody listens any more: a look that was begun is finished, so that nothing of it
/// is lost.
pub fn spawn(mut follower: Follower) -> mpsc::Receiver<Seen> {
    let (send, receive) = mpsc::channel(LOOKS_MAX);
    tokio::spawn(async move {
        // Whoever comes now sees at once what was seen last: on AWS the next look is some seconds away.
        if let Some(view) = follower.view() {
            let events = follower.events().to_vec();
            if send.send(Ok((view, events))).await.is_err() {
                return;
            }
        }
        while !send.is_closed() {
            let seen = follower.next().await;
            let told = match (seen, follower.view()) {
                (Ok(events), Some(view)) => Ok((view, events)),
                (Err(problem), _) => Err(problem),
                (Ok(_), None) => continue,
            };
            if send.send(told).await.is_err() {
                return;
            }
        }
    });
    receive
}
