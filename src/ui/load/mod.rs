//! A load live in the terminal while `bench` and `run` send it; before and after, progress is what it always is.
//!
//! `state.rs` is what is seen, `draw.rs` turns it into cells. This is the sink that feeds them, and the keys.

mod draw;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use self::state::LoadView;
use super::watch::{Key, Screen};
use crate::benchmark::control::Control;
use crate::clock;
use crate::resource::event::{Event, Sink};

const REDRAW_EVERY: Duration = Duration::from_millis(250);
/// A key changes the rate by so many percent of the scenario's.
const STEP: i32 = 10;

/// Shows loads on the whole terminal, and everything else as another sink does.
pub struct Live {
    inner: Box<dyn Sink>,
    shared: Arc<Shared>,
}

struct Shared {
    view: Mutex<LoadView>,
    /// While a load runs.
    screen: Mutex<Option<Screen>>,
    /// What was reported meanwhile: it stays to be read when the terminal is given back.
    told: Mutex<Vec<Event>>,
    control: Arc<Control>,
    cancel: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub fn new(inner: Box<dyn Sink>, color: bool, control: Arc<Control>, cancel: CancellationToken) -> Self {
        let shared = Shared {
            view: Mutex::new(LoadView::new(color)),
            screen: Mutex::new(None),
            told: Mutex::default(),
            control,
            cancel,
        };
        Self { inner, shared: Arc::new(shared) }
    }
}

impl Sink for Live {
    fn event(&self, event: Event) {
        locked(&self.shared.view).update(&event);
        if matches!(event, Event::BenchStarted { .. }) {
            // Where the terminal refuses, progress is shown as everywhere.
            if let Ok((screen, keys)) = Screen::open() {
                *locked(&self.shared.screen) = Some(screen);
                tokio::spawn(show(Arc::clone(&self.shared), keys));
            }
        }
        if locked(&self.shared.screen).is_none() {
            return self.inner.event(event);
        }
        match event {
            Event::BenchFinished { .. } => {
                // Dropped before anything else is printed: it gives the terminal back.
                drop(locked(&self.shared.screen).take());
                locked(&self.shared.told).drain(..).for_each(|event| self.inner.event(event));
            }
            Event::Note { .. } | Event::Scaled { .. } => locked(&self.shared.told).push(event),
            _ => {}
        }
    }
}

/// Draws, and does what keys ask for, until the load is over.
async fn show(shared: Arc<Shared>, mut keys: Receiver<Key>) {
    let mut has_keys = true;
    loop {
        {
            let mut view = locked(&shared.view);
            (view.percent, view.paused) = (shared.control.percent(), shared.control.is_paused());
            let Some(screen) = &mut *locked(&shared.screen) else { return };
            if screen.draw_with(|buffer| draw::draw(buffer, &view)).is_err() {
                // The terminal is gone: the load ends as at a hang-up, and reports.
                shared.cancel.cancel();
            }
        }
        tokio::select! {
            key = keys.recv(), if has_keys => match key {
                Some(key) => pressed(key, &shared.control, &shared.cancel),
                None => has_keys = false,
            },
            () = clock::sleep(REDRAW_EVERY) => {}
        }
    }
}

fn pressed(key: Key, control: &Control, cancel: &CancellationToken) {
    match key {
        Key::Char('+' | '=') => control.change_rate(STEP),
        Key::Char('-') => control.change_rate(-STEP),
        Key::Char('p' | ' ') => control.pause_or_resume(),
        Key::Char('q') | Key::Interrupt => cancel.cancel(),
        _ => {}
    }
}
