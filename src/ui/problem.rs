//! A problem as a person reads it: what, where with the line underlined, and what to do.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use super::printable::printable;
use crate::problem::{Place, Problem, Problems, Severity};

/// More than anyone reads at once; the rest is counted.
const SHOWN_MAX: usize = 40;
/// A longer line is not shown: it was not written by a person, and would fill the screen.
const LINE_BYTES_MAX: usize = 400;

/// How problems are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// With colour and line-drawing characters, else plain ASCII.
    pub rich: bool,
}

/// Every problem, in order.
pub fn render(problems: &Problems, style: Style) -> String {
    let handler = handler(style);
    let mut text = String::new();
    for (index, problem) in problems.0.iter().take(SHOWN_MAX).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let report = Report::of(problem);
        if handler.render_report(&mut text, &report).is_err() {
            text += &format!("{}\n", printable(&problem.to_string()));
        }
    }
    let hidden = problems.0.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 {
        text += &format!("\n  and {hidden} more\n");
    }
    text
}

fn handler(style: Style) -> GraphicalReportHandler {
    let theme = match style.rich {
        true => GraphicalTheme { characters: ThemeCharacters::unicode(), styles: ThemeStyles::ansi() },
        false => GraphicalTheme {
            characters: ThemeCharacters {
                error: "error:".into(),
                warning: "warning:".into(),
                ..ThemeCharacters::ascii()
            },
            styles: ThemeStyles::none(),
        },
    };
    GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_links(false)
        .with_context_lines(1)
        .with_word_separator(textwrap::WordSeparator::AsciiSpace)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation)
        .without_cause_chain()
}

/// A problem in the shape that miette draws.
#[derive(Debug)]
struct Report<'p> {
    problem: &'p Problem,
    message: String,
    hint: Option<String>,
    source: Option<Snippet>,
}

impl<'p> Report<'p> {
    fn of(problem: &'p Problem) -> Self {
        let mut message = format!("{}: {}", problem.summary, printable(&problem.detail));
        let source = problem.place.as_ref().and_then(snippet);
        if let (None, Some(place)) = (&source, &problem.place) {
            let (line, column) = place.line_column();
            message = format!("{message} ({}:{line}:{column})", printable(&place.source.name));
        }
        Self { problem, message, hint: problem.hint.as_deref().map(|hint| printable(hint).into_owned()), source }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.as_ref().filter(|_| self.source.is_some())?;
        let text = &place.source.text;
        // The end of the file is drawn at its last character: behind it there is no line.
        let last = text.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
        let start = if place.bytes.start >= text.trim_end().len() { last } else { place.bytes.start };
        // One line is enough to find the place; an empty span is drawn as one character.
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let length = place.bytes.end.clamp(start, line_end.max(start)) - start;
        Some(Box::new(std::iter::once(LabeledSpan::new(None, start, length))))
    }
}

/// The lines of a source around a place. The rest is left out, since a file may be long and have many problems.
#[derive(Debug)]
struct Snippet {
    name: String,
    text: String,
    /// Where `text` begins in the file.
    offset: usize,
    /// Lines before it.
    lines: usize,
}

impl SourceCode for Snippet {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = SourceSpan::from((span.offset().saturating_sub(self.offset), span.len()));
        let found = self.text.read_span(&inner, before, after)?;
        let place = SourceSpan::from((found.span().offset() + self.offset, found.span().len()));
        let line = found.line() + self.lines;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            found.data(),
            place,
            line,
            found.column(),
            found.line_count(),
        )))
    }
}

