//! Problems: every error a user can meet, as summary, detail, place, hint and exit code.
//!
//! The summary is fixed text that can be searched for; the detail names what happened to what and why; the hint says
//! what to do next. Functions that can find several things wrong return [`Problems`], all at once, in file order.
//! Rendering is the job of `ui/problem.rs`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::exit::Exit;

/// A file that a problem can point into.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user wrote it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A place in a source: a byte range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<Source>,
    pub bytes: Range<usize>,
}

impl Place {
    /// Line and column, both counted from 1; columns count characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.bytes.start.min(self.source.text.len())];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Whether a problem stops the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    /// Worth knowing, but nothing stops.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Fixed text, without names or numbers: "Unknown key".
    pub summary: &'static str,
    /// What happened to what, and why.
    pub detail: String,
    pub place: Option<Place>,
    /// What to do next.
    pub hint: Option<String>,
    pub exit: Exit,
}

impl Problem {
    /// An error that ends the command with [`Exit::Failed`].
    pub fn new(summary: &'static str, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Error, summary, detail: detail.into(), place: None, hint: None, exit: Exit::Failed }
    }

    /// An error in what the user wrote: ends the command with [`Exit::Usage`].
    pub fn usage(summary: &'static str, detail: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(summary, detail) }
    }

    /// Something worth knowing that stops nothing.
    pub fn warning(summary: &'static str, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, exit: Exit::Ok, ..Self::new(summary, detail) }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    #[must_use]
    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let (line, column) = place.line_column();
            write!(f, "{}:{line}:{column}: ", place.source.name)?;
        }
        write!(f, "{}: {}", self.summary, self.detail)
    }
}

impl std::error::Error for Problem {}

/// One or more problems, found together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The exit code of the first error, or `Ok` when there are only warnings.
    pub fn exit(&self) -> Exit {
        self.0.iter().find(|problem| problem.severity == Severity::Error).map_or(Exit::Ok, |problem| problem.exit)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
