//! A container on several networks.

use cni_types::ContainerId;

use super::*;
use crate::RangeSpec;

fn id(text: &str) -> ContainerId {
    text.parse().unwrap()
}

fn request(network: &str, ifname: &str, subnets: &[RangeSpec]) -> NetworkRequest {
    NetworkRequest {
        network: name(network),
        ifname: ifname.parse().unwrap(),
        driver: "host-local".to_owned(),
        subnets: subnets.to_vec(),
        static_addresses: Vec::new(),
    }
}

fn lease(subnet: &str, start: &str, end: &str) -> RangeSpec {
    RangeSpec {
        start: Some(ip(start)),
        end: Some(ip(end)),
        ..spec(subnet)
    }
}

fn with_static(request: &NetworkRequest, addresses: &[&str]) -> NetworkRequest {
    NetworkRequest {
        static_addresses: addresses.iter().map(|address| ip(address)).collect(),
        ..request.clone()
    }
}

impl Directory {
    fn start(&self, container: &str, requests: &[NetworkRequest]) -> Result<Vec<String>, String> {
        let database = self.database();
        let given = allocate_container(begin(&database).unwrap(), &id(container), requests);
        let given = given.map_err(|error| error.to_string())?;
        let text = |(network, allocations): (NetworkName, Vec<crate::Allocation>)| {
            let addresses: Vec<_> = allocations.iter().map(|a| a.address.to_string()).collect();
            format!("{network} {}", addresses.join(" "))
                .trim()
                .to_owned()
        };
        Ok(given.into_iter().map(text).collect())
    }

    fn stop(&self, container: &str) {
        let database = self.database();
        release_container(begin(&database).unwrap(), &id(container)).unwrap();
    }

    fn lookup(&self, container: &str) -> Vec<String> {
        let database = self.database();
        let held = lookup_container(&begin(&database).unwrap(), &id(container)).unwrap();
        let text = |held: ContainerAddresses| {
            let addresses: Vec<_> = held.addresses.iter().map(IpAddr::to_string).collect();
            let ifname = held.ifname.unwrap();
            format!("{} {ifname} {}", held.network, addresses.join(" "))
        };
        held.into_iter().map(text).collect()
    }
}

#[test]
fn a_container_gets_addresses_of_all_its_networks() {
    let directory = Directory::new();
    let requests = [
        request("a", "eth0", &[spec("10.1.1.0/24"), spec("fd00::/64")]),
        request("b", "eth1", &[spec("10.2.2.0/24")]),
    ];
    assert_eq!(
        directory.start("c1", &requests).unwrap(),
        ["a 10.1.1.2/24 fd00::2/64", "b 10.2.2.2/24"]
    );
    // Another container whose id starts with the same text.
    directory.start("c1.2", &requests).unwrap();
    assert_eq!(
        directory.lookup("c1"),
        ["a eth0 10.1.1.2 fd00::2", "b eth1 10.2.2.2"]
    );
    directory.stop("c1");
    assert_eq!(directory.lookup("c1"), [] as [&str; 0]);
    assert_eq!(
        directory.lookup("c1.2"),
        ["a eth0 10.1.1.3 fd00::3", "b eth1 10.2.2.3"]
    );
    directory.stop("c1");
    directory.stop("nobody");
    assert_eq!(audit(&directory.database()).len(), 3);
}

#[test]
fn a_failing_network_changes_nothing() {
    let directory = Directory::new();
    let one_left = lease("10.2.2.0/24", "10.2.2.9", "10.2.2.9");
    let requests = [
        request("a", "eth0", &[spec("10.1.1.0/24")]),
        request("b", "eth1", &[one_left]),
    ];
    directory.start("c1", &requests).unwrap();
    let before = audit(&directory.database());
    for (broken, message) in [
        (
            requests[1].clone(),
            "network b: failed to allocate for range 0: no IP addresses available in range set: \
                10.2.2.9-10.2.2.9",
        ),
        (
            request("b", "eth1", &[spec("10.2.2.0/31")]),
            "network b: subnet 10.2.2.0/31 is too small to allocate from: use a prefix length of \
                30 or less",
        ),
        (
            request("b", "eth1", &[spec("10.2.2.0/24"), spec("10.2.0.0/16")]),
            "network b: range set 0 overlaps with 1: 10.2.2.1-10.2.2.254 and 10.2.0.1-10.2.255.254",
        ),
        (
            requests[0].clone(),
            "network a: failed to allocate for range 0: 10.1.1.3 has been allocated to c2 \
                already: a second ADD needs a DEL before it",
        ),
    ] {
        let refused = directory.start("c2", &[requests[0].clone(), broken]);
        assert_eq!(refused, Err(message.to_owned()));
        assert_eq!(audit(&directory.database()), before);
    }
    // Nor did any of that move the turn.
    assert_eq!(
        directory.start("c2", &requests[..1]).unwrap(),
        ["a 10.1.1.3/24"]
    );
}

