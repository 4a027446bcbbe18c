//! What the user looks at, and what a key does: no terminal, no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::figures::cells;
use crate::cloud::state::{InstanceState, TargetState};
use crate::observe::act::Action;
use crate::observe::model::{ClusterView, View};
use crate::resource::status::ClusterKind;

/// A figure that has changed is shown so for this long.
const FRESH: Duration = Duration::from_secs(2);

/// What is said stays for this long.
const TOLD: Duration = Duration::from_secs(5);

/// A key, as far as it means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Up,
    Down,
    Escape,
    Enter,
    /// Ctrl-C
    Interrupt,
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Quit,
    Do(Action),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Overview,
    Events,
    Alarms,
}

/// Everything that is shown.
#[derive(Debug)]
pub struct State {
    pub view: Option<View>,
    pub page: Page,
    pub selected: usize,
    pub paused: bool,
    /// What waits for a yes.
    pub asked: Option<Action>,
    /// The last thing that was done, or why it was not, or why there is nothing new.
    notice: Option<(String, Instant)>,
    /// How many of the newest events are scrolled past.
    pub scrolled: usize,
    pub color: bool,
    /// Whether it costs money.
    pub is_aws: bool,
    changed: BTreeMap<(String, usize), (String, Option<Instant>)>,
}

impl State {
    pub fn new(color: bool, is_aws: bool) -> Self {
        Self {
            view: None,
            page: Page::Overview,
            selected: 0,
            paused: false,
            asked: None,
            notice: None,
            scrolled: 0,
            color,
            is_aws,
            changed: BTreeMap::new(),
        }
    }

    /// Takes up a new view, unless it is paused.
    pub fn update(&mut self, view: View, now: Instant) {
        if self.paused {
            return;
        }
        for cluster in &view.clusters {
            for (column, text) in cells(cluster).into_iter().enumerate() {
                let known = self.changed.get(&(cluster.name.clone(), column));
                match known {
                    Some((before, _)) if *before == text => {}
                    Some(_) => drop(self.changed.insert((cluster.name.clone(), column), (text, Some(now)))),
                    None => drop(self.changed.insert((cluster.name.clone(), column), (text, None))),
                }
            }
        }
        self.selected = self.selected.min(view.clusters.len().saturating_sub(1));
        self.view = Some(view);
    }

    /// Says something for a while.
    pub fn tell(&mut self, text: impl Into<String>, now: Instant) {
        self.notice = Some((text.into(), now));
    }

    pub fn notice(&self, now: Instant) -> Option<&str> {
        let shown = self.notice.as_ref().filter(|(_, told)| now.saturating_duration_since(*told) < TOLD);
        shown.map(|(text, _)| text.as_str())
    }

    /// Whether a figure has just changed.
    pub fn is_fresh(&self, cluster: &str, column: usize, now: Instant) -> bool {
        let changed = self.changed.get(&(cluster.to_owned(), column)).and_then(|(_, at)| *at);
        changed.is_some_and(|at| now.saturating_duration_since(at) < FRESH)
    }

    pub fn cluster(&self) -> Option<&ClusterView> {
        self.view.as_ref()?.clusters.get(self.selected)
    }

    /// What a key does.
    pub fn key(&mut self, key: Key, now: Instant) -> Effect {
        if key == Key::Interrupt {
            return Effect::Quit;
        }
        if let Some(action) = self.asked.take() {
            let yes = matches!(key, Key::Char('y' | 'Y'));
            self.notice = None;
            if !yes {
                self.tell("not done", now);
            }
            return if yes { Effect::Do(action) } else { Effect::Nothing };
        }
        match key {
            Key::Char('q') => return Effect::Quit,
            Key::Char(digit @ '1'..='9') => self.select(digit),
            Key::Char(' ') => self.paused = !self.paused,
            Key::Char('e') => self.turn_to(Page::Events),
            Key::Char('a') => self.turn_to(Page::Alarms),
            Key::Char('+' | '=') => self.ask_to_scale(1, now),
            Key::Char('-') => self.ask_to_scale(-1, now),
            Key::Char('k') if self.page == Page::Overview => self.ask_to_kill(now),
            Key::Up | Key::Char('k') => self.scrolled = self.scrolled.saturating_add(1),
            Key::Down | Key::Char('j') => self.scrolled = self.scrolled.saturating_sub(1),
            Key::Escape | Key::Enter => self.turn_to(Page::Overview),
            Key::Char(_) | Key::Interrupt => {}
        }
        Effect::Nothing
    }

    fn select(&mut self, digit: char) {
        let index = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(1) - 1;
        if self.view.as_ref().is_some_and(|view| index < view.clusters.len()) {
            self.selected = index;
        }
    }

    /// The same key again leads back.
    fn turn_to(&mut self, page: Page) {
        self.page = if self.page == page { Page::Overview } else { page };
        self.scrolled = 0;
    }

    fn ask_to_scale(&mut self, by: i32, now: Instant) {
        let Some(cluster) = self.cluster() else { return };
        if cluster.kind == ClusterKind::Fixed {
            let told = format!("{} has fixed instances: change the stack and run `cloudscale up`", cluster.name);
            self.tell(told, now);
            return;
        }
        let to = cluster.capacity.desired.saturating_add_signed(by);
        if !(cluster.min..=cluster.max).contains(&to) {
            let told = format!("{} allows {} to {} instances", cluster.name, cluster.min, cluster.max);
            self.tell(told, now);
            return;
        }
        self.asked = Some(Action::Scale { cluster: cluster.name.clone(), from: cluster.capacity.desired, to });
    }

    /// The first that serves.
    fn ask_to_kill(&mut self, now: Instant) {
        let Some(cluster) = self.cluster() else { return };
        let running = || cluster.instances.iter().filter(|instance| instance.state == InstanceState::Running);
        let victim = running().find(|instance| instance.health == TargetState::Healthy).or_else(|| running().next());
        let Some(victim) = victim else {
            let told = format!("{} has no instance that runs", cluster.name);
            self.tell(told, now);
            return;
        };
        let is_fixed = cluster.kind == ClusterKind::Fixed;
        self.asked = Some(Action::Kill { cluster: cluster.name.clone(), instance: victim.id.clone(), is_fixed });
    }
}
