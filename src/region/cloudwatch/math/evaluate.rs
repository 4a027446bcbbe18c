//! Computes an expression over the series of a request.
//!
//! Between two series a missing value counts as zero; a point that is no number (a division by zero) is left out.

use super::functions::{self, each};
use super::parse::{Expression, Operator};
use super::scope::Scope;
use super::{Series, Value};

/// What functions take besides metrics and numbers.
const WORDS: [&str; 9] = ["REPEAT", "LINEAR", "ASC", "DESC", "AVG", "MIN", "MAX", "SUM", "LAST"];

/// The function whose argument is a metric rather than its values.
pub const BAND: &str = "ANOMALY_DETECTION_BAND";
/// How many deviations wide a band is where nobody says (user guide, "Using CloudWatch anomaly detection").
const BAND_FACTOR: f64 = 2.0;

/// The value of an expression; the error names what is wrong with it.
pub fn evaluate(expression: &Expression, scope: &Scope) -> Result<Value, String> {
    match expression {
        Expression::Number(number) => Ok(Value::Number(*number)),
        Expression::Text(text) => Ok(Value::Text(text.clone())),
        Expression::Name(name) => match scope.get(name) {
            Some(value) => Ok(value.clone()),
            None if WORDS.contains(&name.as_str()) => Ok(Value::Text(name.clone())),
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
        Expression::Call(name, arguments) if name == BAND => band(arguments, scope),
        Expression::Call(name, arguments) => {
            let arguments =
                arguments.iter().map(|argument| evaluate(argument, scope)).collect::<Result<Vec<_>, _>>()?;
            functions::call(name, arguments, scope)
        }
    }
}

/// `ANOMALY_DETECTION_BAND(m1, 2)`: the lower and the upper edge.
fn band(arguments: &[Expression], scope: &Scope) -> Result<Value, String> {
    let (id, factor) = match arguments {
        [Expression::Name(id)] => (id, BAND_FACTOR),
        [Expression::Name(id), Expression::Number(factor)] if *factor > 0.0 => (id, *factor),
        _ => return Err(format!("{BAND} takes the id of a metric, and a number above 0")),
    };
    let (Some(Value::Series(series)), Some(bands)) = (scope.get(id), scope.bands) else {
        return Err(format!("{BAND} needs a metric of this request, and {id} is none"));
    };
    let times: Vec<i64> = scope.times(series.period).collect();
    bands(id, factor, &times).map(Value::List)
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
