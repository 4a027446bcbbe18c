//! IPv4 ranges of networks, routes and rules.

use std::fmt;
use std::net::Ipv4Addr;

use crate::region::wire::{ApiError, Params};

/// A range such as `10.0.0.0/16`; its host bits are cleared, as AWS stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Cidr {
    address: u32,
    length: u32,
}

impl Cidr {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let length = length.parse().ok().filter(|length| *length <= 32)?;
        Some(Self { address: u32::from(address) & mask(length), length })
    }

    /// The bits that the range fixes: 16 of `10.0.0.0/16`.
    pub fn length(self) -> u32 {
        self.length
    }

    pub fn contains(self, other: Self) -> bool {
        self.length <= other.length && other.address & mask(self.length) == self.address
    }

    pub fn has(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.length) == self.address
    }

    /// The addresses that AWS leaves to hosts: all but the first four and the last (VPC user guide, "Subnet sizing").
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.address | !mask(self.length);
        (self.address.saturating_add(4)..last).map(Ipv4Addr::from)
    }

    /// How many of them there are.
    pub fn host_count(self) -> u64 {
        (1u64 << (32 - self.length)).saturating_sub(5)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }
}

fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.address), self.length)
    }
}

/// The range of a request's `CidrBlock`: /16 to /28, as AWS has it; `kind` is `Vpc` or `Subnet`.
pub fn requested_cidr(params: &Params, kind: &str) -> Result<Cidr, ApiError> {
    let text = params.required("CidrBlock")?;
    let malformed = || {
        let message = format!("Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.");
        ApiError::new("InvalidParameterValue", message)
    };
    let cidr = Cidr::parse(text).ok_or_else(malformed)?;
    if (16..=28).contains(&cidr.length()) {
        return Ok(cidr);
    }
    Err(ApiError::new(&format!("Invalid{kind}.Range"), format!("The CIDR '{text}' is invalid.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_their_host_bits_cleared() {
        let text = |text| Cidr::parse(text).map(|cidr| cidr.to_string());
        assert_eq!(text("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(text("1.2.3.4/0").as_deref(), Some("0.0.0.0/0"));
        assert_eq!([text("10.0.0.0"), text("10.0.0.0/33"), text("10.0.0/8")], [None, None, None]);
    }

    #[test]
    fn aws_keeps_five_addresses_of_a_subnet() {
        let cidr = Cidr::parse("10.77.1.0/28").unwrap();
        let hosts: Vec<Ipv4Addr> = cidr.hosts().collect();
        assert_eq!((hosts[0], hosts[10]), (Ipv4Addr::new(10, 77, 1, 4), Ipv4Addr::new(10, 77, 1, 14)));
        assert_eq!((hosts.len(), cidr.host_count()), (11, 11));
        assert!(cidr.has(hosts[0]) && !cidr.has(Ipv4Addr::new(10, 77, 1, 16)));
        assert_eq!(Cidr::parse("10.0.0.0/16").unwrap().host_count(), 65_531);
    }

    #[test]
    fn a_range_contains_its_parts_and_overlaps_both_ways() {
        let cidr = |text| Cidr::parse(text).unwrap();
        assert!(cidr("10.0.0.0/16").contains(cidr("10.0.255.0/24")));
        assert!(!cidr("10.0.0.0/16").contains(cidr("10.1.0.0/24")));
        assert!(cidr("10.0.1.0/24").overlaps(cidr("10.0.0.0/16")));
        assert!(!cidr("10.0.1.0/24").overlaps(cidr("10.0.2.0/24")));
    }
}
