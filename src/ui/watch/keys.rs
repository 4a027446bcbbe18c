//! What a terminal in raw mode sends → keys.

use super::state::Key;

const CONTROL_C: u8 = 3;
const ESCAPE: u8 = 0x1b;

/// The keys of what was read at once. A sequence that means nothing here is left out as a whole.
pub fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        match *first {
            CONTROL_C => keys.push(Key::Interrupt),
            b'\r' | b'\n' => keys.push(Key::Enter),
            ESCAPE => match rest.first() {
                // CSI and SS3 (ECMA-48; arrows as xterm sends them): parameters, then one final byte.
                Some(b'[' | b'O') => {
                    let end = rest
                        .iter()
                        .skip(1)
                        .position(|byte| (0x40..=0x7e).contains(byte))
                        .map_or(rest.len(), |at| at + 2);
                    match rest[..end].last() {
                        Some(b'A') => keys.push(Key::Up),
                        Some(b'B') => keys.push(Key::Down),
                        _ => {}
                    }
                    bytes = &rest[end..];
                }
                // Alt and a character.
                Some(byte) if *byte != ESCAPE => bytes = &rest[1..],
                _ => keys.push(Key::Escape),
            },
            0x20..0x7f => keys.push(Key::Char(char::from(*first))),
            // Other controls, and characters that are no key's.
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_arrows_and_control_c_are_understood_and_nothing_else_is_taken_for_them() {
        assert_eq!(keys(b"q+"), [Key::Char('q'), Key::Char('+')]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b"), [Key::Up, Key::Down, Key::Escape]);
        assert_eq!(keys(b"\x03\r"), [Key::Interrupt, Key::Enter]);
        assert_eq!(keys(b"\x1b[15~\x1b[1;5Cy"), [Key::Char('y')], "a function key and Ctrl-Right");
        assert_eq!(keys(b"\x1bk"), [], "Alt-k kills nobody");
        assert_eq!(keys("ü\u{7f}".as_bytes()), []);
        assert_eq!(keys(b"\x1b["), []);
    }
}
