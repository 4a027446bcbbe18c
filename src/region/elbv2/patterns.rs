//! Regular expressions of rules: in conditions and in rewrites.
//!
//! AWS's have no lookaround, backreference, atomic group, possessive quantifier, subroutine, recursion or Unicode class (user
//! guide, "Listener rules"); the crate's have none of those but the last, so that one is refused here. Time is linear in the
//! text, whatever the expression.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use crate::region::wire::ApiError;

/// What a compiled expression may take of memory.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A regular expression as it was written, and compiled.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Pattern {
    text: String,
    ignores_case: bool,
    regex: Regex,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Written {
    text: String,
    ignores_case: bool,
}

impl TryFrom<Written> for Pattern {
    type Error = String;

    fn try_from(Written { text, ignores_case }: Written) -> Result<Self, String> {
        Self::parse(&text, usize::MAX, ignores_case).map_err(|error| error.message)
    }
}

impl From<Pattern> for Written {
    fn from(Pattern { text, ignores_case, .. }: Pattern) -> Self {
        Self { text, ignores_case }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.ignores_case) == (&other.text, other.ignores_case)
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// # Errors
    /// `ValidationError` for one that is empty, too long or no regular expression.
    pub fn parse(text: &str, length_max: usize, ignores_case: bool) -> Result<Self, ApiError> {
        let invalid = |why: String| ApiError::new("ValidationError", format!("The regular expression '{text}' {why}"));
        let length = text.chars().count();
        if length == 0 || length > length_max {
            return Err(invalid(format!("must be between 1 and {length_max} characters in length")));
        }
        if text.contains(r"\p") || text.contains(r"\P") {
            return Err(invalid("must not have a Unicode character class".to_owned()));
        }
        let mut builder = RegexBuilder::new(text);
        let regex = builder.case_insensitive(ignores_case).size_limit(COMPILED_BYTES_MAX).build();
        let regex = regex.map_err(|error| {
            let last = error.to_string().lines().last().unwrap_or_default().to_owned();
            invalid(format!("is not valid: {last}"))
        })?;
        Ok(Self { text: text.to_owned(), ignores_case, regex })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is found anywhere in the text.
    pub fn fits(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// A pattern, and what stands in place of what fits it: `$1` is its first group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rewrite {
    pub pattern: Pattern,
    /// As it was written.
    pub replace: String,
}

impl Rewrite {
    /// The text with what fits first replaced; `None` where nothing fits.
    pub fn apply(&self, text: &str) -> Option<String> {
        let captures = self.pattern.regex.captures(text)?;
        let whole = captures.get(0)?;
        let mut out = text[..whole.start()].to_owned();
        captures.expand(&numbered(&self.replace), &mut out);
        out.push_str(&text[whole.end()..]);
        Some(out)
    }
}

/// `$1x` means the first group and an x, not a group of that name; every other `$` means itself.
fn numbered(replace: &str) -> Cow<'_, str> {
    if !replace.contains('$') {
        return Cow::Borrowed(replace);
    }
    let mut out = String::new();
    let mut rest = replace;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        if digits == 0 {
            out.push_str("$$");
        } else {
            out.push_str(&format!("${{{}}}", &after[..digits]));
        }
        rest = &after[digits..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(pattern: &str, replace: &str, text: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern, 1024, false).unwrap();
        Rewrite { pattern, replace: replace.to_owned() }.apply(text)
    }

    /// The first is the example of the user guide, "Transforms for listener rules".
    #[test]
    fn groups_are_put_into_the_replacement() {
        let internal = rewrite("^mywebsite-(.+).com$", "internal.dev.$1.myweb.com", "mywebsite-example.com");
        assert_eq!(internal.as_deref(), Some("internal.dev.example.myweb.com"));
        assert_eq!(rewrite("^/api/v1/", "/", "/api/v1/users?a=b").as_deref(), Some("/users?a=b"));
        assert_eq!(rewrite("/(a)(b)", "/$2$1x$", "/ab/ab").as_deref(), Some("/bax$/ab"), "the first of them");
        assert_eq!(rewrite("^/none", "/", "/api"), None);
    }

    #[test]
    fn what_aws_does_not_have_is_refused() {
        for wrong in ["", "(", "a(?=b)", "(?<!a)b", r"(a)\1", "(?>a)", r"\p{L}", &"a".repeat(129)] {
            assert_eq!(Pattern::parse(wrong, 128, false).unwrap_err().code, "ValidationError", "{wrong}");
        }
        assert!(Pattern::parse(&"a".repeat(128), 128, false).is_ok());
    }

    #[test]
    fn a_pattern_is_kept_as_it_was_written() {
        let pattern = Pattern::parse("^/A", 128, true).unwrap();
        assert!(pattern.fits("/abc") && !pattern.fits("x/a"));
        let kept: Pattern = serde_json::from_str(&serde_json::to_string(&pattern).unwrap()).unwrap();
        assert!(kept == pattern && kept.fits("/abc"));
    }
}
