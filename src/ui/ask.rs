//! The one question: go on?

use std::io::{BufRead, IsTerminal, Write};

use super::Printer;
use super::printable::one_line;

impl Printer {
    /// Asks for a `yes`; `None` where nobody is there to answer.
    pub fn ask(&self, question: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut terminal = std::io::stderr().lock();
        // Where the question cannot be shown, the answer decides all the same: only `yes` goes on.
        let _ = write!(terminal, "{} Type yes to go on: ", one_line(question));
        let _ = terminal.flush();
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        Some(read.is_ok() && answer.trim() == "yes")
    }
}
