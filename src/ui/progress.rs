//! Sinks for [`Event`]s: bars on a terminal, plain lines elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Printer;
use super::printable::{one_line, printable};
use super::style::Paint;
use crate::clock;
use crate::cloud::address::Address;
use crate::resource::change::Action;
use crate::resource::event::{Event, Progress, Sink};

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);
/// What stands before a spinner's message, and one column that no terminal has to wrap at.
const SPINNER_COLUMNS: usize = 5;
/// Plain lines report a wait no oftener than this, unless its reason is new.
const PLAIN_PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// The sink that suits the printer: nothing when quiet, bars on a terminal, lines elsewhere.
pub fn sink(printer: &Printer) -> Box<dyn Sink> {
    if printer.quiet {
        Box::new(Silent)
    } else if printer.live {
        Box::new(Bars::new(Paint { color: printer.color_problems }))
    } else {
        Box::new(Lines::default())
    }
}

/// As [`sink`], for a program that asked for JSON: an event a line.
pub fn json_sink(printer: &Printer) -> Box<dyn Sink> {
    if printer.quiet { Box::new(Silent) } else { Box::new(JsonLines) }
}

/// Events as they are, one JSON text a line.
struct JsonLines;

fn json_line(event: Event) -> String {
    serde_json::to_string(&cleaned(event)).expect("events serialise: they are texts and numbers")
}

impl Sink for JsonLines {
    fn event(&self, event: Event) {
        super::write_error_line(&json_line(event));
    }
}

/// Shows nothing.
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _event: Event) {}
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        Action::Delete => "deleted",
        Action::Unchanged => "unchanged",
    }
}

/// The event without what could play with a terminal: addresses, reasons and names are others' words.
fn cleaned(mut event: Event) -> Event {
    let clean = |text: &mut String| *text = one_line(text);
    let clean_address = |address: &mut Address| *address = Address::parse(one_line(address.as_str()));
    match &mut event {
        Event::ApplyStarted { .. } | Event::BenchFinished { .. } => {}
        Event::ActionStarted { address, .. } | Event::ActionFinished { address, .. } => clean_address(address),
        Event::ActionWaiting { address, reason: other } | Event::ActionFailed { address, summary: other, .. } => {
            clean_address(address);
            clean(other);
        }
        Event::ActionSkipped { address, because } => [address, because].into_iter().for_each(clean_address),
        Event::Waiting { what: one, reason: other } | Event::Ready { what: one, detail: other } => {
            [one, other].into_iter().for_each(clean)
        }
        Event::Capacity { cluster, .. } => clean(cluster),
        Event::Scaled { cluster, what, cause } => [cluster, what, cause].into_iter().for_each(clean),
        Event::Note { text } => *text = printable(text).into_owned(),
        Event::BenchStarted { scenario, targets, .. } => std::iter::once(scenario).chain(targets).for_each(clean),
        Event::BenchProgress { target, progress } => {
            [target, &mut progress.phase].into_iter().chain(&mut progress.next).for_each(clean);
        }
    }
    event
}

/// `1,204 of 2,500, 812/s, p50 1.2 ms, p99 4.0 ms, 0 errors`
fn progress_line(progress: &Progress) -> String {
    let errors = if progress.errors == 1 { "1 error".to_owned() } else { format!("{} errors", progress.errors) };
    let done = match progress.planned {
        0 => progress.done.to_string(),
        planned => format!("{} of {planned}", progress.done),
    };
    let (p50, p99) = (milliseconds(progress.p50_ms), milliseconds(progress.p99_ms));
    format!("{done}  {:.0}/s  p50 {p50} ms  p99 {p99} ms  {errors}", progress.rate)
}

/// What is about to be sent; how many requests is not known of users for a time.
fn starting(scenario: &str, targets: &[String], requests: u64) -> String {
    let what = if requests == 0 { "load".to_owned() } else { format!("{requests} requests") };
    format!("{what} to {} ({scenario})", targets.join(", "))
}

/// A dash where nothing was measured.
fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

/// Bars on a terminal: one for the whole, a line for everything that runs or waits.
struct Bars {
    paint: Paint,
    multi: MultiProgress,
    state: Mutex<BarsState>,
}

#[derive(Default)]
struct BarsState {
    overall: Option<ProgressBar>,
    lines: HashMap<String, ProgressBar>,
}

impl Bars {
    fn new(paint: Paint) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { paint, multi, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, BarsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that stays above the bars.
    fn say(&self, line: &str) {
        // The terminal went away: nothing left to draw on.
        let _ = self.multi.println(line);
    }

    fn spin(&self, key: &str, message: String) {
        let mut state = self.state();
        let overall = state.overall.clone();
        let bar = state.lines.entry(key.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("  {spinner} {wide_msg}").expect("the template is fixed");
            let bar = ProgressBar::new_spinner().with_style(style);
            let bar = match &overall {
                Some(overall) => self.multi.insert_before(overall, bar),
                None => self.multi.add(bar),
            };
            bar.enable_steady_tick(TICK);
            bar
        });
        let columns = usize::from(console::Term::stderr().size().1);
        bar.set_message(console::truncate_str(&message, columns.saturating_sub(SPINNER_COLUMNS), "…").into_owned());
    }

