//! The routing tables of a container, for CHECK.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ipnetwork::IpNetwork;
use netlink::{Family, MAIN_TABLE, NetlinkError, Route, Rtnetlink};

/// The container's routing tables, each read once, by destinations.
pub(super) struct Tables<'a> {
    inside: &'a mut Rtnetlink,
    addresses: &'a [IpNetwork],
    known: HashMap<(Family, u32), HashMap<IpNetwork, Vec<Route>>>,
    /// By protocol; read when they are needed.
    by_source: HashMap<Family, Vec<u32>>,
}

impl<'a> Tables<'a> {
    /// The tables of the socket's namespace, for packets from these addresses.
    pub(super) fn new(inside: &'a mut Rtnetlink, addresses: &'a [IpNetwork]) -> Self {
        Self {
            inside,
            addresses,
            known: HashMap::new(),
            by_source: HashMap::new(),
        }
    }

    /// Whether the table of `planned` has a route to its destination that `matches` accepts.
    ///
    /// The plugin `sbr` moves routes of the main table to a table in which packets from one of the
    /// addresses are looked up, so these tables count too.
    pub(super) fn have(
        &mut self,
        planned: &Route,
        matches: impl Fn(&Route) -> bool,
    ) -> Result<bool, NetlinkError> {
        let family = Family::of(planned.destination.ip());
        let destination = network_of(planned.destination);
        if self
            .routes(family, planned.table, destination)?
            .iter()
            .any(&matches)
        {
            return Ok(true);
        }
        if planned.table != MAIN_TABLE {
            return Ok(false);
        }
        for table in self.by_source(family)? {
            if self
                .routes(family, table, destination)?
                .iter()
                .any(&matches)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn routes(
        &mut self,
        family: Family,
        table: u32,
        destination: IpNetwork,
    ) -> Result<&[Route], NetlinkError> {
        let table = match self.known.entry((family, table)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let mut routes: HashMap<IpNetwork, Vec<Route>> = HashMap::new();
                for route in self.inside.routes(family, table, None)? {
                    routes.entry(route.destination).or_default().push(route);
                }
                unknown.insert(routes)
            }
        };
        let routes = table.get(&destination);
        Ok(routes.map(Vec::as_slice).unwrap_or_default())
    }

    /// The tables that rules lead to from one of the addresses.
    fn by_source(&mut self, family: Family) -> Result<Vec<u32>, NetlinkError> {
        if let Some(tables) = self.by_source.get(&family) {
            return Ok(tables.clone());
        }
        let rules = self.inside.source_rules(family)?.into_iter();
        let own = rules.filter(|rule| {
            let mut addresses = self.addresses.iter();
            addresses.any(|address| rule.source.contains(address.ip()))
        });
        let tables: Vec<u32> = own.map(|rule| rule.table).collect();
        self.by_source.insert(family, tables.clone());
        Ok(tables)
    }
}

/// The network of an address, without host bits.
pub(super) fn network_of(address: IpNetwork) -> IpNetwork {
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}
