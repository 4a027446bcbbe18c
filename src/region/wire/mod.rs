//! What the services' wire code is written against: one tree of values for every protocol.
//!
//! Requests arrive as AWS Query or EC2 Query forms, Smithy RPC v2 CBOR or JSON; each parser (`query.rs`, `cbor.rs`,
//! `json.rs`) turns its bytes into [`Params`]. An operation answers with a [`Value`], which the matching writer turns
//! back. So an operation is written once, whatever the client speaks.

pub mod cbor;
pub mod json;
pub mod operation;
pub(in crate::region) mod page_token;
pub mod protocol;
pub mod query;
pub mod xml;

use jiff::Timestamp;

use crate::chart::Chart;

/// A tree of values, as protocol-neutral as possible.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Becomes a PNG's bytes where it is written: drawing takes too long for the world's lock.
    #[serde(skip)]
    Chart(Box<Chart>),
    Time(Timestamp),
    /// Written as `<item>` elements by EC2, `<member>` elements by the other Query services.
    List(Vec<Value>),
    /// In the order in which XML shall show it.
    Map(Vec<(String, Value)>),
    /// A map whose keys are data: `<entry><key>` and `<value>` in Query, an ordinary map elsewhere.
    Entries(Vec<(String, Value)>),
}

impl Value {
    pub fn map() -> Self {
        Value::Map(Vec::new())
    }

    /// Adds a field to a map; `None` leaves it out.
    ///
    /// # Panics
    /// When called on anything but a map: a mistake in the operation's code.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Option<Value>>) -> Self {
        let Value::Map(fields) = &mut self else { panic!("`with` on a value that is not a map") };
        if let Some(value) = value.into() {
            fields.push((name.to_owned(), value));
        }
        self
    }

    pub fn list(values: impl IntoIterator<Item = Value>) -> Self {
        Value::List(values.into_iter().collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Int(value.into())
    }
}
impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Value::Int(value.into())
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Value::Time(value)
    }
}

/// A request's parameters: the fields of a map. Text stands for any scalar where the protocol has only text.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Params(pub Vec<(String, Value)>);

impl Params {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing(name))
    }

    /// A whole number; `Err` when the field is there and is not one.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Text(text)) => text.parse().map(Some).map_err(|_| ApiError::invalid(name, text)),
            Some(other) => Err(ApiError::invalid(name, &format!("{other:?}"))),
        }
    }

    pub fn float(&self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Float(number)) => Ok(Some(*number)),
            #[expect(clippy::cast_precision_loss, reason = "a number of a request; AWS's own type is a double")]
            Some(Value::Int(number)) => Ok(Some(*number as f64)),
            Some(Value::Text(text)) => text.parse().map(Some).map_err(|_| ApiError::invalid(name, text)),
            Some(other) => Err(ApiError::invalid(name, &format!("{other:?}"))),
        }
    }

    pub fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::Text(text)) => {
                text.to_ascii_lowercase().parse().map(Some).map_err(|_| ApiError::invalid(name, text))
            }
            Some(other) => Err(ApiError::invalid(name, &format!("{other:?}"))),
        }
    }

    /// A time: ISO 8601 text, epoch seconds (number), or a time already.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Time(time)) => Ok(Some(*time)),
            Some(Value::Text(text)) => text.parse().map(Some).map_err(|_| ApiError::invalid(name, text)),
            Some(Value::Int(seconds)) => {
                Timestamp::from_second(*seconds).map(Some).map_err(|_| ApiError::invalid(name, &seconds.to_string()))
            }
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit; the cast saturates")]
            Some(Value::Float(seconds)) => Timestamp::from_millisecond((seconds * 1000.0) as i64)
                .map(Some)
                .map_err(|_| ApiError::invalid(name, &seconds.to_string())),
            Some(other) => Err(ApiError::invalid(name, &format!("{other:?}"))),
        }
    }

    /// The items of a list; empty where the field is missing.
    pub fn list(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// The items of a list of texts.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.list(name)
            .iter()
            .filter_map(|item| if let Value::Text(text) = item { Some(text.as_str()) } else { None })
            .collect()
    }

    /// The items of a list of structures.
    pub fn maps(&self, name: &str) -> Vec<Params> {
        let as_params = |item: &Value| if let Value::Map(fields) = item { Some(Params(fields.clone())) } else { None };
        self.list(name).iter().filter_map(as_params).collect()
    }

    /// A nested structure.
    pub fn map(&self, name: &str) -> Option<Params> {
        match self.get(name)? {
            Value::Map(fields) => Some(Params(fields.clone())),
            _ => None,
        }
    }
}

/// The services that the region speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Service {
    Sts,
    Ssm,
    /// Resource Groups Tagging API.
    Tagging,
    Ec2,
    Elbv2,
    Autoscaling,
    Cloudwatch,
}

/// One call of an operation.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Request {
    pub service: Service,
    /// `DescribeInstances`
    pub operation: String,
    pub params: Params,
}

/// An error as AWS would answer it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ApiError {
    /// HTTP status: 400 for the caller's fault unless AWS says otherwise.
    pub status: u16,
    /// AWS's code, e.g. `InvalidInstanceID.NotFound`.
    pub code: String,
    pub message: String,
}

impl ApiError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    pub fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    pub fn invalid(parameter: &str, value: &str) -> Self {
        Self::new("InvalidParameterValue", format!("Value ({value}) for parameter {parameter} is invalid."))
    }

    /// Whose fault it is, in the words of AWS Query.
    pub fn sender_or_receiver(&self) -> &'static str {
        if self.status < 500 { "Sender" } else { "Receiver" }
    }

    /// An operation that the region does not have.
    pub fn unknown_operation(operation: &str) -> Self {
        Self::new("InvalidAction", format!("The embedded region does not have the operation {operation}."))
    }
}

/// What an operation answers.
pub type Answer = Result<Value, ApiError>;