    fn stop(&self, key: &str) {
        if let Some(bar) = self.state().lines.remove(key) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }

    fn advance(&self) {
        let mut state = self.state();
        let done = state.overall.as_ref().is_some_and(|bar| {
            bar.inc(1);
            Some(bar.position()) == bar.length()
        });
        if done && let Some(bar) = state.overall.take() {
            bar.finish_and_clear();
        }
    }

    fn start_overall(&self, total: usize) {
        let style = ProgressStyle::with_template("  {bar:30} {pos}/{len}  {elapsed}").expect("the template is fixed");
        let bar = self.multi.add(ProgressBar::new(total as u64).with_style(style.progress_chars("━╸─")));
        bar.enable_steady_tick(TICK);
        self.state().overall = Some(bar);
    }

    fn bench(&self, target: &str, progress: &Progress) {
        let key = format!("bench {target}");
        let mut state = self.state();
        let bar = state.lines.entry(key).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("  {prefix:10} {bar:12} {wide_msg}").expect("the template is fixed");
            let bar = ProgressBar::new(progress.planned).with_style(style.progress_chars("━╸─"));
            self.multi.add(bar.with_prefix(target.to_owned()))
        });
        bar.set_position(progress.done);
        // Without errors, what one thread is doing fits into 80 columns.
        let errors = match progress.errors {
            0 => String::new(),
            errors => self.paint.bad(&format!("{errors} failed  ")),
        };
        let (p50, p99) = (milliseconds(progress.p50_ms), milliseconds(progress.p99_ms));
        bar.set_message(format!("{:>5.0}/s  p50 {p50:>5}  p99 {p99:>6} ms  {errors}{}", progress.rate, progress.phase));
    }
}

impl Sink for Bars {
    fn event(&self, event: Event) {
        let paint = self.paint;
        match cleaned(event) {
            Event::ApplyStarted { total } => self.start_overall(total),
            Event::ActionStarted { address, .. } => self.spin(address.as_str(), address.to_string()),
            Event::ActionWaiting { address, reason } => {
                self.spin(address.as_str(), format!("{address}  {}", paint.dim(&reason)));
            }
            Event::ActionFinished { address, action, seconds } => {
                self.stop(address.as_str());
                let took = paint.dim(&format!("{} in {seconds:.1} s", verb(action)));
                self.say(&format!("  {} {address}  {took}", paint.good("✓")));
                self.advance();
            }
            Event::ActionFailed { address, summary, .. } => {
                self.stop(address.as_str());
                self.say(&format!("  {} {address}  {summary}", paint.bad("✗")));
                self.advance();
            }
            Event::ActionSkipped { address, because } => {
                // Of a change in two phases, the first may have begun.
                self.stop(address.as_str());
                self.say(&format!("  {} {address}  {}", paint.warn("·"), paint.dim(&format!("skipped: {because}"))));
                self.advance();
            }
            Event::Waiting { what, reason } => self.spin(&what, format!("{what}  {}", paint.dim(&reason))),
            Event::Ready { what, detail } => {
                self.stop(&what);
                self.say(&format!("  {} {what}  {}", paint.good("✓"), paint.dim(&detail)));
            }
            Event::Note { text } => self.say(&format!("  {text}")),
            Event::Capacity { cluster, desired, healthy, .. } => {
                self.say(&format!("  {cluster}  {}", paint.dim(&format!("{healthy} of {desired} healthy"))));
            }
            Event::Scaled { cluster, what, .. } => self.say(&format!("  {cluster}  {what}")),
            Event::BenchStarted { scenario, targets, requests } => {
                self.say(&format!("  {}", starting(&scenario, &targets, requests)));
            }
            Event::BenchProgress { target, progress } => self.bench(&target, &progress),
            Event::BenchFinished { .. } => {
                let keys: Vec<String> =
                    self.state().lines.keys().filter(|key| key.starts_with("bench ")).cloned().collect();
                keys.iter().for_each(|key| self.stop(key));
            }
        }
    }
}

/// Plain lines for logs and pipes: no control codes, repeated waits reported once.
#[derive(Default)]
struct Lines {
    state: Mutex<LinesState>,
}

#[derive(Default)]
struct LinesState {
    /// The last reason reported for each wait.
    waits: HashMap<String, String>,
    /// When a target's progress was reported last.
    told: BTreeMap<String, std::time::Instant>,
}

impl Lines {
    fn wait(&self, what: &str, reason: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.waits.insert(what.to_owned(), reason.to_owned());
        (before.as_deref() != Some(reason)).then(|| format!("{what}: {reason}"))
    }

