//! What time it is at AWS: the `Date` of its answers. What expires is compared in that time, so that nobody's clock
//! matters.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::Timestamp;

use crate::clock;

/// Put into a call by `.customize().interceptor(…)`; holds the time of the last answer.
#[derive(Clone, Debug, Default)]
pub struct ServerTime(Arc<Mutex<Option<Timestamp>>>);

impl ServerTime {
    /// The time of the answer, to the second; this machine's where the endpoint reported none.
    pub fn read(&self) -> Timestamp {
        self.0.lock().expect("no holder panics").unwrap_or_else(clock::now)
    }
}

impl Intercept for ServerTime {
    fn name(&self) -> &'static str {
        "ServerTime"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(time) = context.response().headers().get("date").and_then(parse) {
            *self.0.lock().expect("no holder panics") = Some(time);
        }
        Ok(())
    }
}

/// `Sun, 22 Nov 2026 01:17:37 GMT` (RFC 9110 5.6.7).
pub fn parse(date: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_understood() {
        assert_eq!(parse("Sun, 22 Nov 2026 01:17:37 GMT"), "2026-11-22T01:17:37Z".parse().ok());
        assert_eq!(parse("yesterday"), None);
    }
}
