//! Two nodes on one wire.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use testkit::Node;

use crate::backend::FlannelBackend;
use crate::lab::{BRIDGE, Container, Lab, NETWORK, netconf};
use crate::lease::{Family, Lease};

/// The name of the wire on both nodes.
pub(crate) const WIRE: &str = "eth0";

/// Nodes 1 and 2, each with a container that has the first address of its lease.
pub(crate) struct Cluster {
    pub(crate) backend: FlannelBackend,
    pub(crate) families: &'static [Family],
    wire_mtu: u32,
    pub(crate) members: [Member; 2],
}

/// A node and its container.
pub(crate) struct Member {
    pub(crate) number: u8,
    pub(crate) lab: Lab,
    pub(crate) container: Container,
}

impl Cluster {
    /// `None`, reported as a skip, without root or a needed kernel feature.
    #[track_caller]
    pub(crate) fn new(
        backend: FlannelBackend,
        families: &'static [Family],
        wire_mtu: u32,
    ) -> Option<Self> {
        let mtu = backend.lease_mtu(wire_mtu);
        let member = |number, id| {
            let lease = Lease {
                node: number,
                families,
                mtu,
            };
            Some(Member {
                number,
                lab: Lab::new(&lease)?,
                container: Container::new(id),
            })
        };
        let members = [member(1, "a")?, member(2, "b")?];
        let cluster = Self {
            backend,
            families,
            wire_mtu,
            members,
        };
        cluster.lay_wire();
        for (here, there) in cluster.both_ways() {
            for family in families {
                backend.prepare(&here.lab.node, here.number, *family, mtu);
                backend.join(&here.lab.node, there.number, *family);
            }
        }
        for member in &cluster.members {
            let result = member.lab.add(&member.container, &netconf("1.0.0"));
            let given: Vec<_> = result["ips"].as_array().unwrap().iter().collect();
            assert_eq!(given.len(), families.len(), "{result}");
        }
        Some(cluster)
    }

    pub(crate) fn lease_mtu(&self) -> u32 {
        self.backend.lease_mtu(self.wire_mtu)
    }

    /// The largest packet from one container to the other, in bytes.
    pub(crate) fn largest(&self, family: Family) -> u32 {
        let fits_the_wire = self.backend.largest(self.wire_mtu, family);
        fits_the_wire.min(self.lease_mtu())
    }

    /// Both directions between the members.
    pub(crate) fn both_ways(&self) -> [(&Member, &Member); 2] {
        let [one, two] = &self.members;
        [(one, two), (two, one)]
    }

    /// Deletes the containers; nothing of them exists on the nodes any more.
    #[track_caller]
    pub(crate) fn end(self) {
        let made_by_flanneld = self.backend.links(self.families);
        for Member { lab, container, .. } in &self.members {
            lab.del(container, &netconf("1.0.0"));
            assert_eq!(container.link_names(), ["lo"]);
            assert_eq!(lab.taken(NETWORK), [""; 0]);
            assert_eq!(lab.kept(), [""; 0]);
            let mut expected = vec!["lo", WIRE];
            expected.extend(&made_by_flanneld);
            expected.push(BRIDGE);
            assert_eq!(lab.links(), expected);
        }
    }

    #[track_caller]
    fn lay_wire(&self) {
        let mtu = self.wire_mtu;
        let [one, two] = &self.members;
        let far = two
            .lab
            .node
            .enter(|| File::open("/proc/thread-self/ns/net"));
        let far = far.unwrap();
        let far = format!("/proc/{}/fd/{}", std::process::id(), far.as_raw_fd());
        ip(
            &one.lab.node,
            &format!(
                "link add name {WIRE} mtu {mtu} type veth \
                 peer name {WIRE} mtu {mtu} netns {far}"
            ),
        );
        for member in &self.members {
            let node = &member.lab.node;
            ip(node, &format!("link set {WIRE} up"));
            for family in self.families {
                let (address, length) = (family.node(member.number), family.wire_length());
                ip(node, &format!("address add {address}/{length} dev {WIRE}"));
            }
        }
    }
}

impl Member {
    /// The container's address.
    pub(crate) fn address(&self, family: Family) -> String {
        family.container(self.number, 2)
    }
}

#[track_caller]
pub(crate) fn ip(node: &Node, args: &str) {
    tool(node, "ip", args);
}

/// Runs one of iproute2's programs on a node.
#[track_caller]
pub(crate) fn tool(node: &Node, program: &str, args: &str) {
    let mut command = Command::new(program);
    command.args(args.split_whitespace());
    let output = node.enter(|| command.output()).unwrap();
    assert!(output.status.success(), "{program} {args}: {output:?}");
}
