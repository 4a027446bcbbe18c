//! Computes an expression over the series of a request.
//!
//! Between two series a missing value counts as zero; a point that is no number (a division by zero) is left out.

use std::ops::Range;

use super::parse::{Expression, Operator};
use super::{Series, Value, functions};

/// Finds metrics by a text and computes a statistic and period of each.
pub type Search<'a> = dyn Fn(&str, &str, i64) -> Result<Vec<Series>, String> + 'a;

/// What an expression can refer to.
pub struct Scope<'a> {
    /// Results by id.
    pub results: Vec<(String, Value)>,
    /// The ids that are metrics, in the order of the request: what `METRICS()` means.
    pub metrics: Vec<String>,
    /// Epoch seconds.
    range: Range<i64>,
    /// Whether periods begin at the range's start, instead of at whole multiples.
    from_start: bool,
    pub(super) search: &'a Search<'a>,
}

impl<'a> Scope<'a> {
    pub fn new(range: Range<i64>, from_start: bool, search: &'a Search<'a>) -> Self {
        Self { results: Vec::new(), metrics: Vec::new(), range, from_start, search }
    }

    pub fn get(&self, id: &str) -> Option<&Value> {
        self.results.iter().find(|(name, _)| name == id).map(|(_, value)| value)
    }

    /// The times at which a series of this period may have values.
    pub(super) fn times(&self, period: i64) -> impl Iterator<Item = i64> + use<> {
        let period = period.max(1);
        let Range { start, end } = self.range;
        let first = if self.from_start { start } else { start.div_euclid(period) * period };
        (0..).map(move |index| first + index * period).take_while(move |time| *time < end)
    }
}

/// The value of an expression; the error names what is wrong with it.
pub fn evaluate(expression: &Expression, scope: &Scope) -> Result<Value, String> {
    match expression {
        Expression::Number(number) => Ok(Value::Number(*number)),
        Expression::Text(text) => Ok(Value::Text(text.clone())),
        Expression::Name(name) => match scope.get(name) {
            Some(value) => Ok(value.clone()),
            None if matches!(name.as_str(), "REPEAT" | "LINEAR" | "ASC" | "DESC") => Ok(Value::Text(name.clone())),
            None => Err(format!("the id {name} is not known")),
        },
        Expression::List(items) => {
            let mut list = Vec::new();
            for item in items {
                match evaluate(item, scope)? {
                    Value::Series(series) => list.push(series),
                    Value::List(more) => list.extend(more),
                    Value::Number(_) | Value::Text(_) => return Err("an array holds metrics only".to_owned()),
                }
            }
            Ok(Value::List(list))
        }
        Expression::Negate(inner) => each(evaluate(inner, scope)?, |value| -value),
        Expression::Binary(operator, left, right) => binary(*operator, evaluate(left, scope)?, evaluate(right, scope)?),
        Expression::Call(name, arguments) => {
            let arguments =
                arguments.iter().map(|argument| evaluate(argument, scope)).collect::<Result<Vec<_>, _>>()?;
            functions::call(name, arguments, scope)
        }
    }
}

/// Applies a function to every value.
pub(super) fn each(value: Value, apply: impl Fn(f64) -> f64) -> Result<Value, String> {
    let series = |mut series: Series| {
        series.points.values_mut().for_each(|value| *value = apply(*value));
        series.points.retain(|_, value| value.is_finite());
        series
    };
    match value {
        Value::Number(number) => Ok(Value::Number(apply(number))),
        Value::Series(one) => Ok(Value::Series(series(one))),
        Value::List(list) => Ok(Value::List(list.into_iter().map(series).collect())),
        Value::Text(text) => Err(format!("'{text}' is not a metric")),
    }
}

fn binary(operator: Operator, left: Value, right: Value) -> Result<Value, String> {
    let compute = |left: f64, right: f64| apply(operator, left, right);
    match (left, right) {
        (left, Value::Number(right)) => each(left, |left| compute(left, right)),
        (Value::Number(left), right) => each(right, |right| compute(left, right)),
        (Value::Series(left), Value::Series(right)) => Ok(Value::Series(joined(&left, &right, compute))),
        (Value::List(list), Value::Series(one)) => {
            Ok(Value::List(list.iter().map(|series| joined(series, &one, compute)).collect()))
        }
        (Value::Series(one), Value::List(list)) => Ok(Value::List(
            list.iter().map(|series| Series { label: series.label.clone(), ..joined(&one, series, compute) }).collect(),
        )),
        (Value::List(_), Value::List(_)) => Err("two arrays cannot be combined".to_owned()),
        (Value::Text(text), _) | (_, Value::Text(text)) => Err(format!("'{text}' is not a metric")),
    }
}

/// Combines two series at every time that either has.
fn joined(left: &Series, right: &Series, compute: impl Fn(f64, f64) -> f64) -> Series {
    let times = left.points.keys().chain(right.points.keys());
    let at = |series: &Series, time| series.points.get(time).copied().unwrap_or(0.0);
    let points = times
        .map(|time| (*time, compute(at(left, time), at(right, time))))
        .filter(|(_, value)| value.is_finite())
        .collect();
    Series { label: left.label.clone(), period: left.period.max(right.period), points }
}

#[expect(clippy::float_cmp, reason = "what `==` means in an expression")]
fn apply(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match operator {
        Operator::Or => truth(left != 0.0 || right != 0.0),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
    }
}
