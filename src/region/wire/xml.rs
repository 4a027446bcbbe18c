//! Answers in XML: AWS Query wraps the fields in `<OpResult>` and lists in `<member>`, EC2 does neither and writes `<item>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{ApiError, Value};
use crate::chart;

/// The answer of an AWS Query operation.
pub fn query_answer(operation: &str, namespace: &str, value: &Value, request_id: &str) -> Vec<u8> {
    let mut xml = Xml::new("member");
    xml.open_in(&format!("{operation}Response"), namespace);
    xml.element(&format!("{operation}Result"), value);
    xml.element("ResponseMetadata", &Value::map().with("RequestId", Value::from(request_id)));
    xml.close(&format!("{operation}Response"));
    xml.bytes
}

/// The error of an AWS Query operation.
pub fn query_error(namespace: &str, error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut xml = Xml::new("member");
    xml.open_in("ErrorResponse", namespace);
    let detail = Value::map().with("Type", Value::from(error.sender_or_receiver()));
    xml.element("Error", &detail.with("Code", Value::from(&*error.code)).with("Message", Value::from(&*error.message)));
    xml.element("RequestId", &Value::from(request_id));
    xml.close("ErrorResponse");
    xml.bytes
}

/// The answer of an EC2 operation.
pub fn ec2_answer(operation: &str, namespace: &str, value: &Value, request_id: &str) -> Vec<u8> {
    let mut xml = Xml::new("item");
    xml.open_in(&format!("{operation}Response"), namespace);
    xml.element("requestId", &Value::from(request_id));
    xml.content(value);
    xml.close(&format!("{operation}Response"));
    xml.bytes
}

/// The error of an EC2 operation.
pub fn ec2_error(error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut xml = Xml::new("Error");
    let detail = Value::map().with("Code", Value::from(&*error.code)).with("Message", Value::from(&*error.message));
    let response = Value::map().with("Errors", Value::list([detail])).with("RequestID", Value::from(request_id));
    xml.element("Response", &response);
    xml.bytes
}

/// Times as both dialects write them: UTC with milliseconds.
pub fn time_text(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The one list of EC2 whose items have a name of their own: plain ids of security groups (`GroupIdStringList` of the API
/// model). Go's SDK, and so Terraform, sees no others; lists of groups with their names are `<item>` as usual.
const GROUP_IDS: &str = "groupSet";
const GROUP_ID: &str = "groupId";

/// A document under construction. Writing to memory cannot fail.
struct Xml {
    bytes: Vec<u8>,
    /// The element around each item of a list.
    item: &'static str,
}

impl Xml {
    fn new(item: &'static str) -> Self {
        let mut xml = Self { bytes: Vec::new(), item };
        xml.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        xml
    }

    fn write(&mut self, event: Event) {
        quick_xml::Writer::new(&mut self.bytes).write_event(event).expect("writing to memory cannot fail");
    }

    fn open_in(&mut self, name: &str, namespace: &str) {
        self.write(Event::Start(BytesStart::new(name).with_attributes([("xmlns", namespace)])));
    }

    fn close(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    fn element(&mut self, name: &str, value: &Value) {
        if is_empty(value) {
            self.write(Event::Empty(BytesStart::new(name)));
            return;
        }
        self.write(Event::Start(BytesStart::new(name)));
        match value {
            Value::List(items) if name == GROUP_IDS && matches!(items[..], [Value::Text(_), ..]) => {
                items.iter().for_each(|item| self.element(GROUP_ID, item));
            }
            _ => self.content(value),
        }
        self.close(name);
    }

    fn content(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.text(&value.to_string()),
            Value::Int(number) => self.text(&number.to_string()),
            Value::Float(number) => self.text(&number.to_string()),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.text(&BASE64.encode(bytes)),
            Value::Chart(chart) => self.text(&BASE64.encode(chart::png(chart))),
            Value::Time(time) => self.text(&time_text(*time)),
            Value::List(items) => items.iter().for_each(|item| self.element(self.item, item)),
            Value::Map(fields) => fields.iter().for_each(|(name, value)| self.element(name, value)),
            Value::Entries(entries) => {
                for (key, value) in entries {
                    let entry = Value::map().with("key", Value::from(&**key)).with("value", value.clone());
                    self.element("entry", &entry);
                }
            }
        }
    }

    /// Escaped; characters that XML cannot hold at all (a user may put them into a tag) become U+FFFD.
    fn text(&mut self, text: &str) {
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}');
        if text.chars().all(allowed) {
            self.write(Event::Text(BytesText::new(text)));
        } else {
            let clean: String = text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect();
            self.write(Event::Text(BytesText::new(&clean)));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(fields) | Value::Entries(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Time(_) | Value::Chart(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn query_answers_have_a_result_members_and_metadata() {
        let value = Value::map().with("Names", Value::list(["a".into(), "b".into()])).with("None", Value::list([]));
        assert_eq!(
            text(query_answer("Op", "http://x/", &value, "id-1")),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OpResponse xmlns=\"http://x/\"><OpResult>\
             <Names><member>a</member><member>b</member></Names><None/></OpResult>\
             <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></OpResponse>"
        );
    }

    #[test]
    fn ec2_answers_are_flat_and_their_lists_have_items() {
        let at = "2026-11-21T10:00:00.5Z".parse::<jiff::Timestamp>().unwrap();
        let instance = Value::map().with("launchTime", Value::Time(at)).with("ebsOptimized", Value::from(false));
        assert_eq!(
            text(ec2_answer("Op", "http://x/", &Value::map().with("set", Value::list([instance])), "id-1")),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OpResponse xmlns=\"http://x/\"><requestId>id-1</requestId>\
             <set><item><launchTime>2026-11-21T10:00:00.500Z</launchTime><ebsOptimized>false</ebsOptimized></item></set>\
             </OpResponse>"
        );
    }

    #[test]
    fn plain_ids_of_security_groups_have_the_name_that_the_api_model_gives_them() {
        let group = Value::map().with("groupId", Value::from("sg-2"));
        let value = Value::map().with("template", Value::map().with("groupSet", Value::list([Value::from("sg-1")])));
        let answer = text(ec2_answer("Op", "n", &value.with("groupSet", Value::list([group])), "r"));
        assert!(answer.contains("<template><groupSet><groupId>sg-1</groupId></groupSet></template>"), "{answer}");
        assert!(answer.contains("<groupSet><item><groupId>sg-2</groupId></item></groupSet>"), "{answer}");
    }

    #[test]
    fn errors_have_each_dialects_shape() {
        let error = ApiError::new("InvalidGroup.NotFound", "no <group> & co");
        let query = text(query_error("http://x/", &error, "r"));
        assert!(query.contains("<Error><Type>Sender</Type><Code>InvalidGroup.NotFound</Code>"), "{query}");
        let ec2 = text(ec2_error(&error, "r"));
        assert!(ec2.ends_with(
            "<Response><Errors><Error><Code>InvalidGroup.NotFound</Code>\
             <Message>no &lt;group&gt; &amp; co</Message></Error></Errors><RequestID>r</RequestID></Response>"
        ));
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        let value = Value::map().with("v", Value::from("a\u{1b}b"));
        assert!(text(ec2_answer("Op", "n", &value, "r")).contains("<v>a\u{fffd}b</v>"));
    }
}
