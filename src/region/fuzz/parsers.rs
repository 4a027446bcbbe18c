//! Parsers one by one: the wire's, page tokens, widgets and metric math. What one reads, its writer writes so that it is read
//! the same again.

use super::super::cloudwatch::math::{self, Scope, Series};
use super::super::wire::{Params, Request, Service, Value, cbor, json, page_token, query, xml};
use super::calls::{is_xml, recorded};
use crate::chart;

/// Pictures are drawn no larger: a pixel is as good as the next.
const PIXELS_MAX: u32 = 120;

/// Any bytes as a request's body: the first says for which parser.
///
/// # Errors
/// What a writer made of the request and its reader did not take.
pub fn wire(data: &[u8]) -> Result<(), String> {
    let Some((kind, body)) = data.split_first() else { return Ok(()) };
    match kind % 4 {
        0 => query::parse(body).map_or(Ok(()), |params| survives_xml(&as_data(Value::Map(params.0)))),
        1 => json::parse(body).map_or(Ok(()), |params| {
            let value = Value::Map(params.0);
            survives_xml(&as_data(value.clone()))?;
            let written = json::answer(&value);
            let again = json::parse(&written).map_err(|error| error.message)?;
            same(&json::answer(&Value::Map(again.0)), &written)
        }),
        2 => cbor::parse(body).map_or(Ok(()), |params| {
            let value = Value::Map(params.0);
            survives_xml(&as_data(value.clone()))?;
            let written = cbor::answer(&value);
            let again = cbor::parse(&written).map_err(|error| error.message)?;
            same(&cbor::answer(&Value::Map(again.0)), &written)
        }),
        _ => token(&String::from_utf8_lossy(body)),
    }
}

fn same(again: &[u8], written: &[u8]) -> Result<(), String> {
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    if again == written { Ok(()) } else { Err(format!("{} became {}", shown(written), shown(again))) }
}

/// Names that a caller made up are data: no operation makes elements of them.
fn as_data(value: Value) -> Value {
    match value {
        Value::Map(fields) | Value::Entries(fields) => {
            Value::Entries(fields.into_iter().map(|(name, value)| (name, as_data(value))).collect())
        }
        Value::List(items) => Value::list(items.into_iter().map(as_data)),
        other => other,
    }
}

fn survives_xml(value: &Value) -> Result<(), String> {
    let value = Value::map().with("v", value.clone());
    for written in
        [xml::query_answer("Op", "http://x/", &value, "id"), xml::ec2_answer("Op", "http://x/", &value, "id")]
    {
        is_xml(&written).map_err(|reason| format!("{reason}: {}", written.escape_ascii()))?;
    }
    Ok(())
}

/// A token that nobody gave is refused; a place that an operation names comes back as it was.
fn token(text: &str) -> Result<(), String> {
    let request = |params: Vec<(String, Value)>| Request {
        service: Service::Ec2,
        operation: "DescribeVpcs".to_owned(),
        params: Params(params),
    };
    let with = |token: &str| request(vec![("NextToken".to_owned(), Value::from(token))]);
    if page_token::paged(&with(text), |_| Ok(Value::map())).is_ok() {
        return Err(format!("a token that nobody gave is taken: {text:?}"));
    }
    if text.is_empty() {
        // No position: there is no further page, and no token.
        return Ok(());
    }
    let answer = page_token::paged(&request(Vec::new()), |_| Ok(Value::map().with("nextToken", Value::from(text))));
    let Ok(Value::Map(fields)) = answer else { return Err("no answer".to_owned()) };
    let Some(given) = Params(fields).text("nextToken").map(str::to_owned) else { return Err("no token".to_owned()) };
    let mut place = None;
    let taken = page_token::paged(&with(&given), |params| {
        place = params.text("NextToken").map(str::to_owned);
        Ok(Value::map())
    });
    match place {
        Some(place) if place == text && taken.is_ok() => Ok(()),
        other => Err(format!("{text:?} came back as {other:?}, {taken:?}")),
    }
}

/// Any bytes as the JSON of a widget, in a region that has metrics: an error, or a picture.
///
/// # Errors
/// A picture that is no PNG.
pub fn widget(data: &[u8]) -> Result<(), String> {
    // The region as it is before its last recorded call has metrics.
    let Some((last, world)) = recorded().last() else { return Err("no recorded calls".to_owned()) };
    let text = String::from_utf8_lossy(data).into_owned();
    let request = Request {
        service: Service::Cloudwatch,
        operation: "GetMetricWidgetImage".to_owned(),
        params: Params(vec![("MetricWidget".to_owned(), Value::from(text))]),
    };
    let Ok(Value::Map(fields)) = world.clone().call(last.at, &request).0 else { return Ok(()) };
    for (_, value) in fields {
        if let Value::Chart(mut drawn) = value {
            drawn.width = drawn.width.min(PIXELS_MAX);
            drawn.height = drawn.height.min(PIXELS_MAX);
            if !chart::png(&drawn).starts_with(b"\x89PNG\r\n\x1a\n") {
                return Err("a picture that is no PNG".to_owned());
            }
        }
    }
    Ok(())
}

/// Any bytes as an expression over two metrics and an array: an error, or values at times of the request, the same each time.
///
/// # Errors
/// A value that is no number, or one at a time that was not asked for.
pub fn metric_math(data: &[u8]) -> Result<(), String> {
    const RANGE: std::ops::Range<i64> = 0..600;
    let text = String::from_utf8_lossy(data);
    let Ok(expression) = math::parse(&text) else { return Ok(()) };
    let series = |period: i64, points: &[(i64, f64)]| Series {
        label: "m".to_owned(),
        period,
        points: points.iter().copied().collect(),
    };
    let (m1, m2) = (series(60, &[(0, 1.0), (60, -2.0), (180, 1e300)]), series(300, &[(0, 0.0), (300, 0.5)]));
    let found = [m1.clone(), series(1, &[(7, 3.0)])];
    let search = |_: &str, _: &str, _: i64| Ok(found.to_vec());
    let mut scope = Scope::new(RANGE, false, &search);
    scope.results = vec![
        ("m1".to_owned(), math::Value::Series(m1)),
        ("m2".to_owned(), math::Value::Series(m2.clone())),
        ("a1".to_owned(), math::Value::List(vec![m2, series(60, &[])])),
    ];
    scope.metrics = vec!["m1".to_owned(), "m2".to_owned()];
    let Ok(value) = math::evaluate(&expression, &scope) else { return Ok(()) };
    let all = match value {
        math::Value::Series(one) => vec![one],
        math::Value::List(list) => list,
        math::Value::Number(_) | math::Value::Text(_) => return Ok(()),
    };
    for one in all {
        let is_wrong = |(time, value): &(&i64, &f64)| !value.is_finite() || !RANGE.contains(*time);
        if let Some((time, value)) = one.points.iter().find(is_wrong) {
            return Err(format!("{text:?} is {value} at {time}"));
        }
        if one.period < 1 {
            return Err(format!("{text:?} has a period of {}", one.period));
        }
    }
    Ok(())
}
