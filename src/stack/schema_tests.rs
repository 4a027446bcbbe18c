//! The stack language as JSON Schema.

use serde_json::{Value, json};

use super::language::STACK;
use crate::document::schema::schema;

#[test]
fn a_key_carries_its_kind_default_and_description() {
    let schema = schema("cloudscale stack", &STACK);
    let interval = &schema["properties"]["clusters"]["additionalProperties"]["properties"]["health_check"]["properties"]
        ["interval"];
    insta::assert_snapshot!(interval, @r#"{"type":"string","pattern":"^([0-9]+(h|ms|m|s))+$","description":"Between two checks of one instance.","default":"10s"}"#);
    assert_eq!(schema["required"], json!(["name", "clusters"]));
    assert_eq!(schema["properties"]["load_balancer"]["anyOf"][1]["properties"]["port"]["default"], json!(80));
}

#[test]
fn no_object_takes_unknown_keys() {
    fn visit(value: &Value) {
        if value.get("properties").is_some() {
            assert_eq!(value["additionalProperties"], json!(false), "{value}");
        }
        match value {
            Value::Object(fields) => fields.values().for_each(visit),
            Value::Array(items) => items.iter().for_each(visit),
            _ => {}
        }
    }
    visit(&schema("cloudscale stack", &STACK));
}