/// The source, where the line of the place can be shown.
fn snippet(place: &Place) -> Option<Snippet> {
    let text = &place.source.text;
    let start = place.bytes.start.min(text.len());
    // The line itself and its neighbours, which are drawn with it.
    let before = text[..start].lines().rev().take(2);
    let from_here = text[start..].lines().take(2);
    let is_short = before.chain(from_here).all(|line| line.len() <= LINE_BYTES_MAX);
    is_short.then(|| {
        // From the second line before the place to the second line after it.
        let line_start = |end: usize| text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let mut from = line_start(start);
        for _ in 0..2 {
            from = line_start(from.saturating_sub(1));
        }
        let to = text[start..].match_indices('\n').nth(2).map_or(text.len(), |(newline, _)| start + newline + 1);
        let lines = text[..from].matches('\n').count();
        Snippet {
            name: printable(&place.source.name).into_owned(),
            text: printable(&text[from..to]).into_owned(),
            offset: from,
            lines,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::problem::Source;

    fn place(text: &str, part: &str) -> Place {
        let start = text.find(part).unwrap();
        let source = Arc::new(Source { name: "stack.yaml".into(), text: text.into() });
        Place { source, bytes: start..start + part.len() }
    }

    fn plain(problems: Vec<Problem>) -> String {
        render(&Problems(problems), Style { width: 80, rich: false })
    }

    const STACK: &str = "name: s\nclusters:\n  light:\n    instnaces: 4\n    routes: [\"/cluster1*\"]\n";

    #[test]
    fn several_problems_are_drawn_in_plain_text() {
        let problems = vec![
            Problem::usage("Unknown key", "a cluster has no key `instnaces`")
                .at(place(STACK, "instnaces"))
                .hint("did you mean `instances`?"),
            Problem::warning(
                "Route matches more than it seems to",
                "`/cluster1*` also matches `/cluster10` and `/cluster1-other`",
            )
            .at(place(STACK, "\"/cluster1*\""))
            .hint("write `/cluster1` and `/cluster1/*` for the path and what is under it"),
            Problem::new("No credentials", "the profile `lab` has expired").hint("run `aws sso login --profile lab`"),
        ];
        let text = plain(problems);
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!(text, @r#"
         error: Unknown key: a cluster has no key `instnaces`
          ,-[stack.yaml:4:5]
        3 |   light:
        4 |     instnaces: 4
          :     ^^^^^^^^^
        5 |     routes: ["/cluster1*"]
          `----
         help: did you mean `instances`?

         warning: Route matches more than it seems to: `/cluster1*` also matches
         | `/cluster10` and `/cluster1-other`
          ,-[stack.yaml:5:14]
        4 |     instnaces: 4
        5 |     routes: ["/cluster1*"]
          :              ^^^^^^^^^^^^
          `----
         help: write `/cluster1` and `/cluster1/*` for the path and what is under it

         error: No credentials: the profile `lab` has expired
         help: run `aws sso login --profile lab`
        "#);
    }

    #[test]
    fn a_terminal_gets_lines_and_colour() {
        let problem = Problem::usage("Unknown key", "no `x`").at(place("x: 1\n", "x"));
        let text = render(&problem.into(), Style { width: 80, rich: true });
        assert!(text.contains("\u{1b}[31m") && text.contains('│'), "{text}");
    }

    #[test]
    fn control_characters_of_a_file_do_not_reach_the_terminal() {
        let text = plain(vec![Problem::usage("Unknown key", "no \u{1b}[2J").at(place("a\u{1b}[2J: \u{9b}1\n", "a"))]);
        assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text}");
    }

    #[test]
    fn a_very_long_line_is_only_named() {
        let source = format!("{}x: 1\n", " ".repeat(1000));
        let text = plain(vec![Problem::usage("Unknown key", "no `x`").at(place(&source, "x"))]);
        insta::assert_snapshot!(text, @"  error: Unknown key: no `x` (stack.yaml:1:1001)");
    }

    #[test]
    fn a_place_at_the_end_of_the_file_is_drawn() {
        let source = Arc::new(Source { name: "s".into(), text: "a: [1".into() });
        let text = plain(vec![Problem::usage("Not valid YAML", "it ends").at(Place { source, bytes: 5..5 })]);
        insta::assert_snapshot!(text, @r"
         error: Not valid YAML: it ends
          ,-[s:1:5]
        1 | a: [1
          :     ^
          `----
        ");
    }

    #[test]
    fn countless_problems_are_counted() {
        let text = plain(vec![Problem::new("Wrong", "again"); 100]);
        assert!(text.ends_with("and 60 more\n"), "{text}");
    }
}
