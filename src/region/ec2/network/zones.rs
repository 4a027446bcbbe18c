//! The region's zones, and what else an account learns about its place: regions and account attributes.

use crate::region::context::Context;
use crate::region::ec2::listing::Filters;
use crate::region::ec2::model::Operation;
use crate::region::ec2::network::Network;
use crate::region::ec2::tags::Tags;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "DescribeAvailabilityZones",
        "+filters ZoneName[] ZoneId[] AllAvailabilityZones",
        |_, cx, params| describe_availability_zones(cx, params),
    )
    .differs("Six zones a to f; no local zones or wavelength zones."),
    Operation::new("DescribeRegions", "+filters RegionName[] AllRegions", |_, cx, params| describe_regions(cx, params))
        .differs("There is one region."),
    Operation::new("DescribeAccountAttributes", "AttributeName[]", |ec2, _, params| {
        describe_account_attributes(&ec2.network, params)
    }),
];

/// The zones' letters; each has one default subnet, the /20 net of the same number.
pub const ZONES: [char; 6] = ['a', 'b', 'c', 'd', 'e', 'f'];

/// The zones' names, in the order of their letters.
pub fn names(region: &str) -> impl Iterator<Item = String> {
    ZONES.iter().map(move |letter| format!("{region}{letter}"))
}

/// `use1-az1` for `us-east-1a`: the zone's id, which is the same in every account here.
pub fn zone_id(region: &str, letter: char) -> String {
    let parts: Vec<&str> = region.split('-').collect();
    let [area, direction, number] = parts[..] else { return format!("{region}-az-{letter}") };
    let short = direction.get(..1).unwrap_or(direction);
    format!("{area}{short}{number}-az{}", u32::from(letter) - u32::from('a') + 1)
}

pub fn describe_availability_zones(cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let zones: Vec<(String, String)> =
        ZONES.iter().map(|letter| (format!("{}{letter}", cx.region), zone_id(cx.region, *letter))).collect();
    let known = |name: &str| zones.iter().any(|zone| zone.0 == name);
    let names = params.texts("ZoneName");
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid availability zone: [{unknown}]")));
    }
    let ids = params.texts("ZoneId");
    if let Some(unknown) = ids.iter().find(|id| !zones.iter().any(|zone| zone.1 == **id)) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid availability zone-id: [{unknown}]")));
    }
    let mut found = Vec::new();
    for (name, id) in &zones {
        let keep = filters.keep(&Tags::new(), |filter| match filter {
            "zone-name" => Some(vec![name.clone()]),
            "zone-id" => Some(vec![id.clone()]),
            "state" | "zone-state" => Some(vec!["available".to_owned()]),
            "region-name" => Some(vec![cx.region.to_owned()]),
            "zone-type" => Some(vec!["availability-zone".to_owned()]),
            "opt-in-status" => Some(vec!["opt-in-not-required".to_owned()]),
            "group-name" => Some(vec![format!("{}-zg-1", cx.region)]),
            _ => None,
        })?;
        let named = names.is_empty() && ids.is_empty() || names.contains(&name.as_str()) || ids.contains(&id.as_str());
        if keep && named {
            found.push(
                Value::map()
                    .with("optInStatus", Value::from("opt-in-not-required"))
                    .with("messageSet", Value::list([]))
                    .with("regionName", Value::from(cx.region))
                    .with("zoneName", Value::from(&**name))
                    .with("zoneId", Value::from(&**id))
                    .with("groupName", Value::from(format!("{}-zg-1", cx.region)))
                    .with("networkBorderGroup", Value::from(cx.region))
                    .with("zoneType", Value::from("availability-zone"))
                    .with("zoneState", Value::from("available")),
            );
        }
    }
    Ok(Value::map().with("availabilityZoneInfo", Value::List(found)))
}

/// The one region that there is.
pub fn describe_regions(cx: &Context, params: &Params) -> Answer {
    let names = params.texts("RegionName");
    if let Some(unknown) = names.iter().find(|name| **name != cx.region) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid region name: '{unknown}'")));
    }
    let filters = Filters::of(params)?;
    let endpoint = format!("ec2.{}.amazonaws.com", cx.region);
    let keep = filters.keep(&Tags::new(), |name| match name {
        "region-name" => Some(vec![cx.region.to_owned()]),
        "endpoint" => Some(vec![endpoint.clone()]),
        "opt-in-status" => Some(vec!["opt-in-not-required".to_owned()]),
        _ => None,
    })?;
    let region = Value::map()
        .with("regionName", Value::from(cx.region))
        .with("regionEndpoint", Value::from(&*endpoint))
        .with("optInStatus", Value::from("opt-in-not-required"));
    Ok(Value::map().with("regionInfo", Value::list(keep.then_some(region))))
}

/// What the account may do; only that it has a default VPC and no EC2-Classic is asked in practice.
pub fn describe_account_attributes(network: &Network, params: &Params) -> Answer {
    let default_vpc = network.default_vpc().map_or("none", |vpc| &*vpc.id);
    let attributes = [("supported-platforms", "VPC"), ("default-vpc", default_vpc), ("max-instances", "250")];
    let wanted = params.texts("AttributeName");
    let rows = attributes.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let row = |(name, value)| {
        let values = Value::list([Value::map().with("attributeValue", Value::from(value))]);
        Value::map().with("attributeName", Value::from(name)).with("attributeValueSet", values)
    };
    Ok(Value::map().with("accountAttributeSet", Value::list(rows.map(row))))
}
