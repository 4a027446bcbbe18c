//! DescribeSpotPriceHistory. The region has no market: a spot instance costs what it would on demand, which is the most
//! that AWS ever takes, and has done so for as long as anybody asks. Types whose price the catalog does not have are left out.

use jiff::{SignedDuration, Timestamp};

use super::listing::{self, Filters};
use super::model::Operation;
use super::tags::Tags;
use crate::catalog::prices;
use crate::region::context::Context;
use crate::region::ec2::network::zones;
use crate::region::wire::{Answer, ApiError, Params, Value, xml};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[Operation::new(
    "DescribeSpotPriceHistory",
    "+filters +pages AvailabilityZone InstanceType[] ProductDescription[] StartTime EndTime",
    |_, cx, params| describe_spot_price_history(cx, params),
)
.differs("There is no market: the price of a type is its on-demand price, where the catalog has it.")];

/// The one product of the region's images.
const PRODUCT: &str = "Linux/UNIX";
/// AWS shows the last ninety days.
const SHOWN_DAYS: i64 = 90;

fn describe_spot_price_history(cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let (types, products) = (params.texts("InstanceType"), params.texts("ProductDescription"));
    let wanted_zone = params.text("AvailabilityZone");
    if let Some(zone) = wanted_zone
        && !zones::names(cx.region).any(|name| name == zone)
    {
        return Err(ApiError::invalid("availabilityZone", zone));
    }
    let (start, end) = (params.time("StartTime")?, params.time("EndTime")?);
    if start.zip(end).is_some_and(|(start, end)| start > end) {
        return Err(ApiError::new("InvalidParameterValue", "StartTime must not be later than EndTime."));
    }
    // The one price began before everything that is shown: AWS answers it with the time since which it holds.
    let since = (cx.now - SignedDuration::from_hours(24 * SHOWN_DAYS)).max(start.unwrap_or(Timestamp::MIN));
    let mut found = Vec::new();
    for (name, price) in prices::all() {
        for zone in zones::names(cx.region) {
            let price = format!("{price:.6}");
            let keep = filters.keep(&Tags::new(), |field| {
                let value = match field {
                    "availability-zone" => zone.clone(),
                    "instance-type" => name.to_owned(),
                    "product-description" => PRODUCT.to_owned(),
                    "spot-price" => price.clone(),
                    "timestamp" => xml::time_text(since),
                    _ => return None,
                };
                Some(vec![value])
            })?;
            let asked = (types.is_empty() || types.contains(&name))
                && (products.is_empty() || products.iter().any(|product| product.starts_with(PRODUCT)))
                && wanted_zone.is_none_or(|wanted| wanted == zone);
            if keep && asked {
                found.push((format!("{name}/{zone}"), name, zone, price));
            }
        }
    }
    found.sort();
    let (page, token) = listing::page(params, found, |row| row.0.clone())?;
    let row = |(_, name, zone, price): (String, &str, String, String)| {
        Value::map()
            .with("instanceType", Value::from(name))
            .with("productDescription", Value::from(PRODUCT))
            .with("spotPrice", Value::from(price))
            .with("timestamp", Value::from(since))
            .with("availabilityZone", Value::from(zone))
    };
    Ok(listing::answer("spotPriceHistorySet", page.into_iter().map(row).collect(), token))
}
