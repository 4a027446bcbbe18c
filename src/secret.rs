//! What nobody but the cloud is to see: a secret value, and a text that secrets were put into.
//!
//! Printing, logging and comparing for people work on what may be shown; the real text has to be asked for by name
//! ([`Secret::expose`], [`Text::expose`]), which only what sends it to the cloud does.

use std::fmt;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(secret)";
/// What stands for a line that may hold a secret that we do not know any more.
const UNKNOWN_LINE: &str = "(not shown: the line may hold a secret)";

/// A secret value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A text with secrets in it, or without. Two are equal where they really are, whatever is shown of them.
#[derive(Clone, Default)]
pub struct Text {
    real: String,
    shown: String,
    secrets: Vec<Secret>,
    /// It may hold secrets that are not among `secrets`.
    unknown: bool,
}

impl Text {
    /// A text in which there may be secrets that nobody knows any more: it is shown only beside one that is known.
    pub fn unknown(real: impl Into<String>) -> Self {
        Self { real: real.into(), shown: UNKNOWN_LINE.to_owned(), secrets: Vec::new(), unknown: true }
    }

    pub fn push(&mut self, text: &str) {
        self.real += text;
        self.shown += text;
    }

    pub fn push_secret(&mut self, secret: &Secret) {
        self.real += secret.expose();
        self.shown += HIDDEN;
        self.secrets.push(secret.clone());
    }

    /// The text itself, secrets included.
    pub fn expose(&self) -> &str {
        &self.real
    }

    pub fn holds_secrets(&self) -> bool {
        self.unknown || !self.secrets.is_empty()
    }

    /// Whether it may hold secrets that nobody knows any more.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// What may be shown of another version of this text: the lines that this one shows, too. A line that differs may hold a
    /// former value of a secret.
    pub fn show_other(&self, other: &str) -> String {
        if other == self.real {
            return self.shown.clone();
        }
        let values = self.secrets.iter().map(Secret::expose).filter(|value| !value.is_empty());
        let other = values.fold(other.to_owned(), |text, value| text.replace(value, HIDDEN));
        let known: Vec<&str> = if self.unknown { Vec::new() } else { self.shown.lines().collect() };
        let lines = other.lines().map(|line| if known.contains(&line) { line } else { UNKNOWN_LINE });
        lines.fold(String::new(), |text, line| text + line + "\n")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut known = Self::default();
        known.push(text);
        known
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.real == other.real
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(token: &str) -> Text {
        let mut text = Text::from("#!/bin/sh\nTOKEN=");
        text.push_secret(&Secret::new(token));
        text.push("\nserve\n");
        text
    }

    #[test]
    fn a_secret_is_shown_nowhere_and_sent_whole() {
        let text = script("s3cr3t");
        for shown in [text.to_string(), format!("{text:?}"), format!("{:?} {0}", Secret::new("s3cr3t"))] {
            assert!(shown.contains(HIDDEN) && !shown.contains("s3cr3t"), "{shown}");
        }
        assert_eq!(text.expose(), "#!/bin/sh\nTOKEN=s3cr3t\nserve\n");
        assert_ne!(text, script("other"), "what differs is the real text");
    }

    #[test]
    fn a_former_secret_is_not_shown_either() {
        let text = script("new");
        assert_eq!(text.show_other(text.expose()), text.to_string());
        let former = "#!/bin/sh\nTOKEN=old\necho old\nserve\n";
        let hidden = "(not shown: the line may hold a secret)";
        assert_eq!(text.show_other(former), format!("#!/bin/sh\n{hidden}\n{hidden}\nserve\n"));
        let edited = "#!/bin/sh\nTOKEN=new\nserve --fast\n";
        assert_eq!(text.show_other(edited), format!("#!/bin/sh\nTOKEN=(secret)\n{hidden}\n"));
    }

    #[test]
    fn a_text_of_unknown_secrets_shows_nothing_of_itself() {
        let text = Text::unknown("TOKEN=f0rmer\n");
        assert!(text.holds_secrets() && !format!("{text} {text:?}").contains("f0rmer"));
        assert_eq!(Text::from("TOKEN=\n").show_other(text.expose()), "(not shown: the line may hold a secret)\n");
    }
}
