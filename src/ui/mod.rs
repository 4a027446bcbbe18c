//! The only code that prints.

mod ask;
pub mod bench;
pub mod dashboard;
pub mod events;
pub mod load;
pub mod plan;
pub mod printable;
pub mod problem;
pub mod progress;
pub mod style;
pub mod table;
pub mod watch;

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::problem::{Problem, Problems, Severity};
use printable::printable;
use style::Paint;

/// The width of what is not written to a terminal.
const PLAIN_WIDTH: u16 = 80;

/// Decides what is printed where: results to standard output, progress and problems to standard error.
#[derive(Debug)]
pub struct Printer {
    /// Colour on standard output.
    pub color: bool,
    /// Colour on standard error.
    pub color_problems: bool,
    pub quiet: bool,
    /// Standard error is a terminal: bars are welcome.
    pub live: bool,
    /// Why a result could not be written, the first time.
    lost: OnceLock<String>,
    /// Nobody reads standard output any more.
    closed: AtomicBool,
}

impl Printer {
    /// Colour is left out where `no_color` or the environment asks for it.
    pub fn new(no_color: bool, quiet: bool) -> Self {
        let plain = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            color: !plain && std::io::stdout().is_terminal(),
            color_problems: !plain && std::io::stderr().is_terminal(),
            quiet,
            live: !quiet && std::io::stderr().is_terminal(),
            lost: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Paints what goes to standard output.
    pub fn paint(&self) -> Paint {
        Paint { color: self.color }
    }

    /// Paints what goes to standard error.
    pub fn paint_problems(&self) -> Paint {
        Paint { color: self.color_problems }
    }

    /// Whether somebody sits in front of it: standard input and output are a terminal.
    pub fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
    }

    /// Columns of the terminal. Without one nothing bounds a table: a row that `grep` reads stays one line.
    pub fn width(&self) -> u16 {
        console::Term::stdout().size_checked().map_or(u16::MAX, |(_rows, columns)| columns)
    }

    /// How a plan looks on standard output.
    pub fn plan_view(&self, details: bool) -> plan::View {
        plan::View { details, width: self.width(), paint: self.paint() }
    }

    /// How a plan looks on standard error, where it comes before what is done.
    pub fn plan_view_beside(&self, details: bool) -> plan::View {
        let width = console::Term::stderr().size_checked().map_or(u16::MAX, |(_rows, columns)| columns);
        plan::View { details, width, paint: self.paint_problems() }
    }

    /// A line of the command's result, to standard output. `--quiet` does not silence results.
    pub fn result(&self, line: &str) {
        self.painted_result(&printable(line));
    }

    /// The same of what `src/ui/` has made: it is printable already, and has colours.
    pub fn painted_result(&self, line: &str) {
        let written = writeln!(std::io::stdout().lock(), "{line}");
        self.keep_failure(written);
    }

    /// A closed pipe (`| head`) is no failure of the command; a full disk is one.
    fn keep_failure(&self, written: std::io::Result<()>) {
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => self.closed.store(true, Ordering::Relaxed),
            Err(error) => _ = self.lost.get_or_init(|| error.to_string()),
            Ok(()) => {}
        }
    }

    /// Whether a result could not be reported: a command that goes on and on has nobody to go on for.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed) || self.lost.get().is_some()
    }

    /// The problem of a command that did its work, but could not report all of its result.
    pub fn lost_result(&self) -> Option<Problem> {
        let why = self.lost.get()?;
        Some(
            Problem::new("The result could not be written", format!("standard output: {why}"))
                .hint("the work itself is done; make room and run the command again to see its result"),
        )
    }

    /// A line about what is going on, to standard error.
    pub fn note(&self, line: &str) {
        self.painted_note(&printable(line));
    }

    /// The same of what `src/ui/` has made: it is printable already, and has colours.
    pub fn painted_note(&self, line: &str) {
        if !self.quiet {
            write_error_line(line);
        }
    }

    /// Bytes as they are, to standard output: what the user wants raw.
    pub fn text(&self, bytes: &[u8]) {
        let mut output = std::io::stdout().lock();
        let written = output.write_all(bytes).and_then(|()| output.flush());
        self.keep_failure(written);
    }

    /// A value as one line of JSON, to standard output: for a program that reads line by line.
    pub fn json_line(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string(value).expect("results serialise: their maps have text keys");
        self.painted_result(&printable::json(text));
    }

    /// A result as JSON, to standard output.
    pub fn json(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value).expect("results serialise: their maps have text keys");
        self.painted_result(&printable::json(text));
    }

    /// Every problem, in order, to standard error.
    pub fn problems(&self, problems: &Problems) {
        let is_shown = |problem: &&Problem| !self.quiet || problem.severity == Severity::Error;
        let shown = Problems(problems.0.iter().filter(is_shown).cloned().collect());
        let columns = console::Term::stderr().size_checked().map_or(PLAIN_WIDTH, |(_rows, columns)| columns);
        let style = problem::Style { width: usize::from(columns), rich: self.color_problems };
        write_error(&problem::render(&shown, style));
    }
}

/// Writes a line to standard error.
fn write_error_line(line: &str) {
    write_error(&format!("{line}\n"));
}

/// Writes to standard error. Where even that is gone there is nobody left to tell.
fn write_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
