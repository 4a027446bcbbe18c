//! What was written by others, fit for a terminal.
//!
//! Tags, names, consoles and user data may hold characters that move the cursor, rewrite what was shown, or turn the direction
//! of what follows, so that a reader is shown something else than what is there. Everything on its way to a terminal passes
//! through [`printable`]; only colours of our own are added behind it.

use std::borrow::Cow;

/// Without control characters: C0 but line ends and tabs, DEL, C1, and what turns the direction of text. Bytes keep their
/// places, so that what points into the text still does.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(|character| character == '\n' || character == '\t' || is_plain(character)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|character| if character == '\n' { '\n' } else { shown(character) }).collect())
}

/// The same for what has its place within a line: line ends and tabs are spaces.
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if matches!(character, '\n' | '\t') { ' ' } else { shown(character) }).collect()
}

/// A text of JSON in which such characters are escaped: it says the same to every reader of JSON.
pub fn json(text: String) -> String {
    // The line ends and indentation between its values are its own.
    let stays = |character: char| character == '\n' || is_plain(character);
    if text.chars().all(stays) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if stays(character) {
            escaped.push(character);
        } else {
            escaped += &format!("\\u{:04x}", u32::from(character));
        }
    }
    escaped
}

fn is_plain(character: char) -> bool {
    !character.is_control() && !turns(character)
}

/// Marks, embeddings, overrides and isolates of bidirectional text, and the separators that some terminals take for line ends.
fn turns(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shown(character: char) -> char {
    match character {
        '\t' => '\t',
        // The end of a line as Windows writes it.
        '\r' => ' ',
        _ if is_plain(character) => character,
        _ => match character.len_utf8() {
            1 => '?',
            2 => '·',
            _ => '\u{fffd}',
        },
    }
}

/// Bytes that come in pieces, such as a log: a character that is cut in two waits for its other half.
#[derive(Debug, Default)]
pub struct Stream {
    rest: Vec<u8>,
}

impl Stream {
    /// What can be shown of what has come so far.
    pub fn next(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let cut = last_start(&self.rest);
        let rest = self.rest.split_off(cut);
        let text = String::from_utf8_lossy(&std::mem::replace(&mut self.rest, rest)).into_owned();
        printable(&text).into_owned()
    }

    /// What is left when nothing more comes.
    pub fn end(&mut self) -> String {
        printable(&String::from_utf8_lossy(&std::mem::take(&mut self.rest))).into_owned()
    }
}

/// Where a character begins that the bytes end in the middle of; their end where there is none.
fn last_start(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for at in (tail..bytes.len()).rev() {
        let length = match bytes[at] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if at + length > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_as_what_they_are_not() {
        assert_eq!(printable("a\u{1b}[2Jb\u{7}\u{9b}31mc\u{7f}"), "a?[2Jb?·31mc?");
        assert_eq!(
            printable("photo\u{202e}gpj.exe \u{2066}x\u{2069} \u{200f}\u{061c}"),
            "photo\u{fffd}gpj.exe \u{fffd}x\u{fffd} \u{fffd}·"
        );
        assert_eq!(printable("one\r\ntwo\tthree – ü 漢"), "one \ntwo\tthree – ü 漢");
        for text in ["a\u{1b}b", "\u{85}", "\u{2029}"] {
            assert_eq!(printable(text).len(), text.len(), "bytes keep their places");
        }
    }

    #[test]
    fn what_stands_within_a_line_cannot_begin_another() {
        assert_eq!(one_line("x\n✓ all is well\u{1b}[A"), "x ✓ all is well?[A");
    }

    #[test]
    fn json_says_the_same_without_raw_controls() {
        let text = serde_json::to_string("a\u{1b}\u{7f}\u{9b}\u{202e}ü").unwrap();
        let escaped = json(text);
        assert_eq!(escaped, "\"a\\u001b\\u007f\\u009b\\u202eü\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), "a\u{1b}\u{7f}\u{9b}\u{202e}ü");
    }

    #[test]
    fn a_character_that_comes_in_two_pieces_is_one() {
        let bytes = "ü漢🙂\u{9b}x".as_bytes();
        for cut in 0..=bytes.len() {
            let mut stream = Stream::default();
            let text = stream.next(&bytes[..cut]) + &stream.next(&bytes[cut..]) + &stream.end();
            assert_eq!(text, "ü漢🙂·x", "cut at {cut}");
        }
        let mut stream = Stream::default();
        assert_eq!(stream.next(b"\xff\xfe a \xe6") + &stream.end(), "\u{fffd}\u{fffd} a \u{fffd}");
    }
}
