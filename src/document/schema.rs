//! A language as JSON Schema (draft 2020-12), so that editors complete and check while one types.

use serde_json::{Map, Value, json};

use super::grammar::{DURATION_PATTERN, Key, Kind, Object, Presence};

/// The schema of a file of the language.
pub fn schema(title: &str, object: &Object) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(title));
    if let Value::Object(rest) = of_object(object) {
        schema.extend(rest);
    }
    Value::Object(schema)
}

fn of_object(object: &Object) -> Value {
    let properties: Map<String, Value> = object.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let required: Vec<&str> =
        object.keys.iter().filter(|key| key.presence == Presence::Required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": object.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_kind(&key.kind);
    schema["description"] = json!(key.about);
    if let Presence::Default(text) = key.presence {
        schema["default"] = match key.kind {
            Kind::Integer { .. } | Kind::Number | Kind::Flag => serde_json::from_str(text).unwrap_or_default(),
            _ => json!(text),
        };
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": ["string", "number", "boolean"]}),
        Kind::Pattern { regex, characters_max, .. } => {
            json!({"type": "string", "pattern": regex, "maxLength": characters_max})
        }
        Kind::Choice(choices) => json!({"enum": choices}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Number => json!({"type": "number"}),
        Kind::Duration { .. } => json!({"type": "string", "pattern": DURATION_PATTERN}),
        Kind::List(item) => json!({"type": "array", "items": of_kind(item)}),
        Kind::Map { keys, values } => {
            json!({"type": "object", "propertyNames": of_kind(keys), "additionalProperties": of_kind(values)})
        }
        Kind::Object(object) => of_object(object),
        Kind::Tagged(object) => {
            let mut schema = of_object(object);
            schema["minProperties"] = json!(1);
            schema["maxProperties"] = json!(1);
            schema
        }
        Kind::OneOf(kinds) => json!({"anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>()}),
    }
}
