//! The edge to netfilter: masquerading, ports of a bridge through which only one MAC may send, and
//! ports of the node that lead to containers.
//!
//! [`Nftables`] talks to the kernel itself and has tables of its own. Their rules are created once.
//! What comes and goes with a container are elements of sets, so neither an ADD nor a packet takes
//! longer with many containers. A map in each table records whose the elements are, so that a DEL,
//! which knows nothing but the attachment, finds them in one exchange. [`Iptables`] does what the
//! Go plugins do, with their programs and under their names. [`remove`] and [`collect`] find the
//! rules of an attachment, whatever has created them.
//!
//! Everything happens in the network namespace of the calling thread: the node's.
//!
//! The modules, each of which uses only modules above it:
//!
//! ```text
//! nf_tables, table, owner              names: attributes, tables and sets, owners
//! edit                                 messages, transactions
//! element, expression, meaning, rule   what messages are about
//! layout, schema                       what each set and each table consists of
//! grant                                what an attachment is granted
//! kernel                               the connection
//! conntrack                            tracked connections
//! frame, record                        reading the present state
//! repair, prepare                      planning transactions
//! nftables, check, go, iptables        operations
//! port_map                             operations on port maps, and what these consist of
//! inventory                            what the tables have for all attachments
//! all                                  operations for whatever created the rules
//! ```

mod all;
mod backend;
mod check;
mod conntrack;
mod edit;
mod element;
mod error;
mod expression;
mod frame;
mod go;
mod grant;
mod inventory;
mod iptables;
mod kernel;
mod layout;
mod meaning;
mod nf_tables;
mod nftables;
mod owner;
mod port_map;
mod prepare;
mod record;
mod repair;
mod rule;
mod schema;
mod table;

pub use all::{collect, missing_mac_check, missing_masquerading, remove};
pub use backend::{Backend, UnknownBackend};
pub use check::Missing;
pub use error::FirewallError;
pub use inventory::{AttachmentDigest, Held, Holding, Inventory};
pub use iptables::Iptables;
pub use iptables::port_map::{
    FwMark, IptablesConditions, IptablesOptions, UnsupportedIptablesConditions,
};
pub use nftables::Nftables;
pub use port_map::{
    Conditions, PortMap, PortMapping, Snat, Transport, UnknownTransport, Unmapped,
    UnsupportedConditions, collect_port_maps, map_ports, map_ports_by_iptables, missing_port_map,
    missing_port_map_by_iptables, probe_port_maps, unmap_ports,
};
