//! Smithy RPC v2 CBOR, which CloudWatch's current SDKs speak: bodies are CBOR maps, times are tag 1 (epoch seconds).

use ciborium::Value as Cbor;
use jiff::Timestamp;

use super::{ApiError, Params, Value};
use crate::chart;

/// RFC 8949 §3.4.2: epoch-based time.
const TAG_TIME: u64 = 1;

/// Parses a request's body; an empty one has no parameters.
pub fn parse(body: &[u8]) -> Result<Params, ApiError> {
    if body.is_empty() {
        return Ok(Params::default());
    }
    let malformed =
        |detail: String| ApiError::new("SerializationException", format!("The CBOR cannot be read: {detail}"));
    let tree: Cbor = ciborium::from_reader(body).map_err(|error| malformed(error.to_string()))?;
    match from_cbor(tree).map_err(malformed)? {
        Some(Value::Map(fields)) => Ok(Params(fields)),
        _ => Err(malformed("the body is not a map".to_owned())),
    }
}

/// Null is a field that is not there.
fn from_cbor(tree: Cbor) -> Result<Option<Value>, String> {
    Ok(Some(match tree {
        Cbor::Null => return Ok(None),
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Integer(number) => Value::Int(i64::try_from(i128::from(number)).map_err(|_| "a number is too large")?),
        Cbor::Float(number) => Value::Float(number),
        Cbor::Text(text) => Value::Text(text),
        Cbor::Bytes(bytes) => Value::Bytes(bytes),
        Cbor::Tag(TAG_TIME, seconds) => Value::Time(time(&seconds)?),
        Cbor::Array(items) => {
            Value::List(items.into_iter().filter_map(|item| from_cbor(item).transpose()).collect::<Result<_, _>>()?)
        }
        Cbor::Map(entries) => {
            let mut fields = Vec::with_capacity(entries.len());
            for (name, item) in entries {
                let Cbor::Text(name) = name else { return Err("a map has a key that is not text".to_owned()) };
                fields.extend(from_cbor(item)?.map(|value| (name, value)));
            }
            Value::Map(fields)
        }
        other => return Err(format!("{other:?} has no meaning here")),
    }))
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and a saturated time is out of range")]
fn time(seconds: &Cbor) -> Result<Timestamp, String> {
    let milliseconds = match seconds {
        Cbor::Integer(number) => {
            i128::from(*number).saturating_mul(1000).clamp(i64::MIN.into(), i64::MAX.into()) as i64
        }
        Cbor::Float(number) => (number * 1000.0).round() as i64,
        other => return Err(format!("{other:?} is not a time")),
    };
    Timestamp::from_millisecond(milliseconds).map_err(|error| error.to_string())
}

/// An operation's answer.
pub fn answer(value: &Value) -> Vec<u8> {
    bytes(&to_cbor(value))
}

/// An operation's error. The server adds the header `x-amzn-query-error`, from which clients take the code.
pub fn error(error: &ApiError) -> Vec<u8> {
    answer(&Value::map().with("__type", Value::from(&*error.code)).with("message", Value::from(&*error.message)))
}

fn bytes(tree: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(tree, &mut bytes).expect("writing to memory cannot fail");
    bytes
}

fn to_cbor(value: &Value) -> Cbor {
    match value {
        Value::Bool(value) => Cbor::Bool(*value),
        Value::Int(number) => Cbor::Integer((*number).into()),
        Value::Float(number) => Cbor::Float(*number),
        Value::Text(text) => Cbor::Text(text.clone()),
        Value::Bytes(bytes) => Cbor::Bytes(bytes.clone()),
        Value::Chart(chart) => Cbor::Bytes(chart::png(chart)),
        Value::Time(time) => Cbor::Tag(TAG_TIME, Box::new(Cbor::Float(time.as_duration().as_secs_f64()))),
        Value::List(items) => Cbor::Array(items.iter().map(to_cbor).collect()),
        Value::Map(fields) | Value::Entries(fields) => {
            Cbor::Map(fields.iter().map(|(name, value)| (Cbor::Text(name.clone()), to_cbor(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_survives_the_round_trip() {
        let at = "2026-11-21T10:00:00.25Z".parse::<Timestamp>().unwrap();
        let value = Value::map()
            .with("Flag", Value::Bool(true))
            .with("Count", Value::Int(-3))
            .with("Rate", Value::Float(0.1))
            .with("Image", Value::Bytes(vec![0x89, b'P']))
            .with("At", Value::Time(at))
            .with("List", Value::list(["a".into(), Value::map().with("Deep", Value::from("b"))]));
        assert_eq!(parse(&answer(&value)).map(|params| Value::Map(params.0)), Ok(value));
    }

    #[test]
    fn whole_seconds_and_nulls_are_understood() {
        let body = Cbor::Map(vec![
            (Cbor::Text("At".into()), Cbor::Tag(1, Box::new(Cbor::Integer(1.into())))),
            (Cbor::Text("Gone".into()), Cbor::Null),
        ]);
        assert_eq!(
            parse(&bytes(&body)).unwrap().0,
            [("At".to_owned(), Value::Time(Timestamp::from_second(1).unwrap()))]
        );
    }

    #[test]
    fn hostile_bodies_are_refused() {
        assert!(parse(&[0x9f]).is_err(), "cut short");
        assert!(parse(&[0x81; 100_000]).is_err(), "nested too deep");
        assert!(parse(&bytes(&Cbor::Text("no map".into()))).is_err());
        assert!(parse(b"").unwrap().0.is_empty());
    }
}
