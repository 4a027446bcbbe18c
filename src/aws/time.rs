//! Times in answers of AWS's SDK.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

/// The same moment; `None` where it lies beyond what a [`Timestamp`] can be.
pub fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time.as_nanos()).ok()
}
