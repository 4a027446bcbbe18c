//! When a stack is to be gone, by `cloudscale down --after`: a tag on what carries the stack's tag.

use jiff::Timestamp;

use super::tags::Tags;

pub const TAG: &str = "cloudscale:down-after";
/// How the scheduled action of a group ends, after the group's name.
pub const ACTION: &str = "--cloudscale-down-after";

/// The expiry out of a resource's tags.
pub fn read(tags: &Tags) -> Option<Timestamp> {
    tags.get(TAG)?.parse().ok()
}

/// The tag that says so.
pub fn tag(at: Timestamp) -> Tags {
    Tags::from([(TAG.to_owned(), at.to_string())])
}

/// Whether a scheduled action is an expiry: no part of the stack, so no drift.
pub fn is_action(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.ends_with(ACTION))
}

/// "expires at 2026-11-22T03:00:00Z", "expired at 2026-11-22T03:00:00Z: run `cloudscale down`"
pub fn sentence(expiry: Timestamp, now: Timestamp) -> String {
    if expiry <= now {
        return format!("expired at {expiry}: run `cloudscale down`");
    }
    format!("expires at {expiry}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().expect("a time")
    }

    #[test]
    fn an_expiry_that_has_passed_says_what_to_do() {
        assert!(sentence(time("04:00:00"), time("04:00:00")).contains("run `cloudscale down`"));
        assert_eq!(sentence(time("04:00:00"), time("03:00:00")), "expires at 2026-11-22T04:00:00Z");
    }
}
