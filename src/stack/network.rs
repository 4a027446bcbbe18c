//! The network of a stack: AWS's rules for address ranges, and how a VPC's range is divided among its subnets.

use std::net::Ipv4Addr;

use super::language::{CREATED_NETWORK, EXISTING_NETWORK, SSH, STACK};
use super::model::{Network, Ssh};
use crate::document::name::key;
use crate::document::{Fields, scalar_text};
use crate::problem::Problems;

/// The prefixes that a VPC may have (VPC user guide).
const VPC_PREFIX: std::ops::RangeInclusive<u32> = 16..=28;
/// Every subnet of a load balancer needs at least a /27 (ELB user guide).
const SUBNET_PREFIX_MAX: u32 = 27;
/// Room for eight subnets: more zones never move the ranges of those that are there.
const ZONE_BITS: u32 = 3;

/// What the stack says of its network.
pub(super) fn network(fields: &Fields, problems: &mut Problems) -> Network {
    let existing = fields.object(key!(STACK, "network"), &EXISTING_NETWORK);
    let created = fields.object(key!(STACK, "network"), &CREATED_NETWORK);
    if created.is_written(key!(CREATED_NETWORK, "cidr")) || created.is_written(key!(CREATED_NETWORK, "zones")) {
        let (cidr, zones) =
            (created.text(key!(CREATED_NETWORK, "cidr")), created.integer(key!(CREATED_NETWORK, "zones")));
        if let Err(mistake) = check_cidr(&cidr, zones) {
            problems.push(created.problem(key!(CREATED_NETWORK, "cidr"), "Invalid address range", mistake));
        }
        return Network::Created { cidr, zones };
    }
    if !(existing.is_written(key!(EXISTING_NETWORK, "vpc")) || existing.is_written(key!(EXISTING_NETWORK, "subnets"))) {
        return Network::Default;
    }
    let subnets: Vec<String> =
        existing.list(key!(EXISTING_NETWORK, "subnets")).iter().filter_map(scalar_text).map(str::to_owned).collect();
    let mut distinct = subnets.clone();
    distinct.sort();
    distinct.dedup();
    if existing.is_written(key!(EXISTING_NETWORK, "subnets")) && (distinct.len() < 2 || distinct.len() < subnets.len())
    {
        let problem = existing.problem(
            key!(EXISTING_NETWORK, "subnets"),
            "Too few subnets",
            "a load balancer needs two different subnets or more",
        );
        problems.push(problem.hint("name subnets in at least two availability zones"));
    }
    Network::Existing { vpc: existing.text(key!(EXISTING_NETWORK, "vpc")), subnets }
}

/// Who may log in. The whole internet may not: scanners find an open port 22 within minutes.
pub(super) fn ssh(fields: &Fields, problems: &mut Problems) -> Option<Ssh> {
    let fields = fields.object_written(key!(STACK, "ssh"), &SSH)?;
    let ssh = Ssh { key: fields.text(key!(SSH, "key")), cidr: fields.text(key!(SSH, "cidr")) };
    match parse(&ssh.cidr) {
        Some((_, 0)) => {
            let problem =
                fields.problem(key!(SSH, "cidr"), "SSH would be open to the whole internet", format!("`{}`", ssh.cidr));
            problems.push(problem.hint(
                "write the address that you connect from: `curl https://checkip.amazonaws.com` shows it, `/32` ends it",
            ));
        }
        Some((address, prefix)) if address.checked_shl(prefix).unwrap_or(0) != 0 => {
            let first = Ipv4Addr::from(address >> (32 - prefix) << (32 - prefix));
            let detail = format!("`{}` does not start at its first address: write `{first}/{prefix}`", ssh.cidr);
            problems.push(fields.problem(key!(SSH, "cidr"), "Invalid address range", detail));
        }
        Some(_) => {}
        None if fields.is_written(key!(SSH, "cidr")) => {
            let detail = format!("`{}` is no IPv4 address range", ssh.cidr);
            problems.push(fields.problem(key!(SSH, "cidr"), "Invalid address range", detail));
        }
        None => {}
    }
    Some(ssh)
}

fn check_cidr(cidr: &str, zones: u8) -> Result<(), String> {
    let Some((address, prefix)) = parse(cidr) else { return Err(format!("`{cidr}` is no IPv4 address range")) };
    if !VPC_PREFIX.contains(&prefix) {
        return Err(format!("a VPC has a prefix from /16 to /28, but here is /{prefix}"));
    }
    if address << prefix != 0 {
        let network = Ipv4Addr::from(address >> (32 - prefix) << (32 - prefix));
        return Err(format!("`{cidr}` does not start at its first address: write `{network}/{prefix}`"));
    }
    let subnet_prefix = prefix + u32::from(zones.max(1)).next_power_of_two().ilog2();
    if subnet_prefix > SUBNET_PREFIX_MAX {
        return Err(format!(
            "{zones} subnets of /{subnet_prefix} are too small: a load balancer needs /{SUBNET_PREFIX_MAX}"
        ));
    }
    Ok(())
}

/// The first address and the prefix of a range.
pub(super) fn parse(cidr: &str) -> Option<(u32, u32)> {
    let (address, prefix) = cidr.split_once('/')?;
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
    Some((u32::from(address.parse::<Ipv4Addr>().ok()?), prefix))
}

/// The range of one of a VPC's subnets: an eighth of the VPC's, or more where that would be too small for a load
/// balancer. `None` where the VPC has no such part.
pub fn subnet_range(vpc: &str, index: u32) -> Option<String> {
    let (address, prefix) = parse(vpc)?;
    let prefix = (prefix + ZONE_BITS).min(SUBNET_PREFIX_MAX.max(prefix));
    let bits = prefix - parse(vpc)?.1;
    (index < 1 << bits).then(|| format!("{}/{prefix}", Ipv4Addr::from(address + (index << (32 - prefix)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vpc_is_divided_into_eighths() {
        assert_eq!(subnet_range("10.0.0.0/16", 0).as_deref(), Some("10.0.0.0/19"));
        assert_eq!(subnet_range("10.0.0.0/16", 5).as_deref(), Some("10.0.160.0/19"));
        assert_eq!(subnet_range("10.0.0.0/16", 8), None);
    }

    #[test]
    fn subnets_of_a_small_vpc_still_hold_a_load_balancer() {
        assert_eq!(subnet_range("10.1.2.0/24", 7).as_deref(), Some("10.1.2.224/27"));
        assert_eq!(subnet_range("10.1.2.0/26", 1).as_deref(), Some("10.1.2.32/27"));
        assert_eq!(subnet_range("10.1.2.0/26", 2), None);
        assert!(check_cidr("10.1.2.0/26", 2).is_ok() && check_cidr("10.1.2.0/26", 3).is_err());
        assert!(check_cidr("10.1.2.0/24", 6).is_ok() && check_cidr("10.1.2.0/25", 6).is_err());
    }
}
