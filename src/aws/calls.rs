//! Counts every request that leaves the process, reads apart from writes.
//!
//! "`up` with nothing to do makes no write call" is a promise; this is what tests and `-v` hold it against.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// How often each operation was sent; retries count.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<String, u64>>>);

impl Calls {
    /// By operation, e.g. `DescribeInstances`.
    pub fn by_operation(&self) -> BTreeMap<String, u64> {
        self.0.lock().expect("no holder panics").clone()
    }

    pub fn reads(&self) -> u64 {
        self.sum(true)
    }

    pub fn writes(&self) -> u64 {
        self.sum(false)
    }

    fn sum(&self, reads: bool) -> u64 {
        self.by_operation().iter().filter(|(operation, _)| is_read(operation) == reads).map(|(_, count)| count).sum()
    }
}

/// AWS names the operations that change nothing by these verbs.
fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb))
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = config.load::<Metadata>() {
            tracing::debug!(service = call.service(), operation = call.name(), "call");
            *self.0.lock().expect("no holder panics").entry(call.name().to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_tell_reads_from_writes() {
        let calls = Calls::default();
        for operation in ["DescribeInstances", "GetConsoleOutput", "RunInstances", "CreateTags", "RunInstances"] {
            *calls.0.lock().expect("free").entry(operation.to_owned()).or_default() += 1;
        }
        assert_eq!((calls.reads(), calls.writes()), (2, 3));
    }
}
