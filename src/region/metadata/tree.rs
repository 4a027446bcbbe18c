//! The paths of the metadata service and what they hold. A path that ends in a branch answers with the names below it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::region::context::ACCOUNT;
use crate::region::facts::MetadataFacts;

/// What `path` holds at `now`; `None` where there is nothing.
pub fn answer(facts: &MetadataFacts, path: &str, now: Timestamp) -> Option<Vec<u8>> {
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
    if version != "latest" && !is_date(version) {
        return None;
    }
    match rest.trim_end_matches('/') {
        "user-data" if facts.user_data.is_empty() => None,
        "user-data" => Some(facts.user_data.to_vec()),
        "dynamic/instance-identity/document" => Some(identity(facts).into_bytes()),
        rest => {
            let below = rest.strip_prefix("meta-data")?;
            let below = if below.is_empty() { "" } else { below.strip_prefix('/')? };
            let mut leaves = leaves(facts);
            leaves.extend(interruption(facts, now).into_iter().flatten());
            look_up(&leaves, below)
        }
    }
}

/// `2021-07-15`: the API's versions are dates.
fn is_date(version: &str) -> bool {
    version.parse::<jiff::civil::Date>().is_ok()
}

fn look_up(leaves: &BTreeMap<String, String>, path: &str) -> Option<Vec<u8>> {
    if let Some(value) = leaves.get(path) {
        return Some(value.clone().into_bytes());
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut names: Vec<String> = Vec::new();
    for leaf in leaves.keys().filter_map(|leaf| leaf.strip_prefix(&prefix)) {
        let name = leaf.split_once('/').map_or_else(|| leaf.to_owned(), |(branch, _)| format!("{branch}/"));
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { None } else { Some(names.join("\n").into_bytes()) }
}

fn leaves(facts: &MetadataFacts) -> BTreeMap<String, String> {
    let instance = &facts.instance;
    let address = instance.address.to_string();
    let interface = format!("network/interfaces/macs/{}", facts.mac);
    let mut leaves: BTreeMap<String, String> = [
        ("ami-id", instance.image.clone()),
        ("ami-launch-index", facts.launch_index.to_string()),
        ("hostname", facts.host_name.clone()),
        ("instance-action", "none".to_owned()),
        ("instance-id", instance.id.clone()),
        ("instance-life-cycle", if instance.spot { "spot" } else { "on-demand" }.to_owned()),
        ("instance-type", instance.instance_type.clone()),
        ("local-hostname", facts.host_name.clone()),
        ("local-ipv4", address.clone()),
        ("mac", facts.mac.clone()),
        ("placement/availability-zone", instance.zone.clone()),
        ("placement/region", facts.region.clone()),
        ("public-hostname", address.clone()),
        ("public-ipv4", address.clone()),
        ("reservation-id", facts.reservation.clone()),
        ("security-groups", facts.security_groups.join("\n")),
        ("services/domain", "amazonaws.com".to_owned()),
    ]
    .into_iter()
    .map(|(path, value)| (path.to_owned(), value))
    .collect();
    for (name, value) in
        [("local-ipv4s", &address), ("mac", &facts.mac), ("subnet-id", &instance.subnet), ("vpc-id", &instance.vpc)]
    {
        leaves.insert(format!("{interface}/{name}"), value.clone());
    }
    if facts.serves_tags {
        leaves.extend(instance.tags.iter().map(|(key, value)| (format!("tags/instance/{key}"), value.clone())));
    }
    leaves
}

/// What a spot instance is told before it is taken away (EC2 user guide, "Rebalance recommendations" and "Spot Instance
/// interruption notices").
fn interruption(facts: &MetadataFacts, now: Timestamp) -> Option<Vec<(String, String)>> {
    let (recommended, noticed, ends) = facts.interruption?;
    let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let recommendation = serde_json::json!({ "noticeTime": time(recommended) });
    let mut told = vec![("events/recommendations/rebalance".to_owned(), recommendation.to_string())];
    if noticed <= now {
        let action = serde_json::json!({ "action": "terminate", "time": time(ends) });
        told.push(("spot/instance-action".to_owned(), action.to_string()));
        told.push(("spot/termination-time".to_owned(), time(ends)));
    }
    Some(told)
}

/// The instance identity document. It is not signed: nobody here could check the signature.
fn identity(facts: &MetadataFacts) -> String {
    let instance = &facts.instance;
    let document = serde_json::json!({
        "accountId": ACCOUNT,
        "architecture": facts.architecture,
        "availabilityZone": instance.zone,
        "imageId": instance.image,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": instance.launched.to_string(),
        "privateIp": instance.address.to_string(),
        "region": facts.region,
        "version": "2017-09-30",
    });
    format!("{document:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::facts::InstanceFacts;
    use crate::region::signal::InstanceState;

    fn facts() -> MetadataFacts {
        MetadataFacts {
            instance: InstanceFacts {
                id: "i-1".to_owned(),
                reason: None,
                state: InstanceState::Running,
                instance_type: "t2.large".to_owned(),
                spot: false,
                image: "ami-1".to_owned(),
                address: [127, 31, 0, 4].into(),
                subnet: "subnet-1".to_owned(),
                vpc: "vpc-1".to_owned(),
                zone: "us-east-1a".to_owned(),
                launched: jiff::Timestamp::UNIX_EPOCH,
                impaired_since: None,
                tags: [("Name".to_owned(), "web 1".to_owned()), ("a/b".to_owned(), "c".to_owned())].into(),
            },
            region: "us-east-1".to_owned(),
            architecture: "x86_64".to_owned(),
            host_name: "ip-127-31-0-4.ec2.internal".to_owned(),
            mac: "0a:7f:1f:00:04:1f".to_owned(),
            reservation: "r-1".to_owned(),
            launch_index: 0,
            security_groups: vec!["front".to_owned(), "back".to_owned()],
            user_data: b"#!/bin/bash".as_slice().into(),
            enabled: true,
            tokens_required: true,
            serves_tags: true,
            interruption: None,
        }
    }

    fn get(path: &str) -> Option<String> {
        answer(&facts(), path, Timestamp::UNIX_EPOCH).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn leaves_answer_values_and_branches_answer_names() {
        for (path, expected) in [
            ("/latest/meta-data/instance-id", "i-1"),
            ("/2021-07-15/meta-data/local-ipv4", "127.31.0.4"),
            ("/latest/meta-data/placement/", "availability-zone\nregion"),
            ("/latest/meta-data/placement/region", "us-east-1"),
            ("/latest/meta-data/tags/instance/Name", "web 1"),
            ("/latest/meta-data/security-groups", "front\nback"),
            ("/latest/user-data", "#!/bin/bash"),
        ] {
            assert_eq!(get(path).as_deref(), Some(expected), "{path}");
        }
        assert!(get("/latest/meta-data/").unwrap().contains("\nplacement/\n"));
        assert!(get("/latest/dynamic/instance-identity/document").unwrap().contains("\"instanceId\": \"i-1\""));
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        for path in [
            "/latest/meta-data/none",
            "/latest/meta-data/plac",
            "/later/meta-data/mac",
            "/latest",
            "/",
            "/latest/meta-datax",
        ] {
            assert_eq!(get(path), None, "{path}");
        }
        let without = MetadataFacts { serves_tags: false, ..facts() };
        assert_eq!(answer(&without, "/latest/meta-data/tags/instance/Name", Timestamp::UNIX_EPOCH), None);
    }

    /// The recommendation is there at once, the notice two minutes before the end; both were nothing before.
    #[test]
    fn a_spot_instance_is_told_that_it_goes() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let times = ["2026-01-01T10:00:00Z", "2026-01-01T10:03:00Z", "2026-01-01T10:05:00Z"].map(at);
        let facts = MetadataFacts { interruption: Some((times[0], times[1], times[2])), ..facts() };
        let told =
            |path: &str, now: Timestamp| answer(&facts, path, now).map(|bytes| String::from_utf8(bytes).unwrap());
        let (rebalance, action) =
            ("/latest/meta-data/events/recommendations/rebalance", "/latest/meta-data/spot/instance-action");
        assert_eq!(told(rebalance, times[0]).as_deref(), Some(r#"{"noticeTime":"2026-01-01T10:00:00Z"}"#));
        assert_eq!(told(action, at("2026-01-01T10:02:59Z")), None);
        let expected = r#"{"action":"terminate","time":"2026-01-01T10:05:00Z"}"#;
        assert_eq!(told(action, times[1]).as_deref(), Some(expected));
        assert_eq!(told("/latest/meta-data/spot/termination-time", times[1]).as_deref(), Some("2026-01-01T10:05:00Z"));
        assert_eq!((get(rebalance), get(action)), (None, None));
    }
}
