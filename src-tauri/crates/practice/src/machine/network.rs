//! The NAT network: which addresses containers have, and what listens there.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use super::{
    Model, lock,
    refusal::{Answer, Refusal},
    state::State,
};
use crate::sql::SqlServer;

/// The network's name, as every Windows engine has it.
pub const NAT: &str = "nat";
/// The network's prefix.
pub const SUBNET: &str = "172.28.16.0/20";
/// The host's own address in it.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 28, 16, 1);
/// How many addresses containers can have.
const HOSTS: u32 = (1 << 12) - 3;

impl State {
    /// Takes the next free address. A new one at each start, as Windows does: callers must ask again.
    pub fn give_address(&mut self) -> Answer<Ipv4Addr> {
        let used: HashSet<Ipv4Addr> = self.containers.values().filter_map(|c| c.address).collect();
        for _ in 0..HOSTS {
            let address = Ipv4Addr::from(u32::from(GATEWAY) + 1 + self.addresses_given % HOSTS);
            self.addresses_given = self.addresses_given.wrapping_add(1);
            if !used.contains(&address) {
                return Ok(address);
            }
        }
        Err(Refusal::failed(
            "HNS failed with error : The IP address pool is exhausted.",
        ))
    }
}

impl Model {
    /// The SQL Server that listens on an address inside the NAT network, if one does.
    pub fn listening(&self, address: Ipv4Addr, port: u16) -> Option<Arc<SqlServer>> {
        if port != 1433 {
            return None;
        }
        let id = self.read(|s| {
            s.containers
                .values()
                .find(|c| c.address == Some(address))
                .map(|c| c.id.clone())
        })?;
        let live = lock(&self.live).get(&id).cloned()?;
        live.run()?.sql()
    }
}