    fn progress(&self, target: &str, progress: &Progress) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::instant();
        let last = state.told.entry(target.to_owned()).or_insert(now);
        if now.duration_since(*last) < PLAIN_PROGRESS_EVERY {
            return None;
        }
        *last = now;
        Some(format!("{target}: {}", progress_line(progress)))
    }

    fn line(&self, event: Event) -> Option<String> {
        match cleaned(event) {
            Event::ApplyStarted { .. } | Event::ActionStarted { .. } | Event::BenchFinished { .. } => None,
            Event::ActionWaiting { address, reason } => self.wait(address.as_str(), &reason),
            Event::ActionFinished { address, action, seconds } => {
                Some(format!("{address}: {} in {seconds:.1} s", verb(action)))
            }
            Event::ActionFailed { address, summary, .. } => Some(format!("{address}: failed: {summary}")),
            Event::ActionSkipped { address, because } => Some(format!("{address}: skipped: {because}")),
            Event::Waiting { what, reason } => self.wait(&what, &reason),
            Event::Ready { what, detail } => Some(format!("{what}: {detail}")),
            Event::Note { text } => Some(text),
            Event::Capacity { cluster, desired, healthy, .. } => {
                Some(format!("{cluster}: {healthy} of {desired} healthy"))
            }
            Event::Scaled { cluster, what, .. } => Some(format!("{cluster}: {what}")),
            Event::BenchStarted { scenario, targets, requests } => Some(starting(&scenario, &targets, requests)),
            Event::BenchProgress { target, progress } => self.progress(&target, &progress),
        }
    }
}

impl Sink for Lines {
    fn event(&self, event: Event) {
        if let Some(line) = self.line(event) {
            super::write_error_line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_tell_a_wait_once_for_each_reason() {
        let lines = Lines::default();
        let wait = |reason: &str| {
            lines.line(Event::ActionWaiting { address: Address::fixed("cluster.light"), reason: reason.into() })
        };
        assert_eq!(wait("0 of 4 healthy").as_deref(), Some("cluster.light: 0 of 4 healthy"));
        assert_eq!(wait("0 of 4 healthy"), None);
        assert_eq!(wait("3 of 4 healthy").as_deref(), Some("cluster.light: 3 of 4 healthy"));
    }

    #[test]
    fn the_spinner_of_a_change_ends_with_it_however_it_ends() {
        let address = || Address::fixed("load_balancer.listener");
        let ends = [
            Event::ActionFinished { address: address(), action: Action::Replace, seconds: 1.0 },
            Event::ActionFailed { address: address(), action: Action::Replace, summary: "refused".into() },
            Event::ActionSkipped { address: address(), because: Address::fixed("load_balancer") },
        ];
        for end in ends {
            let bars = Bars::new(Paint { color: false });
            bars.event(Event::ActionStarted { address: address(), action: Action::Replace });
            assert_eq!(bars.state().lines.len(), 1);
            bars.event(end.clone());
            assert!(bars.state().lines.is_empty(), "{end:?}");
        }
    }

    #[test]
    fn what_others_wrote_cannot_play_with_the_terminal() {
        let evil = || "x\u{1b}[1A\u{9b}\n\u{202e}".to_owned();
        let events = [
            Event::ActionWaiting { address: Address::parse(evil()), reason: evil() },
            Event::ActionFinished { address: Address::parse(evil()), action: Action::Create, seconds: 1.0 },
            Event::ActionFailed { address: Address::parse(evil()), action: Action::Create, summary: evil() },
            Event::ActionSkipped { address: Address::parse(evil()), because: Address::parse(evil()) },
            Event::Ready { what: evil(), detail: evil() },
            Event::BenchStarted { scenario: evil(), targets: vec![evil()], requests: 1 },
        ];
        for event in events {
            let line = Lines::default().line(event).expect("a line");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
    }

    #[test]
    fn an_event_is_a_line_of_json_for_programs() {
        let progress = Progress { done: 3, p50_ms: Some(1.5), ..Progress::default() };
        let line = json_line(Event::BenchProgress { target: "light\n".into(), progress });
        assert!(!line.contains('\n'), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&value["event"], &value["progress"]["p50_ms"]), (&"bench_progress".into(), &1.5.into()));
        assert_eq!(value["progress"]["p99_ms"], serde_json::Value::Null);
    }

    #[test]
    fn what_is_not_measured_yet_is_a_dash() {
        let progress = Progress { done: 3, errors: 3, rate: 1.0, ..Progress::default() };
        assert_eq!(progress_line(&progress), "3  1/s  p50 – ms  p99 – ms  3 errors");
        let progress = Progress { planned: 10, p50_ms: Some(1.26), p99_ms: Some(9.0), ..progress };
        assert_eq!(progress_line(&progress), "3 of 10  1/s  p50 1.3 ms  p99 9.0 ms  3 errors");
    }

    #[test]
    fn plain_lines_hold_no_control_codes() {
        let lines = Lines::default();
        let line = lines
            .line(Event::ActionFinished {
                address: Address::fixed("load_balancer"),
                action: Action::Create,
                seconds: 1.25,
            })
            .expect("a finished action is told");
        assert_eq!(line, "load_balancer: created in 1.2 s");
        assert!(!line.chars().any(char::is_control));
    }
}
