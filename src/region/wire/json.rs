//! AWS JSON 1.0 and 1.1: times are epoch seconds, bytes are base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Number, Value as Json};

use super::{ApiError, Params, Value};
use crate::chart;

/// Parses a request's body; an empty one has no parameters.
pub fn parse(body: &[u8]) -> Result<Params, ApiError> {
    if body.is_empty() {
        return Ok(Params::default());
    }
    let malformed =
        |detail: String| ApiError::new("SerializationException", format!("The JSON cannot be read: {detail}"));
    match serde_json::from_slice(body) {
        Ok(Json::Object(fields)) => Ok(Params(fields_from_json(fields))),
        Ok(_) => Err(malformed("the body is not an object".to_owned())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

fn fields_from_json(fields: Map<String, Json>) -> Vec<(String, Value)> {
    fields.into_iter().filter_map(|(name, value)| Some((name, from_json(value)?))).collect()
}

/// Null is a field that is not there.
fn from_json(tree: Json) -> Option<Value> {
    Some(match tree {
        Json::Null => return None,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().filter_map(from_json).collect()),
        Json::Object(fields) => Value::Map(fields_from_json(fields)),
    })
}

/// An operation's answer.
pub fn answer(value: &Value) -> Vec<u8> {
    to_json(value).to_string().into_bytes()
}

/// An operation's error.
pub fn error(error: &ApiError) -> Vec<u8> {
    answer(&Value::map().with("__type", Value::from(&*error.code)).with("message", Value::from(&*error.message)))
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::Number((*number).into()),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(BASE64.encode(bytes)),
        Value::Chart(chart) => Json::String(BASE64.encode(chart::png(chart))),
        Value::Time(time) => Number::from_f64(time.as_duration().as_secs_f64()).map_or(Json::Null, Json::Number),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(fields) | Value::Entries(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.clone(), to_json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_and_nulls_are_left_out() {
        let params =
            parse(br#"{"Names": ["/a"], "WithDecryption": true, "MaxResults": 5, "NextToken": null}"#).unwrap();
        assert_eq!(params.texts("Names"), ["/a"]);
        assert_eq!((params.bool("WithDecryption"), params.int("MaxResults")), (Ok(Some(true)), Ok(Some(5))));
        assert_eq!(params.get("NextToken"), None);
    }

    #[test]
    fn an_answer_keeps_the_order_of_its_fields() {
        let at = "1970-01-01T00:00:01.5Z".parse::<jiff::Timestamp>().unwrap();
        let value = Value::map().with("b", Value::Time(at)).with("a", Value::Bytes(vec![1])).with("c", Value::list([]));
        assert_eq!(answer(&value), br#"{"b":1.5,"a":"AQ==","c":[]}"#);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert_eq!(parse(b"[1]").unwrap_err().code, "SerializationException");
        assert_eq!(parse(b"{").unwrap_err().code, "SerializationException");
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
