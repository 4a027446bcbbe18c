//! A client as rules, targets and the access log know it: what does not change while it is connected.

use std::net::{IpAddr, SocketAddr};

use super::logging::Connected;
use super::rewrite::ClientFields;
use super::stream::Stream;
use super::table::Table;

#[derive(Debug)]
pub struct Caller {
    pub peer: IpAddr,
    pub fields: ClientFields,
    pub connected: Connected,
}

impl Caller {
    pub fn new(stream: &Stream, peer: SocketAddr, table: &Table) -> Self {
        let (address, settings) = (table.routes.address.into(), &table.routes.settings);
        Self {
            peer: peer.ip().to_canonical(),
            fields: ClientFields::new(peer, address, settings, stream.session().as_ref()),
            connected: Connected::new(peer, stream),
        }
    }
}
