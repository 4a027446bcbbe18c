//! The loopback addresses that instances and load balancers get.
//!
//! The default VPC is 127.31.0.0/16: sixteen /20 nets, of which the first six are the zones' default subnets and the last
//! belongs to load balancers. Every region on the machine uses the same nets, so each claims one *block* of sixteen: the
//! same /24 of every /20. Two regions never hand out the same address. An address that was given back is handed out
//! again only after all others of its net had their turn: late packets for a dead instance must not reach a new one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The default VPC's range.
pub const VPC_CIDR: &str = "127.31.0.0/16";
/// Blocks that regions on one machine can claim.
pub const BLOCKS: u8 = 16;
/// The net of /20 nets that load balancers take their addresses from: 127.31.240.0/20.
pub const LOAD_BALANCER_NET: u8 = 15;
/// AWS keeps the first four addresses and the last of a subnet for itself; so does every block.
const FIRST_HOST: u8 = 4;
const LAST_HOST: u8 = 254;

/// The CIDR of a /20 net.
pub fn net_cidr(net: u8) -> String {
    format!("127.31.{}.0/20", net << 4)
}

/// The address whose UDP port a region binds to claim `block`; no instance ever gets it.
pub fn claim_address(block: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 31, (LOAD_BALANCER_NET << 4) | block, 1)
}

/// Hands out addresses of one region's block.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Addresses {
    block: u8,
    nets: [Net; 16],
}

/// The block's /24 of one /20 net.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Net {
    next: u8,
    used: BTreeSet<u8>,
}

impl Addresses {
    /// # Panics
    /// When `block` is not below [`BLOCKS`].
    pub fn in_block(block: u8) -> Self {
        assert!(block < BLOCKS, "there are {BLOCKS} blocks");
        Self { block, nets: std::array::from_fn(|_| Net { next: FIRST_HOST, used: BTreeSet::new() }) }
    }

    /// An address for a load balancer's node; `None` when all are taken.
    pub fn take_for_load_balancer(&mut self) -> Option<Ipv4Addr> {
        self.take(LOAD_BALANCER_NET)
    }

    /// The next free address of a /20 net; `None` when all are taken.
    pub fn take(&mut self, net: u8) -> Option<Ipv4Addr> {
        let state = &mut self.nets[usize::from(net)];
        let host = (state.next..=LAST_HOST).chain(FIRST_HOST..state.next).find(|host| !state.used.contains(host))?;
        state.used.insert(host);
        state.next = if host == LAST_HOST { FIRST_HOST } else { host + 1 };
        Some(Ipv4Addr::new(127, 31, (net << 4) | self.block, host))
    }

    /// How many addresses of a /20 net are left.
    pub fn free(&self, net: u8) -> usize {
        usize::from(LAST_HOST - FIRST_HOST) + 1 - self.nets[usize::from(net)].used.len()
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        let [_, _, third, host] = address.octets();
        self.nets[usize::from(third >> 4)].used.remove(&host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_address_waits_for_its_turn() {
        let mut addresses = Addresses::in_block(2);
        let first = addresses.take(1).unwrap();
        assert_eq!(first, Ipv4Addr::new(127, 31, 18, 4));
        addresses.release(first);
        assert_eq!(addresses.take(1), Some(Ipv4Addr::new(127, 31, 18, 5)));
    }

    #[test]
    fn a_net_runs_out_and_recovers() {
        let mut addresses = Addresses::in_block(0);
        let all: BTreeSet<Ipv4Addr> = std::iter::from_fn(|| addresses.take_for_load_balancer()).collect();
        assert_eq!((all.len(), addresses.free(LOAD_BALANCER_NET)), (251, 0));
        addresses.release(Ipv4Addr::new(127, 31, 240, 9));
        assert_eq!(addresses.take_for_load_balancer(), Some(Ipv4Addr::new(127, 31, 240, 9)));
    }

    #[test]
    fn two_blocks_share_no_address() {
        let take = |block| {
            let mut addresses = Addresses::in_block(block);
            std::iter::from_fn(move || addresses.take(0)).collect::<BTreeSet<_>>()
        };
        assert!(take(0).is_disjoint(&take(1)));
    }
}