#[test]
fn a_static_address_is_given_or_refused_if_in_use() {
    let directory = Directory::new();
    let network = request("a", "eth0", &[spec("10.1.1.0/24"), spec("fd00::/64")]);
    assert_eq!(
        directory
            .start("c1", &[with_static(&network, &["10.1.1.77"])])
            .unwrap(),
        ["a 10.1.1.77/24 fd00::2/64"]
    );
    for (addresses, message) in [
        (
            &["10.1.1.77"][..],
            "network a: failed to allocate for range 0: requested IP address 10.1.1.77 is not \
                available in range set 10.1.1.1-10.1.1.254: c1 eth0 holds it",
        ),
        (
            &["fd00::1"],
            "network a: failed to allocate for range 1: requested IP address fd00::1 is the \
                subnet's gateway",
        ),
        (
            &["192.0.2.1"],
            "network a: failed to allocate all requested IPs: 192.0.2.1: each must be in a range \
                set, and a set gives one",
        ),
        (
            &["10.1.1.255"],
            "network a: failed to allocate all requested IPs: 10.1.1.255: each must be in a range \
                set, and a set gives one",
        ),
    ] {
        let refused = directory.start("c2", &[with_static(&network, addresses)]);
        assert_eq!(refused, Err(message.to_owned()));
    }
    // The next free one is the first one still, and is not the static one when its turn comes.
    assert_eq!(
        directory.start("c2", &[network]).unwrap(),
        ["a 10.1.1.2/24 fd00::3/64"]
    );
}

#[test]
fn addresses_come_from_the_lease_range_round_robin() {
    let directory = Directory::new();
    let mut subnet = lease("10.1.1.0/24", "10.1.1.10", "10.1.1.13");
    subnet.gateway = Some(ip("10.1.1.11"));
    let network = [request("a", "eth0", &[subnet])];
    for (container, address) in [("c1", "10"), ("c2", "12"), ("c3", "13")] {
        assert_eq!(
            directory.start(container, &network).unwrap(),
            [format!("a 10.1.1.{address}/24")]
        );
    }
    assert!(directory.start("c4", &network).is_err());
    // A static address may lie outside of the lease range, which does not disturb the turn.
    assert_eq!(
        directory
            .start("fixed", &[with_static(&network[0], &["10.1.1.200"])])
            .unwrap(),
        ["a 10.1.1.200/24"]
    );
    directory.stop("c2");
    assert_eq!(directory.start("c4", &network).unwrap(), ["a 10.1.1.12/24"]);
    directory.stop("c1");
    directory.stop("c3");
    assert_eq!(directory.start("c5", &network).unwrap(), ["a 10.1.1.13/24"]);
    assert_eq!(directory.start("c6", &network).unwrap(), ["a 10.1.1.10/24"]);
}

#[test]
fn other_drivers_and_networks_without_subnets_give_none() {
    let directory = Directory::new();
    let dhcp = NetworkRequest {
        driver: "dhcp".to_owned(),
        ..request("dhcp", "eth0", &[spec("10.1.1.0/24")])
    };
    let none = request("none", "eth1", &[]);
    let given = request("given", "eth2", &[spec("10.3.3.0/24")]);
    assert_eq!(
        directory.start("c1", &[dhcp, none, given]).unwrap(),
        ["dhcp", "none", "given 10.3.3.2/24"]
    );
    assert_eq!(directory.lookup("c1"), ["given eth2 10.3.3.2"]);
}
