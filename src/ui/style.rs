//! Colour, or none: the same words either way, so that nothing is said by colour alone.

use console::Style;

/// Paints text where colour is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    pub color: bool,
}

impl Paint {
    fn with(self, style: &Style, text: &str) -> String {
        if self.color { style.clone().force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }

    pub fn good(self, text: &str) -> String {
        self.with(&Style::new().green(), text)
    }

    pub fn warn(self, text: &str) -> String {
        self.with(&Style::new().yellow(), text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with(&Style::new().red(), text)
    }

    pub fn dim(self, text: &str) -> String {
        self.with(&Style::new().dim(), text)
    }

    pub fn bold(self, text: &str) -> String {
        self.with(&Style::new().bold(), text)
    }
}
