//! The rule of a composite alarm: states of other alarms under AND, OR and NOT (CloudWatch user guide, "Creating a composite
//! alarm").

use super::alarm::State;

/// AWS's bounds.
const CHARACTERS_MAX: usize = 10_240;
const ELEMENTS_MAX: usize = 500;
const ALARMS_MAX: usize = 100;
/// Deeper nesting than anybody writes: a bound on the stack.
const DEPTH_MAX: usize = 50;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Rule {
    Constant(bool),
    /// An alarm, by name or ARN as it was written, is in a state.
    Is(String, State),
    /// So many of these are in the state; `percent` of them.
    AtLeast {
        count: usize,
        percent: bool,
        state: State,
        alarms: Vec<String>,
    },
    Not(Box<Rule>),
    And(Box<Rule>, Box<Rule>),
    Or(Box<Rule>, Box<Rule>),
}

impl Rule {
    /// # Errors
    /// What was expected where.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > CHARACTERS_MAX {
            return Err(format!("it is longer than {CHARACTERS_MAX} characters"));
        }
        let mut parser = Parser { text, at: 0, depth: 0, elements: 0 };
        let rule = parser.or()?;
        if !parser.rest().is_empty() {
            return Err(parser.expected("AND, OR or the end"));
        }
        if rule.alarms().len() > ALARMS_MAX {
            return Err(format!("it names more than {ALARMS_MAX} alarms"));
        }
        Ok(rule)
    }

    /// Every alarm in it, each once.
    pub fn alarms(&self) -> Vec<&str> {
        let mut alarms: Vec<&str> = match self {
            Rule::Constant(_) => Vec::new(),
            Rule::Is(alarm, _) => vec![alarm],
            Rule::AtLeast { alarms, .. } => alarms.iter().map(String::as_str).collect(),
            Rule::Not(inner) => inner.alarms(),
            Rule::And(left, right) | Rule::Or(left, right) => [left.alarms(), right.alarms()].concat(),
        };
        alarms.sort_unstable();
        alarms.dedup();
        alarms
    }

    /// Whether it holds, by the states of the alarms. One that is gone has insufficient data.
    pub fn holds(&self, state: &impl Fn(&str) -> Option<State>) -> bool {
        let of = |alarm: &str| state(alarm).unwrap_or(State::InsufficientData);
        match self {
            Rule::Constant(truth) => *truth,
            Rule::Is(alarm, wanted) => of(alarm) == *wanted,
            Rule::AtLeast { count, percent, state: wanted, alarms } => {
                let there = alarms.iter().filter(|alarm| of(alarm) == *wanted).count();
                if *percent { there * 100 >= count * alarms.len() } else { there >= *count }
            }
            Rule::Not(inner) => !inner.holds(state),
            Rule::And(left, right) => left.holds(state) && right.holds(state),
            Rule::Or(left, right) => left.holds(state) || right.holds(state),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    elements: usize,
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn expected(&mut self, what: &str) -> String {
        self.rest();
        format!("{what} is expected at character {}", self.text[..self.at].chars().count() + 1)
    }

    /// Takes a word in any case of letters, where it stands alone.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        if !self.rest().starts_with(sign) {
            return Err(self.expected(&format!("`{sign}`")));
        }
        self.at += sign.len();
        Ok(())
    }

    fn or(&mut self) -> Result<Rule, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        let mut left = self.and()?;
        while self.word("OR") {
            left = Rule::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Rule, String> {
        let mut left = self.not()?;
        while self.word("AND") {
            left = Rule::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Rule, String> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(format!("it has more than {ELEMENTS_MAX} elements"));
        }
        if self.word("NOT") {
            return Ok(Rule::Not(Box::new(self.not()?)));
        }
        if self.rest().starts_with('(') {
            self.sign("(")?;
            let inner = self.or()?;
            self.sign(")")?;
            return Ok(inner);
        }
        for (word, truth) in [("TRUE", true), ("FALSE", false)] {
            if self.word(word) {
                return Ok(Rule::Constant(truth));
            }
        }
        if self.word("AT_LEAST") {
            return self.at_least();
        }
        let state = self.state()?;
        self.sign("(")?;
        let alarm = self.alarm()?;
        self.sign(")")?;
        Ok(Rule::Is(alarm, state))
    }

    fn state(&mut self) -> Result<State, String> {
        let all = [State::Ok, State::Alarm, State::InsufficientData];
        let found = all.into_iter().find(|state| self.word(state.as_str()));
        found.ok_or_else(|| self.expected("ALARM, OK or INSUFFICIENT_DATA"))
    }

    /// `AT_LEAST(2, ALARM, (a, b, c))`, `AT_LEAST(50%, OK, (a, b))`
    fn at_least(&mut self) -> Result<Rule, String> {
        self.sign("(")?;
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: usize = rest[..digits].parse().map_err(|_| self.expected("a number"))?;
        self.at += digits;
        let percent = self.sign("%").is_ok();
        self.sign(",")?;
        let state = self.state()?;
        self.sign(",")?;
        self.sign("(")?;
        let mut alarms = vec![self.alarm()?];
        while self.sign(",").is_ok() {
            alarms.push(self.alarm()?);
        }
        self.sign(")")?;
        self.sign(")")?;
        if count == 0 || (percent && count > 100) || (!percent && count > alarms.len()) {
            return Err(format!("AT_LEAST cannot want {count} of {} alarms", alarms.len()));
        }
        Ok(Rule::AtLeast { count, percent, state, alarms })
    }

    /// In quotes, or a plain word.
    fn alarm(&mut self) -> Result<String, String> {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut letters = quoted.char_indices();
            while let Some((index, letter)) = letters.next() {
                match letter {
                    '"' => {
                        self.at += index + 2;
                        return Ok(name);
                    }
                    '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
                    other => name.push(other),
                }
            }
            return Err(self.expected("a name that ends with a quotation mark"));
        }
        let length = rest.find(|letter: char| letter.is_whitespace() || "(),\"".contains(letter)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.expected("the name of an alarm"));
        }
        self.at += length;
        Ok(rest[..length].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &str) -> bool {
        let state = |alarm: &str| match alarm {
            "a" | "High CPU" => Some(State::Alarm),
            "b" => Some(State::Ok),
            "c" => Some(State::InsufficientData),
            _ => None,
        };
        Rule::parse(rule).unwrap().holds(&state)
    }

    #[test]
    fn states_are_combined_as_the_guide_says() {
        for rule in [
            "TRUE",
            "ALARM(a)",
            "ALARM(\"High CPU\") AND OK(b)",
            "NOT ALARM(b)",
            "ALARM(b) OR INSUFFICIENT_DATA(c)",
            "ALARM(a) AND (ALARM(b) OR OK(b))",
            "not FALSE and true",
            "ALARM(b) AND FALSE OR TRUE",
            "INSUFFICIENT_DATA(gone)",
            "AT_LEAST(1, ALARM, (a, b, c))",
            "AT_LEAST(50%, ALARM, (a, b))",
        ] {
            assert!(holds(rule), "{rule}");
        }
        for rule in [
            "ALARM(b)",
            "NOT TRUE",
            "ALARM(a) AND ALARM(b)",
            "AT_LEAST(2, ALARM, (a, b))",
            "AT_LEAST(51%, ALARM, (a, b))",
        ] {
            assert!(!holds(rule), "{rule}");
        }
        let rule = Rule::parse("ALARM(b) OR ALARM(a) AND OK(b)").unwrap();
        assert_eq!(rule.alarms(), ["a", "b"]);
    }

    #[test]
    fn nonsense_is_explained() {
        for (rule, reason) in [
            ("", "ALARM, OK or INSUFFICIENT_DATA is expected at character 1"),
            ("ALARM(a", "`)` is expected at character 8"),
            ("ALARM(a) XOR OK(b)", "AND, OR or the end is expected at character 10"),
            ("ALARM()", "the name of an alarm is expected at character 7"),
            ("ALARM(\"a)", "a name that ends with a quotation mark is expected at character 7"),
            ("AT_LEAST(3, OK, (a, b))", "AT_LEAST cannot want 3 of 2 alarms"),
            ("AT_LEAST(x, OK, (a))", "a number is expected at character 10"),
        ] {
            assert_eq!(Rule::parse(rule).unwrap_err(), reason, "{rule}");
        }
        assert!(Rule::parse(&"(".repeat(100_000)).is_err());
        assert!(Rule::parse(&"(".repeat(9_000)).unwrap_err().contains("nested"));
    }
}
