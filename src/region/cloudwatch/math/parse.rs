//! From the text of an expression to its tree, by precedence climbing.

/// Deeper nesting than anybody writes: a bound on the stack.
const DEPTH_MAX: usize = 50;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Expression {
    Number(f64),
    Text(String),
    /// A query's id, or a word such as `REPEAT`.
    Name(String),
    List(Vec<Expression>),
    Call(String, Vec<Expression>),
    Negate(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

impl Expression {
    /// Every name in it: the ids it needs.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Number(_) | Self::Text(_) => Vec::new(),
            Self::Name(name) => vec![name],
            Self::List(items) | Self::Call(_, items) => items.iter().flat_map(Self::names).collect(),
            Self::Negate(inner) => inner.names(),
            Self::Binary(_, left, right) => [left.names(), right.names()].concat(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

/// As written, with the strength of its binding. Longer ones come first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator, u8); 15] = [
    ("||", Operator::Or, 1),
    ("OR", Operator::Or, 1),
    ("&&", Operator::And, 2),
    ("AND", Operator::And, 2),
    ("==", Operator::Equal, 3),
    ("!=", Operator::NotEqual, 3),
    ("<=", Operator::LessOrEqual, 3),
    (">=", Operator::GreaterOrEqual, 3),
    ("<", Operator::Less, 3),
    (">", Operator::Greater, 3),
    ("+", Operator::Add, 4),
    ("-", Operator::Subtract, 4),
    ("*", Operator::Multiply, 5),
    ("/", Operator::Divide, 5),
    ("^", Operator::Power, 6),
];

/// Reads a whole expression; the error says what was expected where.
pub fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.binary(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(letter) => Err(parser.unexpected(letter)),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn peek(&mut self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn unexpected(&self, letter: char) -> String {
        format!("unexpected '{letter}' at character {}", self.text[..self.at].chars().count() + 1)
    }

    /// The operator that comes next, not yet taken.
    fn operator(&mut self) -> Option<(&'static str, Operator, u8)> {
        let rest = self.rest();
        OPERATORS.into_iter().find(|(written, ..)| {
            let is_word = written.starts_with(char::is_alphabetic);
            let ends = |rest: &str| !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
            rest.strip_prefix(written).is_some_and(|rest| !is_word || ends(rest))
        })
    }

    fn binary(&mut self, strength_min: u8) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        let mut left = self.unary()?;
        while let Some((written, operator, strength)) = self.operator().filter(|found| found.2 > strength_min) {
            self.at += written.len();
            // A power binds to the right, all others to the left.
            let right = self.binary(if operator == Operator::Power { strength - 1 } else { strength })?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        if !self.take("-") {
            return self.primary();
        }
        // Tighter than multiplication, looser than a power.
        Ok(Expression::Negate(Box::new(self.binary(5)?)))
    }

    fn primary(&mut self) -> Result<Expression, String> {
        let rest = self.rest();
        let Some(letter) = rest.chars().next() else { return Err("it ends too early".to_owned()) };
        match letter {
            '(' => {
                self.at += 1;
                let inner = self.binary(0)?;
                self.close(')').map(|()| inner)
            }
            '[' => {
                self.at += 1;
                self.items(']').map(Expression::List)
            }
            '"' | '\'' => {
                let (text, _) = rest[1..].split_once(letter).ok_or("a text does not end")?;
                self.at += text.len() + 2;
                Ok(Expression::Text(text.to_owned()))
            }
            _ if letter.is_ascii_digit() || letter == '.' => self.number(),
            _ if letter.is_ascii_alphabetic() => {
                let is_end = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '_');
                let name = &rest[..rest.find(is_end).unwrap_or(rest.len())];
                self.at += name.len();
                if self.take("(") {
                    return Ok(Expression::Call(name.to_owned(), self.items(')')?));
                }
                Ok(Expression::Name(name.to_owned()))
            }
            _ => Err(self.unexpected(letter)),
        }
    }

    fn number(&mut self) -> Result<Expression, String> {
        let rest = self.rest();
        let length = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(rest.len());
        self.at += length;
        rest[..length].parse().map(Expression::Number).map_err(|_| format!("'{}' is not a number", &rest[..length]))
    }

    fn items(&mut self, end: char) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(self.binary(0)?);
            if !self.take(",") {
                return self.close(end).map(|()| items);
            }
        }
    }

    fn close(&mut self, end: char) -> Result<(), String> {
        match self.peek() {
            Some(letter) if letter == end => {
                self.at += 1;
                Ok(())
            }
            Some(letter) => Err(self.unexpected(letter)),
            None => Err(format!("'{end}' is missing at the end")),
        }
    }
}
