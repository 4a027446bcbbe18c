//! The console of an instance: what its user data printed last.

use std::fmt::Write as _;

use crate::aws::clients::Clients;

/// Lines that a problem shows.
const CONSOLE_LINES: usize = 12;

/// The last lines of an instance's console.
#[derive(Debug, Default)]
pub struct Console {
    /// Empty until one was read.
    instance: String,
    lines: Vec<String>,
}

impl Console {
    /// Whether nothing was read yet.
    pub fn is_unread(&self) -> bool {
        self.instance.is_empty()
    }

    pub fn last_line(&self) -> Option<&str> {
        self.lines.last().map(String::as_str)
    }

    /// Leaves no lines where there is no console: the wait goes on without.
    pub async fn read(&mut self, clients: &Clients, instance: &str) {
        use base64::Engine as _;
        let answer = clients.ec2.get_console_output().instance_id(instance).send().await;
        let text = answer.ok().and_then(|answer| answer.output);
        let text =
            text.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
        self.lines = last.iter().map(|line| (*line).to_owned()).collect();
        instance.clone_into(&mut self.instance);
    }

    /// What was read, as the end of a problem's detail.
    pub fn append_to(&self, detail: &mut String) {
        if self.lines.is_empty() {
            return;
        }
        let _ = write!(detail, "\nthe end of {}'s console:", self.instance);
        for line in &self.lines {
            let _ = write!(detail, "\n  {line}");
        }
    }
}
