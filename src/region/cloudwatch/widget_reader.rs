//! Reads the JSON of a widget, and collects everything that is wrong with it, each with its path, as AWS does.

use serde_json::{Map, Value as Json, json};

use super::statistics::Statistic;
use super::wire::is_period;
use crate::chart::Color;

/// Reads JSON and collects what is wrong with it.
#[derive(Debug, Default)]
pub struct Reader {
    pub messages: Vec<Json>,
}

impl Reader {
    /// Notes a mistake; gives `None`, so that reading can go on.
    pub fn wrong<T>(&mut self, path: &str, message: impl Into<String>) -> Option<T> {
        self.messages.push(json!({"dataPath": path, "message": message.into()}));
        None
    }

    pub fn unknown_keys(&mut self, path: &str, fields: &Map<String, Json>, known: &[&str]) {
        for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            self.wrong::<()>(&format!("{path}/{key}"), "Should NOT have additional properties");
        }
    }

    pub fn text(&mut self, path: &str, fields: &Map<String, Json>, key: &str) -> Option<String> {
        match fields.get(key)? {
            Json::String(text) => Some(text.clone()),
            _ => self.wrong(&format!("{path}/{key}"), "Should be string"),
        }
    }

    pub fn number(&mut self, path: &str, fields: &Map<String, Json>, key: &str) -> Option<f64> {
        let value = fields.get(key)?;
        match value.as_f64() {
            Some(number) => Some(number),
            None => self.wrong(&format!("{path}/{key}"), "Should be number"),
        }
    }

    pub fn flag(&mut self, path: &str, fields: &Map<String, Json>, key: &str) -> Option<bool> {
        match fields.get(key)? {
            Json::Bool(flag) => Some(*flag),
            _ => self.wrong(&format!("{path}/{key}"), "Should be boolean"),
        }
    }

    /// One of several words.
    pub fn word<T: Copy>(
        &mut self,
        path: &str,
        fields: &Map<String, Json>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(path, fields, key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found.or_else(|| self.wrong(&format!("{path}/{key}"), format!("Should be one of: {}", names.join(", "))))
    }

    pub fn color(&mut self, path: &str, fields: &Map<String, Json>) -> Option<Color> {
        let text = self.text(path, fields, "color")?;
        Color::parse(&text).or_else(|| self.wrong(&format!("{path}/color"), "Should be a colour such as #1f77b4"))
    }

    pub fn period(&mut self, path: &str, fields: &Map<String, Json>) -> Option<i64> {
        let number = self.number(path, fields, "period")?;
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates; what is no whole number is refused")]
        let period = number as i64;
        if number.fract() == 0.0 && is_period(period) {
            return Some(period);
        }
        self.wrong(&format!("{path}/period"), "Should be 1, 5, 10, 20, 30 or a multiple of 60")
    }

    pub fn statistic(&mut self, path: &str, fields: &Map<String, Json>) -> Option<(Statistic, String)> {
        let text = self.text(path, fields, "stat")?;
        match Statistic::parse(&text) {
            Some(statistic) => Some((statistic, text)),
            None => self
                .wrong(&format!("{path}/stat"), "Should be Average, Sum, Minimum, Maximum, SampleCount, pNN or tmNN"),
        }
    }

    pub fn object<'a>(&mut self, path: &str, value: Option<&'a Json>, known: &[&str]) -> Option<&'a Map<String, Json>> {
        match value? {
            Json::Object(fields) => {
                self.unknown_keys(path, fields, known);
                Some(fields)
            }
            _ => self.wrong(path, "Should be object"),
        }
    }
}
